//! Parameters from generators: lists, folders and files of a repository, and each of one with each of another.
//! Upstream rule: `applicationset/generators` of argoproj/argo-cd.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

use serde_json::{Map, Value, json};
use tinderbox_api::gitops::{Generator, GitGenerator, ListGenerator, MatrixGenerator};
use tinderbox_api::selector::LabelSelector;
use tinderbox_api::sprig::value::show;
use tinderbox_client::error::chain;

use super::template::{Language, Missing, Parameters, normalized};
use super::{Trees, files, folders};

/// What generates the parameters of a set.
pub(super) struct Set<'a> {
    pub(super) language: Language,
    pub(super) trees: &'a Trees<'a>,
}

/// What a generator gives.
pub(super) struct Generated {
    /// The parameters, one map for each application.
    pub(super) parameters: Vec<Parameters>,
    /// What it changes in the template.
    pub(super) template: Value,
}

type Answer<T> = Result<T, String>;

impl Set<'_> {
    /// The parameters of a generator, but for those that its selector leaves out.
    pub(super) fn parameters(&self, generator: &Generator) -> Answer<Generated> {
        let not_served = [
            (generator.clusters.is_some(), "clusters"),
            (generator.merge.is_some(), "merge"),
            (generator.scm_provider.is_some(), "scmProvider"),
            (generator.pull_request.is_some(), "pullRequest"),
            (generator.cluster_decision_resource.is_some(), "clusterDecisionResource"),
            (generator.plugin.is_some(), "plugin"),
        ];
        if let Some((_, name)) = not_served.into_iter().find(|(is, _)| *is) {
            return Err(format!("the generator {name} is not served here: list, git and matrix are"));
        }
        let (parameters, template) = match (&generator.list, &generator.git, &generator.matrix) {
            (Some(list), None, None) => (self.list(list)?, &list.template),
            (None, Some(git), None) => (self.git(git)?, &git.template),
            (None, None, Some(matrix)) => (self.matrix(matrix)?, &matrix.template),
            (None, None, None) => return Err("a generator is empty: it is one of list, git and matrix".to_owned()),
            _ => {
                return Err("a generator is more than one: list, git and matrix are generators of their own".to_owned());
            }
        };
        let template = template.clone().unwrap_or_default();
        let Some(selector) = &generator.selector else { return Ok(Generated { parameters, template }) };
        let selector =
            LabelSelector::from_object(selector).map_err(|error| format!("error parsing label selector: {error}"))?;
        let is_selected = |parameters: &Parameters| selector.matches_map(Some(&flat(parameters)));
        Ok(Generated { parameters: parameters.into_iter().filter(is_selected).collect(), template })
    }

    fn list(&self, list: &ListGenerator) -> Answer<Vec<Parameters>> {
        let mut all = Vec::new();
        for element in &list.elements {
            let Value::Object(fields) = element else {
                return Err(format!("an element of a list is no object: {element}"));
            };
            all.push(if self.language == Language::Simple { texts(fields)? } else { fields.clone() });
        }
        if list.elements_yaml.is_empty() {
            return Ok(all);
        }
        let wrong = |why: &str| format!("elementsYaml is no list of objects: {why}");
        let documents = tinderbox_api::manifest::load(&list.elements_yaml).map_err(|error| wrong(&error.message))?;
        for item in documents.into_iter().flat_map(|document| match document.value {
            Value::Array(items) => items,
            other => vec![other],
        }) {
            let Value::Object(fields) = item else { return Err(wrong(&item.to_string())) };
            all.push(fields);
        }
        Ok(all)
    }

    fn git(&self, git: &GitGenerator) -> Answer<Vec<Parameters>> {
        if git.directories.is_empty() && git.files.is_empty() {
            return Err("git has neither directories nor files: name them by their patterns".to_owned());
        }
        if !git.directories.is_empty() {
            let mut found = Vec::new();
            let looked = (self.trees)(git, &mut |tree| {
                found = folders::matching(tree, &git.directories)?;
                Ok(())
            });
            looked.map_err(|error| format!("error getting directories from repo: {}", chain(&error)))?;
            return found.iter().map(|dir| self.of_path(git, Map::new(), dir, None)).collect();
        }
        let mut found = files::Found::new();
        let looked = (self.trees)(git, &mut |tree| {
            found = files::matching(tree, &git.files)?;
            Ok(())
        });
        looked.map_err(|error| format!("error getting files from repo: {}", chain(&error)))?;
        let mut all = Vec::new();
        for (file, objects) in found {
            for object in objects {
                // What the file says is known by its path where templates are simple.
                let fields = match self.language {
                    Language::Simple => flat(&object).into_iter().map(|(key, value)| (key, json!(value))).collect(),
                    Language::Go(_) => object,
                };
                let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
                all.push(self.of_path(git, fields, dir, file.file_name())?);
            }
        }
        Ok(all)
    }

    /// The parameters of a folder, or of a file in it, beside what the file says.
    fn of_path(&self, git: &GitGenerator, fields: Parameters, dir: &Path, file: Option<&OsStr>) -> Answer<Parameters> {
        let path = dir.to_string_lossy().into_owned();
        let base = dir.file_name().map_or_else(|| path.clone(), |name| name.to_string_lossy().into_owned());
        let segments: Vec<&str> = path.split('/').collect();
        let mut names = vec![("basename", json!(base)), ("basenameNormalized", json!(normalized(&base)))];
        if let Some(file) = file.map(OsStr::to_string_lossy) {
            names.extend([("filename", json!(file)), ("filenameNormalized", json!(normalized(&file)))]);
        }
        let prefix = git.path_param_prefix.as_str();
        let mut all = fields;
        if self.language == Language::Simple {
            let name = if prefix.is_empty() { "path".to_owned() } else { format!("{prefix}.path") };
            for (index, segment) in segments.iter().enumerate() {
                all.insert(format!("{name}[{index}]"), json!(segment));
            }
            all.extend(names.into_iter().map(|(key, value)| (format!("{name}.{key}"), value)));
            all.insert(name, json!(path));
        } else {
            let mut inner = json!({"path": path, "segments": segments});
            names.into_iter().for_each(|(key, value)| inner[key] = value);
            if prefix.is_empty() {
                all.insert("path".to_owned(), inner);
            } else {
                all.insert(prefix.to_owned(), json!({"path": inner}));
            }
        }
        // Values may name what comes from the path, and not each other.
        let mut values = Map::new();
        for (key, value) in &git.values {
            values.insert(key.clone(), json!(self.language.fill(value, &all)?));
        }
        if self.language == Language::Simple {
            all.extend(values.into_iter().map(|(key, value)| (format!("values.{key}"), value)));
        } else if !values.is_empty() {
            all.insert("values".to_owned(), Value::Object(values));
        }
        Ok(all)
    }

    /// Each of the first with each of the second, which may have variables of the first.
    fn matrix(&self, matrix: &MatrixGenerator) -> Answer<Vec<Parameters>> {
        let [first, second] = matrix.generators.as_slice() else {
            let count = matrix.generators.len();
            return Err(format!(
                "a matrix has {count} generators: it takes two, and another matrix may be one of them"
            ));
        };
        let mut all = Vec::new();
        for one in self.parameters(&generator(first)?)?.parameters {
            let second = self.filled(second, &one)?;
            for other in self.parameters(&generator(&second)?)?.parameters {
                all.push(self.joined(&one, other)?);
            }
        }
        Ok(all)
    }

    /// A generator with the variables of another one filled in. What its own values take from its own path stays open.
    fn filled(&self, generator: &Value, parameters: &Parameters) -> Answer<Value> {
        let mut open = generator.clone();
        for body in open.as_object_mut().into_iter().flat_map(Map::values_mut) {
            // Templates of inner generators have no say.
            if let Some(fields) = body.as_object_mut() {
                fields.remove("template");
            }
        }
        let values = open.pointer_mut("/git/values").map(Value::take);
        let mut filled = self.language.fill_all(&open, parameters)?;
        let Some(Value::Object(values)) = values else { return Ok(filled) };
        let strict = if self.language == Language::Simple { Language::Simple } else { Language::Go(Missing::Error) };
        let known = |value: Value| strict.fill_all(&value, parameters).unwrap_or(value);
        filled["git"]["values"] = values.into_iter().map(|(key, value)| (key, known(value))).collect();
        Ok(filled)
    }

    fn joined(&self, one: &Parameters, other: Parameters) -> Answer<Parameters> {
        if self.language != Language::Simple {
            let joined = super::merged(&Value::Object(other), &Value::Object(one.clone()));
            return Ok(joined.as_object().cloned().unwrap_or_default());
        }
        let mut all = one.clone();
        for (key, value) in other {
            match all.get(&key) {
                Some(known) if *known != value => {
                    return Err(format!("found duplicate key {key} with different value, a: {known}, b: {value}"));
                }
                _ => all.insert(key, value),
            };
        }
        Ok(all)
    }
}

