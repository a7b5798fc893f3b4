//! Native images from outside the node: fetching what they need before a job asks for it, and where Spark itself lies. Downloads
//! are shared with the node through the cache, which is locked between processes.

use std::path::PathBuf;
use std::sync::Arc;

use tinderbox_kubelet::image::{Image, Images, NativeImage, Progress, Quiet, RootEntry, cache_dir};

use crate::{Class, Error};

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

/// Fetches what an image needs, where it is a native one and not there yet.
///
/// # Errors
/// When it cannot be had.
pub async fn fetch(name: &str, described: Vec<NativeImage>, advance: Advance) -> Result<(), Error> {
    let images = Images::new(cache_dir(), described, Arc::new(Told(advance)));
    images.resolve(name).await.map(drop).map_err(|source| failed(name, source))
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
