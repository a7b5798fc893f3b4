//! All nodes of this process: a Node object of one of its pools is a node that runs here, unless its power is off; an object that is
//! deleted is a node that is gone. Who wants more nodes or fewer writes objects; nothing here decides how many there are.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::{join_all, try_join_all};
use k8s_openapi::api::core::v1::Node;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use tinderbox_api::pools::{OFF, POWER, POWER_STATE, Pool, Pools};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::NodeAgent;
use super::agent::announce;
use crate::addresses::Lease;
use crate::context::{Context, Shared};
use crate::events::Events;
use crate::kubelet::KubeletError;
use crate::pods::handle::Pods;
use crate::pods::manager;

/// A node that could not be started is tried again after this time.
const RETRY: Duration = Duration::from_secs(1);

/// The nodes of this process.
pub(crate) struct Fleet {
    shared: Arc<Shared>,
    pods: Pods,
    pools: Pools,
    as_node: Arc<dyn Fn(&str) -> Client + Send + Sync>,
    renew: Duration,
    running: Mutex<BTreeMap<String, Running>>,
}

/// A node with power.
struct Running {
    uid: String,
    stop: CancellationToken,
    manager: AbortOnDropHandle<()>,
    _keeper: AbortOnDropHandle<()>,
    _address: Lease,
}

/// Whether a node's power is to be on.
fn is_on(node: &Node) -> bool {
    node.annotations().get(POWER).is_none_or(|word| word != OFF)
}

impl Fleet {
    pub(crate) fn new(
        shared: Arc<Shared>,
        pods: Pods,
        pools: Pools,
        as_node: Arc<dyn Fn(&str) -> Client + Send + Sync>,
        renew: Duration,
    ) -> Self {
        Self { shared, pods, pools, as_node, renew, running: Mutex::default() }
    }

    /// Starts the first nodes of each pool and all that are there already; a start of the place gives power to all.
    pub(crate) async fn begin(&self) -> Result<(), KubeletError> {
        let nodes: Api<Node> = Api::all(self.shared.client.clone());
        let there = nodes.list(&ListParams::default()).await.map_err(KubeletError::List)?.items;
        let named = |name: &str| there.iter().find(|node| node.name_any() == name);
        let first = self.pools.iter().flat_map(|pool| (0..pool.min as usize).map(move |index| (pool, index)));
        let made = try_join_all(first.map(|(pool, index)| async move {
            let node = self.pools.node(pool, index);
            let name = node.name_any();
            let api: Api<Node> = Api::all((self.as_node)(&name));
            let made = match named(&name) {
                None => match api.create(&PostParams::default(), &node).await {
                    // Who keeps the pools up was quicker.
                    Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => api.get(&name).await,
                    made => made,
                },
                // One from before there were pools says only now to which it belongs.
                Some(known) if self.pools.of(known).is_none() => {
                    let labels = Patch::Merge(json!({"metadata": {"labels": node.metadata.labels}}));
                    api.patch(&name, &PatchParams::default(), &labels).await
                }
                Some(_) => return Ok(None),
            };
            made.map(Some).map_err(|source| KubeletError::Register { name, source })
        }))
        .await?;
        let mut running = self.running.lock().await;
        for node in there.iter().chain(made.iter().flatten()) {
            let Some(pool) = self.pools.of(node) else { continue };
            if !is_on(node) || node.annotations().contains_key(POWER_STATE) {
                self.note_power(&node.name_any(), json!({POWER: null, POWER_STATE: null})).await?;
            }
            running.insert(node.name_any(), self.start(node, pool).await?);
        }
        Ok(())
    }

