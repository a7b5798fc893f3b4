//! From a name to an image: what is in the store first, then what is described or built in, then what a registry has.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::debian;
use super::name::Reference;
use super::native::{ImageUser, NativeImage};
use super::oci::{Keyring, Store};
use super::pip::{FetchError, Fetcher};
use super::policy::{Arrival, Brought, Policy};
use super::progress::Progress;
use super::{Image, ImageError, RootEntry, python, spark, userland};
use crate::sandbox::HostIds;

/// How deep descriptions may stand upon each other.
const DEPTH: usize = 8;
/// Where packages of a description stand in a container.
const PACKAGES: &str = "/opt/packages";
/// A native image that takes longer than this to make is announced.
const ANNOUNCED: Duration = Duration::from_millis(100);

/// Everything that can be resolved.
pub struct Images {
    cache: PathBuf,
    described: HashMap<String, NativeImage>,
    progress: Arc<dyn Progress>,
    spark: spark::Builder,
    debian: debian::Machine,
    store: Store,
}

impl Images {
    /// Images with downloads in `cache` (see [`super::cache_dir`]) and the descriptions of `tinderbox.yaml`.
    #[must_use]
    pub fn new(cache: PathBuf, described: Vec<NativeImage>, progress: Arc<dyn Progress>) -> Self {
        let whole = |name: &str| Reference::parse(name).map_or_else(|_| name.to_owned(), |name| name.to_string());
        let described = described.into_iter().map(|image| (whole(&image.name), image)).collect();
        let spark = spark::Builder::new(cache.clone(), progress.clone());
        let store = Store::new(&cache, HostIds::of_this_process());
        Self { cache, described, progress, spark, debian: debian::Machine::default(), store }
    }

    /// The store of images of archives and registries.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The image for a container that starts, by the rules of `policy`; `begins` is called when it must be fetched or made.
    /// A native image needs no registry: no policy asks one for it.
    ///
    /// # Errors
    /// When it is nowhere, or a part of it cannot be had.
    pub(crate) async fn ensure(
        &self,
        name: &str,
        policy: Policy,
        keyring: &Keyring,
        begins: &(dyn Fn() + Sync),
    ) -> Result<(Image, Arrival), ImageError> {
        let reference = parse(name)?;
        let is_native = self.is_native(&reference);
        if (is_native || policy != Policy::Always)
            && let Some(image) = self.stored(&reference).await?
        {
            return Ok((image, Arrival::Present));
        }
        if !is_native && policy == Policy::Never {
            return Err(ImageError::Never { asked: name.to_owned() });
        }
        let since = Instant::now();
        if !is_native {
            begins();
            let only_missing = policy != Policy::Always;
            let took = match self.store.pull(&reference, only_missing, keyring, &*self.progress).await {
                Ok(took) => took,
                Err(source) => {
                    let is_here = self.stored(&reference).await.is_ok_and(|found| found.is_some());
                    return Err(ImageError::Pull { name: reference.to_string(), is_here, source });
                }
            };
            let image = self.stored(&reference).await?;
            let image = image.ok_or_else(|| ImageError::NotFound { name: reference.to_string() })?;
            let size = image.unpacked.as_ref().map(|unpacked| unpacked.size);
            return Ok((image, Arrival::Brought(Brought { took, waited: since.elapsed(), size })));
        }
        let make = self.native(&reference);
        tokio::pin!(make);
        if let Ok(made) = tokio::time::timeout(ANNOUNCED, &mut make).await {
            return Ok((made?, Arrival::Present));
        }
        begins();
        let image = make.await?;
        let took = since.elapsed();
        Ok((image, Arrival::Brought(Brought { took, waited: took, size: None })))
    }

    /// Fetches what an image needs before a pod asks for it, with this user's own credentials.
    ///
    /// # Errors
    /// When it is nowhere, or a part of it cannot be had.
    pub async fn fetch(&self, name: &str) -> Result<(), ImageError> {
        self.ensure(name, Policy::IfNotPresent, &Keyring::default(), &|| {}).await.map(drop)
    }

    /// The image of the store that a name means.
    async fn stored(&self, reference: &Reference) -> Result<Option<Image>, ImageError> {
        let (store, wanted) = (self.store.clone(), reference.clone());
        let found = tokio::task::spawn_blocking(move || store.image(&wanted)).await;
        let found = found.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        found.map_err(|source| ImageError::Oci { name: reference.to_string(), source })
    }

    /// The image of a name as it stands in a pod, if the store has it or it is a native one. Downloads what a native one needs; that
    /// may take minutes.
    ///
    /// # Errors
    /// When nothing of that name is known here, or a part of it cannot be had.
    pub async fn resolve(&self, name: &str) -> Result<Image, ImageError> {
        let reference = parse(name)?;
        match self.stored(&reference).await? {
            Some(image) => Ok(image),
            None => self.native(&reference).await,
        }
    }

    /// Whether a name is that of a native image.
    fn is_native(&self, reference: &Reference) -> bool {
        self.described.contains_key(&reference.to_string()) || kind(reference).is_some()
    }

    /// The descriptions from the asked one down, and what the lowest starts from.
    fn descriptions(&self, reference: &Reference) -> Result<(Vec<&NativeImage>, Reference), ImageError> {
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
        Ok((layers, at))
    }

