//! Tags in double braces: those that are names, and those that begin with `=` and are expressions. They are filled in wherever a
//! text stands in a value. Pure.
//! Upstream rule: `util/template` of argoproj/argo-workflows.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::expr;

/// What tags mean: texts by their names.
pub(crate) type Scope = BTreeMap<String, String>;

/// What becomes of a tag that means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// It is an error.
    Refused,
    /// It stays, to be filled in later.
    Kept,
}

/// The variables of expressions: a scope, nested.
pub(crate) fn variables(scope: &Scope) -> Map<String, Value> {
    expr::nest(scope.iter().map(|(name, text)| (name.as_str(), Value::from(text.as_str()))))
}

/// Fills in the tags of every text within a value.
pub(crate) fn fill_all(value: &mut Value, scope: &Scope, unknown: Unknown) -> Result<(), String> {
    match value {
        Value::String(text) => {
            if text.contains("{{") {
                *text = fill(text, scope, unknown)?;
            }
            Ok(())
        }
        Value::Array(list) => list.iter_mut().try_for_each(|item| fill_all(item, scope, unknown)),
        Value::Object(map) => {
            if map.keys().any(|key| key.contains("{{")) {
                let entries = std::mem::take(map);
                for (key, inner) in entries {
                    map.insert(fill(&key, scope, unknown)?, inner);
                }
            }
            map.values_mut().try_for_each(|inner| fill_all(inner, scope, unknown))
        }
        _ => Ok(()),
    }
}

/// Fills in the tags of what can be written as a value.
pub(crate) fn fill_in<T>(object: &T, scope: &Scope, unknown: Unknown) -> Result<T, String>
where
    T: serde::Serialize + serde::de::DeserializeOwned,
{
    let mut value = serde_json::to_value(object).map_err(|error| error.to_string())?;
    fill_all(&mut value, scope, unknown)?;
    serde_json::from_value(value).map_err(|error| format!("cannot read it once its tags are filled in: {error}"))
}

/// Fills in the tags of a text.
pub(crate) fn fill(text: &str, scope: &Scope, unknown: Unknown) -> Result<String, String> {
    let mut made = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = rest.find("{{") {
        made.push_str(&rest[..begin]);
        let Some(length) = end_of_tag(&rest[begin + 2..]) else {
            rest = &rest[begin..];
            break;
        };
        let tag = &rest[begin + 2..begin + 2 + length];
        let whole = &rest[begin..begin + 4 + length];
        match meaning(tag, scope, unknown)? {
            Some(meaning) => made.push_str(&meaning),
            None => made.push_str(whole),
        }
        rest = &rest[begin + 4 + length..];
    }
    made.push_str(rest);
    Ok(made)
}

/// How long a tag is: to the first `}}` that is not of a map within an expression.
fn end_of_tag(rest: &str) -> Option<usize> {
    if !rest.starts_with('=') {
        return rest.find("}}");
    }
    let (mut depth, mut quote, mut escaped) = (0_usize, None, false);
    for (at, next) in rest.char_indices() {
        match (quote, next) {
            (Some(_), _) if escaped => escaped = false,
            (Some(open), '\\') if open != '`' => escaped = true,
            (Some(open), _) => quote = Some(open).filter(|open| *open != next),
            (None, '\'' | '"' | '`') => quote = Some(next),
            (None, '{') => depth += 1,
            (None, '}') if depth > 0 => depth -= 1,
            (None, '}') if rest[at..].starts_with("}}") => return Some(at),
            _ => (),
        }
    }
    rest.find("}}")
}

fn meaning(tag: &str, scope: &Scope, unknown: Unknown) -> Result<Option<String>, String> {
    if let Some(expression) = tag.strip_prefix('=') {
        return expression_meaning(expression.trim(), scope, unknown);
    }
    let name = tag.trim();
    match (scope.get(name), unknown) {
        (Some(text), _) => Ok(Some(text.clone())),
        (None, _) if name.contains(".%") => Ok(strftime(name, scope)),
        // No name of ours: text that happens to have braces.
        (None, _) if !is_path(name) => Ok(None),
        (None, Unknown::Kept) => Ok(None),
        (None, Unknown::Refused) => Err(format!("failed to resolve {{{{{name}}}}}")),
    }
}

