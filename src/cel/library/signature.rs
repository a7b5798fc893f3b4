//! Signatures as tables write them: `.list(A), int -> A`.

use super::{Overload, Row};
use crate::types::Type;

/// Short names of types with functions and no fields, and their names in messages.
pub(super) const NAMED: [(&str, &str); 11] = [
    ("url", "kubernetes.URL"),
    ("quantity", "kubernetes.Quantity"),
    ("ip", "net.IP"),
    ("cidr", "net.CIDR"),
    ("format", "kubernetes.NamedFormat"),
    ("semver", "kubernetes.Semver"),
    ("authorizer", "kubernetes.authorization.Authorizer"),
    ("path", "kubernetes.authorization.PathCheck"),
    ("group", "kubernetes.authorization.GroupCheck"),
    ("resource", "kubernetes.authorization.ResourceCheck"),
    ("decision", "kubernetes.authorization.Decision"),
];

/// The overload that a row describes.
pub(super) fn overload(&(id, name, signature, run): &Row) -> Overload {
    let (args, result) = signature.split_once("->").expect("a signature has a result");
    let member = args.starts_with('.');
    let args = split(args.trim_start_matches('.')).into_iter().map(parse).collect();
    Overload { id, name, member, args, result: parse(result.trim()), run }
}

/// The parts between commas that no parentheses hold.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    let last = text[start..].trim();
    if !last.is_empty() {
        parts.push(last);
    }
    parts
}

fn parse(text: &str) -> Type {
    if let Some((outer, inner)) = text.strip_suffix(')').and_then(|text| text.split_once('(')) {
        let mut inner = split(inner).into_iter().map(parse);
        let mut next = || inner.next().expect("a type in parentheses");
        return match outer {
            "list" => Type::list(next()),
            "map" => Type::map(next(), next()),
            "optional" => Type::optional(next()),
            "type" => Type::Type(Box::new(next())),
            other => unreachable!("no type {other} with types in it"),
        };
    }
    match text {
        "dyn" => Type::Dyn,
        "bool" => Type::Bool,
        "int" => Type::Int,
        "uint" => Type::Uint,
        "double" => Type::Double,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "timestamp" => Type::Timestamp,
        "duration" => Type::Duration,
        _ => match NAMED.iter().find(|(short, _)| *short == text) {
            Some((_, name)) => Type::Named(name),
            None => Type::param(text),
        },
    }
}
