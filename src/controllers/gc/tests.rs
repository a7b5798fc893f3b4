//! What the graph says to look at, as objects come and go.

use kube::core::GroupVersionKind;
use kube::core::discovery::ApiResource;

use super::*;

fn served() -> Arc<Served> {
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("", "v1", "ConfigMap"), "configmaps");
    Arc::new(Served { resource, namespaced: true, verbs: Vec::new() })
}

fn meta(uid: &str, owners: &[(&str, bool)], finalizers: &[&str], deleting: bool) -> ObjectMeta {
    let owner = |(uid, block): &(&str, bool)| json!({"apiVersion": "v1", "kind": "ConfigMap", "name": uid, "uid": uid, "blockOwnerDeletion": block});
    let owners: Vec<Value> = owners.iter().map(owner).collect();
    let mut meta = json!({"uid": uid, "ownerReferences": owners, "finalizers": finalizers});
    if deleting {
        meta["deletionTimestamp"] = json!("1970-01-01T00:00:00Z");
    }
    serde_json::from_value(meta).unwrap_or_default()
}

fn put(graph: &mut Graph, meta: &ObjectMeta) -> Vec<String> {
    let uid = meta.uid.clone().unwrap_or_default();
    graph.update(&served(), &ObjectKey::new("n", uid), Some(meta))
}

fn take(graph: &mut Graph, uid: &str) -> Vec<String> {
    graph.update(&served(), &ObjectKey::new("n", uid), None)
}

#[test]
fn dependents_are_looked_at_when_their_owner_goes_or_was_never_seen() {
    let mut graph = Graph::default();
    assert_eq!(put(&mut graph, &meta("child", &[("owner", false)], &[], false)), ["child"]);
    assert!(put(&mut graph, &meta("owner", &[], &[], false)).is_empty());
    assert!(put(&mut graph, &meta("second", &[("owner", false)], &[], false)).is_empty());
    assert_eq!(take(&mut graph, "owner"), ["child", "second"]);
    assert!(take(&mut graph, "child").is_empty());
}

#[test]
fn a_foreground_deletion_follows_its_dependents() {
    let mut graph = Graph::default();
    put(&mut graph, &meta("owner", &[], &[], false));
    put(&mut graph, &meta("child", &[("owner", true)], &[], false));
    assert_eq!(put(&mut graph, &meta("owner", &[], &[FOREGROUND], true)), ["child", "owner"]);
    assert!(graph.dependents("owner").all(|(_, node)| node.blocks("owner")));
    assert_eq!(put(&mut graph, &meta("child", &[("owner", false)], &[], false)), ["owner"]);
    assert_eq!(put(&mut graph, &meta("late", &[("owner", true)], &[], false)), ["late"]);
    assert_eq!(take(&mut graph, "late"), ["owner"]);
    assert_eq!(put(&mut graph, &meta("child", &[], &[], false)), ["owner"]);
    assert_eq!(graph.dependents("owner").count(), 0);
}

#[test]
fn orphaning_is_the_owners_own_business() {
    let mut graph = Graph::default();
    put(&mut graph, &meta("owner", &[], &[], false));
    put(&mut graph, &meta("child", &[("owner", false)], &[], false));
    assert_eq!(put(&mut graph, &meta("owner", &[], &[ORPHAN], true)), ["owner"]);
    assert!(!graph.is_going("owner"));
    assert!(put(&mut graph, &meta("owner", &[], &[], true)).is_empty());
    assert!(graph.is_going("owner"));
}

#[test]
fn a_new_object_of_an_old_name_is_another_one() {
    let mut graph = Graph::default();
    put(&mut graph, &meta("owner", &[], &[], false));
    put(&mut graph, &meta("child", &[("owner", false)], &[], false));
    let mut other = meta("owner", &[], &[], false);
    other.uid = Some("other".to_owned());
    assert_eq!(graph.update(&served(), &ObjectKey::new("n", "owner"), Some(&other)), ["child"]);
    assert!(graph.get("owner").is_none() && graph.get("other").is_some());
}

#[test]
fn an_owner_out_of_reach_is_looked_into() {
    let mut graph = Graph::default();
    let owner = meta("owner", &[], &[], false);
    graph.update(&served(), &ObjectKey::new("far", "owner"), Some(&owner));
    assert_eq!(put(&mut graph, &meta("child", &[("owner", false)], &[], false)), ["child"]);
}
