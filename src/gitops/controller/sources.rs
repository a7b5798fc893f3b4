//! Where the controller gets its objects from: a repository on this machine, its working tree as it is or one of its revisions.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use futures::future::BoxFuture;
use sha2::{Digest, Sha256};
use tinderbox_api::gitops::ApplicationSource;
use tinderbox_client::Clock;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
use crate::manifest::Object;
use crate::source::{self, Repository, SourceType};
use crate::tree::Tree;

/// The objects of a source at a revision.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// The revision.
    pub revision: String,
    /// How they were rendered.
    pub source_type: SourceType,
    /// The objects.
    pub objects: Vec<Object>,
}

/// Gives the objects of sources.
pub trait Sources: Send + Sync + 'static {
    /// The objects of a source at a revision: its own when that is empty.
    fn render(&self, source: ApplicationSource, revision: String) -> BoxFuture<'static, Result<Rendered>>;

    /// Changes whenever objects of sources may have changed.
    fn changes(&self) -> watch::Receiver<u64>;
}

/// A repository on this machine.
#[derive(Debug, Clone)]
pub struct Local {
    repository: Arc<Repository>,
    urls: Arc<Vec<String>>,
    counter: watch::Sender<u64>,
    /// What was rendered at which count; only while somebody counts.
    known: Arc<Mutex<HashMap<String, (u64, Rendered)>>>,
    watched: Arc<AtomicBool>,
}

/// Revisions that mean the working tree.
const WORKING: [&str; 2] = ["", "HEAD"];
/// What is put behind the commit of a working tree that differs from it, before the hash of the objects.
const DIRTY: &str = "+dirty";

impl Local {
    /// The repository that stands for these URLs; for every URL when there are none.
    #[must_use]
    pub fn new(repository: Repository, urls: Vec<String>) -> Self {
        Self {
            repository: Arc::new(repository),
            urls: Arc::new(urls),
            counter: watch::Sender::new(0),
            known: Arc::default(),
            watched: Arc::default(),
        }
    }

    /// Looks at the files below `folder` again and again, until cancelled, and tells when they have changed.
    pub async fn watch(self, folder: PathBuf, every: Duration, clock: Clock, token: CancellationToken) {
        let mut last = None;
        loop {
            let (repository, folder) = (self.repository.clone(), folder.clone());
            let looked = tokio::task::spawn_blocking(move || signature(&repository, &folder)).await;
            if let Ok(now) = looked {
                if last.as_ref().is_some_and(|last| *last != now) {
                    self.counter.send_modify(|count| *count += 1);
                }
                last = Some(now);
                self.watched.store(true, Ordering::Relaxed);
            }
            tokio::select! {
                () = token.cancelled() => {
                    self.watched.store(false, Ordering::Relaxed);
                    return;
                }
                () = clock.sleep(every) => (),
            }
        }
    }

    /// The objects of a source, from memory where nothing can have changed since.
    fn remembered(&self, source: &ApplicationSource, revision: &str) -> Result<Rendered> {
        if !self.watched.load(Ordering::Relaxed) {
            return Ok(self.objects(source, revision)?.0);
        }
        let count = *self.counter.borrow();
        let key = format!("{revision} {}", serde_json::to_string(source).unwrap_or_default());
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, rendered)) = known().get(&key).filter(|(at, _)| *at == count) {
            return Ok(rendered.clone());
        }
        let (rendered, is_working) = self.objects(source, revision)?;
        // Branches and tags can move without a change of the working tree.
        if !is_working {
            return Ok(rendered);
        }
        let mut known = known();
        known.retain(|_, (at, _)| *at == count);
        known.insert(key, (count, rendered.clone()));
        Ok(rendered)
    }

    /// The objects of a source, and whether they are those of the working tree.
    fn objects(&self, source: &ApplicationSource, revision: &str) -> Result<(Rendered, bool)> {
        if !self.urls.is_empty() && !self.urls.contains(&source.repo_url) {
            return Err(Error::at(&source.repo_url, "this repository is not on this machine, and none is fetched"));
        }
        let asked = if revision.is_empty() { &source.target_revision } else { revision };
        let (base, dirty) = asked.split_once(DIRTY).map_or((asked, false), |(base, _)| (base, true));
        let branch = self.repository.branch();
        if dirty || WORKING.contains(&base) || branch.as_deref() == Some(base) {
            let (source_type, objects) = source::render(&self.repository.working_tree(), source)?;
            let mut now = self.repository.working_revision(Path::new(""))?;
            if now.ends_with(DIRTY) {
                now = format!("{now}.{}", hash(&objects));
            }
            return Ok((Rendered { revision: now, source_type, objects }, true));
        }
        let tree = self.repository.tree(base)?;
        let (source_type, objects) = source::render(&tree, source)?;
        Ok((Rendered { revision: tree.commit().to_owned(), source_type, objects }, false))
    }
}

impl Sources for Local {
    fn render(&self, source: ApplicationSource, revision: String) -> BoxFuture<'static, Result<Rendered>> {
        let local = self.clone();
        Box::pin(async move {
            let rendering = tokio::task::spawn_blocking(move || local.remembered(&source, &revision));
            rendering.await.unwrap_or_else(|error| Err(Error::at("render", error.to_string())))
        })
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.counter.subscribe()
    }
}

/// Tells working trees apart that come from the same commit.
fn hash(objects: &[Object]) -> String {
    let mut digest = Sha256::new();
    for object in objects {
        digest.update(object.value.to_string().as_bytes());
    }
    digest.finalize().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// A file with its size and time.
type Seen = (PathBuf, u64, Option<SystemTime>);

/// The files of the working tree, and the commit that it is at.
fn signature(repository: &Repository, folder: &Path) -> (Vec<Seen>, Vec<u8>) {
    let files = repository.working_tree().files(folder, true).unwrap_or_default();
    let seen = files.into_iter().filter_map(|file| {
        let found = std::fs::metadata(repository.root().join(&file)).ok()?;
        Some((file, found.len(), found.modified().ok()))
    });
    (seen.collect(), repository.head())
}
