//! `replacements`: values of fields that are copied into fields of other objects.
//! Upstream rule: kustomize `api/filters/replacement`.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Value, json};

use super::item::Item;
use super::model::Selector;
use super::patch::Matcher;

/// One replacement: here, or in a file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Replacement {
    pub(super) path: Option<PathBuf>,
    source: Option<Source>,
    targets: Vec<Target>,
}

/// Where the value comes from.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Source {
    group: String,
    version: String,
    kind: String,
    name: String,
    namespace: String,
    field_path: Option<String>,
    options: FieldOptions,
}

/// Where it goes.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Target {
    select: Selector,
    #[serde(default)]
    reject: Vec<Selector>,
    #[serde(default)]
    field_paths: Vec<String>,
    #[serde(default)]
    options: FieldOptions,
}

/// A part of a field, and whether it is made.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct FieldOptions {
    delimiter: String,
    index: i64,
    create: bool,
}

/// What is replaced when nothing is said.
const NAME: &str = "metadata.name";

/// Copies the value of a replacement to where it goes.
pub(super) fn apply(items: &mut [Item], replacement: &Replacement) -> Result<(), String> {
    let Some(from) = &replacement.source else {
        return Err("each entry has either path, or source and targets".to_owned());
    };
    let value = source(items, from)?;
    for target in &replacement.targets {
        let matcher = exact(&target.select)?;
        let rejects = target.reject.iter().map(exact).collect::<Result<Vec<_>, _>>()?;
        let paths = if target.field_paths.is_empty() { vec![NAME.to_owned()] } else { target.field_paths.clone() };
        for item in items.iter_mut() {
            if !matcher.fits(item) || rejects.iter().any(|reject| reject.fits(item)) {
                continue;
            }
            let words = item.id().words();
            item.remember();
            for path in &paths {
                let parts = split(path);
                // Labels and annotations are texts, whatever they say.
                let is_text = parts.len() > 2 && matches!(parts[1].as_str(), "annotations" | "labels");
                let value = &scalar(&value).filter(|_| is_text).map_or_else(|| value.clone(), Value::from);
                let mut count = 0;
                let mut failure = None;
                walk(item.value(), &parts, target.options.create, value, &mut |found| {
                    count += 1;
                    if let Err(error) = set(found, value, &target.options) {
                        failure.get_or_insert(error);
                    }
                });
                if let Some(failure) = failure {
                    return Err(format!("{words}: {path}: {failure}"));
                }
                if count == 0 {
                    return Err(format!("{words} has no field {path}; `options.create: true` makes it"));
                }
            }
            if item.before.last().is_some_and(|id| *id == item.id()) {
                item.before.pop();
            }
        }
    }
    Ok(())
}

/// A selector whose texts are meant as they are.
fn exact(selector: &Selector) -> Result<Matcher, String> {
    let quoted = |text: &String| if text.is_empty() { String::new() } else { regex::escape(text) };
    Matcher::new(&Selector {
        group: quoted(&selector.group),
        version: quoted(&selector.version),
        kind: quoted(&selector.kind),
        name: quoted(&selector.name),
        namespace: quoted(&selector.namespace),
        ..selector.clone()
    })
}

