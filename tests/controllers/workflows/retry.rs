//! A workflow that failed and is run again.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::json;
use tinderbox_api::workflows::{Phase, Workflow, labels};
use tinderbox_workflows::retry::{Wish, retry};

use super::{control, ends, node, until, workflow};
use crate::node::EXIT;
use crate::world::World;

#[tokio::test]
async fn only_what_failed_is_run_again_by_other_pods() {
    let world = World::new().await;
    world.install("argo-workflows").await;
    control(&world);
    let mut bad = ends("bad", "0", None);
    bad["metadata"]["annotations"][EXIT] = json!("{{workflow.parameters.code}}");
    let spec = json!({"entrypoint": "main", "onExit": "good", "arguments": {"parameters": [{"name": "code", "value": "1"}]}, "templates": [
        {"name": "main", "dag": {"tasks": [
            {"name": "A", "template": "good"}, {"name": "B", "template": "bad", "depends": "A"}, {"name": "C", "template": "good", "depends": "B"},
        ]}},
        ends("good", "0", None), bad,
    ]});
    world.create::<Workflow>(workflow(spec)).await;
    let failed = until(&world, Phase::Failed).await;
    let uids = |pods: &[Pod], name: &str| -> Vec<String> {
        let of = pods.iter().filter(|pod| pod.annotations()[labels::NODE_NAME] == name);
        of.filter_map(ResourceExt::uid).collect()
    };
    let before = world.api::<Pod>().list(&Default::default()).await.unwrap().items;
    let wish = Wish { parameters: vec![("code".to_owned(), "0".to_owned())], ..Wish::default() };
    let planned = retry(&failed, &wish, world.clock.now()).unwrap();
    assert_eq!(planned.pods.len(), 2);
    for name in &planned.pods {
        world.api::<Pod>().delete(name, &Default::default()).await.unwrap();
        world.gone::<Pod>(name).await;
    }
    world.patch::<Workflow>("wf", planned.patch).await;
    let done = until(&world, Phase::Succeeded).await;
    assert_eq!(
        (done.labels()[labels::COMPLETED].as_str(), done.annotations()[labels::RETRIES].as_str()),
        ("true", "1")
    );
    assert_eq!(done.status.as_ref().unwrap().progress.as_deref(), Some("4/4"));
    let after = world.api::<Pod>().list(&Default::default()).await.unwrap().items;
    assert_eq!(after.len(), 4);
    assert_eq!(uids(&after, "wf.A"), uids(&before, "wf.A"));
    for name in ["wf.B", "wf.onExit"] {
        assert_ne!(uids(&after, name), uids(&before, name), "{name}");
    }
    assert!(node(&done, "wf.C").phase.is_fulfilled() && retry(&done, &Wish::default(), world.clock.now()).is_err());
}
