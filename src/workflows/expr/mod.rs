//! Expressions as `{{=…}}`, hooks and retries have them: the language of expr-lang with Argo's functions. Pure; times and chance
//! are not in it.
//! Upstream rule: `docs/language-definition.md` of expr-lang/expr and `util/expr/env` of argoproj/argo-workflows.

mod eval;
mod functions;
mod lexer;
mod lists;
mod node;
mod parse;
mod texts;

use serde_json::{Map, Value};

pub use tinderbox_api::sprig::value::show;

/// The variable that `now()` gives: seconds since 1970.
pub(crate) const NOW: &str = "$now";

/// Evaluates an expression over variables.
///
/// # Errors
/// What is wrong with it, and where.
pub fn evaluate(text: &str, variables: &Map<String, Value>) -> Result<Value, String> {
    eval::run(&parse::parse(text)?, variables)
}

/// Evaluates an expression that has to be true or false.
///
/// # Errors
/// What is wrong with it, or what it is instead.
pub fn evaluate_bool(text: &str, variables: &Map<String, Value>) -> Result<bool, String> {
    match evaluate(text, variables)? {
        Value::Bool(yes) => Ok(yes),
        other => Err(format!("expected boolean evaluation for '{text}', got {other}")),
    }
}

/// The variables that an expression names, as far as their paths are plain: `a.b.c` of `a.b["c"]`.
///
/// # Errors
/// What is wrong with the expression.
pub fn names(text: &str) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    node::names(&parse::parse(text)?, &mut found);
    Ok(found)
}

/// Nested variables from flat ones: `a.b.c` becomes a field of a field of `a`. Where a name is both a value and the beginning of
/// others, the deeper ones win.
#[must_use]
pub fn nest<'a>(flat: impl IntoIterator<Item = (&'a str, Value)>) -> Map<String, Value> {
    let mut root = Map::new();
    for (name, value) in flat {
        put(&mut root, name, value);
    }
    root
}

fn put(map: &mut Map<String, Value>, name: &str, value: Value) {
    match name.split_once('.') {
        None => {
            if !map.get(name).is_some_and(Value::is_object) {
                map.insert(name.to_owned(), value);
            }
        }
        Some((first, rest)) => {
            let inner = map.entry(first).or_insert_with(|| Value::Object(Map::new()));
            if !inner.is_object() {
                *inner = Value::Object(Map::new());
            }
            if let Value::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests;
