//! The controllers of workflows with the rights that their manifests give them, over a real API server in process.

mod cron;
mod http;
mod retry;

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Pod, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::ResourceExt;
use serde_json::{Value, json};
use tinderbox_api::workflows::{NodePhase, NodeStatus, Phase, Workflow, WorkflowTemplate, labels};
use tinderbox_platform::WORKFLOW_CONTROLLER;
use tokio_util::sync::CancellationToken;

use crate::node::{EXIT, SAYS};
use crate::world::World;

/// Starts the controllers; they run until the token that is returned is cancelled, or the world ends.
fn control(world: &World) -> CancellationToken {
    let token = world.token.child_token();
    let client = world.client_of(&WORKFLOW_CONTROLLER);
    let config = tinderbox_workflows::Config::new(world.clock.clone());
    tinderbox_workflows::spawn(&client, config, &world.tracker, &token);
    token
}

fn workflow(spec: Value) -> Value {
    json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": "wf"}, "spec": spec})
}

/// A container that ends with a code, and leaves a message.
fn ends(name: &str, code: &str, says: Option<&str>) -> Value {
    let mut annotations = json!({EXIT: code});
    if let Some(says) = says {
        annotations[SAYS] = json!(says);
    }
    json!({"name": name, "metadata": {"annotations": annotations}, "container": {"image": "i", "command": ["x"]}})
}

fn phase(workflow: &Workflow) -> Phase {
    workflow.status.as_ref().map(|status| status.phase).unwrap_or_default()
}

fn node<'a>(workflow: &'a Workflow, name: &str) -> &'a NodeStatus {
    let status = workflow.status.as_ref().unwrap();
    status.nodes.values().find(|node| node.name == name).unwrap_or_else(|| panic!("no node {name}: {:?}", status.nodes))
}

async fn until(world: &World, wanted: Phase) -> Workflow {
    world.until::<Workflow>("wf", |workflow| phase(workflow) == wanted).await
}

fn diamond() -> Value {
    json!({"entrypoint": "main", "templates": [
        {"name": "main", "dag": {"tasks": [
            {"name": "A", "template": "say"}, {"name": "B", "template": "say", "depends": "A"},
            {"name": "C", "template": "say", "depends": "A"}, {"name": "D", "template": "say", "depends": "B && C"},
        ]}},
        ends("say", "0", None),
    ]})
}

#[tokio::test]
async fn a_diamond_is_four_pods_and_a_success() {
    let world = World::new().await;
    world.install("argo-workflows").await;
    control(&world);
    world.create::<Workflow>(workflow(diamond())).await;
    let done = until(&world, Phase::Succeeded).await;
    assert_eq!(done.labels()[labels::PHASE], "Succeeded");
    assert_eq!(done.labels()[labels::COMPLETED], "true");
    let marked = |pods: &[Pod]| pods.len() == 4 && pods.iter().all(|pod| pod.labels()[labels::COMPLETED] == "true");
    let pods = world.until_all::<Pod>(marked).await;
    for pod in &pods {
        assert_eq!(pod.owner_references()[0].uid, done.uid().unwrap());
        let id = &pod.annotations()[labels::NODE_ID];
        assert_eq!(pod.name_any(), id.replace("wf-", "wf-say-"));
        assert_eq!(done.status.as_ref().unwrap().nodes[id].phase, NodePhase::Succeeded);
    }
    for (reason, name) in
        [("WorkflowRunning", "Running"), ("WorkflowNodeSucceeded", "wf.D"), ("WorkflowSucceeded", "completed")]
    {
        world.event(reason, name).await;
    }
    assert_eq!(done.status.unwrap().progress.as_deref(), Some("4/4"));
}

#[tokio::test]
async fn outputs_come_by_the_termination_message() {
    let world = World::new().await;
    world.install("argo-workflows").await;
    control(&world);
    // `hi` and `[1,2]` in base64.
    let mut make = ends("make", "0", Some("=result WzEsMl0K\ngreeting aGkK\n"));
    make["outputs"] = json!({"parameters": [{"name": "greeting", "valueFrom": {"path": "/tmp/g"}}]});
    let mut usual = ends("use", "0", None);
    usual["inputs"] = json!({"parameters": [{"name": "m"}]});
    usual["container"]["args"] = json!(["{{inputs.parameters.m}}"]);
    let spec = json!({"entrypoint": "main", "templates": [
        {"name": "main", "steps": [
            [{"name": "make", "template": "make"}],
            [{"name": "use", "template": "use", "withParam": "{{steps.make.outputs.result}}", "arguments": {"parameters": [
                {"name": "m", "value": "{{steps.make.outputs.parameters.greeting}} {{item}}"}]}}],
        ]},
        make, usual,
    ]});
    world.create::<Workflow>(workflow(spec)).await;
    let done = until(&world, Phase::Succeeded).await;
    let made = node(&done, "wf[0].make").outputs.clone().unwrap();
    assert_eq!((made.result.as_deref(), made.exit_code.as_deref()), (Some("[1,2]"), Some("0")));
    assert_eq!(node(&done, "wf[1].use(1:2)").inputs.clone().unwrap().parameters[0].value.clone().unwrap().0, "hi 2");
}

