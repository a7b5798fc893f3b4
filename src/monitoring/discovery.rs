//! Targets as Prometheus itself would find them by asking the API, with the labels that it would give them: for one that cannot ask.
//! Only what a monitor selects becomes a target. Pure.
//! Upstream rule: `discovery/kubernetes` of prometheus/prometheus.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, ContainerPort, Pod, Service};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector as Given;
use kube::ResourceExt;
use serde::Serialize;
use tinderbox_api::monitoring::NamespaceSelector;
use tinderbox_api::selector::LabelSelector;
use tinderbox_client::metrics::sanitized;

/// The label of a slice that names its service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Targets with the same labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Group {
    targets: Vec<String>,
    labels: Labels,
}

type Labels = BTreeMap<String, String>;

/// What targets are made of.
#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    pub(crate) pods: Vec<Arc<Pod>>,
    pub(crate) services: Vec<Arc<Service>>,
    pub(crate) slices: Vec<Arc<EndpointSlice>>,
}

impl World {
    /// One target for each port of each container of the pods that are selected.
    pub(crate) fn of_pods(
        &self,
        selector: &Given,
        namespaces: &NamespaceSelector,
        own: &str,
    ) -> Result<Vec<Group>, String> {
        let mut groups = Vec::new();
        for pod in selected(&self.pods, selector, namespaces, own)? {
            let Some(ip) = address(pod) else { continue };
            let base = of_pod(pod);
            for (container, init) in containers(pod) {
                let ports = container.ports.as_deref().unwrap_or_default();
                if ports.is_empty() {
                    let mut labels = base.clone();
                    of_container(&mut labels, container, init, None);
                    groups.push(Group { targets: vec![ip.to_owned()], labels });
                }
                for port in ports {
                    let mut labels = base.clone();
                    of_container(&mut labels, container, init, Some(port));
                    groups.push(Group { targets: vec![format!("{ip}:{}", port.container_port)], labels });
                }
            }
        }
        groups.sort_by(|one, other| one.targets.cmp(&other.targets));
        Ok(groups)
    }

    /// One target for each address and port behind the services that are selected; `role` is `endpoints` or `endpointslice`.
    pub(crate) fn of_services(
        &self,
        role: &str,
        selector: &Given,
        namespaces: &NamespaceSelector,
        own: &str,
    ) -> Result<Vec<Group>, String> {
        let mut groups = Vec::new();
        for service in selected(&self.services, selector, namespaces, own)? {
            let namespace = service.namespace().unwrap_or_default();
            let base = of_service(service, &namespace);
            let behind = |slice: &&Arc<EndpointSlice>| {
                slice.namespace().as_deref() == Some(namespace.as_str())
                    && slice.labels().get(SERVICE_NAME) == Some(&service.name_any())
            };
            for slice in self.slices.iter().filter(behind) {
                for endpoint in &slice.endpoints {
                    groups.extend(self.of_endpoint(role, &base, slice, endpoint, &namespace));
                }
            }
        }
        groups.sort_by(|one, other| one.targets.cmp(&other.targets));
        Ok(groups)
    }

    fn of_endpoint(
        &self,
        role: &str,
        base: &Labels,
        slice: &EndpointSlice,
        endpoint: &Endpoint,
        namespace: &str,
    ) -> Vec<Group> {
        // Of endpoints the labels have their own prefix.
        let prefix = if role == "endpoints" { "endpoint" } else { role };
        let meta = |name: &str| format!("__meta_kubernetes_{prefix}_{name}");
        let target = endpoint.target_ref.as_ref();
        let kind = target.and_then(|target| target.kind.as_deref()).unwrap_or_default();
        let name = target.and_then(|target| target.name.as_deref()).unwrap_or_default();
        let is_it = |pod: &&Arc<Pod>| pod.namespace().as_deref() == Some(namespace) && pod.name_any() == name;
        let pod = if kind == "Pod" { self.pods.iter().find(is_it) } else { None };
        let ready = endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true);
        let mut groups = Vec::new();
        for port in slice.ports.iter().flatten() {
            let Some(number) = port.port else { continue };
            let mut labels = base.clone();
            labels.insert(meta("port_name"), port.name.clone().unwrap_or_default());
            labels.insert(meta("port_protocol"), port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()));
            labels.insert(
                if role == "endpoints" { meta("ready") } else { meta("endpoint_conditions_ready") },
                ready.to_string(),
            );
            if !kind.is_empty() {
                labels.insert(meta("address_target_kind"), kind.to_owned());
                labels.insert(meta("address_target_name"), name.to_owned());
            }
            if let Some(pod) = pod {
                labels.extend(of_pod(pod));
                let all = containers(pod).flat_map(|(container, init)| {
                    container.ports.iter().flatten().map(move |port| (container, init, port))
                });
                if let Some((container, init, port)) = all.into_iter().find(|(.., port)| port.container_port == number)
                {
                    of_container(&mut labels, container, init, Some(port));
                }
            }
            let targets = endpoint.addresses.iter().map(|address| format!("{address}:{number}")).collect();
            groups.push(Group { targets, labels });
        }
        groups
    }
}

