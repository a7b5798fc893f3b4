//! How lists and maps of the built-in types merge: facts of the Kubernetes API that its Rust types do not carry.
//! A table and its reading; nothing here walks a schema.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::schema::{ListType, Schema};

/// A line per field: definition without its `io.k8s…` prefix, field (`-`: the definition itself), and words: `map:KEYS` and
/// `set` say how server-side apply sees a list (else it is atomic), `atomic` and `granular` how it sees an object,
/// `merge[:KEY]` and `retain` are the strategies of a strategic merge patch.
const FACTS: &str = "\
admissionregistration.v1.MatchResources - atomic
admissionregistration.v1.MutatingWebhook matchConditions map:name merge:name
admissionregistration.v1.MutatingWebhookConfiguration webhooks map:name merge:name
admissionregistration.v1.NamedRuleWithOperations - atomic
admissionregistration.v1.ParamKind - atomic
admissionregistration.v1.ParamRef - atomic
admissionregistration.v1.ValidatingAdmissionPolicyBindingSpec validationActions set
admissionregistration.v1.ValidatingAdmissionPolicySpec matchConditions map:name merge:name
admissionregistration.v1.ValidatingAdmissionPolicySpec variables map:name merge:name
admissionregistration.v1.ValidatingAdmissionPolicyStatus conditions map:type
admissionregistration.v1.ValidatingWebhook matchConditions map:name merge:name
admissionregistration.v1.ValidatingWebhookConfiguration webhooks map:name merge:name
admissionregistration.v1.Variable - atomic
apiextensions.v1.CustomResourceDefinitionStatus conditions map:type
apiextensions.v1.JSONSchemaProps x-kubernetes-validations map:rule merge:rule
apiregistration.v1.APIServiceStatus conditions map:type merge:type
apps.v1.DaemonSetStatus conditions map:type merge:type
apps.v1.DeploymentSpec strategy retain
apps.v1.DeploymentStatus conditions map:type merge:type
apps.v1.ReplicaSetStatus conditions map:type merge:type
apps.v1.StatefulSetStatus conditions map:type merge:type
autoscaling.v1.CrossVersionObjectReference - atomic
autoscaling.v2.HorizontalPodAutoscalerStatus conditions map:type merge:type
batch.v1.JobStatus conditions merge:type
batch.v1.PodFailurePolicyOnExitCodesRequirement values set
batch.v1.UncountedTerminatedPods failed set
batch.v1.UncountedTerminatedPods succeeded set
certificates.v1.CertificateSigningRequestStatus conditions map:type
core.v1.ComponentStatus conditions map:type merge:type
core.v1.ConfigMapKeySelector - atomic
core.v1.Container env map:name merge:name
core.v1.Container ports map:containerPort,protocol merge:containerPort
core.v1.Container volumeDevices map:devicePath merge:devicePath
core.v1.Container volumeMounts map:mountPath merge:mountPath
core.v1.ContainerRestartRuleOnExitCodes values set
core.v1.ContainerStatus allocatedResourcesStatus map:name merge:name
core.v1.ContainerStatus volumeMounts map:mountPath merge:mountPath
core.v1.EndpointAddress - atomic
core.v1.EndpointPort - atomic
core.v1.EphemeralContainer env map:name merge:name
core.v1.EphemeralContainer ports map:containerPort,protocol merge:containerPort
core.v1.EphemeralContainer volumeDevices map:devicePath merge:devicePath
core.v1.EphemeralContainer volumeMounts map:mountPath merge:mountPath
core.v1.FileKeySelector - atomic
core.v1.LocalObjectReference - atomic
core.v1.NamespaceStatus conditions map:type merge:type
core.v1.NodeSelector - atomic
core.v1.NodeSelectorTerm - atomic
core.v1.NodeSpec podCIDRs set merge
core.v1.NodeStatus addresses map:type merge:type
core.v1.NodeStatus conditions map:type merge:type
core.v1.ObjectFieldSelector - atomic
core.v1.ObjectReference - atomic
core.v1.PersistentVolumeClaimStatus allocatedResourceStatuses granular
core.v1.PersistentVolumeClaimStatus conditions map:type merge:type
core.v1.PersistentVolumeSpec claimRef granular
core.v1.PodSpec containers map:name merge:name
core.v1.PodSpec ephemeralContainers map:name merge:name
core.v1.PodSpec hostAliases map:ip merge:ip
core.v1.PodSpec imagePullSecrets map:name merge:name
core.v1.PodSpec initContainers map:name merge:name
core.v1.PodSpec nodeSelector atomic
core.v1.PodSpec resourceClaims map:name merge:name retain
core.v1.PodSpec schedulingGates map:name merge:name
core.v1.PodSpec topologySpreadConstraints map:topologyKey,whenUnsatisfiable merge:topologyKey
core.v1.PodSpec volumes map:name merge:name retain
core.v1.PodStatus conditions map:type merge:type
core.v1.PodStatus hostIPs merge:ip
core.v1.PodStatus podIPs map:ip merge:ip
core.v1.PodStatus resourceClaimStatuses map:name merge:name retain
core.v1.ReplicationControllerSpec selector atomic
core.v1.ReplicationControllerStatus conditions map:type merge:type
core.v1.ResourceFieldSelector - atomic
core.v1.ResourceRequirements claims map:name
core.v1.ResourceStatus resources map:resourceID
core.v1.ScopeSelector - atomic
core.v1.SecretKeySelector - atomic
core.v1.SecretReference - atomic
core.v1.ServiceAccount secrets map:name merge:name
core.v1.ServiceSpec ports map:port,protocol merge:port
core.v1.ServiceSpec selector atomic
core.v1.ServiceStatus conditions map:type merge:type
core.v1.TopologySelectorTerm - atomic
core.v1.TypedLocalObjectReference - atomic
discovery.v1.Endpoint addresses set
discovery.v1.EndpointPort - atomic
flowcontrol.v1.FlowSchemaStatus conditions map:type merge:type
flowcontrol.v1.NonResourcePolicyRule nonResourceURLs set
flowcontrol.v1.NonResourcePolicyRule verbs set
flowcontrol.v1.PriorityLevelConfigurationStatus conditions map:type merge:type
flowcontrol.v1.ResourcePolicyRule apiGroups set
flowcontrol.v1.ResourcePolicyRule namespaces set
flowcontrol.v1.ResourcePolicyRule resources set
flowcontrol.v1.ResourcePolicyRule verbs set
meta.v1.LabelSelector - atomic
meta.v1.ObjectMeta finalizers set merge
meta.v1.ObjectMeta ownerReferences map:uid merge:uid
meta.v1.OwnerReference - atomic
networking.v1.ServiceBackendPort - atomic
networking.v1.ServiceCIDRStatus conditions map:type merge:type
node.v1.Scheduling nodeSelector atomic
policy.v1.PodDisruptionBudgetSpec selector retain
policy.v1.PodDisruptionBudgetStatus conditions map:type merge:type
rbac.v1.RoleRef - atomic
rbac.v1.Subject - atomic
storage.v1.CSIDriverSpec volumeLifecycleModes set
storage.v1.CSINodeSpec drivers map:name merge:name
";

