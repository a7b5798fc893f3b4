//! What an application should have beside what it has: rendered, looked up, and compared by server-side dry run.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use futures::StreamExt;
use kube::api::{Patch, PatchParams};
use kube::core::DynamicObject;
use serde_json::Value;
use tinderbox_api::gitops::{Application, ApplicationSource, IgnoreDifference, marks};
use tinderbox_client::error::chain;
use tinderbox_client::{Error, Result};

use super::desired::{Desired, defined, desired};
use super::kinds::Kind;
use super::{Context, Rendered};
use crate::compare;
use crate::source::Request;
use crate::sync::{Key, Pair, is_hook};

/// Objects that are compared side by side.
const TOGETHER: usize = 16;

/// An application, seen from all sides.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) pairs: Vec<Pair>,
    pub(super) hooks: Vec<Value>,
    pub(super) revision: String,
    pub(super) source_type: &'static str,
    /// Kinds that the objects themselves define.
    pub(super) defined: BTreeSet<(String, String)>,
    /// Namespaces that are among the objects.
    pub(super) namespaces: BTreeSet<String>,
    pub(super) warnings: Vec<(&'static str, String)>,
    pub(super) places: std::collections::BTreeMap<Key, String>,
}

/// The one source that is rendered.
pub(super) fn source_of(app: &Application) -> std::result::Result<ApplicationSource, String> {
    match (app.spec.sources.as_slice(), &app.spec.source) {
        ([one], _) => Ok(one.clone()),
        ([], Some(source)) => Ok(source.clone()),
        ([], None) => Err("spec.source is missing: say where the manifests come from".to_owned()),
        _ => Err("more than one source: only applications with a single one are rendered here".to_owned()),
    }
}

/// Renders a source and looks at the cluster. The inner error is one of the source's, and no reason to try again.
pub(super) async fn view(
    context: &Context,
    app: &Application,
    source: ApplicationSource,
    revision: String,
) -> Result<std::result::Result<View, String>> {
    if let Some(wrong) = compare::check(&app.spec.ignore_differences) {
        return Ok(Err(wrong));
    }
    match context.sources.render(Request::of(app, source, revision)).await {
        Ok(rendered) => match look(context, app, rendered).await {
            Ok(view) => Ok(Ok(view)),
            Err(Error::Invalid(why)) => Ok(Err(format!("Failed to load live state: {why}"))),
            Err(error) => Err(error),
        },
        Err(error) => Ok(Err(format!("Failed to load target state: {}", chain(&error)))),
    }
}

async fn look(context: &Context, app: &Application, rendered: Rendered) -> Result<View> {
    let name = context.name_of(app);
    let mut scopes = defined(&rendered.objects);
    let own: BTreeSet<(String, String)> = scopes.keys().cloned().collect();
    for value in rendered.objects.iter().map(|object| &object.value) {
        let key = Key::of(value);
        let version = value["apiVersion"].as_str().unwrap_or_default();
        if let Some(kind) = context.kinds.get(version, &key.kind).await? {
            scopes.insert((key.group, key.kind), kind.namespaced);
        }
    }
    // Kinds that the application had objects of, and may have none of any more.
    for known in app.status.iter().flat_map(|status| &status.resources) {
        let version =
            if known.group.is_empty() { known.version.clone() } else { format!("{}/{}", known.group, known.version) };
        context.kinds.get(&version, &known.kind).await?;
    }
    let Rendered { revision, source_type, objects } = rendered;
    let Desired { targets, hooks, places, repeated } =
        desired(&name, &app.spec.destination.namespace, objects, &scopes);
    let mut view = View {
        hooks,
        revision,
        source_type: source_type.as_str(),
        defined: own,
        places,
        warnings: repeated.into_iter().map(|text| ("RepeatedResourceWarning", text)).collect(),
        ..View::default()
    };
    let wanted: BTreeSet<Key> = targets.iter().map(Key::of).collect();
    view.namespaces = wanted.iter().filter(|key| key.kind == "Namespace").map(|key| key.name.clone()).collect();
    for target in &targets {
        let live = context.kinds.live(&Key::of(target));
        let other = live.as_ref().and_then(compare::owner).filter(|owner| *owner != name);
        if let Some(other) = other {
            let text = format!("{} is part of applications {name} and {other}", Key::of(target));
            view.warnings.push(("SharedResourceWarning", text));
        }
    }
    let compared = futures::stream::iter(targets).map(|target| compared(context, app, target));
    view.pairs = compared.buffered(TOGETHER).collect().await;
    for kind in context.kinds.all() {
        view.pairs.extend(extra(&kind, &name, &wanted));
    }
    Ok(view)
}

