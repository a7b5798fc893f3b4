//! Functions of texts.

use serde_json::{Value, json};
use tinderbox_api::sprig::value::{show, split, whole};

/// A function of texts; nothing when there is none of that name and form.
pub(super) fn call(name: &str, values: &[Value]) -> Option<Result<Value, String>> {
    let texts: Option<Vec<&str>> = values.iter().map(Value::as_str).collect();
    if let Some(answer) = texts.and_then(|texts| of_texts(name, &texts)) {
        return Some(Ok(answer));
    }
    Some(match (name, values) {
        ("repeat", [Value::String(text), number]) => whole(number).and_then(|number| {
            let number = usize::try_from(number).unwrap_or(0);
            if number.saturating_mul(text.len()) > 1_000_000 {
                return Err(format!("{number} times {text:?} is too long"));
            }
            Ok(json!(text.repeat(number)))
        }),
        ("split", [Value::String(text), Value::String(at), number]) => {
            whole(number).map(|number| match usize::try_from(number) {
                Ok(number) => text.splitn(number, at.as_str()).map(|part| json!(part)).collect::<Vec<_>>().into(),
                Err(_) => split(text, at),
            })
        }
        ("indexOf", [Value::String(text), part]) => Ok(json!(text.find(&show(part)).map_or(-1, |at| at as i64))),
        ("lastIndexOf", [Value::String(text), part]) => Ok(json!(text.rfind(&show(part)).map_or(-1, |at| at as i64))),
        _ => return None,
    })
}

fn of_texts(name: &str, texts: &[&str]) -> Option<Value> {
    Some(match (name, texts) {
        ("trim", [text]) => json!(text.trim()),
        ("trim", [text, set]) => json!(text.trim_matches(|c| set.contains(c))),
        ("trimPrefix", [text, prefix]) => json!(text.strip_prefix(prefix).unwrap_or(text)),
        ("trimSuffix", [text, suffix]) => json!(text.strip_suffix(suffix).unwrap_or(text)),
        ("upper", [text]) => json!(text.to_uppercase()),
        ("lower", [text]) => json!(text.to_lowercase()),
        ("split", [text, at]) => split(text, at),
        ("replace", [text, old, new]) => json!(text.replace(old, new)),
        ("hasPrefix", [text, prefix]) => json!(text.starts_with(prefix)),
        ("hasSuffix", [text, suffix]) => json!(text.ends_with(suffix)),
        _ => return None,
    })
}
