//! Prometheuses: the loop that looks, plans and applies. What is to be done is decided in `plan`, and by nobody else.

mod plan;
mod workload;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::Api;
use kube::{Client, ResourceExt};
use tinderbox_api::monitoring::{PodMonitor, Prometheus, PrometheusRule, ServiceMonitor};
use tinderbox_client::error::Doing;
use tinderbox_client::runner::Action;
use tinderbox_client::{Applier, Cache, Caches, Clock, ObjectKey, Queue, Result, Runner};
use tokio_util::sync::CancellationToken;

use crate::config::{Discovery, Held, references};
use crate::discovery::World;
use plan::{Seen, plan};

/// Prometheuses that are looked at side by side.
const CONCURRENCY: usize = 2;
/// Changes of pods within this time are one.
const GATHER: Duration = Duration::from_millis(200);

/// What the loop looks at.
#[derive(Clone)]
struct View {
    client: Client,
    prometheuses: Cache<Prometheus>,
    pods: Cache<PodMonitor>,
    services: Cache<ServiceMonitor>,
    rules: Cache<PrometheusRule>,
    namespaces: Cache<Namespace>,
    sets: Cache<StatefulSet>,
    /// What targets are made of, where they are written into files.
    objects: Option<Objects>,
}

#[derive(Clone)]
struct Objects {
    pods: Cache<Pod>,
    services: Cache<Service>,
    slices: Cache<EndpointSlice>,
}

impl Objects {
    fn world(&self) -> World {
        World { pods: self.pods.list(), services: self.services.list(), slices: self.slices.list() }
    }
}

/// Runs the controller until cancelled.
pub(crate) async fn run(
    caches: Caches,
    applier: Applier,
    clock: Clock,
    discovery: Discovery,
    token: CancellationToken,
) -> Result<()> {
    // Where nobody asks for a Prometheus, or may, nothing else is watched.
    let prometheuses: Cache<Prometheus> = caches.get();
    prometheuses.synced().await?;
    let view = View {
        client: caches.client().clone(),
        prometheuses,
        pods: caches.get(),
        services: caches.get(),
        rules: caches.get(),
        namespaces: caches.get(),
        sets: caches.get(),
        objects: (discovery == Discovery::Files).then(|| Objects {
            pods: caches.get(),
            services: caches.get(),
            slices: caches.get(),
        }),
    };
    let queue = Queue::new(clock.clone());
    subscribe(&view, &queue);
    view.pods.synced().await?;
    view.services.synced().await?;
    view.rules.synced().await?;
    view.namespaces.synced().await?;
    view.sets.synced().await?;
    if let Some(objects) = &view.objects {
        objects.pods.synced().await?;
        objects.services.synced().await?;
        objects.slices.synced().await?;
    }
    let applier = Arc::new(applier);
    let runner = Runner { name: "prometheuses", queue, concurrency: CONCURRENCY, token };
    runner.run(move |key| reconcile(key, view.clone(), applier.clone(), clock.clone())).await;
    Ok(())
}

fn subscribe(view: &View, queue: &Queue<ObjectKey>) {
    let marked = queue.clone();
    view.prometheuses.subscribe(move |change| marked.add(change.key()));
    let marked = queue.clone();
    view.sets.subscribe(move |change| {
        for set in [change.old, change.new].into_iter().flatten() {
            for owner in set.owner_references().iter().filter(|owner| owner.kind == "Prometheus") {
                marked.add(ObjectKey::new(set.namespace().unwrap_or_default(), &owner.name));
            }
        }
    });
    // Whatever else changes may concern each of them.
    let all = |view: &View| {
        let (marked, prometheuses) = (queue.clone(), view.prometheuses.clone());
        move || prometheuses.list().iter().for_each(|one| marked.add(ObjectKey::of(&**one)))
    };
    let changed = all(view);
    view.pods.subscribe(move |change| {
        if change.old.map(|old| &old.spec) != change.new.map(|new| &new.spec) {
            changed();
        }
    });
    let changed = all(view);
    view.services.subscribe(move |change| {
        if change.old.map(|old| &old.spec) != change.new.map(|new| &new.spec) {
            changed();
        }
    });
    let changed = all(view);
    view.rules.subscribe(move |_| changed());
    if let Some(objects) = &view.objects {
        let soon = || {
            let (marked, prometheuses) = (queue.clone(), view.prometheuses.clone());
            move || prometheuses.list().iter().for_each(|one| marked.add_after(ObjectKey::of(&**one), GATHER))
        };
        let changed = soon();
        objects.pods.subscribe(move |change| {
            if change.old.map(|old| place(old)) != change.new.map(|new| place(new)) {
                changed();
            }
        });
        let changed = soon();
        objects.services.subscribe(move |_| changed());
        let changed = soon();
        objects.slices.subscribe(move |_| changed());
    }
    let changed = all(view);
    view.namespaces.subscribe(move |change| {
        if change.old.map(|old| old.labels()) != change.new.map(|new| new.labels()) {
            changed();
        }
    });
}