fn source(items: &[Item], source: &Source) -> Result<Value, String> {
    let Source { group, version, kind, name, namespace, .. } = source.clone();
    let selector = Selector { group, version, kind, name, namespace, ..Selector::default() };
    let words = format!("the source {} {}", selector.kind, selector.name);
    let matcher = exact(&selector)?;
    let found: Vec<&Item> = items.iter().filter(|item| matcher.fits(item)).collect();
    let item = match found.as_slice() {
        [one] => *one,
        [] => return Err(format!("{words} is not there")),
        _ => return Err(format!("{words} may be more than one object")),
    };
    let path = source.field_path.as_deref().unwrap_or(NAME);
    let mut copy = item.object.value.clone();
    let mut value = None;
    walk(&mut copy, &split(path), false, &Value::Null, &mut |found| {
        value.get_or_insert_with(|| found.clone());
    });
    let value = value.ok_or_else(|| format!("{words} has no field {path}"))?;
    let FieldOptions { delimiter, index, .. } = &source.options;
    if delimiter.is_empty() {
        return Ok(value);
    }
    let text = scalar(&value).ok_or_else(|| format!("{words}: {path} is no text that could be split"))?;
    let part = usize::try_from(*index).ok().and_then(|index| text.split(delimiter.as_str()).nth(index));
    part.map(|part| json!(part)).ok_or_else(|| format!("{words}: {text:?} has no part {index}"))
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

fn set(found: &mut Value, value: &Value, options: &FieldOptions) -> Result<(), String> {
    if options.delimiter.is_empty() {
        // A text stays a text, whatever it says.
        *found = match (&*found, value) {
            (Value::String(_), Value::Number(_) | Value::Bool(_)) => json!(value.to_string()),
            _ => value.clone(),
        };
        return Ok(());
    }
    let text = scalar(found).ok_or("it is no text that could be split")?;
    let new = scalar(value).ok_or("the source is no text that could be a part")?;
    let mut parts: Vec<&str> = text.split(options.delimiter.as_str()).collect();
    match usize::try_from(options.index) {
        Err(_) => parts.insert(0, &new),
        Ok(index) if index >= parts.len() => parts.push(&new),
        Ok(index) => parts[index] = &new,
    }
    *found = json!(parts.join(&options.delimiter));
    Ok(())
}

/// The parts of a path: dots separate, unless they stand in brackets or behind a backslash.
fn split(path: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0;
    let mut characters = path.chars().peekable();
    while let Some(character) = characters.next() {
        let last = parts.len() - 1;
        match character {
            '\\' if characters.peek() == Some(&'.') => {
                characters.next();
                parts[last].push('.');
            }
            '.' if depth == 0 => parts.push(String::new()),
            _ => {
                depth += match character {
                    '[' => 1,
                    ']' => -1,
                    _ => 0,
                };
                parts[last].push(character);
            }
        }
    }
    parts.into_iter().filter(|part| !part.is_empty()).collect()
}

fn walk(value: &mut Value, path: &[String], create: bool, like: &Value, change: &mut dyn FnMut(&mut Value)) {
    let Some((first, rest)) = path.split_first() else {
        change(value);
        return;
    };
    if first == "*" {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| walk(item, rest, create, like, change)),
            Value::Object(fields) => fields.values_mut().for_each(|field| walk(field, rest, create, like, change)),
            _ => (),
        }
        return;
    }
    let condition = first.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    match (value, condition.and_then(|text| text.split_once('='))) {
        (Value::Array(items), Some((key, wanted))) => {
            let fits = |item: &Value| match key {
                "" => scalar(item).as_deref() == Some(wanted),
                key => item.get(key).and_then(scalar).as_deref() == Some(wanted),
            };
            if create && !items.iter().any(fits) {
                items.push(json!({ key: wanted }));
            }
            items.iter_mut().filter(|item| fits(item)).for_each(|item| walk(item, rest, create, like, change));
        }
        (Value::Array(items), None) => {
            let index = condition.unwrap_or(first).parse::<usize>().ok();
            if let Some(item) = index.and_then(|index| items.get_mut(index)) {
                walk(item, rest, create, like, change);
            }
        }
        (Value::Object(fields), _) => {
            if create && !fields.contains_key(first) {
                let made = match rest.first() {
                    None => empty_like(like),
                    Some(next) if next.starts_with('[') => json!([]),
                    Some(_) => json!({}),
                };
                fields.insert(first.clone(), made);
            }
            if let Some(field) = fields.get_mut(first) {
                walk(field, rest, create, like, change);
            }
        }
        _ => (),
    }
}

fn empty_like(value: &Value) -> Value {
    match value {
        Value::Object(_) => json!({}),
        Value::Array(_) => json!([]),
        _ => Value::Null,
    }
}
