//! What objects cost a resource quota: which amounts an object uses, and which quotas it falls under. Pure: the API server asks
//! before it stores an object, the controller afterwards.
//! Upstream rule: k8s.io/kubernetes `pkg/quota/v1/evaluator/core`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::quantity::Quantity;

/// Amounts by the names that quotas know them by.
pub type Usage = BTreeMap<String, Quantity>;

/// Kinds that are counted under their plain name too.
const ALIASES: [&str; 4] = ["configmaps", "replicationcontrollers", "resourcequotas", "secrets"];
const COMPUTE: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
/// What every container must say where a quota limits it.
const DEMANDED: [(&str, &str, &str); 6] = [
    ("cpu", "requests", "cpu"),
    ("limits.cpu", "limits", "cpu"),
    ("limits.memory", "limits", "memory"),
    ("memory", "requests", "memory"),
    ("requests.cpu", "requests", "cpu"),
    ("requests.memory", "requests", "memory"),
];

/// The name under which objects of a resource are counted: `count/deployments.apps`.
#[must_use]
pub fn count_name(group: &str, plural: &str) -> String {
    if group.is_empty() { format!("count/{plural}") } else { format!("count/{plural}.{group}") }
}

/// The names under which mere numbers of a resource's objects are limited.
#[must_use]
pub fn names(group: &str, plural: &str) -> Vec<String> {
    let alias = (group.is_empty() && ALIASES.contains(&plural)).then(|| plural.to_owned());
    alias.into_iter().chain([count_name(group, plural)]).collect()
}

/// What an object uses.
#[must_use]
pub fn usage(group: &str, plural: &str, object: &Value) -> Usage {
    let mut usage: Usage = names(group, plural).into_iter().map(|name| (name, Quantity::units(1))).collect();
    match (group, plural) {
        ("", "pods") if !is_over(object) => pod(object, &mut usage),
        ("", "services") => service(object, &mut usage),
        ("", "persistentvolumeclaims") => claim(object, &mut usage),
        _ => {}
    }
    usage
}

/// The sum of two usages.
pub fn add(sum: &mut Usage, more: &Usage) {
    for (name, amount) in more {
        let have = sum.entry(name.clone()).or_insert_with(|| zero(*amount));
        *have = have.plus(*amount);
    }
}

/// Nothing, written as another amount is.
fn zero(like: Quantity) -> Quantity {
    like.times(0)
}

