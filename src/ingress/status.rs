//! Where Ingresses are reached, in their status; and the class of ours, so that manifests can name it.

use std::sync::Arc;

use k8s_openapi::api::networking::v1::{
    Ingress, IngressClass, IngressClassSpec, IngressLoadBalancerIngress, IngressLoadBalancerStatus, IngressPortStatus,
    IngressStatus,
};
use kube::Resource;
use kube::core::ObjectMeta;
use tinderbox_client::{Applier, Clock, ObjectKey, Plan, Queue, Recorder, Runner, Step};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::routes::is_ours;
use crate::{CONTROLLER, World};

/// Name of our class, and what writes as us.
const NAME: &str = "tinderbox";
const MANAGER: &str = "tinderbox-ingress";

/// Runs until cancelled.
pub(crate) async fn run(world: Arc<World>, clock: Clock, tracker: TaskTracker, token: CancellationToken) {
    let queue = Queue::new(clock.clone());
    world.ingresses.subscribe({
        let queue = queue.clone();
        move |change| queue.add(change.key())
    });
    // Another class may make an Ingress ours.
    world.classes.subscribe({
        let (queue, ingresses) = (queue.clone(), world.ingresses.clone());
        move |_| ingresses.list().iter().for_each(|ingress| queue.add(ObjectKey::of(&**ingress)))
    });
    if world.ingresses.synced().await.is_err() || world.classes.synced().await.is_err() {
        // Cancelled before it began.
        return;
    }
    let recorder = Recorder::new(world.caches.client().clone(), MANAGER, clock, &tracker, token.clone());
    let applier = Arc::new(Applier::new(world.caches.clone(), recorder, MANAGER));
    if world.classes.get(&ObjectKey::cluster(NAME)).is_none() {
        let mut plan = Plan::default();
        plan.push(Step::create(&class()));
        if let Err(error) = applier.apply(plan).await {
            tracing::warn!(%error, "there is no class for Ingresses");
        }
    }
    let runner = Runner { name: "ingress", queue, concurrency: 2, token };
    runner
        .run(move |key: ObjectKey| {
            let (world, applier) = (world.clone(), applier.clone());
            async move {
                let plan = world.ingresses.get(&key).map(|ingress| {
                    let ours = is_ours(&ingress, &world.classes.list());
                    if ours { plan(&ingress, world.port) } else { Plan::default() }
                });
                Ok(applier.apply(plan.unwrap_or_default()).await?.into())
            }
        })
        .await;
}

fn class() -> IngressClass {
    let spec = IngressClassSpec { controller: Some(CONTROLLER.to_owned()), ..IngressClassSpec::default() };
    let metadata = ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() };
    IngressClass { metadata, spec: Some(spec) }
}

/// The status that an Ingress should have. Pure.
fn plan(ingress: &Ingress, port: u16) -> Plan {
    let mut plan = Plan::default();
    if ingress.meta().deletion_timestamp.is_some() {
        return plan;
    }
    let ports = IngressPortStatus { error: None, port: i32::from(port), protocol: "TCP".to_owned() };
    let here =
        IngressLoadBalancerIngress { hostname: None, ip: Some("127.0.0.1".to_owned()), ports: Some(vec![ports]) };
    let new = IngressStatus { load_balancer: Some(IngressLoadBalancerStatus { ingress: Some(vec![here]) }) };
    Step::status(ingress, ingress.status.as_ref(), &new).into_iter().for_each(|step| plan.push(step));
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_written_once() {
        let mut ingress = Ingress::default();
        let first = plan(&ingress, 80);
        let step = first.steps().next().expect("a step");
        ingress.status = serde_json::from_value(step.body()["status"].clone()).expect("a status");
        assert!(plan(&ingress, 80).is_quiet());
        assert!(!plan(&ingress, 81).is_quiet());
    }
}
