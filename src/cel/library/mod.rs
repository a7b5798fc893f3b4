//! The functions of expressions: signatures for the checker, and what they do. A file per library, each with its table.

mod addresses;
mod conversions;
mod formats;
mod formatting;
pub(crate) mod kubernetes;
pub(crate) mod lists;
pub(crate) mod moments;
pub(crate) mod operators;
mod optionals;
pub(crate) mod patterns;
mod quantities;
mod semver;
mod sets;
mod signature;
pub(crate) mod strings;
mod urls;

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::error::Error;
use crate::rights;
use crate::types::Type;
use crate::value::Value;

/// What a function does with its arguments, the receiver first.
pub(crate) type Run = for<'a> fn(&[Value<'a>]) -> Result<Value<'a>, Error>;

/// One function with one signature.
#[derive(Debug)]
pub(crate) struct Overload {
    /// Its name in cel-go, by which costs are told.
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    /// Whether the first argument is the receiver.
    pub(crate) member: bool,
    pub(crate) args: Vec<Type>,
    pub(crate) result: Type,
    pub(crate) run: Run,
}

/// A row of a table: id, name, signature (`.string, int -> string`; a dot before the receiver of a member), function.
type Row = (&'static str, &'static str, &'static str, Run);

static OVERLOADS: LazyLock<HashMap<&'static str, Vec<Overload>>> = LazyLock::new(|| {
    let tables = [
        operators::TABLE,
        conversions::TABLE,
        strings::TABLE,
        moments::TABLE,
        lists::TABLE,
        sets::TABLE,
        optionals::TABLE,
        patterns::TABLE,
        urls::TABLE,
        quantities::TABLE,
        addresses::TABLE,
        formats::TABLE,
        semver::TABLE,
        RIGHTS,
    ];
    let mut all: HashMap<&'static str, Vec<Overload>> = HashMap::new();
    let comparisons = operators::comparisons();
    for row in tables.into_iter().flatten() {
        all.entry(row.1).or_default().push(signature::overload(row));
    }
    for overload in comparisons.into_iter().chain(formats::constants()) {
        all.entry(overload.name).or_default().push(overload);
    }
    all
});

/// The functions of a name.
pub(crate) fn overloads(name: &str) -> &'static [Overload] {
    OVERLOADS.get(name).map_or(&[], Vec::as_slice)
}

/// The type that a name means in an expression, as in `type(x) == string`.
pub(crate) fn type_named(name: &str) -> Option<Type> {
    Some(match name {
        "bool" => Type::Bool,
        "bytes" => Type::Bytes,
        "double" => Type::Double,
        "google.protobuf.Duration" => Type::Duration,
        "google.protobuf.Timestamp" => Type::Timestamp,
        "int" => Type::Int,
        "list" => Type::list(Type::Dyn),
        "map" => Type::map(Type::Dyn, Type::Dyn),
        "null_type" => Type::Null,
        "optional_type" => Type::optional(Type::Dyn),
        "string" => Type::String,
        "type" => Type::Type(Box::new(Type::Dyn)),
        "uint" => Type::Uint,
        _ => signature::NAMED.iter().find(|(_, known)| *known == name).map(|(_, known)| Type::Named(known))?,
    })
}

/// Whether a value can be an argument of this type, as far as it shows.
pub(crate) fn accepts(ty: &Type, value: &Value<'_>) -> bool {
    match (ty, value) {
        (Type::Dyn | Type::Param(_) | Type::Error, _) => true,
        (Type::Map(..) | Type::Object(_), Value::Map(_) | Value::Fields(_)) => true,
        (Type::Map(..) | Type::Object(_), _) => false,
        (ty, value) => ty.name() == value.type_of().name(),
    }
}

/// Makes a row whose function is told by its id alone.
macro_rules! rights {
    ($($id:literal $name:literal $signature:literal),* $(,)?) => {
        &[$(($id, $name, $signature, |args| rights::call($id, args))),*]
    };
}

const RIGHTS: &[Row] = rights![
    "authorizer_path" "path" ".authorizer, string -> path",
    "authorizer_group" "group" ".authorizer, string -> group",
    "authorizer_serviceaccount" "serviceAccount" ".authorizer, string, string -> authorizer",
    "groupcheck_resource" "resource" ".group, string -> resource",
    "resourcecheck_subresource" "subresource" ".resource, string -> resource",
    "resourcecheck_namespace" "namespace" ".resource, string -> resource",
    "resourcecheck_name" "name" ".resource, string -> resource",
    "authorizer_fieldselector" "fieldSelector" ".resource, string -> resource",
    "authorizer_labelselector" "labelSelector" ".resource, string -> resource",
    "pathcheck_check" "check" ".path, string -> decision",
    "resourcecheck_check" "check" ".resource, string -> decision",
    "decision_errored" "errored" ".decision -> bool",
    "decision_error" "error" ".decision -> string",
    "decision_allowed" "allowed" ".decision -> bool",
    "decision_reason" "reason" ".decision -> string",
];
