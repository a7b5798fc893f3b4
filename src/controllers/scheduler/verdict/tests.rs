//! Where pods go, and the words when they do not.

use serde_json::{Value, json};

use super::*;

fn node(name: &str, change: Value) -> Arc<Node> {
    let mut node = json!({
        "metadata": {"name": name, "labels": {"zone": "a", "size": "4"}},
        "spec": {},
        "status": {"allocatable": {"cpu": "2", "memory": "4Gi", "pods": "3"}},
    });
    for (path, value) in change.as_object().into_iter().flatten() {
        if let Some(at) = node.pointer_mut(path) {
            *at = value.clone();
        }
    }
    Arc::new(serde_json::from_value(node).unwrap_or_default())
}

fn pod(spec: Value) -> Pod {
    serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": spec})).unwrap_or_default()
}

fn asking(cpu: &str) -> Value {
    json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]})
}

fn with(mut spec: Value, key: &str, value: Value) -> Value {
    spec[key] = value;
    spec
}

fn seat(node: Arc<Node>, pods: &[Value]) -> Seat {
    let mut seat = Seat::new(node);
    pods.iter().for_each(|spec| seat.take(&Arc::new(pod(spec.clone()))));
    seat
}

/// Where a pod goes among nodes, in words when it goes nowhere.
fn placed(pod: &Pod, seats: &[Seat]) -> Result<String, String> {
    match decide(pod, &Hall { seats: seats.to_vec(), namespaces: Vec::new() }) {
        Verdict::Fits(node) => Ok(node),
        Verdict::Stays(complaint) => Err(complaint.words(&Preemption::Useless)),
    }
}

const NO_VICTIMS: &str = "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.";
const NO_HELP: &str = "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";

#[test]
fn refusals_in_kubernetes_words() {
    let plain = || node("a", json!({}));
    let port = json!({"containers": [{"name": "c", "ports": [{"containerPort": 80, "hostPort": 80}]}]});
    let cases = [
        (asking("1500m"), seat(plain(), &[asking("1")]), "1 Insufficient cpu", NO_VICTIMS),
        (asking("3"), seat(plain(), &[]), "1 Insufficient cpu", NO_HELP),
        (asking("0"), seat(plain(), &[asking("0"), asking("0"), asking("0")]), "1 Too many pods", NO_VICTIMS),
        (
            with(asking("1"), "nodeSelector", json!({"zone": "b"})),
            seat(plain(), &[]),
            "1 node(s) didn't match Pod's node affinity/selector",
            NO_HELP,
        ),
        (
            asking("1"),
            seat(node("a", json!({"/spec": {"taints": [{"key": "k", "value": "v", "effect": "NoExecute"}]}})), &[]),
            "1 node(s) had untolerated taint {k: v}",
            NO_HELP,
        ),
        (
            asking("1"),
            seat(node("a", json!({"/spec": {"unschedulable": true}})), &[]),
            "1 node(s) were unschedulable",
            NO_HELP,
        ),
        (
            port.clone(),
            seat(plain(), &[port]),
            "1 node(s) didn't have free ports for the requested pod ports",
            NO_VICTIMS,
        ),
    ];
    for (spec, seat, reason, preemption) in cases {
        let text = format!("0/1 nodes are available: {reason}. {preemption}");
        assert_eq!(placed(&pod(spec), &[seat]), Err(text));
    }
}

#[test]
fn reasons_of_several_nodes_are_counted_and_sorted() {
    let seats = [
        seat(node("a", json!({})), &[asking("2")]),
        seat(node("b", json!({})), &[asking("2")]),
        seat(node("c", json!({"/spec": {"unschedulable": true}})), &[]),
    ];
    assert_eq!(
        placed(&pod(asking("1")), &seats),
        Err(
            "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu. preemption: 0/3 nodes are available: \
             1 Preemption is not helpful for scheduling, 2 No preemption victims found for incoming pod."
                .to_owned()
        )
    );
    assert_eq!(placed(&pod(asking("1")), &[]), Err("no nodes available to schedule pods".to_owned()));
}

#[test]
fn chooses_what_is_allowed_then_preferred_then_emptiest() {
    let seats = || {
        [
            seat(node("full", json!({})), &[asking("1")]),
            seat(node("empty", json!({})), &[]),
            seat(node("other", json!({"/metadata/labels": {"zone": "b", "size": "9"}})), &[asking("1")]),
        ]
    };
    let term = |key: &str, operator: &str, values: Value| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
    let required = |term: Value| {
        let required = json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}});
        with(asking("1"), "affinity", json!({"nodeAffinity": required}))
    };
    let preferred = json!({"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": term("zone", "In", json!(["b"]))}]});
    let by_name = json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["full"]}]});
    for (spec, wanted) in [
        (asking("1"), "empty"),
        (required(term("size", "Gt", json!(["5"]))), "other"),
        (required(term("zone", "NotIn", json!(["a"]))), "other"),
        (required(by_name), "full"),
        (with(asking("1"), "affinity", json!({"nodeAffinity": preferred})), "other"),
    ] {
        assert_eq!(placed(&pod(spec), &seats()), Ok(wanted.to_owned()));
    }
}

