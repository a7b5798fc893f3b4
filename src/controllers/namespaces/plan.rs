//! What is left in an ending namespace, as conditions, and whether it can go. Pure.
//! Upstream rule: `pkg/controller/namespace/deletion`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, NamespaceCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Resource, ResourceExt};
use tinderbox_client::discovery::Served;
use tinderbox_client::plan::encode;
use tinderbox_client::{Plan, Step};

use crate::meta::is_deleting;

const FINALIZER: &str = "kubernetes";

/// What was found in a namespace after deleting all of it.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Why the API's resources are not known.
    pub(super) undiscovered: Option<String>,
    /// What could not be deleted, in words.
    pub(super) failures: Vec<String>,
    /// Objects left, by resource.
    pub(super) left: BTreeMap<String, usize>,
    /// Objects that a finalizer holds, by finalizer.
    pub(super) held: BTreeMap<String, usize>,
}

impl Found {
    /// Takes in the objects left of one resource.
    pub(super) fn count<K: Resource>(&mut self, served: &Served, objects: &[K]) {
        if objects.is_empty() {
            return;
        }
        let resource = format!("{}.{}", served.resource.plural, served.resource.group);
        *self.left.entry(resource).or_default() += objects.len();
        for finalizer in objects.iter().flat_map(|object| object.finalizers()) {
            *self.held.entry(finalizer.clone()).or_default() += 1;
        }
    }

    /// Whether the namespace is known to be empty.
    pub(super) fn is_empty(&self) -> bool {
        self.undiscovered.is_none() && self.failures.is_empty() && self.left.is_empty()
    }
}

/// Whether a namespace is on its way out and still held by us.
pub(super) fn is_ending(namespace: &Namespace) -> bool {
    is_deleting(namespace) && finalizers(namespace).iter().any(|one| one == FINALIZER)
}

fn finalizers(namespace: &Namespace) -> &[String] {
    let spec = namespace.spec.as_ref();
    spec.and_then(|spec| spec.finalizers.as_deref()).unwrap_or_default()
}

/// What an ending namespace wants done.
pub(super) fn plan(namespace: &Namespace, found: &Found, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    if found.is_empty() {
        let mut freed = namespace.clone();
        let rest: Vec<String> = finalizers(namespace).iter().filter(|one| *one != FINALIZER).cloned().collect();
        freed.spec.get_or_insert_default().finalizers = Some(rest);
        plan.push(Step::replace(namespace, "finalize", encode(&freed)));
        return plan;
    }
    let mut status = namespace.status.clone().unwrap_or_default();
    status.phase = Some("Terminating".to_owned());
    let conditions = status.conditions.get_or_insert_default();
    for (type_, holds, reason, message) in conditions_of(found) {
        set(conditions, type_, holds, reason, message, now);
    }
    Step::status(namespace, namespace.status.as_ref(), &status).into_iter().for_each(|step| plan.push(step));
    plan
}

