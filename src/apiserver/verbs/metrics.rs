//! `metrics.k8s.io`: what pods and nodes use, as the nodes measure it at this moment. Nothing of it is stored. Which pods and nodes are
//! meant, and their labels, the store says.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tinderbox_api::streams::{ContainerUsage, PodUsage};

use crate::call::Call;
use crate::codec;
use crate::error::ApiError;
use crate::object;
use crate::respond::Reply;
use crate::select::Selection;

/// The group of these resources.
pub(crate) const GROUP: &str = "metrics.k8s.io";

/// Answers a get or a list.
pub(crate) async fn read(call: &Call) -> Result<Reply, ApiError> {
    let of_nodes = !call.resource.namespaced;
    let core = call.api.registry().find("", "v1", &call.resource.plural).ok_or_else(ApiError::no_such_path)?;
    let mut meant = call.clone();
    meant.resource = core;
    if !call.path.name.is_empty() {
        meant.stored()?;
    }
    let usage = match call.api.streams() {
        Some(nodes) => nodes.usage().await,
        None => Vec::new(),
    };
    let selection = Selection::of(&meant.resource, &call.params, &call.path.name)?;
    let objects = call.api.store().list(&meant.resource.collection, meant.scope(), None, 0).items;
    let objects = objects.iter().filter(|object| selection.matches(object)).map(|object| codec::decode(object));
    let mut items: Vec<Value> = if of_nodes {
        objects.filter_map(|node| of_node(&node, &usage)).collect()
    } else {
        let by_uid: HashMap<&str, &PodUsage> = usage.iter().map(|one| (one.uid.as_str(), one)).collect();
        objects.filter_map(|pod| of_pod(&pod, by_uid.get(object::meta(&pod, "uid"))?)).collect()
    };
    for item in &mut items {
        item["apiVersion"] = call.resource.api_version().into();
        item["kind"] = (*call.resource.kind).into();
    }
    if !call.path.name.is_empty() {
        let found = items.pop().ok_or_else(|| call.not_found())?;
        return Ok(Reply::Object(200, found, Vec::new()));
    }
    let list = json!({
        "apiVersion": call.resource.api_version(), "kind": &*call.resource.list_kind, "metadata": {}, "items": items,
    });
    Ok(Reply::Object(200, list, Vec::new()))
}

fn of_pod(pod: &Value, usage: &PodUsage) -> Option<Value> {
    let containers: Vec<Value> = usage
        .containers
        .iter()
        .map(|one| json!({"name": one.name, "usage": amounts(std::slice::from_ref(one))}))
        .collect();
    let mut item = measured(pod, usage)?;
    item["containers"] = containers.into();
    Some(item)
}

/// What the pods of a node use together; nothing of a node that does not answer.
fn of_node(node: &Value, usage: &[PodUsage]) -> Option<Value> {
    if object::condition(node, "Ready") != Some("True") {
        return None;
    }
    let name = object::meta(node, "name");
    let here: Vec<&PodUsage> = usage.iter().filter(|one| one.node == name).collect();
    let containers: Vec<ContainerUsage> = here.iter().flat_map(|one| one.containers.iter().cloned()).collect();
    let widest = here.into_iter().max_by_key(|one| one.window);
    let nothing = PodUsage {
        namespace: String::new(),
        pod: String::new(),
        uid: String::new(),
        node: String::new(),
        at: std::time::SystemTime::now(),
        window: Duration::from_secs(1),
        containers: Vec::new(),
    };
    let mut item = measured(node, widest.unwrap_or(&nothing))?;
    item["usage"] = amounts(&containers);
    Some(item)
}

/// Name, labels, time and window.
fn measured(of: &Value, usage: &PodUsage) -> Option<Value> {
    let at = Timestamp::try_from(usage.at).ok()?;
    let mut metadata = Map::new();
    for field in ["name", "namespace", "labels"] {
        if let Some(value) = of["metadata"].get(field) {
            metadata.insert(field.to_owned(), value.clone());
        }
    }
    metadata.insert("creationTimestamp".to_owned(), object::seconds(at));
    Some(json!({
        "metadata": metadata,
        "timestamp": object::seconds(at),
        "window": format!("{}s", (usage.window.as_millis() as f64 / 1000.0)),
    }))
}

fn amounts(containers: &[ContainerUsage]) -> Value {
    let cpu: u64 = containers.iter().map(|one| one.cpu_nanos).sum();
    let memory: u64 = containers.iter().map(|one| one.memory).sum();
    json!({"cpu": format!("{cpu}n"), "memory": format!("{}Ki", memory / 1024)})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(pod: &str, node: &str, cpu_nanos: u64) -> PodUsage {
        PodUsage {
            namespace: "default".to_owned(),
            pod: pod.to_owned(),
            uid: pod.to_owned(),
            node: node.to_owned(),
            at: std::time::SystemTime::UNIX_EPOCH,
            window: Duration::from_millis(1500),
            containers: vec![ContainerUsage { name: "main".to_owned(), cpu_nanos, memory: 3 << 20 }],
        }
    }

    #[test]
    fn pods_and_nodes_in_the_form_of_the_api() {
        let pod = json!({"metadata": {"name": "a", "namespace": "default", "uid": "a", "labels": {"app": "a"}}});
        let wanted = json!({
            "metadata": {"name": "a", "namespace": "default", "labels": {"app": "a"}, "creationTimestamp": "1970-01-01T00:00:00Z"},
            "timestamp": "1970-01-01T00:00:00Z", "window": "1.5s",
            "containers": [{"name": "main", "usage": {"cpu": "250000000n", "memory": "3072Ki"}}],
        });
        assert_eq!(of_pod(&pod, &usage("a", "n", 250_000_000)), Some(wanted));
        let node = |ready: &str| json!({"metadata": {"name": "n"}, "status": {"conditions": [{"type": "Ready", "status": ready}]}});
        let all = [usage("a", "n", 1), usage("b", "n", 2), usage("c", "other", 4)];
        let used = of_node(&node("True"), &all).map(|item| item["usage"].clone());
        assert_eq!(used, Some(json!({"cpu": "3n", "memory": "6144Ki"})));
        assert_eq!(of_node(&node("Unknown"), &all), None);
    }
}
