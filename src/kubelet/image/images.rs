//! From a name to an image: what is described first, then what is built in.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::name::Reference;
use super::native::NativeImage;
use super::pip::{FetchError, Fetcher};
use super::progress::Progress;
use super::{Image, ImageError, RootEntry, python, spark, userland};

/// How deep descriptions may stand upon each other.
const DEPTH: usize = 8;
/// Where packages of a description stand in a container.
const PACKAGES: &str = "/opt/packages";

/// Everything that can be resolved.
pub struct Images {
    cache: PathBuf,
    described: HashMap<String, NativeImage>,
    progress: Arc<dyn Progress>,
    spark: spark::Builder,
}

impl Images {
    /// Images with downloads in `cache` (see [`super::cache_dir`]) and the descriptions of `tinderbox.yaml`.
    #[must_use]
    pub fn new(cache: PathBuf, described: Vec<NativeImage>, progress: Arc<dyn Progress>) -> Self {
        let whole = |name: &str| Reference::parse(name).map_or_else(|_| name.to_owned(), |name| name.to_string());
        let described = described.into_iter().map(|image| (whole(&image.name), image)).collect();
        let spark = spark::Builder::new(cache.clone(), progress.clone());
        Self { cache, described, progress, spark }
    }

    /// The image of a name as it stands in a pod. Downloads what it needs and is not there; that may take minutes.
    ///
    /// # Errors
    /// When nothing of that name is known, or a part of it cannot be had.
    pub async fn resolve(&self, name: &str) -> Result<Image, ImageError> {
        let reference = parse(name)?;
        // The descriptions from the asked one down to the built-in one.
        let mut layers = Vec::new();
        let mut at = reference.clone();
        while let Some(described) = self.described.get(&at.to_string()) {
            layers.push(described);
            at = parse(&described.from)?;
            if layers.len() > DEPTH {
                let problem = format!("descriptions stand upon each other more than {DEPTH} deep, or in a circle");
                return Err(ImageError::Description { name: reference.to_string(), problem });
            }
        }
        let mut image = self.built_in(&at).await?;
        for described in layers.into_iter().rev() {
            self.add(&mut image, described, &reference).await?;
        }
        image.name = reference.to_string();
        image.id = identity(&image);
        Ok(image)
    }

    async fn built_in(&self, reference: &Reference) -> Result<Image, ImageError> {
        let not_found = || ImageError::NotFound { name: reference.to_string() };
        let tag = match (&reference.tag, &reference.digest) {
            (Some(tag), None) => tag.as_str(),
            // What a digest names is exactly one foreign image.
            _ => return Err(not_found()),
        };
        let short = match reference.short() {
            Some(short) => short,
            None if reference.to_string().starts_with("registry.k8s.io/pause:") => "pause",
            None => return Err(not_found()),
        };
        match short {
            "apache/spark" | "spark" => {
                let tag = spark::Tag::parse(tag).ok_or_else(not_found)?;
                self.spark.build(&reference.to_string(), &tag).await
            }
            "python" => python_image(reference).await,
            short => userland::plain(short).ok_or_else(not_found),
        }
    }

    /// Puts what a description says upon an image.
    async fn add(&self, image: &mut Image, described: &NativeImage, asked: &Reference) -> Result<(), ImageError> {
        let name = || asked.to_string();
        let packages = described.packages().map_err(|line| {
            let problem = format!("under pip:, {line:?} is not of the form name==version");
            ImageError::Description { name: name(), problem }
        })?;
        for (package, version) in packages {
            let folder =
                self.package(package, version).await.map_err(|source| ImageError::Fetch { name: name(), source })?;
            let target = format!("{PACKAGES}/{}", folder.file_name().unwrap_or_default().to_string_lossy());
            image.root.push(RootEntry::bind(&folder, &target));
            image.append_env("PYTHONPATH", &target);
        }
        for jar in &described.jars {
            let jar = existing(jar, asked)?;
            let target = Path::new(spark::EXTRA_JARS).join(jar.file_name().unwrap_or_default());
            image.root.push(RootEntry::bind(jar, target));
        }
        if !described.jars.is_empty() {
            image.set_env("SPARK_DIST_CLASSPATH", format!("{}/*", spark::EXTRA_JARS));
        }
        for file in &described.files {
            if !file.target.is_absolute() {
                let problem = format!("under files:, the target {} is not absolute", file.target.display());
                return Err(ImageError::Description { name: name(), problem });
            }
            image.root.push(RootEntry::bind(existing(&file.source, asked)?, &file.target));
        }
        for (name, value) in &described.env {
            image.set_env(name, value);
        }
        Ok(())
    }

    async fn package(&self, name: &str, version: &str) -> Result<PathBuf, FetchError> {
        Fetcher::new(&self.cache, &*self.progress).package(name, version).await
    }
}

fn parse(name: &str) -> Result<Reference, ImageError> {
    Reference::parse(name).map_err(|reason| ImageError::Name { name: name.to_owned(), reason })
}

fn existing<'a>(path: &'a Path, asked: &Reference) -> Result<&'a Path, ImageError> {
    if path.exists() {
        Ok(path)
    } else {
        Err(ImageError::MissingFile { name: asked.to_string(), path: path.to_owned() })
    }
}

async fn python_image(reference: &Reference) -> Result<Image, ImageError> {
    let failed = |source| ImageError::Python { name: reference.to_string(), source };
    let python = tokio::task::spawn_blocking(|| python::find(6..=99)).await;
    let python = python.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())).map_err(failed)?;
    let mut image = userland::base(userland::User { name: "root", id: 0, home: "/root" });
    image.root.extend(python.root());
    let path = image.env.iter().find(|(name, _)| name == "PATH").map(|(_, path)| path.clone()).unwrap_or_default();
    image.set_env("PATH", format!("{}:{path}", python::LINKS));
    image.set_env("PYTHON_VERSION", python.version_text());
    image.command = vec!["python3".to_owned()];
    Ok(image)
}

/// Changes whenever anything of the image does.
fn identity(image: &Image) -> String {
    let sum = Sha256::digest(format!("{image:?}").as_bytes());
    let hex: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

#[cfg(test)]
mod tests;
