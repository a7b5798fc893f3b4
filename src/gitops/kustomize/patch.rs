//! Patches of both kinds, and the objects that they change.

use std::path::Path;

use regex::Regex;
use serde_json::Value;
use tinderbox_api::manifest::load;

use super::item::{Id, Item};
use super::merge::merge;
use super::model::{Patch, PatchOptions, Selector};
use crate::error::{Error, Result};
use crate::tree::{self, Tree};

/// A patch as it was written.
enum Kind {
    Merge(Vec<Value>),
    Json(json_patch::Patch),
}

/// Changes objects as a patch says. `place` is the kustomization's.
pub(super) fn apply(items: &mut Vec<Item>, patch: &Patch, tree: &dyn Tree, dir: &Path, place: &str) -> Result<()> {
    let (text, place) = match (&patch.patch, &patch.path) {
        (Some(text), None) => (text.clone(), format!("{place}: patches")),
        (None, Some(path)) => {
            let path = super::beside(tree, dir, path, place)?;
            (tree::text(tree, &path)?, tree.show(&path).display().to_string())
        }
        _ => return Err(Error::at(place, "patches: each entry has either path or patch")),
    };
    match (read(&text, &place)?, &patch.target) {
        (Kind::Merge(patches), None) => {
            for value in patches {
                by_id(items, &value, patch.options, &place)?;
            }
            Ok(())
        }
        (Kind::Merge(patches), Some(target)) => {
            for value in patches {
                let matcher = Matcher::new(target).map_err(|message| Error::at(&place, message))?;
                let chosen: Vec<usize> = (0..items.len()).filter(|index| matcher.fits(&items[*index])).collect();
                for index in chosen.into_iter().rev() {
                    merge_into(items, index, &value, patch.options);
                }
            }
            Ok(())
        }
        (Kind::Json(_), None) => Err(Error::at(&place, "a JSON patch needs a target, which says what it changes")),
        (Kind::Json(operations), Some(target)) => {
            let matcher = Matcher::new(target).map_err(|message| Error::at(&place, message))?;
            for item in items.iter_mut().filter(|item| matcher.fits(item)) {
                let id = item.id();
                json_patch::patch(item.value(), &operations)
                    .map_err(|error| Error::at(&place, format!("the patch does not fit {}: {error}", id.words())))?;
                if item.id() != id {
                    item.before.push(id);
                }
            }
            Ok(())
        }
    }
}

fn read(text: &str, place: &str) -> Result<Kind> {
    let documents = load(text).map_err(|error| Error::at(place, error.to_string()))?;
    let values: Vec<Value> = documents.into_iter().map(|document| document.value).collect();
    match values.as_slice() {
        [] => Err(Error::at(place, "the patch is empty")),
        [Value::Array(_)] => {
            let operations = serde_json::from_value(values.into_iter().next().unwrap_or_default());
            operations.map(Kind::Json).map_err(|error| Error::at(place, format!("this is no JSON patch: {error}")))
        }
        // One operation alone, without a list around it.
        [one] if one.get("op").is_some() && one.get("kind").is_none() => {
            let operations = serde_json::from_value(Value::Array(values));
            operations.map(Kind::Json).map_err(|error| Error::at(place, format!("this is no JSON patch: {error}")))
        }
        all if all.iter().all(Value::is_object) => Ok(Kind::Merge(values)),
        _ => Err(Error::at(place, "a patch is an object, or a list of operations")),
    }
}

/// Merges a patch into the one object that has its kind, name and namespace.
fn by_id(items: &mut Vec<Item>, patch: &Value, options: PatchOptions, place: &str) -> Result<()> {
    let id = Id::of(patch);
    if id.kind.is_empty() || id.name.is_empty() {
        return Err(Error::at(place, "a patch without a target needs apiVersion, kind and metadata.name"));
    }
    let found: Vec<usize> = (0..items.len()).filter(|index| items[*index].ids().any(|one| one.is_same(&id))).collect();
    match found.as_slice() {
        [index] => {
            merge_into(items, *index, patch, options);
            Ok(())
        }
        [] => Err(Error::at(place, format!("there is no {} that this patch could change", id.words()))),
        _ => Err(Error::at(place, format!("more than one object is {}: say which by a target", id.words()))),
    }
}

