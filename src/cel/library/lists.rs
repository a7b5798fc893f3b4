//! Lists: equality and sums by what kind of list they are, and Kubernetes' functions on them.
//! Upstream rules: k8s.io/apiserver `pkg/cel/library/lists.go` and `pkg/cel/common/valuesunstructured.go`.

use std::cmp::Ordering;

use super::{Row, operators};
use crate::decl::ListKind;
use crate::error::Error;
use crate::value::{List, Value};

pub(super) const TABLE: &[Row] = &[
    ("list_int_is_sorted_bool", "isSorted", ".list(int) -> bool", is_sorted),
    ("list_uint_is_sorted_bool", "isSorted", ".list(uint) -> bool", is_sorted),
    ("list_double_is_sorted_bool", "isSorted", ".list(double) -> bool", is_sorted),
    ("list_bool_is_sorted_bool", "isSorted", ".list(bool) -> bool", is_sorted),
    ("list_duration_is_sorted_bool", "isSorted", ".list(duration) -> bool", is_sorted),
    ("list_timestamp_is_sorted_bool", "isSorted", ".list(timestamp) -> bool", is_sorted),
    ("list_string_is_sorted_bool", "isSorted", ".list(string) -> bool", is_sorted),
    ("list_bytes_is_sorted_bool", "isSorted", ".list(bytes) -> bool", is_sorted),
    ("list_int_sum_int", "sum", ".list(int) -> int", |args| sum(args, Value::Int(0))),
    ("list_uint_sum_uint", "sum", ".list(uint) -> uint", |args| sum(args, Value::Uint(0))),
    ("list_double_sum_double", "sum", ".list(double) -> double", |args| sum(args, Value::Double(0.0))),
    ("list_duration_sum_duration", "sum", ".list(duration) -> duration", |args| sum(args, Value::Duration(0))),
    ("list_int_max_int", "max", ".list(int) -> int", max),
    ("list_uint_max_uint", "max", ".list(uint) -> uint", max),
    ("list_double_max_double", "max", ".list(double) -> double", max),
    ("list_bool_max_bool", "max", ".list(bool) -> bool", max),
    ("list_duration_max_duration", "max", ".list(duration) -> duration", max),
    ("list_timestamp_max_timestamp", "max", ".list(timestamp) -> timestamp", max),
    ("list_string_max_string", "max", ".list(string) -> string", max),
    ("list_bytes_max_bytes", "max", ".list(bytes) -> bytes", max),
    ("list_int_min_int", "min", ".list(int) -> int", min),
    ("list_uint_min_uint", "min", ".list(uint) -> uint", min),
    ("list_double_min_double", "min", ".list(double) -> double", min),
    ("list_bool_min_bool", "min", ".list(bool) -> bool", min),
    ("list_duration_min_duration", "min", ".list(duration) -> duration", min),
    ("list_timestamp_min_timestamp", "min", ".list(timestamp) -> timestamp", min),
    ("list_string_min_string", "min", ".list(string) -> string", min),
    ("list_bytes_min_bytes", "min", ".list(bytes) -> bytes", min),
    ("list_a_index_of_int", "indexOf", ".list(A), A -> int", |args| Ok(place(position(list(args)?, &args[1])?))),
    ("list_a_last_index_of_int", "lastIndexOf", ".list(A), A -> int", |args| {
        let items = list(args)?.items()?;
        let mut found = None;
        for (at, item) in items.iter().enumerate() {
            if item.equals(&args[1])? {
                found = Some(at);
            }
        }
        Ok(place(found))
    }),
];

fn list<'v, 'a>(args: &'v [Value<'a>]) -> Result<&'v List<'a>, Error> {
    match args.first() {
        Some(Value::List(list)) => Ok(list),
        _ => Err(Error::no_such_overload()),
    }
}

fn place<'a>(at: Option<usize>) -> Value<'a> {
    Value::Int(at.map_or(-1, |at| at as i64))
}

/// Where in a list a value is first.
pub(super) fn position<'a>(list: &List<'a>, wanted: &Value<'a>) -> Result<Option<usize>, Error> {
    for at in 0..list.len() {
        if let Some(item) = list.get(at)
            && item?.equals(wanted)?
        {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

fn is_sorted<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    let items = list(args)?.items()?;
    for pair in items.windows(2) {
        if pair[0].compare(&pair[1])? == Ordering::Greater {
            return Ok(Value::Bool(false));
        }
    }
    Ok(Value::Bool(true))
}

fn sum<'a>(args: &[Value<'a>], zero: Value<'a>) -> Result<Value<'a>, Error> {
    // A list that only shows its type when it is evaluated may hold something else than the zero suggests.
    let items = list(args)?.items()?;
    let zero = match items.first() {
        Some(Value::Uint(_)) => Value::Uint(0),
        Some(Value::Double(_)) => Value::Double(0.0),
        Some(Value::Duration(_)) => Value::Duration(0),
        Some(_) => Value::Int(0),
        None => zero,
    };
    items.into_iter().try_fold(zero, |total, item| operators::plus(total, item))
}

fn extreme<'a>(args: &[Value<'a>], name: &str, wanted: Ordering) -> Result<Value<'a>, Error> {
    let mut items = list(args)?.items()?.into_iter();
    let mut best = items.next().ok_or_else(|| Error::new(format!("{name} called on empty list")))?;
    for item in items {
        if item.compare(&best)? == wanted {
            best = item;
        }
    }
    Ok(best)
}

fn max<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    extreme(args, "max", Ordering::Greater)
}

fn min<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    extreme(args, "min", Ordering::Less)
}

fn kind<'a>(list: &List<'a>) -> &'a ListKind {
    match list {
        List::Json(_, _, kind) => kind,
        List::Values(_) => &ListKind::Atomic,
    }
}

/// Whether two items of a list of this kind stand for the same thing.
fn same<'a>(kind: &ListKind, one: &Value<'a>, other: &Value<'a>) -> Result<bool, Error> {
    let ListKind::Map(keys) = kind else {
        return one.equals(other);
    };
    let (Value::Map(one), Value::Map(other)) = (one, other) else {
        return Ok(false);
    };
    for key in keys {
        let same = match (one.field(key), other.field(key)) {
            (Some(one), Some(other)) => one?.equals(&other?)?,
            (None, None) => true,
            _ => false,
        };
        if !same {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether two lists are equal; the first says whether order counts.
pub(crate) fn equal<'a>(one: &List<'a>, other: &List<'a>) -> Result<bool, Error> {
    if one.len() != other.len() {
        return Ok(false);
    }
    let (items, others) = (one.items()?, other.items()?);
    let kind = kind(one);
    for (at, item) in items.iter().enumerate() {
        let equal = if *kind == ListKind::Atomic {
            item.equals(&others[at])?
        } else {
            let mut found = false;
            for other in &others {
                if same(kind, item, other)? && item.equals(other)? {
                    found = true;
                    break;
                }
            }
            found
        };
        if !equal {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The sum of two lists; the first says whether items of the second replace its own.
pub(super) fn concatenate<'a>(one: &List<'a>, other: &List<'a>) -> Result<Value<'a>, Error> {
    let kind = kind(one);
    let mut items = one.items()?;
    for item in other.items()? {
        if *kind != ListKind::Atomic {
            let mut replaced = false;
            for known in &mut items {
                if same(kind, known, &item)? {
                    *known = item.clone();
                    replaced = true;
                    break;
                }
            }
            if replaced {
                continue;
            }
        }
        items.push(item);
    }
    Ok(Value::list(items))
}
