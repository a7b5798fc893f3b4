//! Endpoints and EndpointSlices of Services with selectors. The loop; what they say is decided in `slices` and `legacy`.
//! The `kubernetes` Service has no selector: its endpoints are the API server's own.

mod legacy;
mod slices;

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::{Endpoints, Pod, PodStatus, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::ResourceExt;
use tinderbox_api::selector::LabelSelector;
use tinderbox_client::{Applier, Cache, Change, ObjectKey, Plan, Queue, Result, Runner, Step, runner::Action};

use crate::context::Context;
use crate::meta::is_deleting;
use crate::pods::is_ready;

#[derive(Clone)]
struct World {
    services: Cache<Service>,
    pods: Cache<Pod>,
    endpoints: Cache<Endpoints>,
    slices: Cache<EndpointSlice>,
    applier: Arc<Applier>,
}

/// Runs the controller.
pub(crate) fn run(context: Context) -> BoxFuture<'static, Result<()>> {
    async move {
        let world = World {
            services: context.caches.get(),
            pods: context.caches.get(),
            endpoints: context.caches.get(),
            slices: context.caches.get(),
            applier: context.applier("kube-controller-manager", "endpoint-slice-controller"),
        };
        let queue = Queue::new(context.clock.clone());
        subscribe(&world, &queue);
        world.services.synced().await?;
        world.pods.synced().await?;
        world.endpoints.synced().await?;
        world.slices.synced().await?;
        let runner = Runner { name: "endpoints", queue, concurrency: 4, token: context.token.clone() };
        runner.run(move |key| reconcile(world.clone(), key)).await;
        Ok(())
    }
    .boxed()
}

fn subscribe(world: &World, queue: &Queue<ObjectKey>) {
    world.services.subscribe({
        let queue = queue.clone();
        move |change| queue.add(change.key())
    });
    world.endpoints.subscribe({
        let queue = queue.clone();
        move |change| queue.add(change.key())
    });
    world.slices.subscribe({
        let queue = queue.clone();
        move |change| {
            let service = change.latest().and_then(|slice| slice.labels().get(slices::SERVICE));
            if let Some(service) = service {
                queue.add(ObjectKey::new(change.key().namespace, service));
            }
        }
    });
    world.pods.subscribe({
        let (queue, services) = (queue.clone(), world.services.clone());
        move |change| {
            if !matters(change) {
                return;
            }
            for service in services.in_namespace(&change.key().namespace) {
                let selector = selector(&service);
                let selects = |pod: &Arc<Pod>| {
                    selector.as_ref().is_some_and(|selector| selector.matches_map(pod.metadata.labels.as_ref()))
                };
                if [change.old, change.new].into_iter().flatten().any(selects) {
                    queue.add(ObjectKey::of(&*service));
                }
            }
        }
    });
}

/// Whether a change of a pod can change endpoints.
fn matters(change: &Change<'_, Pod>) -> bool {
    let (Some(old), Some(new)) = (change.old, change.new) else {
        return true;
    };
    let view = |pod: &Pod| {
        let address = |status: &PodStatus| (status.pod_ip.clone(), status.phase.clone());
        (
            is_ready(pod),
            is_deleting(pod),
            pod.status.as_ref().map(address),
            pod.spec.as_ref().map(|spec| spec.node_name.clone()),
        )
    };
    old.metadata.labels != new.metadata.labels || view(old) != view(new)
}

/// The selector of a Service that has one.
fn selector(service: &Service) -> Option<LabelSelector> {
    let selector = service.spec.as_ref()?.selector.as_ref()?;
    (!selector.is_empty()).then(|| LabelSelector::from_labels(selector))
}

async fn reconcile(world: World, key: ObjectKey) -> Result<Action> {
    let endpoints = world.endpoints.get(&key);
    let mut plan = Plan::default();
    match world.services.get(&key) {
        None => {
            let ours = endpoints.filter(|endpoints| legacy::is_ours(endpoints));
            ours.into_iter().for_each(|endpoints| plan.push(Step::delete(&*endpoints)));
        }
        Some(service) => {
            let external = service.spec.as_ref().is_some_and(|spec| spec.type_.as_deref() == Some("ExternalName"));
            let Some(selector) = selector(&service).filter(|_| !external && !is_deleting(&*service)) else {
                return Ok(Action::Done);
            };
            let pods = world.pods.in_namespace(&key.namespace);
            let selected: Vec<Arc<Pod>> =
                pods.into_iter().filter(|pod| selector.matches_map(pod.metadata.labels.as_ref())).collect();
            let slices = world.slices.in_namespace(&key.namespace);
            let ours: Vec<_> = slices.into_iter().filter(|slice| slices::is_ours(slice, &key.name)).collect();
            slices::plan(&service, &selected, &ours, &mut plan);
            legacy::plan(&service, &selected, endpoints.as_deref(), &mut plan);
        }
    }
    Ok(world.applier.apply(plan).await?.into())
}

#[cfg(test)]
mod tests;