fn merge_into(items: &mut Vec<Item>, index: usize, patch: &Value, options: PatchOptions) {
    let item = &mut items[index];
    let id = item.id();
    let have = std::mem::take(item.value());
    // Only of built-in kinds is it known which lists can be merged.
    let typed = id.is_built_in();
    let (kind, name, namespace) =
        (have["kind"].clone(), have["metadata"]["name"].clone(), have["metadata"].get("namespace").cloned());
    let version = have["apiVersion"].clone();
    let Some(mut value) = merge(Some(have), patch, typed) else {
        items.remove(index);
        return;
    };
    if !options.allow_kind_change {
        value["kind"] = kind;
        value["apiVersion"] = version;
    }
    if !options.allow_name_change {
        value["metadata"]["name"] = name;
    }
    if let Some(metadata) = value["metadata"].as_object_mut() {
        match namespace {
            Some(namespace) => metadata.insert("namespace".to_owned(), namespace),
            None => metadata.remove("namespace"),
        };
    }
    *item.value() = value;
    if item.id() != id {
        item.before.push(id);
    }
}

/// A selector with its patterns.
pub(super) struct Matcher {
    patterns: [Option<Regex>; 5],
    labels: Vec<Term>,
    annotations: Vec<Term>,
}

/// One condition on labels.
enum Term {
    Is(String, String),
    IsNot(String, String),
    Exists(String),
    Missing(String),
}

impl Matcher {
    pub(super) fn new(selector: &Selector) -> Result<Self, String> {
        let pattern = |text: &String| {
            if text.is_empty() {
                return Ok(None);
            }
            let whole = format!("^(?:{})$", text.trim_start_matches('^').trim_end_matches('$'));
            Regex::new(&whole).map(Some).map_err(|error| format!("{text:?} is no pattern: {error}"))
        };
        let Selector { group, version, kind, name, namespace, .. } = selector;
        Ok(Self {
            patterns: [pattern(group)?, pattern(version)?, pattern(kind)?, pattern(name)?, pattern(namespace)?],
            labels: terms(&selector.label_selector)?,
            annotations: terms(&selector.annotation_selector)?,
        })
    }

    pub(super) fn fits(&self, item: &Item) -> bool {
        let named = item.ids().any(|id| {
            let texts = [&id.group, &id.version, &id.kind, &id.name, &id.namespace];
            self.patterns.iter().zip(texts).all(|(pattern, text)| pattern.as_ref().is_none_or(|one| one.is_match(text)))
        });
        let metadata = &item.object.value["metadata"];
        named && hold(&self.labels, &metadata["labels"]) && hold(&self.annotations, &metadata["annotations"])
    }
}

fn hold(terms: &[Term], pairs: &Value) -> bool {
    terms.iter().all(|term| match term {
        Term::Is(key, value) => pairs[key] == value.as_str(),
        Term::IsNot(key, value) => pairs[key] != value.as_str(),
        Term::Exists(key) => !pairs[key].is_null(),
        Term::Missing(key) => pairs[key].is_null(),
    })
}

/// Conditions on labels, the plain ones: `a=b`, `a!=b`, `a`, `!a`.
fn terms(text: &str) -> Result<Vec<Term>, String> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            if part.contains('(') || part.contains(' ') {
                return Err(format!("the selector {text:?} has sets, which this renderer does not know"));
            }
            let own = |text: &str| text.trim().to_owned();
            Ok(match part.split_once("!=") {
                Some((key, value)) => Term::IsNot(own(key), own(value)),
                None => match part.split_once('=') {
                    Some((key, value)) => Term::Is(own(key), own(value.trim_start_matches('='))),
                    None => {
                        part.strip_prefix('!').map_or_else(|| Term::Exists(own(part)), |key| Term::Missing(own(key)))
                    }
                },
            })
        })
        .collect()
}
