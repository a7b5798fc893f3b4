//! Which nodes are to go: those beyond the minimum whose pods, where they have any, fit elsewhere, once they have been so for as long as
//! their pool says. A node is cordoned and tainted, emptied by evictions, which heed disruption budgets, and then deleted. Pure.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod, Taint};
use kube::ResourceExt;
use serde_json::json;
use tinderbox_api::pools::{POOL, Pools};
use tinderbox_client::clock::after;
use tinderbox_client::{Note, Plan, Step};

use super::{AGAIN, LEAVING, Memory, Observed, at_status, is_leaving, is_of_daemon};
use crate::meta::{controller_of, is_deleting, selector};
use crate::nodes::ready;
use crate::scheduler::demand;
use crate::scheduler::verdict::{self, Hall};

/// A node that uses less than this may go (`--scale-down-utilization-threshold`).
const THRESHOLD: f64 = 0.5;
const DISABLED: &str = "cluster-autoscaler.kubernetes.io/scale-down-disabled";
const SAFE: &str = "cluster-autoscaler.kubernetes.io/safe-to-evict";

/// The plans for nodes that are to go, one each; and for nodes of pools that there are no more.
pub(super) fn plan(observed: &Observed, pools: &Pools, memory: &mut Memory, now: Timestamp) -> Vec<Plan> {
    let mut plans = Vec::new();
    let orphans = observed.nodes.iter().filter(|node| node.labels().contains_key(POOL) && pools.of(node).is_none());
    for node in orphans.filter(|node| !is_deleting(&***node)) {
        let mut plan = Plan::default();
        plan.push(Step::delete(&**node));
        plan.note(Note::normal(&**node, "ScaleDown", "node removed by cluster autoscaler"));
        plans.push(plan);
    }
    memory.idle.retain(|name, _| observed.nodes.iter().any(|node| node.name_any() == *name));
    let mut draining = false;
    for node in
        observed.nodes.iter().filter(|node| pools.of(node).is_some() && is_leaving(node) && !is_deleting(&***node))
    {
        draining |= pods_to_move(observed, node).next().is_some();
        plans.push(empty(observed, node, now));
    }
    for pool in pools.iter() {
        let staying: Vec<&Arc<Node>> = observed.of(pools, pool).filter(|node| !is_leaving(node)).collect();
        let mut spare = staying.len().saturating_sub(pool.min as usize);
        let mut appointment = Plan::default();
        for node in staying.iter().rev() {
            let name = node.name_any();
            let Some(load) = needless(observed, pools, node).filter(|_| spare > 0) else {
                memory.idle.remove(&name);
                continue;
            };
            let since = *memory.idle.entry(name).or_insert(now);
            let until = after(since, Duration::from_secs(pool.idle_seconds.into()));
            if now < until {
                appointment.at(until);
            } else if load.pods.is_empty() || !draining {
                draining |= !load.pods.is_empty();
                spare -= 1;
                plans.push(cordon(node, &load, now));
            } else {
                appointment.at(after(now, AGAIN));
            }
        }
        plans.push(appointment);
    }
    plans
}

/// What keeps a node that could go: pods, and the greatest share of what it offers that they asked for.
struct Load {
    share: f64,
    pods: Vec<Arc<Pod>>,
}

fn pods_to_move<'a>(observed: &'a Observed, node: &Node) -> impl Iterator<Item = Arc<Pod>> + use<'a> {
    let name = node.name_any();
    let on = move |pod: &&Arc<Pod>| pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) == Some(&*name);
    let pods = observed.pods.iter().filter(on).filter(|pod| !crate::pods::is_over(pod) && !is_of_daemon(pod));
    pods.cloned()
}

/// What is on a node that nobody would miss; `None` where somebody would.
fn needless(observed: &Observed, pools: &Pools, node: &Arc<Node>) -> Option<Load> {
    let kept = node.annotations().get(DISABLED).is_some_and(|word| word == "true");
    if kept || ready(node) != Some("True") {
        return None;
    }
    let pods: Vec<Arc<Pod>> = pods_to_move(observed, node).collect();
    let has = demand::of_node(node);
    let share = |name: &str| {
        let asked: i64 = pods.iter().map(|pod| demand::of_pod(pod).get(name)).sum();
        asked as f64 / has.get(name).max(1) as f64
    };
    let share = share("cpu").max(share("memory"));
    if pods.is_empty() {
        return Some(Load { share, pods });
    }
    let movable = share < THRESHOLD
        && pods.iter().all(|pod| is_movable(pod, observed))
        && fit_elsewhere(observed, pools, node, &pods);
    movable.then_some(Load { share, pods })
}

