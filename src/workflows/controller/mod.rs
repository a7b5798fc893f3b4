//! Workflows: the loop that looks, operates and carries out. What is to be done is decided by [`crate::operate`], and by nobody else.

mod carry;
mod observe;
mod pods;
mod resources;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use k8s_openapi::api::core::v1::Pod;
use kube::{Client, ResourceExt};
use tinderbox_api::workflows::{ClusterWorkflowTemplate, Workflow, WorkflowTaskResult, WorkflowTemplate, labels};
use tinderbox_client::runner::Action;
use tinderbox_client::{Applier, Cache, Caches, ObjectKey, Queue, Result, Runner};
use tokio_util::sync::CancellationToken;

use crate::locks::Locks;
use crate::outlet::Report;
use crate::view::restore_locks;
use crate::{Config, kept, metrics};
use resources::Handle;

/// Workflows that are looked at side by side.
const CONCURRENCY: usize = 16;

/// What the loop looks at, and what it remembers between two looks: nothing of it is needed again after a restart.
#[derive(Clone)]
struct View {
    client: Client,
    workflows: Cache<Workflow>,
    pods: Cache<Pod>,
    templates: Cache<WorkflowTemplate>,
    cluster_templates: Option<Cache<ClusterWorkflowTemplate>>,
    results: Cache<WorkflowTaskResult>,
    locks: Arc<Mutex<Locks>>,
    /// Reports that were read from logs, by the uids of pods.
    logs: Arc<Mutex<HashMap<String, Report>>>,
    /// Objects that nodes asked for, by workflow and node.
    handles: Arc<Mutex<HashMap<(ObjectKey, String), Handle>>>,
}

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs the controller until cancelled.
pub(crate) async fn run(
    caches: Caches,
    applier: Applier,
    config: Config,
    whole: bool,
    token: CancellationToken,
) -> Result<()> {
    let view = View {
        client: caches.client().clone(),
        workflows: caches.get_within_shrunk(kept::shrink),
        pods: caches.get_within(),
        templates: caches.get_within(),
        cluster_templates: whole.then(|| caches.get()),
        results: caches.get_within(),
        locks: Arc::default(),
        logs: Arc::default(),
        handles: Arc::default(),
    };
    let queue = metrics::queue(&config);
    let operations = metrics::operations(&config.metrics);
    metrics::follow(&config, &view.workflows, &view.pods);
    subscribe(&view, &queue);
    view.workflows.synced().await?;
    view.pods.synced().await?;
    view.templates.synced().await?;
    view.results.synced().await?;
    if let Some(templates) = &view.cluster_templates {
        templates.synced().await?;
    }
    for workflow in view.workflows.list() {
        restore_locks(&mut hold(&view.locks), &workflow);
    }
    let (applier, again) = (Arc::new(applier), queue.clone());
    let runner = Runner { name: "workflows", queue, concurrency: CONCURRENCY, token };
    runner
        .run(move |key| {
            let (since, operations) = (Instant::now(), operations.clone());
            let operating = reconcile(key, view.clone(), applier.clone(), config.clone(), again.clone());
            async move {
                let outcome = operating.await;
                operations.observe(since.elapsed().as_secs_f64());
                outcome
            }
        })
        .await;
    Ok(())
}

fn subscribe(view: &View, queue: &Queue<ObjectKey>) {
    let marked = queue.clone();
    view.workflows.subscribe(move |change| marked.add(change.key()));
    let marked = queue.clone();
    view.pods.subscribe(move |change| {
        for pod in [change.old, change.new].into_iter().flatten() {
            if let Some(name) = pod.labels().get(labels::WORKFLOW) {
                marked.add(ObjectKey::new(pod.namespace().unwrap_or_default(), name));
            }
        }
    });
    let marked = queue.clone();
    view.results.subscribe(move |change| {
        if let Some(result) = change.new
            && let Some(name) = result.labels().get(labels::WORKFLOW)
        {
            marked.add(ObjectKey::new(result.namespace().unwrap_or_default(), name));
        }
    });
}

async fn reconcile(
    key: ObjectKey,
    view: View,
    applier: Arc<Applier>,
    config: Config,
    queue: Queue<ObjectKey>,
) -> Result<Action> {
    let Some(workflow) = view.workflows.get(&key) else {
        hold(&view.locks).release_all(&key.to_string());
        hold(&view.handles).retain(|(workflow, _), _| *workflow != key);
        wake(&view, &queue);
        return Ok(Action::Done);
    };
    let observed = view.observe(&workflow).await?;
    let now = config.clock.now();
    let turn = crate::operate(&workflow, &observed, &mut hold(&view.locks), now);
    wake(&view, &queue);
    let (again, asks) = (turn.again, !turn.requests.is_empty());
    view.carry_out(&workflow, &observed, turn, &applier).await?;
    if asks {
        // What became of what was asked for is seen by the next look.
        queue.add(key);
    }
    Ok(again.into())
}

/// Has those looked at that wait for a lock that was given back.
fn wake(view: &View, queue: &Queue<ObjectKey>) {
    for name in hold(&view.locks).woken() {
        if let Some((namespace, name)) = name.split_once('/') {
            queue.add(ObjectKey::new(namespace, name));
        }
    }
}