fn is_over(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn amounts(value: &Value) -> Usage {
    let entries = value.as_object().into_iter().flatten();
    entries.filter_map(|(name, text)| Some((name.clone(), text.as_str()?.parse().ok()?))).collect()
}

fn pod(pod: &Value, usage: &mut Usage) {
    usage.insert("pods".to_owned(), Quantity::units(1));
    for (kind, compute_too) in [("requests", true), ("limits", false)] {
        for (name, amount) in of_pod(&pod["spec"], kind) {
            let compute = COMPUTE.contains(&name.as_str()) || name.starts_with("hugepages-");
            if compute && compute_too {
                usage.insert(name.clone(), amount);
            }
            if compute || compute_too {
                usage.insert(format!("{kind}.{name}"), amount);
            }
        }
    }
}

/// `requests` or `limits` of a whole pod: its containers and sidecars together, or an init container where that is more.
#[must_use]
pub fn of_pod(spec: &Value, kind: &str) -> Usage {
    let of = |container: &Value| amounts(&container["resources"][kind]);
    let raise = |most: &mut Usage, other: &Usage| {
        for (name, amount) in other {
            let have = most.entry(name.clone()).or_insert(*amount);
            *have = (*have).max(*amount);
        }
    };
    let mut main = Usage::new();
    items(&spec["containers"]).for_each(|container| add(&mut main, &of(container)));
    let (mut sidecars, mut start) = (Usage::new(), Usage::new());
    for container in items(&spec["initContainers"]) {
        let mut needs = of(container);
        if container["restartPolicy"] == "Always" {
            add(&mut sidecars, &needs);
            raise(&mut start, &sidecars);
        } else {
            add(&mut needs, &sidecars);
            raise(&mut start, &needs);
        }
    }
    add(&mut main, &sidecars);
    raise(&mut main, &start);
    main.extend(amounts(&spec["resources"][kind]));
    let overhead = amounts(&spec["overhead"]);
    let known: Usage = overhead.into_iter().filter(|(name, _)| kind == "requests" || main.contains_key(name)).collect();
    add(&mut main, &known);
    main
}

fn service(service: &Value, usage: &mut Usage) {
    let spec = &service["spec"];
    let one = Quantity::units(1);
    usage.insert("services".to_owned(), one);
    let ports = i64::try_from(items(&spec["ports"]).count()).unwrap_or(i64::MAX);
    match spec["type"].as_str() {
        Some("NodePort") => {
            usage.insert("services.nodeports".to_owned(), Quantity::units(ports));
        }
        Some("LoadBalancer") => {
            usage.insert("services.loadbalancers".to_owned(), one);
            let ports = if spec["allocateLoadBalancerNodePorts"] == false { 0 } else { ports };
            usage.insert("services.nodeports".to_owned(), Quantity::units(ports));
        }
        _ => {}
    }
}

fn claim(claim: &Value, usage: &mut Usage) {
    let spec = &claim["spec"];
    let class = spec["storageClassName"].as_str().filter(|class| !class.is_empty());
    let size = spec["resources"]["requests"]["storage"].as_str().and_then(|text| text.parse().ok());
    for prefix in [Some(String::new()), class.map(|class| format!("{class}.storageclass.storage.k8s.io/"))] {
        let Some(prefix) = prefix else { continue };
        usage.insert(format!("{prefix}persistentvolumeclaims"), Quantity::units(1));
        if let Some(size) = size {
            usage.insert(format!("{prefix}requests.storage"), size);
        }
    }
}

/// Whether an object falls under a quota: scopes are about pods alone.
#[must_use]
pub fn is_covered(quota: &Value, group: &str, plural: &str, object: &Value) -> bool {
    let spec = &quota["spec"];
    let plain = items(&spec["scopes"]).map(|scope| (scope.as_str().unwrap_or_default(), "Exists", &Value::Null));
    let selected = items(&spec["scopeSelector"]["matchExpressions"]).map(|one| {
        (one["scopeName"].as_str().unwrap_or_default(), one["operator"].as_str().unwrap_or_default(), &one["values"])
    });
    let is_pod = (group, plural) == ("", "pods");
    plain.chain(selected).all(|(scope, operator, values)| is_pod && is_in_scope(object, scope, operator, values))
}

fn is_in_scope(pod: &Value, scope: &str, operator: &str, values: &Value) -> bool {
    let spec = &pod["spec"];
    match scope {
        "Terminating" => spec["activeDeadlineSeconds"].as_i64().is_some_and(|seconds| seconds >= 0),
        "NotTerminating" => spec["activeDeadlineSeconds"].as_i64().is_none_or(|seconds| seconds < 0),
        "BestEffort" => is_best_effort(spec),
        "NotBestEffort" => !is_best_effort(spec),
        "PriorityClass" => {
            let class = spec["priorityClassName"].as_str().filter(|class| !class.is_empty());
            let listed = class.is_some_and(|class| items(values).any(|value| value == class));
            match operator {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => class.is_some(),
                "DoesNotExist" => class.is_none(),
                _ => false,
            }
        }
        "CrossNamespacePodAffinity" => crosses_namespaces(&spec["affinity"]),
        _ => false,
    }
}

fn is_best_effort(spec: &Value) -> bool {
    let containers = items(&spec["containers"]).chain(items(&spec["initContainers"]));
    let says = |container: &Value| {
        ["requests", "limits"].iter().any(|kind| {
            let amounts = amounts(&container["resources"][*kind]);
            ["cpu", "memory"].iter().any(|name| amounts.get(*name).is_some_and(|amount| amount.value() > 0))
        })
    };
    !containers.into_iter().any(says)
}

fn crosses_namespaces(affinity: &Value) -> bool {
    let sides = ["podAffinity", "podAntiAffinity"].map(|side| &affinity[side]);
    sides.iter().any(|side| {
        let required = items(&side["requiredDuringSchedulingIgnoredDuringExecution"]);
        let preferred = items(&side["preferredDuringSchedulingIgnoredDuringExecution"]);
        required
            .chain(preferred.map(|term| &term["podAffinityTerm"]))
            .any(|term| items(&term["namespaces"]).next().is_some() || term["namespaceSelector"].is_object())
    })
}

/// What a pod must say and does not, where a quota limits these amounts: `must specify cpu for: a,b; memory for: a`.
#[must_use]
pub fn unsaid(hard: &Value, pod: &Value) -> Option<String> {
    let mut silent: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let spec = &pod["spec"];
    for (name, kind, resource) in DEMANDED.into_iter().filter(|(name, ..)| hard.get(*name).is_some()) {
        for container in items(&spec["containers"]).chain(items(&spec["initContainers"])) {
            if container["resources"][kind].get(resource).is_none() {
                silent.entry(name).or_default().insert(container["name"].as_str().unwrap_or_default());
            }
        }
    }
    let words = silent
        .into_iter()
        .map(|(name, containers)| format!("{name} for: {}", containers.into_iter().collect::<Vec<_>>().join(",")));
    let words: Vec<String> = words.collect();
    (!words.is_empty()).then(|| format!("must specify {}", words.join("; ")))
}

#[cfg(test)]
mod tests;
