//! Plays the kubelet: pods given to a node run at once, end as their annotations say, and go when deleted.

use futures::{StreamExt, pin_mut};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::runtime::watcher::{Config, Event, watcher};
use kube::{Client, ResourceExt};
use serde_json::json;
use tinderbox_client::Clock;

use crate::world::World;

/// How a pod ends: an exit code. Without it, the pod runs on.
pub(crate) const EXIT: &str = "test/exit";
/// What the container leaves as its termination message.
pub(crate) const SAYS: &str = "test/says";
/// Present: the pod does not become ready by itself.
pub(crate) const UNREADY: &str = "test/unready";
/// Present: the pod takes no notice of its deletion.
pub(crate) const STUBBORN: &str = "test/stubborn";

/// Plays all nodes of a cluster.
pub(crate) fn play(world: &World) {
    let (client, clock, token) = (world.client.clone(), world.clock.clone(), world.token.clone());
    world.tracker.spawn(async move {
        let mut address = 1;
        let events = watcher(Api::<Pod>::all(client.clone()), Config::default());
        pin_mut!(events);
        loop {
            let event = tokio::select! {
                () = token.cancelled() => return,
                event = events.next() => event,
            };
            if let Some(Ok(Event::Apply(pod) | Event::InitApply(pod))) = event {
                address += 1;
                step(&client, &clock, &pod, address).await;
            }
        }
    });
}

async fn step(client: &Client, clock: &Clock, pod: &Pod, address: u8) {
    let Some(node) = pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref()) else {
        return;
    };
    let api: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace().unwrap());
    let name = pod.name_any();
    let has = |key: &str| pod.annotations().contains_key(key);
    if pod.metadata.deletion_timestamp.is_some() && !has(STUBBORN) {
        api.delete(&name, &DeleteParams::default().grace_period(0)).await.ok();
        return;
    }
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    let now = Time(clock.now());
    let status = match (phase, pod.annotations().get(EXIT)) {
        (Some("Succeeded" | "Failed"), _) => return,
        (Some("Running"), None) => return,
        (Some("Running"), Some(code)) => {
            let code: i32 = code.parse().unwrap();
            json!({
                "phase": if code == 0 { "Succeeded" } else { "Failed" },
                "conditions": [{"type": "Ready", "status": "False", "reason": "PodCompleted", "lastTransitionTime": now}],
                "containerStatuses": [{
                    "name": pod.spec.as_ref().unwrap().containers[0].name, "image": "i", "imageID": "", "ready": false, "restartCount": 0,
                    "state": {"terminated": {"exitCode": code, "finishedAt": now, "message": pod.annotations().get(SAYS)}},
                }],
            })
        }
        _ => json!({
            "phase": "Running",
            "podIP": format!("10.244.0.{address}"),
            "hostIP": node,
            "conditions": [{"type": "Ready", "status": if has(UNREADY) { "False" } else { "True" }, "lastTransitionTime": now}],
        }),
    };
    api.patch_status(&name, &PatchParams::default(), &Patch::Merge(json!({"status": status}))).await.ok();
}
