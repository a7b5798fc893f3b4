//! Renders kustomizations: resources, components, generators, namespace, names, labels, annotations, patches, images, replicas and
//! replacements, in kustomize's own order. A field beyond that is refused by name and never passed over.
//! Upstream rule: kustomize `api/internal/target`. It reads a tree and makes objects, no more.

mod field;
mod generate;
mod item;
mod merge;
mod model;
mod names;
mod patch;
mod replace;
mod transform;

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::{Error, Result};
use crate::manifest::{self, Object};
use crate::tree::{self, Tree};
use item::Item;
use model::{Kustomization, Labels};

/// The names that a kustomization's file may have.
pub const FILES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
/// Where kustomizations stand that are in no folder: they may name every file.
pub(crate) const DETACHED: &str = ".application";
/// Objects with this annotation are for kustomize alone.
const LOCAL: &str = "config.kubernetes.io/local-config";

/// Whether an object is of a kind of Kubernetes' own that no namespace holds.
#[must_use]
pub fn lives_alone(object: &Value) -> bool {
    item::Id::of(object).is_cluster_wide()
}

/// The kustomization file of a folder, if it has one.
///
/// # Errors
/// When the tree cannot be read.
pub fn file_in(tree: &dyn Tree, dir: &Path) -> Result<Option<PathBuf>> {
    for name in FILES {
        let path = dir.join(name);
        if tree.read(&path)?.is_some() {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Renders the kustomization in `dir`.
///
/// # Errors
/// When a file cannot be read, is broken, or asks for what this renderer does not do.
pub fn render(tree: &dyn Tree, dir: &Path) -> Result<Vec<Object>> {
    let dir = tree::join(dir, Path::new("")).unwrap_or_else(|| dir.to_owned());
    let mut items = gather(tree, &dir, &mut Vec::new(), Vec::new(), false)?;
    generate::hash_names(&mut items);
    let place = || tree.show(&dir).display().to_string();
    names::follow(&mut items).map_err(|message| Error::at(place(), message))?;
    let local = |item: &Item| item.object.value["metadata"]["annotations"][LOCAL] == "true";
    Ok(items.into_iter().filter(|item| !local(item)).map(|item| item.object).collect())
}

/// A path that a kustomization names, within the tree.
fn within(tree: &dyn Tree, dir: &Path, path: &Path, place: &str) -> Result<PathBuf> {
    let text = path.to_string_lossy();
    if text.contains("://") || text.starts_with("git@") || text.starts_with("github.com/") {
        return Err(Error::at(
            place,
            format!("{text}: this renderer reads nothing from elsewhere: copy it into the tree"),
        ));
    }
    tree::join(dir, path)
        .ok_or_else(|| Error::at(place, format!("{text} leads out of the tree {}", tree.show(Path::new("")).display())))
}

/// A file that a kustomization names. As with kustomize it may not stand outside of its folder, folders may.
fn beside(tree: &dyn Tree, dir: &Path, path: &Path, place: &str) -> Result<PathBuf> {
    let found = within(tree, dir, path, place)?;
    if found.starts_with(dir) || dir.starts_with(DETACHED) {
        return Ok(found);
    }
    let advice = "files of other folders are reached by kustomizations there";
    Err(Error::at(place, format!("the file {} is not in or below this folder; {advice}", path.display())))
}

/// The objects of a kustomization; a component changes those that are there already.
fn gather(
    tree: &dyn Tree,
    dir: &Path,
    above: &mut Vec<PathBuf>,
    mut items: Vec<Item>,
    is_component: bool,
) -> Result<Vec<Item>> {
    let Some(file) = file_in(tree, dir)? else {
        let shown = tree.show(dir);
        return Err(Error::at(shown.display(), format!("there is none of {} in this folder", FILES.join(", "))));
    };
    let place = tree.show(&file).display().to_string();
    if above.iter().any(|one| one == dir) {
        return Err(Error::at(&place, "it is among its own resources"));
    }
    above.push(dir.to_owned());
    let kustomization = read(tree, &file, &place)?;
    check_kind(&place, &kustomization, is_component)?;
    for (index, resource) in kustomization.resources.iter().enumerate() {
        let path = within(tree, dir, resource, &place)?;
        if !tree.is_dir(&path) && tree.read(&path)?.is_none() {
            let at = place_in(tree, &file, &place, &format!("resources[{index}]"));
            return Err(Error::at(at, format!("there is no file or folder {}", resource.display())));
        }
        let found = if tree.is_dir(&path) {
            gather(tree, &path, above, Vec::new(), false)?
        } else {
            let path = beside(tree, dir, resource, &place)?;
            let text = tree::text(tree, &path)?;
            manifest::parse(&tree.show(&path), &text)?.into_iter().map(Item::new).collect()
        };
        for item in found {
            let id = item.id();
            if let Some(twin) = items.iter().find(|one| one.id().is_same(&id)) {
                let places = (item.object.place_of("kind"), twin.object.place_of("kind"));
                return Err(Error::at(places.0, format!("{} is there already, from {}", id.words(), places.1)));
            }
            items.push(item);
        }
    }
    for (generators, kind) in [
        (&kustomization.config_map_generator, generate::Kind::ConfigMap),
        (&kustomization.secret_generator, generate::Kind::Secret),
    ] {
        for generator in generators {
            let made = generator.make(kind, tree, dir, &file, &kustomization.generator_options)?;
            generate::absorb(&mut items, made, generator.behavior, &place)?;
        }
    }
    for component in &kustomization.components {
        let path = within(tree, dir, component, &place)?;
        items = gather(tree, &path, above, items, true)?;
    }
    transform(tree, dir, &place, &kustomization, &mut items)?;
    above.pop();
    Ok(items)
}

fn transform(tree: &dyn Tree, dir: &Path, place: &str, wanted: &Kustomization, items: &mut Vec<Item>) -> Result<()> {
    let at = |field: &'static str| move |message: String| Error::at(place, format!("{field}: {message}"));
    for patch in &wanted.patches {
        patch::apply(items, patch, tree, dir, place)?;
    }
    if !wanted.namespace.is_empty() {
        transform::namespace(items, &wanted.namespace);
    }
    transform::rename(items, &wanted.name_prefix, &wanted.name_suffix);
    for labels in &wanted.labels {
        transform::label(items, labels);
    }
    if !wanted.common_labels.is_empty() {
        let pairs = wanted.common_labels.clone();
        transform::label(items, &Labels { pairs, include_selectors: true, ..Labels::default() });
    }
    if !wanted.common_annotations.is_empty() {
        transform::annotate(items, &wanted.common_annotations);
    }
    for replica in &wanted.replicas {
        transform::scale(items, replica).map_err(at("replicas"))?;
    }
    for image in &wanted.images {
        transform::image(items, image).map_err(at("images"))?;
    }
    for entry in &wanted.replacements {
        let from_file = match &entry.path {
            Some(path) => replacements(tree, &beside(tree, dir, path, place)?)?,
            None => Vec::new(),
        };
        let all = if entry.path.is_some() { &from_file[..] } else { std::slice::from_ref(entry) };
        for one in all {
            replace::apply(items, one).map_err(at("replacements"))?;
        }
    }
    Ok(())
}

fn replacements(tree: &dyn Tree, path: &Path) -> Result<Vec<replace::Replacement>> {
    let shown = tree.show(path).display().to_string();
    let mut found = Vec::new();
    for document in documents(tree, path, &shown)? {
        let list = if document.is_array() { document } else { Value::Array(vec![document]) };
        let read: Vec<replace::Replacement> =
            serde_json::from_value(list).map_err(|error| Error::at(&shown, error.to_string()))?;
        found.extend(read);
    }
    Ok(found)
}

fn documents(tree: &dyn Tree, path: &Path, shown: &str) -> Result<Vec<Value>> {
    let text = tree::text(tree, path)?;
    let wrong = |error: tinderbox_api::manifest::ManifestError| {
        Error::at(format!("{shown}:{}:{}", error.line, error.column), error.message)
    };
    Ok(tinderbox_api::manifest::load(&text).map_err(wrong)?.into_iter().map(|document| document.value).collect())
}

fn read(tree: &dyn Tree, file: &Path, place: &str) -> Result<Kustomization> {
    let text = tree::text(tree, file)?;
    let wrong = |error: tinderbox_api::manifest::ManifestError| {
        Error::at(format!("{place}:{}:{}", error.line, error.column), error.message)
    };
    let mut documents = tinderbox_api::manifest::load(&text).map_err(wrong)?;
    if documents.len() > 1 {
        return Err(Error::at(place, "there is more than one document in it"));
    }
    let Some(document) = documents.pop() else { return Ok(Kustomization::default()) };
    let Some(fields) = document.value.as_object() else {
        return Err(Error::at(format!("{place}:{}", document.line), "a kustomization is an object"));
    };
    // A field without a value is none.
    let value: Value =
        fields.iter().filter(|(_, value)| !value.is_null()).map(|(k, v)| (k.clone(), v.clone())).collect();
    serde_json::from_value(value).map_err(|error| {
        let message = error.to_string();
        let field =
            message.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`')).map(|(field, _)| field);
        match field {
            Some(field) => {
                let at = document.spans.find(field);
                let known = "this renderer knows no more of kustomize; `kustomize build` may";
                Error::at(format!("{place}:{}:{}", at.line, at.column), format!("unknown field `{field}`; {known}"))
            }
            None => Error::at(place, message),
        }
    })
}

/// The place of a field of a kustomization that is known to be readable.
fn place_in(tree: &dyn Tree, file: &Path, place: &str, field: &str) -> String {
    let text = tree::text(tree, file).unwrap_or_default();
    let document = tinderbox_api::manifest::load(&text).unwrap_or_default().pop();
    document.map_or_else(
        || place.to_owned(),
        |document| {
            let at = document.spans.find(field);
            format!("{place}:{}:{}", at.line, at.column)
        },
    )
}

fn check_kind(place: &str, kustomization: &Kustomization, is_component: bool) -> Result<()> {
    let (kind, version) = if is_component { ("Component", "v1alpha1") } else { ("Kustomization", "v1beta1") };
    let wanted = format!("kustomize.config.k8s.io/{version}");
    let is = (kustomization.kind.as_deref().unwrap_or(kind), kustomization.api_version.as_deref().unwrap_or(&wanted));
    if is == (kind, wanted.as_str()) {
        return Ok(());
    }
    Err(Error::at(place, format!("{} {} is not a {}", is.1, is.0, kind.to_lowercase())))
}

#[cfg(test)]
mod tests;
