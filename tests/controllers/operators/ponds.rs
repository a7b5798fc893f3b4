//! The operator on kube-rs: for each Pond a ConfigMap that says how many fish are in it, and a line in a diary when one goes.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::runtime::controller::{Action, Controller};
use kube::runtime::finalizer::{Event, finalizer};
use kube::runtime::watcher::Config;
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::json;
use tokio::task::JoinHandle;

use super::election;

/// The lease that replicas hold.
pub(super) const LEASE: &str = "ponds.example.com";
/// Where is written which ponds are gone.
pub(super) const DIARY: &str = "ponds-diary";
/// Keeps a pond until that is written.
pub(super) const FINALIZER: &str = "example.com/ponds";
/// The field manager of what the operator applies.
pub(super) const MANAGER: &str = "ponds";

/// The resource of ponds.
pub(super) fn ponds() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("example.com", "v1", "Pond"))
}

/// A replica.
pub(super) struct Replica(JoinHandle<()>);

impl Replica {
    /// Starts a replica of this name.
    pub(super) fn start(client: &Client, name: &'static str) -> Self {
        let client = client.clone();
        Self(tokio::spawn(async move {
            let leases: Api<Lease> = Api::default_namespaced(client.clone());
            election::win(&leases, LEASE, name).await;
            tokio::select! {
                () = election::keep(&leases, LEASE, name) => {}
                () = operate(&client, name) => {}
            }
        }))
    }

    /// Ends it at once: it lets go of nothing.
    pub(super) fn end(self) {
        drop(self);
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Work {
    client: Client,
    name: &'static str,
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Api(#[from] kube::Error),
    #[error(transparent)]
    Finalizer(#[from] Box<kube::runtime::finalizer::Error<kube::Error>>),
}

async fn operate(client: &Client, name: &'static str) {
    let all: Api<DynamicObject> = Api::default_namespaced_with(client.clone(), &ponds());
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    Controller::new_with(all, Config::default(), ponds())
        .owns(maps, Config::default())
        .run(
            reconcile,
            |_, _, _| Action::requeue(Duration::from_millis(200)),
            Arc::new(Work { client: client.clone(), name }),
        )
        .for_each(|_| std::future::ready(()))
        .await;
}

async fn reconcile(pond: Arc<DynamicObject>, work: Arc<Work>) -> Result<Action, Failure> {
    let all: Api<DynamicObject> = Api::default_namespaced_with(work.client.clone(), &ponds());
    let maps: Api<ConfigMap> = Api::default_namespaced(work.client.clone());
    let done = finalizer(&all, FINALIZER, pond, |event| async {
        match event {
            Event::Apply(pond) => keep(&all, &maps, &pond, work.name).await,
            Event::Cleanup(pond) => {
                let name = pond.name_any();
                let line = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {&name: format!("gone, says {}", work.name)}});
                let manager = format!("{MANAGER}-{name}");
                maps.patch(DIARY, &PatchParams::apply(&manager), &Patch::Apply(line)).await?;
                Ok(Action::await_change())
            }
        }
    })
    .await;
    Ok(done.map_err(Box::new)?)
}

async fn keep(
    all: &Api<DynamicObject>,
    maps: &Api<ConfigMap>,
    pond: &DynamicObject,
    by: &str,
) -> Result<Action, kube::Error> {
    let name = pond.name_any();
    let fish = pond.data["spec"]["fish"].clone();
    let wanted = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"ownerReferences": [pond.controller_owner_ref(&ponds())]},
        "data": {"fish": fish.to_string(), "by": by},
    });
    maps.patch(&name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(wanted)).await?;
    let status = json!({"apiVersion": "example.com/v1", "kind": "Pond", "status": {"fish": fish}});
    all.patch_status(&name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(status)).await?;
    Ok(Action::await_change())
}
