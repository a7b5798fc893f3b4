//! Operators: arithmetic that tells overflows, comparisons, membership. Choices that do not look at all their operands
//! (`&&`, `||`, `?:`) are evaluated elsewhere.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{Overload, Row, lists};
use crate::error::Error;
use crate::types::Type;
use crate::value::{Key, List, Map, Value};

pub(super) const TABLE: &[Row] = &[
    ("conditional", "_?_:_", "bool, A, A -> A", |_| Err(Error::no_such_overload())),
    ("not_strictly_false", "@not_strictly_false", "bool -> bool", |args| Ok(args[0].clone())),
    ("logical_not", "!_", "bool -> bool", not),
    ("equals", "_==_", "A, A -> bool", |args| Ok(Value::Bool(args[0].equals(&args[1])?))),
    ("not_equals", "_!=_", "A, A -> bool", |args| Ok(Value::Bool(!args[0].equals(&args[1])?))),
    ("add_bytes", "_+_", "bytes, bytes -> bytes", add),
    ("add_double", "_+_", "double, double -> double", add),
    ("add_duration_duration", "_+_", "duration, duration -> duration", add),
    ("add_duration_timestamp", "_+_", "duration, timestamp -> timestamp", add),
    ("add_timestamp_duration", "_+_", "timestamp, duration -> timestamp", add),
    ("add_int64", "_+_", "int, int -> int", add),
    ("add_list", "_+_", "list(A), list(A) -> list(A)", add),
    ("add_string", "_+_", "string, string -> string", add),
    ("add_uint64", "_+_", "uint, uint -> uint", add),
    ("divide_double", "_/_", "double, double -> double", divide),
    ("divide_int64", "_/_", "int, int -> int", divide),
    ("divide_uint64", "_/_", "uint, uint -> uint", divide),
    ("modulo_int64", "_%_", "int, int -> int", modulo),
    ("modulo_uint64", "_%_", "uint, uint -> uint", modulo),
    ("multiply_double", "_*_", "double, double -> double", multiply),
    ("multiply_int64", "_*_", "int, int -> int", multiply),
    ("multiply_uint64", "_*_", "uint, uint -> uint", multiply),
    ("negate_double", "-_", "double -> double", negate),
    ("negate_int64", "-_", "int -> int", negate),
    ("subtract_double", "_-_", "double, double -> double", subtract),
    ("subtract_duration_duration", "_-_", "duration, duration -> duration", subtract),
    ("subtract_int64", "_-_", "int, int -> int", subtract),
    ("subtract_timestamp_duration", "_-_", "timestamp, duration -> timestamp", subtract),
    ("subtract_timestamp_timestamp", "_-_", "timestamp, timestamp -> duration", subtract),
    ("subtract_uint64", "_-_", "uint, uint -> uint", subtract),
    ("index_list", "_[_]", "list(A), int -> A", index),
    ("index_map", "_[_]", "map(A, B), A -> B", index),
    ("optional_list_index_int", "_[_]", "optional(list(V)), int -> optional(V)", optional_index),
    ("optional_map_index_value", "_[_]", "optional(map(K, V)), K -> optional(V)", optional_index),
    ("list_optindex_optional_int", "_[?_]", "list(V), int -> optional(V)", optional_index),
    ("optional_list_optindex_optional_int", "_[?_]", "optional(list(V)), int -> optional(V)", optional_index),
    ("map_optindex_optional_value", "_[?_]", "map(K, V), K -> optional(V)", optional_index),
    ("optional_map_optindex_optional_value", "_[?_]", "optional(map(K, V)), K -> optional(V)", optional_index),
    ("in_list", "@in", "A, list(A) -> bool", within),
    ("in_map", "@in", "A, map(A, B) -> bool", within),
    ("@mapInsert_key_value", "cel.@mapInsert", "map(K, V), K, V -> map(K, V)", insert),
    ("@mapInsert_map", "cel.@mapInsert", "map(K, V), map(K, V) -> map(K, V)", insert),
];

