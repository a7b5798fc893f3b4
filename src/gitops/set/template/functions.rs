//! The functions of templates: Go's own, sprig's, and those that Argo CD adds.
//! Upstream rule: `text/template/funcs.go` of Go and `applicationset/utils/template_functions.go` of argoproj/argo-cd.

use std::cmp::Ordering;
use std::path::Path;

use serde_json::{Value, json};
use tinderbox_api::sprig::{
    self,
    value::{compare, equal, show, whole},
};

use super::format::{formatted, printed};

/// The longest name of an object.
const NAME_MAX: usize = 253;
/// How long a slug gets when nothing is said of it.
const SLUG_MAX: i64 = 50;

/// Calls a function.
pub(super) fn call(name: &str, values: &[Value]) -> Result<Value, String> {
    let known = of_go(name, values).or_else(|| of_argo(name, values)).or_else(|| sprig::call(name, values));
    known
        .unwrap_or_else(|| Err(format!("function {name:?} of {} arguments is not served here", values.len())))
        .map_err(|error| format!("error calling {name}: {error}"))
}

/// Whether Go takes a value for true.
pub(super) fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(yes) => *yes,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

fn of_go(name: &str, values: &[Value]) -> Option<Result<Value, String>> {
    let ordered = |is: fn(Ordering) -> bool, one: &Value, other: &Value| {
        compare(one, other).map(|order| json!(is(order))).ok_or_else(|| "incompatible types for comparison".to_owned())
    };
    Some(match (name, values) {
        ("not", [value]) => Ok(json!(!truth(value))),
        ("eq", [one, others @ ..]) if !others.is_empty() => Ok(json!(others.iter().any(|other| equal(one, other)))),
        ("ne", [one, other]) => Ok(json!(!equal(one, other))),
        ("lt", [one, other]) => ordered(Ordering::is_lt, one, other),
        ("le", [one, other]) => ordered(Ordering::is_le, one, other),
        ("gt", [one, other]) => ordered(Ordering::is_gt, one, other),
        ("ge", [one, other]) => ordered(Ordering::is_ge, one, other),
        ("index", [value, keys @ ..]) => index(value, keys),
        ("len", [Value::String(text)]) => Ok(json!(text.len())),
        ("len", [Value::Array(items)]) => Ok(json!(items.len())),
        ("len", [Value::Object(fields)]) => Ok(json!(fields.len())),
        ("print", _) => Ok(json!(values.iter().map(printed).collect::<String>())),
        ("println", _) => Ok(json!(values.iter().map(printed).collect::<Vec<_>>().join(" ") + "\n")),
        ("printf", [Value::String(format), arguments @ ..]) => formatted(format, arguments).map(Value::String),
        _ => return None,
    })
}

fn index(value: &Value, keys: &[Value]) -> Result<Value, String> {
    keys.iter().try_fold(value.clone(), |value, key| match &value {
        Value::Object(fields) => Ok(fields.get(&show(key)).cloned().unwrap_or(Value::Null)),
        Value::Array(items) => {
            let at = whole(key)?;
            let found = usize::try_from(at).ok().and_then(|at| items.get(at)).cloned();
            found.ok_or_else(|| format!("index out of range: {at}"))
        }
        other => Err(format!("can't index {}", printed(other))),
    })
}

fn of_argo(name: &str, values: &[Value]) -> Option<Result<Value, String>> {
    Some(match (name, values) {
        ("normalize", [Value::String(text)]) => Ok(json!(normalized(text))),
        ("slugify", [Value::String(text)]) => Ok(json!(slug(text, SLUG_MAX, true))),
        ("slugify", [max, Value::String(text)]) => whole(max).map(|max| json!(slug(text, max, true))),
        ("slugify", [max, Value::Bool(smart), Value::String(text)]) => {
            whole(max).map(|max| json!(slug(text, max, *smart)))
        }
        ("toYaml", [value]) => {
            let text = serde_yaml::to_string(value).map_err(|error| error.to_string());
            text.map(|text| json!(text.trim_end_matches('\n')))
        }
        ("fromYaml" | "fromYamlArray", [Value::String(text)]) => {
            let documents = tinderbox_api::manifest::load(text).map_err(|error| error.message);
            documents.map(|documents| documents.into_iter().next().map_or(Value::Null, |document| document.value))
        }
        ("dig", [keys @ .., otherwise, of]) if !keys.is_empty() => {
            let found = keys.iter().try_fold(of, |value, key| value.get(show(key)));
            Ok(found.unwrap_or(otherwise).clone())
        }
        ("base", [Value::String(path)]) => {
            Ok(json!(Path::new(path).file_name().map_or(".".to_owned(), |name| name.to_string_lossy().into_owned())))
        }
        _ => return None,
    })
}

/// A text as a name of an object.
pub(in crate::set) fn normalized(text: &str) -> String {
    let allowed = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.' { c } else { '-' };
    let text: String = text.to_lowercase().chars().map(allowed).take(NAME_MAX).collect();
    text.trim_matches(['-', '.']).to_owned()
}

/// A text as a part of a name that is no longer than `max`; a smart one is cut between words.
fn slug(text: &str, max: i64, is_smart: bool) -> String {
    let max = usize::try_from(max).unwrap_or(0);
    let text = text.to_lowercase();
    let words: Vec<&str> = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let whole = words.join("-");
    if whole.len() <= max {
        return whole;
    }
    let cut = &whole[..max];
    let is_between = whole[max..].starts_with('-');
    let cut = if is_smart && !is_between { cut.rsplit_once('-').map_or(cut, |(before, _)| before) } else { cut };
    cut.trim_matches('-').to_owned()
}
