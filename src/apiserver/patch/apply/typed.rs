//! Values seen through their schema: which of them are leaves, which fields an object has, and how two differ. It must
//! not change values; `merge` does.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::fields::{FieldSet, Step};
use crate::schema::{Kind, ListType, Schema};

/// The schema of a value; nothing when it must be deduced from the value.
#[derive(Clone, Copy)]
pub(super) struct Type<'a>(pub(super) Option<&'a Schema>);

/// How a value is walked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shape<'a> {
    /// Owned whole: a scalar, an atomic list or map.
    Leaf,
    /// Owned field by field.
    Map,
    /// A set of scalars.
    Set,
    /// Objects by these keys.
    Keyed(&'a [String]),
}

impl<'a> Type<'a> {
    /// How this value of the type is walked. Null takes the type's own form.
    pub(super) fn shape(self, value: &Value) -> Shape<'a> {
        let Some(schema) = self.0.filter(|schema| schema.kind != Kind::Any) else {
            return match value {
                Value::Object(_) => Shape::Map,
                _ => Shape::Leaf,
            };
        };
        match (schema.kind, value) {
            (Kind::Object, Value::Object(_) | Value::Null) if !schema.atomic_map => Shape::Map,
            (Kind::Array, Value::Array(_) | Value::Null) => match &schema.list_type {
                ListType::Atomic => Shape::Leaf,
                ListType::Set => Shape::Set,
                ListType::Map(keys) => Shape::Keyed(keys),
            },
            _ => Shape::Leaf,
        }
    }

    /// The type of a field, and whether the schema names it.
    pub(super) fn field(self, name: &str) -> (Self, bool) {
        let Some(schema) = self.0 else {
            return (Self(None), false);
        };
        match schema.properties.get(name) {
            Some(field) => (Self(Some(field)), true),
            None => (Self(schema.additional.as_deref()), false),
        }
    }

    /// The type of a list's items.
    pub(super) fn items(self) -> Self {
        Self(self.0.and_then(|schema| schema.items.as_deref()))
    }

    /// The step to a list's item; `None` for one that has none of the keys, or is not what the list holds.
    pub(super) fn step(self, shape: Shape<'_>, item: &Value) -> Option<Step> {
        let keys = match shape {
            Shape::Set if !item.is_object() && !item.is_array() && !item.is_null() => {
                return Some(Step::value(item));
            }
            Shape::Keyed(keys) if item.is_object() => keys,
            _ => return None,
        };
        let default = |key: &str| {
            let field = self.items().0?.properties.get(key)?;
            field.default.as_ref()
        };
        let found: Map<String, Value> = keys
            .iter()
            .filter_map(|key| {
                let value = item.get(key).or_else(|| default(key))?;
                Some((key.clone(), value.clone()))
            })
            .collect();
        (!found.is_empty()).then(|| Step::key(found))
    }
}

/// Items of a list by their steps, in order; several of one step are kept.
pub(super) fn indexed<'v>(list: Type<'_>, shape: Shape<'_>, value: Option<&'v Value>) -> Vec<(Step, &'v Value)> {
    let items = value.and_then(Value::as_array);
    let items = items.map(Vec::as_slice).unwrap_or_default().iter();
    items.filter_map(|item| Some((list.step(shape, item)?, item))).collect()
}

/// Where a list that may hold each key once holds one twice, or holds what has no key.
pub(super) fn faults(of: Type<'_>, value: &Value, path: &str) -> Vec<String> {
    let shape = of.shape(value);
    let mut found = Vec::new();
    match (shape, value) {
        (Shape::Map, Value::Object(map)) => {
            for (name, value) in map {
                found.extend(faults(of.field(name).0, value, &format!("{path}.{name}")));
            }
        }
        (Shape::Set | Shape::Keyed(_), Value::Array(items)) => {
            let mut seen = BTreeSet::new();
            for (index, item) in items.iter().enumerate() {
                let Some(step) = of.step(shape, item) else {
                    found.push(format!(
                        "{path}: element {index}: associative list with keys has an element that omits all key fields"
                    ));
                    continue;
                };
                let mut one = FieldSet::default();
                one.insert(std::slice::from_ref(&step));
                let text = one.texts().concat();
                if !seen.insert(step) {
                    found.push(format!("{path}: duplicate entries for key {text}"));
                }
                found.extend(faults(of.items(), item, &format!("{path}{text}")));
            }
        }
        _ => {}
    }
    found
}

/// Every field that the value mentions.
pub(super) fn field_set(of: Type<'_>, value: &Value) -> FieldSet {
    let mut set = FieldSet::default();
    collect(of, value, &mut Vec::new(), &mut set);
    set
}

