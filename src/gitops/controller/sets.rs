//! ApplicationSets: the loop that makes, changes and deletes applications. Which these are is decided in [`crate::set`].
//! Upstream rule: `applicationset/controllers/applicationset_controller.go` of argoproj/argo-cd.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};
use tinderbox_api::gitops::{
    AppProject, Application, ApplicationSet, ApplicationSetStatus, GROUP, IgnoreDifference, VERSION, marks,
};
use tinderbox_client::cache::controller_uid;
use tinderbox_client::clock::after;
use tinderbox_client::events::reference;
use tinderbox_client::plan::encode;
use tinderbox_client::runner::{Action, see_out};
use tinderbox_client::{Applier, Cache, Caches, Clock, ObjectKey, Plan, Queue, Result, Runner, Step};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Config, OWN_CLUSTER, REFRESH, Sources};
use crate::compare;
use crate::set::{self, Policy};

/// Sets that are looked at side by side.
const CONCURRENCY: usize = 2;
/// Annotations that others put on applications, and that stay.
const PRESERVED: [&str; 2] = [marks::REFRESH, "notified.notifications.argoproj.io"];
/// Finalizers that the controller of applications sets itself.
const FINALIZERS: [&str; 2] = ["pre-delete-finalizer.argocd.argoproj.io", "post-delete-finalizer.argocd.argoproj.io"];

/// What the loop works with.
#[derive(Clone)]
struct Context {
    sets: Cache<ApplicationSet>,
    apps: Cache<Application>,
    projects: Cache<AppProject>,
    applier: Applier,
    sources: Arc<dyn Sources>,
    clock: Clock,
    namespace: String,
}

/// Starts the loop; it runs on `tracker` until `token` is cancelled.
pub(super) fn start(
    caches: &Caches,
    applier: &Applier,
    config: &Config,
    tracker: &TaskTracker,
    token: &CancellationToken,
) {
    let queue: Queue<ObjectKey> = Queue::new(config.clock.clone());
    let context = Context {
        sets: caches.get_within(),
        apps: caches.get_within(),
        projects: caches.get_within(),
        applier: applier.clone(),
        sources: config.sources.clone(),
        clock: config.clock.clone(),
        namespace: config.namespace.clone(),
    };
    let marked = queue.clone();
    context.sets.subscribe(move |change| marked.add(change.key()));
    let marked = queue.clone();
    context.apps.subscribe(move |change| {
        for owner in [change.old, change.new].into_iter().flatten().filter_map(|app| owner_of(app)) {
            marked.add(ObjectKey::new(&change.key().namespace, &owner.name));
        }
    });
    let (marked, sets) = (queue.clone(), context.sets.clone());
    let all = move || sets.list().iter().for_each(|set| marked.add(ObjectKey::of(&**set)));
    let every = all.clone();
    context.projects.subscribe(move |_| every());
    let (mut changes, stop) = (config.sources.changes(), token.clone());
    tracker.spawn(async move {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                changed = changes.changed() => if changed.is_err() { return },
            }
            all();
        }
    });
    let (stop, running) = (token.clone(), run(context, queue, token.clone()));
    tracker.spawn(see_out(marks::MANAGER, "ApplicationSet", running, stop));
}

async fn run(context: Context, queue: Queue<ObjectKey>, token: CancellationToken) -> Result<()> {
    context.sets.synced().await?;
    context.apps.synced().await?;
    context.projects.synced().await?;
    let runner = Runner { name: "applicationsets", queue, concurrency: CONCURRENCY, token };
    runner.run(move |key| reconcile(key, context.clone())).await;
    Ok(())
}

/// The set that an application was made by.
fn owner_of(app: &Application) -> Option<&OwnerReference> {
    let owners = app.metadata.owner_references.as_deref().unwrap_or_default();
    owners.iter().find(|owner| owner.controller == Some(true) && owner.kind == "ApplicationSet")
}

