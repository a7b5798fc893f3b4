//! Python packages by exact name and version: found through the user's own pip configuration, downloaded once, checked, and
//! unpacked into the cache. It resolves no dependencies and runs nothing of a package.

mod download;
mod index;
mod settings;
mod tags;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::cache;
use super::progress::Progress;
use super::{python, unpack};
use download::Client;
use index::Listed;
use settings::Settings;

/// Why a package could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// It is unknown where packages come from.
    #[error("no package index is configured, and no pip is installed that would know the usual one")]
    NoIndex,
    /// A setting is wrong.
    #[error("could not use pip's setting {name} ({value}): {problem}")]
    Setting {
        /// As in `index-url`.
        name: &'static str,
        /// What it is set to.
        value: String,
        /// What is wrong.
        problem: String,
    },
    /// The other side was not reached, or stopped in the middle.
    #[error("could not download {what} from {url}, and it is not in the cache")]
    Network {
        /// The file or package.
        what: String,
        /// From where, without credentials.
        url: String,
        /// Why not.
        source: reqwest::Error,
    },
    /// The other side refused.
    #[error("could not download {what} from {url}: the server answered {status}")]
    Status {
        /// The file or package.
        what: String,
        /// From where, without credentials.
        url: String,
        /// HTTP status.
        status: u16,
    },
    /// No index has it.
    #[error("could not find the package {name} {version} in {indexes} as an archive that fits this machine")]
    Unknown {
        /// Package.
        name: String,
        /// Version.
        version: String,
        /// Where it was looked for.
        indexes: String,
    },
    /// The answer of an index makes no sense.
    #[error("could not read the list of files of {name} from {url}: {problem}")]
    Index {
        /// Package.
        name: String,
        /// The index.
        url: String,
        /// What is wrong.
        problem: String,
    },
    /// What came is not what was promised, twice.
    #[error("downloaded {file} twice, and each time its SHA-256 sum was not the promised one; it was deleted")]
    WrongSum {
        /// The file.
        file: String,
    },
    /// The disk is full.
    #[error("no space left for {}: {needed} more bytes are needed there", path.display())]
    Full {
        /// What was to be written.
        path: PathBuf,
        /// How much is missing of it.
        needed: u64,
    },
    /// An archive holds what it should not.
    #[error("could not unpack {}: {problem}", archive.display())]
    Archive {
        /// The file.
        archive: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The operating system refused.
    #[error("could not {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl FetchError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// What to do about it.
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::NoIndex | Self::Setting { .. } => "set PIP_INDEX_URL, or index-url in pip.conf",
            Self::Network { .. } => {
                "look at the network, at HTTPS_PROXY and at pip's settings; a part is kept, and the next try continues"
            }
            Self::Status { .. } | Self::Index { .. } => "look at PIP_INDEX_URL and index-url in pip.conf",
            Self::Unknown { .. } => "look at the version, and at PIP_INDEX_URL and index-url in pip.conf",
            Self::WrongSum { .. } => "something changes downloads on their way: look at the proxy and the mirror",
            Self::Full { .. } => {
                "free space on that disk, or set XDG_CACHE_HOME to another one; the next try continues"
            }
            Self::Archive { .. } | Self::Io { .. } => "look at the cache folder: its owner, its rights and its disk",
        }
    }
}

type ReadSettings = Arc<dyn Fn() -> Result<Settings, FetchError> + Send + Sync>;

/// Brings packages into the cache.
pub(super) struct Fetcher<'a> {
    cache: &'a Path,
    progress: &'a dyn Progress,
    /// Read when something must be downloaded.
    settings: ReadSettings,
}

impl<'a> Fetcher<'a> {
    pub(super) fn new(cache: &'a Path, progress: &'a dyn Progress) -> Self {
        Self { cache, progress, settings: Arc::new(Settings::of_this_user) }
    }

    /// A package with Python modules, unpacked: a folder for PYTHONPATH.
    pub(super) async fn package(&self, name: &str, version: &str) -> Result<PathBuf, FetchError> {
        let python = blocking(|| python::find(6..=99)).await;
        let minor = python.as_ref().map_or(9, |python| python.version.1);
        let folder = format!("{}-{version}-py3{minor}", index::normalized(name));
        let target = self.cache.join("python").join(folder);
        let choose = |files: &[Listed]| tags::best(files, name, version, minor);
        let unpack = |archive: &Path, into: &Path| {
            if archive.extension().is_some_and(|extension| extension == "whl") {
                unpack::wheel(archive, into)
            } else {
                unpack::sdist(archive, into)
            }
        };
        self.install((name, version), &target, choose, unpack).await?;
        Ok(target)
    }

    /// The source archive of a package as the folder `target`, unless it is there, with the way of unpacking given.
    pub(super) async fn source(
        &self,
        (name, version): (&str, &str),
        target: &Path,
        unpack: impl FnOnce(&Path, &Path) -> Result<(), FetchError> + Send + 'static,
    ) -> Result<(), FetchError> {
        let fits = |file: &&Listed| tags::is_sdist(&file.filename, name, version);
        let choose = |files: &[Listed]| files.iter().find(fits).cloned();
        self.install((name, version), target, choose, unpack).await
    }

    async fn install(
        &self,
        (name, version): (&str, &str),
        target: &Path,
        choose: impl Fn(&[Listed]) -> Option<Listed>,
        unpack: impl FnOnce(&Path, &Path) -> Result<(), FetchError> + Send + 'static,
    ) -> Result<(), FetchError> {
        if target.exists() {
            return Ok(());
        }
        let lock_name = format!("{}-{version}", index::normalized(name));
        let _lock = cache::lock(self.cache, &lock_name).await.map_err(FetchError::io("lock", self.cache))?;
        // Another one may have brought it in meanwhile.
        if target.exists() {
            return Ok(());
        }
        let archive = self.archive((name, version), choose).await?;
        let target = target.to_owned();
        blocking(move || {
            cache::install(&target, |at| unpack(&archive, at).map_err(Unpacking::Failed)).map_err(
                |error| match error {
                    Unpacking::Failed(error) => error,
                    Unpacking::Io(error) => FetchError::io("install", &target)(error),
                },
            )?;
            fs::remove_file(&archive).map_err(FetchError::io("remove", &archive))
        })
        .await
    }

    async fn archive(
        &self,
        (name, version): (&str, &str),
        choose: impl Fn(&[Listed]) -> Option<Listed>,
    ) -> Result<PathBuf, FetchError> {
        let read = self.settings.clone();
        let settings = blocking(move || read()).await?;
        let client = Client::new(&settings)?;
        for index in &settings.indexes {
            let listed = client.list(index, name).await?;
            if let Some(file) = choose(&listed) {
                return client.fetch(&file, &self.cache.join("downloads"), self.progress).await;
            }
        }
        let shown: Vec<_> = settings.indexes.iter().map(settings::without_credentials).collect();
        Err(FetchError::Unknown { name: name.to_owned(), version: version.to_owned(), indexes: shown.join(", ") })
    }
}

enum Unpacking {
    Failed(FetchError),
    Io(io::Error),
}

impl From<io::Error> for Unpacking {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Runs what blocks aside.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let result = tokio::task::spawn_blocking(work).await;
    result.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

#[cfg(test)]
mod tests;
