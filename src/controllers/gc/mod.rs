//! Garbage collection by owner references: in the background, in the foreground, and orphaning. The loop: what the caches say
//! goes into `graph`, what it says to look at is looked at afresh, and `plan` decides.

mod graph;
mod plan;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::core::{DynamicObject, ObjectMeta, PartialObjectMeta};
use kube::{Api, Client};
use serde_json::{Value, json};
use tinderbox_client::discovery::Served;
use tinderbox_client::error::Doing;
use tinderbox_client::plan::encode;
use tinderbox_client::{
    Applier, Error, Note, ObjectKey, Plan, Queue, Result, Runner, Severity, Step, Verb, runner::Action,
};

use self::graph::{FOREGROUND, Graph, Node, ORPHAN};
use self::plan::{Fate, Owner, Stage};
use crate::context::Context;
use crate::resources::Resources;

/// How long the first look waits for all resources to be listed.
const PATIENCE: Duration = Duration::from_secs(10);

/// The uid of an object to look at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Uid(String);

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Clone)]
struct Collector {
    client: Client,
    resources: Resources,
    graph: Arc<Mutex<Graph>>,
    queue: Queue<Uid>,
    applier: Arc<Applier>,
}

/// Runs the controller.
pub(crate) fn run(context: Context, resources: Resources) -> BoxFuture<'static, Result<()>> {
    async move {
        let collector = Collector {
            client: context.client.clone(),
            resources: resources.clone(),
            graph: Arc::default(),
            queue: Queue::new(context.clock.clone()),
            applier: context.applier("kube-controller-manager", "garbage-collector-controller"),
        };
        resources.subscribe({
            let collector = collector.clone();
            move |served, key| collector.see(served, key)
        });
        resources.ready(PATIENCE).await?;
        let runner = Runner {
            name: "garbage collector",
            queue: collector.queue.clone(),
            concurrency: 16,
            token: context.token.clone(),
        };
        runner
            .run(move |uid: Uid| {
                let collector = collector.clone();
                async move { collector.look(&uid.0).await.map(|()| Action::Done) }
            })
            .await;
        Ok(())
    }
    .boxed()
}

impl Collector {
    fn graph(&self) -> MutexGuard<'_, Graph> {
        self.graph.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what the cache has at a place now.
    fn see(&self, served: &Arc<Served>, key: &ObjectKey) {
        let Some(cache) = self.resources.cache(served) else {
            return;
        };
        let mut graph = self.graph();
        let look = graph.update(served, key, cache.meta(key).as_ref());
        drop(graph);
        look.into_iter().for_each(|uid| self.queue.add(Uid(uid)));
    }

    async fn look(&self, uid: &str) -> Result<()> {
        let node = self.graph().get(uid).cloned();
        let Some(node) = node else {
            return Ok(());
        };
        if self.graph().is_going(uid) {
            return Ok(());
        }
        let Some(meta) = self.live(&node.served, &node.key).await?.filter(|meta| meta.uid.as_deref() == Some(uid))
        else {
            self.see(&node.served, &node.key);
            return Ok(());
        };
        match plan::stage(&meta) {
            Stage::Settled => Ok(()),
            Stage::Orphaning => self.orphan(uid, &node, &meta).await,
            Stage::Foreground => self.foreground(uid, &node, &meta).await,
            Stage::Owned => self.judge(uid, &node, &meta).await,
        }
    }

    /// Sets the dependents of an object free, then lets it go.
    async fn orphan(&self, uid: &str, node: &Node, meta: &ObjectMeta) -> Result<()> {
        let dependents: Vec<Node> = self.graph().dependents(uid).map(|(_, node)| node.clone()).collect();
        let mut plan = Plan::default();
        for dependent in dependents {
            if let Some(live) = self.live(&dependent.served, &dependent.key).await? {
                let rest = without(&live, &[uid.to_owned()]);
                plan.push(patch(&dependent, &live, json!({"ownerReferences": rest})));
            }
        }
        plan.then();
        plan.push(patch(node, meta, json!({"finalizers": finalizers(meta, ORPHAN)})));
        self.applier.apply(plan).await.map(drop)
    }

    /// Lets an object go whose dependents are gone, or looks at those that are not.
    async fn foreground(&self, uid: &str, node: &Node, meta: &ObjectMeta) -> Result<()> {
        let blocking: Vec<String> = {
            let graph = self.graph();
            let blocking = graph.dependents(uid).filter(|(_, dependent)| dependent.blocks(uid));
            blocking.map(|(uid, _)| uid.to_owned()).collect()
        };
        if !blocking.is_empty() {
            blocking.into_iter().for_each(|uid| self.queue.add(Uid(uid)));
            return Ok(());
        }
        self.applier.step(patch(node, meta, json!({"finalizers": finalizers(meta, FOREGROUND)}))).await
    }

