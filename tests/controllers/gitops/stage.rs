//! A cluster with the controller of applications, and sources that a test changes.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use tempfile::TempDir;
use tinderbox_api::gitops::{AppProject, Application, ApplicationSet};
use tinderbox_client::Clock;
use tinderbox_client::metrics::Registry;
use tinderbox_gitops::controller::{Config, Local, Rendered, Sources, spawn};
use tinderbox_gitops::set::{Wrong, applications};
use tinderbox_gitops::source::{self, Helm, Remotes, Repository as Git, Request};
use tinderbox_gitops::tree::Memory;
use tinderbox_platform::Account;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::world::World;

/// Trees by their revisions; the last one is the newest.
#[derive(Clone)]
pub(super) struct Trees {
    all: Arc<Mutex<Vec<(String, Memory)>>>,
    changes: watch::Sender<u64>,
    helm: Helm,
}

impl Sources for Trees {
    fn render(&self, request: Request) -> BoxFuture<'static, tinderbox_gitops::Result<Rendered>> {
        let (all, helm) = (self.all.lock().unwrap().clone(), self.helm.clone());
        Box::pin(async move {
            let asked = &request.revision;
            let found = all.iter().rev().find(|(name, _)| asked.is_empty() || name == asked);
            let (revision, tree) = found.cloned().expect("a revision");
            let (source_type, objects) = source::render(&tree, &request, &helm)?;
            Ok(Rendered { revision, source_type, objects })
        })
    }

    fn generate(&self, set: ApplicationSet) -> BoxFuture<'static, Result<Vec<Application>, Wrong>> {
        let tree = self.all.lock().unwrap().last().unwrap().1.clone();
        Box::pin(async move { applications(&set, &|_, look| look(&tree)) })
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

/// A cluster with the controller, and its sources.
pub(super) struct Stage<'a> {
    world: &'a World,
    trees: Trees,
    pub(super) token: CancellationToken,
}

impl<'a> Stage<'a> {
    /// With one revision, `r1`, which is empty.
    pub(super) async fn new(world: &'a World) -> Self {
        Self::with(world, Helm::default()).await
    }

    /// The same with another helm.
    pub(super) async fn with(world: &'a World, helm: Helm) -> Self {
        let trees = Trees {
            all: Arc::new(Mutex::new(vec![("r1".to_owned(), Memory::default())])),
            changes: watch::Sender::new(0),
            helm,
        };
        let token = Self::over(world, Arc::new(trees.clone())).await;
        Self { world, trees, token }
    }

    /// The controller over sources of another kind.
    pub(super) async fn over(world: &World, sources: Arc<dyn Sources>) -> CancellationToken {
        world.install("argo-cd").await;
        start(world, sources)
    }

    /// Starts the controller once more, as after a crash.
    pub(super) fn restart(&mut self) {
        self.token.cancel();
        self.token = start(self.world, Arc::new(self.trees.clone()));
    }

    /// Puts a file into the newest revision.
    pub(super) fn put(&self, path: &str, text: &str) {
        self.trees.all.lock().unwrap().last_mut().unwrap().1.put(path, text);
        self.trees.changes.send_modify(|count| *count += 1);
    }

    /// Makes a revision from the newest one.
    pub(super) fn revise(&self, name: &str, change: impl FnOnce(&mut Memory)) {
        let mut all = self.trees.all.lock().unwrap();
        let mut tree = all.last().unwrap().1.clone();
        change(&mut tree);
        all.push((name.to_owned(), tree));
        drop(all);
        self.trees.changes.send_modify(|count| *count += 1);
    }

    /// Makes or changes a project that allows everything but what `spec` says.
    pub(super) async fn project(&self, name: &str, spec: Value) {
        let mut whole = json!({
            "sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}],
            "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
        });
        whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let value = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "metadata": {"name": name}, "spec": whole,
        });
        let api: Api<AppProject> = self.world.api();
        api.patch(name, &PatchParams::apply("test").force(), &Patch::Apply(value)).await.unwrap();
    }
}

