//! `configMapGenerator`: config maps made of files and literals, their names ending in a hash of their content.
//! Upstream rule: kustomize `api/hasher/hasher.go`. It must not rename what refers to them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::manifest::Object;

/// One entry of `configMapGenerator`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Generator {
    name: String,
    namespace: Option<String>,
    #[serde(default)]
    files: Vec<String>,
    #[serde(default)]
    literals: Vec<String>,
    #[serde(default)]
    options: Options,
}

/// `generatorOptions`, for all or for one.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Options {
    disable_name_suffix_hash: bool,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

/// A config map, the name that it was asked for by, and the one that it got.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) asked: String,
    pub(super) given: String,
    pub(super) object: Object,
}

impl Generator {
    pub(super) fn make(&self, dir: &Path, file: &Path, common: &Options) -> Result<Made, Error> {
        let mut data = Map::new();
        let wrong = |message: String| Error::Document {
            place: file.display().to_string(),
            message: format!("configMapGenerator {:?}: {message}", self.name),
        };
        for entry in &self.files {
            let (key, path) = match entry.split_once('=') {
                Some((key, path)) => (key.to_owned(), path),
                None => {
                    let name = Path::new(entry).file_name().and_then(|name| name.to_str());
                    (name.ok_or_else(|| wrong(format!("{entry:?} is not a file")))?.to_owned(), entry.as_str())
                }
            };
            let path = dir.join(path);
            let text = fs::read_to_string(&path).map_err(Error::file("read", &path))?;
            if data.insert(key.clone(), Value::String(text)).is_some() {
                return Err(wrong(format!("{key:?} is there twice")));
            }
        }
        for entry in &self.literals {
            let Some((key, value)) = entry.split_once('=') else {
                return Err(wrong(format!("{entry:?} is not KEY=VALUE")));
            };
            let value = value
                .strip_prefix('"')
                .and_then(|rest| rest.strip_suffix('"'))
                .or_else(|| value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')))
                .unwrap_or(value);
            if data.insert(key.to_owned(), Value::String(value.to_owned())).is_some() {
                return Err(wrong(format!("{key:?} is there twice")));
            }
        }
        let given = if common.disable_name_suffix_hash || self.options.disable_name_suffix_hash {
            self.name.clone()
        } else {
            format!("{}-{}", self.name, hash(&data))
        };
        let mut metadata = json!({ "name": given });
        if let Some(namespace) = &self.namespace {
            metadata["namespace"] = json!(namespace);
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
        let mut value = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata });
        if !data.is_empty() {
            value["data"] = Value::Object(data);
        }
        Ok(Made { asked: self.name.clone(), given, object: Object { value, origin: file.to_owned(), place: None } })
    }
}

/// The ten characters that kustomize appends: the content's SHA-256 in an alphabet that spells no words. The name is not part of it.
fn hash(data: &Map<String, Value>) -> String {
    let data = if data.is_empty() { json!("") } else { json!(data) };
    let encoded = as_go(&json!({ "kind": "ConfigMap", "name": "", "data": data }));
    let hex: String = Sha256::digest(encoded.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    hex.chars()
        .take(10)
        .map(|digit| match digit {
            '0' => 'g',
            '1' => 'h',
            '3' => 'k',
            'a' => 'm',
            'e' => 't',
            other => other,
        })
        .collect()
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
