//! What objects cost, and which quotas they fall under.

use serde_json::json;

use super::*;

fn words(usage: &Usage) -> String {
    usage.iter().map(|(name, amount)| format!("{name}={amount}")).collect::<Vec<_>>().join(",")
}

#[test]
fn pods_cost_what_they_ask_for_until_they_are_over() {
    let container =
        |cpu: &str| json!({"name": "c", "resources": {"requests": {"cpu": cpu}, "limits": {"memory": "1Gi"}}});
    let spec = json!({"containers": [container("100m"), container("200m")], "initContainers": [container("1")]});
    assert_eq!(
        words(&usage("", "pods", &json!({"spec": spec}))),
        "count/pods=1,cpu=1,limits.memory=2Gi,pods=1,requests.cpu=1"
    );
    assert_eq!(words(&usage("", "pods", &json!({"spec": spec, "status": {"phase": "Failed"}}))), "count/pods=1");
}

#[test]
fn other_kinds_cost_a_place_and_what_is_theirs() {
    for (group, plural, object, wanted) in [
        ("apps", "deployments", json!({}), "count/deployments.apps=1"),
        ("", "configmaps", json!({}), "configmaps=1,count/configmaps=1"),
        (
            "",
            "services",
            json!({"spec": {"type": "LoadBalancer", "ports": [{}, {}]}}),
            "count/services=1,services=1,services.loadbalancers=1,services.nodeports=2",
        ),
        (
            "",
            "persistentvolumeclaims",
            json!({"spec": {"storageClassName": "fast", "resources": {"requests": {"storage": "5Gi"}}}}),
            "count/persistentvolumeclaims=1,fast.storageclass.storage.k8s.io/persistentvolumeclaims=1,fast.storageclass.storage.k8s.io/requests.storage=5Gi,persistentvolumeclaims=1,requests.storage=5Gi",
        ),
    ] {
        assert_eq!(words(&usage(group, plural, &object)), wanted);
    }
}

#[test]
fn scopes_choose_pods() {
    let asking =
        json!({"spec": {"containers": [{"resources": {"requests": {"cpu": "1"}}}], "priorityClassName": "high"}});
    let modest = json!({"spec": {"containers": [{}], "activeDeadlineSeconds": 5}});
    let selector = |operator: &str, values: &[&str]| {
        json!({"spec": {"scopeSelector": {"matchExpressions": [
            {"scopeName": "PriorityClass", "operator": operator, "values": values}]}}})
    };
    for (quota, first, second) in [
        (json!({"spec": {}}), true, true),
        (json!({"spec": {"scopes": ["BestEffort"]}}), false, true),
        (json!({"spec": {"scopes": ["NotBestEffort", "NotTerminating"]}}), true, false),
        (json!({"spec": {"scopes": ["Terminating"]}}), false, true),
        (selector("In", &["high"]), true, false),
        (selector("DoesNotExist", &[]), false, true),
    ] {
        let found = [&asking, &modest].map(|pod| is_covered(&quota, "", "pods", pod));
        assert_eq!(found, [first, second], "{quota}");
    }
    assert!(!is_covered(&json!({"spec": {"scopes": ["BestEffort"]}}), "", "services", &json!({})));
}

#[test]
fn containers_must_say_what_is_limited() {
    let pod = json!({"spec": {"containers": [{"name": "b"}, {"name": "a", "resources": {"requests": {"cpu": "1"}}}]}});
    assert_eq!(
        unsaid(&json!({"cpu": "1", "limits.memory": "1Gi", "pods": "3"}), &pod).as_deref(),
        Some("must specify cpu for: b; limits.memory for: a,b")
    );
    assert_eq!(unsaid(&json!({"pods": "3"}), &pod), None);
}
