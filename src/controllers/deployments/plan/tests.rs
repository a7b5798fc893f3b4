//! Whole plans of Deployments, step by step as the ReplicaSets follow.

use serde_json::{Value, json};

use super::*;

fn deployment(change: &[(&str, Value)]) -> Deployment {
    let mut deployment = json!({
        "metadata": {"name": "web", "namespace": "n", "uid": "d", "generation": 1, "resourceVersion": "9",
            "annotations": {"deployment.kubernetes.io/revision": "1"}},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "one"}]}},
        },
    });
    for (path, value) in change {
        if let Some(at) = deployment.pointer_mut(path) {
            *at = value.clone();
        }
    }
    serde_json::from_value(deployment).unwrap_or_default()
}

fn plan_of(deployment: &Deployment, sets: &[Arc<ReplicaSet>]) -> Plan {
    plan(deployment, sets, &[], Timestamp::UNIX_EPOCH).unwrap_or_default()
}

/// The ReplicaSet that the Deployment would make, with these numbers.
fn set_of(deployment: &Deployment, revision: u64, wanted: i32, available: i32) -> Arc<ReplicaSet> {
    let hash = template::hash(&deployment.spec.clone().unwrap_or_default().template, None);
    let spec = deployment.spec.clone().unwrap_or_default();
    let view = View::new(deployment, &spec, &[], Vec::new());
    let mut set = view.new_set(&format!("web-{hash}"), &hash, wanted, revision);
    set.metadata.uid = Some(hash);
    set.metadata.resource_version = Some("5".to_owned());
    set.status =
        serde_json::from_value(json!({"replicas": wanted, "availableReplicas": available, "readyReplicas": available}))
            .ok();
    Arc::new(set)
}

fn sizes(plan: &Plan) -> Vec<(String, Value)> {
    let steps = plan.steps().filter(|step| step.resource.kind == "ReplicaSet");
    steps.map(|step| (step.describe(), step.body()["spec"]["replicas"].clone())).collect()
}

#[test]
fn the_first_replica_set_is_made_whole() {
    let mut deployment = deployment(&[]);
    deployment.metadata.annotations = None;
    let plan = plan_of(&deployment, &[]);
    let steps: Vec<String> = plan.steps().map(Step::describe).collect();
    let hash = template::hash(&deployment.spec.clone().unwrap_or_default().template, None);
    assert_eq!(steps, [format!("create replicasets n/web-{hash}"), "patch deployments/status n/web".to_owned()]);
    let set = plan.steps().next().map(|step| step.body().clone()).unwrap_or_default();
    assert_eq!(set["spec"]["replicas"], 3);
    assert_eq!(set["spec"]["selector"]["matchLabels"]["pod-template-hash"], Value::String(hash.clone()));
    assert_eq!(set["spec"]["template"]["metadata"]["labels"]["pod-template-hash"], Value::String(hash.clone()));
    assert_eq!(
        set["metadata"]["annotations"],
        json!({"deployment.kubernetes.io/revision": "1", "deployment.kubernetes.io/desired-replicas": "3",
            "deployment.kubernetes.io/max-replicas": "4"})
    );
    assert_eq!(plan.notes[0].message, format!("Scaled up replica set web-{hash} from 0 to 3"));
}

#[test]
fn a_roll_goes_one_up_one_down() {
    let old = deployment(&[]);
    let new = deployment(&[
        ("/spec/template/spec/containers/0/image", json!("two")),
        ("/metadata/annotations", json!({"deployment.kubernetes.io/revision": "2"})),
    ]);
    let name = |set: &ReplicaSet| set.name_any();
    let old_set = |wanted, available| set_of(&old, 1, wanted, available);
    let new_set = |wanted, available| set_of(&new, 2, wanted, available);
    let first = plan_of(&new, &[old_set(3, 3)]);
    assert_eq!(sizes(&first), [(format!("create replicasets n/{}", name(&new_set(1, 0))), json!(1))]);
    assert!(sizes(&plan_of(&new, &[old_set(3, 3), new_set(1, 0)])).is_empty(), "waits for the new pod");
    let down = |set: &ReplicaSet| format!("patch replicasets n/{}", set.name_any());
    assert_eq!(sizes(&plan_of(&new, &[old_set(3, 3), new_set(1, 1)])), [(down(&old_set(3, 3)), json!(2))]);
    assert_eq!(sizes(&plan_of(&new, &[old_set(2, 2), new_set(1, 1)])), [(down(&new_set(1, 1)), json!(2))]);
    assert_eq!(sizes(&plan_of(&new, &[old_set(1, 1), new_set(3, 3)])), [(down(&old_set(1, 1)), json!(0))]);
    assert!(sizes(&plan_of(&new, &[old_set(0, 0), new_set(3, 3)])).is_empty());
}

#[test]
fn a_paused_deployment_scales_but_does_not_roll() {
    let old = deployment(&[]);
    let mut paused =
        deployment(&[("/spec/template/spec/containers/0/image", json!("two")), ("/spec/replicas", json!(5))]);
    if let Some(spec) = paused.spec.as_mut() {
        spec.paused = Some(true);
        spec.progress_deadline_seconds = Some(600);
    }
    let set = set_of(&old, 1, 3, 3);
    let plan = plan_of(&paused, std::slice::from_ref(&set));
    assert_eq!(sizes(&plan), [(format!("patch replicasets n/{}", set.name_any()), json!(5))]);
    let status = plan.steps().last().map(|step| step.body()["status"]["conditions"].clone()).unwrap_or_default();
    let reasons: Vec<&Value> = status.as_array().into_iter().flatten().map(|condition| &condition["reason"]).collect();
    assert_eq!(reasons, ["MinimumReplicasUnavailable", "DeploymentPaused"]);
}

#[test]
fn a_name_taken_by_another_owner_is_a_collision() {
    let deployment = deployment(&[]);
    let mut taken = (*set_of(&deployment, 1, 0, 0)).clone();
    taken.metadata.owner_references = None;
    taken.metadata.labels = None;
    let plan = plan_of(&deployment, &[Arc::new(taken)]);
    let steps: Vec<String> = plan.steps().map(Step::describe).collect();
    assert_eq!(steps, ["patch deployments/status n/web"]);
    assert_eq!(plan.steps().next().map(|step| step.body()["status"]["collisionCount"].clone()), Some(json!(1)));
}

#[test]
fn history_beyond_the_limit_goes_oldest_first() {
    let new = deployment(&[("/metadata/annotations", json!({"deployment.kubernetes.io/revision": "5"}))]);
    let mut limited = new.clone();
    if let Some(spec) = limited.spec.as_mut() {
        spec.revision_history_limit = Some(1);
    }
    let image = |image: &str| deployment(&[("/spec/template/spec/containers/0/image", json!(image))]);
    let old: Vec<Arc<ReplicaSet>> =
        ["a", "b", "c"].iter().zip(2..).map(|(name, revision)| set_of(&image(name), revision, 0, 0)).collect();
    let mut sets = vec![set_of(&new, 5, 3, 3)];
    sets.extend(old.iter().cloned());
    let plan = plan_of(&limited, &sets);
    let deleted: Vec<String> = plan.steps().map(Step::describe).filter(|words| words.starts_with("delete")).collect();
    assert_eq!(deleted, [0, 1].map(|at: usize| format!("delete replicasets n/{}", old[at].name_any())));
}