/// The objects of a kind that are an application's and that it should not have any more. Hooks are none of them.
fn extra(kind: &Kind, app: &str, wanted: &BTreeSet<Key>) -> Vec<Pair> {
    let surplus = owned(kind, app).into_iter().filter(|value| !is_hook(value) && !wanted.contains(&Key::of(value)));
    surplus.map(|live| Pair { target: None, live: Some(live), modified: true }).collect()
}

/// The objects of a kind that are an application's, hooks included.
pub(super) fn owned(kind: &Kind, app: &str) -> Vec<Value> {
    let begins = format!("{app}:");
    let is_marked = |object: &std::sync::Arc<DynamicObject>| {
        let id = object.metadata.annotations.as_ref().and_then(|all| all.get(marks::TRACKING_ID));
        id.is_some_and(|id| id.starts_with(&begins))
    };
    let marked = kind.cache.list().into_iter().filter(is_marked);
    marked.map(|object| kind.value(&object)).filter(|value| compare::owner(value) == Some(app)).collect()
}

async fn compared(context: &Context, app: &Application, mut target: Value) -> Pair {
    let key = Key::of(&target);
    let Some(live) = context.kinds.live(&key) else {
        return Pair { target: Some(target), live: None, modified: true };
    };
    let ignored = &app.spec.ignore_differences;
    if context.respects_ignored(app) {
        compare::keep_live(&mut target, &live, ignored);
    }
    let print = Print::of(&target, &live, ignored);
    if let Some(modified) = context.remembered(&key, &print, &live) {
        return Pair { target: Some(target), live: Some(live), modified };
    }
    let by_manager = ignored.iter().any(|one| !one.managed_fields_managers.is_empty());
    let modified = match predicted(context, &key, &target).await {
        Some(wanted) => {
            // The cache may be behind, and it knows nothing of managers: then the object itself is asked for.
            let is_behind = wanted["metadata"]["resourceVersion"] != live["metadata"]["resourceVersion"];
            let fresh = if is_behind || by_manager { fresh(context, &key).await } else { None };
            compare::differ(&wanted, fresh.as_ref().unwrap_or(&live), ignored)
        }
        None => true,
    };
    context.remember(&key, print, &live, modified);
    Pair { target: Some(target), live: Some(live), modified }
}

/// Tells apart what decides whether an object differs, as far as it is known without a look at all of the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Print {
    /// What it should be, and what does not count.
    wanted: u64,
    /// The version that was looked at.
    version: Option<String>,
    uid: Option<String>,
}

impl Print {
    pub(super) fn of(target: &Value, live: &Value, ignored: &[IgnoreDifference]) -> Self {
        let mut hasher = DefaultHasher::new();
        target.to_string().hash(&mut hasher);
        serde_json::to_string(ignored).unwrap_or_default().hash(&mut hasher);
        let text = |field: &str| live["metadata"][field].as_str().map(str::to_owned);
        Self { wanted: hasher.finish(), version: text("resourceVersion"), uid: text("uid") }
    }

    /// Whether both are about the same object and the same wish.
    pub(super) fn is_about(&self, other: &Self) -> bool {
        self.wanted == other.wanted && self.uid == other.uid
    }
}

/// What an object holds: what others write into its status, or only touch, changes nothing.
pub(super) fn content(live: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    compare::content(live).to_string().hash(&mut hasher);
    hasher.finish()
}

/// What an object would be if it were applied. Nothing when the API refuses: then it differs, and the sync will say why it
/// cannot be.
async fn predicted(context: &Context, key: &Key, target: &Value) -> Option<Value> {
    let kind = context.kinds.known_kind(key)?;
    let api = kind.api(context.kinds.client(), &key.namespace);
    let manager = Some(marks::MANAGER.to_owned());
    let params = PatchParams { dry_run: true, force: true, field_manager: manager, ..PatchParams::default() };
    let wanted = api.patch(&key.name, &params, &Patch::Apply(target)).await.ok()?;
    Some(kind.value(&wanted))
}

async fn fresh(context: &Context, key: &Key) -> Option<Value> {
    let kind = context.kinds.known_kind(key)?;
    let found = kind.api(context.kinds.client(), &key.namespace).get_opt(&key.name).await.ok()??;
    Some(kind.value(&found))
}
