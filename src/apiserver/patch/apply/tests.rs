//! Server-side apply: whole managedFields after histories of writes.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::schema::{Kind, ListType};

mod kinds;

fn kind(kind: Kind) -> Schema {
    Schema { kind, ..Schema::default() }
}

fn object(fields: Vec<(&str, Schema)>) -> Schema {
    let named = fields.into_iter();
    Schema { properties: named.map(|(name, field)| (name.to_owned(), Arc::new(field))).collect(), ..kind(Kind::Object) }
}

fn keyed(keys: &[&str], items: Schema) -> Schema {
    Schema {
        list_type: ListType::Map(keys.iter().map(|&key| key.to_owned()).collect()),
        items: Some(Arc::new(items)),
        ..kind(Kind::Array)
    }
}

fn texts() -> Schema {
    Schema { additional: Some(Arc::new(kind(Kind::String))), ..kind(Kind::Object) }
}

fn deployment() -> Schema {
    let string = || kind(Kind::String);
    let protocol = Schema { default: Some(json!("TCP")), ..string() };
    let port = object(vec![("containerPort", kind(Kind::Integer)), ("protocol", protocol), ("name", string())]);
    let env = object(vec![("name", string()), ("value", string())]);
    let container = object(vec![
        ("name", string()),
        ("image", string()),
        ("args", kind(Kind::Array)),
        ("env", keyed(&["name"], env)),
        ("ports", keyed(&["containerPort", "protocol"], port)),
    ]);
    let template = object(vec![
        ("metadata", object(vec![("labels", texts())])),
        ("spec", object(vec![("containers", keyed(&["name"], container))])),
    ]);
    let selector = Schema { atomic_map: true, ..object(vec![("matchLabels", texts())]) };
    let condition = object(vec![("type", string()), ("status", string())]);
    object(vec![
        ("spec", object(vec![("replicas", kind(Kind::Integer)), ("selector", selector), ("template", template)])),
        ("status", object(vec![("replicas", kind(Kind::Integer)), ("conditions", keyed(&["type"], condition))])),
    ])
}

const STATUS: &[&[&str]] = &[&["status"]];
const SPEC: &[&[&str]] = &[&["spec"], &["metadata", "labels"]];

fn at(second: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600 + second)
}

/// One object that several managers write, one second after the other.
struct Cluster {
    schema: Schema,
    version: &'static str,
    live: Option<Value>,
    second: u64,
}

impl Cluster {
    fn new() -> Self {
        Self { schema: deployment(), version: "apps/v1", live: None, second: 0 }
    }

    fn write(
        &mut self,
        run: impl FnOnce(Option<&Value>, &ApplyContext<'_>) -> Result<Value, ApiError>,
        manager: &str,
        force: bool,
        subresource: &str,
    ) -> Result<Value, ApiError> {
        self.second += 1;
        let ctx = ApplyContext {
            manager,
            force,
            subresource,
            group_version: self.version,
            schema: &self.schema,
            now: at(self.second),
            reset: if subresource.is_empty() { STATUS } else { SPEC },
        };
        let result = run(self.live.as_ref(), &ctx)?;
        self.live = Some(result.clone());
        Ok(result)
    }

    fn try_apply(&mut self, manager: &str, force: bool, spec: Value) -> Result<Value, ApiError> {
        let applied = web(spec);
        self.write(|live, ctx| apply(live, &applied, ctx), manager, force, "")
    }

    fn apply(&mut self, manager: &str, spec: Value) -> Value {
        self.try_apply(manager, false, spec).unwrap()
    }

    fn update(&mut self, manager: &str, change: impl FnOnce(&mut Value)) -> Value {
        self.update_at(manager, "", change)
    }

    fn update_at(&mut self, manager: &str, subresource: &str, change: impl FnOnce(&mut Value)) -> Value {
        let mut new = self.live.clone().unwrap_or_else(|| web(json!({})));
        change(&mut new);
        self.write(|live, ctx| Ok(update(live, new, ctx)), manager, false, subresource).unwrap()
    }
}

fn web(spec: Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": {"app": "web"}}, "spec": spec})
}

fn managed(object: &Value) -> &Value {
    &object["metadata"]["managedFields"]
}

fn fields_of(object: &Value, manager: &str) -> Value {
    let entries = managed(object).as_array().unwrap().iter();
    let mut found = entries.filter(|entry| entry["manager"] == manager);
    found.next().map_or(Value::Null, |entry| entry["fieldsV1"].clone())
}

fn containers(containers: Value) -> Value {
    json!({"template": {"spec": {"containers": containers}}})
}

#[test]
fn a_first_apply_owns_what_it_names() {
    let spec = json!({
        "replicas": 3,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "nginx", "image": "nginx:1", "ports": [{"containerPort": 80}]}]},
        },
    });
    let object = Cluster::new().apply("kubectl", spec.clone());
    assert_eq!(object["spec"], spec);
    assert_eq!(
        *managed(&object),
        json!([{
            "manager": "kubectl", "operation": "Apply", "apiVersion": "apps/v1", "time": "2026-01-01T00:00:01Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:metadata": {"f:labels": {"f:app": {}}},
                "f:spec": {
                    "f:replicas": {},
                    "f:selector": {},
                    "f:template": {
                        "f:metadata": {"f:labels": {"f:app": {}}},
                        "f:spec": {"f:containers": {"k:{\"name\":\"nginx\"}": {
                            ".": {}, "f:name": {}, "f:image": {},
                            "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}},
                        }}},
                    },
                },
            },
        }])
    );
}

