//! Quantities of resources: `quantity('1.5Gi').isLessThan(quantity('2Gi'))`.
//! Upstream rule: k8s.io/apiserver `pkg/cel/library/quantity.go`.

use std::cmp::Ordering;

use tinderbox_api::quantity::Quantity;

use super::Row;
use super::kubernetes::Kubernetes;
use crate::error::Error;
use crate::value::Value;

pub(super) const TABLE: &[Row] = &[
    ("string_to_quantity", "quantity", "string -> quantity", |args| {
        parse(args)?.map(made).map_err(|error| Error::new(error.to_string()))
    }),
    ("is_quantity_string", "isQuantity", "string -> bool", |args| Ok(Value::Bool(parse(args)?.is_ok()))),
    ("quantity_sign", "sign", "quantity -> int", |args| Ok(Value::Int(one(args, 0)?.cmp(&Quantity::units(0)) as i64))),
    ("quantity_is_greater_than", "isGreaterThan", ".quantity, quantity -> bool", |args| {
        Ok(Value::Bool(order(args)?.is_gt()))
    }),
    ("quantity_is_less_than", "isLessThan", ".quantity, quantity -> bool", |args| {
        Ok(Value::Bool(order(args)?.is_lt()))
    }),
    ("quantity_compare_to", "compareTo", ".quantity, quantity -> int", |args| Ok(Value::Int(order(args)? as i64))),
    ("quantity_get_float", "asApproximateFloat", ".quantity -> double", |args| {
        Ok(Value::Double(one(args, 0)?.milli_value() as f64 / 1000.0))
    }),
    ("quantity_get_int", "asInteger", ".quantity -> int", |args| {
        let whole = integer(one(args, 0)?);
        whole.map(Value::Int).ok_or_else(|| Error::new("cannot convert value to integer"))
    }),
    ("quantity_is_integer", "isInteger", ".quantity -> bool", |args| Ok(Value::Bool(integer(one(args, 0)?).is_some()))),
    ("quantity_add", "add", ".quantity, quantity -> quantity", |args| sum(args, 1)),
    ("quantity_add_int", "add", ".quantity, int -> quantity", |args| sum(args, 1)),
    ("quantity_sub", "sub", ".quantity, quantity -> quantity", |args| sum(args, -1)),
    ("quantity_sub_int", "sub", ".quantity, int -> quantity", |args| sum(args, -1)),
];

fn made<'a>(quantity: Quantity) -> Value<'a> {
    Value::kubernetes(Kubernetes::Quantity(quantity))
}

fn parse(args: &[Value<'_>]) -> Result<Result<Quantity, tinderbox_api::quantity::QuantityError>, Error> {
    match args {
        [Value::String(text)] => Ok(text.parse()),
        _ => Err(Error::no_such_overload()),
    }
}

fn one(args: &[Value<'_>], at: usize) -> Result<Quantity, Error> {
    match args.get(at) {
        Some(Value::Kubernetes(value)) => match **value {
            Kubernetes::Quantity(quantity) => Ok(quantity),
            _ => Err(Error::no_such_overload()),
        },
        Some(Value::Int(value)) => Ok(Quantity::units(*value)),
        _ => Err(Error::no_such_overload()),
    }
}

fn order(args: &[Value<'_>]) -> Result<Ordering, Error> {
    Ok(one(args, 0)?.cmp(&one(args, 1)?))
}

/// The whole number that a quantity is.
fn integer(quantity: Quantity) -> Option<i64> {
    let value = quantity.value();
    (Quantity::units(value) == quantity).then_some(value)
}

fn sum<'a>(args: &[Value<'a>], sign: i64) -> Result<Value<'a>, Error> {
    Ok(made(one(args, 0)?.plus(one(args, 1)?.times(sign))))
}
