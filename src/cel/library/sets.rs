//! Lists as sets. Upstream rule: cel-go `ext/sets.go`.

use super::{Row, lists};
use crate::error::Error;
use crate::value::{List, Value};

pub(super) const TABLE: &[Row] = &[
    ("list_sets_contains_list", "sets.contains", "list(T), list(T) -> bool", |args| {
        both(args, |one, other| contains(one, other))
    }),
    ("list_sets_equivalent_list", "sets.equivalent", "list(T), list(T) -> bool", |args| {
        both(args, |one, other| Ok(contains(one, other)? && contains(other, one)?))
    }),
    ("list_sets_intersects_list", "sets.intersects", "list(T), list(T) -> bool", |args| both(args, intersects)),
];

fn both<'a>(args: &[Value<'a>], of: impl Fn(&List<'a>, &List<'a>) -> Result<bool, Error>) -> Result<Value<'a>, Error> {
    match args {
        [Value::List(one), Value::List(other)] => of(one, other).map(Value::Bool),
        _ => Err(Error::no_such_overload()),
    }
}

fn contains<'a>(one: &List<'a>, other: &List<'a>) -> Result<bool, Error> {
    for item in other.items()? {
        if lists::position(one, &item)?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

fn intersects<'a>(one: &List<'a>, other: &List<'a>) -> Result<bool, Error> {
    for item in one.items()? {
        if lists::position(other, &item)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}