/// `<`, `<=`, `>` and `>=` of everything that has an order; numbers of all types have one with each other.
pub(super) fn comparisons() -> Vec<Overload> {
    let words: [(&str, [&str; 3], super::Run); 4] = [
        ("_<_", ["less_string", "less_bytes", "less"], |args| ordered(args, Ordering::is_lt)),
        ("_<=_", ["less_equals_string", "less_equals_bytes", "less_equals"], |args| ordered(args, Ordering::is_le)),
        ("_>_", ["greater_string", "greater_bytes", "greater"], |args| ordered(args, Ordering::is_gt)),
        ("_>=_", ["greater_equals_string", "greater_equals_bytes", "greater_equals"], |args| {
            ordered(args, Ordering::is_ge)
        }),
    ];
    let numbers = [Type::Int, Type::Uint, Type::Double];
    let mut pairs =
        vec![(2, Type::Bool, Type::Bool), (2, Type::Timestamp, Type::Timestamp), (2, Type::Duration, Type::Duration)];
    pairs.extend([(0, Type::String, Type::String), (1, Type::Bytes, Type::Bytes)]);
    pairs.extend(numbers.iter().flat_map(|one| numbers.iter().map(move |other| (2, one.clone(), other.clone()))));
    let overload = |(name, ids, run): (&'static str, [&'static str; 3], super::Run)| {
        let one = move |(id, one, other): &(usize, Type, Type)| Overload {
            id: ids[*id],
            name,
            member: false,
            args: vec![one.clone(), other.clone()],
            result: Type::Bool,
            run,
        };
        pairs.iter().map(one).collect::<Vec<_>>()
    };
    words.into_iter().flat_map(overload).collect()
}

fn ordered<'a>(args: &[Value<'a>], wanted: fn(Ordering) -> bool) -> Result<Value<'a>, Error> {
    Ok(Value::Bool(wanted(args[0].compare(&args[1])?)))
}

fn not<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    match &args[0] {
        Value::Bool(value) => Ok(Value::Bool(!value)),
        _ => Err(Error::no_such_overload()),
    }
}

fn overflow(what: &str) -> Error {
    Error::new(format!("{what} overflow"))
}

fn int<'a>(value: Option<i64>) -> Result<Value<'a>, Error> {
    value.map(Value::Int).ok_or_else(|| overflow("integer"))
}

fn uint<'a>(value: Option<u64>) -> Result<Value<'a>, Error> {
    value.map(Value::Uint).ok_or_else(|| overflow("unsigned integer"))
}

fn later<'a>(moment: Timestamp, nanos: Option<i64>) -> Result<Value<'a>, Error> {
    let moved = nanos.and_then(|nanos| moment.checked_add(SignedDuration::from_nanos(nanos)).ok());
    moved.map(Value::Timestamp).ok_or_else(|| overflow("timestamp"))
}

fn add<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    match (&args[0], &args[1]) {
        (Value::Int(one), Value::Int(other)) => int(one.checked_add(*other)),
        (Value::Uint(one), Value::Uint(other)) => uint(one.checked_add(*other)),
        (Value::Double(one), Value::Double(other)) => Ok(Value::Double(one + other)),
        (Value::String(one), Value::String(other)) => Ok(Value::text(format!("{}{}", &**one, &**other))),
        (Value::Bytes(one), Value::Bytes(other)) => Ok(Value::Bytes([&**one, &**other].concat().into())),
        (Value::List(one), Value::List(other)) => lists::concatenate(one, other),
        (Value::Duration(one), Value::Duration(other)) => {
            one.checked_add(*other).map(Value::Duration).ok_or_else(|| overflow("duration"))
        }
        (Value::Timestamp(moment), Value::Duration(span)) | (Value::Duration(span), Value::Timestamp(moment)) => {
            later(*moment, Some(*span))
        }
        _ => Err(Error::no_such_overload()),
    }
}

/// The sum of two values.
pub(super) fn plus<'a>(one: Value<'a>, other: Value<'a>) -> Result<Value<'a>, Error> {
    add(&[one, other])
}

fn subtract<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    match (&args[0], &args[1]) {
        (Value::Int(one), Value::Int(other)) => int(one.checked_sub(*other)),
        (Value::Uint(one), Value::Uint(other)) => uint(one.checked_sub(*other)),
        (Value::Double(one), Value::Double(other)) => Ok(Value::Double(one - other)),
        (Value::Duration(one), Value::Duration(other)) => {
            one.checked_sub(*other).map(Value::Duration).ok_or_else(|| overflow("duration"))
        }
        (Value::Timestamp(moment), Value::Duration(span)) => later(*moment, span.checked_neg()),
        (Value::Timestamp(one), Value::Timestamp(other)) => {
            let nanos = one.as_nanosecond() - other.as_nanosecond();
            i64::try_from(nanos).map(Value::Duration).map_err(|_| overflow("duration"))
        }
        _ => Err(Error::no_such_overload()),
    }
}

fn multiply<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    match (&args[0], &args[1]) {
        (Value::Int(one), Value::Int(other)) => int(one.checked_mul(*other)),
        (Value::Uint(one), Value::Uint(other)) => uint(one.checked_mul(*other)),
        (Value::Double(one), Value::Double(other)) => Ok(Value::Double(one * other)),
        _ => Err(Error::no_such_overload()),
    }
}

