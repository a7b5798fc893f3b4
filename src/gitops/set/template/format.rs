//! Values as Go's `fmt` writes them.

use serde_json::Value;
use tinderbox_api::sprig::value::{show, whole};

/// A value as a template writes it.
pub(super) fn printed(value: &Value) -> String {
    match value {
        Value::Null => "<no value>".to_owned(),
        Value::Array(items) => format!("[{}]", items.iter().map(inner).collect::<Vec<_>>().join(" ")),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| format!("{key}:{}", inner(value)));
            format!("map[{}]", fields.collect::<Vec<_>>().join(" "))
        }
        other => show(other),
    }
}

fn inner(value: &Value) -> String {
    if value.is_null() { "<nil>".to_owned() } else { printed(value) }
}

/// What `printf` makes of its arguments.
pub(super) fn formatted(format: &str, arguments: &[Value]) -> Result<String, String> {
    let mut out = String::new();
    let mut arguments = arguments.iter();
    let mut rest = format;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let end = after.find(|c: char| c.is_alphabetic() || c == '%').ok_or("printf: a % has no verb")?;
        let verb = after[end..].chars().next().unwrap_or('%');
        rest = &after[end + verb.len_utf8()..];
        if verb == '%' {
            out.push('%');
            continue;
        }
        let value = arguments.next().ok_or_else(|| format!("printf: %{verb} has no argument"))?;
        out.push_str(&verbed(&after[..end], verb, value)?);
    }
    if arguments.next().is_some() {
        return Err(format!("printf: more arguments than {format:?} has verbs"));
    }
    Ok(out + rest)
}

/// A value in the form of a verb with its flags, width and precision.
fn verbed(flags: &str, verb: char, value: &Value) -> Result<String, String> {
    let (sizes, is_left) = flags.strip_prefix('-').map_or((flags, false), |sizes| (sizes, true));
    let is_padded = sizes.starts_with('0');
    let (width, precision) = sizes.split_once('.').map_or((sizes, None), |(width, places)| (width, Some(places)));
    let number = |text: &str| {
        let wrong = || format!("printf: %{flags}{verb} is not served here");
        if text.is_empty() { Ok(0) } else { text.parse::<usize>().map_err(|_| wrong()) }
    };
    let width = number(width)?.min(1000);
    let precision = precision.map(number).transpose()?;
    let text = match verb {
        's' | 'v' => {
            let text = inner(value);
            precision.map_or(text.clone(), |places| text.chars().take(places).collect())
        }
        'q' => format!("{:?}", show(value)),
        'd' => whole(value)?.to_string(),
        'x' => match value {
            Value::String(text) => text.bytes().map(|byte| format!("{byte:02x}")).collect(),
            other => format!("{:x}", whole(other)?),
        },
        'f' => {
            let number = value.as_f64().ok_or_else(|| format!("{} is no number", show(value)))?;
            format!("{number:.*}", precision.unwrap_or(6).min(100))
        }
        't' => value.as_bool().ok_or_else(|| format!("{} is neither true nor false", show(value)))?.to_string(),
        other => return Err(format!("printf: %{other} is not served here")),
    };
    Ok(match (is_left, is_padded && matches!(verb, 'd' | 'f' | 'x')) {
        (true, _) => format!("{text:<width$}"),
        (false, true) => match text.strip_prefix('-') {
            Some(digits) => format!("-{digits:0>0$}", width.saturating_sub(1)),
            None => format!("{text:0>width$}"),
        },
        (false, false) => format!("{text:>width$}"),
    })
}
