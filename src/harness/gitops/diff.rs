//! `diff`: between a cluster and the tree, between two places, and between two revisions of a place. It changes nothing.

use std::collections::BTreeMap;
use std::path::Path;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use kube::api::{Api, Patch, PatchParams};
use serde::Serialize;
use serde_json::{Value, json};
use tinderbox_api::gitops::{Application, ApplicationSpec, marks};
use tinderbox_gitops::compare;
use tinderbox_gitops::kustomize;
use tinderbox_gitops::source::{Home, Repository, Request};
use tinderbox_gitops::sync::Key;
use tinderbox_gitops::tree::{Disk, Tree};
use tinderbox_platform::ARGOCD;
use tinderbox_providers::Provider as _;

use super::differ::{Difference, Id, Side, differences, id, sides};
use super::place::{Child, Plan, follow, is_application};
use crate::cluster::Cluster;
use crate::error::Error;
use crate::project::Project;

/// Objects that are asked for at once.
const TOGETHER: usize = 8;
/// The place that revisions are compared in, and whose tree is compared with the cluster.
const LOCAL: &str = "local";
/// What `diff` calls the working tree.
const TREE: &str = "tree";

/// What differs.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DiffReport {
    /// The first side.
    pub from: String,
    /// The second side.
    pub to: String,
    /// The objects that differ.
    pub differences: Vec<Difference>,
}

/// Compares what was named: nothing is the cluster with the tree, one is a revision with the working tree, two are places or revisions.
///
/// # Errors
/// When something of this name is neither, a file is broken, or the cluster does not answer.
pub async fn diff(project: &Project, named: &[String]) -> Result<DiffReport, Error> {
    match named {
        [] => with_cluster(project).await,
        [one] => between(project, one, TREE),
        [one, two, ..] => between(project, one, two),
    }
}

/// Compares two places, or two revisions.
fn between(project: &Project, from: &str, to: &str) -> Result<DiffReport, Error> {
    let places = project.place_names();
    let is_place = |name: &str| places.iter().any(|place| place == name);
    let plans = if is_place(from) && is_place(to) {
        [of_place(project, from)?, of_place(project, to)?]
    } else {
        [of_revision(project, from)?, of_revision(project, to)?]
    };
    let found = differences([from, to], &sides(&plans[0]), &sides(&plans[1]));
    Ok(DiffReport { from: from.to_owned(), to: to.to_owned(), differences: found })
}

/// What the tree says of a place.
///
/// # Errors
/// When there is no such place, or a file is broken.
pub(crate) fn of_place(project: &Project, place: &str) -> Result<Plan, Error> {
    of_root(project, &project.root_of(place)?)
}

/// What the tree says of the place with this root; files are told by their paths in the repository.
///
/// # Errors
/// When a file is broken.
pub(crate) fn of_root(project: &Project, root: &Path) -> Result<Plan, Error> {
    let repository = project.repository();
    let tree = Disk::new(&repository);
    follow(&tree, &project.sources(), at(&tree, root.strip_prefix(&repository).unwrap_or(root))?)
}

fn of_revision(project: &Project, revision: &str) -> Result<Plan, Error> {
    if revision == TREE {
        return of_place(project, LOCAL);
    }
    let repository = Repository::around(&project.root)?;
    let tree = repository.tree(revision).map_err(|error| {
        let error = Error::from(error);
        let places = format!("name two places ({}), or revisions that git knows", project.place_names().join(", "));
        Error::Usage { message: error.to_string(), hint: Some(places) }
    })?;
    let root = project.roots().join(LOCAL);
    let root = root.strip_prefix(repository.root()).unwrap_or(&root);
    follow(&tree, &project.sources(), at(&tree, root)?)
}

/// The objects of a folder of a tree.
fn at(tree: &dyn Tree, folder: &Path) -> Result<Vec<crate::manifest::Object>, Error> {
    if kustomize::file_in(tree, folder)?.is_some() {
        return Ok(kustomize::render(tree, folder)?);
    }
    let of = json!({"repoURL": "", "path": folder.to_string_lossy(), "directory": {}});
    let source = serde_json::from_value(of).map_err(|error| Error::Internal(error.to_string()))?;
    Ok(Home::default().render(tree, &Request { source, ..Request::default() })?.1)
}

