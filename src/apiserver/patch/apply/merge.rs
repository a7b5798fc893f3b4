//! Changes values by their schema: laying an applied configuration over the live object, and taking fields out again. It
//! must not know who owns what.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::fields::{FieldSet, Step};
use super::typed::{Shape, Type, indexed};

/// `applied` laid over `live`. Nothing goes; where both have a leaf, the applied one stays.
pub(super) fn merge(of: Type<'_>, live: &Value, applied: &Value) -> Value {
    // Null takes the other's form.
    let shape = of.shape(if applied.is_null() { live } else { applied });
    if of.shape(live) != shape {
        return applied.clone();
    }
    match (shape, live, applied) {
        (Shape::Map, Value::Object(live), Value::Object(applied)) => {
            let mut out = live.clone();
            for (name, value) in applied {
                let merged = match live.get(name) {
                    Some(live) => merge(of.field(name).0, live, value),
                    None => value.clone(),
                };
                out.insert(name.clone(), merged);
            }
            Value::Object(out)
        }
        (Shape::Map, _, Value::Null) if live.as_object().is_some_and(|map| !map.is_empty()) => live.clone(),
        (Shape::Set | Shape::Keyed(_), Value::Array(own), Value::Array(items))
            if !own.is_empty() || !items.is_empty() =>
        {
            Value::Array(merge_list(of, shape, live, applied))
        }
        (Shape::Set | Shape::Keyed(_), Value::Array(own), Value::Null) if !own.is_empty() => live.clone(),
        _ => applied.clone(),
    }
}

/// Items of both; in the applied order, and the other live items where they were between them.
fn merge_list(of: Type<'_>, shape: Shape<'_>, live: &Value, applied: &Value) -> Vec<Value> {
    let left = indexed(of, shape, Some(live));
    let right = indexed(of, shape, Some(applied));
    let mut left_by: BTreeMap<&Step, Option<&Value>> = BTreeMap::new();
    for (step, item) in &left {
        // An item that is there twice has no one value to merge with.
        left_by.entry(step).and_modify(|one| *one = None).or_insert(Some(item));
    }
    let right_by: BTreeMap<&Step, &Value> = right.iter().map(|(step, item)| (step, *item)).collect();
    let merged = |step: &Step, applied: &Value| match left_by.get(step).copied().flatten() {
        Some(live) => merge(of.items(), live, applied),
        None => applied.clone(),
    };
    let mut shared = right.iter().map(|(step, _)| step).filter(|step| left_by.contains_key(step)).peekable();
    let mut done: Vec<&Step> = Vec::new();
    let mut out = Vec::with_capacity(left.len().max(right.len()));
    let (mut l, mut r) = (0, 0);
    while l < left.len() || r < right.len() {
        if let (Some((step, _)), Some((other, item))) = (left.get(l), right.get(r)) {
            if step == other {
                done.push(step);
                out.push(merged(step, item));
                l += 1;
                r += 1;
                shared.next();
                continue;
            }
            // Shared, but not the one whose turn it is.
            if right_by.contains_key(step) && shared.peek().is_some_and(|next| *next != step) {
                l += 1;
                continue;
            }
        }
        if let Some((step, item)) = left.get(l) {
            if !right_by.contains_key(step) {
                out.push((*item).clone());
                l += 1;
                continue;
            }
            if done.contains(&step) {
                l += 1;
            }
        }
        if let Some((step, item)) = right.get(r) {
            done.push(step);
            out.push(merged(step, item));
            r += 1;
            if shared.peek().is_some_and(|next| *next == step) {
                shared.next();
            }
        }
    }
    out
}

/// The value without the fields and items in `gone`; null where nothing else was left.
pub(super) fn remove(of: Type<'_>, value: &Value, gone: &FieldSet) -> Value {
    let shape = of.shape(value);
    match (shape, value) {
        (Shape::Map, Value::Object(map)) => {
            let mut out = Map::new();
            for (name, value) in map {
                let step = Step::field(name);
                if gone.has(&step) {
                    continue;
                }
                let kept = match gone.below(&step) {
                    None => value.clone(),
                    Some(below) => remove(of.field(name).0, value, below),
                };
                out.insert(name.clone(), kept);
            }
            if out.is_empty() { Value::Null } else { Value::Object(out) }
        }
        (Shape::Set | Shape::Keyed(_), Value::Array(items)) => {
            let mut out = Vec::with_capacity(items.len());
            for item in items {
                let Some(step) = of.step(shape, item) else {
                    out.push(item.clone());
                    continue;
                };
                if gone.has(&step) {
                    continue;
                }
                out.push(match gone.below(&step) {
                    None => item.clone(),
                    Some(below) => remove(of.items(), item, below),
                });
            }
            if out.is_empty() { Value::Null } else { Value::Array(out) }
        }
        _ => value.clone(),
    }
}

/// Takes out the nulls that stand for what [`remove`] has emptied, and were something else in `before`.
pub(super) fn drop_emptied(value: &mut Value, of: Type<'_>, before: &Value) {
    let shape = of.shape(before);
    match (value, before) {
        (Value::Object(map), Value::Object(before)) => {
            map.retain(|name, value| !value.is_null() || before.get(name).is_none_or(Value::is_null));
            for (name, value) in map {
                if let Some(before) = before.get(name) {
                    drop_emptied(value, of.field(name).0, before);
                }
            }
        }
        (Value::Array(items), Value::Array(_)) if shape != Shape::Leaf => {
            let before: BTreeMap<Step, &Value> = indexed(of, shape, Some(before)).into_iter().collect();
            items.retain(|item| !item.is_null());
            for item in items {
                let step = of.step(shape, item);
                if let Some(before) = step.and_then(|step| before.get(&step)) {
                    drop_emptied(item, of.items(), before);
                }
            }
        }
        _ => {}
    }
}

/// The set with every field that the schema names and that leads to a path in it.
pub(super) fn with_named(of: Type<'_>, set: &FieldSet) -> FieldSet {
    let field = |step: &Step| step.as_field().map(|name| of.field(name));
    set.map_levels(
        &|step, member, has_below| member || (has_below && field(step).is_some_and(|(_, known)| known)),
        &|step, below| {
            let child = match field(step) {
                Some((child, _)) => child,
                None if step.is_key() => of.items(),
                None => Type(None),
            };
            with_named(child, below)
        },
    )
}
