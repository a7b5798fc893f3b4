//! Renders the kustomizations that this project writes: `resources` (files and folders), `namespace` and `configMapGenerator`
//! with its hash. A field beyond that is refused by name and never passed over. It reads files and makes objects, no more.

mod generate;
mod names;

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::error::Error;
use crate::manifest::{self, Object};
use crate::project::from_yaml;

/// The names that a kustomization's file may have.
const FILES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Kustomization {
    api_version: Option<String>,
    kind: Option<String>,
    namespace: Option<String>,
    resources: Vec<PathBuf>,
    config_map_generator: Vec<generate::Generator>,
    generator_options: generate::Options,
}

/// The kustomization file of a folder, if it has one.
#[must_use]
pub fn file_in(dir: &Path) -> Option<PathBuf> {
    FILES.iter().map(|name| dir.join(name)).find(|path| path.is_file())
}

/// Renders the kustomization in `dir`.
///
/// # Errors
/// When a file cannot be read, is broken, or asks for what this renderer does not do.
pub fn render(dir: &Path) -> Result<Vec<Object>, Error> {
    render_below(dir, &mut Vec::new())
}

fn render_below(dir: &Path, above: &mut Vec<PathBuf>) -> Result<Vec<Object>, Error> {
    let own = fs::canonicalize(dir).map_err(Error::file("find the folder", dir))?;
    let Some(file) = file_in(dir) else {
        return Err(Error::Document {
            place: dir.display().to_string(),
            message: format!("there is none of {} in this folder", FILES.join(", ")),
        });
    };
    if above.contains(&own) {
        return Err(Error::Document {
            place: file.display().to_string(),
            message: "it is among its own resources".to_owned(),
        });
    }
    above.push(own);
    let text = fs::read_to_string(&file).map_err(Error::file("read", &file))?;
    let kustomization: Kustomization = from_yaml(&file, &text).map_err(known_fields)?;
    check_kind(&file, &kustomization)?;
    let mut objects = Vec::new();
    for resource in &kustomization.resources {
        let path = dir.join(resource);
        if path.is_dir() {
            objects.extend(render_below(&path, above)?);
        } else {
            objects.extend(manifest::read(&path)?);
        }
    }
    let renamed = kustomization
        .config_map_generator
        .iter()
        .map(|generator| generator.make(dir, &file, &kustomization.generator_options))
        .collect::<Result<Vec<_>, _>>()?;
    for made in &renamed {
        for object in &mut objects {
            names::rename_config_map(&mut object.value, &made.asked, &made.given);
        }
    }
    objects.extend(renamed.into_iter().map(|made| made.object));
    if let Some(namespace) = &kustomization.namespace {
        names::set_namespace(&mut objects, namespace);
    }
    above.pop();
    Ok(objects)
}

fn known_fields(error: Error) -> Error {
    match error {
        Error::Document { place, message } if message.starts_with("unknown field") => {
            Error::Document { place, message: format!("{message}; this renderer knows no more of kustomize") }
        }
        other => other,
    }
}

fn check_kind(file: &Path, kustomization: &Kustomization) -> Result<(), Error> {
    let kind = kustomization.kind.as_deref().unwrap_or("Kustomization");
    let version = kustomization.api_version.as_deref().unwrap_or("kustomize.config.k8s.io/v1beta1");
    if kind == "Kustomization" && version == "kustomize.config.k8s.io/v1beta1" {
        return Ok(());
    }
    Err(Error::Document {
        place: file.display().to_string(),
        message: format!("{version} {kind} is not a kustomization"),
    })
}

/// Whether an object of this kind belongs to no namespace, among the kinds that a manifest may bring before its definition.
fn is_cluster_wide(value: &Value) -> bool {
    matches!(
        value["kind"].as_str().unwrap_or(""),
        "Namespace"
            | "Node"
            | "PersistentVolume"
            | "StorageClass"
            | "ClusterRole"
            | "ClusterRoleBinding"
            | "CustomResourceDefinition"
            | "PriorityClass"
            | "IngressClass"
            | "RuntimeClass"
            | "CSIDriver"
            | "CSINode"
            | "APIService"
            | "MutatingWebhookConfiguration"
            | "ValidatingWebhookConfiguration"
            | "ValidatingAdmissionPolicy"
            | "ValidatingAdmissionPolicyBinding"
            | "CertificateSigningRequest"
    )
}

#[cfg(test)]
mod tests;