    async fn native(&self, reference: &Reference) -> Result<Image, ImageError> {
        let (layers, at) = self.descriptions(reference)?;
        let mut image = self.built_in(&at).await?;
        for described in layers.into_iter().rev() {
            self.add(&mut image, described, reference).await?;
        }
        image.name = reference.to_string();
        image.id = identity(&image);
        Ok(image)
    }

    /// What the descriptions of an image put upon the image that the lowest of them starts from, and that one's name: for those who
    /// have another one of that name.
    ///
    /// # Errors
    /// When the image is not described, or something of the description cannot be had or stands for itself.
    pub async fn upon(&self, name: &str) -> Result<(String, Image), ImageError> {
        let reference = parse(name)?;
        let (layers, at) = self.descriptions(&reference)?;
        let mut image = Image::default();
        for described in layers.into_iter().rev() {
            if !described.packages.is_empty() {
                let problem =
                    "packages: are made for the userland of this machine, and not for that of another image".to_owned();
                return Err(ImageError::Description { name: name.to_owned(), problem });
            }
            self.add(&mut image, described, &reference).await?;
        }
        Ok((at.to_string(), image))
    }

    /// Whether an image is described.
    #[must_use]
    pub fn is_described(&self, name: &str) -> bool {
        parse(name).is_ok_and(|reference| self.described.contains_key(&reference.to_string()))
    }

    async fn built_in(&self, reference: &Reference) -> Result<Image, ImageError> {
        match kind(reference) {
            Some(Kind::Spark(tag)) => self.spark.build(&reference.to_string(), &tag).await,
            Some(Kind::Python) => python_image(reference).await,
            Some(Kind::Plain(image)) => Ok(*image),
            None => Err(ImageError::NotFound { name: reference.to_string() }),
        }
    }

    /// Puts what a description says upon an image.
    async fn add(&self, image: &mut Image, described: &NativeImage, asked: &Reference) -> Result<(), ImageError> {
        let name = || asked.to_string();
        let trees = self.debian(described, asked).await?;
        debian::graft(&trees, &mut image.root).map_err(|source| ImageError::Files { name: name(), source })?;
        let packages = described.python_packages().map_err(|line| {
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
        if let Some(user) = &described.user {
            set_user(image, user);
        }
        image.root.extend(described.folders.iter().map(|folder| RootEntry::own_directory(folder, 0o755)));
        for (name, value) in &described.env {
            image.set_env(name, value);
        }
        if let Some(entrypoint) = &described.entrypoint {
            image.entrypoint.clone_from(entrypoint);
            image.command.clear();
        }
        if let Some(command) = &described.command {
            image.command.clone_from(command);
        }
        if let Some(folder) = &described.working_dir {
            image.working_dir = folder.display().to_string();
        }
        Ok(())
    }

    /// The Debian packages of a description that this machine does not have, unpacked.
    async fn debian(&self, described: &NativeImage, asked: &Reference) -> Result<Vec<PathBuf>, ImageError> {
        let (cache, machine, packages) = (self.cache.clone(), self.debian.clone(), described.packages.clone());
        let progress = self.progress.clone();
        let fetch = move || debian::fetch(&cache, &machine, &packages, &*progress);
        let fetched = tokio::task::spawn_blocking(fetch).await;
        let fetched = fetched.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        fetched.map_err(|source| ImageError::Packages { name: asked.to_string(), source })
    }

    async fn package(&self, name: &str, version: &str) -> Result<PathBuf, FetchError> {
        Fetcher::new(&self.cache, &*self.progress).package(name, version).await
    }
}

/// The native images that need no description.
enum Kind {
    Spark(spark::Tag),
    Python,
    Plain(Box<Image>),
}

/// The native image of a name, if it is one.
fn kind(reference: &Reference) -> Option<Kind> {
    let tag = match (&reference.tag, &reference.digest) {
        (Some(tag), None) => tag.as_str(),
        // What a digest names is exactly one foreign image.
        _ => return None,
    };
    let short = match reference.short() {
        Some(short) => short,
        None if reference.to_string().starts_with("registry.k8s.io/pause:") => "pause",
        None => return None,
    };
    match short {
        "apache/spark" | "spark" => spark::Tag::parse(tag).map(Kind::Spark),
        "python" => Some(Kind::Python),
        short => userland::plain(short).map(|image| Kind::Plain(Box::new(image))),
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

/// Makes the user known, and its home folder, and lets the image run as it.
fn set_user(image: &mut Image, user: &ImageUser) {
    let (name, id, home) = (&user.name, user.id, user.home());
    for entry in &mut image.root {
        let RootEntry::File { target, content, .. } = entry else { continue };
        if target == Path::new("/etc/passwd") {
            content.extend(format!("{name}:x:{id}:{id}:{name}:{}:/bin/sh\n", home.display()).into_bytes());
        } else if target == Path::new("/etc/group") {
            content.extend(format!("{name}:x:{id}:\n").into_bytes());
        }
    }
    image.set_env("HOME", home.display().to_string());
    image.root.push(RootEntry::own_directory(home, 0o755));
    image.user = (id, id);
}

/// Changes whenever anything of the image does.
fn identity(image: &Image) -> String {
    let sum = Sha256::digest(format!("{image:?}").as_bytes());
    let hex: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

#[cfg(test)]
mod tests;
