//! Words to expressions, by precedence.

use serde_json::{Value, json};

use super::lexer::{Token, lex};
use super::node::Node;

/// Expressions within expressions, at most.
const DEPTH: usize = 200;

/// How strongly each operator binds, and whether from the right.
fn binding(operator: &str) -> Option<(u8, bool, &'static str)> {
    Some(match operator {
        "|" => (1, false, "|"),
        "||" | "or" => (11, false, "||"),
        "&&" | "and" => (15, false, "&&"),
        "==" => (20, false, "=="),
        "!=" => (20, false, "!="),
        "<" => (20, false, "<"),
        ">" => (20, false, ">"),
        "<=" => (20, false, "<="),
        ">=" => (20, false, ">="),
        "in" => (20, false, "in"),
        "matches" => (20, false, "matches"),
        "contains" => (20, false, "contains"),
        "startsWith" => (20, false, "startsWith"),
        "endsWith" => (20, false, "endsWith"),
        ".." => (25, false, ".."),
        "+" => (30, false, "+"),
        "-" => (30, false, "-"),
        "*" => (60, false, "*"),
        "/" => (60, false, "/"),
        "%" => (60, false, "%"),
        "**" | "^" => (100, true, "**"),
        "??" => (10, false, "??"),
        _ => return None,
    })
}

/// Functions whose last argument is asked of each element.
const PREDICATES: [&str; 17] = [
    "all",
    "any",
    "one",
    "none",
    "map",
    "filter",
    "find",
    "findIndex",
    "findLast",
    "findLastIndex",
    "count",
    "sum",
    "sortBy",
    "groupBy",
    "reduce",
    "countBy",
    "uniqBy",
];

