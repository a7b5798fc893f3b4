//! SparkApplications: the loop that looks, plans and applies. What is to be done is decided in `plan`, and by nobody else.

mod beside;
mod executors;
mod members;
mod notes;
mod observed;
mod plan;
pub(crate) mod pods;
mod reset;
mod retry;
mod submit;
mod ui;

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, Service};
use kube::ResourceExt;
use tinderbox_api::spark::{SparkApplication, labels};
use tinderbox_client::runner::Action;
use tinderbox_client::{Applier, Cache, Caches, ObjectKey, Queue, Result, Runner};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::metrics::Metrics;
use crate::namespaces::Gate;
use crate::{Config, metrics};
use members::Members;
use observed::Observed;

/// Applications that are looked at side by side.
const CONCURRENCY: usize = 16;

/// What the loop looks at.
#[derive(Clone)]
struct View {
    apps: Cache<SparkApplication>,
    pods: Cache<Pod>,
    services: Cache<Service>,
    members: Members,
    gate: Gate,
}

/// Runs the controller until cancelled.
pub(crate) async fn run(caches: Caches, applier: Applier, config: Config, token: CancellationToken) -> Result<()> {
    let view = View {
        apps: caches.get_within(),
        pods: caches.get_within(),
        services: caches.get_within(),
        members: Members::default(),
        gate: Gate::new(&config.jobs, &caches),
    };
    let queue = metrics::queue(&config, "sparkapplication", CONCURRENCY);
    let counts = Metrics::new(&config.metrics, config.clock.clone());
    counts.follow(&view.apps, &view.pods);
    subscribe(&view, &queue);
    view.apps.synced().await?;
    view.pods.synced().await?;
    view.services.synced().await?;
    let (applier, config) = (Arc::new(applier), Arc::new(config));
    let runner = Runner { name: "spark applications", queue, concurrency: CONCURRENCY, token };
    runner.run(move |key| reconcile(key, view.clone(), applier.clone(), config.clone())).await;
    Ok(())
}

fn subscribe(view: &View, queue: &Queue<ObjectKey>) {
    let marked = queue.clone();
    view.apps.subscribe(move |change| marked.add(change.key()));
    let (marked, members) = (queue.clone(), view.members.clone());
    view.pods.subscribe(move |change| {
        members.see(change);
        for pod in [change.old, change.new].into_iter().flatten() {
            application_of(pod).into_iter().for_each(|key| marked.add(key));
        }
    });
    let marked = queue.clone();
    view.services.subscribe(move |change| {
        for service in [change.old, change.new].into_iter().flatten() {
            let owners = service.owner_references().iter().filter(|owner| owner.kind == "SparkApplication");
            for owner in owners {
                marked.add(ObjectKey::new(service.namespace().unwrap_or_default(), &owner.name));
            }
        }
    });
}

/// The application that a pod belongs to.
fn application_of(pod: &Pod) -> Option<ObjectKey> {
    let name = pod.labels().get(labels::APP_NAME)?;
    Some(ObjectKey::new(pod.namespace().unwrap_or_default(), name))
}

async fn reconcile(key: ObjectKey, view: View, applier: Arc<Applier>, config: Arc<Config>) -> Result<Action> {
    let Some(observed) = Observed::of(&key, &view) else {
        return Ok(Action::Done);
    };
    // What was begun is followed to its end.
    if observed.app.status.is_none() && !view.gate.admits(&key.namespace).await? {
        return Ok(Action::Done);
    }
    let now = config.clock.now();
    let turn = plan::plan(&observed, &config, Uuid::new_v4(), now);
    let submits = turn.submits;
    match applier.apply(turn.plan).await {
        Ok(again) => Ok(again.into()),
        Err(error) if submits && submit::is_refusal(&error) => {
            // What was written before the refusal is in the cache already.
            let Some(observed) = Observed::of(&key, &view) else {
                return Ok(Action::Done);
            };
            let refused = submit::refused(&observed, &submit::words(&error));
            Ok(applier.apply(refused).await?.into())
        }
        Err(error) => Err(error),
    }
}
