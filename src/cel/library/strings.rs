//! Texts. Places and lengths are counted in characters.
//! Upstream rules: cel-go `common/types/string.go` and `ext/strings.go`.

use super::{Row, formatting};
use crate::error::Error;
use crate::text;
use crate::value::Value;

pub(super) const TABLE: &[Row] = &[
    ("size_bytes", "size", "bytes -> int", size),
    ("bytes_size", "size", ".bytes -> int", size),
    ("size_list", "size", "list(A) -> int", size),
    ("list_size", "size", ".list(A) -> int", size),
    ("size_map", "size", "map(A, B) -> int", size),
    ("map_size", "size", ".map(A, B) -> int", size),
    ("size_string", "size", "string -> int", size),
    ("string_size", "size", ".string -> int", size),
    ("contains_string", "contains", ".string, string -> bool", |args| {
        two(args, |text, part| Ok(Value::Bool(text.contains(part))))
    }),
    ("ends_with_string", "endsWith", ".string, string -> bool", |args| {
        two(args, |text, part| Ok(Value::Bool(text.ends_with(part))))
    }),
    ("starts_with_string", "startsWith", ".string, string -> bool", |args| {
        two(args, |text, part| Ok(Value::Bool(text.starts_with(part))))
    }),
    ("string_char_at_int", "charAt", ".string, int -> string", char_at),
    ("string_index_of_string", "indexOf", ".string, string -> int", index_of),
    ("string_index_of_string_int", "indexOf", ".string, string, int -> int", index_of),
    ("string_last_index_of_string", "lastIndexOf", ".string, string -> int", last_index_of),
    ("string_last_index_of_string_int", "lastIndexOf", ".string, string, int -> int", last_index_of),
    ("string_lower_ascii", "lowerAscii", ".string -> string", |args| one(args, |text| text.to_ascii_lowercase())),
    ("string_upper_ascii", "upperAscii", ".string -> string", |args| one(args, |text| text.to_ascii_uppercase())),
    ("string_trim", "trim", ".string -> string", |args| one(args, |text| text.trim().to_owned())),
    ("string_replace_string_string", "replace", ".string, string, string -> string", replace),
    ("string_replace_string_string_int", "replace", ".string, string, string, int -> string", replace),
    ("string_split_string", "split", ".string, string -> list(string)", split),
    ("string_split_string_int", "split", ".string, string, int -> list(string)", split),
    ("string_substring_int", "substring", ".string, int -> string", substring),
    ("string_substring_int_int", "substring", ".string, int, int -> string", substring),
    ("string_format", "format", ".string, list(dyn) -> string", formatting::format),
    ("strings_quote", "strings.quote", "string -> string", |args| one(args, text::quoted)),
    ("list_join", "join", ".list(string) -> string", join),
    ("list_join_string", "join", ".list(string), string -> string", join),
];

fn one<'a>(args: &[Value<'a>], of: impl Fn(&str) -> String) -> Result<Value<'a>, Error> {
    match args {
        [Value::String(text)] => Ok(Value::text(of(text))),
        _ => Err(Error::no_such_overload()),
    }
}

fn two<'a>(args: &[Value<'a>], of: impl Fn(&str, &str) -> Result<Value<'a>, Error>) -> Result<Value<'a>, Error> {
    match args {
        [Value::String(text), Value::String(other), ..] => of(text, other),
        _ => Err(Error::no_such_overload()),
    }
}

/// How large a value is, where that means something.
pub(crate) fn size_of(value: &Value<'_>) -> Option<usize> {
    match value {
        Value::String(text) => Some(text.chars().count()),
        Value::Bytes(bytes) => Some(bytes.len()),
        Value::List(list) => Some(list.len()),
        Value::Map(map) => Some(map.len()),
        Value::Kubernetes(value) => value.size(),
        Value::Optional(Some(inner)) => size_of(inner),
        _ => None,
    }
}

fn size<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    let size = size_of(&args[0]).ok_or_else(Error::no_such_overload)?;
    Ok(Value::Int(size.try_into().unwrap_or(i64::MAX)))
}

fn out_of_range(at: i64) -> Error {
    Error::new(format!("index out of range: {at}"))
}

