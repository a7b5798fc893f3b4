//! The downward API: fields of the pod and resources of its containers as text. Pure.
//! Upstream rule: k8s.io/kubernetes `pkg/fieldpath/fieldpath.go`, `pkg/api/v1/resource/helpers.go`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, ObjectFieldSelector, Pod, ResourceFieldSelector};
use tinderbox_api::quantity::Quantity;

use super::ConfigError;

/// What a pod's fields are read from: the object, and what the node has decided already.
#[derive(Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) pod: &'a Pod,
    pub(crate) pod_ip: Option<&'a str>,
    pub(crate) host_ip: &'a str,
    /// The node's own amounts, which stand in for limits that are not set.
    pub(crate) node_cpu_millis: i64,
    pub(crate) node_memory: i64,
}

/// The value of one field; labels and annotations as a whole become lines.
pub(crate) fn field(facts: &Facts<'_>, selector: &ObjectFieldSelector) -> Result<String, ConfigError> {
    let meta = &facts.pod.metadata;
    let spec = facts.pod.spec.as_ref();
    let path = selector.field_path.as_str();
    if let Some((map, key)) = subscript(path) {
        let found = match map {
            "metadata.labels" => &meta.labels,
            "metadata.annotations" => &meta.annotations,
            _ => return Err(unsupported(path)),
        };
        return Ok(found.as_ref().and_then(|m| m.get(key)).cloned().unwrap_or_default());
    }
    let text = |value: Option<&String>| value.cloned().unwrap_or_default();
    Ok(match path {
        "metadata.name" => text(meta.name.as_ref()),
        "metadata.namespace" => text(meta.namespace.as_ref()),
        "metadata.uid" => text(meta.uid.as_ref()),
        "metadata.labels" => lines(meta.labels.as_ref()),
        "metadata.annotations" => lines(meta.annotations.as_ref()),
        "spec.nodeName" => text(spec.and_then(|s| s.node_name.as_ref())),
        "spec.serviceAccountName" => text(spec.and_then(|s| s.service_account_name.as_ref())),
        "status.hostIP" | "status.hostIPs" => facts.host_ip.to_owned(),
        "status.podIP" | "status.podIPs" => facts.pod_ip.unwrap_or_default().to_owned(),
        _ => return Err(unsupported(path)),
    })
}

fn unsupported(path: &str) -> ConfigError {
    ConfigError(format!("unsupported fieldPath: {path}"))
}

/// `metadata.labels['key']` as (`metadata.labels`, `key`).
fn subscript(path: &str) -> Option<(&str, &str)> {
    let (map, rest) = path.split_once("['")?;
    Some((map, rest.strip_suffix("']")?))
}

fn lines(map: Option<&BTreeMap<String, String>>) -> String {
    let lines: Vec<_> = map.into_iter().flatten().map(|(key, value)| format!("{key}={}", quote(value))).collect();
    lines.join("\n")
}

/// Go's `%q`.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// An amount of a container's resources, divided and rounded up.
pub(crate) fn resource(
    facts: &Facts<'_>,
    selector: &ResourceFieldSelector,
    current: Option<&Container>,
) -> Result<String, ConfigError> {
    let spec = facts.pod.spec.as_ref();
    let container = match &selector.container_name {
        None => current,
        Some(name) => spec.and_then(|s| {
            let init = s.init_containers.iter().flatten();
            s.containers.iter().chain(init).find(|c| c.name == *name)
        }),
    };
    let container = container.ok_or_else(|| {
        let name = selector.container_name.as_deref().unwrap_or_default();
        ConfigError(format!("container {name} not found"))
    })?;
    let (kind, resource) = selector.resource.split_once('.').ok_or_else(|| unsupported_resource(&selector.resource))?;
    let resources = container.resources.as_ref();
    let amount = |list: Option<&BTreeMap<String, _>>| -> Option<Quantity> {
        let quantity: &k8s_openapi::apimachinery::pkg::api::resource::Quantity = list?.get(resource)?;
        quantity.0.parse().ok()
    };
    let set = match kind {
        "limits" => amount(resources.and_then(|r| r.limits.as_ref())),
        "requests" => amount(resources.and_then(|r| r.requests.as_ref())),
        _ => return Err(unsupported_resource(&selector.resource)),
    };
    let stand_in = |amount: Quantity| if kind == "limits" { amount } else { Quantity::units(0) };
    let value = set.unwrap_or_else(|| match resource {
        "cpu" => stand_in(Quantity::millis(facts.node_cpu_millis)),
        "memory" => stand_in(Quantity::bytes(facts.node_memory)),
        _ => Quantity::units(0),
    });
    let divisor: Option<Quantity> = selector.divisor.as_ref().and_then(|d| d.0.parse().ok());
    let divisor = divisor.filter(|d| d.milli_value() > 0);
    let (value, divisor) = match resource {
        "cpu" => (value.milli_value(), divisor.map_or(1000, Quantity::milli_value)),
        _ => (value.value(), divisor.map_or(1, Quantity::value)),
    };
    Ok((value.saturating_add(divisor - 1) / divisor.max(1)).to_string())
}

fn unsupported_resource(resource: &str) -> ConfigError {
    ConfigError(format!("unsupported container resource : {resource}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod() -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": {"b": "2", "a": "x\"y\n"}},
            "spec": {"nodeName": "node", "containers": [
                {"name": "c", "resources": {"limits": {"cpu": "1500m", "memory": "1Gi"}}},
                {"name": "d"}]}}))
        .unwrap()
    }

    fn facts(pod: &Pod) -> Facts<'_> {
        Facts { pod, pod_ip: Some("10.244.0.2"), host_ip: "10.244.0.1", node_cpu_millis: 2000, node_memory: 1 << 31 }
    }

    #[test]
    fn fields() {
        let pod = pod();
        for (path, value) in [
            ("metadata.name", "p"),
            ("metadata.labels['b']", "2"),
            ("metadata.labels['none']", ""),
            ("metadata.labels", "a=\"x\\\"y\\n\"\nb=\"2\""),
            ("status.podIP", "10.244.0.2"),
            ("status.hostIP", "10.244.0.1"),
            ("spec.nodeName", "node"),
        ] {
            let selector = ObjectFieldSelector { api_version: None, field_path: path.into() };
            assert_eq!(field(&facts(&pod), &selector).unwrap(), value, "{path}");
        }
        let selector = ObjectFieldSelector { api_version: None, field_path: "spec.volumes".into() };
        assert!(field(&facts(&pod), &selector).is_err());
    }

    #[test]
    fn resources_divide_and_round_up() {
        let pod = pod();
        for (container, name, divisor, value) in [
            ("c", "limits.cpu", None, "2"),
            ("c", "limits.cpu", Some("1m"), "1500"),
            ("c", "limits.memory", Some("1Mi"), "1024"),
            ("c", "requests.cpu", None, "0"),
            ("d", "limits.cpu", None, "2"),
            ("d", "limits.memory", None, "2147483648"),
        ] {
            let selector: ResourceFieldSelector =
                serde_json::from_value(json!({"containerName": container, "resource": name, "divisor": divisor}))
                    .unwrap();
            assert_eq!(resource(&facts(&pod), &selector, None).unwrap(), value, "{container} {name}");
        }
    }
}
