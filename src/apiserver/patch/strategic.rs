//! Strategic merge patch: lists merge by the keys that the schema names, and directives (`$patch`, `$retainKeys`,
//! `$setElementOrder/…`, `$deleteFromPrimitiveList/…`) say what a plain merge cannot.

use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::schema::Schema;

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const ORDER: &str = "$setElementOrder/";
const DELETE: &str = "$deleteFromPrimitiveList/";

type Object = Map<String, Value>;

/// The result of a strategic merge patch; `schema` is the kind's.
///
/// # Errors
/// BadRequest for a patch that contradicts itself or lacks a merge key.
pub fn strategic(current: &Value, patch: &Value, schema: &Schema) -> Result<Value, ApiError> {
    let (Value::Object(current), Value::Object(patch)) = (current, patch) else {
        return Err(bad("a strategic merge patch is an object"));
    };
    merge_object(current.clone(), patch.clone(), Some(schema)).map(Value::Object)
}

fn bad(message: impl Into<String>) -> ApiError {
    ApiError::bad_request(message)
}

fn merge_object(mut original: Object, mut patch: Object, schema: Option<&Schema>) -> Result<Object, ApiError> {
    match patch.remove(DIRECTIVE) {
        None => {}
        Some(Value::String(text)) if text == "merge" => {}
        Some(Value::String(text)) if text == "replace" => return Ok(without_directives(patch)),
        Some(Value::String(text)) if text == "delete" => return Ok(Object::new()),
        Some(other) => return Err(bad(format!("unknown patch type: {other}"))),
    }
    retain_keys(&mut original, &mut patch)?;

    let orders: Vec<String> = patch.keys().filter_map(|key| key.strip_prefix(ORDER).map(str::to_owned)).collect();
    for field in orders {
        let order = patch.remove(&format!("{ORDER}{field}"));
        let Some(Value::Array(order)) = order else {
            return Err(bad(format!("{ORDER}{field} is not a list")));
        };
        let strategy = Strategy::of(schema, &field);
        let listed = list_or_absent(patch.remove(&field), &field)?;
        let live = list_or_absent(original.get(&field).cloned(), &field)?;
        check_order(listed.as_deref().unwrap_or_default(), &order, strategy.key)?;
        let merged = match (&live, listed) {
            (None, None) => continue,
            (Some(live), None) => live.clone(),
            (None, Some(listed)) => merge_list(Vec::new(), listed, &strategy)?,
            (Some(live), Some(listed)) if strategy.merges => merge_list(live.clone(), listed, &strategy)?,
            (Some(_), Some(listed)) => listed,
        };
        let live = live.unwrap_or_default();
        let ordered = in_order(merged, &order, &live, strategy.key);
        original.insert(field, Value::Array(ordered));
    }

    for (name, value) in patch {
        if let Some(field) = name.strip_prefix(DELETE) {
            delete_from_list(&mut original, field, &value)?;
            continue;
        }
        if value.is_null() {
            original.remove(&name);
            continue;
        }
        let merged = match (original.remove(&name), value) {
            (Some(Value::Object(live)), Value::Object(patch)) => {
                Value::Object(merge_object(live, patch, field_of(schema, &name))?)
            }
            (Some(Value::Array(live)), Value::Array(patch)) => {
                let strategy = Strategy::of(schema, &name);
                Value::Array(if strategy.merges {
                    let order = patch.clone();
                    let merged = merge_list(live.clone(), patch, &strategy)?;
                    in_order(merged, &order, &live, strategy.key)
                } else {
                    patch
                })
            }
            (_, Value::Object(patch)) => Value::Object(merge_object(Object::new(), patch, field_of(schema, &name))?),
            (_, Value::Array(patch)) => {
                let strategy = Strategy::of(schema, &name);
                if strategy.merges {
                    Value::Array(merge_list(Vec::new(), patch, &strategy)?)
                } else {
                    Value::Array(patch)
                }
            }
            (_, scalar) => scalar,
        };
        original.insert(name, merged);
    }
    Ok(original)
}

/// How a list merges.
struct Strategy<'a> {
    merges: bool,
    key: Option<&'a str>,
    items: Option<&'a Schema>,
}

impl<'a> Strategy<'a> {
    fn of(schema: Option<&'a Schema>, field: &str) -> Self {
        let list = field_of(schema, field);
        Self {
            merges: list.is_some_and(|list| list.patch_merge),
            key: list.and_then(|list| list.patch_merge_key.as_deref()),
            items: list.and_then(|list| list.items.as_deref()),
        }
    }
}

fn field_of<'a>(schema: Option<&'a Schema>, name: &str) -> Option<&'a Schema> {
    let schema = schema?;
    let field = schema.properties.get(name);
    field.or(schema.additional.as_ref()).map(AsRef::as_ref)
}

/// `$retainKeys`: fields that it does not list go.
fn retain_keys(original: &mut Object, patch: &mut Object) -> Result<(), ApiError> {
    let Some(listed) = patch.remove(RETAIN_KEYS) else {
        return Ok(());
    };
    let Value::Array(listed) = listed else {
        return Err(bad("invalid patch format of retainKeys"));
    };
    let kept = |key: &str| listed.iter().any(|one| one == key);
    let foreign = patch
        .iter()
        .any(|(key, value)| !value.is_null() && !key.starts_with(DELETE) && !key.starts_with(ORDER) && !kept(key));
    if foreign {
        return Err(bad("invalid patch format of retainKeys"));
    }
    original.retain(|key, _| kept(key));
    Ok(())
}

