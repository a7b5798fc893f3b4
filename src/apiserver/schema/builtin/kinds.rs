//! The built-in kinds whose schema comes from k8s-openapi's types. A table; what is served is decided elsewhere.

use k8s_openapi::Resource;
use k8s_openapi::api::{
    admissionregistration, apps, authentication, authorization, autoscaling, batch, certificates, coordination, core,
    discovery, events, flowcontrol, networking, node, policy, rbac, scheduling, storage,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions;
use k8s_openapi::apimachinery::pkg::apis::meta;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration;
use schemars::{JsonSchema, SchemaGenerator};

/// A built-in kind, and what writes its schema and those it refers to into a generator.
pub(crate) struct BuiltinKind {
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) kind: &'static str,
    /// Name of its definition, as in `io.k8s.api.core.v1.Pod`.
    pub(crate) definition: fn() -> std::borrow::Cow<'static, str>,
    pub(crate) generate: fn(&mut SchemaGenerator),
}

const fn kind<T: Resource + JsonSchema>() -> BuiltinKind {
    BuiltinKind {
        group: T::GROUP,
        version: T::VERSION,
        kind: T::KIND,
        definition: T::schema_name,
        generate: |generator| {
            generator.subschema_for::<T>();
        },
    }
}

/// `DeleteOptions` is no resource, but requests carry it.
const fn delete_options() -> BuiltinKind {
    BuiltinKind {
        group: "",
        version: "v1",
        kind: "DeleteOptions",
        definition: meta::v1::DeleteOptions::schema_name,
        generate: |generator| {
            generator.subschema_for::<meta::v1::DeleteOptions>();
        },
    }
}

macro_rules! kinds {
    ($($module:ident::$version:ident: $($kind:ident)+;)+) => {
        /// Every built-in kind.
        pub(crate) static KINDS: &[BuiltinKind] = &[
            $($(kind::<$module::$version::$kind>(),)+)+
            delete_options(),
        ];
    };
}

kinds! {
    core::v1: Pod Service ConfigMap Secret Namespace Node PersistentVolume PersistentVolumeClaim ServiceAccount Event
        Endpoints LimitRange ResourceQuota ReplicationController PodTemplate Binding ComponentStatus;
    apps::v1: Deployment ReplicaSet StatefulSet DaemonSet ControllerRevision;
    batch::v1: Job CronJob;
    rbac::v1: Role ClusterRole RoleBinding ClusterRoleBinding;
    coordination::v1: Lease;
    discovery::v1: EndpointSlice;
    networking::v1: Ingress IngressClass NetworkPolicy IPAddress ServiceCIDR;
    policy::v1: PodDisruptionBudget Eviction;
    storage::v1: StorageClass CSIDriver CSINode CSIStorageCapacity VolumeAttachment VolumeAttributesClass;
    events::v1: Event;
    autoscaling::v1: HorizontalPodAutoscaler Scale;
    autoscaling::v2: HorizontalPodAutoscaler;
    scheduling::v1: PriorityClass;
    node::v1: RuntimeClass;
    certificates::v1: CertificateSigningRequest;
    flowcontrol::v1: FlowSchema PriorityLevelConfiguration;
    authentication::v1: TokenReview TokenRequest SelfSubjectReview;
    authorization::v1: SubjectAccessReview SelfSubjectAccessReview LocalSubjectAccessReview SelfSubjectRulesReview;
    admissionregistration::v1: MutatingWebhookConfiguration ValidatingWebhookConfiguration ValidatingAdmissionPolicy
        ValidatingAdmissionPolicyBinding;
    apiextensions::v1: CustomResourceDefinition;
    apiregistration::v1: APIService;
    meta::v1: Status;
}

/// The entry of a kind.
pub(crate) fn find(group: &str, version: &str, kind: &str) -> Option<&'static BuiltinKind> {
    KINDS.iter().find(|entry| entry.group == group && entry.version == version && entry.kind == kind)
}
