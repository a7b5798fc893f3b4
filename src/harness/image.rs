//! `image`: the store of images that all clusters of this user share. It needs no running cluster.

use std::fs;
use std::path::Path;

use serde::Serialize;
use tempfile::NamedTempFile;
use tinderbox_providers::embedded::images;
use tinderbox_providers::engine::Engine;
use tinderbox_providers::kind::{Kind, Loaded};
use tinderbox_providers::{AnyProvider, Found, Provider as _};

pub use images::{Pruned, Stored};

use crate::error::Error;
use crate::event::{Event, Talk};
use crate::project::Project;
use crate::up::whole_millis;

/// What was loaded.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadReport {
    /// Images that came into the store of this user.
    pub loaded: Vec<images::Record>,
    /// Images that came into the nodes of a cluster.
    pub nodes: Vec<NodeImage>,
}

/// An image that came into the nodes of a cluster.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeImage {
    /// Its whole name, or the archive that it came from.
    pub image: String,
    /// Layers that it has; 0 for an archive, which is moved as it is.
    pub layers: usize,
    /// Layers that were moved; the nodes had the others.
    pub moved: usize,
    /// Bytes that were moved.
    pub bytes: u64,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// Loads images: of archives (`-` is standard input) into the store of this user or, for a cluster in a container engine, into its
/// nodes; and there also by name, what the engine has or the configuration describes. `name` is for an image that has none.
///
/// # Errors
/// When it is no archive of images for this machine, the engine has no such image, or it cannot be written.
pub async fn load(project: &Project, what: &[String], name: Option<&str>, talk: &Talk) -> Result<LoadReport, Error> {
    let mut report = LoadReport::default();
    let kind = match project.provider("image load")? {
        AnyProvider::Kind(kind) => Some(kind),
        AnyProvider::Embedded(_) => None,
        AnyProvider::Existing(_) => {
            return Err(Error::Usage {
                message: "the nodes of an existing cluster pull their images themselves".to_owned(),
                hint: None,
            });
        }
    };
    for one in what {
        talk.tell(Event::Step(format!("loading {one}")));
        let path = (one != "-").then(|| Path::new(one));
        match &kind {
            None => {
                if let Some(path) = path {
                    fs::metadata(path).map_err(Error::file("open", path))?;
                }
                report.loaded.extend(images::load(path, name).await?);
            }
            Some(_) if name.is_some() => {
                return Err(Error::Usage {
                    message: "the nodes of a cluster on kind take images by the names that their archive has"
                        .to_owned(),
                    hint: Some("give the image its name before it is saved, as by `docker tag`".to_owned()),
                });
            }
            Some(kind) => report.nodes.push(into_nodes(kind, project, one, talk).await?),
        }
    }
    Ok(report)
}

async fn into_nodes(kind: &Kind, project: &Project, what: &str, talk: &Talk) -> Result<NodeImage, Error> {
    let archive = if what == "-" { Path::new("/dev/stdin") } else { Path::new(what) };
    let done = if what == "-" || archive.is_file() {
        kind.load_archive(archive).await?
    } else {
        let names = [what.to_owned()];
        let (loaded, _) = kind.load_images(&names, &project.images(), &talk.for_provider()).await?;
        loaded.into_iter().next().ok_or_else(|| Error::Usage {
            message: format!("there is no file {what}, and the engine has no image of that name"),
            hint: Some("`docker images` lists what it has".to_owned()),
        })?
    };
    let Loaded { image, layers, moved, bytes, took, .. } = done;
    Ok(NodeImage { image, layers, moved, bytes, took_ms: whole_millis(took) })
}

/// Builds an image in the container engine, and brings it to where the cluster has its images: into the nodes of one in the engine, or
/// into the store of this user.
///
/// # Errors
/// When there is no engine, a step of the Dockerfile fails, or the image cannot be brought over.
pub async fn build(
    project: &Project,
    dir: &Path,
    dockerfile: &str,
    tag: &str,
    talk: &Talk,
) -> Result<LoadReport, Error> {
    talk.tell(Event::Step(format!("building {tag}")));
    let (engine, _) = Engine::fit().await?;
    engine.build(dir, dockerfile, tag, &talk.for_provider()).await?;
    let place = project.provider("image build")?;
    match (&place, place.find().await?) {
        (AnyProvider::Kind(_), Found::Running(_)) => load(project, &[tag.to_owned()], None, talk).await,
        (AnyProvider::Embedded(_), _) => {
            talk.tell(Event::Step(format!("bringing {tag} into the store")));
            let archive = NamedTempFile::new().map_err(Error::file("make a file in", std::env::temp_dir()))?;
            engine.save(tag, archive.path()).await?;
            Ok(LoadReport { loaded: images::load(Some(archive.path()), None).await?, ..LoadReport::default() })
        }
        _ => Ok(LoadReport::default()),
    }
}

/// All images of the store.
///
/// # Errors
/// When it cannot be read.
pub async fn list() -> Result<Vec<Stored>, Error> {
    Ok(images::list().await?)
}

/// Removes images by name or id.
///
/// # Errors
/// When one is not there, or a pod uses it; those before it are gone then.
pub async fn remove(names: &[String]) -> Result<Pruned, Error> {
    let mut all = Pruned::default();
    for name in names {
        let pruned = images::remove(name).await?;
        all.removed.extend(pruned.removed);
        all.freed += pruned.freed;
    }
    Ok(all)
}

/// Removes all images that no pod of a running cluster uses.
///
/// # Errors
/// When the store cannot be read or written.
pub async fn prune() -> Result<Pruned, Error> {
    Ok(images::prune().await?)
}
