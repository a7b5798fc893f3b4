//! Why no node takes a pod: the scheduler's words, predicate by predicate, with the numbers behind them.

use std::str::FromStr as _;

use serde_json::Value;
use tinderbox_api::quantity::Quantity;

use super::{Cause, Kind, Subject, work};

/// The cause behind the scheduler's message about a pod.
pub(super) fn unschedulable(subject: Subject<'_>, message: &str) -> Cause {
    if message.contains("unbound immediate PersistentVolumeClaims") {
        return unbound(subject, message);
    }
    let reasons = message.split_once(": ").map_or(message, |(_, rest)| rest);
    let reasons = reasons.split(" preemption: ").next().unwrap_or(reasons).trim_end_matches(['.', ' ']);
    let mut cause = subject
        .cause(Kind::NoNodeFits, format!("no node takes the pod: {reasons}"))
        .shown_by([format!("{}: PodScheduled is False: {message}", subject.record.name)]);
    let spec = &subject.object()["spec"];
    for resource in insufficient(message) {
        let wanted = requested(spec, resource);
        let most = nodes(subject).filter_map(|node| amount(&node["status"]["allocatable"][resource])).max();
        let numbers = match most {
            Some(most) => format!("the pod asks for {wanted} {resource}, the largest node has {most}"),
            None => format!("the pod asks for {wanted} {resource}"),
        };
        cause = cause.shown_by([numbers]).mended_by(lower(subject, resource, most.is_some_and(|most| wanted > most)));
    }
    if let Some((_, rest)) = message.split_once("untolerated taint {") {
        let taint = rest.split('}').next().unwrap_or_default();
        let (key, value) = taint.split_once(':').unwrap_or((taint, ""));
        cause = cause.mended_by(format!(
            "tolerate the taint ({} tolerations: key {key}{}), or take it from the node",
            place(subject),
            match value.trim() {
                "" => String::new(),
                value => format!(", value {value}"),
            }
        ));
    }
    if message.contains("didn't match Pod's node affinity/selector") {
        let selector = spec["nodeSelector"].as_object().filter(|selector| !selector.is_empty());
        let wanted = selector.map(|selector| pairs(selector.iter()));
        let wanted = wanted.unwrap_or_else(|| "what the affinity asks for".to_owned());
        cause = cause.mended_by(format!(
            "give a node the labels {wanted}, or change nodeSelector or affinity ({})",
            place(subject)
        ));
    }
    if message.contains("were unschedulable") {
        let cordoned = nodes(subject).filter(|node| node["spec"]["unschedulable"] == true);
        let names: Vec<&str> = cordoned.filter_map(|node| node["metadata"]["name"].as_str()).collect();
        cause = cause.mended_by(format!(
            "kubectl uncordon {}",
            if names.is_empty() { "NODE".to_owned() } else { names.join(" ") }
        ));
    }
    if message.contains("didn't have free ports") {
        cause = cause.mended_by("leave out hostPort, or wait until the pod that holds the port is gone");
    }
    if message.contains("affinity rules") || message.contains("topology spread constraints") {
        cause =
            cause.mended_by(format!("loosen affinity or topologySpreadConstraints ({}), or add nodes", place(subject)));
    }
    if message.contains("Too many pods") {
        cause = cause.mended_by("end other pods, or add nodes");
    }
    if message.contains("no nodes available") {
        cause = cause.mended_by("start a node: the cluster has none that is ready");
    }
    cause
}

/// A claim of the pod's that has no volume.
fn unbound(subject: Subject<'_>, message: &str) -> Cause {
    let volumes = subject.object()["spec"]["volumes"].as_array().into_iter().flatten();
    let claims = volumes.filter_map(|volume| volume["persistentVolumeClaim"]["claimName"].as_str());
    let mut open = claims.filter_map(|name| subject.neighbour("PersistentVolumeClaim", name));
    let pending = open.find(|claim| claim.object()["status"]["phase"] != "Bound");
    let line = format!("{}: PodScheduled is False: {message}", subject.record.name);
    // The claim's own events say more.
    let own = pending.and_then(|record| {
        let uid = record.object()["metadata"]["uid"].as_str()?;
        work::causes(Subject { uid, record, known: subject.known }).pop()
    });
    own.unwrap_or_else(|| {
        let name = pending.map_or("", |claim| &claim.name.name);
        subject
            .cause(Kind::UnboundClaim, format!("the claim {name} of the pod has no volume"))
            .mended_by("name a storageClassName that exists, or make a PersistentVolume that fits the claim")
    })
    .shown_by([line])
}

/// Where the pod's fields come from.
fn place(subject: Subject<'_>) -> &'static str {
    match (subject.application().is_some(), subject.record.label("spark-role")) {
        (true, Some("executor")) => "spec.executor of the SparkApplication",
        (true, _) => "spec.driver of the SparkApplication",
        (false, _) => "the pod's spec",
    }
}

/// What makes a pod ask for less.
fn lower(subject: Subject<'_>, resource: &str, never: bool) -> String {
    let role = subject.record.label("spark-role").filter(|_| subject.application().is_some());
    let field = match (role, resource) {
        (Some(role), "cpu") => format!("spec.{role}.coreRequest"),
        (Some(role), "memory") => format!("spec.{role}.memory (and memoryOverhead, which comes on top)"),
        (_, resource) => format!("resources.requests.{resource}"),
    };
    let other = if never { "take larger nodes" } else { "wait until other pods end, or add nodes" };
    format!("lower {field}, or {other}")
}

fn insufficient(message: &str) -> Vec<&str> {
    let message = message.split(" preemption: ").next().unwrap_or(message);
    let parts = message.split("Insufficient ").skip(1);
    let mut all: Vec<&str> =
        parts.filter_map(|part| part.split([',', ' ']).next()).map(|name| name.trim_end_matches('.')).collect();
    all.dedup();
    all
}

fn nodes<'a>(subject: Subject<'a>) -> impl Iterator<Item = &'a Value> {
    subject.known.world.of_kind("Node").map(|(_, node)| node.object())
}

fn requested(spec: &Value, resource: &str) -> Quantity {
    let containers = spec["containers"].as_array().into_iter().flatten();
    let all = containers.filter_map(|container| amount(&container["resources"]["requests"][resource]));
    all.reduce(Quantity::plus).unwrap_or_else(|| Quantity::units(0))
}

fn amount(value: &Value) -> Option<Quantity> {
    Quantity::from_str(value.as_str()?).ok()
}

fn pairs<'a>(all: impl Iterator<Item = (&'a String, &'a Value)>) -> String {
    let pairs = all.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
    pairs.collect::<Vec<_>>().join(", ")
}