static BY_FIELD: LazyLock<HashMap<(&str, &str), &str>> = LazyLock::new(|| {
    FACTS
        .lines()
        .filter_map(|line| {
            let mut parts = line.splitn(3, ' ');
            Some(((parts.next()?, parts.next()?), parts.next()?))
        })
        .collect()
});

/// Values of list keys that may be absent.
const KEY_DEFAULTS: &[(&str, &str, &str)] =
    &[("core.v1.ContainerPort", "protocol", "TCP"), ("core.v1.ServicePort", "protocol", "TCP")];

const PREFIXES: [&str; 4] = [
    "io.k8s.apimachinery.pkg.apis.",
    "io.k8s.apiextensions-apiserver.pkg.apis.",
    "io.k8s.kube-aggregator.pkg.apis.",
    "io.k8s.api.",
];

/// The words known of a field of a definition, or of the definition itself where `field` is empty.
pub(crate) fn words(definition: &str, field: &str) -> Option<&'static str> {
    let field = if field.is_empty() { "-" } else { field };
    BY_FIELD.get(&(short(definition), field)).copied()
}

/// The default of a field that is a key of its list.
pub(crate) fn key_default(definition: &str, field: &str) -> Option<&'static str> {
    let short = short(definition);
    KEY_DEFAULTS.iter().find(|(d, f, _)| *d == short && *f == field).map(|(_, _, value)| *value)
}

/// `core.v1.Pod` for `io.k8s.api.core.v1.Pod`.
pub(crate) fn short(definition: &str) -> &str {
    PREFIXES.iter().find_map(|prefix| definition.strip_prefix(prefix)).unwrap_or(definition)
}

/// Puts what `words` say on a schema.
pub(crate) fn apply(words: &str, schema: &mut Schema) {
    for word in words.split(' ') {
        match word.split_once(':').unwrap_or((word, "")) {
            ("map", keys) => schema.list_type = ListType::Map(keys.split(',').map(str::to_owned).collect()),
            ("set", _) => schema.list_type = ListType::Set,
            ("atomic", _) => schema.atomic_map = true,
            ("granular", _) => schema.atomic_map = false,
            ("retain", _) => schema.patch_retain_keys = true,
            ("merge", key) => {
                schema.patch_merge = true;
                schema.patch_merge_key = (!key.is_empty()).then(|| key.to_owned());
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_only_known_words_and_each_field_once() {
        assert_eq!(BY_FIELD.len(), FACTS.lines().count());
        let known = ["map", "set", "atomic", "granular", "retain", "merge"];
        for (field, words) in BY_FIELD.iter() {
            for word in words.split(' ') {
                let word = word.split(':').next().unwrap_or_default();
                assert!(known.contains(&word), "{field:?}: {word}");
            }
        }
    }
}
