//! What a Prometheus wants done: its configuration and rules, its pods, and what is said of it and of the monitors. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{Resource, ResourceExt};
use tinderbox_api::monitoring::{
    Binding, GROUP, MonitorStatus, PodMonitor, Prometheus, PrometheusRule, PrometheusStatus, ServiceMonitor,
};
use tinderbox_client::{Note, Plan, Step};

use super::workload;
use crate::config::{self, Configuration, Discovery, Held, Rejected};
use crate::discovery::{Group, World};
use crate::rules;
use crate::select::{Namespaces, Selection};

/// Most pods of a Prometheus: further ones would have to be told apart by a label that each writes itself.
const REPLICAS_MAX: i32 = 1;

/// What there is.
pub(super) struct Seen {
    pub(super) prometheus: Arc<Prometheus>,
    pub(super) pods: Vec<PodMonitor>,
    pub(super) services: Vec<ServiceMonitor>,
    pub(super) rules: Vec<PrometheusRule>,
    pub(super) namespaces: Namespaces,
    pub(super) held: Held,
    /// How its targets are found, and where they are to be written down, what there is of them.
    pub(super) discovery: Discovery,
    pub(super) world: World,
    pub(super) set: Option<Arc<StatefulSet>>,
}

/// What it selects, and what that means.
struct Chosen<'a> {
    pods: Vec<&'a PodMonitor>,
    services: Vec<&'a ServiceMonitor>,
    configuration: Configuration,
    files: BTreeMap<String, String>,
    targets: BTreeMap<String, String>,
    rejected_rules: Vec<(&'a PrometheusRule, String)>,
}

/// Plans the next step of a Prometheus.
pub(super) fn plan(seen: &Seen, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let outcome = choose(seen).and_then(|chosen| {
        wanted(seen, &chosen, &mut plan).map_err(|error| error.to_string())?;
        Ok(chosen)
    });
    plan.then();
    let mut trouble = Vec::new();
    match &outcome {
        Ok(chosen) => {
            for monitor in &chosen.pods {
                let why = rejection(&chosen.configuration.rejected, "PodMonitor", *monitor);
                bind(seen, *monitor, monitor.status.as_ref(), why, &mut plan, now);
            }
            for monitor in &chosen.services {
                let why = rejection(&chosen.configuration.rejected, "ServiceMonitor", *monitor);
                bind(seen, *monitor, monitor.status.as_ref(), why, &mut plan, now);
            }
            for (rule, why) in &chosen.rejected_rules {
                plan.note(Note::warning(*rule, "InvalidConfiguration", why.clone()));
            }
            trouble.extend(
                chosen
                    .configuration
                    .rejected
                    .iter()
                    .map(|one| format!("{} {}/{}: {}", one.kind, one.namespace, one.name, one.why)),
            );
            trouble.extend(chosen.rejected_rules.iter().map(|(rule, why)| {
                format!("PrometheusRule {}/{}: {why}", rule.namespace().unwrap_or_default(), rule.name_any())
            }));
        }
        Err(why) => trouble.push(why.clone()),
    }
    let spec = &seen.prometheus.spec;
    if !spec.other.is_empty() {
        let names: Vec<&str> = spec.other.keys().map(String::as_str).collect();
        trouble.push(format!("not acted upon here: {}", names.join(", ")));
    }
    if spec.replicas.is_some_and(|replicas| replicas > REPLICAS_MAX) {
        trouble.push(format!("replicas: no more than {REPLICAS_MAX} is made here"));
    }
    let status = status(seen, &trouble, now);
    Step::status(&*seen.prometheus, seen.prometheus.status.as_ref(), &status)
        .into_iter()
        .for_each(|step| plan.push(step));
    plan.stages.retain(|stage| !stage.is_empty());
    plan
}

fn choose(seen: &Seen) -> Result<Chosen<'_>, String> {
    let (spec, own) = (&seen.prometheus.spec, seen.prometheus.namespace().unwrap_or_default());
    let selection = |objects, namespaces| Selection { objects, namespaces, own: &own };
    let pods =
        selection(&spec.pod_monitor_selector, &spec.pod_monitor_namespace_selector).of(&seen.pods, &seen.namespaces)?;
    let services = selection(&spec.service_monitor_selector, &spec.service_monitor_namespace_selector)
        .of(&seen.services, &seen.namespaces)?;
    let rules = selection(&spec.rule_selector, &spec.rule_namespace_selector).of(&seen.rules, &seen.namespaces)?;
    let configuration = config::configuration(&seen.prometheus, &pods, &services, seen.discovery, &seen.held)?;
    let targets = match seen.discovery {
        Discovery::Kubernetes => BTreeMap::new(),
        Discovery::Files => targets(seen, &pods, &services)?,
    };
    let (mut files, mut rejected_rules) = (BTreeMap::new(), Vec::new());
    for rule in rules {
        match rules::file(rule) {
            Ok((name, text)) => drop(files.insert(name, text)),
            Err(why) => rejected_rules.push((rule, why)),
        }
    }
    Ok(Chosen { pods, services, configuration, files, targets, rejected_rules })
}

