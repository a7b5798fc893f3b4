//! Applications of a cluster by name, in a line, and as a whole: what they were synced to, by whom, when, what that changed, and where each
//! object stands in the tree. It only looks.

use std::collections::BTreeMap;

use kube::ResourceExt;
use kube::api::{Api, ListParams};
use serde::Serialize;
use tinderbox_api::gitops::{Application, History, Initiator};
use tinderbox_gitops::source::{Commit, DIRTY, Home, Repository, Request};
use tinderbox_platform::ARGOCD;
use tinderbox_providers::Provider as _;

use super::diff::of_root;
use super::differ::{Difference, Side, differences, id};
use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::ObjectName;
use crate::project::Project;
use crate::suggest;

/// Objects that are named of those that differ.
const NAMED: usize = 3;

/// An application in a line.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AppLine {
    /// Its name.
    pub name: String,
    /// `Synced`, `OutOfSync` or `Unknown`.
    pub sync: String,
    /// `Healthy`, `Suspended`, `Progressing`, `Missing`, `Degraded` or `Unknown`.
    pub health: String,
    /// The revision that it was compared with.
    pub revision: String,
    /// What is wrong with it.
    pub problems: Vec<String>,
}

/// An application as a whole.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AppReport {
    /// The line of it.
    #[serde(flatten)]
    pub line: AppLine,
    /// The folder of its source.
    pub path: String,
    /// The commit of its revision, where that is one that is known here.
    pub commit: Option<CommitLine>,
    /// The operation under way, or the last one.
    pub operation: Option<OperationLine>,
    /// What the last sync changed, compared with the one before; where both are of commits.
    pub changed: Vec<Difference>,
    /// Its objects.
    pub objects: Vec<ObjectLine>,
    /// Its syncs, the newest first.
    pub history: Vec<HistoryLine>,
}

/// A commit.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CommitLine {
    /// Its author.
    pub author: String,
    /// When it was made, in RFC 3339.
    pub date: String,
    /// The first line of its message.
    pub subject: String,
}

/// An operation.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationLine {
    /// `Running`, `Terminating`, `Succeeded`, `Failed` or `Error`.
    pub phase: String,
    /// More of it.
    pub message: String,
    /// Who asked for it; `automated` is the controller by itself.
    pub by: String,
    /// When it began, in RFC 3339.
    pub started: Option<String>,
    /// When it ended.
    pub finished: Option<String>,
}

/// An object of an application.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectLine {
    /// Which.
    #[serde(flatten)]
    pub object: ObjectName,
    /// `Synced` or `OutOfSync`.
    pub sync: String,
    /// How it is, where that can be said of its kind.
    pub health: String,
    /// Where it stands in the tree, as `FILE:LINE:COLUMN`.
    pub origin: Option<String>,
}

/// A sync that went well.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryLine {
    /// Its number.
    pub id: i64,
    /// Its revision.
    pub revision: String,
    /// When it ended, in RFC 3339.
    pub deployed: Option<String>,
    /// Who asked for it.
    pub by: String,
    /// Its commit, where that is one that is known here.
    pub commit: Option<CommitLine>,
}

/// All applications of a cluster; none where their kind is not defined.
///
/// # Errors
/// When the API refuses.
pub(crate) async fn all(cluster: &Cluster) -> Result<Vec<Application>, Error> {
    let apps: Api<Application> = Api::namespaced(cluster.client.clone(), ARGOCD);
    match apps.list(&ListParams::default()).await {
        Ok(found) => Ok(found.items),
        // Without the kind there are none, and who may not look has none.
        Err(kube::Error::Api(status)) if matches!(status.code, 403 | 404) => Ok(Vec::new()),
        Err(error) => Err(Error::api("list applications")(error)),
    }
}

/// The application of this name.
///
/// # Errors
/// When there is none; with the near name, if there is one.
pub(crate) async fn find(cluster: &Cluster, name: &str) -> Result<Application, Error> {
    let all = all(cluster).await?;
    let names: Vec<String> = all.iter().map(ResourceExt::name_any).collect();
    all.into_iter().find(|app| app.name_any() == name).ok_or_else(|| Error::Usage {
        message: format!("there is no application called {name:?}"),
        hint: Some(match names.as_slice() {
            [] => "this cluster has none: `cargo xtask up` brings the platform".to_owned(),
            names => suggest::hint(name, "applications", names),
        }),
    })
}

