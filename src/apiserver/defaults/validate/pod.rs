//! Pods and pod templates: what a pod says besides its containers and volumes.
//! Upstream rule: `ValidatePodSpec` of k8s.io/kubernetes `pkg/apis/core/validation/validation.go`.

use std::collections::HashSet;

use serde_json::{Value, json};
use tinderbox_api::names;

use super::common::{Errors, has, list, text};
use super::{container, scheduling, volume};
use crate::schema::Path;

const SYSCTL: &str = r"must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
const NAMESERVERS_MAX: usize = 3;

/// A new pod.
pub(super) fn create(pod: &Value, errors: &mut Errors) {
    let path = Path::new("spec");
    spec(&pod["spec"], &path, errors);
    if list(&pod["spec"]["ephemeralContainers"]).next().is_some() {
        errors.forbidden(path.field("ephemeralContainers"), "cannot be set on create");
    }
}

/// A pod template; upstream names its labels without `metadata`.
pub(super) fn template(template: &Value, path: &Path, errors: &mut Errors) {
    errors.labels(&template["metadata"]["labels"], &path.field("labels"));
    errors.annotations(&template["metadata"]["annotations"], &path.field("annotations"));
    spec(&template["spec"], &path.field("spec"), errors);
}

pub(super) fn spec(spec: &Value, path: &Path, errors: &mut Errors) {
    let volumes = volume::volumes(spec, &path.field("volumes"), errors);
    container::containers(spec, &volumes, path, errors);
    errors.choice(path.field("restartPolicy"), &spec["restartPolicy"], &["Always", "OnFailure", "Never"]);
    dns(spec, path, errors);
    errors.labels(&spec["nodeSelector"], &path.field("nodeSelector"));
    security(&spec["securityContext"], &path.field("securityContext"), errors);
    scheduling::check(spec, path, errors);
    for field in ["serviceAccountName", "nodeName", "priorityClassName", "runtimeClassName"] {
        let name = text(spec, field);
        if !name.is_empty() {
            errors.each(&path.field(field), name, names::dns_subdomain(name));
        }
    }
    for field in ["hostname", "subdomain"] {
        let name = text(spec, field);
        if !name.is_empty() {
            errors.each(&path.field(field), name, names::dns_label(name));
        }
    }
    errors.between(path.field("activeDeadlineSeconds"), &spec["activeDeadlineSeconds"], 1, i64::from(i32::MAX));
    errors.choice(path.field("preemptionPolicy"), &spec["preemptionPolicy"], &["PreemptLowerPriority", "Never"]);
    if has(spec, "os") {
        errors.choice(path.field("os"), &spec["os"]["name"], &["linux", "windows"]);
    }
    for (index, alias) in list(&spec["hostAliases"]).enumerate() {
        let at = path.field("hostAliases").index(index);
        errors.ip(&at.field("ip"), &alias["ip"]);
        for (index, name) in list(&alias["hostnames"]).filter_map(Value::as_str).enumerate() {
            errors.each(&at.field("hostnames").index(index), name, names::dns_subdomain(name));
        }
    }
    for (index, gate) in list(&spec["readinessGates"]).enumerate() {
        let kind = text(gate, "conditionType");
        let at = path.field("readinessGates").index(index).field("conditionType");
        errors.each(&at, kind, names::qualified_name(kind));
    }
    let mut gates = HashSet::new();
    for (index, gate) in list(&spec["schedulingGates"]).enumerate() {
        let name = text(gate, "name");
        let at = path.field("schedulingGates").index(index);
        errors.each(&at, name, names::qualified_name(name));
        if !gates.insert(name) {
            errors.duplicate(at, &json!(name));
        }
    }
}

fn dns(spec: &Value, path: &Path, errors: &mut Errors) {
    let policies = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    errors.choice(path.field("dnsPolicy"), &spec["dnsPolicy"], &policies);
    let (config, at) = (&spec["dnsConfig"], path.field("dnsConfig"));
    let servers = list(&config["nameservers"]).count();
    if spec["dnsPolicy"] == "None" {
        if config.is_null() {
            return errors.required(at, "must provide `dnsConfig` when `dnsPolicy` is None");
        }
        if servers == 0 {
            let detail = "must provide at least one DNS nameserver when `dnsPolicy` is None";
            return errors.required(at.field("nameservers"), detail);
        }
    }
    if servers > NAMESERVERS_MAX {
        let detail = format!("must not have more than {NAMESERVERS_MAX} nameservers");
        errors.invalid(at.field("nameservers"), &config["nameservers"], &detail);
    }
    for (index, server) in list(&config["nameservers"]).enumerate() {
        errors.ip(&at.field("nameservers").index(index), server);
    }
    for (index, search) in list(&config["searches"]).filter_map(Value::as_str).enumerate() {
        if search == "." {
            continue;
        }
        let plain = search.strip_suffix('.').unwrap_or(search).replace('_', "-");
        // Underscores are allowed in searches, and nowhere else.
        let wrong = names::dns_subdomain(&plain).into_iter().map(|detail| with_underscores(&detail));
        errors.each(&at.field("searches").index(index), search, wrong.collect());
    }
    for (index, option) in list(&config["options"]).enumerate() {
        if text(option, "name").is_empty() {
            errors.required(at.field("options").index(index), "must not be empty");
        }
    }
}

fn with_underscores(detail: &str) -> String {
    let plain = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
    let search = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*";
    detail.replace("'-' or '.', and must start", "'_', '-' or '.', and must start").replace(plain, search)
}

fn security(context: &Value, path: &Path, errors: &mut Errors) {
    let most = i64::from(i32::MAX);
    for field in ["fsGroup", "runAsUser", "runAsGroup"] {
        errors.between(path.field(field), &context[field], 0, most);
    }
    for (index, group) in list(&context["supplementalGroups"]).enumerate() {
        errors.between(path.field("supplementalGroups").index(index), group, 0, most);
    }
    let mut seen = HashSet::new();
    for (index, sysctl) in list(&context["sysctls"]).enumerate() {
        let at = path.field("sysctls").index(index).field("name");
        let name = text(sysctl, "name");
        let step = |step: &str| {
            let bytes = step.as_bytes();
            let edge = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            bytes.first().is_some_and(edge)
                && bytes.last().is_some_and(edge)
                && bytes.iter().all(|byte| edge(byte) || b"-_".contains(byte))
        };
        if name.is_empty() {
            errors.required(at, "");
        } else if name.len() > names::SUBDOMAIN_MAX || !name.split(['.', '/']).all(step) {
            errors.invalid(at, &json!(name), SYSCTL);
        } else if !seen.insert(name) {
            errors.duplicate(at, &json!(name));
        }
    }
}
