//! What objects name is there: namespaces, accounts, maps, claims, roles, services, templates, policies. Pure.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Fault, Seen, pods};

/// Namespaces that every cluster has, or that Argo CD brings along.
const NAMESPACES: [&str; 3] = ["default", "kube-system", "argocd"];
/// Cluster roles that every cluster has.
const ROLES: [&str; 4] = ["cluster-admin", "admin", "edit", "view"];
/// Where containers take values of their environment from.
const KEYS: [(&str, &str); 2] = [("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")];
/// Where they take all of it from.
const WHOLE: [(&str, &str); 2] = [("configMapRef", "ConfigMap"), ("secretRef", "Secret")];

/// What there is: kind, namespace and name.
struct Known(BTreeSet<(String, String, String)>);

impl Known {
    fn has(&self, kind: &str, namespace: &str, name: &str) -> bool {
        let usual = match kind {
            "Namespace" => NAMESPACES.contains(&name),
            "ServiceAccount" => name == "default",
            "ClusterRole" => ROLES.contains(&name) || name.starts_with("system:"),
            "ConfigMap" => name == "kube-root-ca.crt",
            "PriorityClass" => name.starts_with("system-"),
            _ => false,
        };
        usual || self.0.contains(&(kind.to_owned(), namespace.to_owned(), name.to_owned()))
    }
}

/// What is named and not there.
pub(super) fn check(all: &[Seen<'_>]) -> Vec<Fault> {
    let known = all.iter().map(|one| {
        let name = one.object.name();
        (name.kind, name.namespace, name.name)
    });
    let known = Known(known.collect());
    all.iter().flat_map(|one| of(one, all, &known)).collect()
}

fn of(seen: &Seen<'_>, all: &[Seen<'_>], known: &Known) -> Vec<Fault> {
    let value = &seen.object.value;
    let namespace = seen.namespace();
    let mut faults = Vec::new();
    let mut want = |field: String, kind: &str, within: &str, name: &str| {
        if !known.has(kind, within, name) && !name.contains("{{") {
            let place = if within.is_empty() { String::new() } else { format!(" in {within}") };
            faults.push(seen.fault(&field, "resolved", format!("there is no {kind} {name}{place}")));
        }
    };
    if !namespace.is_empty() {
        want("metadata.namespace".to_owned(), "Namespace", "", namespace);
    }
    for pod in pods::of(value) {
        if let Some((field, account)) = &pod.account {
            want(field.clone(), "ServiceAccount", namespace, account);
        }
        if let Some(class) = pod.fields["priorityClassName"].as_str() {
            want(format!("{}.priorityClassName", pod.path), "PriorityClass", "", class);
        }
        for (field, kind, name) in in_volumes(&pod.volumes.0, pod.volumes.1) {
            want(field, kind, namespace, name);
        }
        for (path, container) in pod.containers() {
            for (field, kind, name) in in_environment(&path, container) {
                want(field, kind, namespace, name);
            }
        }
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match seen.kind() {
        "RoleBinding" | "ClusterRoleBinding" => {
            let role = &value["roleRef"];
            let within = if role["kind"] == "Role" { namespace } else { "" };
            want("roleRef.name".to_owned(), &text(&role["kind"]), within, &text(&role["name"]));
            for (index, subject) in value["subjects"].as_array().into_iter().flatten().enumerate() {
                if subject["kind"] == "ServiceAccount" {
                    let field = format!("subjects[{index}].name");
                    want(field, "ServiceAccount", &text(&subject["namespace"]), &text(&subject["name"]));
                }
            }
        }
        "ValidatingAdmissionPolicyBinding" => {
            let policy = text(&value["spec"]["policyName"]);
            want("spec.policyName".to_owned(), "ValidatingAdmissionPolicy", "", &policy);
        }
        "Ingress" => {
            for (field, backend) in backends(&value["spec"]) {
                let service = text(&backend["service"]["name"]);
                want(format!("{field}.service.name"), "Service", namespace, &service);
            }
            faults.extend(ports(seen, all));
        }
        "Service" => faults.extend(selected(seen, all)),
        "Workflow" | "WorkflowTemplate" | "CronWorkflow" => {
            let (path, spec) = if seen.kind() == "CronWorkflow" {
                ("spec.workflowSpec", &value["spec"]["workflowSpec"])
            } else {
                ("spec", &value["spec"])
            };
            if let Some(name) = spec["workflowTemplateRef"]["name"].as_str() {
                let wide = spec["workflowTemplateRef"]["clusterScope"] == true;
                let (kind, within) =
                    if wide { ("ClusterWorkflowTemplate", "") } else { ("WorkflowTemplate", namespace) };
                want(format!("{path}.workflowTemplateRef.name"), kind, within, name);
            }
            for (index, template) in spec["templates"].as_array().into_iter().flatten().enumerate() {
                let Some(made) = super::rights::made(template) else { continue };
                let field = format!("{path}.templates[{index}].resource.manifest");
                let within = made["metadata"]["namespace"].as_str().unwrap_or(namespace).to_owned();
                for account in
                    pods::of(&made).into_iter().filter_map(|pod| pod.account.map(|(_, name)| name.to_owned()))
                {
                    want(field.clone(), "ServiceAccount", &within, &account);
                }
            }
        }
        _ => {}
    }
    faults
}

/// Maps, secrets and claims that volumes name.
fn in_volumes<'a>(path: &str, volumes: &'a Value) -> Vec<(String, &'static str, &'a str)> {
    let mut found = Vec::new();
    for (index, volume) in volumes.as_array().into_iter().flatten().enumerate() {
        let path = format!("{path}[{index}]");
        found.extend(source(&path, volume));
        for (index, one) in volume["projected"]["sources"].as_array().into_iter().flatten().enumerate() {
            for (field, kind) in [("configMap", "ConfigMap"), ("secret", "Secret")] {
                let name = one[field]["name"].as_str().filter(|_| one[field]["optional"] != true);
                found.extend(name.map(|name| (format!("{path}.projected.sources[{index}].{field}.name"), kind, name)));
            }
        }
    }
    found
}

