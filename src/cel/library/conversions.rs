//! Conversions between types, with cel-go's words where a value does not fit.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Row, moments};
use crate::error::Error;
use crate::text;
use crate::types::Type;
use crate::value::Value;

pub(super) const TABLE: &[Row] = &[
    ("type", "type", "A -> type(A)", |args| Ok(Value::Type(args[0].type_of()))),
    ("to_dyn", "dyn", "A -> dyn", |args| Ok(args[0].clone())),
    ("bool_to_bool", "bool", "bool -> bool", to_bool),
    ("string_to_bool", "bool", "string -> bool", to_bool),
    ("bytes_to_bytes", "bytes", "bytes -> bytes", to_bytes),
    ("string_to_bytes", "bytes", "string -> bytes", to_bytes),
    ("double_to_double", "double", "double -> double", to_double),
    ("int64_to_double", "double", "int -> double", to_double),
    ("string_to_double", "double", "string -> double", to_double),
    ("uint64_to_double", "double", "uint -> double", to_double),
    ("duration_to_duration", "duration", "duration -> duration", to_duration),
    ("int64_to_duration", "duration", "int -> duration", to_duration),
    ("string_to_duration", "duration", "string -> duration", to_duration),
    ("int64_to_int64", "int", "int -> int", to_int),
    ("double_to_int64", "int", "double -> int", to_int),
    ("duration_to_int64", "int", "duration -> int", to_int),
    ("string_to_int64", "int", "string -> int", to_int),
    ("timestamp_to_int64", "int", "timestamp -> int", to_int),
    ("uint64_to_int64", "int", "uint -> int", to_int),
    ("string_to_string", "string", "string -> string", to_string),
    ("bool_to_string", "string", "bool -> string", to_string),
    ("bytes_to_string", "string", "bytes -> string", to_string),
    ("double_to_string", "string", "double -> string", to_string),
    ("duration_to_string", "string", "duration -> string", to_string),
    ("int64_to_string", "string", "int -> string", to_string),
    ("timestamp_to_string", "string", "timestamp -> string", to_string),
    ("uint64_to_string", "string", "uint -> string", to_string),
    ("timestamp_to_timestamp", "timestamp", "timestamp -> timestamp", to_timestamp),
    ("int64_to_timestamp", "timestamp", "int -> timestamp", to_timestamp),
    ("string_to_timestamp", "timestamp", "string -> timestamp", to_timestamp),
    ("uint64_to_uint64", "uint", "uint -> uint", to_uint),
    ("double_to_uint64", "uint", "double -> uint", to_uint),
    ("int64_to_uint64", "uint", "int -> uint", to_uint),
    ("string_to_uint64", "uint", "string -> uint", to_uint),
];

fn cannot(value: &Value<'_>, wanted: &Type) -> Error {
    Error::new(format!("type conversion error from '{}' to '{}'", value.type_of().name(), wanted.name()))
}

fn to_bool<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    match &args[0] {
        Value::Bool(value) => Ok(Value::Bool(*value)),
        Value::String(text) => match &**text {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(Value::Bool(true)),
            "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(Value::Bool(false)),
            _ => Err(cannot(&args[0], &Type::Bool)),
        },
        other => Err(cannot(other, &Type::Bool)),
    }
}

fn to_bytes<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    match &args[0] {
        Value::Bytes(bytes) => Ok(Value::Bytes(Arc::clone(bytes))),
        Value::String(text) => Ok(Value::Bytes(text.as_bytes().into())),
        other => Err(cannot(other, &Type::Bytes)),
    }
}

fn to_double<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    match &args[0] {
        Value::Double(value) => Ok(Value::Double(*value)),
        Value::Int(value) => Ok(Value::Double(*value as f64)),
        Value::Uint(value) => Ok(Value::Double(*value as f64)),
        Value::String(text) => text.parse().map(Value::Double).map_err(|_| cannot(&args[0], &Type::Double)),
        other => Err(cannot(other, &Type::Double)),
    }
}

fn to_duration<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    match &args[0] {
        Value::Duration(nanos) | Value::Int(nanos) => Ok(Value::Duration(*nanos)),
        Value::String(text) => {
            moments::parse_duration(text).map(Value::Duration).ok_or_else(|| cannot(&args[0], &Type::Duration))
        }
        other => Err(cannot(other, &Type::Duration)),
    }
}

fn to_int<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    let overflow = || Error::new("integer overflow");
    match &args[0] {
        Value::Int(value) | Value::Duration(value) => Ok(Value::Int(*value)),
        Value::Double(value) if value.abs() < 9_223_372_036_854_775_808.0 => Ok(Value::Int(*value as i64)),
        Value::Double(_) => Err(overflow()),
        Value::Uint(value) => i64::try_from(*value).map(Value::Int).map_err(|_| overflow()),
        Value::Timestamp(moment) => Ok(Value::Int(moment.as_second())),
        Value::String(text) => text.parse().map(Value::Int).map_err(|_| cannot(&args[0], &Type::Int)),
        other => Err(cannot(other, &Type::Int)),
    }
}

fn to_uint<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    let overflow = || Error::new("unsigned integer overflow");
    match &args[0] {
        Value::Uint(value) => Ok(Value::Uint(*value)),
        Value::Int(value) => u64::try_from(*value).map(Value::Uint).map_err(|_| overflow()),
        Value::Double(value) if (0.0..18_446_744_073_709_551_616.0).contains(value) => Ok(Value::Uint(*value as u64)),
        Value::Double(_) => Err(overflow()),
        Value::String(text) => text.parse().map(Value::Uint).map_err(|_| cannot(&args[0], &Type::Uint)),
        other => Err(cannot(other, &Type::Uint)),
    }
}

fn to_timestamp<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    let wrong = || cannot(&args[0], &Type::Timestamp);
    match &args[0] {
        Value::Timestamp(moment) => Ok(Value::Timestamp(*moment)),
        Value::Int(seconds) => Timestamp::from_second(*seconds).map(Value::Timestamp).map_err(|_| wrong()),
        Value::String(text) => moments::parse_timestamp(text).map(Value::Timestamp).ok_or_else(wrong),
        _ => Err(wrong()),
    }
}

pub(super) fn to_string<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    Ok(match &args[0] {
        Value::String(text) => Value::String(text.clone()),
        Value::Bool(value) => Value::text(value.to_string()),
        Value::Int(value) => Value::text(value.to_string()),
        Value::Uint(value) => Value::text(value.to_string()),
        Value::Double(value) => Value::text(text::double(*value)),
        Value::Duration(nanos) => Value::text(text::duration(*nanos)),
        Value::Timestamp(moment) => Value::text(text::timestamp(*moment)),
        Value::Type(ty) => Value::text(ty.name()),
        Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Value::text(text),
            Err(_) => return Err(Error::new("invalid UTF-8 in bytes, cannot convert to string")),
        },
        other => return Err(cannot(other, &Type::String)),
    })
}