/// Reads an expression.
pub(super) fn parse(text: &str) -> Result<Node, String> {
    let mut parser = Parser { text, tokens: lex(text)?, at: 0, depth: 0, predicates: 0 };
    let node = parser.statement()?;
    match parser.peek() {
        Token::End => Ok(node),
        _ => Err(parser.unexpected()),
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<(Token, usize)>,
    at: usize,
    depth: usize,
    /// How many predicates are around this place.
    predicates: usize,
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        &self.tokens[self.at].0
    }

    fn next(&mut self) -> Token {
        let token = self.tokens[self.at].0.clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn unexpected(&self) -> String {
        let (token, at) = &self.tokens[self.at];
        let word = match token {
            Token::Int(number) => number.to_string(),
            Token::Float(number) => number.to_string(),
            Token::Text(text) => format!("{text:?}"),
            Token::Name(name) => name.clone(),
            Token::Sign(sign) => (*sign).to_owned(),
            Token::End => "end".to_owned(),
        };
        format!("unexpected {word} at {at} of '{}'", self.text)
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.peek(), Token::Sign(have) if *have == sign)
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        if found {
            self.next();
        }
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), String> {
        if self.take(sign) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn statement(&mut self) -> Result<Node, String> {
        self.depth += 1;
        let node = self.bound();
        self.depth -= 1;
        node
    }

    /// What `let` binds, and what it is bound in.
    fn bound(&mut self) -> Result<Node, String> {
        if self.depth > DEPTH {
            return Err(format!("'{}' is too deep", self.text));
        }
        if *self.peek() == Token::Name("let".to_owned())
            && let Some((Token::Name(name), _)) = self.tokens.get(self.at + 1).cloned()
        {
            self.at += 2;
            self.expect("=")?;
            let value = self.expression(0)?;
            self.expect(";")?;
            return Ok(Node::Let(name, Box::new(value), Box::new(self.statement()?)));
        }
        self.expression(0)
    }

    fn operator(&self) -> Option<(u8, bool, &'static str, bool)> {
        let name = |at: usize| match self.tokens.get(at).map(|(token, _)| token) {
            Some(Token::Sign(sign)) => Some((*sign).to_owned()),
            Some(Token::Name(name)) => Some(name.clone()),
            _ => None,
        };
        let word = name(self.at)?;
        if word == "not" {
            let (strength, right, operator) = binding(&name(self.at + 1)?)?;
            return (strength == 20).then_some((strength, right, operator, true));
        }
        binding(&word).map(|(strength, right, operator)| (strength, right, operator, false))
    }

    fn expression(&mut self, least: u8) -> Result<Node, String> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(format!("'{}' is too deep", self.text));
        }
        let mut left = self.unary()?;
        while let Some((strength, right, operator, negated)) = self.operator() {
            if strength < least.max(1) {
                break;
            }
            self.next();
            if negated {
                self.next();
            }
            if operator == "|" {
                left = self.piped(left)?;
                continue;
            }
            let other = self.expression(if right { strength } else { strength + 1 })?;
            left = Node::Binary(operator, Box::new(left), Box::new(other));
            if negated {
                left = Node::Unary("!", Box::new(left));
            }
        }
        if least == 0 && self.take("?") {
            let yes = self.expression(0)?;
            self.expect(":")?;
            let no = self.expression(0)?;
            left = Node::Choice(Box::new(left), Box::new(yes), Box::new(no));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn piped(&mut self, left: Node) -> Result<Node, String> {
        match self.postfix()? {
            Node::Call(name, mut arguments) => {
                arguments.insert(0, left);
                Ok(Node::Call(name, arguments))
            }
            _ => Err(format!("a function has to follow | in '{}'", self.text)),
        }
    }

    fn unary(&mut self) -> Result<Node, String> {
        for (word, operator, strength) in [("!", "!", 50), ("not", "!", 19), ("-", "-", 90), ("+", "+", 90)] {
            let found = match self.peek() {
                Token::Sign(sign) => *sign == word,
                Token::Name(name) => name == word,
                _ => false,
            };
            if found {
                self.next();
                let of = self.expression(strength)?;
                return Ok(Node::Unary(operator, Box::new(of)));
            }
        }
        self.postfix()
    }

    fn postfix(&mut self) -> Result<Node, String> {
        let mut node = self.primary()?;
        loop {
            if self.is(".") || self.is("?.") {
                let optional = self.next() == Token::Sign("?.");
                if optional && self.take("[") {
                    let key = self.expression(0)?;
                    self.expect("]")?;
                    node = Node::Member(Box::new(node), Box::new(key), true);
                    continue;
                }
                let Token::Name(name) = self.peek().clone() else {
                    return Err(self.unexpected());
                };
                self.next();
                if self.is("(") {
                    node = match node {
                        Node::Name(space) if space == "sprig" => self.call(format!("{space}.{name}"))?,
                        // A method: its object is the first argument.
                        object => match self.call(format!(".{name}"))? {
                            Node::Call(name, mut arguments) => {
                                arguments.insert(0, object);
                                Node::Call(name, arguments)
                            }
                            other => other,
                        },
                    };
                } else {
                    node = Node::Member(Box::new(node), Box::new(Node::Literal(json!(name))), optional);
                }
            } else if self.take("[") {
                node = self.index(node)?;
            } else {
                return Ok(node);
            }
        }
    }

    fn index(&mut self, of: Node) -> Result<Node, String> {
        let from = if self.is(":") { None } else { Some(Box::new(self.expression(0)?)) };
        if self.take(":") {
            let to = if self.is("]") { None } else { Some(Box::new(self.expression(0)?)) };
            self.expect("]")?;
            return Ok(Node::Slice(Box::new(of), from, to));
        }
        self.expect("]")?;
        match from {
            Some(key) => Ok(Node::Member(Box::new(of), key, false)),
            None => Err(self.unexpected()),
        }
    }

    fn call(&mut self, name: String) -> Result<Node, String> {
        self.expect("(")?;
        let predicate = PREDICATES.contains(&name.as_str());
        let mut arguments = Vec::new();
        while !self.take(")") {
            if !arguments.is_empty() {
                self.expect(",")?;
                if self.take(")") {
                    break;
                }
            }
            let inside = predicate && arguments.len() == 1;
            self.predicates += usize::from(inside);
            let argument = if inside && self.is("{") { self.block() } else { self.expression(0) };
            self.predicates -= usize::from(inside);
            arguments.push(argument?);
        }
        Ok(Node::Call(name, arguments))
    }

    /// What a predicate asks, in braces.
    fn block(&mut self) -> Result<Node, String> {
        let before = self.at;
        self.expect("{")?;
        let inside = self.statement();
        if let Ok(node) = inside
            && self.take("}")
        {
            return Ok(node);
        }
        self.at = before;
        self.expression(0)
    }

    fn primary(&mut self) -> Result<Node, String> {
        let token = self.peek().clone();
        if token == Token::Sign(".") && self.predicates > 0 {
            // `.name` of what is asked about.
            return Ok(Node::Current(String::new()));
        }
        self.next();
        match token {
            Token::Int(number) => Ok(Node::Literal(json!(number))),
            Token::Float(number) => Ok(Node::Literal(json!(number))),
            Token::Text(text) => Ok(Node::Literal(json!(text))),
            Token::Name(name) => match name.as_str() {
                "true" => Ok(Node::Literal(json!(true))),
                "false" => Ok(Node::Literal(json!(false))),
                "nil" | "null" => Ok(Node::Literal(Value::Null)),
                _ if self.is("(") => self.call(name),
                _ => Ok(Node::Name(name)),
            },
            Token::Sign("(") => {
                let node = self.statement()?;
                self.expect(")")?;
                Ok(node)
            }
            Token::Sign("[") => {
                let mut parts = Vec::new();
                while !self.take("]") {
                    if !parts.is_empty() {
                        self.expect(",")?;
                        if self.take("]") {
                            break;
                        }
                    }
                    parts.push(self.expression(0)?);
                }
                Ok(Node::List(parts))
            }
            Token::Sign("{") => self.map(),
            Token::Sign("#") => match self.peek().clone() {
                Token::Name(name) if name == "acc" || name == "index" => {
                    self.next();
                    Ok(Node::Current(name))
                }
                _ => Ok(Node::Current(String::new())),
            },
            _ => {
                self.at = self.at.saturating_sub(usize::from(token != Token::End));
                Err(self.unexpected())
            }
        }
    }

    fn map(&mut self) -> Result<Node, String> {
        let mut pairs = Vec::new();
        while !self.take("}") {
            if !pairs.is_empty() {
                self.expect(",")?;
                if self.take("}") {
                    break;
                }
            }
            let key = match self.peek().clone() {
                Token::Name(name) => json!(name),
                Token::Text(text) => json!(text),
                Token::Int(number) => json!(number.to_string()),
                Token::Sign("(") => Value::Null,
                _ => return Err(self.unexpected()),
            };
            let key = if key.is_null() {
                self.primary()?
            } else {
                self.next();
                Node::Literal(key)
            };
            self.expect(":")?;
            pairs.push((key, self.expression(0)?));
        }
        Ok(Node::Map(pairs))
    }
}