async fn reconcile(key: ObjectKey, context: Context) -> Result<Action> {
    let Some(set) = context.sets.get(&key) else { return Ok(Action::Done) };
    if set.metadata.deletion_timestamp.is_some() {
        context.applier.apply(removal(&set, &context.current(&set))).await?;
        return Ok(Action::Done);
    }
    let now = context.clock.now();
    let (mut outcome, failure) = match context.sources.generate((*set).clone()).await {
        Err(wrong) => (Outcome { generated: false, wrong: Some((wrong.reason, wrong.message)) }, None),
        Ok(generated) => {
            let (plan, wrong) = context.plan(&set, generated);
            let failure = context.applier.apply(plan).await.err();
            let of_write = failure.as_ref().map(|error| ("UpdateApplicationError", error.to_string()));
            let wrong = of_write.or(wrong.map(|message| ("ApplicationValidationError", message)));
            (Outcome { generated: true, wrong }, failure)
        }
    };
    // Somebody else was faster: the next look comes at once, and nothing is wrong.
    if let Some(error) = failure.as_ref().filter(|error| error.is_conflict()) {
        tracing::debug!(set = set.name_any(), %error, "applications have changed meanwhile");
    } else {
        if let Some((_, message)) = &mut outcome.wrong {
            message.truncate(message.floor_char_boundary(MESSAGE_MAX));
        }
        let status = status(&set, &outcome, &context.current(&set), now);
        if let Some(step) = Step::status(&*set, set.status.as_ref(), &status) {
            context.applier.step(step).await?;
        }
    }
    failure.map_or_else(|| Ok(Action::At(after(now, REFRESH))), Err)
}

/// The longest message of a condition.
const MESSAGE_MAX: usize = 4096;

/// What came of a look at a set.
struct Outcome {
    /// Parameters and templates gave applications.
    generated: bool,
    /// What went wrong: a word for it, and a text.
    wrong: Option<(&'static str, String)>,
}

impl Context {
    /// The applications that are a set's.
    fn current(&self, set: &ApplicationSet) -> Vec<Arc<Application>> {
        let mut found = self.apps.controlled_by(&set.uid().unwrap_or_default());
        found.sort_by_key(|app| app.name_any());
        found
    }

    /// What is to be done so that there are these applications; and what is wrong with some of them.
    fn plan(&self, set: &ApplicationSet, generated: Vec<Application>) -> (Plan, Option<String>) {
        let policy = Policy::of(set);
        let mut wrong = set::clashes(set, &generated);
        let wanted: BTreeSet<String> = generated.iter().map(ResourceExt::name_any).collect();
        let mut plan = Plan::default();
        for app in generated {
            let name = app.name_any();
            if wrong.iter().any(|(known, _)| *known == name) {
                continue;
            }
            match self.invalid(&app).map_or_else(|| self.step(set, policy, app), Err) {
                Ok(step) => step.into_iter().for_each(|step| plan.push(step)),
                Err(message) => wrong.push((name, message)),
            }
        }
        let of = reference(set);
        for gone in self.current(set).iter().filter(|app| policy.deletes && !wanted.contains(&app.name_any())) {
            if gone.metadata.deletion_timestamp.is_none() {
                let told = format!("Deleted Application {:?}", gone.name_any());
                plan.push(Step::delete(&**gone).told(&of, "Deleted", told));
            }
        }
        wrong.sort();
        let more = wrong.len().saturating_sub(1);
        let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
        (plan, wrong.pop().map(|(_, message)| message + &more))
    }

    /// What is wrong with an application before there is one.
    fn invalid(&self, app: &Application) -> Option<String> {
        let project = super::project_of(app);
        if project != "default" && self.projects.get(&ObjectKey::new(&self.namespace, project)).is_none() {
            return Some(format!("application references project {project} which does not exist"));
        }
        let to = &app.spec.destination;
        let named: Vec<&str> =
            [to.server.as_str(), to.name.as_str()].into_iter().filter(|text| !text.is_empty()).collect();
        match named.as_slice() {
            [one] if OWN_CLUSTER.contains(one) => None,
            [one] => Some(format!("application destination spec is invalid: there is no cluster {one:?} here")),
            [] => Some("application destination spec is invalid: it has neither server nor name".to_owned()),
            _ => Some("application destination spec is invalid: it has both server and name".to_owned()),
        }
    }