    async fn judge(&self, uid: &str, node: &Node, meta: &ObjectMeta) -> Result<()> {
        let mut owners = Vec::new();
        for reference in meta.owner_references.iter().flatten() {
            match self.owner(node, meta, reference).await? {
                Some(owner) => owners.push((reference.uid.clone(), owner)),
                // A reference that can be right nowhere: it was told, and nothing is deleted for it.
                None => owners.push((reference.uid.clone(), Owner::Solid)),
            }
        }
        let (has_dependents, circular) = {
            let graph = self.graph();
            let circular = graph.dependents(uid).any(|(_, dependent)| dependent.waits_for_dependents());
            (graph.dependents(uid).next().is_some(), circular)
        };
        match plan::fate(meta, &owners, has_dependents, circular) {
            Fate::Stay => Ok(()),
            Fate::Drop(lost) => {
                self.applier.step(patch(node, meta, json!({"ownerReferences": without(meta, &lost)}))).await
            }
            Fate::Go { propagation, unblock } => {
                let mut version = meta.resource_version.clone();
                if unblock {
                    let mut references = meta.owner_references.clone().unwrap_or_default();
                    references.iter_mut().for_each(|reference| reference.block_owner_deletion = Some(false));
                    self.applier.step(patch(node, meta, json!({"ownerReferences": encode(&references)}))).await?;
                    version = None;
                }
                let verb = Verb::Delete { uid: uid.to_owned(), version, propagation: Some(propagation), grace: None };
                self.applier.step(step(node, verb)).await
            }
        }
    }

    /// How an owner stands; nothing when the reference cannot be right.
    async fn owner(&self, node: &Node, meta: &ObjectMeta, reference: &OwnerReference) -> Result<Option<Owner>> {
        let known = self.graph().get(&reference.uid).cloned();
        let group = reference.api_version.split_once('/').map_or("", |(group, _)| group);
        if let Some(owner) = &known {
            if node.refers_to(owner) {
                return Ok(Some(if owner.waits_for_dependents() { Owner::Waiting } else { Owner::Solid }));
            }
            self.tell_misplaced(node, meta, reference);
            if node.key.namespace.is_empty() {
                return Ok(None);
            }
            return Ok(Some(Owner::Dangling));
        }
        let Some(served) = self.resources.of_kind(group, &reference.kind) else {
            let kind = &reference.kind;
            return Err(Error::Invalid(format!(
                "the API serves no {kind} of {}, which owns {}",
                reference.api_version, node.key
            )));
        };
        if served.namespaced && node.key.namespace.is_empty() {
            self.tell_misplaced(node, meta, reference);
            return Ok(None);
        }
        let namespace = if served.namespaced { node.key.namespace.as_str() } else { "" };
        let live = self.live(&served, &ObjectKey::new(namespace, &*reference.name)).await?;
        let live = live.filter(|live| live.uid.as_ref() == Some(&reference.uid));
        Ok(Some(match live.as_ref().map(plan::stage) {
            None => Owner::Dangling,
            Some(Stage::Foreground) => Owner::Waiting,
            Some(_) => Owner::Solid,
        }))
    }

    fn tell_misplaced(&self, node: &Node, meta: &ObjectMeta, reference: &OwnerReference) {
        let resource = &node.served.resource;
        let namespace = &node.key.namespace;
        let text = format!(
            "ownerRef [{}/{}, namespace: {namespace}, name: {}, uid: {}] does not exist in namespace \"{namespace}\"",
            reference.api_version, reference.kind, reference.name, reference.uid
        );
        self.applier.recorder().publish(Note {
            regarding: ObjectReference {
                api_version: Some(resource.api_version.clone()),
                kind: Some(resource.kind.clone()),
                namespace: Some(namespace.clone()),
                name: Some(node.key.name.clone()),
                uid: meta.uid.clone(),
                ..ObjectReference::default()
            },
            severity: Severity::Warning,
            reason: "OwnerRefInvalidNamespace".to_owned(),
            message: text,
        });
    }

    /// The metadata of an object as the API has it now.
    async fn live(&self, served: &Served, key: &ObjectKey) -> Result<Option<ObjectMeta>> {
        let (client, resource) = (self.client.clone(), &served.resource);
        let api: Api<PartialObjectMeta<DynamicObject>> = if served.namespaced {
            Api::namespaced_with(client, &key.namespace, resource)
        } else {
            Api::all_with(client, resource)
        };
        let object = api.get_opt(&key.name).await;
        let object = object.doing(|| format!("get {} {key}", resource.plural))?;
        Ok(object.map(|object| object.metadata))
    }
}

fn step(node: &Node, verb: Verb) -> Step {
    Step {
        resource: node.served.resource.clone(),
        namespace: node.key.namespace.clone(),
        name: node.key.name.clone(),
        verb,
        done: None,
        told: None,
        failed: None,
    }
}

/// Changes the metadata of an object if it is still the one that was looked at.
fn patch(node: &Node, meta: &ObjectMeta, mut change: Value) -> Step {
    change["uid"] = json!(meta.uid);
    change["resourceVersion"] = json!(meta.resource_version);
    step(node, Verb::Merge { subresource: None, body: json!({"metadata": change}) })
}

fn without(meta: &ObjectMeta, owners: &[String]) -> Value {
    let references = meta.owner_references.iter().flatten();
    let rest: Vec<&OwnerReference> = references.filter(|reference| !owners.contains(&reference.uid)).collect();
    if rest.is_empty() { Value::Null } else { encode(&rest) }
}

fn finalizers(meta: &ObjectMeta, without: &str) -> Value {
    let rest: Vec<&String> = meta.finalizers.iter().flatten().filter(|one| *one != without).collect();
    if rest.is_empty() { Value::Null } else { encode(&rest) }
}

#[cfg(test)]
mod tests;
