//! Bodies in protobuf, which typed clients in Go send by default: read into the JSON that says the same. Answers are always
//! JSON, which these clients accept. Upstream rule: k8s.io/apimachinery `pkg/runtime/serializer/protobuf`.

mod wire;

use std::collections::HashMap;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use wire::{Read, fields};

/// The media type of such bodies.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// What every body begins with.
const MAGIC: &[u8] = b"k8s\0";
/// How deep messages may lie in each other.
const DEPTH: usize = 64;

/// Why a body was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProtobufError {
    /// It does not begin as it should.
    #[error("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")]
    Magic,
    /// It ends too early, or says something that cannot be.
    #[error("proto: illegal data")]
    Illegal,
    /// The kind is not among those that are sent so.
    #[error("no kind \"{0}\" is known in protobuf")]
    Kind(String),
}

/// A kind of message.
#[derive(Debug)]
struct Message {
    package: &'static str,
    fields: HashMap<u64, Field>,
}

#[derive(Debug)]
struct Field {
    /// `^` where the fields are the parent's.
    name: &'static str,
    /// Zero is a value.
    pointer: bool,
    shape: Shape,
    kind: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    One,
    List,
    Map,
}

/// Messages by `PACKAGE.NAME`.
static MESSAGES: LazyLock<HashMap<String, Message>> = LazyLock::new(|| {
    let mut all = HashMap::new();
    let mut package = "";
    for line in include_str!("fields.txt").lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[') {
            package = name.trim_end_matches(']');
            continue;
        }
        let mut words = line.split(' ');
        let name = words.next().unwrap_or_default();
        let fields = words.filter_map(field).collect();
        all.insert(format!("{package}.{name}"), Message { package, fields });
    }
    all
});

fn field(word: &'static str) -> Option<(u64, Field)> {
    let (name, rest) = word.split_once('=')?;
    let split = rest.find(|c: char| !c.is_ascii_digit())?;
    let (number, rest) = rest.split_at(split);
    let (pointer, rest) = rest.strip_prefix('?').map_or((false, rest), |rest| (true, rest));
    let (shape, kind) = match rest.as_bytes().first()? {
        b'*' => (Shape::List, &rest[1..]),
        b'%' => (Shape::Map, &rest[1..]),
        _ => (Shape::One, rest),
    };
    Some((number.parse().ok()?, Field { name, pointer, shape, kind }))
}