    /// Makes an application, or changes what there is of it.
    fn step(
        &self,
        set: &ApplicationSet,
        policy: Policy,
        mut app: Application,
    ) -> std::result::Result<Option<Step>, String> {
        let of = reference(set);
        let name = app.name_any();
        let owner = OwnerReference {
            api_version: ApplicationSet::api_version(&()).into_owned(),
            kind: ApplicationSet::kind(&()).into_owned(),
            name: set.name_any(),
            uid: set.uid().unwrap_or_default(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        };
        let Some(live) = self.apps.get(&ObjectKey::of(&app)) else {
            app.metadata.owner_references = Some(vec![owner]);
            let told = format!("created Application {name:?}");
            return Ok(Some(Step::create(&app).told(&of, "created", told)));
        };
        let is_own = controller_uid(&*live) == Some(owner.uid.as_str());
        if !is_own && controller_uid(&*live).is_some() {
            return Err(format!("Application {name:?} is controlled by another object than this ApplicationSet"));
        }
        if !policy.updates && is_own || live.metadata.deletion_timestamp.is_some() {
            return Ok(None);
        }
        let new = changed(set, &live, app, owner)?;
        let told = format!("updated Application {name:?}");
        Ok(Step::update(&*live, &new).map(|step| step.told(&of, "updated", told)))
    }
}

/// An application as its set wants it, but for what is others' to say.
fn changed(
    set: &ApplicationSet,
    live: &Application,
    wanted: Application,
    owner: OwnerReference,
) -> std::result::Result<Application, String> {
    let mut new = live.clone();
    let mut annotations = wanted.metadata.annotations.clone().unwrap_or_default();
    let preserved = set.spec.preserved_fields.clone().unwrap_or_default();
    let mut keep: Vec<&str> = PRESERVED.to_vec();
    keep.extend(preserved.annotations.iter().map(String::as_str));
    carry(&mut annotations, live.annotations(), &keep);
    new.metadata.annotations = Some(annotations).filter(|all| !all.is_empty());
    let mut labels = wanted.metadata.labels.clone().unwrap_or_default();
    carry(&mut labels, live.labels(), &preserved.labels.iter().map(String::as_str).collect::<Vec<_>>());
    new.metadata.labels = Some(labels).filter(|all| !all.is_empty());
    let mut finalizers = wanted.metadata.finalizers.clone().unwrap_or_default();
    let kept = live.finalizers().iter().filter(|one| FINALIZERS.iter().any(|known| one.starts_with(known)));
    finalizers.extend(kept.cloned());
    new.metadata.finalizers = Some(finalizers).filter(|all| !all.is_empty());
    if controller_uid(live).is_none() {
        new.metadata.owner_references.get_or_insert_default().push(owner);
    }
    new.spec = wanted.spec;
    if wanted.operation.is_some() {
        new.operation = wanted.operation;
    }
    let ignored = ignored(&set.spec.ignore_application_differences)?;
    if ignored.is_empty() {
        return Ok(new);
    }
    let typed = |app: &Application| {
        let mut value = encode(app);
        value["apiVersion"] = json!(format!("{GROUP}/{VERSION}"));
        value["kind"] = json!("Application");
        value
    };
    let mut value = typed(&new);
    compare::keep_live(&mut value, &typed(live), &ignored);
    let mut kept: Application = serde_json::from_value(value).map_err(|error| error.to_string())?;
    (kept.api_version, kept.kind) = (live.api_version.clone(), live.kind.clone());
    Ok(kept)
}

/// Takes over what others have set, where it is theirs.
fn carry(wanted: &mut BTreeMap<String, String>, live: &BTreeMap<String, String>, keys: &[&str]) {
    let kept = live.iter().filter(|(key, _)| keys.contains(&key.as_str()));
    wanted.extend(kept.map(|(key, value)| (key.clone(), value.clone())));
}

/// Fields of applications that others may change.
fn ignored(differences: &[Value]) -> std::result::Result<Vec<IgnoreDifference>, String> {
    let read = differences.iter().map(|one| {
        let mut one: IgnoreDifference =
            serde_json::from_value(one.clone()).map_err(|error| format!("ignoreApplicationDifferences: {error}"))?;
        (one.group, one.kind) = (GROUP.to_owned(), "Application".to_owned());
        Ok(one)
    });
    let all = read.collect::<std::result::Result<Vec<_>, String>>()?;
    compare::check(&all).map_or(Ok(all), Err)
}

/// What a set leaves behind: applications that may not be deleted are its own no more. The rest goes with it.
fn removal(set: &ApplicationSet, current: &[Arc<Application>]) -> Plan {
    let mut plan = Plan::default();
    for app in current.iter().filter(|_| !Policy::of(set).deletes) {
        let uid = set.uid().unwrap_or_default();
        let mut left = (**app).clone();
        left.metadata.owner_references = left
            .metadata
            .owner_references
            .map(|owners| owners.into_iter().filter(|owner| owner.uid != uid).collect::<Vec<_>>())
            .filter(|owners| !owners.is_empty());
        Step::update(&**app, &left).into_iter().for_each(|step| plan.push(step));
    }
    plan.then();
    let kept: Vec<&String> = set.finalizers().iter().filter(|one| *one != marks::RESOURCES_FINALIZER).collect();
    if kept.len() < set.finalizers().len() {
        plan.push(Step::merge(set, json!({"metadata": {"finalizers": kept}})));
    }
    plan
}

/// What is said of a set: its conditions and its applications.
fn status(
    set: &ApplicationSet,
    outcome: &Outcome,
    current: &[Arc<Application>],
    now: Timestamp,
) -> ApplicationSetStatus {
    let done = "All applications have been generated successfully";
    let (failed, reason, message) = match &outcome.wrong {
        Some((reason, message)) => (true, *reason, message.as_str()),
        None => (false, "ApplicationSetUpToDate", done),
    };
    let truth = |is: bool| if is { "True" } else { "False" };
    let (made, made_message) = if outcome.generated {
        ("ParametersGenerated", "Successfully generated parameters for all Applications")
    } else {
        ("ErrorOccurred", message)
    };
    let up_to_date = if failed { "ErrorOccurred" } else { reason };
    let old = set.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let condition = |of: &str, is: bool, reason: &str, message: &str| {
        let mut new = json!({"type": of, "status": truth(is), "reason": reason, "message": message});
        let same =
            old.iter().find(|one| ["type", "status", "reason", "message"].iter().all(|key| one[*key] == new[*key]));
        let since = same.map_or_else(|| json!(format!("{now:.0}")), |one| one["lastTransitionTime"].clone());
        new["lastTransitionTime"] = since;
        new
    };
    let mut status = set.status.clone().unwrap_or_default();
    status.conditions = vec![
        condition("ErrorOccurred", failed, reason, message),
        condition("ParametersGenerated", outcome.generated, made, made_message),
        condition("ResourcesUpToDate", !failed, up_to_date, message),
    ];
    status.resources = current.iter().map(|app| resource(app)).collect();
    status.resources_count = i64::try_from(current.len()).ok();
    status
}

/// An application in the status of its set.
fn resource(app: &Application) -> Value {
    let mut one = json!({
        "group": GROUP, "version": VERSION, "kind": "Application",
        "namespace": app.namespace().unwrap_or_default(), "name": app.name_any(),
    });
    if let Some(status) = &app.status {
        one["status"] = json!(status.sync.status);
        one["health"] = json!({"status": status.health.status});
    }
    one
}
