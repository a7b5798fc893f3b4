//! Values of expressions. JSON is looked at where it lies; what an expression makes itself is owned.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value as Json;

use crate::decl::{Decl, ListKind, Object};
use crate::error::Error;
use crate::json::view;
use crate::library::kubernetes::Kubernetes;
use crate::rights::RightsValue;
use crate::types::Type;

/// A value.
#[derive(Clone)]
pub enum Value<'a> {
    /// `null`.
    Null,
    /// A boolean.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number without a sign.
    Uint(u64),
    /// A number.
    Double(f64),
    /// A text.
    String(Text<'a>),
    /// Bytes.
    Bytes(Arc<[u8]>),
    /// A moment.
    Timestamp(Timestamp),
    /// Nanoseconds.
    Duration(i64),
    /// A list.
    List(List<'a>),
    /// A map, or an object of JSON.
    Map(Map<'a>),
    /// A value that may be absent.
    Optional(Option<Rc<Value<'a>>>),
    /// The name of a type.
    Type(Type),
    /// A quantity, a URL, an address and the like.
    Kubernetes(Arc<Kubernetes>),
    /// A question about rights, or its answer.
    Rights(RightsValue<'a>),
    /// An object whose fields are worked out when they are asked for.
    Fields(Rc<dyn Fields<'a> + 'a>),
}

/// Fields that are worked out when they are asked for.
pub trait Fields<'a> {
    /// The value of a field; `None` where there is no such field.
    fn get(&self, name: &str) -> Option<Result<Value<'a>, Error>>;
}

/// A text, borrowed or owned.
#[derive(Debug, Clone)]
pub enum Text<'a> {
    /// A text of the JSON that is looked at.
    Borrowed(&'a str),
    /// A text that an expression made.
    Owned(Arc<str>),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Owned(text) => text,
        }
    }
}

/// A list.
#[derive(Clone)]
pub enum List<'a> {
    /// A list of JSON, whose items are declared.
    Json(&'a [Json], &'a Decl, &'a ListKind),
    /// A list that an expression made.
    Values(Rc<Vec<Value<'a>>>),
}

/// A map.
#[derive(Clone)]
pub enum Map<'a> {
    /// An object of JSON, all of whose values are declared alike.
    Json(&'a serde_json::Map<String, Json>, &'a Decl),
    /// An object of JSON whose fields are declared.
    Object(&'a serde_json::Map<String, Json>, &'a Object),
    /// A map that an expression made.
    Values(Rc<BTreeMap<Key, Value<'a>>>),
}

/// A key of a map.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A boolean.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number beyond what has a sign.
    Uint(u64),
    /// A text.
    String(Arc<str>),
}

impl Key {
    /// The key that a value is; numbers that are equal are one key.
    pub(crate) fn of(value: &Value<'_>) -> Option<Self> {
        match value {
            Value::Bool(value) => Some(Self::Bool(*value)),
            Value::Int(value) => Some(Self::Int(*value)),
            Value::Uint(value) => Some(i64::try_from(*value).map_or(Self::Uint(*value), Self::Int)),
            Value::Double(value) if value.fract() == 0.0 => {
                // Beyond 2^63 no double is exact enough to be told from its neighbours.
                (value.abs() < 9.2e18).then_some(Self::Int(*value as i64))
            }
            Value::String(text) => Some(Self::String((&**text).into())),
            _ => None,
        }
    }

    pub(crate) fn value<'a>(&self) -> Value<'a> {
        match self {
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(value) => Value::Int(*value),
            Self::Uint(value) => Value::Uint(*value),
            Self::String(text) => Value::String(Text::Owned(Arc::clone(text))),
        }
    }
}

impl<'a> List<'a> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Json(items, ..) => items.len(),
            Self::Values(items) => items.len(),
        }
    }

    pub(crate) fn get(&self, index: usize) -> Option<Result<Value<'a>, Error>> {
        match self {
            Self::Json(items, decl, _) => items.get(index).map(|item| view(item, decl)),
            Self::Values(items) => items.get(index).cloned().map(Ok),
        }
    }

    /// All items.
    pub(crate) fn items(&self) -> Result<Vec<Value<'a>>, Error> {
        (0..self.len()).filter_map(|index| self.get(index)).collect()
    }
}

