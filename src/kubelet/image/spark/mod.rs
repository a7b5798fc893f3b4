//! Spark's native image: the official image's contract, made of the `pyspark` package on this machine's Java and Python.

mod archive;
mod distribution;
mod tag;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use archive::Archive;

use super::java::{self, Java};
use super::pip::FetchError;
use super::progress::Progress;
use super::python::{self, Python};
use super::{Image, ImageError, RootEntry, userland};

pub(super) use tag::Tag;

/// Jars of a described image; on the class path through `SPARK_DIST_CLASSPATH`.
pub(super) const EXTRA_JARS: &str = "/opt/spark/jars-extra";

const HOME: &str = "/opt/spark";
const WORK: &str = "/opt/spark/work-dir";
const USER: userland::User = userland::User { name: "spark", id: 185, home: "/home/spark" };
const ENTRYPOINT: &str = include_str!("entrypoint.sh");
const ARCHIVE: &str = include_str!("archive.sh");
const SPARK_CLASS: &str = include_str!("spark-class");
const DECOMMISSION: &str = include_str!("decom.sh");

/// Makes Spark's images.
pub(super) struct Builder {
    cache: PathBuf,
    progress: Arc<dyn Progress>,
    /// The archives that were begun by this process.
    begun: Mutex<Vec<PathBuf>>,
}

impl Builder {
    pub(super) fn new(cache: PathBuf, progress: Arc<dyn Progress>) -> Self {
        Self { cache, progress, begun: Mutex::default() }
    }

    /// The image of a tag; `name` is what it is asked for as.
    pub(super) async fn build(&self, name: &str, tag: &Tag) -> Result<Image, ImageError> {
        let (image, archive) = self.prepare(name, tag).await?;
        self.begin(archive, &image);
        Ok(image)
    }

    async fn prepare(&self, name: &str, tag: &Tag) -> Result<(Image, Archive), ImageError> {
        let (java, python) = languages(name, tag).await?;
        let distribution = distribution::get(&self.cache, &tag.version, &python, &*self.progress)
            .await
            .map_err(|source| ImageError::Fetch { name: name.to_owned(), source })?;
        let archive = Archive::new(&self.cache, &tag.version, &distribution, &java);
        // The folder must be there to be shown.
        let created = archive.keep().map_err(FetchError::io("create", &archive.folder()));
        created.map_err(|source| ImageError::Fetch { name: name.to_owned(), source })?;
        let image = compose(&distribution, &archive.folder(), &java, &python);
        Ok((image, archive))
    }

    /// Makes the archive on a thread of its own, once; a failure is not tried again before the next start.
    fn begin(&self, archive: Archive, image: &Image) {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        if archive.is_made() || begun.contains(&archive.folder()) {
            return;
        }
        begun.push(archive.folder());
        let image = image.clone();
        let making = std::thread::Builder::new().name("spark-archive".to_owned()).spawn(move || {
            tracing::info!(folder = %archive.folder().display(), "making the class-data archive in the background");
            archive::step_back();
            match archive.make(&image) {
                Ok(()) => tracing::info!("the class-data archive is made; drivers and executors start faster now"),
                Err(error) => tracing::warn!(%error, "could not make the class-data archive; Spark works without it"),
            }
        });
        if let Err(error) = making {
            tracing::warn!(%error, "could not make the class-data archive; Spark works without it");
        }
    }
}

async fn languages(name: &str, tag: &Tag) -> Result<(Java, Python), ImageError> {
    let (javas, minors, vector) = (tag.javas(), tag.python_minors(), tag.needs_vector());
    let look = move || (java::find(&javas, vector), python::find(minors));
    let found = tokio::task::spawn_blocking(look).await;
    let (java, python) = found.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
    let java = java.map_err(|source| ImageError::Java { name: name.to_owned(), source })?;
    let python = python.map_err(|source| ImageError::Python { name: name.to_owned(), source })?;
    Ok((java, python))
}

fn compose(distribution: &Path, archive: &Path, java: &Java, python: &Python) -> Image {
    let mut image = userland::base(USER);
    image.root.extend(java.root());
    image.root.extend(python.root());
    image.root.push(RootEntry::own_directory(HOME, 0o755));
    for part in distribution::PARTS {
        image.root.push(RootEntry::bind(distribution.join(part), Path::new(HOME).join(part)));
    }
    image.root.push(RootEntry::directory(format!("{HOME}/bin"), 0o755));
    for script in distribution::scripts(distribution) {
        // Ours stands before it.
        let name = if script == "spark-class" { "spark-class.own" } else { script.as_str() };
        let source = distribution.join("bin").join(&script);
        image.root.push(RootEntry::bind(source, format!("{HOME}/bin/{name}")));
    }
    image.root.push(RootEntry::file(format!("{HOME}/bin/spark-class"), 0o755, SPARK_CLASS));
    image.root.push(RootEntry::file("/opt/spark-archive.sh", 0o644, ARCHIVE));
    image.root.push(RootEntry::bind(archive, archive::TARGET));
    image.root.push(RootEntry::own_directory(WORK, 0o775));
    image.root.push(RootEntry::file("/opt/entrypoint.sh", 0o755, ENTRYPOINT));
    image.root.push(RootEntry::file("/opt/decom.sh", 0o755, DECOMMISSION));
    let path = image.env.iter().find(|(name, _)| name == "PATH").map(|(_, path)| path.clone()).unwrap_or_default();
    image.set_env("PATH", format!("{}:{path}", python::LINKS));
    image.set_env("SPARK_HOME", HOME);
    image.set_env("JAVA_HOME", java.target().display().to_string());
    image.set_env("PYTHONPATH", format!("{HOME}/python"));
    for library in distribution::python_libraries(distribution) {
        image.append_env("PYTHONPATH", &format!("{HOME}/python/lib/{library}"));
    }
    image.entrypoint = vec!["/opt/entrypoint.sh".to_owned()];
    image.working_dir = WORK.to_owned();
    image
}

#[cfg(test)]
mod tests;
