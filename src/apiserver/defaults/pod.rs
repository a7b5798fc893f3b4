//! Defaults of pods and of the pod templates of workloads.
//! Upstream rule: k8s.io/kubernetes `pkg/apis/core/v1/defaults.go`.

use serde_json::{Map, Value, json};
use tinderbox_api::quantity::Quantity;

use super::{fill, volume};

const CONTAINER_LISTS: [&str; 2] = ["containers", "initContainers"];

/// A pod: all that a template gets, and what only a real pod gets.
pub(super) fn pod(pod: &mut Value) {
    let spec = fill::object(pod, "spec");
    pod_spec(spec);
    for list in CONTAINER_LISTS {
        for container in fill::items(spec, list) {
            requests_from_limits(container);
        }
    }
    fill::value(spec, "enableServiceLinks", true);
    if spec["hostNetwork"] == true {
        for list in CONTAINER_LISTS {
            for container in fill::items(spec, list) {
                for port in fill::items(container, "ports") {
                    let own = port["containerPort"].clone();
                    fill::number(port, "hostPort", own.as_i64().unwrap_or(0));
                }
            }
        }
    }
    let class = qos_class(spec);
    let status = fill::object(pod, "status");
    fill::text(status, "phase", "Pending");
    fill::text(status, "qosClass", class);
}

/// A pod template.
pub(super) fn template(template: &mut Value) {
    fill::object(template, "metadata");
    pod_spec(fill::object(template, "spec"));
}

fn pod_spec(spec: &mut Value) {
    fill::text(spec, "dnsPolicy", "ClusterFirst");
    fill::text(spec, "restartPolicy", "Always");
    fill::object(spec, "securityContext");
    fill::value(spec, "terminationGracePeriodSeconds", 30);
    fill::text(spec, "schedulerName", "default-scheduler");
    accounts(spec);
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        for container in fill::items(spec, list) {
            self::container(container);
        }
    }
    for volume in fill::items(spec, "volumes") {
        volume::volume(volume);
    }
}

/// The account's name stands in two fields, of which one is deprecated.
fn accounts(spec: &mut Value) {
    let name = match fill::string(spec, "serviceAccountName") {
        "" => fill::string(spec, "serviceAccount").to_owned(),
        name => name.to_owned(),
    };
    if !name.is_empty() {
        spec["serviceAccount"] = json!(name);
        spec["serviceAccountName"] = json!(name);
    }
}

fn container(container: &mut Value) {
    let policy = pull_policy(fill::string(container, "image"));
    fill::text(container, "imagePullPolicy", policy);
    fill::text(container, "terminationMessagePath", "/dev/termination-log");
    fill::text(container, "terminationMessagePolicy", "File");
    fill::object(container, "resources");
    for port in fill::items(container, "ports") {
        fill::text(port, "protocol", "TCP");
    }
    for env in fill::items(container, "env") {
        if let Some(from) = fill::present(env, "valueFrom")
            && let Some(field) = fill::present(from, "fieldRef")
        {
            fill::text(field, "apiVersion", "v1");
        }
        if let Some(from) = fill::present(env, "valueFrom")
            && let Some(field) = fill::present(from, "resourceFieldRef")
        {
            fill::value(field, "divisor", "0");
        }
        if let Some(from) = fill::present(env, "valueFrom")
            && let Some(field) = fill::present(from, "fileKeyRef")
        {
            fill::value(field, "optional", false);
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = fill::present(container, name) {
            self::probe(probe);
        }
    }
    if let Some(lifecycle) = fill::present(container, "lifecycle") {
        for name in ["postStart", "preStop"] {
            if let Some(hook) = fill::present(lifecycle, name) {
                http_get(hook);
            }
        }
    }
}

fn probe(probe: &mut Value) {
    fill::number(probe, "timeoutSeconds", 1);
    fill::number(probe, "periodSeconds", 10);
    fill::number(probe, "successThreshold", 1);
    fill::number(probe, "failureThreshold", 3);
    http_get(probe);
    if let Some(grpc) = fill::present(probe, "grpc") {
        fill::value(grpc, "service", "");
    }
}

fn http_get(handler: &mut Value) {
    if let Some(get) = fill::present(handler, "httpGet") {
        fill::text(get, "path", "/");
        fill::text(get, "scheme", "HTTP");
    }
}

/// `latest`, said or implied, is pulled always.
fn pull_policy(image: &str) -> &'static str {
    let repository = image.split('@').next().unwrap_or_default();
    let last = repository.rsplit('/').next().unwrap_or_default();
    let readable = !last.is_empty() && !last.split(':').next().unwrap_or_default().contains(|c: char| c.is_uppercase());
    match last.split_once(':') {
        Some((_, "latest")) if readable => "Always",
        None if readable && !image.contains('@') => "Always",
        _ => "IfNotPresent",
    }
}

fn requests_from_limits(container: &mut Value) {
    let Some(limits) = container["resources"].get("limits").and_then(Value::as_object).cloned() else { return };
    let requests = fill::object(&mut container["resources"], "requests");
    for (name, amount) in limits {
        fill::value(requests, &name, amount);
    }
}

/// Guaranteed: every container limits cpu and memory, and requests as much. BestEffort: none says anything of them.
fn qos_class(spec: &Value) -> &'static str {
    let empty = Map::new();
    let mut any = false;
    let mut guaranteed = true;
    for list in CONTAINER_LISTS {
        for container in spec[list].as_array().into_iter().flatten() {
            let of = |part: &str| container["resources"][part].as_object().unwrap_or(&empty).clone();
            let (limits, requests) = (of("limits"), of("requests"));
            for name in ["cpu", "memory"] {
                let amount = |from: &Map<String, Value>| {
                    let text = from.get(name).and_then(Value::as_str)?;
                    text.parse::<Quantity>().ok().filter(|amount| amount.milli_value() > 0)
                };
                let (limit, request) = (amount(&limits), amount(&requests));
                any |= limit.is_some() || request.is_some();
                guaranteed &= limit.is_some() && (request.is_none() || request == limit);
            }
        }
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}
