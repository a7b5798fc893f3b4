//! Config maps and secrets that kustomizations make of files, environments and literals, with the hash of their content in their names.
//! Upstream rule: kustomize `api/hasher` and `api/types`. It reads files, and knows nothing of other objects.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::item::Item;
use crate::error::{Error, Result};
use crate::manifest::Object;
use crate::tree::{self, Tree};

/// One entry of `configMapGenerator` or `secretGenerator`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Generator {
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    pub(super) behavior: Behavior,
    #[serde(rename = "type")]
    of: Option<String>,
    #[serde(default)]
    files: Vec<String>,
    #[serde(default)]
    literals: Vec<String>,
    #[serde(default)]
    envs: Vec<PathBuf>,
    env: Option<PathBuf>,
    #[serde(default)]
    options: Options,
}

/// What becomes of an object of that name that is there already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Behavior {
    /// There may be none.
    #[default]
    Create,
    /// It gets the new entries.
    Merge,
    /// It loses the old entries.
    Replace,
}

/// `generatorOptions`, for all or for one.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Options {
    disable_name_suffix_hash: bool,
    immutable: bool,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

/// What is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    ConfigMap,
    Secret,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }
}

impl Generator {
    /// The object that is made, without its hash. `file` is the kustomization's.
    pub(super) fn make(&self, kind: Kind, tree: &dyn Tree, dir: &Path, file: &Path, common: &Options) -> Result<Item> {
        let place = tree.show(file).display().to_string();
        let wrong = |message: String| {
            let field = if kind == Kind::Secret { "secretGenerator" } else { "configMapGenerator" };
            Error::at(&place, format!("{field} {:?}: {message}", self.name))
        };
        if kind == Kind::ConfigMap && self.of.is_some() {
            return Err(wrong("unknown field `type`: only secrets have one".to_owned()));
        }
        let mut entries: Vec<(String, Vec<u8>)> = Vec::new();
        for path in self.envs.iter().chain(&self.env) {
            let text = tree::text(tree, &super::beside(tree, dir, path, &place)?)?;
            for line in text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with('#')) {
                let (key, value) = line.split_once('=').ok_or_else(|| wrong(format!("{line:?} is not KEY=VALUE")))?;
                entries.push((key.to_owned(), value.as_bytes().to_vec()));
            }
        }
        for entry in &self.literals {
            let (key, value) = entry.split_once('=').ok_or_else(|| wrong(format!("{entry:?} is not KEY=VALUE")))?;
            entries.push((key.to_owned(), unquoted(value).as_bytes().to_vec()));
        }
        for entry in &self.files {
            let (key, path) = match entry.split_once('=') {
                Some((key, path)) => (key.to_owned(), path),
                None => {
                    let name = Path::new(entry).file_name().and_then(|name| name.to_str());
                    (name.ok_or_else(|| wrong(format!("{entry:?} is not a file")))?.to_owned(), entry.as_str())
                }
            };
            let path = super::beside(tree, dir, Path::new(path), &place)?;
            let shown = tree.show(&path);
            let missing = || Error::file("read", &shown)(std::io::ErrorKind::NotFound.into());
            entries.push((key, tree.read(&path)?.ok_or_else(missing)?));
        }
        let mut value = self.head(kind, common);
        for (key, bytes) in entries {
            let (field, text) = match (kind, String::from_utf8(bytes)) {
                (Kind::ConfigMap, Ok(text)) => ("data", text),
                (Kind::ConfigMap, Err(error)) => ("binaryData", STANDARD.encode(error.as_bytes())),
                (Kind::Secret, Ok(text)) => ("data", STANDARD.encode(text)),
                (Kind::Secret, Err(error)) => ("data", STANDARD.encode(error.as_bytes())),
            };
            let twice = ["data", "binaryData"].iter().any(|field| value[field].get(&key).is_some());
            if twice {
                return Err(wrong(format!("{key:?} is there twice")));
            }
            super::item::fields(&mut value, field).insert(key, Value::String(text));
        }
        let mut item = Item::new(Object { value, origin: tree.show(file), place: None });
        item.hashed = !(common.disable_name_suffix_hash || self.options.disable_name_suffix_hash);
        Ok(item)
    }

    fn head(&self, kind: Kind, common: &Options) -> Value {
        let mut metadata = json!({"name": self.name});
        if !self.namespace.is_empty() {
            metadata["namespace"] = json!(self.namespace);
        }
        for (field, all, one) in [
            ("labels", &common.labels, &self.options.labels),
            ("annotations", &common.annotations, &self.options.annotations),
        ] {
            let merged: BTreeMap<_, _> = all.iter().chain(one).collect();
            if !merged.is_empty() {
                metadata[field] = json!(merged);
            }
        }
        let mut value = json!({"apiVersion": "v1", "kind": kind.name(), "metadata": metadata});
        if kind == Kind::Secret {
            value["type"] = json!(self.of.as_deref().unwrap_or("Opaque"));
        }
        if common.immutable || self.options.immutable {
            value["immutable"] = json!(true);
        }
        value
    }
}