#[tokio::test]
async fn failures_are_retried_after_their_pauses_and_told() {
    let world = World::with_manual_clock().await;
    world.install("argo-workflows").await;
    control(&world);
    let mut flaky = ends("flaky", "3", None);
    flaky["retryStrategy"] = json!({"limit": 1, "backoff": {"duration": "30s"}});
    world.create::<Workflow>(workflow(json!({"entrypoint": "flaky", "templates": [flaky]}))).await;
    let waits = |workflow: &Workflow| {
        let root = workflow.status.as_ref().and_then(|status| status.nodes.get("wf"));
        root.is_some_and(|node| node.message.as_deref() == Some("Backoff for 30 seconds"))
    };
    world.until::<Workflow>("wf", waits).await;
    world.advance(Duration::from_secs(31));
    let done = until(&world, Phase::Failed).await;
    assert_eq!(done.status.as_ref().unwrap().message.as_deref(), Some("No more retries left"));
    assert_eq!(node(&done, "wf(1)").message.as_deref(), Some("main: Error (exit code 3)"));
    world.event("WorkflowFailed", "No more retries left").await;
}

fn resource(action: &str, manifest: &Value, conditions: Value) -> Value {
    let mut resource = conditions;
    resource["action"] = json!(action);
    resource["manifest"] = json!(manifest.to_string());
    json!({"entrypoint": "make", "serviceAccountName": "maker", "templates": [{"name": "make", "resource": resource,
        "outputs": {"parameters": [{"name": "name", "valueFrom": {"jsonPath": "{.metadata.name}"}}]}}]})
}

#[tokio::test]
async fn objects_are_made_with_the_rights_of_the_workflows_account() {
    let world = World::with_manual_clock().await;
    world.install("argo-workflows").await;
    let first = control(&world);
    world.create::<ServiceAccount>(json!({"metadata": {"name": "maker"}})).await;
    let manifest = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "made-"}, "data": {"state": "new"}});
    let spec = resource("create", &manifest, json!({"successCondition": "data.state == done"}));
    world.create::<Workflow>(workflow(spec.clone())).await;
    let refused = until(&world, Phase::Failed).await;
    let message = refused.status.unwrap().message.unwrap();
    assert!(message.contains("system:serviceaccount:default:maker") && message.contains("configmaps"), "{message}");

    let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create", "get"]}]);
    world.create::<Role>(json!({"metadata": {"name": "maker"}, "rules": rules})).await;
    world
        .create::<RoleBinding>(json!({"metadata": {"name": "maker"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "maker"},
            "subjects": [{"kind": "ServiceAccount", "name": "maker", "namespace": "default"}]}))
        .await;
    world.api::<Workflow>().delete("wf", &Default::default()).await.unwrap();
    world.gone::<Workflow>("wf").await;
    world.create::<Workflow>(workflow(spec)).await;
    let made = |maps: &[ConfigMap]| maps.iter().any(|map| map.name_any().starts_with("made-"));
    let maps = world.until_all::<ConfigMap>(made).await;
    let name = maps.iter().find(|map| map.name_any().starts_with("made-")).unwrap().name_any();
    // Another controller finds what the first one made.
    first.cancel();
    world.patch::<ConfigMap>(&name, json!({"data": {"state": "done"}})).await;
    control(&world);
    let done = until(&world, Phase::Succeeded).await;
    assert_eq!(node(&done, "wf").outputs.clone().unwrap().parameters[0].value.clone().unwrap().0, name);
    let maps = world.api::<ConfigMap>().list(&Default::default()).await.unwrap();
    assert_eq!(maps.iter().filter(|map| map.name_any().starts_with("made-")).count(), 1);
}

#[tokio::test]
async fn a_template_is_run_with_arguments_and_what_is_over_goes() {
    let world = World::with_manual_clock().await;
    world.install("argo-workflows").await;
    control(&world);
    let mut say = ends("say", "0", None);
    say["inputs"] = json!({"parameters": [{"name": "m"}]});
    say["container"]["args"] = json!(["{{inputs.parameters.m}}"]);
    let spec = json!({"entrypoint": "say", "ttlStrategy": {"secondsAfterCompletion": 60},
        "arguments": {"parameters": [{"name": "m", "value": "usual"}]}, "templates": [say]});
    world.create::<WorkflowTemplate>(json!({"metadata": {"name": "lib"}, "spec": spec})).await;
    let arguments = json!({"parameters": [{"name": "m", "value": "own"}]});
    world.create::<Workflow>(workflow(json!({"workflowTemplateRef": {"name": "lib"}, "arguments": arguments}))).await;
    let done = until(&world, Phase::Succeeded).await;
    assert_eq!(done.labels()[labels::WORKFLOW_TEMPLATE], "lib");
    let pod = world.until::<Pod>("wf", |_| true).await;
    assert_eq!(pod.spec.unwrap().containers[0].args.clone().unwrap(), ["own"]);
    world.advance(Duration::from_secs(61));
    world.gone::<Workflow>("wf").await;
    world.gone::<Pod>("wf").await;
}