/// `workflow.creationTimestamp.%Y`: a part of a time.
fn strftime(name: &str, scope: &Scope) -> Option<String> {
    let (base, format) = name.split_once(".%")?;
    let time: jiff::Timestamp = scope.get(base)?.parse().ok()?;
    Some(time.to_zoned(jiff::tz::TimeZone::UTC).strftime(&format!("%{format}")).to_string())
}

fn expression_meaning(expression: &str, scope: &Scope, unknown: Unknown) -> Result<Option<String>, String> {
    if unknown == Unknown::Kept {
        // Later, when what it names is known; an expression that falls back on something else included.
        let later = |name: &String| {
            let beginning = format!("{name}.");
            let known =
                |have: &String| *have == *name || have.starts_with(&beginning) || name.starts_with(&format!("{have}."));
            is_path(name) && !scope.keys().any(known)
        };
        if expr::names(expression)?.iter().any(later) {
            return Ok(None);
        }
    }
    match expr::evaluate(expression, &variables(scope)) {
        Ok(Value::Null) if unknown == Unknown::Kept => Ok(None),
        Ok(Value::Null) => Err(format!("failed to evaluate expression {expression:?}: it comes to nothing")),
        Ok(value) => Ok(Some(expr::show(&value))),
        Err(_) if unknown == Unknown::Kept => Ok(None),
        Err(why) => Err(format!("failed to evaluate expression {expression:?}: {why}")),
    }
}

/// Whether a name is one of Argo's own.
fn is_path(name: &str) -> bool {
    let first = name.split('.').next().unwrap_or_default();
    matches!(
        first,
        "inputs" | "outputs" | "steps" | "tasks" | "item" | "workflow" | "retries" | "lastRetry" | "pod" | "node"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> Scope {
        [
            ("inputs.parameters.name", "x"),
            ("steps.a.outputs.result", "[1,2]"),
            ("item", "3"),
            ("workflow.creationTimestamp", "2026-03-04T05:06:07Z"),
        ]
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .into()
    }

    #[test]
    fn tags_are_filled_in() {
        for (text, wanted) in [
            ("plain", Ok("plain")),
            ("{{inputs.parameters.name}}-{{ item }}", Ok("x-3")),
            ("{{=asInt(item) + 1}}", Ok("4")),
            ("{{= {'a': {'b': item}}.a.b }}!", Ok("3!")),
            ("{{=toJson(map(fromJSON(steps.a.outputs.result), # * 2))}}", Ok("[2,4]")),
            ("{{=item == '3' ? 'a}}b' : 'c'}}", Ok("a}}b")),
            ("{{range $i}} {{ .Values }}", Ok("{{range $i}} {{ .Values }}")),
            ("{{workflow.creationTimestamp.%Y}}", Ok("2026")),
            ("{{nothing}} {{.Name}}", Ok("{{nothing}} {{.Name}}")),
            ("{{inputs.nothing}}", Err("failed to resolve {{inputs.nothing}}")),
            ("{{=nothing}}", Err("failed to evaluate expression \"nothing\": unknown name nothing")),
            ("{{", Ok("{{")),
        ] {
            let found = fill(text, &scope(), Unknown::Refused);
            assert_eq!(found.as_deref(), wanted.map_err(str::to_owned).as_deref(), "{text}");
        }
    }

    #[test]
    fn what_is_not_known_yet_stays() {
        for (text, wanted) in [
            ("{{steps.x}} {{item}}", "{{steps.x}} 3"),
            ("{{=steps.b.outputs.result ?? 'none'}}", "{{=steps.b.outputs.result ?? 'none'}}"),
            ("{{=asInt(item)}}", "3"),
            ("{{=asInt(item) + asInt(retries)}}", "{{=asInt(item) + asInt(retries)}}"),
        ] {
            assert_eq!(fill(text, &scope(), Unknown::Kept).unwrap(), wanted, "{text}");
        }
        assert_eq!(fill("{{=steps.b.outputs.result ?? 'none'}}", &scope(), Unknown::Refused).unwrap(), "none");
    }

    #[test]
    fn every_text_of_a_value_is_filled_in() {
        let mut value = serde_json::json!({"{{item}}": [{"a": "{{item}}"}], "n": 1});
        fill_all(&mut value, &scope(), Unknown::Refused).unwrap();
        assert_eq!(value, serde_json::json!({"3": [{"a": "3"}], "n": 1}));
    }
}
