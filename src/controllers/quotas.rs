//! The status of resource quotas: what the objects of a namespace use. Refusing what is too much is the API server's.
//! Upstream rule: `pkg/controller/resourcequota/resource_quota_controller.go`.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, ResourceQuota, ResourceQuotaStatus, Service};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;
use serde::Serialize;
use tinderbox_api::quantity::Quantity;
use tinderbox_api::quota::{self, Usage};
use tinderbox_client::plan::encode;
use tinderbox_client::{Cache, ObjectKey, Plan, Queue, Result, Runner, Step, runner::Action};

use crate::context::Context;
use crate::meta::is_deleting;
use crate::resources::Resources;

/// What a quota may count, in its namespace.
#[derive(Default)]
struct Seen {
    pods: Vec<Arc<Pod>>,
    services: Vec<Arc<Service>>,
    claims: Vec<Arc<PersistentVolumeClaim>>,
    /// Numbers of objects by the names that quotas know them by.
    counts: BTreeMap<String, usize>,
}

#[derive(Clone)]
struct World {
    quotas: Cache<ResourceQuota>,
    pods: Cache<Pod>,
    services: Cache<Service>,
    claims: Cache<PersistentVolumeClaim>,
    resources: Resources,
}

impl World {
    fn seen(&self, namespace: &str) -> Seen {
        let counted = self.resources.counts(namespace);
        let by_name = |((group, plural), count): ((String, String), usize)| {
            quota::names(&group, &plural).into_iter().map(move |name| (name, count))
        };
        Seen {
            pods: self.pods.in_namespace(namespace),
            services: self.services.in_namespace(namespace),
            claims: self.claims.in_namespace(namespace),
            counts: counted.into_iter().flat_map(by_name).collect(),
        }
    }
}

/// Runs the controller.
pub(crate) fn run(context: Context, resources: Resources) -> BoxFuture<'static, Result<()>> {
    async move {
        let caches = &context.caches;
        let world = World {
            quotas: caches.get(),
            pods: caches.get(),
            services: caches.get(),
            claims: caches.get(),
            resources: resources.clone(),
        };
        let queue = Queue::new(context.clock.clone());
        world.quotas.subscribe({
            let queue = queue.clone();
            move |change| queue.add(change.key())
        });
        resources.subscribe({
            let (queue, quotas) = (queue.clone(), world.quotas.clone());
            move |_, key| {
                quotas.in_namespace(&key.namespace).iter().for_each(|quota| queue.add(ObjectKey::of(&**quota)))
            }
        });
        world.quotas.synced().await?;
        world.pods.synced().await?;
        world.services.synced().await?;
        world.claims.synced().await?;
        let applier = context.applier("kube-controller-manager", "resourcequota-controller");
        let runner = Runner { name: "quotas", queue, concurrency: 2, token: context.token.clone() };
        runner
            .run(move |key: ObjectKey| {
                let (world, applier) = (world.clone(), applier.clone());
                async move {
                    let Some(quota) = world.quotas.get(&key) else {
                        return Ok(Action::Done);
                    };
                    Ok(applier.apply(plan(&quota, &world.seen(&key.namespace))).await?.into())
                }
            })
            .await;
        Ok(())
    }
    .boxed()
}

/// Brings the status of a quota up to date. Pure.
fn plan(quota: &ResourceQuota, seen: &Seen) -> Plan {
    let mut plan = Plan::default();
    if is_deleting(quota) {
        return plan;
    }
    let hard = quota.spec.as_ref().and_then(|spec| spec.hard.clone()).unwrap_or_default();
    let used = used(quota, seen);
    let text = |name: &String| Text(used.get(name).copied().unwrap_or_else(|| Quantity::units(0)).to_string());
    let status = ResourceQuotaStatus {
        used: Some(hard.keys().map(|name| (name.clone(), text(name))).collect()),
        hard: Some(hard),
    };
    Step::status(quota, quota.status.as_ref(), &status).into_iter().for_each(|step| plan.push(step));
    plan
}

fn used(quota: &ResourceQuota, seen: &Seen) -> Usage {
    let quota = encode(quota);
    let mut sum = Usage::new();
    let mut take = |plural: &str, object: &dyn Fn() -> serde_json::Value| {
        let object = object();
        if quota::is_covered(&quota, "", plural, &object) {
            quota::add(&mut sum, &quota::usage("", plural, &object));
        }
    };
    fn value<K: Serialize>(object: &Arc<K>) -> impl Fn() -> serde_json::Value {
        move || encode(&**object)
    }
    seen.pods.iter().for_each(|pod| take("pods", &value(pod)));
    seen.services.iter().for_each(|service| take("services", &value(service)));
    seen.claims.iter().for_each(|claim| take("persistentvolumeclaims", &value(claim)));
    // Scopes are about pods: a quota with scopes counts nothing else.
    if quota::is_covered(&quota, "", "", &serde_json::Value::Null) {
        for (name, count) in &seen.counts {
            let count = Quantity::units(i64::try_from(*count).unwrap_or(i64::MAX));
            sum.entry(name.clone()).or_insert(count);
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn status(spec: Value, seen: &Seen) -> Value {
        let quota = json!({"metadata": {"name": "q", "namespace": "n"}, "spec": spec});
        let plan = plan(&serde_json::from_value(quota).unwrap(), seen);
        plan.steps().next().map(|step| step.body()["status"]["used"].clone()).unwrap_or_default()
    }

    #[test]
    fn counts_what_is_there() {
        let pod = |cpu: &str, phase: &str| {
            let container = json!({"name": "c", "resources": {"requests": {"cpu": cpu}}});
            let pod =
                json!({"metadata": {"name": "p"}, "spec": {"containers": [container]}, "status": {"phase": phase}});
            Arc::new(serde_json::from_value(pod).unwrap())
        };
        let seen = Seen {
            pods: vec![pod("250m", "Running"), pod("1", "Pending"), pod("5", "Succeeded")],
            counts: BTreeMap::from([("configmaps".to_owned(), 2), ("count/jobs.batch".to_owned(), 3)]),
            ..Seen::default()
        };
        let hard = json!({"pods": "9", "count/pods": "9", "requests.cpu": "9", "configmaps": "9", "count/jobs.batch": "9", "limits.memory": "9Gi"});
        assert_eq!(
            status(json!({"hard": hard}), &seen),
            json!({"pods": "2", "count/pods": "3", "requests.cpu": "1250m", "configmaps": "2", "count/jobs.batch": "3", "limits.memory": "0"})
        );
        let scoped = json!({"hard": {"pods": "9"}, "scopes": ["BestEffort"]});
        assert_eq!(status(scoped, &seen), json!({"pods": "0"}));
    }
}
