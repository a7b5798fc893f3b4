//! Containers of every sort: names, images, ports, mounts, resources, probes, hooks.
//! Upstream rule: k8s.io/kubernetes `pkg/apis/core/validation/validation.go`.

use std::collections::HashSet;

use serde_json::{Value, json};
use tinderbox_api::names;

use super::common::{Errors, PROTOCOLS, entries, has, list, quantity, text};
use super::{env, ephemeral};
use crate::schema::Path;

/// Names of volumes that containers may mount.
pub(super) type Volumes<'a> = HashSet<&'a str>;

/// Which list of a pod a container is in.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Sort {
    Main,
    Init,
    Ephemeral,
}

/// All containers of a pod spec.
pub(super) fn containers(spec: &Value, volumes: &Volumes<'_>, path: &Path, errors: &mut Errors) {
    let host_network = spec["hostNetwork"] == true;
    if list(&spec["containers"]).next().is_none() {
        errors.required(path.field("containers"), "");
    }
    let mut names = HashSet::new();
    let mut ports = HashSet::new();
    for (field, sort) in [("containers", Sort::Main), ("initContainers", Sort::Init)] {
        for (index, container) in list(&spec[field]).enumerate() {
            let at = path.field(field).index(index);
            one(container, sort, volumes, &at, errors);
            let name = text(container, "name");
            if !name.is_empty() && !names.insert(name) {
                errors.duplicate(at.field("name"), &json!(name));
            }
            host_ports(container, host_network, sort, &mut ports, &at, errors);
        }
    }
}

pub(super) fn one(container: &Value, sort: Sort, volumes: &Volumes<'_>, path: &Path, errors: &mut Errors) {
    let name = text(container, "name");
    if name.is_empty() {
        errors.required(path.field("name"), "");
    } else {
        errors.each(&path.field("name"), name, names::dns_label(name));
    }
    let image = text(container, "image");
    if image.is_empty() {
        errors.required(path.field("image"), "");
    } else if image.trim() != image {
        errors.invalid(path.field("image"), &json!(image), "must not have leading or trailing whitespace");
    }
    let policies = ["Always", "IfNotPresent", "Never"];
    errors.choice(path.field("imagePullPolicy"), &container["imagePullPolicy"], &policies);
    let policies = ["File", "FallbackToLogsOnError"];
    errors.choice(path.field("terminationMessagePolicy"), &container["terminationMessagePolicy"], &policies);
    container_ports(&container["ports"], &path.field("ports"), errors);
    env::check(container, path, errors);
    mounts(container, volumes, &path.field("volumeMounts"), errors);
    resources(&container["resources"], &path.field("resources"), errors);
    security(&container["securityContext"], &path.field("securityContext"), errors);
    if has(container, "restartPolicy") {
        errors.choice(path.field("restartPolicy"), &container["restartPolicy"], &["Always", "Never", "OnFailure"]);
    }
    if sort == Sort::Ephemeral {
        return ephemeral::forbid(container, path, errors);
    }
    let sidecar = sort == Sort::Init && container["restartPolicy"] == "Always";
    if sort == Sort::Init && !sidecar {
        for field in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
            if has(container, field) {
                errors.forbidden(path.field(field), "may not be set for init containers without restartPolicy=Always");
            }
        }
        return;
    }
    for hook in ["postStart", "preStop"] {
        if has(&container["lifecycle"], hook) {
            handler(&container["lifecycle"][hook], &path.field("lifecycle").field(hook), errors);
        }
    }
    for (field, succeeds_once) in [("livenessProbe", true), ("readinessProbe", false), ("startupProbe", true)] {
        if has(container, field) {
            probe(&container[field], succeeds_once, &path.field(field), errors);
        }
    }
}

fn container_ports(ports: &Value, path: &Path, errors: &mut Errors) {
    let mut names = HashSet::new();
    for (index, port) in list(ports).enumerate() {
        let at = path.index(index);
        let name = text(port, "name");
        if !name.is_empty() {
            let wrong = super::common::port_name(name);
            if wrong.is_empty() && !names.insert(name) {
                errors.duplicate(at.field("name"), &json!(name));
            }
            errors.each(&at.field("name"), name, wrong);
        }
        match port["containerPort"].as_i64() {
            None | Some(0) => errors.required(at.field("containerPort"), ""),
            Some(_) => errors.between(at.field("containerPort"), &port["containerPort"], 1, 65535),
        }
        if port["hostPort"] != 0 {
            errors.between(at.field("hostPort"), &port["hostPort"], 1, 65535);
        }
        match text(port, "protocol") {
            "" => errors.required(at.field("protocol"), ""),
            _ => errors.choice(at.field("protocol"), &port["protocol"], &PROTOCOLS),
        }
    }
}

fn host_ports(
    container: &Value,
    host_network: bool,
    sort: Sort,
    seen: &mut HashSet<String>,
    path: &Path,
    errors: &mut Errors,
) {
    for (index, port) in list(&container["ports"]).enumerate() {
        let at = path.field("ports").index(index).field("hostPort");
        if host_network && port["hostPort"] != port["containerPort"] {
            errors.invalid(&at, &port["hostPort"], "must match `containerPort` when `hostNetwork` is true");
        }
        let Some(number) = port["hostPort"].as_i64().filter(|number| *number != 0) else { continue };
        let place = format!("{}/{}/{number}", text(port, "protocol"), text(port, "hostIP"));
        if sort == Sort::Main && !seen.insert(place.clone()) {
            errors.duplicate(&at, &json!(place));
        }
    }
}

