//! The Endpoints object of a Service, for readers older than EndpointSlices. Pure.
//! Upstream rule: `pkg/controller/endpoint/endpoints_controller.go`.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort, EndpointSubset, Endpoints, Pod, Service};
use kube::ResourceExt;
use kube::core::ObjectMeta;
use tinderbox_client::{Plan, Step};

use super::slices::{hostname, is_headless, resolve, target};
use crate::meta::is_deleting;
use crate::pods::{is_over, is_ready};

const HEADLESS: &str = "service.kubernetes.io/headless";
const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
const MANAGER: &str = "endpoint-controller";

/// Whether an Endpoints object was made here.
pub(super) fn is_ours(endpoints: &Endpoints) -> bool {
    endpoints.labels().get(MANAGED_BY).is_some_and(|manager| manager == MANAGER)
}

/// Brings the Endpoints of a Service in line with its pods.
pub(super) fn plan(service: &Service, pods: &[Arc<Pod>], have: Option<&Endpoints>, plan: &mut Plan) {
    let subsets = Some(subsets(service, pods)).filter(|subsets| !subsets.is_empty());
    match have {
        Some(have) => {
            let mut new = have.clone();
            new.subsets = subsets;
            new.metadata.labels = Some(labels(service));
            Step::update(have, &new).into_iter().for_each(|step| plan.push(step));
        }
        None => plan.push(Step::create(&Endpoints {
            metadata: ObjectMeta {
                name: Some(service.name_any()),
                namespace: service.namespace(),
                labels: Some(labels(service)),
                ..ObjectMeta::default()
            },
            subsets,
        })),
    }
}

fn labels(service: &Service) -> BTreeMap<String, String> {
    let mut labels = service.labels().clone();
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    if is_headless(service) {
        labels.insert(HEADLESS.to_owned(), String::new());
    }
    labels
}

/// Addresses by the ports that they serve.
fn subsets(service: &Service, pods: &[Arc<Pod>]) -> Vec<EndpointSubset> {
    let spec = service.spec.as_ref();
    let publish = spec.and_then(|spec| spec.publish_not_ready_addresses) == Some(true);
    let ports = spec.and_then(|spec| spec.ports.as_deref()).unwrap_or_default();
    let mut subsets: Vec<EndpointSubset> = Vec::new();
    for pod in pods.iter().filter(|pod| !is_over(pod) && (publish || !is_deleting(&***pod))) {
        let address = pod.status.as_ref().and_then(|status| status.pod_ip.clone());
        let Some(ip) = address.filter(|address| !address.is_empty()) else {
            continue;
        };
        let address = EndpointAddress {
            ip,
            hostname: hostname(service, pod),
            node_name: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
            target_ref: Some(target(pod)),
        };
        let served: Vec<EndpointPort> = ports
            .iter()
            .filter_map(|port| {
                Some(EndpointPort {
                    name: port.name.clone().filter(|name| !name.is_empty()),
                    port: resolve(pod, port)?,
                    protocol: Some(port.protocol.clone().unwrap_or_else(|| "TCP".to_owned())),
                    app_protocol: port.app_protocol.clone(),
                })
            })
            .collect();
        if served.is_empty() && !(ports.is_empty() && is_headless(service)) {
            continue;
        }
        let served = Some(served).filter(|served| !served.is_empty());
        let at = subsets.iter().position(|subset| subset.ports == served).unwrap_or_else(|| {
            subsets.push(EndpointSubset { ports: served, ..EndpointSubset::default() });
            subsets.len() - 1
        });
        let subset = &mut subsets[at];
        let list = if publish || is_ready(pod) { &mut subset.addresses } else { &mut subset.not_ready_addresses };
        list.get_or_insert_default().push(address);
    }
    for subset in &mut subsets {
        for list in [&mut subset.addresses, &mut subset.not_ready_addresses].into_iter().flatten() {
            list.sort_by(|one, other| one.ip.cmp(&other.ip));
        }
    }
    subsets
}
