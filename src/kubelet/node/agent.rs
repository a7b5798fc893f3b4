//! One node's word to the API: its status, and the lease that it renews for as long as it lives.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use tinderbox_api::pools::Capacity;

use super::machine::Machine;
use super::object::{self, Facts};
use crate::events::Events;
use crate::known::KnownImages;

const LEASE_NAMESPACE: &str = "kube-node-lease";
const LEASE_SECONDS: i32 = 40;
/// The status is written anew this often, as a heartbeat.
const STATUS_EVERY: Duration = Duration::from_secs(300);
const RETRY: Duration = Duration::from_millis(200);

/// What a node that has just been registered says of itself, as the conditions that it begins with.
const BEGINNINGS: [&str; 4] = ["NodeHasSufficientMemory", "NodeHasNoDiskPressure", "NodeHasSufficientPID", "NodeReady"];

/// Tells that the node is here.
pub(crate) fn announce(name: &str, events: &Events) {
    events.node("Starting", "Starting kubelet.".to_owned());
    for reason in BEGINNINGS {
        events.node(reason, format!("Node {name} status is now: {reason}"));
    }
}

/// A node that speaks for itself.
pub(crate) struct NodeAgent {
    pub(crate) client: Client,
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) capacity: Capacity,
    pub(crate) images: KnownImages,
    pub(crate) renew: Duration,
}

impl NodeAgent {
    /// Completes the object, which must be there; its uid.
    pub(crate) async fn register(&self) -> kube::Result<String> {
        let machine = Machine::read();
        let now = Timestamp::now();
        let facts = self.facts(&machine, now, now);
        let nodes: Api<Node> = Api::all(self.client.clone());
        let patch = json!({"metadata": {"labels": object::labels(&facts)}});
        let node = nodes.patch(&self.name, &PatchParams::default(), &Patch::Merge(patch)).await?;
        self.write_status(&object::status(&facts)).await?;
        Ok(node.uid().unwrap_or_default())
    }

    /// Renews until it is aborted.
    pub(crate) async fn keep(self, uid: String) {
        let machine = Machine::read();
        let since = Timestamp::now();
        let mut told = tokio::time::Instant::now();
        let mut news = self.images.news();
        let mut listed = self.images.list();
        loop {
            let outcome = async {
                self.renew(&uid).await?;
                let images = self.images.list();
                // Somebody may have given this node up: it is here all the same.
                if told.elapsed() >= STATUS_EVERY || images != listed || !self.is_ready().await? {
                    self.write_status(&object::status(&self.facts(&machine, since, Timestamp::now()))).await?;
                    told = tokio::time::Instant::now();
                    listed = images;
                }
                Ok::<(), kube::Error>(())
            };
            let pause = match outcome.await {
                Ok(()) => self.renew,
                Err(error) => {
                    tracing::debug!(%error, node = self.name, "cannot renew the node's lease; trying again");
                    RETRY
                }
            };
            // The sender lives as long as this agent has a copy of it.
            let _ = tokio::time::timeout(pause, news.changed()).await;
        }
    }

    fn facts<'a>(&'a self, machine: &'a Machine, since: Timestamp, now: Timestamp) -> Facts<'a> {
        Facts {
            name: &self.name,
            address: self.address.clone(),
            capacity: self.capacity,
            images: self.images.list(),
            machine,
            ready_since: since,
            now,
        }
    }

    async fn is_ready(&self) -> kube::Result<bool> {
        let node = Api::<Node>::all(self.client.clone()).get(&self.name).await?;
        let conditions = node.status.and_then(|status| status.conditions);
        Ok(conditions.iter().flatten().any(|one| one.type_ == "Ready" && one.status == "True"))
    }

    async fn write_status(&self, status: &Value) -> kube::Result<()> {
        let nodes: Api<Node> = Api::all(self.client.clone());
        let patch = Patch::Merge(json!({ "status": status }));
        nodes.patch_status(&self.name, &PatchParams::default(), &patch).await.map(drop)
    }

    async fn renew(&self, uid: &str) -> kube::Result<()> {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), LEASE_NAMESPACE);
        let time = format!("{:.6}", Timestamp::now());
        let spec = json!({"holderIdentity": self.name, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": time});
        let patch = Patch::Merge(json!({ "spec": spec }));
        match leases.patch(&self.name, &PatchParams::default(), &patch).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            outcome => return outcome.map(drop),
        }
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self.name, "namespace": LEASE_NAMESPACE,
                "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": self.name, "uid": uid}]},
            "spec": spec,
        });
        let lease: Lease = serde_json::from_value(lease).map_err(kube::Error::SerdeError)?;
        leases.create(&PostParams::default(), &lease).await.map(drop)
    }
}
