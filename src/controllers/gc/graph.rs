//! Who owns whom, by uid, over all resources. Each change says which objects to look at again. Pure: it neither asks nor
//! deletes. Upstream rule: `pkg/controller/garbagecollector/graph_builder.go`.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::core::ObjectMeta;
use tinderbox_client::ObjectKey;
use tinderbox_client::discovery::Served;

/// Waits for dependents to be deleted first.
pub(super) const FOREGROUND: &str = "foregroundDeletion";
/// Waits for dependents to be set free.
pub(super) const ORPHAN: &str = "orphan";

/// An object as far as ownership goes.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) served: Arc<Served>,
    pub(super) key: ObjectKey,
    pub(super) owners: Vec<OwnerReference>,
    deleting: bool,
    foreground: bool,
    orphan: bool,
}

impl Node {
    fn new(served: &Arc<Served>, key: &ObjectKey, meta: &ObjectMeta) -> Self {
        let deleting = meta.deletion_timestamp.is_some();
        let has = |finalizer: &str| meta.finalizers.iter().flatten().any(|one| one == finalizer);
        Self {
            served: served.clone(),
            key: key.clone(),
            owners: meta.owner_references.clone().unwrap_or_default(),
            deleting,
            foreground: deleting && has(FOREGROUND),
            orphan: deleting && has(ORPHAN),
        }
    }

    /// Waits for its dependents to go.
    pub(super) fn waits_for_dependents(&self) -> bool {
        self.foreground
    }

    /// Whether a reference of this object means `owner` by more than its uid: by kind, name and a namespace that it can reach.
    pub(super) fn refers_to(&self, owner: &Self) -> bool {
        let near = owner.key.namespace.is_empty() || owner.key.namespace == self.key.namespace;
        let resource = &owner.served.resource;
        let means = |one: &OwnerReference| {
            let group = one.api_version.split_once('/').map_or("", |(group, _)| group);
            one.name == owner.key.name && one.kind == resource.kind && group == resource.group
        };
        near && self.owners.iter().any(means)
    }

    /// Whether this object keeps `owner` from going in the foreground.
    pub(super) fn blocks(&self, owner: &str) -> bool {
        let blocks = |one: &OwnerReference| one.uid == owner && one.block_owner_deletion == Some(true);
        self.owners.iter().any(blocks)
    }
}

type Place = (String, String, ObjectKey);

/// All objects and their owners.
#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: HashMap<String, Node>,
    at: HashMap<Place, String>,
    /// Uids of dependents by uid of owner, whether the owner was seen or not.
    dependents: HashMap<String, BTreeSet<String>>,
}

impl Graph {
    /// The object of a uid.
    pub(super) fn get(&self, uid: &str) -> Option<&Node> {
        self.nodes.get(uid)
    }

    /// The dependents of an object, by uid.
    pub(super) fn dependents(&self, uid: &str) -> impl Iterator<Item = (&str, &Node)> {
        let uids = self.dependents.get(uid).into_iter().flatten();
        uids.filter_map(|uid| self.nodes.get(uid).map(|node| (uid.as_str(), node)))
    }

    /// Takes in what is at a place now, and returns the uids of the objects to look at.
    pub(super) fn update(&mut self, served: &Arc<Served>, key: &ObjectKey, meta: Option<&ObjectMeta>) -> Vec<String> {
        let mut look = Vec::new();
        let place = (served.resource.group.clone(), served.resource.plural.clone(), key.clone());
        let uid = meta.and_then(|meta| meta.uid.clone());
        let before = self.at.get(&place).cloned();
        if let Some(before) = before.filter(|before| Some(before) != uid.as_ref()) {
            self.at.remove(&place);
            self.remove(&before, &mut look);
        }
        if let (Some(uid), Some(meta)) = (uid, meta) {
            self.at.insert(place, uid.clone());
            self.put(uid, Node::new(served, key, meta), &mut look);
        }
        look
    }

    fn remove(&mut self, uid: &str, look: &mut Vec<String>) {
        let Some(node) = self.nodes.remove(uid) else {
            return;
        };
        look.extend(self.dependents.get(uid).into_iter().flatten().cloned());
        for owner in &node.owners {
            self.unlink(&owner.uid, uid);
            self.look_at_waiting(&owner.uid, look);
        }
    }

    fn put(&mut self, uid: String, node: Node, look: &mut Vec<String>) {
        let old = self.nodes.insert(uid.clone(), node.clone());
        let owned = |node: &Node| -> BTreeSet<String> { node.owners.iter().map(|owner| owner.uid.clone()).collect() };
        let before = old.as_ref().map(owned).unwrap_or_default();
        let now = owned(&node);
        for owner in before.difference(&now) {
            self.unlink(owner, &uid);
            self.look_at_waiting(owner, look);
        }
        for owner in now.difference(&before) {
            self.dependents.entry(owner.clone()).or_default().insert(uid.clone());
            if self.nodes.get(owner).is_none_or(|owner| owner.waits_for_dependents() || !node.refers_to(owner)) {
                look.push(uid.clone());
            }
        }
        if let Some(old) = &old {
            for owner in before.intersection(&now).filter(|owner| old.blocks(owner) && !node.blocks(owner)) {
                self.look_at_waiting(owner, look);
            }
        }
        let newly = |now: bool, before: fn(&Node) -> bool| now && !old.as_ref().is_some_and(before);
        if newly(node.foreground, |old| old.foreground) {
            look.extend(self.dependents.get(&uid).into_iter().flatten().cloned());
            look.push(uid.clone());
        }
        if newly(node.orphan, |old| old.orphan) {
            look.push(uid);
        }
        look.dedup();
    }

    fn unlink(&mut self, owner: &str, uid: &str) {
        if let Some(dependents) = self.dependents.get_mut(owner) {
            dependents.remove(uid);
            if dependents.is_empty() {
                self.dependents.remove(owner);
            }
        }
    }

    fn look_at_waiting(&self, owner: &str, look: &mut Vec<String>) {
        if self.nodes.get(owner).is_some_and(Node::waits_for_dependents) {
            look.push(owner.to_owned());
        }
    }

    /// Whether an object is on its way out without waiting for anything here.
    pub(super) fn is_going(&self, uid: &str) -> bool {
        self.nodes.get(uid).is_some_and(|node| node.deleting && !node.foreground && !node.orphan)
    }
}