#[tokio::test]
async fn a_stop_ends_what_runs_and_a_mutex_lets_the_next_one_in() {
    let world = World::new().await;
    world.install("argo-workflows").await;
    control(&world);
    let locked = |exit: Option<&str>| {
        let annotations = exit.map_or(json!({}), |code| json!({EXIT: code}));
        json!({"entrypoint": "a", "synchronization": {"mutexes": [{"name": "one"}]}, "templates": [
            {"name": "a", "metadata": {"annotations": annotations}, "container": {"image": "i", "command": ["x"]}}]})
    };
    world.create::<Workflow>(workflow(locked(None))).await;
    world
        .until::<Pod>("wf", |pod| pod.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Running")))
        .await;
    let mut second = workflow(locked(Some("0")));
    second["metadata"]["name"] = json!("second");
    world.create::<Workflow>(second).await;
    let waiting = world.until::<Workflow>("second", |workflow| phase(workflow) == Phase::Pending).await;
    assert_eq!(
        waiting.status.unwrap().message.as_deref(),
        Some("Waiting for default/Mutex/one lock. Lock status: 0/1")
    );
    world.patch::<Workflow>("wf", json!({"spec": {"shutdown": "Stop"}})).await;
    let stopped = until(&world, Phase::Failed).await;
    assert_eq!(stopped.status.unwrap().message.as_deref(), Some("Stopped with strategy 'Stop'"));
    let told = |pod: &Pod| pod.spec.as_ref().is_some_and(|spec| spec.active_deadline_seconds == Some(1));
    world.until::<Pod>("wf", told).await;
    world.until::<Workflow>("second", |workflow| phase(workflow) == Phase::Succeeded).await;
}

#[tokio::test]
async fn what_is_remembered_is_not_run_again() {
    let world = World::new().await;
    world.install("argo-workflows").await;
    control(&world);
    let mut say = ends("say", "0", Some("out aGkK\n"));
    say["memoize"] = json!({"key": "k", "maxAge": "1h", "cache": {"configMap": {"name": "cache"}}});
    say["outputs"] = json!({"parameters": [{"name": "out", "valueFrom": {"path": "/tmp/o"}}]});
    for (name, hit) in [("first", false), ("again", true)] {
        let mut object = workflow(json!({"entrypoint": "say", "templates": [say]}));
        object["metadata"]["name"] = json!(name);
        world.create::<Workflow>(object).await;
        let done = world.until::<Workflow>(name, |workflow| phase(workflow) == Phase::Succeeded).await;
        let root = node(&done, name);
        assert_eq!(root.memoization_status.clone().unwrap().hit, Some(hit));
        assert_eq!(root.outputs.clone().unwrap().parameters[0].value.clone().unwrap().0, "hi");
    }
    let cache = world.until::<ConfigMap>("cache", |_| true).await;
    assert_eq!(cache.labels()[labels::CONFIG_MAP_TYPE], "Cache");
    assert_eq!(world.api::<Pod>().list(&Default::default()).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn controllers_that_are_ended_again_and_again_repeat_nothing() {
    let world = World::new().await;
    world.install("argo-workflows").await;
    world.create::<Workflow>(workflow(diamond())).await;
    let mut uids: Vec<(String, String)> = Vec::new();
    for round in 0..60 {
        let token = control(&world);
        // A little later each time: somewhere within a look, or between two.
        for _ in 0..round * 40 {
            tokio::task::yield_now().await;
        }
        token.cancel();
        for pod in world.api::<Pod>().list(&Default::default()).await.unwrap() {
            let pair = (pod.name_any(), pod.uid().unwrap());
            if !uids.contains(&pair) {
                uids.push(pair);
            }
        }
    }
    control(&world);
    until(&world, Phase::Succeeded).await;
    let pods = world.api::<Pod>().list(&Default::default()).await.unwrap().items;
    assert_eq!(pods.len(), 4);
    assert!(
        uids.iter()
            .all(|(name, uid)| pods.iter().any(|pod| pod.name_any() == *name && pod.uid().as_ref() == Some(uid)))
    );
}

#[tokio::test]
async fn a_pod_that_the_api_refuses_is_an_error_of_its_node() {
    let world = World::new().await;
    world.install("argo-workflows").await;
    control(&world);
    let mut say = ends("say", "0", None);
    say["container"]["ports"] = json!([{"containerPort": 99_999}]);
    world.create::<Workflow>(workflow(json!({"entrypoint": "say", "templates": [say]}))).await;
    let done = until(&world, Phase::Error).await;
    let message = done.status.unwrap().message.unwrap();
    assert!(message.contains("containerPort"), "{message}");
}
