//! Images from outside the node: fetching what native ones need before a job asks for it, where Spark itself lies, and the store of
//! those from archives and registries. All is shared with the node through the cache, which is locked between processes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tinderbox_kubelet::image::{Image, Images, NativeImage, Progress, Quiet, RootEntry, cache_dir};

use crate::{Class, Error};
pub use tinderbox_kubelet::image::oci::{Digest, Origin, Pruned, Record, Stored};
use tinderbox_kubelet::image::oci::{OciError, Store};
use tinderbox_kubelet::sandbox::HostIds;

/// Is told how far a download has come: what, bytes done, bytes in all where that is known; `None` when it is over.
pub type Advance = Arc<dyn Fn(&str, Option<(u64, Option<u64>)>) + Send + Sync>;

struct Told(Advance);

impl Progress for Told {
    fn advanced(&self, what: &str, done: u64, total: Option<u64>) {
        (self.0)(what, Some((done, total)));
    }

    fn finished(&self, what: &str) {
        (self.0)(what, None);
    }
}

/// Fetches what an image needs that is not there yet: the packages of a native one, the layers of another.
///
/// # Errors
/// When it cannot be had.
pub async fn fetch(name: &str, described: Vec<NativeImage>, advance: Advance) -> Result<(), Error> {
    let images = Images::new(cache_dir(), described, Arc::new(Told(advance)));
    images.fetch(name).await.map_err(|source| failed(name, source))
}

fn store() -> Store {
    Store::new(&cache_dir(), HostIds::of_this_process())
}

/// Brings the images of an archive (`None`: of standard input) into this user's store; `name` is for an image that has none.
///
/// # Errors
/// When it is no archive of images for this machine, or the store cannot be written.
pub async fn load(file: Option<&Path>, name: Option<&str>) -> Result<Vec<Record>, Error> {
    let what = file.map_or_else(|| "standard input".to_owned(), |path| path.display().to_string());
    store().load(file, name).await.map_err(refused(format!("load the images of {what}")))
}

/// All images of this user's store.
///
/// # Errors
/// When it cannot be read.
pub async fn list() -> Result<Vec<Stored>, Error> {
    blocking(|| store().stored()).await.map_err(refused("list the images".to_owned()))
}

/// Takes a name away from its image, and the image too when it was its last name.
///
/// # Errors
/// When there is no such image, or a pod uses it.
pub async fn remove(name: &str) -> Result<Pruned, Error> {
    let wanted = name.to_owned();
    blocking(move || store().remove(&wanted)).await.map_err(refused(format!("remove the image {name}")))
}

/// Removes the images that no pod of a running cluster uses.
///
/// # Errors
/// When the store cannot be read or written.
pub async fn prune() -> Result<Pruned, Error> {
    blocking(|| store().prune()).await.map_err(refused("remove unused images".to_owned()))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let task = tokio::task::spawn_blocking(work).await;
    task.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

fn refused(act: String) -> impl FnOnce(OciError) -> Error {
    move |source| {
        let class = match &source {
            OciError::Io { .. } | OciError::Full { .. } => Class::Environment,
            OciError::Name { .. } | OciError::Nameless { .. } | OciError::Unknown { .. } => Class::Usage,
            _ => Class::Failed,
        };
        Error::Compose { act, hint: Some(source.hint().to_owned()), source: Box::new(source), class }
    }
}

/// Spark as it lies on this machine, for running it without a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostSpark {
    /// `SPARK_HOME`.
    pub home: PathBuf,
    /// `JAVA_HOME`.
    pub java: PathBuf,
    /// The Python that its images use.
    pub python: PathBuf,
    /// `PYTHONPATH`.
    pub python_path: String,
}

/// Where the Spark of an image lies on this machine.
///
/// # Errors
/// When the image cannot be had.
pub async fn host_spark(name: &str) -> Result<HostSpark, Error> {
    let images = Images::new(cache_dir(), Vec::new(), Arc::new(Quiet));
    let image = images.resolve(name).await.map_err(|source| failed(name, source))?;
    let on_host = |inside: &str| outside(&image, inside);
    let variable = |name: &str| image.env.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let python_path = variable("PYTHONPATH").unwrap_or_default();
    let link = image.root.iter().find_map(|entry| match entry {
        RootEntry::Symlink { to, target } if target.ends_with("bin/python3") => Some(to.display().to_string()),
        _ => None,
    });
    Ok(HostSpark {
        // By its jars: the folder of programs is not one bind, since some of them are our own.
        home: on_host("/opt/spark/jars").parent().map(PathBuf::from).unwrap_or_default(),
        java: on_host(&variable("JAVA_HOME").unwrap_or_default()),
        python: on_host(&link.unwrap_or_else(|| "/usr/bin/python3".to_owned())),
        python_path: python_path
            .split(':')
            .map(|part| on_host(part).display().to_string())
            .collect::<Vec<_>>()
            .join(":"),
    })
}

/// Where a path of a container lies on the machine: under the deepest bind above it, or at the same place.
fn outside(image: &Image, inside: &str) -> PathBuf {
    let inside = PathBuf::from(inside);
    let binds = image.root.iter().filter_map(|entry| match entry {
        RootEntry::Bind { source, target } => inside.strip_prefix(target).ok().map(|rest| (target, source, rest)),
        _ => None,
    });
    let deepest = binds.max_by_key(|(target, _, _)| target.components().count());
    match deepest {
        Some((_, source, rest)) if rest.as_os_str().is_empty() => source.clone(),
        Some((_, source, rest)) => source.join(rest),
        None => inside,
    }
}

fn failed(name: &str, source: tinderbox_kubelet::image::ImageError) -> Error {
    Error::Compose {
        act: format!("make the image {name}"),
        source: Box::new(source),
        hint: None,
        class: Class::Environment,
    }
}