/// The objects that a monitor of the namespace `own` selects.
fn selected<'a, K: ResourceExt>(
    all: &'a [Arc<K>],
    selector: &Given,
    namespaces: &NamespaceSelector,
    own: &str,
) -> Result<Vec<&'a K>, String> {
    let selector = LabelSelector::from_typed(selector).map_err(|error| error.to_string())?;
    let names = namespaces.names(own);
    let is_meant = |object: &&K| {
        let is_within = names.as_ref().is_none_or(|names| names.contains(&object.namespace().unwrap_or_default()));
        is_within && selector.matches_map(Some(object.labels()))
    };
    Ok(all.iter().map(|object| &**object).filter(is_meant).collect())
}

fn address(pod: &Pod) -> Option<&str> {
    pod.status.as_ref()?.pod_ip.as_deref().filter(|ip| !ip.is_empty())
}

fn containers(pod: &Pod) -> impl Iterator<Item = (&Container, bool)> {
    let spec = pod.spec.iter();
    spec.flat_map(|spec| {
        let init = spec.init_containers.iter().flatten().map(|container| (container, true));
        spec.containers.iter().map(|container| (container, false)).chain(init)
    })
}

/// Labels and annotations as labels of a target.
fn marks(labels: &mut Labels, object: &str, of: &impl ResourceExt) {
    for (kind, map) in [("label", of.labels()), ("annotation", of.annotations())] {
        for (name, value) in map {
            let name = sanitized(name);
            labels.insert(format!("__meta_kubernetes_{object}_{kind}_{name}"), value.clone());
            labels.insert(format!("__meta_kubernetes_{object}_{kind}present_{name}"), "true".to_owned());
        }
    }
}

fn of_pod(pod: &Pod) -> Labels {
    let (spec, status) = (pod.spec.as_ref(), pod.status.as_ref());
    let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let ready = conditions.iter().find(|one| one.type_ == "Ready").map(|one| one.status.to_lowercase());
    let mut labels: Labels = [
        ("namespace", pod.namespace().unwrap_or_default()),
        ("pod_name", pod.name_any()),
        ("pod_ip", address(pod).unwrap_or_default().to_owned()),
        ("pod_phase", status.and_then(|status| status.phase.clone()).unwrap_or_default()),
        ("pod_ready", ready.unwrap_or_else(|| "unknown".to_owned())),
        ("pod_node_name", spec.and_then(|spec| spec.node_name.clone()).unwrap_or_default()),
        ("pod_host_ip", status.and_then(|status| status.host_ip.clone()).unwrap_or_default()),
        ("pod_uid", pod.uid().unwrap_or_default()),
    ]
    .map(|(name, value)| (format!("__meta_kubernetes_{name}"), value))
    .into();
    if let Some(owner) = pod.owner_references().iter().find(|owner| owner.controller == Some(true)) {
        labels.insert("__meta_kubernetes_pod_controller_kind".to_owned(), owner.kind.clone());
        labels.insert("__meta_kubernetes_pod_controller_name".to_owned(), owner.name.clone());
    }
    marks(&mut labels, "pod", pod);
    labels
}