fn start(world: &World, sources: Arc<dyn Sources>) -> CancellationToken {
    let token = world.token.child_token();
    let account = Account { namespace: "argocd".into(), name: "argocd-application-controller" };
    let client = world.client_of(&account);
    let config =
        Config { clock: world.clock.clone(), sources, namespace: "default".to_owned(), metrics: Registry::new() };
    spawn(&client, config, &world.tracker, &token);
    token
}

/// An application of a folder.
pub(super) fn application(name: &str, path: &str, policy: Value) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": name},
        "spec": {
            "project": "default", "syncPolicy": policy, "source": {"repoURL": "https://git.example/repo", "path": path},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": "default"},
        },
    })
}

/// A config map with one entry.
pub(super) fn map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{k: '{value}'}}\n")
}

/// Whether an application has this sync status and this health, and nothing under way.
pub(super) fn is(app: &Application, sync: &str, health: &str) -> bool {
    let idle = app.operation.is_none() && !matches!(state(app), "Running" | "Terminating");
    app.status.as_ref().is_some_and(|status| status.sync.status == sync && status.health.status == health) && idle
}

/// The phase of the last operation.
pub(super) fn state(app: &Application) -> &str {
    let state = app.status.as_ref().and_then(|status| status.operation_state.as_ref());
    state.map_or("", |state| state.phase.as_str())
}

/// The message of the last operation.
pub(super) fn message(app: &Application) -> &str {
    let state = app.status.as_ref().and_then(|status| status.operation_state.as_ref());
    state.map_or("", |state| state.message.as_str())
}

/// The message of a condition.
pub(super) fn condition<'a>(app: &'a Application, of: &str) -> Option<&'a str> {
    let conditions = app.status.as_ref().map_or(&[][..], |status| &status.conditions);
    conditions.iter().find(|one| one.r#type == of).map(|one| one.message.as_str())
}

/// A repository on disk.
pub(super) struct Repository {
    dir: TempDir,
}

impl Repository {
    pub(super) fn new() -> Self {
        let made = Self { dir: tempfile::tempdir().unwrap() };
        made.git(&["init", "-q", "-b", "main"]);
        made
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(super) fn remove(&self, path: &str) {
        fs::remove_dir_all(self.dir.path().join(path)).unwrap();
    }

    pub(super) fn commit(&self, message: &str) {
        self.git(&["add", "."]);
        self.git(&["commit", "-qm", message]);
    }

    pub(super) fn restore(&self, path: &str) {
        self.git(&["checkout", "-q", "--", path]);
    }

    /// Its working tree as a source, watched.
    pub(super) fn sources(&self, world: &World) -> Arc<dyn Sources> {
        let local = Local::new(Git::around(self.dir.path()).unwrap());
        let watching = local.clone().watch(Duration::from_millis(20), Clock::system(), world.token.clone());
        world.tracker.spawn(watching);
        Arc::new(local)
    }

    /// The same, beside repositories elsewhere, which are fetched; what is applied by hand lies below `roots`.
    pub(super) fn sources_beside(&self, world: &World, downloads: &Path, roots: &str) -> Arc<dyn Sources> {
        let local = Local::new(Git::around(self.dir.path()).unwrap()).beside(Remotes::new(downloads), roots.into());
        let watching = local.clone().watch(Duration::from_millis(20), Clock::system(), world.token.clone());
        world.tracker.spawn(watching);
        Arc::new(local)
    }

    pub(super) fn url(&self) -> String {
        format!("file://{}", self.dir.path().display())
    }

    pub(super) fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }

    pub(super) fn tag(&self, name: &str) {
        self.git(&["tag", name]);
    }

    pub(super) fn remove_file(&self, path: &str) {
        fs::remove_file(self.dir.path().join(path)).unwrap();
    }

    /// Takes the repository away for others.
    pub(super) fn hide(&self) {
        fs::rename(self.dir.path().join(".git"), self.dir.path().join("hidden")).unwrap();
    }

    pub(super) fn show(&self) {
        fs::rename(self.dir.path().join("hidden"), self.dir.path().join(".git")).unwrap();
    }

    fn git(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("git");
        command.arg("-C").arg(self.dir.path()).args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]);
        let output = command.args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}
