//! What an expression comes to.

use std::cmp::Ordering;

use regex::Regex;
use serde_json::{Map, Number, Value, json};
use tinderbox_api::sprig::value::{compare, equal, show, whole};

use super::functions;
use super::node::Node;

/// Steps of one evaluation, at most.
const STEPS: usize = 1_000_000;

/// Evaluates an expression over variables.
pub(super) fn run(node: &Node, variables: &Map<String, Value>) -> Result<Value, String> {
    let mut machine = Machine { variables, locals: Vec::new(), current: Vec::new(), steps: 0 };
    machine.eval(node)
}

/// What a predicate is asked about.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) item: Value,
    pub(super) index: usize,
    pub(super) sum: Value,
}

pub(super) struct Machine<'a> {
    variables: &'a Map<String, Value>,
    locals: Vec<(String, Value)>,
    current: Vec<Asked>,
    steps: usize,
}

impl Machine<'_> {
    /// Evaluates a part about one element.
    pub(super) fn ask(&mut self, node: &Node, asked: Asked) -> Result<Value, String> {
        self.current.push(asked);
        let answer = self.eval(node);
        self.current.pop();
        answer
    }

    pub(super) fn eval(&mut self, node: &Node) -> Result<Value, String> {
        self.steps += 1;
        if self.steps > STEPS {
            return Err("the expression takes too long".to_owned());
        }
        match node {
            Node::Literal(value) => Ok(value.clone()),
            Node::Name(name) => self.variable(name),
            Node::Current(part) => {
                let asked = self.current.last().ok_or("# is used outside of a predicate")?;
                Ok(match part.as_str() {
                    "acc" => asked.sum.clone(),
                    "index" => json!(asked.index),
                    _ => asked.item.clone(),
                })
            }
            Node::List(parts) => {
                parts.iter().map(|part| self.eval(part)).collect::<Result<Vec<_>, _>>().map(Value::from)
            }
            Node::Map(pairs) => {
                let mut map = Map::new();
                for (key, value) in pairs {
                    map.insert(show(&self.eval(key)?), self.eval(value)?);
                }
                Ok(Value::Object(map))
            }
            Node::Unary(operator, of) => unary(operator, self.eval(of)?),
            Node::Binary(operator, one, other) => self.binary(operator, one, other),
            Node::Choice(whether, yes, no) => {
                if truth(&self.eval(whether)?)? {
                    self.eval(yes)
                } else {
                    self.eval(no)
                }
            }
            Node::Member(of, key, optional) => {
                let of = self.eval(of)?;
                if of.is_null() && *optional {
                    return Ok(Value::Null);
                }
                let key = self.eval(key)?;
                member(&of, &key)
            }
            Node::Slice(of, from, to) => {
                let of = self.eval(of)?;
                let mut bound = |node: &Option<Box<Node>>| match node {
                    None => Ok(None),
                    Some(node) => self.eval(node).and_then(|value| whole(&value).map(Some)),
                };
                let (from, to) = (bound(from)?, bound(to)?);
                slice(&of, from, to)
            }
            Node::Call(name, arguments) => functions::call(self, name, arguments),
            Node::Let(name, value, within) => {
                let value = self.eval(value)?;
                self.locals.push((name.clone(), value));
                let answer = self.eval(within);
                self.locals.pop();
                answer
            }
        }
    }

    /// The time, in seconds, where whoever asks gave one.
    pub(super) fn now(&self) -> Result<Value, String> {
        self.variables.get(super::NOW).cloned().ok_or_else(|| "the time is not known in this expression".to_owned())
    }

    fn variable(&self, name: &str) -> Result<Value, String> {
        if let Some((_, value)) = self.locals.iter().rev().find(|(local, _)| local == name) {
            return Ok(value.clone());
        }
        if name == "$env" {
            return Ok(Value::Object(self.variables.clone()));
        }
        // Fields of what a predicate is asked about can be named alone.
        if let Some(value) = self.variables.get(name) {
            return Ok(value.clone());
        }
        let item = self.current.last().and_then(|asked| asked.item.get(name));
        item.cloned().ok_or_else(|| format!("unknown name {name}"))
    }

    fn binary(&mut self, operator: &str, one: &Node, other: &Node) -> Result<Value, String> {
        if operator == "??" {
            // What cannot be found is nothing.
            return match self.eval(one) {
                Ok(Value::Null) | Err(_) => self.eval(other),
                found => found,
            };
        }
        let one = self.eval(one)?;
        match (operator, &one) {
            ("&&", Value::Bool(false)) | ("||", Value::Bool(true)) => return Ok(one),
            ("&&" | "||", _) => {
                truth(&one)?;
                return Ok(json!(truth(&self.eval(other)?)?));
            }
            _ => (),
        }
        let other = self.eval(other)?;
        apply(operator, &one, &other)
    }
}

