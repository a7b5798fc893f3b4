//! A template of Go's as a tree: texts, pipelines, and the blocks `if`, `with` and `range`.
//! Upstream rule: `text/template/parse` of Go.

use serde_json::{Value, json};

/// A part of a template.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// It stands as it is.
    Text(String),
    /// What it comes to is written.
    Print(Pipeline),
    /// One of several branches is taken.
    If(Vec<(Pipeline, Vec<Node>)>, Vec<Node>),
    /// The dot is something else within.
    With(Pipeline, Vec<Node>, Vec<Node>),
    /// The dot is each element in turn.
    Range(Pipeline, Vec<Node>, Vec<Node>),
}

/// Commands of which each gets what the one before gave as its last argument.
pub(super) type Pipeline = Vec<Vec<Operand>>;

/// A word of a command.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand {
    /// A text, a number, true, false or nil.
    Literal(Value),
    /// A function by its name.
    Function(String),
    /// Fields below the dot; below the root where `$` stands before them.
    Field { of_root: bool, path: Vec<String> },
    /// What stands in parentheses, and fields below it.
    Inner(Pipeline, Vec<String>),
}

enum Piece<'a> {
    Text(&'a str),
    Action(&'a str),
}

/// Parses a template.
pub(super) fn parse(text: &str) -> Result<Vec<Node>, String> {
    let pieces = pieces(text)?;
    let mut parser = Parser { pieces: &pieces, at: 0 };
    let (nodes, end) = parser.block()?;
    match end {
        None => Ok(nodes),
        Some(word) => Err(format!("unexpected {{{{{word}}}}}")),
    }
}

/// Texts and actions in turn, trimmed where an action has a hyphen.
fn pieces(text: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut found = Vec::new();
    let (mut rest, mut trims) = (text, false);
    while let Some((before, after)) = rest.split_once("{{") {
        let (inside, behind) = after.split_at(end_of(after).ok_or("unclosed action")?);
        let before = if trims { before.trim_start() } else { before };
        let is_trimmed = |text: &str| text.starts_with([' ', '\t', '\n', '\r']);
        let opened = inside.strip_prefix('-').filter(|rest| is_trimmed(rest));
        let before = if opened.is_some() { before.trim_end() } else { before };
        let inside = opened.unwrap_or(inside);
        let closed = inside.strip_suffix('-').filter(|rest| rest.ends_with([' ', '\t', '\n', '\r']));
        trims = closed.is_some();
        let inside = closed.unwrap_or(inside).trim();
        if !before.is_empty() {
            found.push(Piece::Text(before));
        }
        if !inside.starts_with("/*") {
            found.push(Piece::Action(inside));
        }
        rest = &behind[2..];
    }
    let last = if trims { rest.trim_start() } else { rest };
    if !last.is_empty() {
        found.push(Piece::Text(last));
    }
    Ok(found)
}

/// Where the action ends that a text begins within: braces in quotes do not count.
fn end_of(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        match quote {
            Some('"') if escaped => escaped = false,
            Some('"') if character == '\\' => escaped = true,
            Some(open) if open == character => quote = None,
            Some(_) => (),
            None if character == '"' || character == '`' => quote = Some(character),
            None if text[at..].starts_with("}}") => return Some(at),
            None => (),
        }
    }
    None
}

struct Parser<'a> {
    pieces: &'a [Piece<'a>],
    at: usize,
}

impl Parser<'_> {
    /// Nodes up to the word that ends them, which is not theirs: `end`, `else` or `else if …`.
    fn block(&mut self) -> Result<(Vec<Node>, Option<String>), String> {
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.get(self.at) {
            self.at += 1;
            let action = match piece {
                Piece::Text(text) => {
                    nodes.push(Node::Text((*text).to_owned()));
                    continue;
                }
                Piece::Action(action) => *action,
            };
            let (word, rest) = action.split_once(char::is_whitespace).unwrap_or((action, ""));
            match word {
                "end" | "else" => return Ok((nodes, Some(action.to_owned()))),
                "if" => nodes.push(self.branches(rest)?),
                "with" => {
                    let (inside, otherwise) = self.body(word)?;
                    nodes.push(Node::With(pipeline(rest)?, inside, otherwise));
                }
                "range" => {
                    let (inside, otherwise) = self.body(word)?;
                    nodes.push(Node::Range(pipeline(rest)?, inside, otherwise));
                }
                "define" | "template" | "block" | "break" | "continue" => {
                    return Err(format!("{{{{{word}}}}} is not served here"));
                }
                _ => nodes.push(Node::Print(pipeline(action)?)),
            }
        }
        Ok((nodes, None))
    }

    /// What stands in a block, and what stands behind its `else`.
    fn body(&mut self, word: &str) -> Result<(Vec<Node>, Vec<Node>), String> {
        let open = || format!("{{{{{word}}}}} has no {{{{end}}}}");
        let (inside, end) = self.block()?;
        match end.as_deref() {
            Some("end") => Ok((inside, Vec::new())),
            Some("else") => match self.block()? {
                (otherwise, Some(end)) if end == "end" => Ok((inside, otherwise)),
                _ => Err(open()),
            },
            Some(other) => Err(format!("{{{{{other}}}}} behind {{{{{word}}}}} is not served here")),
            None => Err(open()),
        }
    }

    fn branches(&mut self, condition: &str) -> Result<Node, String> {
        let mut branches = Vec::new();
        let mut condition = pipeline(condition)?;
        loop {
            let (inside, end) = self.block()?;
            branches.push((condition, inside));
            match end.as_deref() {
                Some("end") => return Ok(Node::If(branches, Vec::new())),
                Some("else") => match self.block()? {
                    (otherwise, Some(end)) if end == "end" => return Ok(Node::If(branches, otherwise)),
                    _ => return Err("{{if}} has no {{end}}".to_owned()),
                },
                Some(other) => {
                    let rest = other.trim_start_matches("else").trim();
                    let rest = rest.strip_prefix("if ").ok_or_else(|| format!("unexpected {{{{{other}}}}}"))?;
                    condition = pipeline(rest)?;
                }
                None => return Err("{{if}} has no {{end}}".to_owned()),
            }
        }
    }
}

