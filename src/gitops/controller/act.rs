//! Carries out what a sync has planned: writes and deletes objects, with or without effect.

use std::ops::ControlFlow;
use std::time::Duration;

use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, PropagationPolicy};
use kube::core::DynamicObject;
use kube::runtime::watcher;
use serde_json::Value;
use tinderbox_api::gitops::{AppProject, Application, marks};
use tinderbox_client::wait;

use super::Context;
use super::desired::mark;
use super::kinds::Kind;
use super::observe::{self, View};
use crate::compare;
use crate::project;
use crate::sync::{Act, Check, Key, Objection, Outcome, Propagation, Sync, Task};

/// How long a new definition, or the place of an object that is made anew, is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// What acts are carried out for.
pub(super) struct Acting<'a> {
    pub(super) context: &'a Context,
    pub(super) app: &'a Application,
    pub(super) project: &'a AppProject,
    pub(super) view: &'a View,
    pub(super) sync: &'a Sync,
}

impl Acting<'_> {
    /// Tries a task without effect.
    pub(super) async fn check(&self, task: &Task) -> Check {
        let invalid = |message: String| Err(Objection::Invalid(self.at(&task.key, message)));
        if !task.namespace
            && let Some(refusal) = project::refuses(self.project, self.app, &task.key)
        {
            return invalid(refusal);
        }
        let Some(target) = &task.target else { return Ok(()) };
        let name = self.context.name_of(self.app);
        let other = task.live.as_ref().and_then(compare::owner).filter(|owner| *owner != name);
        if let Some(other) =
            other.filter(|_| self.sync.settings.fail_on_shared || task.has("FailOnSharedResource=true"))
        {
            return invalid(format!("Shared resource found: {} is part of application {other}", task.key));
        }
        let Some(kind) = self.kind(target).await.map_err(Objection::Refused)? else {
            let id = (task.key.group.clone(), task.key.kind.clone());
            let option = "SkipDryRunOnMissingResource=true";
            if self.view.defined.contains(&id) || self.sync.settings.skip_check_of_missing_kinds || task.has(option) {
                return Ok(());
            }
            return Err(Objection::Invalid(self.unknown(&task.key)));
        };
        if self.replaces(task) || task.namespace {
            return Ok(());
        }
        match self.write(&kind, task, target, true).await {
            Ok(_) => Ok(()),
            // Its namespace is made by this very sync.
            Err(kube::Error::Api(status)) if status.code == 404 && self.makes_namespace(&task.key.namespace) => Ok(()),
            Err(error) => Err(Objection::Refused(self.at(&task.key, words(&error)))),
        }
    }

    /// Does one thing.
    pub(super) async fn act(&self, act: Act) -> Outcome {
        let task = &self.sync.tasks[act.task()];
        let outcome = match (act, &task.target) {
            (Act::Apply(_), Some(target)) => self.apply(task, target).await,
            _ => self.delete(task, matches!(act, Act::Prune(_))).await,
        };
        outcome.map_err(|message| self.at(&task.key, message))
    }

    async fn apply(&self, task: &Task, target: &Value) -> Outcome {
        let Some(kind) = self.kind(target).await? else { return Err(self.unknown(&task.key)) };
        let mut target = target.clone();
        if task.hook {
            mark(&self.context.name_of(self.app), &mut target);
        }
        let done = format!("{}/{}", task.key.kind.to_lowercase(), task.key.name);
        let written = match self.write(&kind, task, &target, false).await {
            Ok(written) => written,
            Err(kube::Error::Api(status)) if self.forces(task) && matches!(status.code, 409 | 422) => {
                self.delete(task, false).await?;
                self.gone(&kind, task).await?;
                self.write(&kind, task, &target, false).await.map_err(|error| words(&error))?
            }
            Err(error) => return Err(words(&error)),
        };
        if task.key.kind == "CustomResourceDefinition" {
            self.established(&kind, &task.key.name).await?;
        }
        // What was just written is as it should be: it need not be asked for again.
        let fresh = kind.value(&written);
        let print = observe::Print::of(&target, &fresh, &self.app.spec.ignore_differences);
        self.context.remember(&task.key, print, &fresh, false);
        kind.observe(written);
        let how = if self.replaces(task) { "replaced" } else { "serverside-applied" };
        Ok(format!("{done} {how}"))
    }

    async fn write(&self, kind: &Kind, task: &Task, target: &Value, dry_run: bool) -> kube::Result<DynamicObject> {
        let api = kind.api(self.context.kinds.client(), &task.key.namespace);
        let name = &task.key.name;
        let manager = Some(marks::MANAGER.to_owned());
        if self.replaces(task) {
            let mut object: DynamicObject = serde_json::from_value(target.clone()).map_err(kube::Error::SerdeError)?;
            let post = PostParams { dry_run, field_manager: manager };
            let Some(live) = api.get_opt(name).await? else { return api.create(&post, &object).await };
            object.metadata.resource_version = live.resource_version();
            return api.replace(name, &post, &object).await;
        }
        let params = PatchParams { dry_run, force: true, field_manager: manager, ..PatchParams::default() };
        api.patch(name, &params, &Patch::Apply(target)).await
    }

    async fn delete(&self, task: &Task, prune: bool) -> Outcome {
        let Some(kind) = self.context.kinds.known_kind(&task.key) else { return Ok("pruned".to_owned()) };
        let propagation = match self.sync.settings.propagation {
            Propagation::Foreground if prune => PropagationPolicy::Foreground,
            Propagation::Orphan if prune => PropagationPolicy::Orphan,
            _ => PropagationPolicy::Background,
        };
        delete(self.context, &kind, &task.key, propagation).await?;
        if task.key.kind == "CustomResourceDefinition"
            && let Some(live) = &task.live
        {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            self.context.kinds.forget(&text(&live["spec"]["group"]), &text(&live["spec"]["names"]["kind"]));
        }
        Ok("pruned".to_owned())
    }

    async fn kind(&self, target: &Value) -> Result<Option<Kind>, String> {
        let text = |field: &str| target[field].as_str().unwrap_or_default();
        let found = self.context.kinds.get(text("apiVersion"), text("kind")).await;
        found.map_err(|error| tinderbox_client::error::chain(&error))
    }

    async fn established(&self, kind: &Kind, name: &str) -> Result<(), String> {
        let api = kind.api(self.context.kinds.client(), "");
        let is = |object: Option<&DynamicObject>| {
            let conditions = object.and_then(|object| object.data["status"]["conditions"].as_array());
            conditions.is_some_and(|all| all.iter().any(|one| one["type"] == "Established" && one["status"] == "True"))
        };
        let what = format!("the definition {name} to be established");
        wait::object(api, name, &what, PATIENCE, is).await.map(drop).map_err(|error| error.to_string())
    }

    async fn gone(&self, kind: &Kind, task: &Task) -> Result<(), String> {
        let api = kind.api(self.context.kinds.client(), &task.key.namespace);
        let selection = watcher::Config::default().fields(&format!("metadata.name={}", task.key.name));
        let what = format!("{} to be gone", task.key);
        let gone = |known: &wait::Known<DynamicObject>| {
            if known.is_empty() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        wait::until(api, selection, &what, PATIENCE, gone).await.map_err(|error| error.to_string())
    }

    fn makes_namespace(&self, namespace: &str) -> bool {
        let own = self.sync.settings.namespace.as_ref().is_some_and(|one| one["metadata"]["name"] == namespace);
        own || self.view.namespaces.contains(namespace)
    }

    fn replaces(&self, task: &Task) -> bool {
        self.sync.settings.replace || task.has("Replace=true")
    }

    fn forces(&self, task: &Task) -> bool {
        self.sync.settings.force || task.has("Force=true")
    }

    /// A message with the place that the object comes from.
    fn at(&self, key: &Key, message: String) -> String {
        match self.view.places.get(key) {
            Some(place) => format!("{place}: {message}"),
            None => message,
        }
    }

    fn unknown(&self, key: &Key) -> String {
        let Key { group, kind, namespace, name } = key;
        let message = format!(
            "The Kubernetes API could not find {group}/{kind} for requested resource {namespace}/{name}. Make sure the \"{kind}\" CRD is installed on the destination cluster."
        );
        self.at(key, message)
    }
}

/// Deletes an object; one that is gone is deleted already.
pub(super) async fn delete(
    context: &Context,
    kind: &Kind,
    key: &Key,
    propagation: PropagationPolicy,
) -> Result<(), String> {
    let api = kind.api(context.kinds.client(), &key.namespace);
    let params = DeleteParams { propagation_policy: Some(propagation), ..DeleteParams::default() };
    let seen = kind.cache.get(&tinderbox_client::ObjectKey::new(&key.namespace, &key.name));
    match api.delete(&key.name, &params).await {
        Ok(answer) => {
            // What waits for its finalizers is shown as such; the rest is gone.
            match answer.left() {
                Some(object) if object.metadata.deletion_timestamp.is_some() => kind.observe(object),
                _ => {
                    if let Some(seen) = seen {
                        kind.gone(key, &seen);
                    }
                }
            }
            Ok(())
        }
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(words(&error)),
    }
}

/// The API's own words.
fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => tinderbox_client::error::chain(other),
    }
}