#[test]
fn tolerations_open_tainted_nodes() {
    let taints = json!([{"key": "k", "value": "v", "effect": "NoSchedule"}]);
    let tainted = || [seat(node("a", json!({"/spec": {"taints": taints}})), &[])];
    for (toleration, fits) in [
        (json!({"key": "k", "operator": "Exists"}), true),
        (json!({"operator": "Exists"}), true),
        (json!({"key": "k", "value": "v"}), true),
        (json!({"key": "k", "value": "w"}), false),
        (json!({"key": "k", "operator": "Exists", "effect": "NoExecute"}), false),
    ] {
        let spec = with(asking("1"), "tolerations", json!([toleration]));
        assert_eq!(placed(&pod(spec), &tainted()).is_ok(), fits, "{toleration}");
    }
}

#[test]
fn demands_count_init_containers_sidecars_and_overhead() {
    let container = |cpu: &str| json!({"name": "c", "resources": {"requests": {"cpu": cpu}}});
    let sidecar = |cpu: &str| json!({"name": "s", "restartPolicy": "Always", "resources": {"limits": {"cpu": cpu}}});
    for (spec, milli) in [
        (json!({"containers": [container("1"), container("250m")]}), 1250),
        (json!({"containers": [container("1")], "initContainers": [container("2")]}), 2000),
        (json!({"containers": [container("1")], "initContainers": [sidecar("500m"), container("2")]}), 2500),
        (json!({"containers": [container("1")], "initContainers": [container("1"), sidecar("500m")]}), 1500),
        (json!({"containers": [container("1")], "overhead": {"cpu": "10m"}}), 1010),
    ] {
        assert_eq!(demand::of_pod(&pod(spec.clone())).get("cpu"), milli, "{spec}");
    }
}

fn labelled(app: &str, affinity: Value) -> Pod {
    let pod = json!({"metadata": {"name": app, "namespace": "n", "labels": {"app": app}},
        "spec": {"containers": [], "affinity": affinity}});
    serde_json::from_value(pod).unwrap_or_default()
}

fn hosting(name: &str, zone: &str, pods: &[Pod]) -> Seat {
    let mut seat = seat(node(name, json!({"/metadata/labels": {"zone": zone, "host": name}})), &[]);
    pods.iter().for_each(|pod| seat.take(&Arc::new(pod.clone())));
    seat
}

fn term(app: &str, key: &str) -> Value {
    json!({"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": key})
}

fn required(side: &str, term: Value) -> Value {
    json!({side: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}})
}

#[test]
fn pods_go_near_others_and_away_from_others() {
    let db = labelled("db", Value::Null);
    let loner = labelled("loner", required("podAntiAffinity", term("web", "zone")));
    let seats = [hosting("a1", "a", &[]), hosting("a2", "a", &[db]), hosting("b1", "b", &[loner])];
    let preferred = json!({"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 10, "podAffinityTerm": term("db", "host")}]}});
    let none = "preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.";
    for (app, affinity, wanted) in [
        ("x", required("podAffinity", term("db", "host")), Ok("a2")),
        ("x", required("podAntiAffinity", term("db", "zone")), Ok("b1")),
        ("web", required("podAntiAffinity", term("db", "host")), Ok("a1")),
        ("x", preferred, Ok("a2")),
        ("x", required("podAffinity", term("x", "zone")), Ok("a1")),
        (
            "x",
            required("podAffinity", term("y", "zone")),
            Err("0/3 nodes are available: 3 node(s) didn't match pod affinity rules."),
        ),
    ] {
        let found = placed(&labelled(app, affinity.clone()), &seats);
        let wanted = wanted.map(str::to_owned).map_err(|text| format!("{text} {none}"));
        assert_eq!(found, wanted, "{app} {affinity}");
    }
    let away = |app: &str| placed(&labelled(app, required("podAntiAffinity", term("db", "zone"))), &seats[1..]);
    assert_eq!(
        away("web"),
        Err("0/2 nodes are available: 1 node(s) didn't match pod anti-affinity rules, 1 node(s) didn't satisfy existing pods anti-affinity rules. \
             preemption: 0/2 nodes are available: 2 No preemption victims found for incoming pod."
            .to_owned())
    );
}

#[test]
fn pods_are_spread_over_places() {
    let web = || labelled("web", Value::Null);
    let spread = |when: &str, key: &str| {
        let mut pod = web();
        if let Some(spec) = pod.spec.as_mut() {
            let constraint = json!([{"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": when,
                "labelSelector": {"matchLabels": {"app": "web"}}}]);
            spec.topology_spread_constraints = serde_json::from_value(constraint).unwrap_or_default();
        }
        pod
    };
    let seats = [hosting("a1", "a", &[web()]), hosting("a2", "a", &[web()]), hosting("b1", "b", &[web()])];
    assert_eq!(placed(&spread("DoNotSchedule", "zone"), &seats), Ok("b1".to_owned()));
    assert_eq!(placed(&spread("ScheduleAnyway", "zone"), &seats), Ok("b1".to_owned()));
    assert_eq!(
        placed(&spread("DoNotSchedule", "rack"), &seats[..1]),
        Err("0/1 nodes are available: 1 node(s) didn't match pod topology spread constraints (missing required label). \
             preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
            .to_owned())
    );
    let full = [hosting("a1", "a", &[web(), web()]), hosting("b1", "b", &[])];
    let text = placed(
        &spread("DoNotSchedule", "zone"),
        &[
            full[0].clone(),
            seat(node("b1", json!({"/metadata/labels": {"zone": "b"}, "/spec": {"unschedulable": true}})), &[]),
        ],
    );
    assert!(text.is_err_and(|text| text.contains("1 node(s) didn't match pod topology spread constraints, ")));
}