fn collect(of: Type<'_>, value: &Value, path: &mut Vec<Step>, set: &mut FieldSet) {
    let shape = of.shape(value);
    match shape {
        Shape::Leaf => set.insert(path),
        Shape::Map => {
            let Some(map) = value.as_object() else { return };
            for (name, value) in map {
                let (field, known) = of.field(name);
                path.push(Step::field(name));
                collect(field, value, path, set);
                let empty = value.is_null() || value.as_object().is_some_and(Map::is_empty);
                if empty || !known {
                    set.insert(path);
                }
                path.pop();
            }
        }
        Shape::Set | Shape::Keyed(_) => {
            let items = indexed(of, shape, Some(value));
            for (step, item) in &items {
                let twice = items.iter().filter(|(other, _)| other == step).count() > 1;
                path.push(step.clone());
                if !twice {
                    collect(of.items(), item, path, set);
                }
                set.insert(path);
                path.pop();
            }
        }
    }
}

/// How the second of two values differs from the first.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Comparison {
    /// Fields that only the first has.
    pub(super) removed: FieldSet,
    /// Fields that both have, with other values.
    pub(super) modified: FieldSet,
    /// Fields that only the second has.
    pub(super) added: FieldSet,
}

impl Comparison {
    /// Without these fields and all below them.
    pub(super) fn without(self, fields: &FieldSet) -> Self {
        Self {
            removed: self.removed.without_trees(fields),
            modified: self.modified.without_trees(fields),
            added: self.added.without_trees(fields),
        }
    }
}

/// Compares two values of one type.
pub(super) fn compare(of: Type<'_>, old: &Value, new: &Value) -> Comparison {
    let mut out = Comparison::default();
    differ(of, Some(old), Some(new), &mut Vec::new(), &mut out);
    out
}

fn differ(of: Type<'_>, old: Option<&Value>, new: Option<&Value>, path: &mut Vec<Step>, out: &mut Comparison) {
    // Null takes the other's form.
    let formed = new.filter(|new| !new.is_null()).or(old).or(new);
    let (Some(shape), old_shape) = (formed.map(|value| of.shape(value)), old.map(|value| of.shape(value))) else {
        return;
    };
    // A value that changes its form loses all it had and gains all it has.
    if let (Some(old_shape), Some(_)) = (old_shape, new)
        && old_shape != shape
        && !old.is_some_and(Value::is_null)
        && !new.is_some_and(Value::is_null)
    {
        children(of, old_shape, old, None, path, out);
        children(of, shape, None, new, path, out);
        out.modified.insert(path);
        return;
    }
    let bare = |value: Option<&Value>| {
        value.is_none_or(|value| match value {
            Value::Null => true,
            Value::Array(list) => list.is_empty(),
            Value::Object(map) => map.is_empty(),
            _ => false,
        })
    };
    if shape == Shape::Leaf || (bare(old) && bare(new)) {
        match (old, new) {
            (None, _) => out.added.insert(path),
            (_, None) => out.removed.insert(path),
            (Some(old), Some(new)) if old != new => out.modified.insert(path),
            _ => {}
        }
        return;
    }
    children(of, shape, old, new, path, out);
    if old.is_none() {
        out.added.insert(path);
    } else if new.is_none() {
        out.removed.insert(path);
    }
}

fn children(
    of: Type<'_>,
    shape: Shape<'_>,
    old: Option<&Value>,
    new: Option<&Value>,
    path: &mut Vec<Step>,
    out: &mut Comparison,
) {
    if shape == Shape::Leaf {
        return;
    }
    if shape == Shape::Map {
        let maps = [old, new].map(|value| value.and_then(Value::as_object));
        let names: BTreeSet<&String> = maps.iter().flatten().flat_map(|map| map.keys()).collect();
        for name in names {
            let [old, new] = maps.map(|map| map.and_then(|map| map.get(name)));
            path.push(Step::field(name));
            differ(of.field(name).0, old, new, path, out);
            path.pop();
        }
        return;
    }
    let mut items: BTreeMap<Step, [Vec<&Value>; 2]> = BTreeMap::new();
    for (side, value) in [old, new].into_iter().enumerate() {
        for (step, item) in indexed(of, shape, value) {
            items.entry(step).or_default()[side].push(item);
        }
    }
    for (step, [old, new]) in items {
        path.push(step);
        match (old.as_slice(), new.as_slice()) {
            ([] | [_], [] | [_]) => {
                let (old, new) = (old.first().copied(), new.first().copied());
                differ(of.items(), old, new, path, out);
            }
            // Items that are there several times are owned together.
            ([_, _, ..], [_, _, ..]) => {
                if old != new {
                    out.modified.insert(path);
                }
            }
            ([_, _, ..], rest) => {
                if let Some(new) = rest.first() {
                    differ(of.items(), None, Some(new), path, out);
                }
                out.removed.insert(path);
            }
            (rest, _) => {
                if let Some(old) = rest.first() {
                    differ(of.items(), Some(old), None, path, out);
                }
                out.added.insert(path);
            }
        }
        path.pop();
    }
}