fn int_at(args: &[Value<'_>], index: usize) -> Option<i64> {
    match args.get(index) {
        Some(Value::Int(value)) => Some(*value),
        _ => None,
    }
}

fn char_at<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    let ([Value::String(text), _], Some(at)) = (args, int_at(args, 1)) else {
        return Err(Error::no_such_overload());
    };
    let mut chars = text.chars();
    let place = usize::try_from(at).map_err(|_| out_of_range(at))?;
    match chars.clone().nth(place) {
        Some(c) => Ok(Value::text(c.to_string())),
        None if chars.by_ref().count() == place => Ok(Value::text("")),
        None => Err(out_of_range(at)),
    }
}

fn index_of<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    let offset = int_at(args, 2).unwrap_or(0);
    two(args, |text, part| {
        if part.is_empty() {
            return Ok(Value::Int(offset));
        }
        let from = usize::try_from(offset).map_err(|_| out_of_range(offset))?;
        let (text, part): (Vec<char>, Vec<char>) = (text.chars().collect(), part.chars().collect());
        let found = text.windows(part.len()).enumerate().skip(from).find(|(_, window)| *window == part);
        Ok(Value::Int(found.map_or(-1, |(at, _)| at as i64)))
    })
}

fn last_index_of<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    two(args, |text, part| {
        let (text, part): (Vec<char>, Vec<char>) = (text.chars().collect(), part.chars().collect());
        let last = match int_at(args, 2) {
            Some(offset) if part.is_empty() => return Ok(Value::Int(offset)),
            None if part.is_empty() => return Ok(Value::Int(text.len() as i64)),
            Some(offset) => match usize::try_from(offset) {
                Err(_) => return Err(out_of_range(offset)),
                Ok(offset) if offset >= text.len() => return Ok(Value::Int(-1)),
                Ok(offset) => offset,
            },
            None => text.len(),
        };
        let found = text.windows(part.len()).enumerate().rev().find(|(at, window)| *at <= last && *window == part);
        Ok(Value::Int(found.map_or(-1, |(at, _)| at as i64)))
    })
}

fn replace<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    let [Value::String(text), Value::String(old), Value::String(new), ..] = args else {
        return Err(Error::no_such_overload());
    };
    Ok(Value::text(match int_at(args, 3).map(usize::try_from) {
        Some(Ok(most)) => text.replacen(&**old, new, most),
        _ => text.replace(&**old, new),
    }))
}

fn split<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    let most = int_at(args, 2).map(usize::try_from);
    two(args, |text, separator| {
        let most = match most {
            Some(Ok(0)) => return Ok(Value::list(Vec::new())),
            Some(Ok(most)) => most,
            _ => usize::MAX,
        };
        let parts: Vec<&str> =
            if separator.is_empty() { characters(text, most) } else { text.splitn(most, separator).collect() };
        Ok(Value::list(parts.into_iter().map(Value::text).collect()))
    })
}

/// A text in its characters, the last part holding what is left.
fn characters(text: &str, most: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if parts.len() + 1 == most {
            parts.push(rest);
            break;
        }
        let (first, after) = rest.split_at(c.len_utf8());
        parts.push(first);
        rest = after;
    }
    parts
}

fn substring<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    let (Some(Value::String(text)), Some(start)) = (args.first(), int_at(args, 1)) else {
        return Err(Error::no_such_overload());
    };
    let length = text.chars().count() as i64;
    let end = int_at(args, 2).unwrap_or(length);
    if args.len() > 2 && start > end {
        return Err(Error::new(format!("invalid substring range. start: {start}, end: {end}")));
    }
    for at in [start, end] {
        if !(0..=length).contains(&at) {
            return Err(out_of_range(at));
        }
    }
    let part: String = text.chars().skip(start as usize).take((end - start) as usize).collect();
    Ok(Value::text(part))
}

fn join<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    let Some(Value::List(list)) = args.first() else {
        return Err(Error::no_such_overload());
    };
    let separator = match args.get(1) {
        Some(Value::String(text)) => text,
        _ => "",
    };
    let mut joined = String::new();
    for (index, item) in list.items()?.into_iter().enumerate() {
        let Value::String(text) = item else {
            return Err(Error::new("join: invalid input"));
        };
        if index > 0 {
            joined.push_str(separator);
        }
        joined.push_str(&text);
    }
    Ok(Value::text(joined))
}
