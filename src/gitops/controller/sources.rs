//! Where the controller gets its objects from: a repository on this machine, its working tree as it is or one of its revisions.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use sha2::{Digest, Sha256};
use tinderbox_api::gitops::{Application, ApplicationSet, ApplicationSource, GitGenerator};
use tinderbox_client::Clock;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
use crate::manifest::Object;
use crate::set::{self, Wrong};
use crate::source::traced::{Looks, Trace, Traced};
use crate::source::{self, DIRTY, Repository, SourceType};

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

    /// The applications of a set.
    fn generate(&self, set: ApplicationSet) -> BoxFuture<'static, std::result::Result<Vec<Application>, Wrong>>;

    /// Changes whenever objects of sources, or folders that sets look at, may have changed.
    fn changes(&self) -> watch::Receiver<u64>;
}

/// A repository on this machine.
#[derive(Debug, Clone)]
pub struct Local {
    repository: Arc<Repository>,
    urls: Arc<Vec<String>>,
    counter: watch::Sender<u64>,
    /// Sources of the working tree, as they were last rendered.
    known: Arc<Mutex<HashMap<String, Known>>>,
}

/// A source of the working tree, or the folders of a set.
#[derive(Debug)]
struct Known {
    /// How everything looked that its objects come from.
    looks: Looks,
    /// Its objects; nothing where it is broken, or somebody was told that it has changed.
    rendered: Option<Rendered>,
}

/// Revisions that mean the working tree.
const WORKING: [&str; 2] = ["", "HEAD"];
/// Sources that are remembered; beyond that all are forgotten.
const MOST: usize = 512;

impl Local {
    /// The repository that stands for these URLs; for every URL when there are none.
    #[must_use]
    pub fn new(repository: Repository, urls: Vec<String>) -> Self {
        Self {
            repository: Arc::new(repository),
            urls: Arc::new(urls),
            counter: watch::Sender::new(0),
            known: Arc::default(),
        }
    }

    /// Looks at the files of all sources of the working tree again and again, until cancelled, and tells when they have changed.
    pub async fn watch(self, every: Duration, clock: Clock, token: CancellationToken) {
        loop {
            tokio::select! {
                () = token.cancelled() => return,
                () = clock.sleep(every) => (),
            }
            let local = self.clone();
            let looked = tokio::task::spawn_blocking(move || local.forget_changed()).await;
            if looked.is_ok_and(|changed| changed) {
                self.counter.send_modify(|count| *count += 1);
            }
        }
    }

    /// Forgets what has changed; says whether something has.
    fn forget_changed(&self) -> bool {
        let mut known = self.known();
        let mut changed = false;
        for one in known.values_mut() {
            let now = one.looks.again(self.repository.root());
            if now != one.looks {
                *one = Known { looks: now, rendered: None };
                changed = true;
            }
        }
        changed
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The objects of a source at a revision: its own when that is empty.
    ///
    /// # Errors
    /// When a file is broken, there is no such revision, or the repository is not this one.
    pub fn objects(&self, source: &ApplicationSource, revision: &str) -> Result<Rendered> {
        self.check(&source.repo_url)?;
        let asked = if revision.is_empty() { &source.target_revision } else { revision };
        let (base, dirty) = asked.split_once(DIRTY).map_or((asked, false), |(base, _)| (base, true));
        if dirty || self.is_working(base) {
            return self.working(source);
        }
        // Branches and tags can move: nothing is remembered of them.
        let tree = self.repository.tree(base)?;
        let (source_type, objects) = source::render(&tree, source)?;
        Ok(Rendered { revision: tree.commit().to_owned(), source_type, objects })
    }

    /// Whether a repository is this one.
    fn check(&self, url: &str) -> Result<()> {
        if self.urls.is_empty() || self.urls.iter().any(|known| known == url) {
            return Ok(());
        }
        Err(Error::at(url, "this repository is not on this machine, and none is fetched"))
    }

    /// Whether a revision is the working tree.
    fn is_working(&self, revision: &str) -> bool {
        WORKING.contains(&revision) || self.repository.branch().as_deref() == Some(revision)
    }

    /// The applications of a set, from folders of this repository.
    ///
    /// # Errors
    /// As [`set::applications`].
    pub fn applications(&self, set: &ApplicationSet) -> std::result::Result<Vec<Application>, Wrong> {
        let disk = self.repository.working_tree();
        let traced = Traced::new(&disk, self.repository.root());
        let folders = |git: &GitGenerator| {
            self.check(&git.repo_url)?;
            if self.is_working(&git.revision) {
                return set::matching(&traced, &git.directories);
            }
            set::matching(&self.repository.tree(&git.revision)?, &git.directories)
        };
        let applications = set::applications(set, &folders);
        let looks = traced.trace().looks;
        let key = format!(
            "{}/{}",
            set.metadata.namespace.as_deref().unwrap_or_default(),
            set.metadata.name.as_deref().unwrap_or_default()
        );
        self.note(key, Known { looks, rendered: None });
        applications
    }

    /// Remembers how something looked.
    fn note(&self, key: String, what: Known) {
        let mut known = self.known();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(key, what);
    }

    /// The objects of a source of the working tree, from memory where nothing has changed since.
    fn working(&self, source: &ApplicationSource) -> Result<Rendered> {
        let root = self.repository.root();
        let key = serde_json::to_string(source).unwrap_or_default();
        let before = self.known().get(&key).map(|known| (known.looks.clone(), known.rendered.clone()));
        if let Some((looks, Some(rendered))) = before
            && looks.again(root) == looks
        {
            return Ok(rendered);
        }
        let disk = self.repository.working_tree();
        let mut looks = Looks::default();
        self.repository.heads().into_iter().for_each(|file| looks.add(root, file));
        let traced = Traced::new(&disk, root);
        let rendered = source::render(&traced, source);
        let Trace { read, looks: more } = traced.trace();
        looks.extend(more);
        let rendered = rendered.and_then(|(source_type, objects)| {
            let mut revision = self.repository.working_revision(&read)?;
            if revision.ends_with(DIRTY) {
                revision = format!("{revision}.{}", hash(&objects));
            }
            Ok(Rendered { revision, source_type, objects })
        });
        self.note(key, Known { looks, rendered: rendered.as_ref().ok().cloned() });
        rendered
    }
}

impl Sources for Local {
    fn render(&self, source: ApplicationSource, revision: String) -> BoxFuture<'static, Result<Rendered>> {
        let local = self.clone();
        Box::pin(async move {
            let rendering = tokio::task::spawn_blocking(move || local.objects(&source, &revision));
            rendering.await.unwrap_or_else(|error| Err(Error::at("render", error.to_string())))
        })
    }

    fn generate(&self, set: ApplicationSet) -> BoxFuture<'static, std::result::Result<Vec<Application>, Wrong>> {
        let local = self.clone();
        Box::pin(async move {
            let generating = tokio::task::spawn_blocking(move || local.applications(&set));
            generating.await.unwrap_or_else(|error| Err(Wrong::generating(error.to_string())))
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