/// The files of targets.
fn targets(
    seen: &Seen,
    pods: &[&PodMonitor],
    services: &[&ServiceMonitor],
) -> Result<BTreeMap<String, String>, String> {
    let text = |groups: Vec<Group>| serde_json::to_string_pretty(&groups).map_err(|error| error.to_string());
    let mut files = BTreeMap::new();
    for monitor in pods {
        let (namespace, name) = (monitor.namespace().unwrap_or_default(), monitor.name_any());
        let file = config::target_file("podMonitor", &namespace, &name);
        files.insert(
            file,
            text(seen.world.of_pods(&monitor.spec.selector, &monitor.spec.namespace_selector, &namespace)?)?,
        );
    }
    for monitor in services {
        let (namespace, name) = (monitor.namespace().unwrap_or_default(), monitor.name_any());
        // One whose role is none is told as rejected.
        let Ok(role) = config::role(monitor, &seen.prometheus) else { continue };
        let spec = &monitor.spec;
        let file = config::target_file("serviceMonitor", &namespace, &name);
        files.insert(file, text(seen.world.of_services(role, &spec.selector, &spec.namespace_selector, &namespace)?)?);
    }
    Ok(files)
}

/// How many pods there are to be.
fn replicas(prometheus: &Prometheus) -> i32 {
    prometheus.spec.replicas.unwrap_or(1).clamp(0, REPLICAS_MAX)
}

/// The objects that there must be; what the pods read before the pods.
fn wanted(seen: &Seen, chosen: &Chosen<'_>, plan: &mut Plan) -> Result<(), serde_json::Error> {
    let prometheus = &*seen.prometheus;
    let replicas = replicas(prometheus);
    let (service, set) = (workload::service(prometheus)?, workload::set(prometheus, replicas)?);
    plan.push(Step::apply(&workload::configuration(prometheus, &chosen.configuration.text)));
    plan.push(Step::apply(&workload::certificates(prometheus, &seen.held)));
    plan.push(Step::apply(&workload::rules(prometheus, chosen.files.clone())));
    plan.push(Step::apply(&workload::targets(prometheus, chosen.targets.clone())));
    plan.push(Step::apply(&service));
    plan.then();
    plan.push(Step::apply(&set));
    Ok(())
}

fn rejection<'a, K: ResourceExt>(rejected: &'a [Rejected], kind: &str, of: &K) -> Option<&'a str> {
    let here = |one: &&Rejected| {
        one.kind == kind && Some(&one.namespace) == of.namespace().as_ref() && one.name == of.name_any()
    };
    rejected.iter().find(here).map(|one| one.why.as_str())
}

/// Writes into a monitor whether this Prometheus accepts it, and says it when that has changed.
fn bind<K: Resource<DynamicType = ()>>(
    seen: &Seen,
    monitor: &K,
    have: Option<&MonitorStatus>,
    why: Option<&str>,
    plan: &mut Plan,
    now: Timestamp,
) {
    let (namespace, name) = (seen.prometheus.namespace().unwrap_or_default(), seen.prometheus.name_any());
    let ours = |one: &Binding| one.namespace == namespace && one.name == name;
    let mut status = have.cloned().unwrap_or_default();
    let before = status.bindings.iter().find(|one| ours(one)).and_then(|one| one.conditions.first()).cloned();
    status.bindings.retain(|one| !ours(one));
    let (state, reason) = if why.is_none() { ("True", "") } else { ("False", "InvalidConfiguration") };
    let accepted =
        condition("Accepted", state, reason, why.unwrap_or_default(), before.as_ref(), monitor.meta().generation, now);
    status.bindings.push(Binding {
        group: GROUP.to_owned(),
        resource: Prometheus::plural(&()).into_owned(),
        name,
        namespace,
        conditions: vec![accepted],
    });
    status.bindings.sort_by(|one, other| (&one.namespace, &one.name).cmp(&(&other.namespace, &other.name)));
    let step = Step::status(monitor, have, &status);
    if let (Some(why), true) = (why, step.is_some()) {
        plan.note(Note::warning(monitor, "InvalidConfiguration", why.to_owned()));
    }
    step.into_iter().for_each(|step| plan.push(step));
}

fn condition(
    kind: &str,
    state: &str,
    reason: &str,
    message: &str,
    before: Option<&Condition>,
    generation: Option<i64>,
    now: Timestamp,
) -> Condition {
    let since = before.filter(|before| before.status == state).map(|before| before.last_transition_time.clone());
    Condition {
        type_: kind.to_owned(),
        status: state.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        observed_generation: generation,
        last_transition_time: since.unwrap_or(Time(now)),
    }
}

fn status(seen: &Seen, trouble: &[String], now: Timestamp) -> PrometheusStatus {
    let have = seen.prometheus.status.as_ref();
    let before = |kind: &str| have.and_then(|status| status.conditions.iter().find(|one| one.type_ == kind));
    let of_set = seen.set.as_ref().and_then(|set| set.status.as_ref());
    let available = of_set.and_then(|status| status.available_replicas).unwrap_or_default();
    let there = of_set.map_or(0, |status| status.replicas);
    let wanted = replicas(&seen.prometheus);
    let generation = seen.prometheus.metadata.generation;
    let (is_there, why) = if available >= wanted { ("True", "") } else { ("False", "NoPodReady") };
    let (is_right, reason) = if trouble.is_empty() { ("True", "") } else { ("False", "InvalidConfiguration") };
    let told = trouble.join("; ");
    PrometheusStatus {
        replicas: Some(there),
        updated_replicas: Some(of_set.and_then(|status| status.updated_replicas).unwrap_or_default()),
        available_replicas: Some(available),
        unavailable_replicas: Some((there - available).max(0)),
        conditions: vec![
            condition("Available", is_there, why, "", before("Available"), generation, now),
            condition("Reconciled", is_right, reason, &told, before("Reconciled"), generation, now),
        ],
    }
}

#[cfg(test)]
mod tests;