fn pipeline(text: &str) -> Result<Pipeline, String> {
    let mut words = Words { rest: text };
    let (found, end) = words.pipeline()?;
    if end.is_some() {
        return Err("unexpected )".to_owned());
    }
    if found.iter().any(Vec::is_empty) {
        return Err("missing value for command".to_owned());
    }
    Ok(found)
}

struct Words<'a> {
    rest: &'a str,
}

impl Words<'_> {
    /// Commands up to the end or to the parenthesis that closes them.
    fn pipeline(&mut self) -> Result<(Pipeline, Option<char>), String> {
        let mut commands = vec![Vec::new()];
        loop {
            self.rest = self.rest.trim_start();
            let Some(first) = self.rest.chars().next() else { return Ok((commands, None)) };
            match first {
                '|' => {
                    self.rest = &self.rest[1..];
                    commands.push(Vec::new());
                }
                ')' => {
                    self.rest = &self.rest[1..];
                    return Ok((commands, Some(')')));
                }
                _ => {
                    let operand = self.operand(first)?;
                    if let Some(command) = commands.last_mut() {
                        command.push(operand);
                    }
                }
            }
        }
    }

    fn operand(&mut self, first: char) -> Result<Operand, String> {
        match first {
            '(' => {
                self.rest = &self.rest[1..];
                let (inner, end) = self.pipeline()?;
                if end.is_none() || inner.iter().any(Vec::is_empty) {
                    return Err("unclosed left paren".to_owned());
                }
                Ok(Operand::Inner(inner, self.fields()))
            }
            '"' => self.quoted().map(|text| Operand::Literal(json!(text))),
            '`' => {
                let (raw, behind) = self.rest[1..].split_once('`').ok_or("unterminated raw quoted string")?;
                self.rest = behind;
                Ok(Operand::Literal(json!(raw)))
            }
            '.' => {
                let path = self.fields();
                if path.is_empty() {
                    self.rest = &self.rest[1..];
                }
                Ok(Operand::Field { of_root: false, path })
            }
            '$' => {
                self.rest = &self.rest[1..];
                let is_root = self.rest.is_empty() || self.rest.starts_with(['.', ' ', ')', '|', '\t', '\n']);
                if !is_root {
                    return Err("variables are not served here: only $ itself".to_owned());
                }
                Ok(Operand::Field { of_root: true, path: self.fields() })
            }
            _ => self.word(),
        }
    }

    /// Fields that follow at once, as in `.a.b`.
    fn fields(&mut self) -> Vec<String> {
        let mut found = Vec::new();
        while let Some(after) = self.rest.strip_prefix('.') {
            let end = after.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(after.len());
            if end == 0 {
                break;
            }
            found.push(after[..end].to_owned());
            self.rest = &after[end..];
        }
        found
    }

    fn word(&mut self) -> Result<Operand, String> {
        let end = self.rest.find([' ', '\t', '\n', '\r', '|', '(', ')']).unwrap_or(self.rest.len());
        let (word, behind) = self.rest.split_at(end);
        self.rest = behind;
        let number =
            || word.parse::<i64>().map(|number| json!(number)).or_else(|_| word.parse::<f64>().map(|n| json!(n)));
        Ok(match word {
            "true" => Operand::Literal(json!(true)),
            "false" => Operand::Literal(json!(false)),
            "nil" => Operand::Literal(Value::Null),
            _ if word.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+') => {
                Operand::Literal(number().map_err(|_| format!("bad number syntax: {word:?}"))?)
            }
            _ if !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || c == '_') => {
                Operand::Function(word.to_owned())
            }
            _ => return Err(format!("unexpected {word:?} in command")),
        })
    }

    fn quoted(&mut self) -> Result<String, String> {
        let mut text = String::new();
        let mut characters = self.rest.char_indices().skip(1);
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(text);
                }
                '\\' => match characters.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, 'r')) => text.push('\r'),
                    Some((_, same @ ('"' | '\\' | '\''))) => text.push(same),
                    other => return Err(format!("unknown escape {:?}", other.map(|(_, character)| character))),
                },
                other => text.push(other),
            }
        }
        Err("unterminated quoted string".to_owned())
    }
}
