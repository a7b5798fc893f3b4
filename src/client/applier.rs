//! The one loop that carries plans out: stage by stage, the steps of a stage together, the answers shown to the caches.
//! It decides nothing; who owns the fields is the manager's name.

use std::future::ready;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::StreamExt;
use kube::Client;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::{DynamicObject, Request, Resource};
use serde_json::Value;

use crate::error::Doing;
use crate::{Caches, Error, ObjectKey, Plan, Recorder, Result, Step, Verb};

/// Requests of one stage that are under way at once.
const TOGETHER: usize = 16;

/// Applies plans under one field manager.
#[derive(Clone)]
pub struct Applier {
    client: Client,
    caches: Caches,
    recorder: Recorder,
    manager: &'static str,
}

impl Applier {
    /// An applier that writes as `manager` and publishes through `recorder`.
    #[must_use]
    pub fn new(caches: Caches, recorder: Recorder, manager: &'static str) -> Self {
        Self { client: caches.client().clone(), caches, recorder, manager }
    }

    /// Where events go.
    #[must_use]
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Carries a plan out. After a failed step no new step of its stage begins, and no later stage.
    ///
    /// # Errors
    /// The first failure that is not a conflict, or else the first conflict.
    pub async fn apply(&self, plan: Plan) -> Result<Option<jiff::Timestamp>> {
        for stage in plan.stages {
            let stop = AtomicBool::new(false);
            let going = futures::stream::iter(stage).take_while(|_| ready(!stop.load(Ordering::Relaxed)));
            let mut running = going.map(|step| self.step(step)).buffer_unordered(TOGETHER);
            let mut failure: Option<Error> = None;
            while let Some(outcome) = running.next().await {
                if let Err(error) = outcome {
                    stop.store(true, Ordering::Relaxed);
                    if failure.as_ref().is_none_or(Error::is_conflict) {
                        failure = Some(error);
                    }
                }
            }
            drop(running);
            if let Some(failure) = failure {
                return Err(failure);
            }
        }
        for note in plan.notes {
            self.recorder.publish(note);
        }
        Ok(plan.again)
    }

    /// Carries one step out. Changing or deleting what is gone is done already.
    ///
    /// # Errors
    /// The API's refusal, or a request that did not get through.
    pub async fn step(&self, step: Step) -> Result<()> {
        match self.send(&step).await {
            Ok(answer) => {
                if let Some(mut note) = step.done.clone() {
                    let made = answer.pointer("/metadata/name").and_then(Value::as_str);
                    note.message.push_str(made.unwrap_or(&step.name));
                    self.recorder.publish(note);
                }
                if let Some(note) = step.told.clone() {
                    self.recorder.publish(note);
                }
                self.show(&step, answer);
                Ok(())
            }
            Err(error) if error.is_not_found() && step.verb.settles_when_gone() => Ok(()),
            // Another object of that name: the one that was meant is gone.
            Err(error) if error.is_conflict() && matches!(step.verb, Verb::Delete { version: None, .. }) => Ok(()),
            Err(error) => {
                if let Some(mut note) = step.failed
                    && !error.is_namespace_terminating()
                    && !error.is_already_exists()
                {
                    note.message.push_str(&error.message());
                    self.recorder.publish(note);
                }
                Err(error)
            }
        }
    }

    async fn send(&self, step: &Step) -> Result<Value> {
        let namespace = Some(step.namespace.as_str()).filter(|namespace| !namespace.is_empty());
        let path = DynamicObject::url_path(&step.resource, namespace);
        let request = Request::new(path);
        let name = step.name.as_str();
        let post = PostParams { dry_run: false, field_manager: Some(self.manager.to_owned()) };
        let patching = PatchParams { field_manager: Some(self.manager.to_owned()), ..PatchParams::default() };
        let encode = |body: &Value| serde_json::to_vec(body).doing(|| step.describe());
        let request = match &step.verb {
            Verb::Create { subresource, body } => match subresource {
                None => request.create(&post, encode(body)?),
                Some(one) => request.create_subresource(one, name, &post, encode(body)?),
            },
            Verb::Merge { subresource, body } => {
                let patch = Patch::Merge(body);
                match subresource {
                    None => request.patch(name, &patching, &patch),
                    Some(one) => request.patch_subresource(one, name, &patching, &patch),
                }
            }
            Verb::Apply { force, body } => {
                let patching = PatchParams { force: *force, ..patching };
                request.patch(name, &patching, &Patch::Apply(body))
            }
            Verb::Replace { subresource, body } => match subresource {
                None => request.replace(name, &post, encode(body)?),
                Some(one) => request.replace_subresource(one, name, &post, encode(body)?),
            },
            Verb::Delete { uid, version, propagation, grace } => {
                let params = DeleteParams {
                    grace_period_seconds: *grace,
                    propagation_policy: propagation.clone(),
                    preconditions: Some(Preconditions {
                        uid: Some(uid.clone()).filter(|uid| !uid.is_empty()),
                        resource_version: version.clone(),
                    }),
                    ..DeleteParams::default()
                };
                request.delete(name, &params)
            }
        };
        let request = request.map_err(kube::Error::BuildRequest).doing(|| step.describe())?;
        let answer = self.client.request(request).await;
        answer.doing(|| step.describe())
    }

    fn show(&self, step: &Step, answer: Value) {
        let Some(cache) = self.caches.of(&step.resource) else {
            return;
        };
        let is_object = answer["kind"].as_str() == Some(step.resource.kind.as_str());
        match &step.verb {
            Verb::Delete { uid, .. } => {
                if is_object && answer.pointer("/metadata/deletionTimestamp").is_some() {
                    cache.observe(answer);
                } else {
                    cache.forget(&ObjectKey::new(&*step.namespace, &*step.name), uid);
                }
            }
            _ if is_object => cache.observe(answer),
            _ => (),
        }
    }
}

impl Verb {
    fn settles_when_gone(&self) -> bool {
        matches!(self, Self::Delete { .. } | Self::Merge { .. } | Self::Replace { .. })
    }
}