/// Compares the applications of the cluster with what the tree wants of them, by the API's own dry run: defaults are no difference.
async fn with_cluster(project: &Project) -> Result<DiffReport, Error> {
    let cluster = Cluster::running(project).await?;
    let place = project.provider("")?;
    if let Some(owner) = &cluster.owner {
        return Err(Error::Usage {
            message: format!(
                "nothing is synced in a cluster that is not ours ({owner}): `up` applies the platform there"
            ),
            hint: Some("compare places with `cargo xtask diff local production`".to_owned()),
        });
    }
    let Some(root) = project.platform(place.name()) else {
        return Err(Error::Usage { message: "this project has no platform to compare with".to_owned(), hint: None });
    };
    let plan = of_root(project, &root)?;
    let (mut from, mut to) = (BTreeMap::new(), BTreeMap::new());
    for child in &plan.children {
        for (id, live, wanted) in of_child(&cluster, child).await? {
            from.extend(live.map(|side| (id.clone(), side)));
            to.extend(wanted.map(|side| (id, side)));
        }
    }
    let found = differences(["cluster", TREE], &from, &to);
    Ok(DiffReport { from: "cluster".to_owned(), to: TREE.to_owned(), differences: found })
}

/// Each object of an application as it is, and as the tree wants it.
async fn of_child(cluster: &Cluster, child: &Child) -> Result<Vec<(Id, Option<Side>, Option<Side>)>, Error> {
    let spec: ApplicationSpec = serde_json::from_value(child.application.value["spec"].clone())
        .map_err(|error| Error::Document { place: child.application.place_of("spec"), message: error.to_string() })?;
    if let Some(message) = compare::check(&spec.ignore_differences) {
        return Err(Error::Document { place: child.application.place_of("spec.ignoreDifferences"), message });
    }
    let ignored = &spec.ignore_differences;
    let looked = child.objects.iter().map(|object| async move {
        let mut target = object.value.clone();
        target["metadata"]["annotations"][marks::TRACKING_ID] =
            compare::tracking_id(&child.name, &Key::of(&target)).into();
        let wanted = Side::of(object);
        let key = id(&child.name, &target);
        let name = object.name();
        let collection = match cluster.collection_of(&target, "default").await {
            Ok(collection) => collection,
            // Its kind comes with the sync.
            Err(Error::UnknownKind { .. }) => return Ok((key, None, Some(wanted))),
            Err(error) => return Err(error.about(object)),
        };
        let Some(live) = collection.get_opt(&name.name).await.map_err(Error::api(format!("look at {name}")))? else {
            return Ok((key, None, Some(wanted)));
        };
        let manager = Some(marks::MANAGER.to_owned());
        let params = PatchParams { dry_run: true, force: true, field_manager: manager, ..PatchParams::default() };
        let predicted = collection.patch(&name.name, &params, &Patch::Apply(&target)).await;
        let predicted = predicted.map_err(Error::api(format!("try {name} of {}", object.place_of(""))))?;
        let (live, predicted) = (encoded(&live)?, encoded(&predicted)?);
        let side = |found| Side { value: compare::normalized(found, &live, ignored), place: wanted.place.clone() };
        Ok::<_, Error>((key, Some(Side { place: None, ..side(&live) }), Some(side(&predicted))))
    });
    let mut all: Vec<_> = stream::iter(looked).buffered(TOGETHER).try_collect().await?;
    // What the tree has no more, by what the controller has seen.
    let apps: Api<Application> = Api::namespaced(cluster.client.clone(), ARGOCD);
    let app = apps.get_opt(&child.name).await.map_err(Error::api(format!("look at application {}", child.name)))?;
    let extra = app.and_then(|app| app.status).into_iter().flat_map(|status| status.resources);
    for one in extra.filter(|one| one.requires_pruning.unwrap_or_default()) {
        let version = if one.group.is_empty() { one.version.clone() } else { format!("{}/{}", one.group, one.version) };
        let typed = json!({
            "apiVersion": version, "kind": one.kind, "metadata": {"namespace": one.namespace, "name": one.name},
        });
        let collection = cluster.collection_of(&typed, "default").await?;
        let live = collection.get_opt(&one.name).await.map_err(Error::api(format!("look at {}", one.name)))?;
        if let Some(live) = live {
            let value = compare::content(&encoded(&live)?);
            all.push((id(&child.name, &typed), Some(Side { value, place: None }), None));
        }
    }
    // Of an application its own controller writes more than the tree says.
    all.retain(|(_, live, wanted)| {
        live.is_none() || !wanted.as_ref().is_some_and(|one| is_application(&one.value)) || differs(live, wanted)
    });
    Ok(all)
}

fn differs(live: &Option<Side>, wanted: &Option<Side>) -> bool {
    let spec = |side: &Option<Side>| side.as_ref().map(|side| side.value["spec"].clone());
    spec(live) != spec(wanted)
}

fn encoded(object: &kube::api::DynamicObject) -> Result<Value, Error> {
    serde_json::to_value(object).map_err(|error| Error::Internal(error.to_string()))
}
