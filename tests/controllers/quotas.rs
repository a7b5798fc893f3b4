//! Resource quotas and limit ranges: what is refused, and what the status says is used.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, LimitRange, Pod, ResourceQuota, Service};
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};

use crate::node::EXIT;
use crate::world::{World, from, pod_spec};

fn used(quota: &ResourceQuota) -> BTreeMap<String, String> {
    let used = quota.status.as_ref().and_then(|status| status.used.clone()).unwrap_or_default();
    used.into_iter().map(|(name, amount)| (name, amount.0)).collect()
}

fn is(quota: &ResourceQuota, wanted: &[(&str, &str)]) -> bool {
    let wanted: BTreeMap<_, _> =
        wanted.iter().map(|(name, amount)| ((*name).to_owned(), (*amount).to_owned())).collect();
    used(quota) == wanted
}

async fn refused(world: &World, pod: Value) -> String {
    let outcome = world.api::<Pod>().create(&PostParams::default(), &from(pod)).await;
    match outcome {
        Err(kube::Error::Api(status)) => status.message.clone(),
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_namespace_has_no_more_than_its_quota() {
    let world = World::new().await;
    let hard = json!({"pods": "2", "requests.cpu": "1", "count/deployments.apps": "1", "services": "5"});
    world.create::<ResourceQuota>(json!({"metadata": {"name": "q"}, "spec": {"hard": hard}})).await;
    world.until::<ResourceQuota>("q", |quota| used(quota).len() == 4).await;
    let pod = |name: &str, cpu: &str| json!({"metadata": {"name": name}, "spec": pod_spec(cpu)});
    world.create::<Pod>(pod("a", "600m")).await;
    assert_eq!(
        refused(&world, pod("b", "600m")).await,
        "pods \"b\" is forbidden: exceeded quota: q, requested: requests.cpu=600m, used: requests.cpu=600m, limited: requests.cpu=1"
    );
    let silent = json!({"metadata": {"name": "c"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    assert_eq!(
        refused(&world, silent).await,
        "pods \"c\" is forbidden: failed quota: q: must specify requests.cpu for: c"
    );
    let mut ends = pod("d", "400m");
    ends["metadata"]["annotations"] = json!({EXIT: "0"});
    world.create::<Pod>(ends).await;
    // What has ended costs nothing.
    world
        .until::<ResourceQuota>("q", |quota| {
            let used = used(quota);
            used["pods"] == "1" && used["requests.cpu"] == "600m"
        })
        .await;
    let deployment = json!({
        "metadata": {"name": "web"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": pod_spec("100m")}},
    });
    world.create::<Deployment>(deployment.clone()).await;
    world.event("FailedCreate", "exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2").await;
    world.until::<ResourceQuota>("q", |quota| used(quota)["count/deployments.apps"] == "1").await;
    world.api::<Pod>().delete("a", &DeleteParams::default()).await.unwrap();
    world
        .until::<Deployment>("web", |web| {
            web.status.as_ref().is_some_and(|status| status.available_replicas == Some(2))
        })
        .await;
    world.create::<Service>(json!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})).await;
    world.until::<ResourceQuota>("q", |quota| used(quota)["services"] != "0").await;
}

#[tokio::test]
async fn many_at_once_do_not_slip_through() {
    let world = World::new().await;
    world
        .create::<ResourceQuota>(json!({"metadata": {"name": "q"}, "spec": {"hard": {"count/configmaps": "8"}}}))
        .await;
    world.until::<ConfigMap>("kube-root-ca.crt", |_| true).await;
    let tries = (0..20).map(|number| {
        let api = world.api::<ConfigMap>();
        async move {
            let map = from::<ConfigMap>(json!({"metadata": {"name": format!("m{number}")}}));
            api.create(&PostParams::default(), &map).await.is_ok()
        }
    });
    let made = futures::future::join_all(tries).await.into_iter().filter(|made| *made).count();
    assert_eq!(made, 7);
    world.until::<ResourceQuota>("q", |quota| is(quota, &[("count/configmaps", "8")])).await;
}

#[tokio::test]
async fn a_limit_range_fills_and_bounds() {
    let world = World::new().await;
    let limits = json!([
        {"type": "Container", "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "100m"}, "max": {"cpu": "1"}},
        {"type": "Pod", "max": {"cpu": "1"}},
    ]);
    world.create::<LimitRange>(json!({"metadata": {"name": "l"}, "spec": {"limits": limits}})).await;
    let containers = |count: usize| {
        let all: Vec<Value> = (0..count).map(|number| json!({"name": format!("c{number}"), "image": "i"})).collect();
        json!({"metadata": {"name": "p"}, "spec": {"containers": all}})
    };
    assert_eq!(
        refused(&world, containers(3)).await,
        "pods \"p\" is forbidden: maximum cpu usage per Pod is 1, but limit is 1500m"
    );
    let pod = world.create::<Pod>(containers(1)).await;
    let resources = serde_json::to_value(&pod.spec.unwrap().containers[0].resources).unwrap();
    assert_eq!(resources, json!({"limits": {"cpu": "500m"}, "requests": {"cpu": "100m"}}));
    let text = &pod.metadata.annotations.unwrap()["kubernetes.io/limit-ranger"];
    assert_eq!(text, "LimitRanger plugin set: cpu request for container c0; cpu limit for container c0");
}
