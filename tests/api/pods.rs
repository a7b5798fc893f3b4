//! What can be done to pods alone, in process: binding, eviction, and an end with grace.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, DeleteParams, EvictParams, Patch, PatchParams, PostParams, Request};
use kube::{Client, ResourceExt};
use serde_json::json;
use tinderbox_apiserver::auth::User;
use tinderbox_apiserver::{ApiServer, Config};

async fn pods() -> (Client, Api<Pod>) {
    let server = ApiServer::new(Config::in_memory().unwrap()).await.unwrap();
    let client = Client::new(server.service_as(User::authenticated("admin", &["system:masters"])), "default");
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let pod = json!({"metadata": {"name": "p", "labels": {"app": "a"}}, "spec": {"terminationGracePeriodSeconds": 7,
        "containers": [{"name": "c", "image": "i"}]}});
    pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
    (client, pods)
}

async fn bind(client: &Client, node: &str) -> Result<serde_json::Value, kube::Error> {
    let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": {"kind": "Node", "name": node}});
    let request = Request::new("/api/v1/namespaces/default/pods");
    let body = serde_json::to_vec(&binding).unwrap();
    client.request(request.create_subresource("binding", "p", &PostParams::default(), body).unwrap()).await
}

#[tokio::test]
async fn a_pod_is_bound_once() {
    let (client, pods) = pods().await;
    assert_eq!(bind(&client, "n").await.unwrap()["status"], "Success");
    let pod = pods.get("p").await.unwrap();
    assert_eq!(pod.spec.unwrap().node_name.as_deref(), Some("n"));
    let scheduled = &pod.status.unwrap().conditions.unwrap()[0];
    assert_eq!((scheduled.type_.as_str(), scheduled.status.as_str()), ("PodScheduled", "True"));
    let again = bind(&client, "m").await.unwrap_err().to_string();
    assert!(again.contains("pod p is already assigned to node \"n\""), "{again}");
}

#[tokio::test]
async fn a_running_pod_goes_with_grace() {
    let (client, pods) = pods().await;
    bind(&client, "n").await.unwrap();
    let going = pods.delete("p", &DeleteParams::default()).await.unwrap().left().unwrap();
    assert_eq!(going.metadata.deletion_grace_period_seconds, Some(7));
    assert!(pods.get("p").await.unwrap().metadata.deletion_timestamp.is_some());
    pods.delete("p", &DeleteParams::default().grace_period(0)).await.unwrap();
    assert!(pods.get_opt("p").await.unwrap().is_none());
}

#[tokio::test]
async fn budgets_bound_evictions() {
    let (client, pods) = pods().await;
    bind(&client, "n").await.unwrap();
    let status = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
    pods.patch_status("p", &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    let budgets: Api<PodDisruptionBudget> = Api::default_namespaced(client);
    let budget =
        json!({"metadata": {"name": "b"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "a"}}}});
    budgets.create(&PostParams::default(), &serde_json::from_value(budget).unwrap()).await.unwrap();
    let allow = async |allowed: i32| {
        let status = json!({"status": {"disruptionsAllowed": allowed, "currentHealthy": 1, "desiredHealthy": 1,
            "expectedPods": 1, "observedGeneration": 1}});
        budgets.patch_status("b", &PatchParams::default(), &Patch::Merge(status)).await.unwrap()
    };
    allow(0).await;
    let refused = pods.evict("p", &EvictParams::default()).await.unwrap_err().to_string();
    assert!(refused.contains("violate the pod's disruption budget"), "{refused}");
    assert!(pods.get("p").await.unwrap().metadata.deletion_timestamp.is_none());
    allow(1).await;
    pods.evict("p", &EvictParams::default()).await.unwrap();
    assert!(pods.get("p").await.unwrap().metadata.deletion_timestamp.is_some());
    let budget = budgets.get("b").await.unwrap();
    assert_eq!(budget.name_any(), "b");
    let status = budget.status.unwrap();
    assert_eq!(status.disruptions_allowed, 0);
    assert!(status.disrupted_pods.unwrap().contains_key("p"));
}
