//! Functions of templates and expressions, `sprig.name` in some: those that need neither time, chance nor keys. The text is their
//! last argument.
//! Upstream rule: github.com/Masterminds/sprig/v3, of which Argo leaves out `env` and `expandenv`.

pub mod value;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regex::Regex;
use serde_json::{Value, json};

use self::value::{as_float, as_int, compare, decode, equal, show, split, whole};

/// A function of sprig; nothing when there is none of that name and form here.
#[must_use]
pub fn call(name: &str, values: &[Value]) -> Option<Result<Value, String>> {
    let shown: Vec<String> = values.iter().map(show).collect();
    let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
    numbers(name, values)
        .or_else(|| lists(name, values))
        .or_else(|| patterns(name, &shown))
        .or_else(|| texts(name, values, &shown).map(Ok))
}

fn texts(name: &str, values: &[Value], shown: &[&str]) -> Option<Value> {
    Some(match (name, shown) {
        ("trim", [text]) => json!(text.trim()),
        ("trimAll", [set, text]) => json!(text.trim_matches(|c| set.contains(c))),
        ("trimPrefix", [prefix, text]) => json!(text.strip_prefix(prefix).unwrap_or(text)),
        ("trimSuffix", [suffix, text]) => json!(text.strip_suffix(suffix).unwrap_or(text)),
        ("upper", [text]) => json!(text.to_uppercase()),
        ("lower", [text]) => json!(text.to_lowercase()),
        ("title", [text]) => json!(words(text, |first, rest| first.to_uppercase().chain(rest.chars()).collect())),
        ("untitle", [text]) => json!(words(text, |first, rest| first.to_lowercase().chain(rest.chars()).collect())),
        ("replace", [old, new, text]) => json!(text.replace(old, new)),
        ("contains", [part, text]) => json!(text.contains(part)),
        ("hasPrefix", [prefix, text]) => json!(text.starts_with(prefix)),
        ("hasSuffix", [suffix, text]) => json!(text.ends_with(suffix)),
        ("quote", [..]) => json!(shown.iter().map(|text| format!("{text:?}")).collect::<Vec<_>>().join(" ")),
        ("squote", [..]) => json!(shown.iter().map(|text| format!("'{text}'")).collect::<Vec<_>>().join(" ")),
        ("cat", [..]) => json!(shown.join(" ")),
        ("nospace", [text]) => json!(text.split_whitespace().collect::<String>()),
        ("initials", [text]) => {
            json!(text.split_whitespace().filter_map(|word| word.chars().next()).collect::<String>())
        }
        ("splitList", [at, text]) => split(text, at),
        ("b64enc", [text]) => json!(STANDARD.encode(text)),
        ("b64dec", [text]) => decode(text).unwrap_or_else(|why| json!(why)),
        ("toString", [text]) => json!(text),
        ("toJson", [_]) => json!(values[0].to_string()),
        ("fromJson", [text]) => serde_json::from_str(text).unwrap_or(Value::Null),
        ("default", [..]) if values.len() == 2 => {
            if empty(&values[1]) {
                values[0].clone()
            } else {
                values[1].clone()
            }
        }
        ("empty", [_]) => json!(empty(&values[0])),
        ("coalesce", [..]) => values.iter().find(|value| !empty(value)).cloned().unwrap_or(Value::Null),
        ("ternary", [..]) if values.len() == 3 => {
            if values[2] == json!(true) {
                values[0].clone()
            } else {
                values[1].clone()
            }
        }
        ("trunc", [length, text]) => json!(truncated(length.parse().ok()?, text)),
        ("substr", [from, to, text]) => {
            let (from, to): (usize, i64) = (from.parse().unwrap_or(0), to.parse().ok()?);
            let to = usize::try_from(to).unwrap_or(usize::MAX);
            json!(text.chars().take(to).skip(from).collect::<String>())
        }
        ("repeat", [number, text]) if text.len() < 10_000 => {
            json!(text.repeat(number.parse::<usize>().ok()?.min(1000)))
        }
        ("indent", [number, text]) => json!(indented(number.parse().ok()?, text)),
        ("nindent", [number, text]) => json!(format!("\n{}", indented(number.parse().ok()?, text))),
        ("snakecase", [text]) => json!(cased(text, '_')),
        ("kebabcase", [text]) => json!(cased(text, '-')),
        ("camelcase", [text]) => {
            json!(
                text.split(['_', '-', ' '])
                    .map(|word| words(word, |first, rest| first.to_uppercase().chain(rest.chars()).collect()))
                    .collect::<String>()
            )
        }
        _ => return None,
    })
}

