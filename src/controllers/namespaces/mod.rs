//! The end of namespaces: everything in them is deleted, finalizers are waited for, and then they are let go. The loop and the
//! look at what is left; what that means is decided in `plan`.

mod plan;

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, ListParams};
use kube::core::{DynamicObject, PartialObjectMeta};
use kube::{Api, Client, ResourceExt};
use tinderbox_client::clock::after;
use tinderbox_client::discovery::{Served, served};
use tinderbox_client::error::{Doing, chain};
use tinderbox_client::{Applier, Cache, ObjectKey, Queue, Result, Runner, runner::Action};

use self::plan::Found;
use crate::context::Context;
use crate::meta::is_deleting;
use crate::resources::Resources;

/// Changes inside an ending namespace come in crowds.
const GATHER: Duration = Duration::from_millis(50);
/// Another look though nothing was seen to change.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs the controller.
pub(crate) fn run(context: Context, resources: Resources) -> BoxFuture<'static, Result<()>> {
    async move {
        let namespaces = context.caches.get::<Namespace>();
        let queue = Queue::new(context.clock.clone());
        namespaces.subscribe({
            let queue = queue.clone();
            move |change| queue.add(change.key().name)
        });
        resources.subscribe({
            let (queue, namespaces) = (queue.clone(), namespaces.clone());
            move |_, key| {
                let namespace = namespaces.get(&ObjectKey::cluster(&*key.namespace));
                if namespace.is_some_and(|namespace| is_deleting(&*namespace)) {
                    queue.add_after(key.namespace.clone(), GATHER);
                }
            }
        });
        namespaces.synced().await?;
        let applier = context.applier("kube-controller-manager", "namespace-controller");
        let (client, clock) = (context.client.clone(), context.clock.clone());
        let runner = Runner { name: "namespaces", queue, concurrency: 4, token: context.token.clone() };
        runner.run(move |name| reconcile(client.clone(), namespaces.clone(), name, applier.clone(), clock.now())).await;
        Ok(())
    }
    .boxed()
}

async fn reconcile(
    client: Client,
    namespaces: Cache<Namespace>,
    name: String,
    applier: Arc<Applier>,
    now: Timestamp,
) -> Result<Action> {
    let namespace = namespaces.get(&ObjectKey::cluster(&*name));
    let Some(namespace) = namespace.filter(|namespace| plan::is_ending(namespace)) else {
        return Ok(Action::Done);
    };
    let found = clear(&client, &name).await;
    let done = found.is_empty();
    applier.apply(plan::plan(&namespace, &found, now)).await?;
    Ok(if done { Action::Done } else { Action::At(after(now, PATIENCE)) })
}

/// Deletes what is in a namespace, and says what is left. Pods go before all else, so that what they need is there to their end.
async fn clear(client: &Client, namespace: &str) -> Found {
    let mut found = Found::default();
    let resources = match served(client).await {
        Ok(resources) => resources,
        Err(error) => {
            found.undiscovered = Some(chain(&error));
            return found;
        }
    };
    let own = resources.iter().filter(|served| served.namespaced && served.can(&["list", "delete"]));
    let (pods, others): (Vec<_>, Vec<_>) = own.partition(|served| is_pods(served));
    for served in pods {
        if let Err(error) = clear_resource(client, namespace, served, &mut found).await {
            found.failures.push(chain(&error));
        }
    }
    if !found.left.is_empty() {
        return found;
    }
    for served in others {
        if let Err(error) = clear_resource(client, namespace, served, &mut found).await {
            found.failures.push(chain(&error));
        }
    }
    found
}

fn is_pods(served: &Served) -> bool {
    served.resource.group.is_empty() && served.resource.plural == "pods"
}

async fn clear_resource(client: &Client, namespace: &str, served: &Served, found: &mut Found) -> Result<()> {
    let api: Api<PartialObjectMeta<DynamicObject>> = Api::namespaced_with(client.clone(), namespace, &served.resource);
    let list = || async {
        let list = api.list(&ListParams::default()).await;
        list.doing(|| format!("list {} in {namespace}", served.resource.plural))
    };
    let before = list().await?;
    if before.items.iter().all(is_deleting) {
        found.count(served, &before.items);
        return Ok(());
    }
    let act = || format!("delete {} in {namespace}", served.resource.plural);
    if served.can(&["deletecollection"]) {
        let params = DeleteParams::background();
        api.delete_collection(&params, &ListParams::default()).await.doing(act)?;
    } else {
        for object in before.items.iter().filter(|object| !is_deleting(*object)) {
            match api.delete(&object.name_any(), &DeleteParams::background()).await {
                Err(kube::Error::Api(status)) if status.code == 404 => (),
                outcome => drop(outcome.doing(act)?),
            }
        }
    }
    found.count(served, &list().await?.items);
    Ok(())
}
