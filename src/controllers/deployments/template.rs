//! Pod templates of a Deployment: which ReplicaSet has which, and the hash that tells them apart. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use serde_json::Value;
use tinderbox_client::plan::encode;

use crate::hash;
use crate::pods::created;

/// The label that keeps the pods of one template apart from those of another.
pub(super) const HASH: &str = "pod-template-hash";

/// The template as JSON, without the hash label.
fn bare(template: &PodTemplateSpec) -> Value {
    let mut value = encode(template);
    let empty = match value.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        Some(labels) => {
            labels.remove(HASH);
            labels.is_empty()
        }
        None => false,
    };
    if empty && let Some(meta) = value["metadata"].as_object_mut() {
        meta.remove("labels");
    }
    if value["metadata"].as_object().is_some_and(serde_json::Map::is_empty)
        && let Some(fields) = value.as_object_mut()
    {
        fields.remove("metadata");
    }
    value
}

/// The ReplicaSet with the Deployment's current template: the oldest, should there be several.
pub(super) fn current(deployment: &Deployment, sets: &[Arc<ReplicaSet>]) -> Option<Arc<ReplicaSet>> {
    let wanted = bare(&deployment.spec.as_ref()?.template);
    let has_it = |set: &&Arc<ReplicaSet>| {
        let template = set.spec.as_ref().and_then(|spec| spec.template.as_ref());
        template.is_some_and(|template| bare(template) == wanted)
    };
    let fitting = sets.iter().filter(has_it);
    fitting.min_by_key(|set| (created(&***set), set.metadata.name.clone())).cloned()
}

/// A short name for a template; `collisions` makes another one of the same template.
pub(super) fn hash(template: &PodTemplateSpec, collisions: Option<i32>) -> String {
    hash::of(&bare(template), collisions)
}

/// `labels` with the hash label.
pub(super) fn with_hash(labels: Option<&BTreeMap<String, String>>, hash: &str) -> BTreeMap<String, String> {
    let mut labels = labels.cloned().unwrap_or_default();
    labels.insert(HASH.to_owned(), hash.to_owned());
    labels
}