fn mounts(container: &Value, volumes: &Volumes<'_>, path: &Path, errors: &mut Errors) {
    let mut paths = HashSet::new();
    for (index, mount) in list(&container["volumeMounts"]).enumerate() {
        let at = path.index(index);
        let name = text(mount, "name");
        if name.is_empty() {
            errors.required(at.field("name"), "");
        }
        if !volumes.contains(name) {
            errors.not_found(at.field("name"), &json!(name));
        }
        let mount_path = text(mount, "mountPath");
        if mount_path.is_empty() {
            errors.required(at.field("mountPath"), "");
        } else if !paths.insert(mount_path) {
            errors.invalid(at.field("mountPath"), &json!(mount_path), "must be unique");
        }
        // Upstream names these without the index.
        for field in ["subPath", "subPathExpr"] {
            if !text(mount, field).is_empty() {
                errors.inner_path(path.field(field), &mount[field]);
            }
        }
        if !text(mount, "subPath").is_empty() && !text(mount, "subPathExpr").is_empty() {
            let detail = "subPathExpr and subPath are mutually exclusive";
            errors.invalid(path.field("subPathExpr"), &mount["subPathExpr"], detail);
        }
    }
}

/// Amounts of a container; requests stay within limits.
pub(super) fn resources(resources: &Value, path: &Path, errors: &mut Errors) {
    let (limits, requests) = (&resources["limits"], &resources["requests"]);
    for (field, amounts) in [("limits", limits), ("requests", requests)] {
        for (name, amount) in entries(amounts) {
            let at = path.field(field).key(name);
            resource_name(name, &at, errors);
            not_below_zero(amount, &at, errors);
        }
    }
    let mut unlimited = false;
    for (name, request) in entries(requests) {
        let own = !name.contains('/') || name.contains("kubernetes.io/");
        let overcommit = own && !name.starts_with("hugepages-");
        match (quantity(request), quantity(&limits[name.as_str()])) {
            (Some(asked), Some(limit)) if !overcommit && asked != limit => {
                let detail = format!("must be equal to {name} limit of {limit}");
                errors.invalid(path.field("requests"), &json!(asked.to_string()), &detail);
            }
            (Some(asked), Some(limit)) if asked > limit => {
                let detail = format!("must be less than or equal to {name} limit of {limit}");
                errors.invalid(path.field("requests"), &json!(asked.to_string()), &detail);
            }
            (Some(_), None) => unlimited |= !overcommit,
            _ => {}
        }
    }
    if unlimited {
        errors.required(path.field("limits"), "Limit must be set for non overcommitable resources");
    }
}

fn resource_name(name: &str, path: &Path, errors: &mut Errors) {
    errors.each(path, name, names::qualified_name(name));
    let standard = matches!(name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-");
    if !name.contains('/') && !standard {
        errors.invalid(path, &json!(name), "must be a standard resource type or fully qualified");
        errors.invalid(path, &json!(name), "must be a standard resource for containers");
    }
}

pub(super) fn not_below_zero(amount: &Value, path: &Path, errors: &mut Errors) {
    if quantity(amount).is_some_and(|amount| amount.milli_value() < 0) {
        errors.invalid(path, amount, "must be greater than or equal to 0");
    }
}

fn security(context: &Value, path: &Path, errors: &mut Errors) {
    for field in ["runAsUser", "runAsGroup"] {
        errors.between(path.field(field), &context[field], 0, i64::from(i32::MAX));
    }
    if context["allowPrivilegeEscalation"] == false {
        let mut conflict = |detail: &str| errors.invalid(path, context, detail);
        if context["privileged"] == true {
            conflict("cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
        }
        if list(&context["capabilities"]["add"]).any(|capability| capability == "CAP_SYS_ADMIN") {
            conflict("cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN");
        }
    }
}

fn probe(probe: &Value, succeeds_once: bool, path: &Path, errors: &mut Errors) {
    handler(probe, path, errors);
    let numbers = ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"];
    errors.none_negative(probe, path, &numbers);
    if probe["terminationGracePeriodSeconds"].as_i64().is_some_and(|seconds| seconds <= 0) {
        let at = path.field("terminationGracePeriodSeconds");
        errors.invalid(at, &probe["terminationGracePeriodSeconds"], "must be greater than 0");
    }
    if succeeds_once && probe["successThreshold"].as_i64().is_some_and(|times| times != 1) {
        errors.invalid(path.field("successThreshold"), &probe["successThreshold"], "must be 1");
    }
}

/// Exactly one way to ask or act.
fn handler(handler: &Value, path: &Path, errors: &mut Errors) {
    let mut found = 0;
    for field in ["exec", "httpGet", "tcpSocket", "grpc", "sleep"] {
        if !has(handler, field) {
            continue;
        }
        found += 1;
        let at = path.field(field);
        if found > 1 {
            errors.forbidden(at, "may not specify more than 1 handler type");
            continue;
        }
        let inside = &handler[field];
        match field {
            "exec" if list(&inside["command"]).next().is_none() => {
                errors.required(at.field("command"), "");
            }
            "httpGet" => {
                if text(inside, "path").is_empty() {
                    errors.required(at.field("path"), "");
                }
                errors.port(&at.field("port"), &inside["port"]);
                errors.choice(at.field("scheme"), &inside["scheme"], &["HTTP", "HTTPS"]);
            }
            "tcpSocket" => errors.port(&at.field("port"), &inside["port"]),
            "grpc" => errors.port(&at.field("port"), &inside["port"]),
            _ => {}
        }
    }
    if found == 0 {
        errors.required(path, "must specify a handler type");
    }
}
