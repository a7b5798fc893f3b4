//! Resources about the API itself: definitions of custom resources, API services, admission and flow of requests as data,
//! coordination, and the newer form of events.

use tinderbox_store::Collection;

use super::{NameRule, Resource, View};
use crate::table;

pub(super) fn table() -> Vec<Resource> {
    let admission = |kind, plural| Resource::cluster("admissionregistration.k8s.io", "v1", kind, plural);
    let flow = |kind, plural| Resource::cluster("flowcontrol.apiserver.k8s.io", "v1", kind, plural).counted().status();
    let mut events = Resource::namespaced("events.k8s.io", "v1", "Event", "events")
        .short(&["ev"])
        .columns(table::cluster::EVENTS)
        .create_on_update()
        .fields(&[
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "regarding.apiVersion",
            "regarding.resourceVersion",
            "regarding.fieldPath",
            "reason",
            "reportingController",
            "type",
        ]);
    events.view = View::Events;
    events.collection = Collection { group: "".into(), resource: "events".into() };
    vec![
        admission("MutatingWebhookConfiguration", "mutatingwebhookconfigurations").counted(),
        admission("ValidatingAdmissionPolicy", "validatingadmissionpolicies").counted().status(),
        admission("ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings").counted(),
        admission("ValidatingWebhookConfiguration", "validatingwebhookconfigurations").counted(),
        Resource::cluster("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions")
            .short(&["crd", "crds"])
            .categories(&["api-extensions"])
            .columns(table::cluster::DEFINITIONS)
            .counted()
            .status(),
        Resource::cluster("apiregistration.k8s.io", "v1", "APIService", "apiservices")
            .categories(&["api-extensions"])
            .columns(table::cluster::API_SERVICES)
            .status(),
        flow("FlowSchema", "flowschemas").columns(table::flow::SCHEMAS),
        flow("PriorityLevelConfiguration", "prioritylevelconfigurations").columns(table::flow::LEVELS),
        Resource::namespaced("coordination.k8s.io", "v1", "Lease", "leases")
            .columns(table::cluster::LEASES)
            .create_on_update(),
        events,
        Resource::cluster("node.k8s.io", "v1", "RuntimeClass", "runtimeclasses")
            .columns(table::cluster::RUNTIME_CLASSES),
        Resource::cluster("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses")
            .short(&["pc"])
            .columns(table::cluster::PRIORITY_CLASSES)
            .names(NameRule::Subdomain)
            .counted(),
        Resource::cluster("certificates.k8s.io", "v1", "CertificateSigningRequest", "certificatesigningrequests")
            .short(&["csr"])
            .fields(&["spec.signerName"])
            .columns(table::certificates::REQUESTS)
            .plain("approval", "CertificateSigningRequest", &["get", "patch", "update"])
            .status(),
    ]
}