fn source<'a>(path: &str, volume: &'a Value) -> Vec<(String, &'static str, &'a str)> {
    let named = [
        ("configMap", "name", "ConfigMap"),
        ("secret", "secretName", "Secret"),
        ("persistentVolumeClaim", "claimName", "PersistentVolumeClaim"),
    ];
    let found = named.into_iter().filter_map(|(of, field, kind)| {
        let name = volume[of][field].as_str().filter(|_| volume[of]["optional"] != true)?;
        Some((format!("{path}.{of}.{field}"), kind, name))
    });
    found.collect()
}

/// Maps and secrets that an environment is taken from.
fn in_environment<'a>(path: &str, container: &'a Value) -> Vec<(String, &'static str, &'a str)> {
    let mut found = Vec::new();
    for (list, inner, kinds) in [("env", "valueFrom", KEYS), ("envFrom", "", WHOLE)] {
        for (index, one) in container[list].as_array().into_iter().flatten().enumerate() {
            let from = if inner.is_empty() { one } else { &one[inner] };
            for (field, kind) in kinds {
                let name = from[field]["name"].as_str().filter(|_| from[field]["optional"] != true);
                let dot = if inner.is_empty() { String::new() } else { format!("{inner}.") };
                found.extend(name.map(|name| (format!("{path}.{list}[{index}].{dot}{field}.name"), kind, name)));
            }
        }
    }
    found
}

/// The backends of an Ingress.
fn backends(spec: &Value) -> Vec<(String, &Value)> {
    let mut found: Vec<(String, &Value)> = Vec::new();
    if spec["defaultBackend"].is_object() {
        found.push(("spec.defaultBackend".to_owned(), &spec["defaultBackend"]));
    }
    for (rule, one) in spec["rules"].as_array().into_iter().flatten().enumerate() {
        for (path, one) in one["http"]["paths"].as_array().into_iter().flatten().enumerate() {
            found.push((format!("spec.rules[{rule}].http.paths[{path}].backend"), &one["backend"]));
        }
    }
    found
}

/// Ports of services that an Ingress names and that are not theirs.
fn ports(seen: &Seen<'_>, all: &[Seen<'_>]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (field, backend) in backends(&seen.object.value["spec"]) {
        let wanted = &backend["service"]["port"];
        let service = all.iter().find(|one| {
            one.kind() == "Service"
                && one.namespace() == seen.namespace()
                && one.object.value["metadata"]["name"] == backend["service"]["name"]
        });
        let Some(service) = service else { continue };
        let mut ports = service.object.value["spec"]["ports"].as_array().into_iter().flatten();
        let same = |port: &Value| {
            let by_name = wanted["name"].is_string() && port["name"] == wanted["name"];
            by_name || (wanted["number"].is_number() && port["port"] == wanted["number"])
        };
        if !ports.any(same) {
            let name = service.object.name().name;
            let which = wanted["name"].as_str().map_or_else(|| wanted["number"].to_string(), str::to_owned);
            let message = format!("the Service {name} has no port {which}");
            let part = if wanted["name"].is_string() { "name" } else { "number" };
            faults.push(seen.fault(&format!("{field}.service.port.{part}"), "resolved", message));
        }
    }
    faults
}

/// A service that selects pods which nothing here makes.
fn selected(seen: &Seen<'_>, all: &[Seen<'_>]) -> Vec<Fault> {
    let Some(selector) = seen.object.value["spec"]["selector"].as_object().filter(|all| !all.is_empty()) else {
        return Vec::new();
    };
    let fits = |labels: &Value| selector.iter().all(|(key, value)| labels[key] == *value);
    let mut labels = all.iter().filter(|one| one.namespace() == seen.namespace()).map(|one| match one.kind() {
        "Pod" => &one.object.value["metadata"]["labels"],
        _ => &one.object.value["spec"]["template"]["metadata"]["labels"],
    });
    if labels.any(fits) {
        return Vec::new();
    }
    vec![seen.fault("spec.selector", "resolved", "no pod that is made here has the labels that it selects".to_owned())]
}