fn apply(operator: &str, one: &Value, other: &Value) -> Result<Value, String> {
    let wrong = || format!("invalid operation: {operator} (mismatched types {} and {})", kind(one), kind(other));
    Ok(match operator {
        "==" => json!(equal(one, other)),
        "!=" => json!(!equal(one, other)),
        "<" | ">" | "<=" | ">=" => {
            let order = compare(one, other).ok_or_else(wrong)?;
            json!(match operator {
                "<" => order == Ordering::Less,
                ">" => order == Ordering::Greater,
                "<=" => order != Ordering::Greater,
                _ => order != Ordering::Less,
            })
        }
        "in" => json!(match other {
            Value::Array(list) => list.iter().any(|item| equal(item, one)),
            Value::Object(map) => map.contains_key(&show(one)),
            Value::Null => false,
            _ => return Err(wrong()),
        }),
        "matches" | "contains" | "startsWith" | "endsWith" => {
            let (Value::String(one), Value::String(other)) = (one, other) else {
                return Err(wrong());
            };
            json!(match operator {
                "contains" => one.contains(other.as_str()),
                "startsWith" => one.starts_with(other.as_str()),
                "endsWith" => one.ends_with(other.as_str()),
                _ => Regex::new(other).map_err(|error| error.to_string())?.is_match(one),
            })
        }
        ".." => {
            let (from, to) = (whole(one)?, whole(other)?);
            if to.saturating_sub(from) > 1_000_000 {
                return Err(format!("{from}..{to} is too long"));
            }
            (from..=to).map(|number| json!(number)).collect::<Vec<_>>().into()
        }
        "+" if one.is_string() && other.is_string() => json!(show(one) + &show(other)),
        _ => arithmetic(operator, one, other).ok_or_else(wrong)??,
    })
}

fn arithmetic(operator: &str, one: &Value, other: &Value) -> Option<Result<Value, String>> {
    let (Value::Number(one), Value::Number(other)) = (one, other) else {
        return None;
    };
    if let (Some(one), Some(other)) = (one.as_i64(), other.as_i64()) {
        let overflow = || "the number is too large".to_owned();
        match operator {
            "+" => return Some(one.checked_add(other).map(|sum| json!(sum)).ok_or_else(overflow)),
            "-" => return Some(one.checked_sub(other).map(|sum| json!(sum)).ok_or_else(overflow)),
            "*" => return Some(one.checked_mul(other).map(|sum| json!(sum)).ok_or_else(overflow)),
            "%" => {
                return Some(
                    one.checked_rem(other).map(|rest| json!(rest)).ok_or_else(|| "integer divide by zero".to_owned()),
                );
            }
            _ => (),
        }
    }
    let (one, other) = (one.as_f64()?, other.as_f64()?);
    let result = match operator {
        "+" => one + other,
        "-" => one - other,
        "*" => one * other,
        "/" => one / other,
        "**" => one.powf(other),
        _ => return None,
    };
    Some(Number::from_f64(result).map(Value::Number).ok_or_else(|| "the result is no number".to_owned()))
}

fn unary(operator: &str, of: Value) -> Result<Value, String> {
    match (operator, &of) {
        ("!", _) => Ok(json!(!truth(&of)?)),
        ("+", Value::Number(_)) => Ok(of),
        ("-", Value::Number(number)) => Ok(match number.as_i64() {
            Some(number) => json!(number.wrapping_neg()),
            None => json!(-number.as_f64().unwrap_or_default()),
        }),
        _ => Err(format!("invalid operation: {operator} (mismatched type {})", kind(&of))),
    }
}

pub(super) fn truth(value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| format!("{} is neither true nor false", show(value)))
}

pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nil",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "map",
    }
}

fn member(of: &Value, key: &Value) -> Result<Value, String> {
    match (of, key) {
        (Value::Object(map), _) => Ok(map.get(&show(key)).cloned().unwrap_or(Value::Null)),
        (Value::Array(list), Value::Number(_)) => {
            let index = whole(key)?;
            let place = if index < 0 { index + list.len() as i64 } else { index };
            let found = usize::try_from(place).ok().and_then(|place| list.get(place));
            found.cloned().ok_or_else(|| format!("index out of range: {index} (array length is {})", list.len()))
        }
        (Value::String(text), Value::Number(_)) => {
            let found = usize::try_from(whole(key)?).ok().and_then(|place| text.chars().nth(place));
            found.map(|found| json!(found.to_string())).ok_or_else(|| format!("index out of range: {key}"))
        }
        _ => Err(format!("cannot fetch {} from {}", show(key), kind(of))),
    }
}

fn slice(of: &Value, from: Option<i64>, to: Option<i64>) -> Result<Value, String> {
    let cut = |length: usize| {
        let place = |index: i64| {
            let index = if index < 0 { index + length as i64 } else { index };
            usize::try_from(index.max(0)).unwrap_or(0).min(length)
        };
        let (from, to) = (from.map_or(0, place), to.map_or(length, place));
        from.min(to)..to
    };
    match of {
        Value::Array(list) => Ok(list[cut(list.len())].to_vec().into()),
        Value::String(text) => {
            let chars: Vec<char> = text.chars().collect();
            Ok(json!(chars[cut(chars.len())].iter().collect::<String>()))
        }
        _ => Err(format!("cannot slice {}", kind(of))),
    }
}