fn conditions_of(found: &Found) -> [(&'static str, bool, &'static str, String); 5] {
    let list = |of: &BTreeMap<String, usize>, word: &str| {
        let parts: Vec<String> =
            of.iter().map(|(name, count)| format!("{name} {word} {count} resource instances")).collect();
        parts.join(", ")
    };
    let choose = |bad: bool, reasons: (&'static str, &'static str), bad_text: String, good_text: &str| {
        if bad { (true, reasons.0, bad_text) } else { (false, reasons.1, good_text.to_owned()) }
    };
    let discovery = choose(
        found.undiscovered.is_some(),
        ("DiscoveryFailed", "ResourcesDiscovered"),
        found.undiscovered.clone().unwrap_or_default(),
        "All resources successfully discovered",
    );
    let parsing = (false, "ParsedGroupVersions", "All legacy kube types successfully parsed".to_owned());
    let content = choose(
        !found.failures.is_empty(),
        ("ContentDeletionFailed", "ContentDeleted"),
        format!(
            "Failed to delete all resource types, {} remaining: {}",
            found.failures.len(),
            found.failures.join(", ")
        ),
        "All content successfully deleted, may be waiting on finalization",
    );
    let remaining = choose(
        !found.left.is_empty(),
        ("SomeResourcesRemain", "ContentRemoved"),
        format!("Some resources are remaining: {}", list(&found.left, "has")),
        "All content successfully removed",
    );
    let finalizers = choose(
        !found.held.is_empty(),
        ("SomeFinalizersRemain", "ContentHasNoFinalizers"),
        format!("Some content in the namespace has finalizers remaining: {}", list(&found.held, "in")),
        "All content-preserving finalizers finished",
    );
    let named = |type_, (holds, reason, message)| (type_, holds, reason, message);
    [
        named("NamespaceDeletionDiscoveryFailure", discovery),
        named("NamespaceDeletionGroupVersionParsingFailure", parsing),
        named("NamespaceDeletionContentFailure", content),
        named("NamespaceContentRemaining", remaining),
        named("NamespaceFinalizersRemaining", finalizers),
    ]
}

fn set(
    conditions: &mut Vec<NamespaceCondition>,
    type_: &str,
    holds: bool,
    reason: &str,
    message: String,
    now: Timestamp,
) {
    let word = if holds { "True" } else { "False" };
    let have = conditions.iter_mut().find(|condition| condition.type_ == type_);
    let since = have.as_ref().filter(|have| have.status == word).and_then(|have| have.last_transition_time.clone());
    let condition = NamespaceCondition {
        type_: type_.to_owned(),
        status: word.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message),
        last_transition_time: since.or(Some(Time(now))),
    };
    match have {
        Some(have) => *have = condition,
        None => conditions.push(condition),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::discovery::ApiResource;
    use kube::core::{GroupVersionKind, ObjectMeta};
    use serde_json::json;

    fn ending() -> Namespace {
        let namespace = json!({
            "metadata": {"name": "n", "uid": "u", "resourceVersion": "7", "deletionTimestamp": "1970-01-01T00:00:00Z"},
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Terminating"},
        });
        serde_json::from_value(namespace).unwrap_or_default()
    }

    #[test]
    fn an_empty_namespace_is_let_go() {
        let plan = plan(&ending(), &Found::default(), Timestamp::UNIX_EPOCH);
        let steps: Vec<_> = plan.steps().map(|step| (step.describe(), step.body()["spec"].clone())).collect();
        assert_eq!(steps, [("replace namespaces/finalize n".to_owned(), json!({"finalizers": []}))]);
    }

    #[test]
    fn what_is_left_is_told_in_conditions() {
        let mut found = Found::default();
        let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("", "v1", "Pod"), "pods");
        let served = Served { resource, namespaced: true, verbs: Vec::new() };
        let mut pod = k8s_openapi::api::core::v1::Pod {
            metadata: ObjectMeta { finalizers: Some(vec!["a/b".to_owned()]), ..ObjectMeta::default() },
            ..Default::default()
        };
        found.count(&served, &[pod.clone()]);
        pod.metadata.finalizers = None;
        found.count(&served, &[pod]);
        let plan = plan(&ending(), &found, Timestamp::UNIX_EPOCH);
        let conditions =
            plan.steps().next().map(|step| step.body()["status"]["conditions"].clone()).unwrap_or_default();
        let words: Vec<_> = conditions
            .as_array()
            .into_iter()
            .flatten()
            .filter(|condition| condition["status"] == "True")
            .map(|condition| (condition["reason"].clone(), condition["message"].clone()))
            .collect();
        assert_eq!(
            words,
            [
                (json!("SomeResourcesRemain"), json!("Some resources are remaining: pods. has 2 resource instances")),
                (
                    json!("SomeFinalizersRemain"),
                    json!("Some content in the namespace has finalizers remaining: a/b in 1 resource instances")
                ),
            ]
        );
    }
}