/// What targets are made of, of a pod.
fn place(pod: &Pod) -> (Option<&str>, Option<&str>, &BTreeMap<String, String>) {
    let status = pod.status.as_ref();
    let ip = status.and_then(|status| status.pod_ip.as_deref());
    (ip, status.and_then(|status| status.phase.as_deref()), pod.labels())
}

async fn reconcile(key: ObjectKey, view: View, applier: Arc<Applier>, clock: Clock) -> Result<Action> {
    let Some(prometheus) = view.prometheuses.get(&key) else {
        return Ok(Action::Done);
    };
    if prometheus.metadata.deletion_timestamp.is_some() {
        return Ok(Action::Done);
    }
    let namespaces = view.namespaces.list();
    let seen = Seen {
        discovery: if view.objects.is_some() { Discovery::Files } else { Discovery::Kubernetes },
        world: view.objects.as_ref().map(Objects::world).unwrap_or_default(),
        set: view.sets.get(&ObjectKey::new(key.namespace.clone(), workload::name(&prometheus))),
        held: held(&view).await?,
        pods: view.pods.list().iter().map(|one| PodMonitor::clone(one)).collect(),
        services: view.services.list().iter().map(|one| ServiceMonitor::clone(one)).collect(),
        rules: view.rules.list().iter().map(|one| PrometheusRule::clone(one)).collect(),
        namespaces: namespaces.iter().map(|one| (one.name_any(), one.labels().clone())).collect(),
        prometheus,
    };
    Ok(applier.apply(plan(&seen, clock.now())).await?.into())
}

/// What the Secrets and ConfigMaps hold that monitors name.
async fn held(view: &View) -> Result<Held> {
    let mut wanted = BTreeSet::new();
    for monitor in view.pods.list() {
        let namespace = monitor.namespace().unwrap_or_default();
        monitor.spec.pod_metrics_endpoints.iter().for_each(|one| wanted.extend(references(&namespace, one)));
    }
    for monitor in view.services.list() {
        let namespace = monitor.namespace().unwrap_or_default();
        monitor.spec.endpoints.iter().for_each(|one| wanted.extend(references(&namespace, one)));
    }
    let mut held = Held::new();
    for reference in wanted {
        let (namespace, name) = (&reference.namespace, &reference.name);
        let found = if reference.secret {
            let secrets: Api<Secret> = Api::namespaced(view.client.clone(), namespace);
            let secret = secrets.get_opt(name).await.doing(|| format!("get secret {namespace}/{name}"))?;
            let value = secret.and_then(|secret| secret.data?.remove(&reference.key));
            value.map(|value| String::from_utf8_lossy(&value.0).into_owned())
        } else {
            let maps: Api<ConfigMap> = Api::namespaced(view.client.clone(), namespace);
            let map = maps.get_opt(name).await.doing(|| format!("get configmap {namespace}/{name}"))?;
            map.and_then(|map| map.data?.remove(&reference.key))
        };
        held.extend(found.map(|value| (reference, value)));
    }
    Ok(held)
}
