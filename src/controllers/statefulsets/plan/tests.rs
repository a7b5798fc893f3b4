//! Whole plans of StatefulSets.

use serde_json::{Value, json};

use super::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn set(spec: Value, status: Value) -> StatefulSet {
    let mut whole = json!({
        "serviceName": "db",
        "replicas": 3,
        "selector": {"matchLabels": {"app": "db"}},
        "template": {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "c", "image": "one"}]}},
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
    });
    merge(&mut whole, &spec);
    let set = json!({
        "metadata": {"name": "db", "namespace": "n", "uid": "set", "generation": 1, "resourceVersion": "9"},
        "spec": whole,
        "status": status,
    });
    serde_json::from_value(set).unwrap()
}

fn merge(target: &mut Value, change: &Value) {
    match (target, change) {
        (Value::Object(target), Value::Object(change)) => {
            for (key, value) in change {
                merge(target.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (target, change) => *target = change.clone(),
    }
}

/// A pod of a revision in a state: `ready`, `running`, `pending`, `failed` or `leaving`.
fn pod(ordinal: i32, revision: &str, state: &str) -> Arc<Pod> {
    let name = format!("db-{ordinal}");
    let phase = match state {
        "pending" => "Pending",
        "failed" => "Failed",
        _ => "Running",
    };
    let mut pod = json!({
        "metadata": {
            "name": name, "namespace": "n", "uid": name, "resourceVersion": "3",
            "labels": {"app": "db", "controller-revision-hash": revision, "statefulset.kubernetes.io/pod-name": name,
                "apps.kubernetes.io/pod-index": ordinal.to_string()},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "set", "controller": true}],
        },
        "spec": {"containers": []},
        "status": {"phase": phase},
    });
    if state == "ready" || state == "leaving" {
        pod["status"]["conditions"] =
            json!([{"type": "Ready", "status": "True", "lastTransitionTime": "1970-01-01T00:00:00Z"}]);
    }
    if state == "leaving" {
        pod["metadata"]["deletionTimestamp"] = json!("1970-01-01T00:00:00Z");
    }
    Arc::new(serde_json::from_value(pod).unwrap())
}

/// The revision of a set's template, as an earlier plan made it, under another name.
fn kept(set: &StatefulSet, name: &str, number: i64) -> Arc<ControllerRevision> {
    let made = planned(set, &[], &[], &[]);
    let step = made.steps().find(|step| step.resource.kind == "ControllerRevision").unwrap();
    let mut revision: ControllerRevision = serde_json::from_value(step.body().clone()).unwrap();
    revision.metadata.name = Some(name.to_owned());
    revision.metadata.uid = Some(name.to_owned());
    revision.metadata.resource_version = Some("1".to_owned());
    revision.revision = number;
    Arc::new(revision)
}

fn planned(
    set: &StatefulSet,
    pods: &[Arc<Pod>],
    claims: &[Arc<PersistentVolumeClaim>],
    revisions: &[Arc<ControllerRevision>],
) -> Plan {
    plan(set, &Seen { pods, claims, revisions }, NOW).unwrap()
}

/// What is done besides the status.
fn acts(plan: &Plan) -> Vec<String> {
    plan.steps().map(Step::describe).filter(|step| !step.contains("/status")).collect()
}

fn status_of(plan: &Plan) -> Value {
    let step = plan.steps().find(|step| step.describe().contains("/status"));
    step.map(|step| step.body()["status"].clone()).unwrap_or_default()
}

#[test]
fn pods_come_one_after_the_other_or_all_at_once() {
    let first = planned(&set(json!({}), json!({})), &[], &[], &[]);
    let revision = first.steps().next().unwrap();
    let name = revision.name.clone();
    assert_eq!(acts(&first), [format!("create controllerrevisions n/{name}"), "create pods n/db-0".to_owned()]);
    assert_eq!(revision.body()["data"]["spec"]["template"]["$patch"], "replace");
    assert_eq!(revision.body()["metadata"]["labels"]["controller.kubernetes.io/hash"], name.trim_start_matches("db-"));
    let pod_step = first.steps().last().unwrap();
    assert_eq!(
        pod_step.body()["metadata"]["labels"],
        json!({"app": "db", "controller-revision-hash": name, "statefulset.kubernetes.io/pod-name": "db-0",
            "apps.kubernetes.io/pod-index": "0"})
    );
    assert_eq!(
        (&pod_step.body()["spec"]["hostname"], &pod_step.body()["spec"]["subdomain"]),
        (&json!("db-0"), &json!("db"))
    );
    assert_eq!(pod_step.told.as_ref().unwrap().message, "create Pod db-0 in StatefulSet db successful");
    assert_eq!(status_of(&first)["updateRevision"], name);

    let parallel = set(json!({"podManagementPolicy": "Parallel", "ordinals": {"start": 5}}), json!({}));
    let all = planned(&parallel, &[], &[], &[]);
    assert_eq!(acts(&all)[1..], ["create pods n/db-5", "create pods n/db-6", "create pods n/db-7"]);
}

#[test]
fn the_next_pod_waits_until_the_one_before_is_available() {
    let slow = set(json!({"minReadySeconds": 10}), json!({}));
    let revision = [kept(&slow, "db-r", 1)];
    for (spec, state, wanted) in [
        (json!({}), "running", vec![]),
        (json!({}), "leaving", vec![]),
        (json!({}), "ready", vec!["create pods n/db-1"]),
        (json!({"minReadySeconds": 10}), "ready", vec![]),
    ] {
        let plan = planned(&set(spec.clone(), json!({})), &[pod(0, "db-r", state)], &[], &revision);
        assert_eq!(acts(&plan), wanted, "{spec} {state}");
    }
    let plan = planned(&slow, &[pod(0, "db-r", "ready")], &[], &revision);
    assert_eq!(plan.again.map(|at| at.as_second()), Some(10));
}

#[test]
fn ended_pods_are_deleted_to_come_back() {
    let set = set(json!({}), json!({}));
    let pods = [pod(0, "db-r", "failed"), pod(1, "db-r", "ready")];
    let plan = planned(&set, &pods, &[], &[kept(&set, "db-r", 1)]);
    assert_eq!(acts(&plan), ["delete pods n/db-0"]);
}

#[test]
fn claims_come_before_their_pod_and_stay_as_the_policy_says() {
    let with = |when_deleted: &str, when_scaled: &str, replicas: i32| {
        set(
            json!({
                "replicas": replicas,
                "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}],
                "persistentVolumeClaimRetentionPolicy": {"whenDeleted": when_deleted, "whenScaled": when_scaled},
            }),
            json!({}),
        )
    };
    let first = planned(&with("Delete", "Retain", 1), &[], &[], &[]);
    let stages: Vec<usize> = first.stages.iter().map(Vec::len).collect();
    assert_eq!(acts(&first)[1..], ["create persistentvolumeclaims n/data-db-0", "create pods n/db-0"]);
    assert_eq!(stages, [2, 1, 1]);
    let claim = first.stages[1][0].body();
    assert_eq!(claim["metadata"]["labels"], json!({"app": "db"}));
    assert_eq!(claim["metadata"]["ownerReferences"][0]["kind"], "StatefulSet");
    let volume = &first.stages[2][0].body()["spec"]["volumes"][0];
    assert_eq!(*volume, json!({"name": "data", "persistentVolumeClaim": {"claimName": "data-db-0"}}));

    let mut made: PersistentVolumeClaim = serde_json::from_value(claim.clone()).unwrap();
    made.metadata.owner_references = None;
    let shrinking = with("Retain", "Delete", 0);
    let revision = [kept(&shrinking, "db-r", 1)];
    let plan = planned(&shrinking, &[pod(0, "db-r", "ready")], &[Arc::new(made)], &revision);
    assert_eq!(acts(&plan), ["patch persistentvolumeclaims n/data-db-0", "delete pods n/db-0"]);
    let step = plan.steps().find(|step| step.resource.kind == "PersistentVolumeClaim").unwrap();
    assert_eq!(step.body()["metadata"]["ownerReferences"][0]["name"], "db-0");

    // While the claim of an earlier pod is being collected, its successor waits.
    let left: PersistentVolumeClaim = serde_json::from_value(json!({"metadata": {"name": "data-db-0", "namespace": "n",
        "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "db-0", "uid": "former", "controller": true}]}}))
    .unwrap();
    let growing = with("Retain", "Delete", 1);
    assert_eq!(acts(&planned(&growing, &[], &[Arc::new(left)], &revision)), [""; 0]);
}

#[test]
fn too_many_pods_go_from_the_last_one_at_a_time() {
    for (policy, second, third, wanted) in [
        ("OrderedReady", "ready", "ready", vec!["delete pods n/db-2"]),
        ("OrderedReady", "ready", "leaving", vec![]),
        ("OrderedReady", "running", "ready", vec!["delete pods n/db-2"]),
        ("OrderedReady", "running", "running", vec![]),
        ("Parallel", "running", "ready", vec!["delete pods n/db-2", "delete pods n/db-1"]),
    ] {
        let set = set(json!({"replicas": 1, "podManagementPolicy": policy}), json!({}));
        let pods = [pod(0, "db-r", "ready"), pod(1, "db-r", second), pod(2, "db-r", third)];
        let plan = planned(&set, &pods, &[], &[kept(&set, "db-r", 1)]);
        assert_eq!(acts(&plan), wanted, "{policy} {second} {third}");
    }
}

#[test]
fn old_pods_are_replaced_from_the_last_down_to_the_partition() {
    let old = set(json!({}), json!({}));
    let changed = |rolling: Value| json!({"template": {"spec": {"containers": [{"name": "c", "image": "two"}]}}, "updateStrategy": rolling});
    let rolling = |settings: Value| json!({"type": "RollingUpdate", "rollingUpdate": settings});
    for (strategy, states, wanted) in [
        (rolling(json!({"partition": 0})), ["old ready", "old ready", "old ready"], vec!["delete pods n/db-2"]),
        (rolling(json!({"partition": 0})), ["old ready", "old ready", "new ready"], vec!["delete pods n/db-1"]),
        (rolling(json!({"partition": 0})), ["old ready", "old ready", "new leaving"], vec![]),
        (rolling(json!({"partition": 2})), ["old ready", "old ready", "new ready"], vec![]),
        (
            rolling(json!({"partition": 0, "maxUnavailable": 2})),
            ["old ready", "old ready", "old ready"],
            vec!["delete pods n/db-2"],
        ),
        (json!({"type": "OnDelete", "rollingUpdate": null}), ["old ready", "old ready", "old ready"], vec![]),
    ] {
        let new = set(changed(strategy.clone()), json!({"currentRevision": "old", "replicas": 3}));
        let revisions = [kept(&old, "old", 1), kept(&new, "new", 2)];
        let pods: Vec<_> = (0..)
            .zip(states)
            .map(|(ordinal, words)| {
                words.split_once(' ').map(|(revision, state)| pod(ordinal, revision, state)).unwrap()
            })
            .collect();
        let plan = planned(&new, &pods, &[], &revisions);
        assert_eq!(acts(&plan), wanted, "{strategy} {states:?}");
    }
}

#[test]
fn a_missing_pod_before_the_partition_comes_back_as_it_was() {
    let old = set(json!({}), json!({}));
    let new = set(
        json!({"template": {"spec": {"containers": [{"name": "c", "image": "two"}]}},
            "updateStrategy": {"rollingUpdate": {"partition": 2}}}),
        json!({"currentRevision": "old", "replicas": 3}),
    );
    let revisions = [kept(&old, "old", 1), kept(&new, "new", 2)];
    for (missing, image) in [(1, "one"), (2, "two")] {
        let pods: Vec<_> = (0..missing).map(|ordinal| pod(ordinal, "old", "ready")).collect();
        let plan = planned(&new, &pods, &[], &revisions);
        let made = plan.steps().last().unwrap().body();
        assert_eq!(made["spec"]["containers"][0]["image"], image);
    }
}

#[test]
fn a_roll_is_over_when_all_are_new_and_ready() {
    let new = set(json!({"replicas": 2}), json!({"currentRevision": "old", "replicas": 2}));
    let mut before = (*kept(&new, "old", 1)).clone();
    before.data = None;
    let revisions = [Arc::new(before), kept(&new, "new", 2)];
    let rolling = planned(&new, &[pod(0, "old", "ready"), pod(1, "new", "ready")], &[], &revisions);
    let status = status_of(&rolling);
    assert_eq!(
        (&status["currentReplicas"], &status["updatedReplicas"], status.get("currentRevision")),
        (&json!(1), &json!(1), None)
    );
    let over = planned(&new, &[pod(0, "new", "ready"), pod(1, "new", "ready")], &[], &revisions);
    let status = status_of(&over);
    assert_eq!((&status["currentRevision"], &status["currentReplicas"]), (&json!("new"), &json!(2)));
}

#[test]
fn going_back_renews_an_old_revision_and_history_has_an_end() {
    let set = set(json!({"replicas": 0, "revisionHistoryLimit": 1}), json!({"currentRevision": "d"}));
    let other = |name: &str, number: i64| {
        let mut revision = (*kept(&set, name, number)).clone();
        revision.data = None;
        Arc::new(revision)
    };
    let plan = planned(&set, &[], &[], &[other("a", 1), kept(&set, "b", 2), other("c", 3), other("d", 4)]);
    assert_eq!(acts(&plan), ["patch controllerrevisions n/b", "delete controllerrevisions n/a"]);
    assert_eq!(plan.steps().next().unwrap().body()["revision"], 5);
}
