//! Types of expressions, and how they are written in messages.

use std::fmt;
use std::sync::Arc;

use crate::decl::Object;

/// The type of an expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Type {
    /// The type of what was found wrong; it fits everything, so that one mistake is told once.
    Error,
    /// Known only when it is evaluated.
    Dyn,
    /// `null`.
    Null,
    /// `bool`.
    Bool,
    /// `int`.
    Int,
    /// `uint`.
    Uint,
    /// `double`.
    Double,
    /// `string`.
    String,
    /// `bytes`.
    Bytes,
    /// `google.protobuf.Timestamp`.
    Timestamp,
    /// `google.protobuf.Duration`.
    Duration,
    /// `list(T)`.
    List(Box<Type>),
    /// `map(K, V)`.
    Map(Box<Type>, Box<Type>),
    /// `optional_type(T)`.
    Optional(Box<Type>),
    /// `type(T)`.
    Type(Box<Type>),
    /// A type with functions and no fields, as `kubernetes.Quantity`.
    Named(&'static str),
    /// An object with known fields.
    Object(Arc<Object>),
    /// A type that is found out, in the signature of a function.
    Param(Arc<str>),
}

impl Type {
    /// `list(T)`.
    #[must_use]
    pub fn list(items: Type) -> Self {
        Self::List(Box::new(items))
    }

    /// `map(K, V)`.
    #[must_use]
    pub fn map(keys: Type, values: Type) -> Self {
        Self::Map(Box::new(keys), Box::new(values))
    }

    /// `optional_type(T)`.
    #[must_use]
    pub fn optional(inner: Type) -> Self {
        Self::Optional(Box::new(inner))
    }

    pub(crate) fn param(name: &str) -> Self {
        Self::Param(name.into())
    }

    /// Whether anything goes.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Self::Dyn | Self::Error)
    }

    /// The type within an optional, and whether it was one.
    pub(crate) fn unwrapped(&self) -> (&Self, bool) {
        match self {
            Self::Optional(inner) => (inner, true),
            other => (other, false),
        }
    }

    /// The types within this one.
    pub(crate) fn parts(&self) -> Vec<&Self> {
        match self {
            Self::List(inner) | Self::Optional(inner) | Self::Type(inner) => vec![inner],
            Self::Map(key, value) => vec![key, value],
            _ => Vec::new(),
        }
    }

    /// Its own name, as `type(x)` tells it.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Error => "!error!",
            Self::Dyn => "dyn",
            Self::Null => "null_type",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Double => "double",
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::Timestamp => "google.protobuf.Timestamp",
            Self::Duration => "google.protobuf.Duration",
            Self::List(_) => "list",
            Self::Map(..) => "map",
            Self::Optional(_) => "optional_type",
            Self::Type(_) => "type",
            Self::Named(name) => name,
            Self::Object(object) => &object.name,
            Self::Param(name) => name,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.parts();
        match self {
            Self::Null => f.write_str("null"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Duration => f.write_str("duration"),
            _ if parts.is_empty() => f.write_str(self.name()),
            _ => {
                let parts: Vec<String> = parts.into_iter().map(Self::to_string).collect();
                write!(f, "{}({})", self.name(), parts.join(", "))
            }
        }
    }
}
