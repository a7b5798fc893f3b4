//! Where the controller gets its objects from: a repository on this machine, its working tree as it is or one of its revisions, and
//! repositories elsewhere.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use sha2::{Digest, Sha256};
use tinderbox_api::gitops::{Application, ApplicationSet, GitGenerator};
use tinderbox_client::Clock;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
use crate::manifest::Object;
use crate::set::{self, Look, Wrong};
use crate::source::traced::{Looks, Trace, Traced};
use crate::source::{self, DIRTY, GitTree, Home, Remotes, Repository, Request, SourceType, home};

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
    /// The objects of a source.
    fn render(&self, request: Request) -> BoxFuture<'static, Result<Rendered>>;

    /// The applications of a set.
    fn generate(&self, set: ApplicationSet) -> BoxFuture<'static, std::result::Result<Vec<Application>, Wrong>>;

    /// Changes whenever objects of sources, or folders that sets look at, may have changed.
    fn changes(&self) -> watch::Receiver<u64>;
}

/// A repository on this machine.
#[derive(Debug, Clone)]
pub struct Local {
    repository: Arc<Repository>,
    elsewhere: Option<Arc<Elsewhere>>,
    counter: watch::Sender<u64>,
    /// Sources as they were last rendered.
    known: Arc<Mutex<HashMap<String, Known>>>,
}

/// The repositories that the working tree does not stand for.
#[derive(Debug)]
struct Elsewhere {
    remotes: Remotes,
    /// The folder of what is applied by hand, in the repository.
    roots: PathBuf,
    /// The URLs that the working tree stands for, and how everything looked that says so.
    own: Mutex<(Looks, BTreeSet<String>)>,
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
    /// The repository that stands for every URL.
    #[must_use]
    pub fn new(repository: Repository) -> Self {
        let repository = Arc::new(repository);
        Self { repository, elsewhere: None, counter: watch::Sender::new(0), known: Arc::default() }
    }

    /// The same, which stands for its own URLs alone: those of [`home::urls`]. Others are fetched.
    #[must_use]
    pub fn beside(self, remotes: Remotes, roots: PathBuf) -> Self {
        Self { elsewhere: Some(Arc::new(Elsewhere { remotes, roots, own: Mutex::default() })), ..self }
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

    /// What the working tree stands for, and where the rest comes from.
    fn home(&self) -> Home {
        let Some(elsewhere) = &self.elsewhere else { return Home::default() };
        let root = self.repository.root();
        let mut own = elsewhere.own.lock().unwrap_or_else(PoisonError::into_inner);
        if own.1.is_empty() || own.0.again(root) != own.0 {
            let disk = self.repository.working_tree();
            let traced = Traced::new(&disk, root);
            // What it once stood for it stands for while a root is broken.
            let urls = home::urls(&self.repository, &traced, &elsewhere.roots);
            own.1.extend(urls);
            own.0 = traced.trace().looks;
        }
        Home::of(own.1.clone(), elsewhere.remotes.clone())
    }

    /// The objects of a source.
    ///
    /// # Errors
    /// When a file is broken, there is no such revision, or a repository does not answer.
    pub fn objects(&self, request: &Request) -> Result<Rendered> {
        let (home, source) = (self.home(), &request.source);
        let asked = request.asked();
        if let Some(remotes) = home.elsewhere(&source.repo_url).filter(|_| source.chart.is_empty()) {
            let found = remotes.find(&source.repo_url, asked, &source.tag_prefix, request.again)?;
            return self.of_commit(request, &home, found.commit(), || found.tree());
        }
        let (base, dirty) = asked.split_once(DIRTY).map_or((asked, false), |(base, _)| (base, true));
        if dirty || self.is_working(base) {
            return self.working(request, &home);
        }
        let commit = self.repository.find(base, &source.tag_prefix)?;
        self.of_commit(request, &home, &commit, || self.repository.tree(&commit))
    }

    /// The objects of a source at a commit, which never change.
    fn of_commit(
        &self,
        request: &Request,
        home: &Home,
        commit: &str,
        tree: impl FnOnce() -> Result<GitTree>,
    ) -> Result<Rendered> {
        let key = key(request, commit);
        if let Some(rendered) = self.known().get(&key).and_then(|known| known.rendered.clone()) {
            return Ok(rendered);
        }
        let (source_type, objects) = source::render(&tree()?, request, &home.helm)?;
        let rendered = Rendered { revision: commit.to_owned(), source_type, objects };
        self.note(key, Known { looks: Looks::default(), rendered: Some(rendered.clone()) });
        Ok(rendered)
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
        let home = self.home();
        let trees = |git: &GitGenerator, look: &mut Look<'_>| {
            if home.elsewhere(&git.repo_url).is_some() || self.is_working(&git.revision) {
                home.look(&traced, git, look)
            } else {
                look(&self.repository.tree(&git.revision)?)
            }
        };
        let applications = set::applications(set, &trees);
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
    fn working(&self, request: &Request, home: &Home) -> Result<Rendered> {
        let root = self.repository.root();
        let key = key(request, "");
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
        let rendered = source::render(&traced, request, &home.helm);
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
    fn render(&self, request: Request) -> BoxFuture<'static, Result<Rendered>> {
        let local = self.clone();
        Box::pin(async move {
            let rendering = tokio::task::spawn_blocking(move || local.objects(&request));
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

/// Tells renderings apart, those of the working tree by no commit.
fn key(request: &Request, commit: &str) -> String {
    let request = Request { revision: commit.to_owned(), again: false, ..request.clone() };
    serde_json::to_string(&request).unwrap_or_default()
}

/// Tells working trees apart that come from the same commit.
fn hash(objects: &[Object]) -> String {
    let mut digest = Sha256::new();
    for object in objects {
        digest.update(object.value.to_string().as_bytes());
    }
    digest.finalize().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}
