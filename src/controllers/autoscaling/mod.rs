//! HorizontalPodAutoscalers: a target is scaled by what its pods use. The loop: it looks at everything every 15 seconds, and keeps in
//! memory what it recommended and did; what to do is decided in `plan`.

mod behavior;
mod plan;
mod replicas;
mod usage;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v1::Scale;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ApiResource, ListParams, Patch, PatchParams};
use kube::core::{DynamicObject, GroupVersionKind};
use kube::discovery::pinned_kind;
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use tinderbox_api::selector::LabelSelector;
use tinderbox_client::clock::after;
use tinderbox_client::{Applier, Cache, Note, ObjectKey, Plan, Queue, Result, Runner, Severity, Step, runner::Action};

use self::behavior::History;
use self::plan::{Decision, Seen, Target};
use self::usage::PodUsage;
use crate::context::Context;

/// How often each autoscaler looks (`--horizontal-pod-autoscaler-sync-period`).
const PERIOD: Duration = Duration::from_secs(15);

#[derive(Clone)]
struct World {
    client: Client,
    pods: Cache<Pod>,
    histories: Arc<Mutex<BTreeMap<ObjectKey, History>>>,
    applier: Arc<Applier>,
}

/// Runs the controller.
pub(crate) fn run(context: Context) -> BoxFuture<'static, Result<()>> {
    async move {
        let autoscalers = context.caches.get::<HorizontalPodAutoscaler>();
        let world = World {
            client: context.client.clone(),
            pods: context.caches.get(),
            histories: Arc::default(),
            applier: context.applier("kube-controller-manager", "horizontal-pod-autoscaler"),
        };
        let queue = Queue::new(context.clock.clone());
        autoscalers.subscribe({
            let queue = queue.clone();
            move |change| {
                let spec = |one: &Arc<HorizontalPodAutoscaler>| one.spec.clone();
                if change.old.map(spec) != change.new.map(spec) {
                    queue.add(change.key());
                }
            }
        });
        autoscalers.synced().await?;
        world.pods.synced().await?;
        let runner = Runner { name: "autoscaling", queue, concurrency: 2, token: context.token.clone() };
        let clock = context.clock.clone();
        runner
            .run(move |key: ObjectKey| {
                let (world, autoscalers, now) = (world.clone(), autoscalers.clone(), clock.now());
                async move {
                    match autoscalers.get(&key) {
                        Some(autoscaler) => world.reconcile(&autoscaler, now).await,
                        None => {
                            world.histories().remove(&key);
                            Ok(Action::Done)
                        }
                    }
                }
            })
            .await;
        Ok(())
    }
    .boxed()
}

impl World {
    async fn reconcile(&self, autoscaler: &HorizontalPodAutoscaler, now: Timestamp) -> Result<Action> {
        let key = ObjectKey::of(autoscaler);
        let mut history = self.histories().remove(&key).unwrap_or_default();
        let target = self.target(autoscaler).await;
        let seen = self.seen(autoscaler, &target).await;
        let Decision { mut status, rescale, mut notes } = plan::decide(autoscaler, &seen, &mut history, now);
        if let (Some(wanted), Ok((api, name))) = (&rescale, target.as_ref().map(|(api, name, _)| (api, name))) {
            let patch = Patch::Merge(json!({"spec": {"replicas": wanted.to}}));
            let done = api.patch_scale(name, &PatchParams::default(), &patch).await;
            let done = done.map(drop).map_err(|error| words(&error));
            plan::conclude(autoscaler, &mut status, &mut notes, &mut history, wanted, done, now);
        }
        self.histories().insert(key, history);
        let mut plan = Plan::default();
        Step::status(autoscaler, autoscaler.status.as_ref(), &status).into_iter().for_each(|step| plan.push(step));
        for (severity, reason, message) in notes {
            plan.note(match severity {
                Severity::Normal => Note::normal(autoscaler, reason, message),
                Severity::Warning => Note::warning(autoscaler, reason, message),
            });
        }
        plan.at(after(now, PERIOD));
        Ok(self.applier.apply(plan).await?.into())
    }

    fn histories(&self) -> std::sync::MutexGuard<'_, BTreeMap<ObjectKey, History>> {
        self.histories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The target's collection, its name, and how many it has.
    async fn target(
        &self,
        autoscaler: &HorizontalPodAutoscaler,
    ) -> std::result::Result<(Api<DynamicObject>, String, Target), String> {
        let reference = &autoscaler.spec.as_ref().ok_or("there is no spec")?.scale_target_ref;
        let api_version = reference.api_version.clone().unwrap_or_default();
        let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
        let kind = GroupVersionKind::gvk(group, version, &reference.kind);
        let (resource, _) = pinned_kind(&self.client, &kind)
            .await
            .map_err(|_| format!("no matches for kind \"{}\" in group \"{group}\"", reference.kind))?;
        let namespace = autoscaler.namespace().unwrap_or_default();
        let api = Api::namespaced_with(self.client.clone(), &namespace, &resource);
        let scale: Scale = api.get_scale(&reference.name).await.map_err(|error| words(&error))?;
        let spec = scale.spec.and_then(|spec| spec.replicas).unwrap_or_default();
        let selector = scale.status.and_then(|status| status.selector).unwrap_or_default();
        Ok((api, reference.name.clone(), Target { replicas: spec, selector }))
    }

    /// The pods of the target, and what they use.
    async fn seen(
        &self,
        autoscaler: &HorizontalPodAutoscaler,
        target: &std::result::Result<(Api<DynamicObject>, String, Target), String>,
    ) -> Seen {
        let target = match target {
            Ok((_, _, target)) => target.clone(),
            Err(error) => return Seen { target: Err(error.clone()), pods: Vec::new(), usage: Ok(Vec::new()) },
        };
        let namespace = autoscaler.namespace().unwrap_or_default();
        let Ok(selector) = LabelSelector::parse(&target.selector) else {
            let error = format!("\"{}\" is no selector", target.selector);
            return Seen { target: Ok(target), pods: Vec::new(), usage: Err(error) };
        };
        let mut pods = self.pods.in_namespace(&namespace);
        pods.retain(|pod| selector.matches_map(pod.metadata.labels.as_ref()));
        let resource = ApiResource::from_gvk_with_plural(
            &GroupVersionKind::gvk("metrics.k8s.io", "v1beta1", "PodMetrics"),
            "pods",
        );
        let metrics: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &namespace, &resource);
        let list = metrics.list(&ListParams::default().labels(&target.selector)).await;
        let usage =
            list.map(|list| list.items.iter().filter_map(PodUsage::read).collect()).map_err(|error| words(&error));
        Seen { target: Ok(target), pods, usage }
    }
}

/// The API's own words, without the form that they came in.
fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}