/// The object in a body.
pub(crate) fn decode(body: &[u8]) -> Result<Value, ProtobufError> {
    let body = body.strip_prefix(MAGIC).ok_or(ProtobufError::Magic)?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    for (number, read) in fields(body)? {
        match (number, read) {
            (1, Read::Bytes(meta)) => {
                for (number, read) in fields(meta)? {
                    match (number, read) {
                        (1, Read::Bytes(bytes)) => api_version = text(bytes)?,
                        (2, Read::Bytes(bytes)) => kind = text(bytes)?,
                        _ => {}
                    }
                }
            }
            (2, Read::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let unknown = || ProtobufError::Kind(format!("{kind} in {api_version}"));
    let name = format!("{}.{kind}", package_of(&api_version, &kind));
    let message = MESSAGES.get(&name).ok_or_else(unknown)?;
    let mut object = read_message(message, raw, DEPTH)?;
    object.insert("apiVersion".to_owned(), api_version.into());
    object.insert("kind".to_owned(), kind.into());
    Ok(object.into())
}

/// The package of an API version: its group's first word.
fn package_of(api_version: &str, kind: &str) -> String {
    if kind == "DeleteOptions" {
        return "meta/v1".to_owned();
    }
    match api_version.split_once('/') {
        None => format!("core/{api_version}"),
        Some((group, version)) => format!("{}/{version}", group.split('.').next().unwrap_or_default()),
    }
}

fn read_message(message: &Message, bytes: &[u8], depth: usize) -> Result<Map<String, Value>, ProtobufError> {
    let depth = depth.checked_sub(1).ok_or(ProtobufError::Illegal)?;
    let mut object = Map::new();
    for (number, read) in fields(bytes)? {
        let Some(field) = message.fields.get(&number) else { continue };
        match field.shape {
            Shape::Map => {
                let Read::Bytes(entry) = read else { return Err(ProtobufError::Illegal) };
                let (key, value) = entry_of(message, field, entry, depth)?;
                match object.entry(field.name).or_insert_with(|| json!({})) {
                    Value::Object(map) => map.insert(key, value),
                    _ => return Err(ProtobufError::Illegal),
                };
            }
            Shape::List => {
                let value = value_of(message, field, read, depth)?;
                match object.entry(field.name).or_insert_with(|| json!([])) {
                    Value::Array(list) => list.push(value),
                    _ => return Err(ProtobufError::Illegal),
                }
            }
            Shape::One => match value_of(message, field, read, depth)? {
                Value::Object(inner) if field.name == "^" => object.extend(inner),
                value if !field.pointer && is_zero(&value) => {}
                value => {
                    object.insert(field.name.to_owned(), value);
                }
            },
        }
    }
    Ok(object)
}

fn entry_of(message: &Message, field: &Field, entry: &[u8], depth: usize) -> Result<(String, Value), ProtobufError> {
    let mut key = String::new();
    let mut value = match field.kind {
        "s" | "y" => "".into(),
        _ => Value::Null,
    };
    for (number, read) in fields(entry)? {
        match (number, read) {
            (1, Read::Bytes(bytes)) => key = text(bytes)?,
            (2, read) => value = value_of(message, field, read, depth)?,
            _ => {}
        }
    }
    Ok((key, value))
}

fn value_of(message: &Message, field: &Field, read: Read<'_>, depth: usize) -> Result<Value, ProtobufError> {
    match (field.kind, read) {
        // A number is two's complement of 64 bits, whatever its type.
        ("i", Read::Number(number)) => Ok(number.cast_signed().into()),
        ("b", Read::Number(number)) => Ok((number != 0).into()),
        ("d", Read::Number(bits)) => Ok(double(f64::from_bits(bits))),
        ("s", Read::Bytes(bytes)) => Ok(text(bytes)?.into()),
        ("y", Read::Bytes(bytes)) => Ok(STANDARD.encode(bytes).into()),
        (kind, Read::Bytes(bytes)) => match special(kind, bytes) {
            Some(value) => value,
            None => {
                let name = match kind.split_once('.') {
                    Some(_) => kind.to_owned(),
                    None => format!("{}.{kind}", message.package),
                };
                let inner = MESSAGES.get(&name).ok_or(ProtobufError::Kind(name))?;
                let object = read_message(inner, bytes, depth)?;
                Ok(if kind.starts_with(EITHER) { either(object) } else { object.into() })
            }
        },
        _ => Err(ProtobufError::Illegal),
    }
}

/// How the types of schemas begin that are a schema or something else.
const EITHER: &str = "JSONSchemaPropsOr";

/// A schema, or what stands in its place: several, names of properties, or whether anything is allowed.
fn either(mut object: Map<String, Value>) -> Value {
    let found = ["schema", "jSONSchemas", "property"].into_iter().find_map(|name| object.remove(name));
    found.unwrap_or_else(|| object.contains_key("allows").into())
}

/// A number as Go writes it in JSON: whole ones without a point.
fn double(number: f64) -> Value {
    let whole = number as i64;
    if whole as f64 == number { whole.into() } else { number.into() }
}

/// Types whose JSON is not an object of their fields.
fn special(kind: &str, bytes: &[u8]) -> Option<Result<Value, ProtobufError>> {
    let read: fn(&[u8]) -> Result<Value, ProtobufError> = match kind {
        "Time" => |bytes| time(bytes, false),
        "MicroTime" => |bytes| time(bytes, true),
        "Quantity" => |bytes| Ok(first_text(bytes)?.into()),
        "Raw" | "JSON" | "Fields" => |bytes| match first_bytes(bytes)? {
            [] => Ok(Value::Null),
            raw => serde_json::from_slice(raw).map_err(|_| ProtobufError::Illegal),
        },
        "List" => |bytes| {
            let all = fields(bytes)?.into_iter().map(|(_, read)| match read {
                Read::Bytes(bytes) => text(bytes).map(Value::from),
                Read::Number(_) => Err(ProtobufError::Illegal),
            });
            all.collect::<Result<Vec<_>, _>>().map(Value::from)
        },
        "IntOrString" => |bytes| {
            let (mut is_text, mut number, mut words) = (false, 0, String::new());
            for (at, read) in fields(bytes)? {
                match (at, read) {
                    (1, Read::Number(kind)) => is_text = kind != 0,
                    (2, Read::Number(value)) => number = value.cast_signed(),
                    (3, Read::Bytes(bytes)) => words = text(bytes)?,
                    _ => {}
                }
            }
            Ok(if is_text { words.into() } else { number.into() })
        },
        _ => return None,
    };
    Some(read(bytes))
}

fn time(bytes: &[u8], micro: bool) -> Result<Value, ProtobufError> {
    let (mut seconds, mut nanos) = (None, 0);
    for (at, read) in fields(bytes)? {
        match (at, read) {
            (1, Read::Number(value)) => seconds = Some(value.cast_signed()),
            (2, Read::Number(value)) => nanos = i32::try_from(value).unwrap_or(0),
            _ => {}
        }
    }
    let Some(seconds) = seconds else { return Ok(Value::Null) };
    let at = Timestamp::new(seconds, nanos).map_err(|_| ProtobufError::Illegal)?;
    let form = if micro { "%Y-%m-%dT%H:%M:%S.%6fZ" } else { "%Y-%m-%dT%H:%M:%SZ" };
    Ok(at.strftime(form).to_string().into())
}

fn first_bytes(bytes: &[u8]) -> Result<&[u8], ProtobufError> {
    let first = fields(bytes)?.into_iter().find_map(|(at, read)| match (at, read) {
        (1, Read::Bytes(bytes)) => Some(bytes),
        _ => None,
    });
    Ok(first.unwrap_or_default())
}

fn first_text(bytes: &[u8]) -> Result<String, ProtobufError> {
    text(first_bytes(bytes)?)
}

fn text(bytes: &[u8]) -> Result<String, ProtobufError> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| ProtobufError::Illegal)
}

/// What Go leaves out of JSON.
fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(_) => false,
    }
}

#[cfg(test)]
mod tests;