fn divide<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    match (&args[0], &args[1]) {
        (Value::Int(_), Value::Int(0)) | (Value::Uint(_), Value::Uint(0)) => Err(Error::new("division by zero")),
        (Value::Int(one), Value::Int(other)) => int(one.checked_div(*other)),
        (Value::Uint(one), Value::Uint(other)) => Ok(Value::Uint(one / other)),
        (Value::Double(one), Value::Double(other)) => Ok(Value::Double(one / other)),
        _ => Err(Error::no_such_overload()),
    }
}

fn modulo<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    match (&args[0], &args[1]) {
        (Value::Int(_), Value::Int(0)) | (Value::Uint(_), Value::Uint(0)) => Err(Error::new("modulus by zero")),
        (Value::Int(one), Value::Int(other)) => int(one.checked_rem(*other)),
        (Value::Uint(one), Value::Uint(other)) => Ok(Value::Uint(one % other)),
        _ => Err(Error::no_such_overload()),
    }
}

fn negate<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    match &args[0] {
        Value::Int(value) => int(value.checked_neg()),
        Value::Double(value) => Ok(Value::Double(-value)),
        _ => Err(Error::no_such_overload()),
    }
}

/// The place in a list that an index means.
fn place(index: &Value<'_>) -> Result<i64, Error> {
    match index {
        Value::Int(index) => Ok(*index),
        Value::Uint(index) => Ok(i64::try_from(*index).unwrap_or(i64::MAX)),
        Value::Double(index) if index.fract() == 0.0 && index.abs() < 9.2e18 => Ok(*index as i64),
        _ => Err(Error::no_such_overload()),
    }
}

fn key_text(key: &Value<'_>) -> String {
    super::formatting::display(key).unwrap_or_default()
}

/// What is there, if it is.
fn lookup<'a>(container: &Value<'a>, index: &Value<'a>) -> Result<Option<Value<'a>>, Error> {
    match container {
        Value::List(list) => usize::try_from(place(index)?).ok().and_then(|index| list.get(index)).transpose(),
        Value::Map(map) => map.get(index).transpose(),
        Value::Fields(fields) => match index {
            Value::String(name) => fields.get(name).transpose(),
            _ => Err(Error::no_such_overload()),
        },
        _ => Err(Error::no_such_overload()),
    }
}

fn index<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    lookup(&args[0], &args[1])?.ok_or_else(|| match &args[0] {
        Value::List(_) => Error::new(format!("index out of bounds: {}", key_text(&args[1]))),
        _ => Error::no_such_key(&key_text(&args[1])),
    })
}

fn optional_index<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    let found = match &args[0] {
        Value::Optional(None) => None,
        Value::Optional(Some(inner)) => lookup(inner, &args[1])?,
        other => lookup(other, &args[1])?,
    };
    Ok(found.map_or(Value::Optional(None), Value::some))
}

fn within<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    match &args[1] {
        Value::List(list) => Ok(Value::Bool(lists::position(list, &args[0])?.is_some())),
        Value::Map(map) => Ok(Value::Bool(map.get(&args[0]).is_some())),
        _ => Err(Error::no_such_overload()),
    }
}

fn insert<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    let Value::Map(Map::Values(entries)) = &args[0] else {
        return Err(Error::no_such_overload());
    };
    let mut entries: BTreeMap<Key, Value<'a>> = (**entries).clone();
    let mut put = |key: &Value<'a>, value: Value<'a>| {
        let name = Key::of(key).ok_or_else(Error::no_such_overload)?;
        match entries.insert(name, value) {
            Some(_) => Err(Error::new(format!("insert failed: key {} already exists", key_text(key)))),
            None => Ok(()),
        }
    };
    match &args[1..] {
        [key, value] => put(key, value.clone())?,
        [Value::Map(more)] => {
            for key in more.keys() {
                if let Some(value) = more.get(&key) {
                    put(&key, value?)?;
                }
            }
        }
        _ => return Err(Error::no_such_overload()),
    }
    Ok(Value::map(entries))
}

/// A list that was made with one more item, without copying it where nobody else holds it.
pub(crate) fn push<'a>(mut list: Value<'a>, item: Value<'a>) -> Result<Value<'a>, Error> {
    match &mut list {
        Value::List(List::Values(items)) => std::rc::Rc::make_mut(items).push(item),
        _ => return add(&[list, Value::list(vec![item])]),
    }
    Ok(list)
}
