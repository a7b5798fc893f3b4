//! The scheduler: gives each pod a node, or says why there is none. The loop; choices are made in `verdict`. A pod that waits
//! is looked at again whenever a node, a pod or a claim changes, never by a timer.

pub(crate) mod affinity;
pub(crate) mod claims;
pub(crate) mod demand;
mod neighbours;
pub(crate) mod preempt;
mod spread;
mod steps;
pub(crate) mod verdict;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, Node, PersistentVolumeClaim, Pod};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::ResourceExt;
use serde_json::json;
use tinderbox_client::{Applier, Cache, Change, ObjectKey, Plan, Queue, Result, Runner, Step, runner::Action};

use self::claims::Claims;
use self::preempt::{Preemption, nominated, preempt, priority};
use self::verdict::{Complaint, Hall, Seat, Verdict};
use crate::context::Context;
use crate::meta::is_deleting;
use crate::pods::{created, is_over};

const NAME: &str = "default-scheduler";

#[derive(Clone)]
struct World {
    pods: Cache<Pod>,
    nodes: Cache<Node>,
    claims: Cache<PersistentVolumeClaim>,
    classes: Cache<StorageClass>,
    namespaces: Cache<Namespace>,
    budgets: Cache<PodDisruptionBudget>,
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
            namespaces: context.caches.get(),
            budgets: context.caches.get(),
            assumed: Arc::default(),
            applier: context.applier("kube-scheduler", NAME),
        };
        let queue = Queue::new(context.clock.clone());
        subscribe(&world, &queue);
        world.nodes.synced().await?;
        world.pods.synced().await?;
        world.claims.synced().await?;
        world.classes.synced().await?;
        world.namespaces.synced().await?;
        world.budgets.synced().await?;
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
    let plan = match claims {
        Claims::Missing(reason) => {
            let reason = verdict::blameless(world.nodes.list().len(), &reason);
            steps::stay(&pod, &reason, nominated(&pod), now)
        }
        Claims::Bound => match choose(&world, &pod, &uid, true) {
            Ok(node) => steps::bind(&pod, &node),
            Err(wait) => wait.plan(&world, &pod, now),
        },
        Claims::Waiting(waiting) => match choose(&world, &pod, &uid, false) {
            Ok(node) => select_node(&waiting, &node),
            Err(wait) => wait.plan(&world, &pod, now),
        },
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

/// Tells claims that wait for their first pod where it goes.
fn select_node(claims: &[PersistentVolumeClaim], node: &str) -> Plan {
    let mut plan = Plan::default();
    let selected = |claim: &PersistentVolumeClaim| claim.annotations().get(claims::SELECTED_NODE).cloned();
    for claim in claims.iter().filter(|claim| selected(claim).as_deref() != Some(node)) {
        let annotations = json!({claims::SELECTED_NODE: node});
        plan.push(Step::merge(claim, json!({"metadata": {"annotations": annotations}})));
    }
    plan
}

/// A pod that has to wait, and the hall that it was refused in.
struct Wait {
    complaint: Complaint,
    hall: Hall,
}

impl Wait {
    /// Makes room by removing pods that matter less, or says why the pod waits.
    fn plan(&self, world: &World, pod: &Pod, now: Timestamp) -> Plan {
        let preemption = preempt(pod, &self.hall, &world.budgets.list());
        let words = self.complaint.words(&preemption);
        match &preemption {
            Preemption::Victims(node, victims) => steps::replace(pod, node, victims, &words, now),
            Preemption::Barred(_) => steps::stay(pod, &words, nominated(pod), now),
            Preemption::Useless => steps::stay(pod, &words, None, now),
        }
    }
}

/// Decides, and holds the place until the watch shows the pod there.
fn choose(world: &World, pod: &Pod, uid: &str, hold: bool) -> std::result::Result<String, Box<Wait>> {
    let mut assumed = world.assumed.lock().unwrap_or_else(PoisonError::into_inner);
    let seats = seats(&world.nodes.list(), &world.pods.list(), &assumed, pod);
    let hall = Hall { seats, namespaces: world.namespaces.list() };
    match verdict::decide(pod, &hall) {
        Verdict::Fits(node) => {
            if hold {
                assumed.insert(uid.to_owned(), node.clone());
            }
            Ok(node)
        }
        Verdict::Stays(complaint) => Err(Box::new(Wait { complaint, hall })),
    }
}

/// The nodes with their pods; pods that wait for a node where they preempted others are there for those that matter less.
fn seats(nodes: &[Arc<Node>], pods: &[Arc<Pod>], assumed: &HashMap<String, String>, but: &Pod) -> Vec<Seat> {
    let mut seats: Vec<Seat> = nodes.iter().filter(|node| !is_deleting(&***node)).cloned().map(Seat::new).collect();
    let names: HashMap<String, usize> = seats.iter().enumerate().map(|(at, seat)| (seat.node.name_any(), at)).collect();
    let mut seen = HashSet::new();
    let reserved = |pod: &Pod| nominated(pod).filter(|_| priority(pod) >= priority(but)).map(str::to_owned);
    for pod in pods.iter().filter(|pod| !is_over(pod)) {
        let uid = pod.uid().unwrap_or_default();
        if but.uid().as_deref() == Some(&uid) || !seen.insert(uid.clone()) {
            continue;
        }
        let node = node_of(pod).map(str::to_owned).or_else(|| assumed.get(&uid).cloned()).or_else(|| reserved(pod));
        if let Some(seat) = node.and_then(|node| names.get(&node)).and_then(|at| seats.get_mut(*at)) {
            seat.take(pod);
        }
    }
    seats
}