fn words(text: &str, change: impl Fn(char, &str) -> String) -> String {
    let changed = text.split(' ').map(|word| {
        let mut rest = word.chars();
        rest.next().map_or_else(String::new, |first| change(first, rest.as_str()))
    });
    changed.collect::<Vec<_>>().join(" ")
}

fn truncated(length: i64, text: &str) -> String {
    let count = text.chars().count();
    match usize::try_from(length) {
        Ok(length) => text.chars().take(length).collect(),
        Err(_) => {
            text.chars().skip(count.saturating_sub(usize::try_from(length.unsigned_abs()).unwrap_or(0))).collect()
        }
    }
}

fn indented(spaces: usize, text: &str) -> String {
    let before = " ".repeat(spaces.min(200));
    text.split('\n').map(|line| format!("{before}{line}")).collect::<Vec<_>>().join("\n")
}

fn cased(text: &str, between: char) -> String {
    let mut made = String::new();
    let mut small = false;
    for next in text.chars() {
        if next.is_uppercase() && small {
            made.push(between);
        }
        small = next.is_lowercase() || next.is_ascii_digit();
        if matches!(next, ' ' | '_' | '-') {
            made.push(between);
        } else {
            made.extend(next.to_lowercase());
        }
    }
    made
}

fn empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(yes) => !yes,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

fn integers(values: &[Value]) -> Option<Vec<i64>> {
    values.iter().map(|value| as_int(value).ok()?.as_i64()).collect()
}

fn numbers(name: &str, values: &[Value]) -> Option<Result<Value, String>> {
    let zero = || Err("division by zero".to_owned());
    Some(match (name, values) {
        ("int" | "int64" | "atoi", [value]) => Ok(as_int(value).unwrap_or(json!(0))),
        ("float64", [value]) => Ok(as_float(value).unwrap_or(json!(0.0))),
        ("add", _) => Ok(json!(integers(values)?.iter().fold(0_i64, |sum, next| sum.wrapping_add(*next)))),
        ("add1", [value]) => Ok(json!(as_int(value).ok()?.as_i64()?.wrapping_add(1))),
        ("mul", _) => Ok(json!(integers(values)?.iter().fold(1_i64, |product, next| product.wrapping_mul(*next)))),
        ("sub", [_, _]) => integers(values).map(|two| Ok(json!(two[0].wrapping_sub(two[1]))))?,
        ("div", [_, _]) => {
            integers(values).map(|two| two[0].checked_div(two[1]).map_or_else(zero, |number| Ok(json!(number))))?
        }
        ("mod", [_, _]) => {
            integers(values).map(|two| two[0].checked_rem(two[1]).map_or_else(zero, |number| Ok(json!(number))))?
        }
        ("max", _) => Ok(json!(integers(values)?.iter().max()?)),
        ("min", _) => Ok(json!(integers(values)?.iter().min()?)),
        ("ceil", [value]) => as_float(value).map(|number| json!(number.as_f64().unwrap_or_default().ceil())),
        ("floor", [value]) => as_float(value).map(|number| json!(number.as_f64().unwrap_or_default().floor())),
        ("round", [value, digits]) => as_float(value).and_then(|number| {
            let scale = 10_f64.powi(i32::try_from(whole(digits)?).unwrap_or(0));
            Ok(json!((number.as_f64().unwrap_or_default() * scale).round() / scale))
        }),
        ("until", [number]) => {
            whole(number).map(|number| (0..number.min(1_000_000)).map(|one| json!(one)).collect::<Vec<_>>().into())
        }
        _ => return None,
    })
}

