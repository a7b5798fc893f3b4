//! Values that may be absent. `or` and `orValue` look at their argument only where they need it, and are evaluated elsewhere.
//! Upstream rule: cel-go `cel/library.go`.

use super::{Row, strings};
use crate::error::Error;
use crate::value::Value;

pub(super) const TABLE: &[Row] = &[
    ("optional_of", "optional.of", "V -> optional(V)", |args| Ok(Value::some(args[0].clone()))),
    ("optional_ofNonZeroValue", "optional.ofNonZeroValue", "V -> optional(V)", |args| {
        Ok(if is_zero(&args[0]) { Value::Optional(None) } else { Value::some(args[0].clone()) })
    }),
    ("optional_none", "optional.none", " -> optional(V)", |_| Ok(Value::Optional(None))),
    ("optional_value", "value", ".optional(V) -> V", |args| match &args[0] {
        Value::Optional(Some(value)) => Ok((**value).clone()),
        Value::Optional(None) => Err(Error::new("optional.none() dereference")),
        _ => Err(Error::no_such_overload()),
    }),
    ("optional_hasValue", "hasValue", ".optional(V) -> bool", |args| match &args[0] {
        Value::Optional(value) => Ok(Value::Bool(value.is_some())),
        _ => Err(Error::no_such_overload()),
    }),
    ("optional_or_optional", "or", ".optional(V), optional(V) -> optional(V)", |args| match &args[0] {
        Value::Optional(None) => Ok(args[1].clone()),
        other => Ok(other.clone()),
    }),
    ("optional_orValue_value", "orValue", ".optional(V), V -> V", |args| match &args[0] {
        Value::Optional(Some(value)) => Ok((**value).clone()),
        Value::Optional(None) => Ok(args[1].clone()),
        _ => Err(Error::no_such_overload()),
    }),
    ("list_first", "first", ".list(V) -> optional(V)", |args| end(args, false)),
    ("list_last", "last", ".list(V) -> optional(V)", |args| end(args, true)),
    ("optional_unwrap", "optional.unwrap", "list(optional(V)) -> list(V)", unwrap),
    ("optional_unwrapOpt", "unwrapOpt", ".list(optional(V)) -> list(V)", unwrap),
];

/// The first or last item of a list, if it has one.
fn end<'a>(args: &[Value<'a>], last: bool) -> Result<Value<'a>, Error> {
    let Some(Value::List(list)) = args.first() else {
        return Err(Error::no_such_overload());
    };
    let at = if last { list.len().checked_sub(1) } else { Some(0) };
    let item = at.and_then(|at| list.get(at)).transpose()?;
    Ok(item.map_or(Value::Optional(None), Value::some))
}

/// The values of a list that are there.
fn unwrap<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    let Some(Value::List(list)) = args.first() else {
        return Err(Error::no_such_overload());
    };
    let present = list.items()?.into_iter().filter_map(|item| match item {
        Value::Optional(Some(value)) => Some(Ok((*value).clone())),
        Value::Optional(None) => None,
        _ => Some(Err(Error::no_such_overload())),
    });
    present.collect::<Result<Vec<_>, _>>().map(Value::list)
}

fn is_zero(value: &Value<'_>) -> bool {
    match value {
        Value::Null | Value::Optional(None) => true,
        Value::Bool(value) => !value,
        Value::Int(value) | Value::Duration(value) => *value == 0,
        Value::Uint(value) => *value == 0,
        Value::Double(value) => *value == 0.0,
        Value::Optional(Some(value)) => is_zero(value),
        other => strings::size_of(other) == Some(0),
    }
}