#[test]
fn a_creation_owns_all_but_what_always_is() {
    let spec = json!({
        "replicas": 1,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "nginx", "image": "nginx:1"}]},
        },
    });
    let object = Cluster::new().update("kubectl-create", |new| {
        new["spec"] = spec;
        new["metadata"]["uid"] = json!("u");
        new["status"] = json!({"replicas": 9});
    });
    assert_eq!(
        *managed(&object),
        json!([{
            "manager": "kubectl-create", "operation": "Update", "apiVersion": "apps/v1", "time": "2026-01-01T00:00:01Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
                "f:spec": {
                    "f:replicas": {},
                    "f:selector": {},
                    "f:template": {
                        "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
                        "f:spec": {"f:containers": {"k:{\"name\":\"nginx\"}": {".": {}, "f:name": {}, "f:image": {}}}},
                    },
                },
            },
        }])
    );
}

#[test]
fn another_value_conflicts_until_forced() {
    let mut cluster = Cluster::new();
    cluster.update("kubectl-client-side-apply", |new| new["spec"]["replicas"] = json!(3));
    let error = cluster.try_apply("kubectl", false, json!({"replicas": 5})).unwrap_err();
    assert_eq!((error.code, &*error.reason), (409, "Conflict"));
    assert_eq!(
        error.message,
        r#"Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using apps/v1: .spec.replicas"#
    );
    assert_eq!(
        error.details,
        json!({"causes": [{
            "reason": "FieldManagerConflict",
            "message": r#"conflict with "kubectl-client-side-apply" using apps/v1"#,
            "field": ".spec.replicas",
        }]})
    );
    // The same value is shared, without a conflict.
    let shared = cluster.apply("kubectl", json!({"replicas": 3}));
    assert_eq!(fields_of(&shared, "kubectl")["f:spec"], json!({"f:replicas": {}}));
    assert_eq!(fields_of(&shared, "kubectl-client-side-apply")["f:spec"], json!({"f:replicas": {}}));
    let forced = cluster.try_apply("kubectl", true, json!({"replicas": 5})).unwrap();
    assert_eq!(forced["spec"]["replicas"], 5);
    assert_eq!(
        fields_of(&forced, "kubectl-client-side-apply"),
        json!({"f:metadata": {"f:labels": {".": {}, "f:app": {}}}})
    );
}

#[test]
fn several_conflicts_are_listed_by_manager() {
    let mut cluster = Cluster::new();
    cluster.apply("zeta", containers(json!([{"name": "a", "image": "a:1"}])));
    cluster.update("scaler", |new| new["spec"]["replicas"] = json!(2));
    let mut spec = containers(json!([{"name": "a", "image": "a:2"}]));
    spec["replicas"] = json!(1);
    let error = cluster.try_apply("me", false, spec).unwrap_err();
    assert_eq!(
        error.message,
        "Apply failed with 2 conflicts: conflicts with \"scaler\" using apps/v1:\n- .spec.replicas\nconflicts with \"zeta\":\n- .spec.template.spec.containers[name=\"a\"].image"
    );
}

