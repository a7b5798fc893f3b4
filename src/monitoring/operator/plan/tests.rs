//! What is planned for a Prometheus, and what is said of it and of the monitors that it selects.

use serde_json::{Value, json};

use super::*;

fn object<K: serde::de::DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

fn seen(spec: Value, endpoint: Value) -> Seen {
    Seen {
        prometheus: Arc::new(object(json!({
            "metadata": {"name": "k8s", "namespace": "monitoring", "uid": "p", "generation": 3}, "spec": spec,
        }))),
        pods: vec![object(json!({
            "metadata": {"name": "spark", "namespace": "jobs", "uid": "m", "resourceVersion": "5"},
            "spec": {"selector": {}, "podMetricsEndpoints": [endpoint]},
        }))],
        services: Vec::new(),
        rules: vec![object(json!({
            "metadata": {"name": "alerts", "namespace": "monitoring", "uid": "r"},
            "spec": {"groups": [{"name": "g", "rules": [{"alert": "Down", "expr": "up == 0"}]}]},
        }))],
        namespaces: Namespaces::from([
            ("jobs".to_owned(), Default::default()),
            ("monitoring".to_owned(), Default::default()),
        ]),
        held: Held::new(),
        discovery: Discovery::Files,
        world: World::default(),
        set: None,
    }
}

fn everything() -> Value {
    json!({
        "podMonitorSelector": {}, "podMonitorNamespaceSelector": {}, "ruleSelector": {},
        "serviceAccountName": "prometheus", "retention": "2h",
        "securityContext": {"runAsNonRoot": true, "runAsUser": 65534},
    })
}

fn text(plan: &Plan) -> String {
    let mut lines = Vec::new();
    for (stage, steps) in plan.stages.iter().enumerate() {
        for step in steps {
            lines.push(format!("stage {stage}: {}", step.describe()));
            lines.push(serde_yaml::to_string(step.body()).unwrap());
        }
    }
    lines.extend(plan.notes.iter().map(|note| format!("{note:?}")));
    lines.join("\n")
}

#[test]
fn everything_that_it_needs_is_made_before_its_pods() {
    let plan = plan(&seen(everything(), json!({"port": "spark-ui"})), Timestamp::UNIX_EPOCH);
    insta::assert_snapshot!(text(&plan));
}

#[test]
fn a_monitor_that_cannot_be_is_told_and_the_rest_goes_on() {
    let made = plan(&seen(everything(), json!({"scheme": "ftp"})), Timestamp::UNIX_EPOCH);
    let steps: Vec<String> = made.steps().map(Step::describe).collect();
    assert!(steps.iter().any(|step| step.contains("statefulsets monitoring/prometheus-k8s")), "{steps:?}");
    let bodies: Vec<&Value> = made.steps().map(Step::body).collect();
    let accepted = bodies.iter().find_map(|body| body.pointer("/status/bindings/0/conditions/0")).unwrap();
    assert_eq!((&accepted["type"], &accepted["status"]), (&json!("Accepted"), &json!("False")));
    let reconciled = bodies.iter().find_map(|body| body.pointer("/status/conditions/1")).unwrap();
    assert_eq!(reconciled["message"], "PodMonitor jobs/spark: the scheme \"ftp\" is neither http nor https");
    assert_eq!(made.notes.len(), 1);
}

#[test]
fn what_is_not_acted_upon_is_told() {
    let mut spec = everything();
    spec["remoteWrite"] = json!([]);
    spec["replicas"] = json!(2);
    let plan = plan(&seen(spec, json!({})), Timestamp::UNIX_EPOCH);
    let told = plan.steps().find_map(|step| step.body().pointer("/status/conditions/1/message").cloned()).unwrap();
    assert_eq!(told, "not acted upon here: remoteWrite; replicas: no more than 1 is made here");
    let set = plan.steps().find(|step| step.describe().contains("statefulsets")).unwrap();
    assert_eq!(set.body()["spec"]["replicas"], 1);
}