fn unquoted(value: &str) -> &str {
    let within = |quote: char| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    within('"').or_else(|| within('\'')).unwrap_or(value)
}

/// Puts what was made beside or into what is there.
pub(super) fn absorb(items: &mut Vec<Item>, made: Item, behavior: Behavior, place: &str) -> Result<()> {
    let id = made.id();
    let found = items.iter_mut().find(|item| item.ids().any(|one| one.is_same(&id)));
    match (found, behavior) {
        (None, Behavior::Create) => {
            items.push(made);
            Ok(())
        }
        (Some(_), Behavior::Create) => {
            Err(Error::at(place, format!("there is a {} already: say whether to merge or replace it", id.words())))
        }
        (None, _) => Err(Error::at(place, format!("there is no {} to merge with or to replace", id.words()))),
        (Some(item), behavior) => {
            let new = made.object.value;
            let hashed = made.hashed;
            let mut old = std::mem::replace(item.value(), new.clone());
            item.value()["metadata"]["name"] = old["metadata"]["name"].clone();
            for field in ["namespace", "labels", "annotations"] {
                let merged = over(old["metadata"][field].take(), new["metadata"].get(field).cloned());
                if !merged.is_null() {
                    item.value()["metadata"][field] = merged;
                }
            }
            if behavior == Behavior::Merge {
                for field in ["data", "binaryData", "immutable"] {
                    let merged = over(old[field].take(), new.get(field).cloned());
                    if !merged.is_null() {
                        item.value()[field] = merged;
                    }
                }
            }
            item.hashed |= hashed;
            Ok(())
        }
    }
}

/// The fields of `old` under those of `new`.
fn over(old: Value, new: Option<Value>) -> Value {
    match (old, new) {
        (Value::Object(mut old), Some(Value::Object(new))) => {
            old.extend(new);
            Value::Object(old)
        }
        (old, None) => old,
        (_, Some(new)) => new,
    }
}

/// Gives names the hash of what is in the objects.
pub(super) fn hash_names(items: &mut [Item]) {
    for item in items.iter_mut().filter(|item| item.hashed) {
        item.remember();
        let name = format!("{}-{}", item.id().name, hash(&item.object.value));
        item.value()["metadata"]["name"] = json!(name);
    }
}

/// The ten characters that kustomize appends: the content's SHA-256 in an alphabet that spells no words. The name is not part of it.
fn hash(value: &Value) -> String {
    let or_empty = |field: &str| value.get(field).cloned().unwrap_or_else(|| json!(""));
    let mut content = Map::new();
    content.insert("kind".to_owned(), value["kind"].clone());
    content.insert("name".to_owned(), json!(""));
    content.insert("data".to_owned(), or_empty("data"));
    let more = if value["kind"] == "Secret" {
        content.insert("type".to_owned(), or_empty("type"));
        "stringData"
    } else {
        "binaryData"
    };
    if let Some(more_data) = value.get(more).filter(|data| data.is_object()) {
        content.insert(more.to_owned(), more_data.clone());
    }
    let encoded = as_go(&Value::Object(content));
    let hex: String = Sha256::digest(encoded.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let spelled = |digit| match digit {
        '0' => 'g',
        '1' => 'h',
        '3' => 'k',
        'a' => 'm',
        'e' => 't',
        other => other,
    };
    hex.chars().take(10).map(spelled).collect()
}

/// JSON as Go writes it: keys in order, and some characters escaped that need not be.
fn as_go(value: &Value) -> String {
    let mut out = String::new();
    for character in value.to_string().chars() {
        match character {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            other => out.push(other),
        }
    }
    out
}
