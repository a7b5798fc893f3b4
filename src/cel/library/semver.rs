//! Semantic versions. Upstream rule: k8s.io/apiserver `pkg/cel/library/semverlib.go`.

use std::cmp::Ordering;

use super::Row;
use super::kubernetes::Kubernetes;
use crate::error::Error;
use crate::value::Value;

pub(super) const TABLE: &[Row] = &[
    ("string_to_semver", "semver", "string -> semver", made),
    ("string_bool_to_semver", "semver", "string, bool -> semver", made),
    ("is_semver_string", "isSemver", "string -> bool", |args| Ok(Value::Bool(read(args)?.is_ok()))),
    ("is_semver_string_bool", "isSemver", "string, bool -> bool", |args| Ok(Value::Bool(read(args)?.is_ok()))),
    ("semver_is_greater_than", "isGreaterThan", ".semver, semver -> bool", |args| {
        Ok(Value::Bool(order(args)?.is_gt()))
    }),
    ("semver_is_less_than", "isLessThan", ".semver, semver -> bool", |args| Ok(Value::Bool(order(args)?.is_lt()))),
    ("semver_compare_to", "compareTo", ".semver, semver -> int", |args| Ok(Value::Int(order(args)? as i64))),
    ("semver_major", "major", ".semver -> int", |args| number(args, 0)),
    ("semver_minor", "minor", ".semver -> int", |args| number(args, 1)),
    ("semver_patch", "patch", ".semver -> int", |args| number(args, 2)),
];

/// A version; what is built does not count when two are compared.
#[derive(Debug, Clone)]
pub struct Version {
    numbers: [u64; 3],
    pre: Vec<Part>,
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

/// A part of what comes before a release: numbers are lower than words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(u64),
    Word(String),
}

impl Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let release = |version: &Self| version.pre.is_empty();
        self.numbers.cmp(&other.numbers).then_with(|| match (release(self), release(other)) {
            (false, false) => self.pre.cmp(&other.pre),
            (one, other) => one.cmp(&other),
        })
    }
}

fn parse(text: &str) -> Result<Version, String> {
    if text.is_empty() {
        return Err("Version string empty".to_owned());
    }
    let (text, build) = text.split_once('+').map_or((text, None), |(text, build)| (text, Some(build)));
    let (core, pre) = text.split_once('-').map_or((text, None), |(core, pre)| (core, Some(pre)));
    let parts: Vec<&str> = core.split('.').collect();
    let [major, minor, patch] = parts.as_slice() else {
        return Err("No Major.Minor.Patch elements found".to_owned());
    };
    let mut numbers = [0; 3];
    for ((place, text), name) in numbers.iter_mut().zip([major, minor, patch]).zip(["major", "minor", "patch"]) {
        *place = plain_number(text, name)?;
    }
    let mut before = Vec::new();
    for part in pre.into_iter().flat_map(|pre| pre.split('.')) {
        before.push(identifier(part, "Prerelease")?);
    }
    for part in build.into_iter().flat_map(|build| build.split('.')) {
        word(part, "Build meta data")?;
    }
    Ok(Version { numbers, pre: before })
}

fn plain_number(text: &str, name: &str) -> Result<u64, String> {
    if text.is_empty() || !text.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(format!("Invalid character(s) found in {name} number {}", crate::text::quoted(text)));
    }
    if text.len() > 1 && text.starts_with('0') {
        let name = name[..1].to_uppercase() + &name[1..];
        return Err(format!("{name} number must not contain leading zeroes {}", crate::text::quoted(text)));
    }
    text.parse().map_err(|_| format!("{name} number is too large"))
}

fn word(text: &str, what: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err(format!("{what} is empty"));
    }
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if plain {
        Ok(())
    } else {
        Err(format!("Invalid character(s) found in {} {}", what.to_lowercase(), crate::text::quoted(text)))
    }
}

fn identifier(text: &str, what: &str) -> Result<Part, String> {
    word(text, what)?;
    if !text.bytes().all(|digit| digit.is_ascii_digit()) {
        return Ok(Part::Word(text.to_owned()));
    }
    if text.len() > 1 && text.starts_with('0') {
        return Err(format!(
            "Numeric PreRelease version must not contain leading zeroes {}",
            crate::text::quoted(text)
        ));
    }
    text.parse().map(Part::Number).map_err(|_| "PreRelease number is too large".to_owned())
}

/// `v1.02` as `1.2.0`: no `v`, three numbers, no leading zeroes.
fn normalized(text: &str) -> String {
    let text = text.strip_prefix('v').unwrap_or(text);
    let end = text.find(['-', '+']).unwrap_or(text.len());
    let (core, rest) = text.split_at(end);
    let plain = |part: &str| match part.trim_start_matches('0') {
        "" if !part.is_empty() => "0".to_owned(),
        trimmed => trimmed.to_owned(),
    };
    let mut parts: Vec<String> = core.split('.').map(plain).collect();
    while parts.len() < 3 && rest.is_empty() {
        parts.push("0".to_owned());
    }
    format!("{}{rest}", parts.join("."))
}

fn read(args: &[Value<'_>]) -> Result<Result<Version, String>, Error> {
    match args {
        [Value::String(text)] | [Value::String(text), Value::Bool(false)] => Ok(parse(text)),
        [Value::String(text), Value::Bool(true)] => Ok(parse(&normalized(text))),
        _ => Err(Error::no_such_overload()),
    }
}

fn made<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    read(args)?.map(|version| Value::kubernetes(Kubernetes::Semver(version))).map_err(Error::new)
}

fn one<'v>(args: &'v [Value<'_>], at: usize) -> Result<&'v Version, Error> {
    match args.get(at) {
        Some(Value::Kubernetes(value)) => match &**value {
            Kubernetes::Semver(version) => Ok(version),
            _ => Err(Error::no_such_overload()),
        },
        _ => Err(Error::no_such_overload()),
    }
}

fn order(args: &[Value<'_>]) -> Result<Ordering, Error> {
    Ok(one(args, 0)?.cmp(one(args, 1)?))
}

fn number<'a>(args: &[Value<'a>], at: usize) -> Result<Value<'a>, Error> {
    Ok(Value::Int(i64::try_from(one(args, 0)?.numbers[at]).unwrap_or(i64::MAX)))
}
