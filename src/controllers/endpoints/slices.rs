//! The EndpointSlices of a Service. Pure.
//! Upstream rule: `staging/src/k8s.io/endpointslice/{reconciler,utils}.go`.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ObjectReference, Pod, Service, ServicePort};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;
use kube::core::ObjectMeta;
use tinderbox_client::{Plan, Step};

use crate::meta::{controller_reference, is_deleting};
use crate::pods::{is_over, is_ready};

/// The label that names the Service of a slice.
pub(super) const SERVICE: &str = "kubernetes.io/service-name";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const MANAGER: &str = "endpointslice-controller.k8s.io";
const HEADLESS: &str = "service.kubernetes.io/headless";
/// Endpoints in one slice.
const LARGEST: usize = 100;

/// Whether a slice is of that Service and made here.
pub(super) fn is_ours(slice: &EndpointSlice, service: &str) -> bool {
    let labels = slice.labels();
    labels.get(SERVICE).is_some_and(|name| name == service)
        && labels.get(MANAGED_BY).is_some_and(|manager| manager == MANAGER)
}

/// Brings the slices of a Service in line with its pods.
pub(super) fn plan(service: &Service, pods: &[Arc<Pod>], have: &[Arc<EndpointSlice>], plan: &mut Plan) {
    let mut have: Vec<&Arc<EndpointSlice>> = have.iter().filter(|slice| !is_deleting(&***slice)).collect();
    for (ports, endpoints) in wanted(service, pods) {
        let mut chunks: Vec<&[Endpoint]> = endpoints.chunks(LARGEST).collect();
        if chunks.is_empty() {
            chunks.push(&[]);
        }
        for chunk in chunks {
            let fitting = have.iter().position(|slice| slice.ports.as_deref().unwrap_or_default() == ports);
            // A Service without pods keeps a slice, whatever its ports are.
            let fitting = fitting.or((chunk.is_empty() && !have.is_empty()).then_some(0));
            match fitting.map(|at| have.remove(at)) {
                Some(slice) => {
                    let mut new = (**slice).clone();
                    new.endpoints = chunk.to_vec();
                    new.metadata.labels = Some(labels(service));
                    Step::update(&**slice, &new).into_iter().for_each(|step| plan.push(step));
                }
                None => plan.push(Step::create(&new_slice(service, &ports, chunk))),
            }
        }
    }
    have.into_iter().for_each(|slice| plan.push(Step::delete(&**slice)));
}

/// Endpoints by the ports that they serve: pods may give one port name different numbers.
fn wanted(service: &Service, pods: &[Arc<Pod>]) -> Vec<(Vec<EndpointPort>, Vec<Endpoint>)> {
    let spec = service.spec.as_ref();
    let ports = spec.and_then(|spec| spec.ports.as_deref()).unwrap_or_default();
    let mut groups: Vec<(Vec<EndpointPort>, Vec<Endpoint>)> = Vec::new();
    for pod in pods.iter().filter(|pod| !is_over(pod)) {
        let Some(endpoint) = endpoint(service, pod) else {
            continue;
        };
        let served: Vec<EndpointPort> = ports.iter().filter_map(|port| slice_port(pod, port)).collect();
        match groups.iter_mut().find(|(have, _)| *have == served) {
            Some((_, endpoints)) => endpoints.push(endpoint),
            None => groups.push((served, vec![endpoint])),
        }
    }
    if groups.is_empty() {
        groups.push((Vec::new(), Vec::new()));
    }
    for (_, endpoints) in &mut groups {
        endpoints.sort_by(|one, other| one.addresses.cmp(&other.addresses));
    }
    groups
}

fn slice_port(pod: &Pod, port: &ServicePort) -> Option<EndpointPort> {
    Some(EndpointPort {
        name: Some(port.name.clone().unwrap_or_default()),
        port: Some(resolve(pod, port)?),
        protocol: Some(port.protocol.clone().unwrap_or_else(|| "TCP".to_owned())),
        app_protocol: port.app_protocol.clone(),
    })
}

/// The number that a port of a Service has in a pod.
pub(super) fn resolve(pod: &Pod, port: &ServicePort) -> Option<i32> {
    let name = match &port.target_port {
        None => return Some(port.port),
        Some(IntOrString::Int(0)) => return Some(port.port),
        Some(IntOrString::Int(number)) => return Some(*number),
        Some(IntOrString::String(name)) => name,
    };
    let protocol = port.protocol.as_deref().unwrap_or("TCP");
    let spec = pod.spec.as_ref()?;
    let sidecars = spec.init_containers.iter().flatten();
    let sidecars = sidecars.filter(|container| container.restart_policy.as_deref() == Some("Always"));
    let ports = spec.containers.iter().chain(sidecars).flat_map(|container| container.ports.iter().flatten());
    let mut fitting =
        ports.filter(|port| port.name.as_ref() == Some(name) && port.protocol.as_deref().unwrap_or("TCP") == protocol);
    fitting.next().map(|port| port.container_port)
}

fn endpoint(service: &Service, pod: &Pod) -> Option<Endpoint> {
    let address = pod.status.as_ref()?.pod_ip.clone().filter(|address| !address.is_empty())?;
    let (serving, terminating) = (is_ready(pod), is_deleting(pod));
    let publish = service.spec.as_ref().and_then(|spec| spec.publish_not_ready_addresses) == Some(true);
    Some(Endpoint {
        addresses: vec![address],
        conditions: Some(EndpointConditions {
            ready: Some(publish || (serving && !terminating)),
            serving: Some(serving),
            terminating: Some(terminating),
        }),
        hostname: hostname(service, pod),
        node_name: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
        target_ref: Some(target(pod)),
        ..Endpoint::default()
    })
}

/// The name of its own that a pod has under a headless Service.
pub(super) fn hostname(service: &Service, pod: &Pod) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    let name = spec.hostname.clone().filter(|name| !name.is_empty())?;
    (spec.subdomain == service.metadata.name && pod.metadata.namespace == service.metadata.namespace).then_some(name)
}

/// The reference to a pod that endpoints carry.
pub(super) fn target(pod: &Pod) -> ObjectReference {
    ObjectReference {
        kind: Some("Pod".to_owned()),
        namespace: pod.namespace(),
        name: Some(pod.name_any()),
        uid: pod.uid(),
        ..ObjectReference::default()
    }
}

/// Whether a Service has no address of its own.
pub(super) fn is_headless(service: &Service) -> bool {
    let address = service.spec.as_ref().and_then(|spec| spec.cluster_ip.as_deref());
    matches!(address, None | Some("" | "None"))
}

fn labels(service: &Service) -> BTreeMap<String, String> {
    let mut labels = service.labels().clone();
    labels.insert(SERVICE.to_owned(), service.name_any());
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    labels.remove(HEADLESS);
    if is_headless(service) {
        labels.insert(HEADLESS.to_owned(), String::new());
    }
    labels
}

fn new_slice(service: &Service, ports: &[EndpointPort], endpoints: &[Endpoint]) -> EndpointSlice {
    EndpointSlice {
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-", service.name_any())),
            namespace: service.namespace(),
            labels: Some(labels(service)),
            owner_references: Some(vec![controller_reference(service)]),
            ..ObjectMeta::default()
        },
        address_type: "IPv4".to_owned(),
        endpoints: endpoints.to_vec(),
        ports: Some(ports.to_vec()).filter(|ports| !ports.is_empty()),
    }
}
