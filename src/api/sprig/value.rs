//! Values as the functions see them: how they are shown, compared, and read as numbers and texts.

use std::cmp::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Number, Value, json};

/// A value as text: texts as they are, everything else as JSON.
#[must_use]
pub fn show(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number_text(number),
        other => other.to_string(),
    }
}

/// A number as Go shows it: whole ones without a point.
fn number_text(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15 => format!("{float:.0}"),
        _ => number.to_string(),
    }
}

/// A number without what is behind its point.
///
/// # Errors
/// When it is none.
pub fn whole(value: &Value) -> Result<i64, String> {
    let number = value.as_i64().or_else(|| value.as_f64().map(|float| float as i64));
    number.ok_or_else(|| format!("{} is no number", show(value)))
}

/// Numbers are equal by what they are worth.
#[must_use]
pub fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| equal(one, other))
        }
        _ => one == other,
    }
}

/// Which of two numbers or texts comes first; nothing for what has no order.
#[must_use]
pub fn compare(one: &Value, other: &Value) -> Option<Ordering> {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64()?.partial_cmp(&other.as_f64()?),
        (Value::String(one), Value::String(other)) => Some(one.cmp(other)),
        _ => None,
    }
}

/// The text behind base64.
///
/// # Errors
/// When it is no base64, or no text.
pub fn decode(text: &str) -> Result<Value, String> {
    let bytes = STANDARD.decode(text).map_err(|error| format!("{text:?} is no base64: {error}"))?;
    String::from_utf8(bytes).map(Value::String).map_err(|_| format!("{text:?} is no text in base64"))
}

/// An integer, also from a text.
///
/// # Errors
/// When it is none.
pub fn as_int(value: &Value) -> Result<Value, String> {
    let wrong = || format!("cannot make an integer of {:?}", show(value));
    match value {
        Value::Number(number) if number.is_i64() => Ok(value.clone()),
        Value::Number(number) => Ok(json!(number.as_f64().unwrap_or_default() as i64)),
        Value::String(text) => text.trim().parse::<i64>().map(|number| json!(number)).map_err(|_| wrong()),
        _ => Err(wrong()),
    }
}

/// A number, also from a text.
///
/// # Errors
/// When it is none.
pub fn as_float(value: &Value) -> Result<Value, String> {
    let wrong = || format!("cannot make a number of {:?}", show(value));
    match value {
        Value::Number(number) => Ok(json!(number.as_f64())),
        Value::String(text) => {
            let number = text.trim().parse::<f64>().map_err(|_| wrong())?;
            if number.is_finite() { Ok(json!(number)) } else { Err(wrong()) }
        }
        _ => Err(wrong()),
    }
}

/// Parts of a text; between all characters where nothing divides them.
#[must_use]
pub fn split(text: &str, at: &str) -> Value {
    if at.is_empty() {
        return text.chars().map(|part| json!(part.to_string())).collect::<Vec<_>>().into();
    }
    text.split(at).map(|part| json!(part)).collect::<Vec<_>>().into()
}