fn delete_from_list(original: &mut Object, field: &str, gone: &Value) -> Result<(), ApiError> {
    let Value::Array(gone) = gone else {
        return Err(bad(format!("{DELETE}{field} is not a list")));
    };
    if let Some(Value::Array(list)) = original.get_mut(field) {
        list.retain(|one| !gone.contains(one));
    }
    Ok(())
}

fn list_or_absent(value: Option<Value>, field: &str) -> Result<Option<Vec<Value>>, ApiError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(list)) => Ok(Some(list)),
        Some(_) => Err(bad(format!("{field} is not a list"))),
    }
}

fn merge_list(mut original: Vec<Value>, patch: Vec<Value>, strategy: &Strategy<'_>) -> Result<Vec<Value>, ApiError> {
    let objects = patch.iter().chain(&original).any(Value::is_object);
    if !objects {
        for value in patch {
            if !original.contains(&value) {
                original.push(value);
            }
        }
        return Ok(original);
    }
    let Some(key) = strategy.key else {
        return Err(bad("cannot merge lists without merge key for type struct"));
    };
    let mut plain = Vec::with_capacity(patch.len());
    let mut replaces = false;
    for item in patch {
        let Value::Object(mut item) = item else {
            return Err(bad("a list to be merged by a key holds objects alone"));
        };
        let directive = item.get(DIRECTIVE).and_then(Value::as_str).map(str::to_owned);
        match directive.as_deref() {
            None => plain.push(item),
            Some("delete") => {
                let wanted = item.get(key).ok_or_else(|| no_key(&item, key))?;
                original.retain(|one| one.get(key) != Some(wanted));
            }
            // Inside one item: the item takes the place of the live one. Alone: the whole list is replaced.
            Some("replace") => {
                item.remove(DIRECTIVE);
                replaces = true;
                if !item.is_empty() {
                    plain.push(item);
                }
            }
            Some("merge") => {
                item.remove(DIRECTIVE);
                plain.push(item);
            }
            Some(other) => return Err(bad(format!("unknown patch type: {other}"))),
        }
    }
    if replaces {
        let replaced = plain.into_iter().map(|item| Value::Object(without_directives(item)));
        return Ok(replaced.collect());
    }
    for item in plain {
        let wanted = item.get(key).ok_or_else(|| no_key(&item, key))?.clone();
        let place = original.iter().position(|one| one.get(key) == Some(&wanted));
        let live = match place {
            Some(index) => match original[index].take() {
                Value::Object(live) => live,
                _ => Object::new(),
            },
            None => Object::new(),
        };
        let merged = Value::Object(merge_object(live, item, strategy.items)?);
        match place {
            Some(index) => original[index] = merged,
            None => original.push(merged),
        }
    }
    Ok(original)
}

fn no_key(item: &Object, key: &str) -> ApiError {
    let item = Value::Object(item.clone());
    bad(format!("map: {item} does not contain declared merge key: {key}"))
}

/// The patch's items must be in the order that the directive gives.
fn check_order(listed: &[Value], order: &[Value], key: Option<&str>) -> Result<(), ApiError> {
    let mut from = 0;
    for item in listed {
        if key.is_some() && item.get(DIRECTIVE).is_some() {
            continue;
        }
        match order[from..].iter().position(|one| same(one, item, key)) {
            Some(at) => from += at + 1,
            None => {
                return Err(bad("The order in patch list doesn't match $setElementOrder list"));
            }
        }
    }
    Ok(())
}

fn same(one: &Value, other: &Value, key: Option<&str>) -> bool {
    match key {
        Some(key) if one.is_object() && other.is_object() => one.get(key) == other.get(key),
        _ => one == other,
    }
}

/// Items that `order` names come in its order; the others stay where they were in `live` relative to them.
fn in_order(merged: Vec<Value>, order: &[Value], live: &[Value], key: Option<&str>) -> Vec<Value> {
    let index = |list: &[Value], item: &Value| list.iter().position(|one| same(one, item, key));
    let (mut named, mut rest): (Vec<Value>, Vec<Value>) =
        merged.into_iter().partition(|item| index(order, item).is_some());
    named.sort_by_key(|item| index(order, item));
    rest.sort_by_key(|item| index(live, item).unwrap_or(usize::MAX));
    let mut out = Vec::with_capacity(named.len() + rest.len());
    let (mut named, mut rest) = (named.into_iter().peekable(), rest.into_iter().peekable());
    loop {
        let rest_first = match (rest.peek(), named.peek()) {
            (Some(left), Some(right)) => match (index(live, left), index(live, right)) {
                (Some(left), Some(right)) => left < right,
                _ => false,
            },
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => return out,
        };
        out.extend(if rest_first { rest.next() } else { named.next() });
    }
}

/// What remains of a patch that is taken as it is.
fn without_directives(object: Object) -> Object {
    object
        .into_iter()
        .filter(|(name, value)| !name.starts_with('$') && !value.is_null())
        .map(|(name, value)| (name, clean(value)))
        .collect()
}

fn clean(value: Value) -> Value {
    match value {
        Value::Object(object) => Value::Object(without_directives(object)),
        Value::Array(list) => {
            let deleted = |item: &Value| item.get(DIRECTIVE).is_some_and(|one| one == "delete");
            let kept = list.into_iter().filter(|item| !deleted(item));
            Value::Array(kept.map(clean).collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests;