impl<'a> Map<'a> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Json(fields, _) => fields.len(),
            Self::Object(fields, _) => fields.len(),
            Self::Values(entries) => entries.len(),
        }
    }

    /// The value of a key of a text.
    pub(crate) fn field(&self, name: &str) -> Option<Result<Value<'a>, Error>> {
        match self {
            Self::Json(fields, decl) => fields.get(name).map(|value| view(value, decl)),
            Self::Object(fields, object) => {
                let field = object.fields.get(name).or_else(|| object.fields.get(&format!("__{name}__")))?;
                // Of an object with known fields, one that is null is absent.
                fields.get(&field.name).filter(|value| !value.is_null()).map(|value| view(value, &field.decl))
            }
            Self::Values(entries) => entries.get(&Key::String(name.into())).cloned().map(Ok),
        }
    }

    pub(crate) fn get(&self, key: &Value<'a>) -> Option<Result<Value<'a>, Error>> {
        match (self, key) {
            (Self::Values(entries), key) => entries.get(&Key::of(key)?).cloned().map(Ok),
            (_, Value::String(name)) => self.field(name),
            _ => None,
        }
    }

    pub(crate) fn keys(&self) -> Vec<Value<'a>> {
        match self {
            Self::Json(fields, _) => fields.keys().map(|key| Value::String(Text::Borrowed(key))).collect(),
            Self::Object(fields, object) => {
                let known = object.fields.iter().filter(|(_, field)| fields.contains_key(&field.name));
                known.map(|(name, _)| Value::String(Text::Borrowed(name))).collect()
            }
            Self::Values(entries) => entries.keys().map(Key::value).collect(),
        }
    }
}