/// Whether a pod may be sent off: somebody makes another one, it keeps nothing here, and its budgets allow it.
fn is_movable(pod: &Pod, observed: &Observed) -> bool {
    match pod.annotations().get(SAFE).map(String::as_str) {
        Some("true") => return true,
        Some("false") => return false,
        _ => {}
    }
    let budgets = observed.budgets.iter().filter(|budget| budget.namespace() == pod.namespace());
    let mut covering = budgets.filter(|budget| {
        let wanted =
            budget.spec.as_ref().and_then(|spec| spec.selector.as_ref()).and_then(|wanted| selector(wanted).ok());
        wanted.is_some_and(|wanted| wanted.matches_map(pod.metadata.labels.as_ref()))
    });
    let allowed = covering.all(|budget| budget.status.as_ref().is_some_and(|status| status.disruptions_allowed > 0));
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let local = volumes.into_iter().any(|volume| volume.empty_dir.is_some() || volume.host_path.is_some());
    allowed && !local && controller_of(pod).is_some()
}

fn fit_elsewhere(observed: &Observed, pools: &Pools, node: &Node, pods: &[Arc<Pod>]) -> bool {
    let mut seats = observed.seats(pools);
    seats.retain(|seat| seat.node.name_any() != node.name_any() && ready(&seat.node) == Some("True"));
    let mut hall = Hall { seats, namespaces: observed.namespaces.clone() };
    pods.iter().all(|pod| {
        let mut homeless = (**pod).clone();
        homeless.spec.get_or_insert_default().node_name = None;
        let Some(at) = (0..hall.seats.len()).find(|at| verdict::fits(&homeless, &hall, *at)) else { return false };
        hall.seats[at].take(pod);
        true
    })
}

/// Keeps new pods away from a node that is to go.
fn cordon(node: &Node, load: &Load, now: Timestamp) -> Plan {
    let mut new = node.clone();
    let spec = new.spec.get_or_insert_default();
    spec.unschedulable = Some(true);
    spec.taints.get_or_insert_default().push(Taint {
        key: LEAVING.to_owned(),
        value: Some(now.as_second().to_string()),
        effect: "NoSchedule".to_owned(),
        time_added: None,
    });
    let mut plan = Plan::default();
    Step::update(node, &new).into_iter().for_each(|step| plan.push(step));
    let name = node.name_any();
    if load.pods.is_empty() {
        plan.note(at_status("ScaleDownEmpty", format!("Scale-down: removing empty node \"{name}\"")));
    } else {
        let names: Vec<String> = load.pods.iter().map(|pod| pod.name_any()).collect();
        let text = format!(
            "Scale-down: removing node {name}, utilization: {:.2}, pods to reschedule: {}",
            load.share,
            names.join(",")
        );
        plan.note(at_status("ScaleDown", text));
    }
    plan.note(Note::normal(node, "ScaleDown", "marked the node as toBeDeleted/unschedulable"));
    plan
}

/// Sends off the pods of a node that is to go; the last one gone, the node goes.
fn empty(observed: &Observed, node: &Node, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let mut left = false;
    for pod in pods_to_move(observed, node) {
        left = true;
        if is_deleting(&*pod) {
            continue;
        }
        let meta = json!({"name": pod.name_any(), "namespace": pod.namespace()});
        let body = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": meta});
        let text = "deleting pod for node scale down";
        let note = Note::normal(&*pod, "ScaleDown", text);
        plan.push(Step::post(&*pod, "eviction", body).told(&note.regarding, "ScaleDown", text));
    }
    if left {
        plan.at(after(now, AGAIN));
    } else {
        plan.push(Step::delete(node));
        plan.note(Note::normal(node, "ScaleDown", "node removed by cluster autoscaler"));
    }
    plan
}