/// An application in a line.
pub(crate) fn line(app: &Application) -> AppLine {
    let status = app.status.clone().unwrap_or_default();
    let problems =
        status.conditions.iter().map(|one| format!("application/{}: {}: {}", app.name_any(), one.r#type, one.message));
    AppLine {
        name: app.name_any(),
        sync: status.sync.status.clone(),
        health: status.health.status.clone(),
        revision: status.sync.revision.clone(),
        problems: problems.collect(),
    }
}

/// An application in words, for one who follows it.
pub(crate) fn words(app: &Application) -> String {
    let line = line(app);
    let status = app.status.clone().unwrap_or_default();
    let differs = status.resources.iter().filter(|one| one.status == "OutOfSync");
    let mut differs: Vec<String> = differs.map(|one| format!("{}/{}", one.kind.to_lowercase(), one.name)).collect();
    let more = differs.len().saturating_sub(NAMED);
    differs.truncate(NAMED);
    if more > 0 {
        differs.push(format!("{more} more"));
    }
    let differs = if differs.is_empty() { String::new() } else { format!(" ({})", differs.join(", ")) };
    let doing = status.operation_state.map(|state| match state.message.as_str() {
        "" => format!(", {}", state.phase),
        message => format!(", {}: {message}", state.phase),
    });
    let doing = doing.unwrap_or_default();
    let wrong: String = line.problems.iter().map(|problem| format!("; {problem}")).collect();
    format!("{}{differs}, {} at {}{doing}{wrong}", line.sync, line.health, short(&line.revision))
}

/// A revision as people say it: the first letters of a commit, and what is behind it.
#[must_use]
pub fn short(revision: &str) -> String {
    let (commit, rest) = revision.split_at(revision.find('+').unwrap_or(revision.len()));
    format!("{}{rest}", commit.get(..8).unwrap_or(commit))
}

/// Looks at an application.
///
/// # Errors
/// When there is none of this name, or the cluster is not up.
pub async fn status(project: &Project, name: &str) -> Result<AppReport, Error> {
    let cluster = Cluster::running(project).await?;
    let app = find(&cluster, name).await?;
    let origins = origins(project, name);
    let (repository, home) = (Repository::at(&project.root), project.sources());
    let status = app.status.clone().unwrap_or_default();
    let source = app.spec.source.clone().unwrap_or_default();
    let time = |time: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Time| format!("{:.0}", time.0);
    let operation = status.operation_state.as_ref().map(|state| OperationLine {
        phase: state.phase.clone(),
        message: state.message.clone(),
        by: by(state.operation.initiated_by.as_ref()),
        started: state.started_at.as_ref().map(time),
        finished: state.finished_at.as_ref().map(time),
    });
    let objects = status.resources.iter().map(|one| {
        let object = ObjectName { kind: one.kind.clone(), namespace: one.namespace.clone(), name: one.name.clone() };
        ObjectLine {
            sync: one.status.clone(),
            health: one.health.as_ref().map(|health| health.status.clone()).unwrap_or_default(),
            origin: origins.get(&object).cloned(),
            object,
        }
    });
    let history = status.history.iter().rev().map(|one| HistoryLine {
        id: one.id.unwrap_or_default(),
        revision: one.revision.clone(),
        deployed: one.deployed_at.as_ref().map(time),
        by: by(one.initiated_by.as_ref()),
        commit: commit(&repository, &home, &source.repo_url, &one.revision),
    });
    Ok(AppReport {
        line: line(&app),
        path: source.path.clone(),
        commit: commit(&repository, &home, &source.repo_url, &status.sync.revision),
        operation,
        changed: changed(&repository, &home, &app, &status.history),
        objects: objects.collect(),
        history: history.collect(),
    })
}

fn by(who: Option<&Initiator>) -> String {
    match who {
        Some(who) if !who.username.is_empty() => who.username.clone(),
        Some(who) if who.automated.unwrap_or_default() => "automated".to_owned(),
        _ => "unknown".to_owned(),
    }
}

/// Where the objects of an application stand in the tree. A tree that is broken says nothing.
fn origins(project: &Project, name: &str) -> BTreeMap<ObjectName, String> {
    let place = project.provider("").ok().and_then(|place| project.platform(place.name()));
    let plan = place.and_then(|root| of_root(project, &root).ok()).unwrap_or_default();
    let child = plan.children.into_iter().find(|child| child.name == name);
    let objects = child.into_iter().flat_map(|child| child.objects);
    objects.map(|object| (object.name(), object.place_of(""))).collect()
}

/// The commit behind a revision, of whose working tree it may be.
fn commit(repository: &Repository, home: &Home, url: &str, revision: &str) -> Option<CommitLine> {
    let id = revision.split_once(DIRTY).map_or(revision, |(id, _)| id);
    let found = home.elsewhere(url).map_or_else(|| repository.commit(id), |remotes| remotes.commit(url, id));
    let found: Commit = found.ok().filter(|_| !id.is_empty())?;
    Some(CommitLine { author: found.author, date: found.date, subject: found.subject })
}

/// What the last sync changed, where it and the one before are of commits.
fn changed(repository: &Repository, home: &Home, app: &Application, history: &[History]) -> Vec<Difference> {
    let [.., before, last] = history else { return Vec::new() };
    let rendered = |one: &History| {
        let request = Request::of(app, one.source.clone()?, one.revision.clone());
        let (_, objects) = home.render_at(repository, &request).ok()?;
        let name = app.name_any();
        Some(objects.iter().map(|object| (id(&name, &object.value), Side::of(object))).collect::<BTreeMap<_, _>>())
    };
    match (rendered(before), rendered(last)) {
        (Some(from), Some(to)) => differences([&short(&before.revision), &short(&last.revision)], &from, &to),
        _ => Vec::new(),
    }
}
