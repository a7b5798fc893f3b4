//! The scheduler: gives each pod a node, or says why there is none. The loop; choices are made in `verdict`. A pod that waits
//! is looked at again whenever a node, a pod or a claim changes, never by a timer.

pub(crate) mod affinity;
pub(crate) mod claims;
mod demand;
mod verdict;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, PersistentVolumeClaim, Pod, PodCondition};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use serde_json::json;
use tinderbox_client::events::reference;
use tinderbox_client::{Applier, Cache, Change, Note, ObjectKey, Plan, Queue, Result, Runner, Step, runner::Action};

use self::claims::Claims;
use self::verdict::{Seat, Verdict};
use crate::context::Context;
use crate::meta::is_deleting;
use crate::pods::{condition, created, is_over};

const NAME: &str = "default-scheduler";

#[derive(Clone)]
struct World {
    pods: Cache<Pod>,
    nodes: Cache<Node>,
    claims: Cache<PersistentVolumeClaim>,
    classes: Cache<StorageClass>,
    /// Pods by uid that were given a node and whose watch has not said so yet.
    assumed: Arc<Mutex<HashMap<String, String>>>,
    applier: Arc<Applier>,
}

/// Runs the scheduler.
pub(crate) fn run(context: Context) -> BoxFuture<'static, Result<()>> {
    async move {
        let world = World {
            pods: context.caches.get(),
            nodes: context.caches.get(),
            claims: context.caches.get(),
            classes: context.caches.get(),
            assumed: Arc::default(),
            applier: context.applier("kube-scheduler", NAME),
        };
        let queue = Queue::new(context.clock.clone());
        subscribe(&world, &queue);
        world.nodes.synced().await?;
        world.pods.synced().await?;
        world.claims.synced().await?;
        world.classes.synced().await?;
        let clock = context.clock.clone();
        let runner = Runner { name: "scheduler", queue, concurrency: 16, token: context.token.clone() };
        runner.run(move |key| reconcile(world.clone(), key, clock.now())).await;
        Ok(())
    }
    .boxed()
}

fn subscribe(world: &World, queue: &Queue<ObjectKey>) {
    let again = {
        let (queue, pods) = (queue.clone(), world.pods.clone());
        move || waiting(&pods).into_iter().for_each(|key| queue.add(key))
    };
    world.pods.subscribe({
        let (queue, again) = (queue.clone(), again.clone());
        let assumed = world.assumed.clone();
        move |change| {
            if let Some(pod) = change.new.filter(|pod| wants_node(pod)) {
                if change.old.is_none_or(|old| old.spec != pod.spec) {
                    queue.add(ObjectKey::of(&**pod));
                }
            } else if let Some(uid) = change.latest().and_then(|pod| pod.uid()) {
                assumed.lock().unwrap_or_else(PoisonError::into_inner).remove(&uid);
            }
            let occupies = |pod: Option<&Arc<Pod>>| pod.is_some_and(|pod| node_of(pod).is_some() && !is_over(pod));
            if occupies(change.old) && !occupies(change.new) {
                again();
            }
        }
    });
    world.nodes.subscribe({
        let again = again.clone();
        move |change: &Change<'_, Node>| {
            if change.old.map(|node| offer(node)) != change.new.map(|node| offer(node)) {
                again();
            }
        }
    });
    world.claims.subscribe({
        let again = again.clone();
        move |change| {
            let phase =
                |claim: &Arc<PersistentVolumeClaim>| claim.status.as_ref().and_then(|status| status.phase.clone());
            if change.old.map(phase) != change.new.map(phase) {
                again();
            }
        }
    });
    world.classes.subscribe(move |_| again());
}

/// What of a node can change a decision.
fn offer(node: &Node) -> impl PartialEq + use<> {
    let amounts = node.status.as_ref().and_then(|status| status.allocatable.clone());
    (node.spec.clone(), node.metadata.labels.clone(), amounts)
}

fn node_of(pod: &Pod) -> Option<&str> {
    let name = pod.spec.as_ref()?.node_name.as_deref()?;
    (!name.is_empty()).then_some(name)
}

fn wants_node(pod: &Pod) -> bool {
    let Some(spec) = pod.spec.as_ref() else {
        return false;
    };
    let ours = spec.scheduler_name.as_deref().is_none_or(|name| name == NAME);
    let gated = spec.scheduling_gates.as_ref().is_some_and(|gates| !gates.is_empty());
    ours && !gated && node_of(pod).is_none() && !is_over(pod) && !is_deleting(pod)
}

/// The pods that wait, most important and oldest first.
fn waiting(pods: &Cache<Pod>) -> Vec<ObjectKey> {
    let mut waiting: Vec<_> = pods.list().into_iter().filter(|pod| wants_node(pod)).collect();
    let priority = |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.priority).unwrap_or_default();
    waiting.sort_by_key(|pod| (std::cmp::Reverse(priority(pod)), created(&**pod)));
    waiting.iter().map(|pod| ObjectKey::of(&**pod)).collect()
}