/// A generator within another one.
fn generator(value: &Value) -> Answer<Generator> {
    serde_json::from_value(value.clone()).map_err(|error| format!("a generator of a matrix is none: {error}"))
}

/// The parameters of an element for simple templates: texts, and texts under `values`.
fn texts(fields: &Map<String, Value>) -> Answer<Parameters> {
    let mut all = Map::new();
    for (key, value) in fields {
        match (key.as_str(), value) {
            ("values", Value::Object(values)) if values.values().all(Value::is_string) => {
                all.extend(values.iter().map(|(key, value)| (format!("values.{key}"), value.clone())));
            }
            (_, Value::String(_)) if key != "values" => {
                all.insert(key.clone(), value.clone());
            }
            _ => {
                return Err(format!(
                    "the element {key} of a list is no text, as templates without goTemplate need it: {value}"
                ));
            }
        }
    }
    Ok(all)
}

/// Parameters as labels for a selector: what is deep has points in its name.
fn flat(parameters: &Parameters) -> BTreeMap<String, String> {
    fn walk(value: &Value, at: String, all: &mut BTreeMap<String, String>) {
        let below = |key: &str| if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") };
        match value {
            Value::Object(fields) => fields.iter().for_each(|(key, value)| walk(value, below(key), all)),
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(index, value)| walk(value, below(&index.to_string()), all));
            }
            other => drop(all.insert(at, show(other))),
        }
    }
    let mut all = BTreeMap::new();
    walk(&Value::Object(parameters.clone()), String::new(), &mut all);
    all
}