fn of_container(labels: &mut Labels, container: &Container, init: bool, port: Option<&ContainerPort>) {
    let mut set = |name: &str, value: String| labels.insert(format!("__meta_kubernetes_pod_container_{name}"), value);
    set("name", container.name.clone());
    set("image", container.image.clone().unwrap_or_default());
    set("init", init.to_string());
    if let Some(port) = port {
        set("port_name", port.name.clone().unwrap_or_default());
        set("port_number", port.container_port.to_string());
        set("port_protocol", port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()));
    }
}

fn of_service(service: &Service, namespace: &str) -> Labels {
    let mut labels = Labels::from([
        ("__meta_kubernetes_namespace".to_owned(), namespace.to_owned()),
        ("__meta_kubernetes_service_name".to_owned(), service.name_any()),
    ]);
    marks(&mut labels, "service", service);
    labels
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object<K: serde::de::DeserializeOwned>(value: Value) -> K {
        serde_json::from_value(value).unwrap()
    }

    fn world() -> World {
        let pod = |name: &str, ip: &str| {
            Arc::new(object(json!({
                "metadata": {"name": name, "namespace": "jobs", "uid": name, "labels": {"spark-role": "driver"},
                    "annotations": {"prometheus.io/scrape": "true"},
                    "ownerReferences": [{"apiVersion": "v1", "kind": "SparkApplication", "name": "pi", "uid": "o", "controller": true}]},
                "spec": {"nodeName": "local-0", "containers": [
                    {"name": "driver", "image": "spark", "ports": [{"name": "spark-ui", "containerPort": 4040}, {"name": "block", "containerPort": 7079}]},
                    {"name": "beside", "image": "busybox"},
                ]},
                "status": {"phase": "Running", "podIP": ip, "hostIP": "10.244.0.1", "conditions": [{"type": "Ready", "status": "True"}]},
            })))
        };
        World {
            pods: vec![pod("pi-driver", "10.244.0.5"), pod("waiting", "")],
            services: vec![Arc::new(object(json!({
                "metadata": {"name": "pi", "namespace": "jobs", "labels": {"app": "pi"}}, "spec": {"ports": []},
            })))],
            slices: vec![Arc::new(object(json!({
                "metadata": {"name": "pi-x", "namespace": "jobs", "labels": {SERVICE_NAME: "pi"}},
                "addressType": "IPv4",
                "endpoints": [
                    {"addresses": ["10.244.0.5"], "conditions": {"ready": true}, "targetRef": {"kind": "Pod", "name": "pi-driver", "namespace": "jobs"}},
                    {"addresses": ["10.244.0.1"], "targetRef": {"kind": "Node", "name": "local-0"}},
                ],
                "ports": [{"name": "ui", "port": 4040, "protocol": "TCP"}],
            })))],
        }
    }

    #[test]
    fn targets_are_as_prometheus_would_find_them() {
        let (world, any) = (world(), NamespaceSelector { any: Some(true), match_names: Vec::new() });
        let pods = world.of_pods(&Given::default(), &any, "monitoring").unwrap();
        let slices = world.of_services("endpointslice", &Given::default(), &any, "monitoring").unwrap();
        let endpoints = world.of_services("endpoints", &Given::default(), &any, "monitoring").unwrap();
        insta::assert_snapshot!(serde_yaml::to_string(&[pods, slices, endpoints]).unwrap());
    }

    #[test]
    fn what_is_not_selected_is_no_target() {
        let world = world();
        let none = object(json!({"matchLabels": {"spark-role": "executor"}}));
        let own = NamespaceSelector::default();
        assert_eq!(world.of_pods(&none, &own, "jobs").unwrap(), []);
        assert_eq!(world.of_pods(&Given::default(), &own, "monitoring").unwrap(), []);
        assert_eq!(world.of_pods(&Given::default(), &own, "jobs").unwrap().len(), 3);
        let named = NamespaceSelector { any: None, match_names: vec!["jobs".to_owned()] };
        assert_eq!(world.of_services("endpoints", &Given::default(), &named, "monitoring").unwrap().len(), 2);
    }
}