async fn reconcile(world: World, key: ObjectKey, now: Timestamp) -> Result<Action> {
    let Some(pod) = world.pods.get(&key).filter(|pod| wants_node(pod)) else {
        return Ok(Action::Done);
    };
    let uid = pod.uid().unwrap_or_default();
    let claims = claims::look(
        &pod,
        |name| world.claims.get(&ObjectKey::new(&*key.namespace, name)).map(|claim| (*claim).clone()),
        |name| world.classes.get(&ObjectKey::cluster(name)).map(|class| (*class).clone()),
    );
    let verdict = match &claims {
        Claims::Missing(reason) => Verdict::Stays(verdict::blameless(world.nodes.list().len(), reason)),
        Claims::Bound => choose(&world, &pod, &uid, true),
        Claims::Waiting(_) => choose(&world, &pod, &uid, false),
    };
    let plan = match (verdict, claims) {
        (Verdict::Stays(reason), _) => stay(&pod, &reason, now),
        (Verdict::Fits(node), Claims::Waiting(waiting)) => {
            let mut plan = Plan::default();
            for claim in waiting.iter().filter(|claim| claim.annotations().get(claims::SELECTED_NODE) != Some(&node)) {
                let annotations = json!({claims::SELECTED_NODE: node});
                plan.push(Step::merge(claim, json!({"metadata": {"annotations": annotations}})));
            }
            plan
        }
        (Verdict::Fits(node), _) => bind(&pod, &node),
    };
    let outcome = world.applier.apply(plan).await;
    if outcome.is_err() {
        world.assumed.lock().unwrap_or_else(PoisonError::into_inner).remove(&uid);
    }
    match outcome {
        // Gone, or bound by someone else meanwhile.
        Err(error) if error.is_not_found() || error.is_conflict() => Ok(Action::Done),
        outcome => Ok(outcome?.into()),
    }
}

/// Decides, and holds the place until the watch shows the pod there.
fn choose(world: &World, pod: &Pod, uid: &str, hold: bool) -> Verdict {
    let mut assumed = world.assumed.lock().unwrap_or_else(PoisonError::into_inner);
    let pods = world.pods.list();
    let verdict = verdict::decide(pod, &seats(&world.nodes.list(), &pods, &assumed, uid));
    if let (Verdict::Fits(node), true) = (&verdict, hold) {
        assumed.insert(uid.to_owned(), node.clone());
    }
    verdict
}

fn seats(nodes: &[Arc<Node>], pods: &[Arc<Pod>], assumed: &HashMap<String, String>, but: &str) -> Vec<Seat> {
    let mut seats: Vec<Seat> = nodes.iter().filter(|node| !is_deleting(&***node)).cloned().map(Seat::new).collect();
    let names: HashMap<String, usize> = seats.iter().enumerate().map(|(at, seat)| (seat.node.name_any(), at)).collect();
    let mut seen = HashSet::new();
    for pod in pods.iter().filter(|pod| !is_over(pod)) {
        let uid = pod.uid().unwrap_or_default();
        if uid == but || !seen.insert(uid.clone()) {
            continue;
        }
        let node = node_of(pod).or_else(|| assumed.get(&uid).map(String::as_str));
        if let Some(seat) = node.and_then(|node| names.get(node)).and_then(|at| seats.get_mut(*at)) {
            seat.take(pod);
        }
    }
    seats
}

fn bind(pod: &Pod, node: &str) -> Plan {
    let (namespace, name) = (pod.namespace().unwrap_or_default(), pod.name_any());
    let body = json!({
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": name, "namespace": namespace, "uid": pod.uid()},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    });
    let mut plan = Plan::default();
    plan.push(Step::post(pod, "binding", body));
    let text = format!("Successfully assigned {namespace}/{name} to {node}");
    plan.note(Note::normal(pod, "Scheduled", text));
    plan
}

fn stay(pod: &Pod, reason: &str, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let known = condition(pod, "PodScheduled");
    if known.is_some_and(|known| known.status == "False" && known.message.as_deref() == Some(reason)) {
        return plan;
    }
    let kept = known.filter(|known| known.status == "False");
    let since = kept.and_then(|known| known.last_transition_time.clone());
    let mut status = pod.status.clone().unwrap_or_default();
    let conditions = status.conditions.get_or_insert_default();
    conditions.retain(|condition| condition.type_ != "PodScheduled");
    conditions.push(PodCondition {
        type_: "PodScheduled".to_owned(),
        status: "False".to_owned(),
        reason: Some("Unschedulable".to_owned()),
        message: Some(reason.to_owned()),
        last_transition_time: since.or(Some(Time(now))),
        ..PodCondition::default()
    });
    Step::status(pod, pod.status.as_ref(), &status).into_iter().for_each(|step| plan.push(step));
    let mut note = Note::warning(pod, "FailedScheduling", reason);
    note.regarding = reference(pod);
    plan.note(note);
    plan
}