    /// Follows the objects for as long as the process lives.
    pub(crate) async fn follow(&self) {
        let api: Api<Node> = Api::all(self.shared.client.clone());
        let mut events = watcher(api, watcher::Config::default()).default_backoff().boxed();
        let mut seen = BTreeMap::new();
        let mut listing = BTreeMap::new();
        let mut again = false;
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                () = tokio::time::sleep(RETRY), if again => {
                    again = !self.agree(&seen).await;
                    continue;
                }
            };
            match event {
                None => return,
                Some(Ok(Event::Init)) => listing.clear(),
                Some(Ok(Event::InitApply(node))) => drop(listing.insert(node.name_any(), node)),
                Some(Ok(Event::InitDone)) => {
                    seen = std::mem::take(&mut listing);
                    again = !self.agree(&seen).await;
                }
                Some(Ok(Event::Apply(node))) => {
                    seen.insert(node.name_any(), node);
                    again = !self.agree(&seen).await;
                }
                Some(Ok(Event::Delete(node))) => {
                    seen.remove(&node.name_any());
                    again = !self.agree(&seen).await;
                }
                Some(Err(error)) => tracing::warn!(%error, "cannot watch the nodes"),
            }
        }
    }

    /// Starts and stops nodes until what runs is what the objects say; false when something has to be tried again.
    async fn agree(&self, seen: &BTreeMap<String, Node>) -> bool {
        let mut running = self.running.lock().await;
        let mut done = true;
        let wanted = |name: &str, uid: &str| {
            let node = seen.get(name).filter(|node| node.uid().as_deref() == Some(uid));
            node.is_some_and(is_on)
        };
        let leaving: Vec<String> =
            running.iter().filter(|(name, one)| !wanted(name, &one.uid)).map(|(name, _)| name.clone()).collect();
        for name in leaving {
            if let Some(one) = running.remove(&name) {
                let is_gone = seen.get(&name).is_none_or(|node| node.uid().as_deref() != Some(&one.uid));
                self.stop(&name, one, is_gone).await;
            }
        }
        for (name, node) in seen {
            let Some(pool) = self.pools.of(node) else { continue };
            let is_off = node.annotations().get(POWER_STATE).is_some_and(|word| word == OFF);
            let outcome = match (is_on(node), running.contains_key(name)) {
                (true, false) => match self.start(node, pool).await {
                    Ok(one) => {
                        running.insert(name.clone(), one);
                        if is_off { self.note_power(name, json!({POWER_STATE: null})).await } else { Ok(()) }
                    }
                    Err(error) => Err(error),
                },
                (true, true) if is_off => self.note_power(name, json!({POWER_STATE: null})).await,
                (false, _) if !is_off => self.note_power(name, json!({POWER_STATE: OFF})).await,
                _ => Ok(()),
            };
            if let Err(error) = outcome {
                tracing::warn!(
                    node = name,
                    error = &error as &dyn std::error::Error,
                    "cannot switch a node; trying again"
                );
                done = false;
            }
        }
        done
    }

    async fn note_power(&self, name: &str, annotations: serde_json::Value) -> Result<(), KubeletError> {
        let api: Api<Node> = Api::all(self.shared.client.clone());
        let patch = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
        let noted = api.patch(name, &PatchParams::default(), &patch).await;
        noted.map(drop).map_err(|source| KubeletError::Register { name: name.to_owned(), source })
    }

    /// Starts a node whose object is there.
    async fn start(&self, node: &Node, pool: &Pool) -> Result<Running, KubeletError> {
        let name = node.name_any();
        let client = (self.as_node)(&name);
        let lease = self.shared.addresses.lease_node(address_of(node));
        let lease = lease.ok_or_else(|| KubeletError::Address { name: name.clone() })?;
        let capacity = self.pools.capacity(pool);
        let agent = NodeAgent {
            client: client.clone(),
            name: name.clone(),
            address: lease.address().to_string(),
            capacity,
            images: self.shared.known_images.clone(),
            renew: self.renew,
        };
        let uid = agent.register().await.map_err(|source| KubeletError::Register { name: name.clone(), source })?;
        let events = Events::start(client.clone(), name.clone());
        announce(&name, &events);
        let context = Arc::new(Context {
            shared: self.shared.clone(),
            client,
            node: name,
            host_ip: lease.address(),
            events,
            cpu_millis: capacity.cpu_millis,
            memory: capacity.memory,
        });
        let stop = CancellationToken::new();
        let manager = tokio::spawn(manager::run(context, self.pods.clone(), stop.clone()));
        Ok(Running {
            uid: uid.clone(),
            stop,
            manager: AbortOnDropHandle::new(manager),
            _keeper: AbortOnDropHandle::new(tokio::spawn(agent.keep(uid))),
            _address: lease,
        })
    }

    /// Ends a node as the loss of its power does: its processes are killed, and the API hears nothing of it.
    async fn stop(&self, name: &str, node: Running, is_gone: bool) {
        node.end().await;
        join_all(self.pods.take_of(name).into_iter().map(|pod| async move {
            if let Err(error) = self.shared.place.remove_pod(&pod.uid).await {
                tracing::debug!(%error, pod = pod.uid, "a pod of a node that ends had no sandbox");
            }
            if is_gone {
                // What stays is removed when the place starts again.
                let _ = tokio::fs::remove_dir_all(self.shared.pods.join(&pod.uid)).await;
            }
        }))
        .await;
    }

    /// Ends all agents, which leave the API as it is.
    pub(crate) async fn end(&self) {
        let running = std::mem::take(&mut *self.running.lock().await);
        join_all(running.into_values().map(Running::end)).await;
    }
}

impl Running {
    /// Ends the agent; no worker writes anything after that.
    async fn end(self) {
        self.stop.cancel();
        if let Err(error) = self.manager.await {
            tracing::error!(%error, "the manager of a node's pods did not end well");
        }
    }
}

fn address_of(node: &Node) -> Option<Ipv4Addr> {
    let addresses = node.status.as_ref()?.addresses.as_ref()?;
    addresses.iter().find(|one| one.type_ == "InternalIP")?.address.parse().ok()
}
