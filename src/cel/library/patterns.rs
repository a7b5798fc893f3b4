//! Regular expressions. A pattern is compiled once and kept for a while.

use std::cell::RefCell;
use std::collections::HashMap;

use regex::Regex;

use super::Row;
use crate::error::Error;
use crate::value::Value;

pub(super) const TABLE: &[Row] = &[
    ("matches", "matches", "string, string -> bool", matches),
    ("matches_string", "matches", ".string, string -> bool", matches),
    ("string_find_string", "find", ".string, string -> string", find),
    ("string_find_all_string", "findAll", ".string, string -> list(string)", find_all),
    ("string_find_all_string_int", "findAll", ".string, string, int -> list(string)", find_all),
];

/// How many patterns a thread keeps.
const KEPT: usize = 256;

thread_local! {
    static PATTERNS: RefCell<HashMap<String, Result<Regex, String>>> = RefCell::default();
}

/// A pattern, or why it is none.
pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    PATTERNS.with_borrow_mut(|known| {
        if let Some(found) = known.get(pattern) {
            return found.clone();
        }
        if known.len() >= KEPT {
            known.clear();
        }
        let reason = |error: regex::Error| error.to_string().lines().last().unwrap_or_default().to_owned();
        let compiled = Regex::new(pattern).map_err(reason);
        known.insert(pattern.to_owned(), compiled.clone());
        compiled
    })
}

fn texts<'v>(args: &'v [Value<'_>]) -> Result<(&'v str, Regex), Error> {
    let [Value::String(text), Value::String(pattern), ..] = args else {
        return Err(Error::no_such_overload());
    };
    let pattern = compile(pattern).map_err(|error| Error::new(format!("Illegal regex: {error}")))?;
    Ok((text, pattern))
}

fn matches<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    let (text, pattern) = texts(args)?;
    Ok(Value::Bool(pattern.is_match(text)))
}

fn find<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    let (text, pattern) = texts(args)?;
    Ok(Value::text(pattern.find(text).map_or("", |found| found.as_str())))
}

fn find_all<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    let (text, pattern) = texts(args)?;
    let limit = match args.get(2) {
        Some(Value::Int(limit)) => usize::try_from(*limit).unwrap_or(usize::MAX),
        _ => usize::MAX,
    };
    Ok(Value::list(pattern.find_iter(text).take(limit).map(|found| Value::text(found.as_str())).collect()))
}
