//! `format`: values put into a text by clauses (`%s`, `%d`, `%.2f` …).
//! Upstream rule: cel-go `ext/formatting.go`, in its English locale.

use crate::error::Error;
use crate::text;
use crate::value::{List, Value};

/// Digits after the point where a clause says nothing.
const PRECISION: usize = 6;

pub(super) fn format<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    let [Value::String(form), Value::List(values)] = args else {
        return Err(Error::no_such_overload());
    };
    let mut made = String::with_capacity(form.len());
    let mut rest: &str = form;
    let mut used = 0;
    while let Some(at) = rest.find('%') {
        made.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            made.push('%');
            rest = after;
            continue;
        }
        let value = values.get(used).ok_or_else(|| Error::new(format!("index {used} out of range")))??;
        used += 1;
        let (precision, after) = precision(rest)?;
        let Some(clause) = after.chars().next() else {
            return Err(Error::new("unexpected end of string"));
        };
        rest = &after[clause.len_utf8()..];
        let text = clause_text(clause, precision, &value);
        made.push_str(&text.map_err(|reason| Error::new(format!("error during formatting: {reason}")))?);
    }
    made.push_str(rest);
    Ok(Value::text(made))
}

fn precision(text: &str) -> Result<(usize, &str), Error> {
    let Some(rest) = text.strip_prefix('.') else {
        return Ok((PRECISION, text));
    };
    let end = rest.find(|c: char| !c.is_ascii_digit());
    let end = end.ok_or_else(|| {
        Error::new("could not parse formatting clause: error while parsing precision: could not find end of precision specifier")
    })?;
    let (digits, rest) = rest.split_at(end);
    let wrong = |_| Error::new("could not parse formatting clause: error while converting precision to integer");
    // No double has more digits than this.
    Ok((digits.parse::<usize>().map_err(wrong)?.min(1100), rest))
}

fn clause_text(clause: char, precision: usize, value: &Value<'_>) -> Result<String, String> {
    let unfit = |what: &str, kinds: &str| {
        Err(format!("{what} clause can only be used on {kinds}, was given {}", value.type_of().name()))
    };
    match (clause, value) {
        ('s', value) => display(value),
        ('d', Value::Int(number)) => Ok(number.to_string()),
        ('d', Value::Uint(number)) => Ok(number.to_string()),
        ('d', _) => unfit("decimal", "integers"),
        ('f', value) => match number(value) {
            Some(number) => Ok(grouped(&format!("{number:.precision$}"))),
            None => unfit("fixed-point", "doubles"),
        },
        ('e', value) => match number(value) {
            Some(number) => Ok(scientific(number, precision)),
            None => unfit("scientific", "doubles"),
        },
        ('b', Value::Int(number)) => Ok(signed(*number, |number| format!("{number:b}"))),
        ('b', Value::Uint(number)) => Ok(format!("{number:b}")),
        ('b', Value::Bool(value)) => Ok(u8::from(*value).to_string()),
        ('b', _) => unfit("binary", "integers and bools"),
        ('x', value) => match hex(value) {
            Some(text) => Ok(text),
            None => unfit("hex", "integers, byte buffers, and strings"),
        },
        ('X', value) => match hex(value) {
            Some(text) => Ok(text.to_uppercase()),
            None => unfit("hex", "integers, byte buffers, and strings"),
        },
        ('o', Value::Int(number)) => Ok(signed(*number, |number| format!("{number:o}"))),
        ('o', Value::Uint(number)) => Ok(format!("{number:o}")),
        ('o', _) => unfit("octal", "integers"),
        (other, _) => Err(format!("unrecognized formatting clause \"{other}\"")),
    }
}

fn number(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Double(number) => Some(*number),
        Value::String(text) => match &**text {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

/// Thousands apart, as English writes them.
fn grouped(text: &str) -> String {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if !whole.bytes().all(|digit| digit.is_ascii_digit()) {
        return text.replace("inf", "∞");
    }
    let mut made = sign.to_owned();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            made.push(',');
        }
        made.push(digit);
    }
    if !fraction.is_empty() {
        made.push('.');
        made.push_str(fraction);
    }
    made
}

/// `3.140000×10⁰⁰`.
fn scientific(number: f64, precision: usize) -> String {
    let text = format!("{number:.precision$e}");
    let Some((mantissa, exponent)) = text.split_once('e') else {
        return text.replace("inf", "∞");
    };
    let (sign, digits) = exponent.strip_prefix('-').map_or(("", exponent), |digits| ("⁻", digits));
    let raised = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let digits: String = format!("{digits:0>2}").bytes().map(|digit| raised[usize::from(digit - b'0')]).collect();
    format!("{mantissa}×10{sign}{digits}")
}

fn signed(number: i64, digits: fn(u64) -> String) -> String {
    let sign = if number < 0 { "-" } else { "" };
    format!("{sign}{}", digits(number.unsigned_abs()))
}

fn hex(value: &Value<'_>) -> Option<String> {
    let bytes = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    match value {
        Value::Int(number) => Some(signed(*number, |number| format!("{number:x}"))),
        Value::Uint(number) => Some(format!("{number:x}")),
        Value::String(text) => Some(bytes(text.as_bytes())),
        Value::Bytes(value) => Some(bytes(value)),
        _ => None,
    }
}

/// A value as `%s` writes it.
pub(super) fn display(value: &Value<'_>) -> Result<String, String> {
    match value {
        Value::Null => Ok("null".to_owned()),
        Value::List(list) => list_text(list),
        Value::Map(map) => {
            let mut entries = Vec::with_capacity(map.len());
            for key in map.keys() {
                let value = map.get(&key).transpose().map_err(|error| error.to_string())?.unwrap_or(Value::Null);
                entries.push(format!("{}:{}", inner(&key)?, inner(&value)?));
            }
            entries.sort();
            Ok(format!("{{{}}}", entries.join(", ")))
        }
        other => match super::conversions::to_string(std::slice::from_ref(other)) {
            Ok(Value::String(text)) => Ok(text.to_string()),
            _ => Err(format!(
                "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps, was given {}",
                other.type_of().name()
            )),
        },
    }
}

fn list_text(list: &List<'_>) -> Result<String, String> {
    let items = list.items().map_err(|error| error.to_string())?;
    let texts: Result<Vec<String>, String> = items.iter().map(inner).collect();
    Ok(format!("[{}]", texts?.join(", ")))
}

/// A value within a list or map, as a literal.
fn inner(value: &Value<'_>) -> Result<String, String> {
    match value {
        Value::String(plain) => Ok(text::quoted(plain)),
        Value::Bytes(_) => Ok(format!("b{}", text::quoted(&display(value)?))),
        Value::Double(number) if number.is_finite() => Ok(format!("{number:.PRECISION$}")),
        Value::Double(_) => Ok(text::quoted(&display(value)?)),
        Value::Timestamp(_) => Ok(format!("timestamp({})", text::quoted(&display(value)?))),
        Value::Duration(_) => Ok(format!("duration({})", text::quoted(&display(value)?))),
        Value::Type(_) => Ok(format!("type({})", display(value)?)),
        other => display(other),
    }
}
