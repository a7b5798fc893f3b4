//! JSON as values, by what is declared of it: a whole number is an `int`, a moment a `timestamp`.
//! Upstream rule: k8s.io/apiserver `pkg/cel/common/valuesunstructured.go`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::civil::Date;
use serde_json::{Number, Value as Json};

use crate::decl::{Decl, DeclKind, ListKind};
use crate::error::Error;
use crate::library::moments;
use crate::value::{List, Map, Text, Value};

/// The value that a piece of JSON is.
///
/// # Errors
/// When it is not what is declared of it.
pub fn view<'a>(json: &'a Json, decl: &'a Decl) -> Result<Value<'a>, Error> {
    let wrong = |wanted: &str| Error::new(format!("invalid data, expected {wanted}, got {}", kind_of(json)));
    match (&decl.kind, json) {
        (_, Json::Null) => Ok(Value::Null),
        (DeclKind::Dyn, _) => Ok(dynamic(json)),
        (DeclKind::Bool, Json::Bool(value)) => Ok(Value::Bool(*value)),
        (DeclKind::Bool, _) => Err(wrong("bool")),
        (DeclKind::Int, Json::Number(number)) => whole(number).map(Value::Int).ok_or_else(|| wrong("int")),
        (DeclKind::Int, _) => Err(wrong("int")),
        (DeclKind::Double, Json::Number(number)) => Ok(Value::Double(number.as_f64().unwrap_or(f64::NAN))),
        (DeclKind::Double, _) => Err(wrong("float")),
        (DeclKind::List(items, kind), Json::Array(list)) => Ok(Value::List(List::Json(list, items, kind))),
        (DeclKind::List(..), _) => Err(wrong("an array for the provided schema with type=array")),
        (DeclKind::Map(values), Json::Object(fields)) => Ok(Value::Map(Map::Json(fields, values))),
        (DeclKind::Object(object), Json::Object(fields)) => Ok(Value::Map(Map::Object(fields, object))),
        (DeclKind::Map(_) | DeclKind::Object(_), _) => Err(wrong("a map for the provided schema with type=object")),
        (_, Json::String(text)) => texts(text, &decl.kind),
        _ => Err(wrong("string")),
    }
}

fn dynamic(json: &Json) -> Value<'_> {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => {
            number.as_i64().map_or_else(|| Value::Double(number.as_f64().unwrap_or(f64::NAN)), Value::Int)
        }
        Json::String(text) => Value::String(Text::Borrowed(text)),
        Json::Array(items) => Value::List(List::Json(items, &Decl::DYN, &ListKind::Atomic)),
        Json::Object(fields) => Value::Map(Map::Json(fields, &Decl::DYN)),
    }
}

/// A whole number; `1.0` is one.
fn whole(number: &Number) -> Option<i64> {
    number.as_i64().or_else(|| {
        let value = number.as_f64()?;
        (value.fract() == 0.0 && value.abs() < 9.2e18).then_some(value as i64)
    })
}

fn texts<'a>(text: &'a str, kind: &DeclKind) -> Result<Value<'a>, Error> {
    match kind {
        DeclKind::Bytes => {
            let bytes = STANDARD.decode(text);
            let bytes = bytes.map_err(|error| Error::new(format!("Invalid byte formatted string {text}: {error}")))?;
            Ok(Value::Bytes(bytes.into()))
        }
        DeclKind::Timestamp => {
            let moment = moments::parse_timestamp(text);
            let moment = moment.ok_or_else(|| Error::new(format!("Invalid date-time formatted string {text}")))?;
            Ok(Value::Timestamp(moment))
        }
        DeclKind::Date => {
            let day: Option<Date> = text.parse().ok();
            let moment = day.and_then(|day| day.to_zoned(jiff::tz::TimeZone::UTC).ok()).map(|zoned| zoned.timestamp());
            Ok(Value::Timestamp(moment.ok_or_else(|| Error::new(format!("Invalid date formatted string {text}")))?))
        }
        DeclKind::Duration => {
            let span = moments::parse_duration(text);
            Ok(Value::Duration(span.ok_or_else(|| Error::new(format!("Invalid duration {text}")))?))
        }
        _ => Ok(Value::String(Text::Borrowed(text))),
    }
}

fn kind_of(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "bool",
        Json::Number(number) if number.is_f64() => "float64",
        Json::Number(_) => "int64",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "map",
    }
}
