//! The functions of the language and of Argo: what is called by a name.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tinderbox_api::sprig;
use tinderbox_api::sprig::value::{as_float, as_int, decode, show};

use super::eval::{Machine, kind};
use super::node::Node;
use super::{lists, texts};
use crate::jsonpath;

/// Calls a function.
pub(super) fn call(machine: &mut Machine<'_>, name: &str, arguments: &[Node]) -> Result<Value, String> {
    if let Some(answer) = lists::with_predicate(machine, name, arguments) {
        return answer;
    }
    if name == "now" && arguments.is_empty() {
        return machine.now();
    }
    let values = arguments.iter().map(|argument| machine.eval(argument)).collect::<Result<Vec<_>, _>>()?;
    let answer = match name.strip_prefix("sprig.") {
        Some(name) => sprig::call(name, &values),
        None => plain(name, &values).or_else(|| lists::call(name, &values)).or_else(|| texts::call(name, &values)),
    };
    answer.unwrap_or_else(|| Err(format!("unknown function {name} of {} arguments", values.len())))
}

fn plain(name: &str, values: &[Value]) -> Option<Result<Value, String>> {
    Some(match (name, values) {
        ("asInt" | "int", [value]) => as_int(value),
        ("asFloat" | "float", [value]) => as_float(value),
        ("string", [value]) => Ok(json!(if value.is_null() { "<nil>".to_owned() } else { show(value) })),
        ("toJson" | "toJSON", [value]) => Ok(json!(value.to_string())),
        ("fromJSON" | "fromJson", [Value::String(text)]) => {
            serde_json::from_str(text).map_err(|error| format!("{text:?} is no JSON: {error}"))
        }
        ("toBase64", [Value::String(text)]) => Ok(json!(STANDARD.encode(text))),
        ("fromBase64", [Value::String(text)]) => decode(text),
        ("jsonpath", [of, Value::String(path)]) => jsonpath_of(of, path),
        // Times and lengths of time are seconds.
        (".Seconds" | ".Unix", [value]) => float(value).map(|seconds| json!(seconds)),
        (".Minutes", [value]) => float(value).map(|seconds| json!(seconds / 60.0)),
        (".Hours", [value]) => float(value).map(|seconds| json!(seconds / 3600.0)),
        ("type", [value]) => Ok(json!(kind(value))),
        ("abs", [Value::Number(number)]) => Ok(match number.as_i64() {
            Some(number) => json!(number.wrapping_abs()),
            None => json!(number.as_f64().unwrap_or_default().abs()),
        }),
        ("ceil", [value]) => float(value).map(|number| json!(number.ceil())),
        ("floor", [value]) => float(value).map(|number| json!(number.floor())),
        ("round", [value]) => float(value).map(|number| json!(number.round())),
        ("get", [of, key]) => Ok(match (of, key) {
            (Value::Object(map), key) => map.get(&show(key)).cloned().unwrap_or(Value::Null),
            (Value::Array(list), Value::Number(number)) => {
                let place = number.as_u64().and_then(|place| usize::try_from(place).ok());
                place.and_then(|place| list.get(place)).cloned().unwrap_or(Value::Null)
            }
            _ => Value::Null,
        }),
        _ => return None,
    })
}

/// What a JSON path finds in a text of JSON: the one value, or the list of them.
fn jsonpath_of(of: &Value, path: &str) -> Result<Value, String> {
    let value = match of {
        Value::String(text) => serde_json::from_str(text).map_err(|error| format!("{text:?} is no JSON: {error}"))?,
        other => other.clone(),
    };
    let mut found = jsonpath::find(&value, path)?;
    let many = path.contains('*') || path.contains("..") || path.contains("?(") || path.contains(',');
    if many || found.len() > 1 {
        return Ok(found.into());
    }
    found.pop().ok_or_else(|| format!("{path} finds nothing in {value}"))
}

fn float(value: &Value) -> Result<f64, String> {
    value.as_f64().ok_or_else(|| format!("{} is no number", show(value)))
}
