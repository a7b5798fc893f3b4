//! Reading a body into a built-in type as Kubernetes' decoder does: unknown fields are named and dropped, wrong types are
//! errors in its words, and what its encoder would leave out or write differently is brought into that form.

use serde_json::{Map, Value};
use tinderbox_api::quantity::Quantity;

use super::{Checked, Path, format};
use crate::schema::builtin::merge::short;
use crate::schema::{Kind, Schema};

/// Reads a whole object.
pub(super) fn decode(schema: &Schema, value: &mut Value, checked: &mut Checked) {
    if !value.is_object() {
        let text = format!("json: cannot unmarshal {} into Go value of type {}", json_type(value), go_type(schema));
        checked.undecodable.get_or_insert(text);
        return;
    }
    decode_at(schema, value, &Path::default(), "", checked);
}

/// Reads the value at `path`; `owner` is the type of the struct whose field it is.
pub(super) fn decode_at(schema: &Schema, value: &mut Value, path: &Path, owner: &str, checked: &mut Checked) {
    let at = Place { path: path.clone(), go_path: path.to_string(), owner: owner.to_owned() };
    read(schema, value, &at, checked);
}

/// Where a value stands: with indices for unknown fields, without and with the type's name for wrong types.
struct Place {
    path: Path,
    go_path: String,
    owner: String,
}

impl Place {
    fn field(&self, owner: &str, name: &str) -> Self {
        let go_path = if self.go_path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.go_path) };
        Self { path: self.path.field(name), go_path, owner: owner.to_owned() }
    }

    fn index(&self, index: usize) -> Self {
        Self { path: self.path.index(index), go_path: self.go_path.clone(), owner: self.owner.clone() }
    }

    fn wrong_type(&self, value: &Value, wanted: &str) -> String {
        let found = match value {
            Value::Number(number) if !wanted.starts_with(['[', 'm', 's', 'v', 'b']) => format!("number {number}"),
            other => json_type(other).to_owned(),
        };
        format!("json: cannot unmarshal {found} into Go struct field {}.{} of type {wanted}", self.owner, self.go_path)
    }
}

fn read(schema: &Schema, value: &mut Value, at: &Place, checked: &mut Checked) {
    if schema.preserve_unknown && schema.properties.is_empty() {
        return;
    }
    let outcome = match (schema.kind, &mut *value) {
        (_, Value::Null) => Ok(()),
        (Kind::Object, Value::Object(fields)) => {
            match &schema.additional {
                Some(additional) => read_map(additional, fields, at, checked),
                None => read_struct(schema, fields, at, checked),
            }
            Ok(())
        }
        (Kind::Array, Value::Array(items)) => {
            for (index, item) in items.iter_mut().enumerate() {
                if let Some(schema) = &schema.items {
                    read(schema, item, &at.index(index), checked);
                }
            }
            Ok(())
        }
        (Kind::String, Value::String(text)) => format::native_string(rule_format(schema), text),
        (Kind::Integer, Value::Number(number)) => match (number.as_i64(), rule_format(schema)) {
            (Some(number), "int32") if i32::try_from(number).is_err() => Err(at.wrong_type(value, "int32")),
            (Some(_), _) => Ok(()),
            (None, _) => Err(at.wrong_type(value, &go_type(schema))),
        },
        (Kind::Boolean, Value::Bool(_)) | (Kind::Number, Value::Number(_)) | (Kind::Any, _) => Ok(()),
        (Kind::IntOrString, _) => read_int_or_string(schema, value, at),
        _ => Err(at.wrong_type(value, &go_type(schema))),
    };
    if let Err(text) = outcome {
        checked.undecodable.get_or_insert(text);
    }
}

fn read_struct(schema: &Schema, fields: &mut Map<String, Value>, at: &Place, checked: &mut Checked) {
    let owner = schema.definition.as_deref().and_then(|name| name.rsplit('.').next()).unwrap_or_default();
    fields.retain(|name, value| {
        let Some(property) = schema.properties.get(name) else {
            checked.unknown.push(format!("unknown field \"{}\"", at.path.field(name)));
            return false;
        };
        read(property, value, &at.field(owner, name), checked);
        // An empty list of managed fields is a wish to forget them; elsewhere "empty" is "absent".
        let empty = match value {
            Value::Null => true,
            Value::Array(items) => items.is_empty() && name != "managedFields",
            Value::Object(entries) => entries.is_empty() && property.additional.is_some(),
            _ => false,
        };
        !empty || (!value.is_null() && schema.required.contains(name))
    });
}

fn read_map(schema: &Schema, fields: &mut Map<String, Value>, at: &Place, checked: &mut Checked) {
    for (name, value) in fields {
        if value.is_null() && schema.kind == Kind::String {
            *value = Value::from("");
        }
        let inside = Place { path: at.path.field(name), go_path: at.go_path.clone(), owner: at.owner.clone() };
        read(schema, value, &inside, checked);
    }
}

fn read_int_or_string(schema: &Schema, value: &mut Value, at: &Place) -> Result<(), String> {
    if rule_format(schema) == "quantity" {
        let text = match &*value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let quantity: Quantity = text.parse().map_err(|error| format!("{error}"))?;
        // Finer than thousandths: kept as written.
        if !text.ends_with(['n', 'u']) {
            *value = Value::from(quantity.to_string());
        }
        return Ok(());
    }
    match value {
        Value::String(_) => Ok(()),
        Value::Number(number) if number.as_i64().is_some_and(|number| i32::try_from(number).is_ok()) => Ok(()),
        _ => Err(at.wrong_type(value, "int32")),
    }
}

fn rule_format(schema: &Schema) -> &str {
    schema.rules.get("format").and_then(Value::as_str).unwrap_or_default()
}

fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The name of the type in Kubernetes' own code, as in `[]v1.Volume`.
fn go_type(schema: &Schema) -> String {
    match (schema.kind, &schema.definition) {
        (Kind::String, _) => "string".to_owned(),
        (Kind::Boolean, _) => "bool".to_owned(),
        (Kind::Number, _) => "float64".to_owned(),
        (Kind::Integer, _) if rule_format(schema) == "int32" => "int32".to_owned(),
        (Kind::Integer, _) => "int64".to_owned(),
        (Kind::Array, _) => format!("[]{}", schema.items.as_deref().map_or_else(|| "any".to_owned(), go_type)),
        (Kind::Object, None) => {
            format!("map[string]{}", schema.additional.as_deref().map_or_else(|| "any".to_owned(), go_type))
        }
        (_, Some(definition)) => {
            short(definition).split_once('.').map_or_else(|| definition.to_string(), |(_, name)| name.to_owned())
        }
        (Kind::Any | Kind::IntOrString, None) => "any".to_owned(),
    }
}
