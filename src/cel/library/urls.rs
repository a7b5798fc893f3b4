//! URLs and their parts. Upstream rule: k8s.io/apiserver `pkg/cel/library/urls.go`, over Go's `net/url`.

use std::collections::BTreeMap;

use super::Row;
use super::kubernetes::Kubernetes;
use crate::error::Error;
use crate::text::quoted;
use crate::value::{Key, Value};

pub(super) const TABLE: &[Row] = &[
    ("string_to_url", "url", "string -> url", |args| {
        let text = text(args)?;
        let url = parse(text).map_err(|reason| {
            Error::new(format!("URL parse error during conversion from string: parse {}: {reason}", quoted(text)))
        })?;
        Ok(Value::kubernetes(Kubernetes::Url(url)))
    }),
    ("is_url_string", "isURL", "string -> bool", |args| Ok(Value::Bool(parse(text(args)?).is_ok()))),
    ("url_get_scheme", "getScheme", ".url -> string", |args| of(args, |url| Value::text(url.scheme.as_str()))),
    ("url_get_host", "getHost", ".url -> string", |args| of(args, |url| Value::text(url.host.as_str()))),
    ("url_get_hostname", "getHostname", ".url -> string", |args| of(args, |url| Value::text(split(&url.host).0))),
    ("url_get_port", "getPort", ".url -> string", |args| of(args, |url| Value::text(split(&url.host).1))),
    ("url_get_escaped_path", "getEscapedPath", ".url -> string", |args| {
        of(args, |url| Value::text(escaped(&url.path)))
    }),
    ("url_get_query", "getQuery", ".url -> map(string, list(string))", |args| of(args, |url| query(&url.query))),
];

/// A URL in its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    scheme: String,
    host: String,
    path: String,
    query: String,
    user: String,
    fragment: String,
}

fn text<'v>(args: &'v [Value<'_>]) -> Result<&'v str, Error> {
    match args {
        [Value::String(text)] => Ok(text),
        _ => Err(Error::no_such_overload()),
    }
}

fn of<'a>(args: &[Value<'a>], part: impl Fn(&Url) -> Value<'a>) -> Result<Value<'a>, Error> {
    match args {
        [Value::Kubernetes(value)] => match &**value {
            Kubernetes::Url(url) => Ok(part(url)),
            _ => Err(Error::no_such_overload()),
        },
        _ => Err(Error::no_such_overload()),
    }
}

/// The URL that a text is, in Go's words where it is none: with a scheme, or a path from the root.
pub(super) fn parse(text: &str) -> Result<Url, String> {
    if text.chars().any(|c| c.is_ascii_control()) {
        return Err("net/url: invalid control character in URL".to_owned());
    }
    if text.is_empty() {
        return Err("empty url".to_owned());
    }
    let (scheme, rest) = scheme(text)?;
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    if !rest.starts_with('/') && scheme.is_empty() {
        return Err("invalid URI for request".to_owned());
    }
    let (mut user, mut host, mut path) = ("", "", rest);
    if let Some(after) = rest.strip_prefix("//") {
        let end = after.find('/').unwrap_or(after.len());
        let (authority, rest) = after.split_at(end);
        path = rest;
        (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        check_host(host)?;
    }
    check_escapes(path)?;
    let owned = str::to_owned;
    Ok(Url {
        scheme: scheme.to_ascii_lowercase(),
        host: owned(host),
        path: owned(path),
        query: owned(query),
        user: owned(user),
        fragment: owned(fragment),
    })
}

fn scheme(text: &str) -> Result<(&str, &str), String> {
    for (at, c) in text.char_indices() {
        match c {
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if at > 0 => {}
            ':' if at == 0 => return Err("missing protocol scheme".to_owned()),
            ':' => return Ok((&text[..at], &text[at + 1..])),
            _ => break,
        }
    }
    Ok(("", text))
}

fn check_host(host: &str) -> Result<(), String> {
    if let Some(c) = host.chars().find(|c| matches!(c, ' ' | '<' | '>' | '"' | '`' | '{' | '}' | '|' | '\\' | '^')) {
        return Err(format!("invalid character {} in host name", quoted(&c.to_string())));
    }
    let port = match host.rfind(']') {
        Some(end) => &host[end + 1..],
        None if host.starts_with('[') => return Err("missing ']' in host".to_owned()),
        None => host.find(':').map_or("", |at| &host[at..]),
    };
    let digits = port.strip_prefix(':').unwrap_or(port);
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(format!("invalid port {} after host", quoted(port)));
    }
    Ok(())
}

fn check_escapes(path: &str) -> Result<(), String> {
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        let escape: String = rest[at..].chars().take(3).collect();
        if escape.len() < 3 || !escape.bytes().skip(1).all(|digit| digit.is_ascii_hexdigit()) {
            return Err(format!("invalid URL escape {}", quoted(&escape)));
        }
        rest = &rest[at + 3..];
    }
    Ok(())
}

/// A host without its port, and the port.
fn split(host: &str) -> (&str, &str) {
    if let Some(rest) = host.strip_prefix('[') {
        let (name, rest) = rest.split_once(']').unwrap_or((rest, ""));
        return (name, rest.strip_prefix(':').unwrap_or(""));
    }
    host.rsplit_once(':').unwrap_or((host, ""))
}

/// A path with what may not stand in one escaped.
fn escaped(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@!'()*%".contains(&byte);
    path.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn query<'a>(text: &str) -> Value<'a> {
    let mut found: BTreeMap<Key, Vec<Value<'a>>> = BTreeMap::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty() && !pair.contains(';')) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if let (Some(key), Some(value)) = (unescape(key), unescape(value)) {
            found.entry(Key::String(key.into())).or_default().push(Value::text(value));
        }
    }
    Value::map(found.into_iter().map(|(key, values)| (key, Value::list(values))).collect())
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = std::str::from_utf8(after.get(..2)?).ok()?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &after[2..];
            }
            other => bytes.push(*other),
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
