//! The resources of networking and discovery.

use super::Resource;
use crate::table::network;

pub(super) fn table() -> Vec<Resource> {
    let networking = "networking.k8s.io";
    vec![
        Resource::namespaced("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices")
            .columns(network::ENDPOINT_SLICES)
            .counted()
            .create_on_update(),
        Resource::cluster(networking, "v1", "IngressClass", "ingressclasses")
            .columns(network::INGRESS_CLASSES)
            .counted(),
        Resource::namespaced(networking, "v1", "Ingress", "ingresses")
            .short(&["ing"])
            .columns(network::INGRESSES)
            .counted()
            .status(),
        Resource::namespaced(networking, "v1", "NetworkPolicy", "networkpolicies")
            .short(&["netpol"])
            .columns(network::NETWORK_POLICIES)
            .counted(),
    ]
}
