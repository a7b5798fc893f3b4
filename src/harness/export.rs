//! `export`: all that a bug report needs in one archive: what the doctor finds, the status, objects without secrets, events, the
//! node's log and the pods' logs. Keys and tokens never go in.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use kube::api::{DynamicObject, ListParams, ObjectList};
use kube::discovery::{Discovery, Scope, verbs};
use serde::Serialize;
use serde_json::Value;
use tempfile::NamedTempFile;
use tinderbox_providers::Provider as _;

use crate::cluster::{Cluster, Resource};
use crate::doctor::doctor;
use crate::error::Error;
use crate::project::Project;
use crate::status::status;

/// What an archive holds.
#[derive(Debug, Clone, Serialize)]
pub struct ExportReport {
    /// The archive.
    pub file: PathBuf,
    /// The names in it.
    pub entries: Vec<String>,
    /// What could not be had.
    pub missing: Vec<String>,
}

struct Archive {
    tar: tar::Builder<GzEncoder<NamedTempFile>>,
    top: String,
    entries: Vec<String>,
}

impl Archive {
    fn text(&mut self, name: &str, text: &[u8]) -> io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        self.tar.append_data(&mut header, format!("{}/{name}", self.top), text)?;
        self.entries.push(name.to_owned());
        Ok(())
    }

    fn json(&mut self, name: &str, value: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(value)?;
        self.text(name, &text)
    }

    /// A folder's files whose path `wanted` accepts. Links are left out: they may lead to what must not go in.
    fn folder(&mut self, name: &str, dir: &Path, wanted: &dyn Fn(&Path) -> bool) -> io::Result<()> {
        for entry in dir.read_dir()? {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            let inner = format!("{name}/{}", entry.file_name().to_string_lossy());
            if kind.is_dir() {
                // A volume may be closed to us; there are no logs in it.
                let _ = self.folder(&inner, &path, wanted);
            } else if kind.is_file() && wanted(&path) {
                // Read first: a log that grows meanwhile would not fit its header.
                self.text(&inner, &std::fs::read(&path)?)?;
            }
        }
        Ok(())
    }
}

/// Writes the archive. What cannot be had is named in the report and does not keep the rest from being written.
///
/// # Errors
/// When the archive cannot be written.
pub async fn export(project: &Project, file: &Path) -> Result<ExportReport, Error> {
    let mut missing = Vec::new();
    // Under another name until it is whole: given up, it goes again.
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir).map_err(Error::file("open the folder", dir))?;
    let created = NamedTempFile::new_in(dir).map_err(Error::file("write", file))?;
    let mut archive = Archive {
        tar: tar::Builder::new(GzEncoder::new(created, Compression::default())),
        top: format!("tinderbox-{}", project.cluster),
        entries: Vec::new(),
    };
    let failed = |source| Error::File { act: "write", path: file.to_owned(), source };
    archive.json("doctor.json", &doctor(project).await).map_err(failed)?;
    match status(project).await {
        Ok(mut report) => {
            // It lets in whoever has it.
            report.console = None;
            archive.json("status.json", &report).map_err(failed)?;
        }
        Err(error) => missing.push(format!("status: {error}")),
    }
    match Cluster::running(project).await {
        Ok(cluster) => objects(&cluster, &mut archive, &mut missing).await?,
        Err(error) => missing.push(format!("objects: {error}")),
    }
    let place = project.provider("export")?;
    let folder = place.folder();
    for path in std::iter::once(folder.state()).chain(place.logs()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match std::fs::read(&path) {
            Ok(text) => archive.text(&name, &text).map_err(failed)?,
            Err(error) => missing.push(format!("{name}: {error}")),
        }
    }
    let logs = |path: &Path| {
        path.extension().is_some_and(|extension| extension == "log")
            && path.components().any(|part| part.as_os_str() == "logs")
    };
    if let Err(error) = archive.folder("pods", &folder.path().join("pods"), &logs) {
        missing.push(format!("pods: {error}"));
    }
    let encoder = archive.tar.into_inner().map_err(failed)?;
    let written = encoder.finish().map_err(failed)?;
    written.persist(file).map_err(|error| failed(error.error))?;
    Ok(ExportReport { file: file.to_owned(), entries: archive.entries, missing })
}

/// Every object of every kind that can be listed, a file per kind.
async fn objects(cluster: &Cluster, archive: &mut Archive, missing: &mut Vec<String>) -> Result<(), Error> {
    let discovery =
        Discovery::new(cluster.client.clone()).run().await.map_err(Error::api("ask what kinds there are"))?;
    for group in discovery.groups() {
        for (api, capabilities) in group.recommended_resources() {
            if !capabilities.supports_operation(verbs::LIST) {
                continue;
            }
            let name = if api.group.is_empty() { api.plural.clone() } else { format!("{}.{}", api.plural, api.group) };
            let secret = api.group.is_empty() && api.kind == "Secret";
            let resource = Resource { namespaced: capabilities.scope == Scope::Namespaced, api };
            let listed: kube::Result<ObjectList<DynamicObject>> =
                cluster.collection(&resource, "").list(&ListParams::default()).await;
            match listed {
                Ok(list) if list.items.is_empty() => {}
                Ok(list) => {
                    let objects: Vec<Value> = list.iter().map(|object| without_secrets(object, secret)).collect();
                    archive
                        .json(&format!("objects/{name}.json"), &objects)
                        .map_err(|error| Error::Internal(format!("cannot add {name} to the archive: {error}")))?;
                }
                Err(error) => missing.push(format!("{name}: {error}")),
            }
        }
    }
    Ok(())
}

fn without_secrets(object: &DynamicObject, secret: bool) -> Value {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    if let Some(metadata) = value["metadata"].as_object_mut() {
        metadata.remove("managedFields");
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            // It repeats the object, whatever is in it.
            annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        }
    }
    if secret {
        for field in ["data", "stringData"] {
            for content in value[field].as_object_mut().into_iter().flat_map(|fields| fields.values_mut()) {
                *content = Value::from("(left out)");
            }
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_lose_their_content() {
        let secret: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Secret", "data": {"key": "c2VjcmV0"},
            "metadata": {"name": "a", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{\"data\":{\"key\":\"c2VjcmV0\"}}"}},
        }))
        .expect("an object");
        let text = without_secrets(&secret, true).to_string();
        assert!(!text.contains("c2VjcmV0") && text.contains("(left out)"), "{text}");
    }
}
