//! Every kind in every state.

use serde_json::json;

use super::*;

#[test]
fn every_kind_in_every_state() {
    let documents = tinderbox_api::manifest::load(include_str!("testdata.yaml")).expect("YAML");
    let mut count = 0;
    for (kind, cases) in documents[0].value.as_object().expect("kinds") {
        let (kind, version) = kind.split_once(' ').expect("kind and version");
        for case in cases.as_array().expect("cases") {
            let mut object = case[1].clone();
            object["kind"] = json!(kind);
            object["apiVersion"] = json!(version);
            if object["metadata"]["name"].is_null() {
                object["metadata"]["name"] = json!("x");
            }
            let found = of(&object).map_or("none", |found| found.health.as_str());
            assert_eq!(found, case[0], "{kind} {object}");
            count += 1;
        }
    }
    assert!(count > 90, "{count}");
}

#[test]
fn messages_say_why() {
    let spark = json!({
        "apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication",
        "status": {"applicationState": {"state": "FAILED", "errorMessage": "driver lost"}},
    });
    assert_eq!(of(&spark), Some(Finding::new(Health::Degraded, "driver lost")));
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "spec": {"restartPolicy": "Never"},
        "status": {"phase": "Failed", "containerStatuses": [{"state": {"terminated": {"exitCode": 3}}}]},
    });
    assert_eq!(of(&pod), Some(Finding::new(Health::Degraded, "container failed with exit code 3")));
}

#[test]
fn an_application_is_as_well_as_the_worst_of_its_objects() {
    let job = |condition: &str| {
        json!({
            "apiVersion": "batch/v1", "kind": "Job", "status": {"conditions": [{"type": condition, "status": "True"}]},
        })
    };
    let (good, bad) = (job("Complete"), job("Failed"));
    let mut ignored = bad.clone();
    ignored["metadata"]["annotations"][marks::IGNORE_HEALTH] = json!("true");
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap"});
    assert_eq!(of_all([Some(&good), Some(&map)]), Health::Healthy);
    assert_eq!(of_all([Some(&good), Some(&bad)]), Health::Degraded);
    assert_eq!(of_all([Some(&good), Some(&ignored)]), Health::Healthy);
    assert_eq!(of_all([Some(&good), None]), Health::Healthy, "one missing object does not worsen it");
    let child = |health: &str| json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "status": {"health": {"status": health}}});
    assert_eq!(of_all([Some(&child("Missing")), Some(&child("Unknown"))]), Health::Healthy);
    assert_eq!(of_all([Some(&child("Degraded"))]), Health::Degraded);
    assert_eq!(of_all([None, None]), Health::Missing);
    assert_eq!(of_all([]), Health::Healthy);
}