fn lists(name: &str, values: &[Value]) -> Option<Result<Value, String>> {
    Some(Ok(match (name, values) {
        ("list" | "tuple", _) => values.to_vec().into(),
        ("dict", _) => Value::Object(
            values.chunks(2).map(|pair| (show(&pair[0]), pair.get(1).cloned().unwrap_or_default())).collect(),
        ),
        ("get", [Value::Object(map), key]) => map.get(&show(key)).cloned().unwrap_or(json!("")),
        ("hasKey", [Value::Object(map), key]) => json!(map.contains_key(&show(key))),
        ("keys", [Value::Object(map)]) => map.keys().map(|key| json!(key)).collect::<Vec<_>>().into(),
        ("values", [Value::Object(map)]) => map.values().cloned().collect::<Vec<_>>().into(),
        ("merge", [Value::Object(one), Value::Object(other)]) => {
            let mut merged = other.clone();
            merged.extend(one.clone());
            Value::Object(merged)
        }
        ("first", [Value::Array(list)]) => list.first().cloned().unwrap_or_default(),
        ("last", [Value::Array(list)]) => list.last().cloned().unwrap_or_default(),
        ("rest", [Value::Array(list)]) => list.iter().skip(1).cloned().collect::<Vec<_>>().into(),
        ("initial", [Value::Array(list)]) => list[..list.len().saturating_sub(1)].to_vec().into(),
        ("append", [Value::Array(list), item]) => list.iter().chain([item]).cloned().collect::<Vec<_>>().into(),
        ("prepend", [Value::Array(list), item]) => [item].into_iter().chain(list).cloned().collect::<Vec<_>>().into(),
        ("concat", _) if values.iter().all(Value::is_array) => {
            values.iter().filter_map(Value::as_array).flatten().cloned().collect::<Vec<_>>().into()
        }
        ("reverse", [Value::Array(list)]) => list.iter().rev().cloned().collect::<Vec<_>>().into(),
        ("uniq", [Value::Array(list)]) => {
            let mut kept: Vec<Value> = Vec::new();
            list.iter().for_each(|item| {
                if !kept.iter().any(|have| equal(have, item)) {
                    kept.push(item.clone())
                }
            });
            kept.into()
        }
        ("has", [item, Value::Array(list)]) => json!(list.iter().any(|have| equal(have, item))),
        ("join", [between, Value::Array(list)]) => {
            json!(list.iter().map(show).collect::<Vec<_>>().join(&show(between)))
        }
        ("sortAlpha", [Value::Array(list)]) => {
            let mut texts: Vec<Value> = list.iter().map(|item| json!(show(item))).collect();
            texts.sort_by(|one, other| compare(one, other).unwrap_or(std::cmp::Ordering::Equal));
            texts.into()
        }
        _ => return None,
    }))
}

fn patterns(name: &str, shown: &[&str]) -> Option<Result<Value, String>> {
    let known = matches!(
        name,
        "regexMatch" | "regexFind" | "regexFindAll" | "regexReplaceAll" | "regexReplaceAllLiteral" | "regexSplit"
    );
    let (pattern, rest) = shown.split_first().filter(|_| known)?;
    let pattern = match Regex::new(pattern) {
        Ok(pattern) => pattern,
        Err(error) => return Some(Err(error.to_string())),
    };
    Some(Ok(match (name, rest) {
        ("regexMatch", [text]) => json!(pattern.is_match(text)),
        ("regexFind", [text]) => json!(pattern.find(text).map_or("", |found| found.as_str())),
        ("regexFindAll", [text, number]) => {
            let number = usize::try_from(number.parse::<i64>().ok()?).unwrap_or(usize::MAX);
            pattern.find_iter(text).take(number).map(|found| json!(found.as_str())).collect::<Vec<_>>().into()
        }
        ("regexReplaceAll", [text, with]) => json!(pattern.replace_all(text, *with)),
        ("regexReplaceAllLiteral", [text, with]) => json!(pattern.replace_all(text, regex::NoExpand(with))),
        ("regexSplit", [text, number]) => match usize::try_from(number.parse::<i64>().ok()?) {
            Ok(number) => pattern.splitn(text, number).map(|part| json!(part)).collect::<Vec<_>>().into(),
            Err(_) => pattern.split(text).map(|part| json!(part)).collect::<Vec<_>>().into(),
        },
        _ => return None,
    }))
}