#[test]
fn what_is_left_out_goes_when_nobody_else_owns_it() {
    let mut cluster = Cluster::new();
    let both =
        json!([{"name": "a", "image": "a:1", "env": [{"name": "K", "value": "v"}]}, {"name": "b", "image": "b:1"}]);
    let mut spec = containers(both);
    spec["replicas"] = json!(3);
    cluster.apply("one", spec);
    cluster.apply("two", containers(json!([{"name": "b", "image": "b:1"}])));
    let object = cluster.apply("one", containers(json!([{"name": "a", "image": "a:1"}])));
    assert_eq!(object["spec"], containers(json!([{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1"}])));
    // The scaler's replicas stay, though the applier named them before it.
    cluster.update("scaler", |new| new["spec"]["replicas"] = json!(7));
    let object = cluster.apply("one", json!({}));
    assert_eq!(object["spec"]["replicas"], 7);
    assert_eq!(object["spec"]["template"]["spec"]["containers"], json!([{"name": "b", "image": "b:1"}]));
    let object = cluster.apply("two", json!({}));
    assert_eq!(object["spec"], json!({"replicas": 7}));
}

#[test]
fn giving_a_field_up_to_a_scaler() {
    // From Kubernetes' docs: the applier owns replicas, the scaler changes them, the applier leaves them out.
    let mut cluster = Cluster::new();
    cluster.apply("kubectl", json!({"replicas": 3}));
    let scaled = cluster.update("kube-controller-manager", |new| {
        new["spec"]["replicas"] = json!(10);
    });
    assert_eq!(fields_of(&scaled, "kubectl").get("f:spec"), None);
    let error = cluster.try_apply("kubectl", false, json!({"replicas": 3})).unwrap_err();
    assert!(error.message.contains(r#""kube-controller-manager" using apps/v1: .spec.replicas"#));
    let object = cluster.apply("kubectl", json!({}));
    assert_eq!(object["spec"]["replicas"], 10);
}

#[test]
fn atomic_fields_are_owned_whole() {
    let mut cluster = Cluster::new();
    cluster.apply("one", json!({"selector": {"matchLabels": {"a": "1", "b": "2"}}}));
    let error = cluster.try_apply("two", false, json!({"selector": {"matchLabels": {"a": "1"}}})).unwrap_err();
    assert!(error.message.ends_with(r#"conflict with "one": .spec.selector"#), "{error}");
    let object = cluster.try_apply("two", true, json!({"selector": {"matchLabels": {"a": "1"}}})).unwrap();
    assert_eq!(object["spec"]["selector"], json!({"matchLabels": {"a": "1"}}));
    let mut args = containers(json!([{"name": "a", "args": ["x", "y"]}]));
    cluster.apply("one", args.clone());
    args["template"]["spec"]["containers"][0]["args"] = json!(["z"]);
    let object = cluster.apply("one", args.clone());
    assert_eq!(object["spec"]["template"], args["template"]);
}

#[test]
fn nothing_changes_when_nothing_changes() {
    let mut cluster = Cluster::new();
    let first = cluster.apply("one", json!({"replicas": 3}));
    let again = cluster.apply("one", json!({"replicas": 3}));
    assert_eq!(first, again);
    let same = cluster.update("two", |_| {});
    assert_eq!(first, same);
    let other = cluster.apply("two", json!({"replicas": 3}));
    assert_eq!(managed(&other).as_array().unwrap().len(), 2);
    assert_eq!(managed(&other)[0]["time"], "2026-01-01T00:00:01Z");
    assert_eq!(managed(&other)[1]["time"], "2026-01-01T00:00:04Z");
}

#[test]
fn status_is_its_subresource_s() {
    let mut cluster = Cluster::new();
    cluster.apply("one", json!({"replicas": 3}));
    let object = cluster.update_at("controller", "status", |new| {
        new["status"] = json!({"replicas": 3, "conditions": [{"type": "Ready", "status": "True"}]});
    });
    assert_eq!(
        managed(&object)[1],
        json!({
            "manager": "controller", "operation": "Update", "subresource": "status", "apiVersion": "apps/v1",
            "time": "2026-01-01T00:00:02Z", "fieldsType": "FieldsV1",
            "fieldsV1": {"f:status": {
                "f:replicas": {},
                "f:conditions": {".": {}, "k:{\"type\":\"Ready\"}": {".": {}, "f:type": {}, "f:status": {}}},
            }},
        })
    );
    let applied = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"replicas": 9}, "status": {"replicas": 3}});
    let object = cluster.write(|live, ctx| apply(live, &applied, ctx), "other", false, "status").unwrap();
    assert_eq!(object["spec"]["replicas"], 3);
    assert_eq!(fields_of(&object, "other"), json!({"f:status": {"f:replicas": {}}}));
    let error = cluster
        .write(
            |live, ctx| {
                let mut applied = applied.clone();
                applied["status"]["replicas"] = json!(4);
                apply(live, &applied, ctx)
            },
            "third",
            false,
            "status",
        )
        .unwrap_err();
    assert!(
        error.message.contains(r#"conflicts with "controller" with subresource "status" using apps/v1:"#),
        "{error}"
    );
}

#[test]
fn untracked_objects_belong_to_before_first_apply() {
    let mut cluster = Cluster::new();
    cluster.live = Some(web(json!({"replicas": 3})));
    let untracked = cluster.update("two", |new| new["spec"]["replicas"] = json!(4));
    assert_eq!(untracked["metadata"].get("managedFields"), None);
    let object = cluster.apply("one", json!({"replicas": 4}));
    assert_eq!(
        fields_of(&object, "before-first-apply"),
        json!({"f:metadata": {"f:labels": {".": {}, "f:app": {}}}, "f:spec": {"f:replicas": {}}})
    );
    let error = cluster.try_apply("one", false, json!({"replicas": 5})).unwrap_err();
    assert!(error.message.contains(r#""before-first-apply" using apps/v1: .spec.replicas"#));
}

#[test]
fn managers_are_reset_by_one_empty_entry() {
    let mut cluster = Cluster::new();
    let first = cluster.apply("one", json!({"replicas": 3}));
    // A client that does not know managed fields may leave them out, or send none.
    for given in [Value::Null, json!([])] {
        let kept = cluster.update("two", |new| new["metadata"]["managedFields"] = given);
        assert_eq!(managed(&kept), managed(&first));
    }
    let reset = cluster.update("two", |new| new["metadata"]["managedFields"] = json!([{}]));
    assert_eq!(reset["metadata"].get("managedFields"), None);
}

#[test]
fn kubectl_takes_over_from_client_side_apply() {
    let mut cluster = Cluster::new();
    let last = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": {"app": "web"}}, "spec": {"replicas": 3}});
    const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
    cluster.update("kubectl-client-side-apply", |new| {
        new["metadata"]["annotations"] = json!({ANNOTATION: last.to_string()});
        new["spec"]["replicas"] = json!(3);
    });
    assert!(cluster.try_apply("other", false, json!({"replicas": 5})).is_err());
    let object = cluster.apply("kubectl", json!({"replicas": 5}));
    assert_eq!(object["spec"]["replicas"], 5);
    let mut applied = last;
    applied["spec"]["replicas"] = json!(5);
    assert_eq!(object["metadata"]["annotations"][ANNOTATION], json!(format!("{applied}\n")));
}

#[test]
fn applied_order_wins_and_live_items_keep_their_place() {
    let mut cluster = Cluster::new();
    cluster.apply("one", containers(json!([{"name": "a"}, {"name": "b"}, {"name": "c"}])));
    cluster.update("two", |new| {
        let list = new["spec"]["template"]["spec"]["containers"].as_array_mut().unwrap();
        list.insert(1, json!({"name": "sidecar"}));
    });
    let object = cluster.apply("one", containers(json!([{"name": "c"}, {"name": "a"}, {"name": "d"}])));
    let names: Vec<&str> = object["spec"]["template"]["spec"]["containers"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect();
    assert_eq!(names, ["sidecar", "c", "a", "d"]);
}

#[test]
fn what_an_updater_shares_stays_its_own_when_emptied() {
    // As structured-merge-diff: the map's last key goes with its applier, the empty map's owner keeps the map.
    let mut cluster = Cluster::new();
    cluster.update("two", |new| new["spec"]["selector"] = json!({"matchLabels": {"a": "b"}}));
    let labels = |labels: Value| json!({"template": {"metadata": {"labels": labels}}});
    cluster.update("two", |new| new["spec"]["template"] = labels(json!({}))["template"].clone());
    cluster.apply("one", labels(json!({"a": "1"})));
    let object = cluster.apply("one", json!({}));
    assert_eq!(object["spec"], json!({"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {}}}));
    assert_eq!(fields_of(&object, "two")["f:spec"]["f:template"], json!({"f:metadata": {".": {}, "f:labels": {}}}));
}
