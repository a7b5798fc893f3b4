//! Server-side apply over the built-in kinds and over objects without a schema.

use super::*;

#[test]
fn custom_resources_without_a_schema_are_deduced() {
    let mut cluster = Cluster {
        schema: Schema { preserve_unknown: true, ..kind(Kind::Object) },
        version: "example.com/v1",
        ..Cluster::new()
    };
    let mut applied = json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t"},
        "spec": {"list": [1, 2], "map": {"a": 1}}});
    let object = cluster.write(|live, ctx| apply(live, &applied, ctx), "one", false, "").unwrap();
    assert_eq!(fields_of(&object, "one"), json!({"f:spec": {".": {}, "f:list": {}, "f:map": {".": {}, "f:a": {}}}}));
    applied["spec"] = json!({"map": {"b": 2}});
    let object = cluster.write(|live, ctx| apply(live, &applied, ctx), "one", false, "").unwrap();
    assert_eq!(object["spec"], json!({"map": {"b": 2}}));
    let created = ApplyContext {
        manager: "creator",
        force: false,
        subresource: "",
        group_version: "example.com/v1",
        schema: &cluster.schema,
        now: at(9),
        reset: &[],
    };
    let object = update(None, applied, &created);
    assert_eq!(fields_of(&object, "creator"), json!({"f:spec": {".": {}, "f:map": {".": {}, "f:b": {}}}}));
}

#[test]
fn spark_applies_a_service_and_a_config_map_that_do_not_exist() {
    let object_of = |kind: &str, rest: Value| {
        let mut applied = json!({"apiVersion": "v1", "kind": kind,
            "metadata": {"name": "driver", "namespace": "spark-jobs",
                "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "driver", "uid": "u-1", "controller": true}]}});
        for (field, value) in rest.as_object().unwrap() {
            applied[field] = value.clone();
        }
        applied
    };
    let port = object(vec![("port", kind(Kind::Integer)), ("protocol", kind(Kind::String))]);
    let service = object(vec![(
        "spec",
        object(vec![
            ("clusterIP", kind(Kind::String)),
            ("selector", Schema { atomic_map: true, ..texts() }),
            ("ports", keyed(&["port", "protocol"], port)),
        ]),
    )]);
    let config_map = object(vec![("data", texts())]);
    let owner = json!({"f:ownerReferences": {"k:{\"uid\":\"u-1\"}": {}}});
    let cases = [
        (
            service,
            object_of(
                "Service",
                json!({"spec": {"clusterIP": "None", "selector": {"spark-role": "driver"},
                "ports": [{"name": "driver-rpc-port", "port": 7078, "protocol": "TCP"}]}}),
            ),
            json!({"f:metadata": owner, "f:spec": {"f:clusterIP": {}, "f:selector": {},
                "f:ports": {"k:{\"port\":7078,\"protocol\":\"TCP\"}": {".": {}, "f:name": {}, "f:port": {}, "f:protocol": {}}}}}),
        ),
        (
            config_map,
            object_of("ConfigMap", json!({"data": {"spark.properties": "a=b\n"}})),
            json!({"f:metadata": owner, "f:data": {"f:spark.properties": {}}}),
        ),
    ];
    for (schema, applied, mut owned) in cases {
        let ctx = ApplyContext {
            manager: "fabric8",
            force: true,
            subresource: "",
            group_version: "v1",
            schema: &schema,
            now: at(0),
            reset: &[],
        };
        let created = apply(None, &applied, &ctx).unwrap();
        if let Some(ports) = owned.pointer_mut("/f:spec/f:ports/k:{\"port\":7078,\"protocol\":\"TCP\"}") {
            // The port's name is not in this small schema, but owned all the same.
            assert!(ports.get("f:name").is_some());
        }
        assert_eq!(fields_of(&created, "fabric8"), owned);
        let again = apply(Some(&created), &applied, &ctx).unwrap();
        assert_eq!(again, created);
    }
}

#[test]
fn names_managers_as_requests_do() {
    assert_eq!(manager_name("given", "kubectl/v1.32"), "given");
    assert_eq!(manager_name("", "kubectl/v1.32 (linux/amd64)"), "kubectl");
    assert_eq!(manager_name("", "a\u{7}b"), "ab");
    assert_eq!(manager_name("", &"x".repeat(200)).len(), 128);
    assert_eq!(manager_name("", ""), "");
}

#[test]
fn refuses_what_cannot_be_applied() {
    let mut cluster = Cluster::new();
    let twice = containers(json!([{"name": "a"}, {"name": "a"}]));
    let error = cluster.try_apply("one", false, twice).unwrap_err();
    assert_eq!(
        error.message,
        "failed to create typed patch object (/web; apps/v1, Kind=Deployment): .spec.template.spec.containers: duplicate entries for key [name=\"a\"]"
    );
    let mut other = web(json!({}));
    other["apiVersion"] = json!("apps/v1beta1");
    let error = cluster.write(|live, ctx| apply(live, &other, ctx), "one", false, "").unwrap_err();
    assert_eq!(
        error.message,
        "Incorrect version specified in apply patch. Specified patch version: apps/v1beta1, expected: apps/v1"
    );
    let mut managed = web(json!({}));
    managed["metadata"]["managedFields"] = json!([{"manager": "x"}]);
    let error = cluster.write(|live, ctx| apply(live, &managed, ctx), "one", false, "").unwrap_err();
    assert_eq!(error.message, "metadata.managedFields must be nil");
}
