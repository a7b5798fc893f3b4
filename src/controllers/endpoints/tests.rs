//! Whole plans of endpoints.

use serde_json::{Value, json};

use super::*;

fn service(spec: Value) -> Service {
    let service =
        json!({"metadata": {"name": "web", "namespace": "n", "uid": "s", "labels": {"l": "1"}}, "spec": spec});
    serde_json::from_value(service).unwrap_or_default()
}

fn pod(name: &str, ip: &str, ready: bool, spec: Value) -> Arc<Pod> {
    let word = if ready { "True" } else { "False" };
    let pod = json!({
        "metadata": {"name": name, "namespace": "n", "uid": name},
        "spec": spec,
        "status": {"phase": "Running", "podIP": ip, "conditions": [{"type": "Ready", "status": word}]},
    });
    Arc::new(serde_json::from_value(pod).unwrap_or_default())
}

fn named(port: i32) -> Value {
    json!({"nodeName": "node-0", "containers": [{"name": "c", "ports": [{"name": "http", "containerPort": port}]}]})
}

fn both(service: &Service, pods: &[Arc<Pod>]) -> Vec<(String, Value)> {
    let mut plan = Plan::default();
    slices::plan(service, pods, &[], &mut plan);
    legacy::plan(service, pods, None, &mut plan);
    plan.steps().map(|step| (step.describe(), step.body().clone())).collect()
}

#[test]
fn ready_and_unready_pods_under_a_named_port() {
    let service =
        service(json!({"clusterIP": "10.96.0.7", "ports": [{"name": "p", "port": 80, "targetPort": "http"}]}));
    let pods = [pod("a", "10.244.0.2", true, named(8080)), pod("b", "10.244.0.3", false, named(8080))];
    let made = both(&service, &pods);
    let words: Vec<&str> = made.iter().map(|(words, _)| words.as_str()).collect();
    assert_eq!(words, ["create endpointslices n/web-", "create endpoints n/web"]);
    let slice = &made[0].1;
    assert_eq!(slice["ports"], json!([{"name": "p", "port": 8080, "protocol": "TCP"}]));
    assert_eq!(
        slice["endpoints"][1],
        json!({
            "addresses": ["10.244.0.3"], "nodeName": "node-0",
            "conditions": {"ready": false, "serving": false, "terminating": false},
            "targetRef": {"kind": "Pod", "namespace": "n", "name": "b", "uid": "b"},
        })
    );
    assert_eq!(slice["metadata"]["labels"]["kubernetes.io/service-name"], "web");
    assert!(slice["metadata"]["labels"].get("service.kubernetes.io/headless").is_none());
    let subset = &made[1].1["subsets"][0];
    assert_eq!(subset["addresses"][0]["ip"], "10.244.0.2");
    assert_eq!(subset["notReadyAddresses"][0]["ip"], "10.244.0.3");
}

#[test]
fn pods_with_other_numbers_for_a_port_have_slices_of_their_own() {
    let service = service(json!({"clusterIP": "10.96.0.7", "ports": [{"port": 80, "targetPort": "http"}]}));
    let pods = [pod("a", "10.244.0.2", true, named(8080)), pod("b", "10.244.0.3", true, named(9090))];
    let made = both(&service, &pods);
    let ports: Vec<&Value> = made[..2].iter().map(|(_, slice)| &slice["ports"][0]["port"]).collect();
    assert_eq!(ports, [8080, 9090]);
}

#[test]
fn a_headless_service_names_its_pods_and_may_publish_early() {
    let spec = json!({"clusterIP": "None", "publishNotReadyAddresses": true});
    let pod = pod("a", "10.244.0.2", false, json!({"hostname": "h", "subdomain": "web", "containers": []}));
    let made = both(&service(spec), &[pod]);
    let slice = &made[0].1;
    assert_eq!(slice["endpoints"][0]["hostname"], "h");
    assert_eq!(slice["endpoints"][0]["conditions"], json!({"ready": true, "serving": false, "terminating": false}));
    assert_eq!(slice["metadata"]["labels"]["service.kubernetes.io/headless"], "");
    assert_eq!(made[1].1["subsets"][0]["addresses"][0]["hostname"], "h");
}

#[test]
fn what_is_right_stays_and_what_is_too_much_goes() {
    let service = service(json!({"clusterIP": "10.96.0.7", "ports": [{"port": 80, "targetPort": 8080}]}));
    let pods = [pod("a", "10.244.0.2", true, named(1))];
    let made = both(&service, &pods);
    let slice = |name: &str| {
        let mut slice: EndpointSlice = serde_json::from_value(made[0].1.clone()).unwrap_or_default();
        slice.metadata.name = Some(name.to_owned());
        Arc::new(slice)
    };
    let endpoints: Endpoints = serde_json::from_value(made[1].1.clone()).unwrap_or_default();
    let mut plan = Plan::default();
    slices::plan(&service, &pods, &[slice("web-1"), slice("web-2")], &mut plan);
    legacy::plan(&service, &pods, Some(&endpoints), &mut plan);
    let words: Vec<String> = plan.steps().map(Step::describe).collect();
    assert_eq!(words, ["delete endpointslices n/web-2"]);
    let mut empty = Plan::default();
    slices::plan(&service, &[], &[slice("web-1")], &mut empty);
    let words: Vec<String> = empty.steps().map(Step::describe).collect();
    assert_eq!(words, ["patch endpointslices n/web-1"]);
}