impl<'a> Value<'a> {
    /// A text that is owned.
    #[must_use]
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Self::String(Text::Owned(text.into()))
    }

    pub(crate) fn list(items: Vec<Value<'a>>) -> Self {
        Self::List(List::Values(Rc::new(items)))
    }

    pub(crate) fn map(entries: BTreeMap<Key, Value<'a>>) -> Self {
        Self::Map(Map::Values(Rc::new(entries)))
    }

    /// An optional with this value.
    #[must_use]
    pub fn some(value: Value<'a>) -> Self {
        Self::Optional(Some(Rc::new(value)))
    }

    pub(crate) fn kubernetes(value: Kubernetes) -> Self {
        Self::Kubernetes(Arc::new(value))
    }

    /// Its type, as `type(x)` tells it.
    pub(crate) fn type_of(&self) -> Type {
        match self {
            Self::Null => Type::Null,
            Self::Bool(_) => Type::Bool,
            Self::Int(_) => Type::Int,
            Self::Uint(_) => Type::Uint,
            Self::Double(_) => Type::Double,
            Self::String(_) => Type::String,
            Self::Bytes(_) => Type::Bytes,
            Self::Timestamp(_) => Type::Timestamp,
            Self::Duration(_) => Type::Duration,
            Self::List(_) => Type::list(Type::Dyn),
            Self::Map(_) | Self::Fields(_) => Type::map(Type::Dyn, Type::Dyn),
            Self::Optional(_) => Type::optional(Type::Dyn),
            Self::Type(_) => Type::Type(Box::new(Type::Dyn)),
            Self::Kubernetes(value) => Type::Named(value.type_name()),
            Self::Rights(value) => Type::Named(value.type_name()),
        }
    }

    /// Whether two values are equal; numbers are by what they count, whatever their type.
    pub(crate) fn equals(&self, other: &Value<'a>) -> Result<bool, Error> {
        Ok(match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(one), Self::Bool(other)) => one == other,
            (Self::Int(_) | Self::Uint(_) | Self::Double(_), Self::Int(_) | Self::Uint(_) | Self::Double(_)) => {
                compare_numbers(self, other) == Some(Ordering::Equal)
            }
            (Self::String(one), Self::String(other)) => **one == **other,
            (Self::Bytes(one), Self::Bytes(other)) => one == other,
            (Self::Timestamp(one), Self::Timestamp(other)) => one == other,
            (Self::Duration(one), Self::Duration(other)) => one == other,
            (Self::List(one), Self::List(other)) => crate::library::lists::equal(one, other)?,
            (Self::Map(one), Self::Map(other)) => equal_maps(one, other)?,
            (Self::Optional(one), Self::Optional(other)) => match (one, other) {
                (None, None) => true,
                (Some(one), Some(other)) => one.equals(other)?,
                _ => false,
            },
            (Self::Type(one), Self::Type(other)) => one.name() == other.name(),
            (Self::Kubernetes(one), Self::Kubernetes(other)) => one == other,
            _ => false,
        })
    }

    /// Which of two values comes first.
    pub(crate) fn compare(&self, other: &Value<'a>) -> Result<Ordering, Error> {
        match (self, other) {
            (Self::Bool(one), Self::Bool(other)) => Ok(one.cmp(other)),
            (Self::Int(_) | Self::Uint(_) | Self::Double(_), Self::Int(_) | Self::Uint(_) | Self::Double(_)) => {
                compare_numbers(self, other).ok_or_else(|| Error::new("NaN values cannot be ordered"))
            }
            (Self::String(one), Self::String(other)) => Ok((**one).cmp(&**other)),
            (Self::Bytes(one), Self::Bytes(other)) => Ok(one.cmp(other)),
            (Self::Timestamp(one), Self::Timestamp(other)) => Ok(one.cmp(other)),
            (Self::Duration(one), Self::Duration(other)) => Ok(one.cmp(other)),
            _ => Err(Error::no_such_overload()),
        }
    }
}

fn compare_numbers(one: &Value<'_>, other: &Value<'_>) -> Option<Ordering> {
    match (one, other) {
        (Value::Int(one), Value::Int(other)) => Some(one.cmp(other)),
        (Value::Uint(one), Value::Uint(other)) => Some(one.cmp(other)),
        (Value::Double(one), Value::Double(other)) => one.partial_cmp(other),
        (Value::Int(one), Value::Uint(other)) => Some(i128::from(*one).cmp(&i128::from(*other))),
        (Value::Uint(one), Value::Int(other)) => Some(i128::from(*one).cmp(&i128::from(*other))),
        (Value::Int(one), Value::Double(other)) => (*one as f64).partial_cmp(other),
        (Value::Uint(one), Value::Double(other)) => (*one as f64).partial_cmp(other),
        (Value::Double(_), Value::Int(_) | Value::Uint(_)) => compare_numbers(other, one).map(Ordering::reverse),
        _ => None,
    }
}

fn equal_maps<'a>(one: &Map<'a>, other: &Map<'a>) -> Result<bool, Error> {
    if one.len() != other.len() {
        return Ok(false);
    }
    if let (Map::Object(fields, object), Map::Object(others, _)) = (one, other) {
        let known = |name: &String| object.fields.values().any(|field| field.name == *name);
        let differs =
            |(name, value): (&String, &Json)| !known(name) && others.get(name).is_some_and(|other| other != value);
        if fields.iter().any(differs) {
            return Ok(false);
        }
    }
    for key in one.keys() {
        let equal = match (one.get(&key), other.get(&key)) {
            (Some(value), Some(counterpart)) => value?.equals(&counterpart?)?,
            (None, None) => true,
            _ => false,
        };
        if !equal {
            return Ok(false);
        }
    }
    Ok(true)
}
