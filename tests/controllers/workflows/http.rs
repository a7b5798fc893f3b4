//! Requests of http templates: what is asked is staged in a pod, and what the pod reports is judged.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::{Value, json};
use tinderbox_api::workflows::{NodeType, Phase, Workflow, labels};

use super::{control, node, until, workflow};
use crate::node::{EXIT, SAYS};
use crate::world::World;

/// A request whose pod reports this.
fn asks(name: &str, report: &str) -> Value {
    json!({"name": name, "metadata": {"annotations": {EXIT: "0", SAYS: report}}, "http": {
        "url": "http://shop/stock", "successCondition": "response.statusCode == 200",
        "headers": [{"name": "Authorization", "valueFrom": {"secretKeyRef": {"name": "shop", "key": "token"}}}],
    }})
}

#[tokio::test]
async fn a_request_is_asked_in_a_pod_and_its_answer_is_judged() {
    let world = World::new().await;
    world.install("argo-workflows").await;
    control(&world);
    // The bodies `3 shoes` and `none`, with the rest of the answers: {"statusCode": 200, "headers": {}}, and 404.
    let good = "=body MyBzaG9lcw==\n=answer eyJzdGF0dXNDb2RlIjogMjAwLCAiaGVhZGVycyI6IHt9fQ==\n";
    let bad = "=body bm9uZQ==\n=answer eyJzdGF0dXNDb2RlIjogNDA0LCAiaGVhZGVycyI6IHt9fQ==\n";
    let spec = json!({"entrypoint": "main", "templates": [
        {"name": "main", "dag": {"tasks": [{"name": "good", "template": "good"}, {"name": "bad", "template": "bad", "depends": "good"}]}},
        asks("good", good), asks("bad", bad),
    ]});
    world.create::<Workflow>(workflow(spec)).await;
    let done = until(&world, Phase::Failed).await;
    let (good, bad) = (node(&done, "wf.good"), node(&done, "wf.bad"));
    assert_eq!((good.r#type, good.outputs.clone().unwrap().result.as_deref()), (NodeType::HTTP, Some("3 shoes")));
    assert_eq!(bad.message.as_deref(), Some("successCondition 'response.statusCode == 200' evaluated false"));
    let pods = world.api::<Pod>().list(&Default::default()).await.unwrap().items;
    let of = |id: &str| pods.iter().find(|pod| pod.annotations()[labels::NODE_ID] == id).unwrap();
    let spec = of(&good.id).spec.clone().unwrap();
    let secret =
        spec.containers[0].env.iter().flatten().find_map(|env| env.value_from.as_ref()?.secret_key_ref.clone());
    assert_eq!(secret.map(|secret| (secret.name, secret.key)), Some(("shop".to_owned(), "token".to_owned())));
    assert_eq!((pods.len(), spec.automount_service_account_token), (2, Some(false)));
}
