//! What differs, what does not, and whose it is.

use serde_json::json;

use super::*;

#[test]
fn an_object_belongs_to_the_application_that_its_own_id_names() {
    let mut object =
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "n"}});
    assert_eq!(owner(&object), None);
    let id = tracking_id("shop", &Key::of(&object));
    assert_eq!(id, "shop:apps/Deployment:n/web");
    object["metadata"]["annotations"] = json!({marks::TRACKING_ID: id});
    assert_eq!(owner(&object), Some("shop"));
    object["metadata"]["name"] = json!("copy");
    assert_eq!(owner(&object), None, "a copy takes the id along, and is nobody's");
    let core = Key { kind: "ConfigMap".to_owned(), name: "m".to_owned(), namespace: "n".to_owned(), ..Key::default() };
    assert_eq!(tracking_id("shop", &core), "shop:/ConfigMap:n/m");
}

#[test]
fn only_what_somebody_wants_makes_a_difference() {
    let live = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "resourceVersion": "5", "uid": "u", "generation": 2, "creationTimestamp": "t", "managedFields": [
            {"manager": "hpa", "fieldsV1": {"f:spec": {"f:replicas": {}, "f:list": {"k:{\"name\":\"b\"}": {".": {}, "f:v": {}}}}}},
        ]},
        "spec": {"replicas": 3, "paused": false, "list": [{"name": "a", "v": 1}, {"name": "b", "v": 2}]}, "status": {"replicas": 3},
    });
    let with = |change: &dyn Fn(&mut Value)| {
        let mut wanted = live.clone();
        change(&mut wanted);
        wanted
    };
    let ignore = |value: Value| vec![serde_json::from_value::<IgnoreDifference>(value).expect("a rule")];
    let none = Vec::new();
    let pointer = ignore(json!({"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/replicas"]}));
    let manager = ignore(json!({"group": "*", "kind": "*", "managedFieldsManagers": ["hpa"]}));
    let expression = |text: &str| ignore(json!({"group": "apps", "kind": "Deployment", "jqPathExpressions": [text]}));
    let jq = expression(r#".spec.list[] | select(.name == "b") | .v"#);
    let items = expression(".spec.list[] | select(type == \"object\")");
    let other = ignore(json!({"group": "batch", "kind": "Job", "jsonPointers": ["/spec/replicas"]}));
    let named =
        ignore(json!({"group": "apps", "kind": "Deployment", "name": "db", "jsonPointers": ["/spec/replicas"]}));
    for (rule, wanted, ignored, expected) in [
        ("nothing", with(&|_| ()), &none, false),
        ("a field", with(&|one| one["spec"]["replicas"] = json!(1)), &none, true),
        ("status does not count", with(&|one| one["status"] = json!({})), &none, false),
        ("what the API adds does not count", with(&|one| one["metadata"]["generation"] = json!(3)), &none, false),
        ("a label counts", with(&|one| one["metadata"]["labels"] = json!({"a": "b"})), &none, true),
        ("a field by its pointer", with(&|one| one["spec"]["replicas"] = json!(1)), &pointer, false),
        ("another field", with(&|one| one["spec"]["paused"] = json!(true)), &pointer, true),
        ("fields of a manager", with(&|one| one["spec"]["replicas"] = json!(1)), &manager, false),
        ("fields of a manager in a list", with(&|one| one["spec"]["list"][1]["v"] = json!(9)), &manager, false),
        ("other fields in that list", with(&|one| one["spec"]["list"][0]["v"] = json!(9)), &manager, true),
        ("a field by jq", with(&|one| one["spec"]["list"][1]["v"] = json!(9)), &jq, false),
        ("another field than by jq", with(&|one| one["spec"]["list"][0]["v"] = json!(9)), &jq, true),
        (
            "items by jq, however many",
            with(&|one| one["spec"]["list"] = json!([{"name": "x"}, {"name": "y"}, {"name": "z"}])),
            &items,
            false,
        ),
        ("items by jq, and no others", with(&|one| one["spec"]["list"] = json!([{"name": "x"}, 1])), &items, true),
        ("a rule for other kinds", with(&|one| one["spec"]["replicas"] = json!(1)), &other, true),
        ("a rule for other names", with(&|one| one["spec"]["replicas"] = json!(1)), &named, true),
    ] {
        assert_eq!(differ(&wanted, &live, ignored), expected, "{rule}");
    }
    let mut target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 1, "paused": true}});
    keep_live(&mut target, &live, &pointer);
    assert_eq!(target["spec"], json!({"replicas": 3, "paused": true}), "RespectIgnoreDifferences writes what is there");
    let mut target = live.clone();
    target["spec"]["list"] = json!([{"name": "b", "v": 9}, {"name": "a", "v": 9}]);
    keep_live(&mut target, &live, &jq);
    let expected = json!([{"name": "b", "v": 2}, {"name": "a", "v": 9}]);
    assert_eq!(target["spec"]["list"], expected, "an item is the same wherever it stands");
    assert!(check(&pointer).is_none() && check(&jq).is_none());
    let broken = ignore(json!({"kind": "Job", "jqPathExpressions": [".spec", ".spec |"]}));
    let told = "ignoreDifferences of Job: jqPathExpressions \".spec |\": a term is missing at the end";
    assert_eq!(check(&broken).as_deref(), Some(told));
}

#[test]
fn an_application_is_synced_when_all_of_its_objects_are() {
    let object = |annotations: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m", "annotations": annotations}});
    let plain = object(json!({}));
    let pair = |target: bool, live: bool, modified: bool| Pair {
        target: target.then(|| plain.clone()),
        live: live.then(|| plain.clone()),
        modified,
    };
    for (rule, pairs, expected) in [
        ("nothing is wanted", vec![], SYNCED),
        ("as wanted", vec![pair(true, true, false)], SYNCED),
        ("changed", vec![pair(true, true, true)], OUT_OF_SYNC),
        ("missing", vec![pair(true, false, true)], OUT_OF_SYNC),
        ("not wanted any more", vec![pair(true, true, false), pair(false, true, true)], OUT_OF_SYNC),
        (
            "IgnoreExtraneous",
            vec![Pair { live: Some(object(json!({marks::COMPARE_OPTIONS: "IgnoreExtraneous"}))), ..Pair::default() }],
            SYNCED,
        ),
    ] {
        assert_eq!(summary(&pairs), expected, "{rule}");
    }
    let extra = status_of(&pair(false, true, true));
    assert_eq!((extra.status.as_str(), extra.requires_pruning), (OUT_OF_SYNC, Some(true)));
    let missing = status_of(&pair(true, false, true));
    assert_eq!(missing.health.map(|health| health.status), Some("Missing".to_owned()));
    let wave = Pair { target: Some(object(json!({marks::SYNC_WAVE: "3"}))), ..Pair::default() };
    assert_eq!(status_of(&wave).sync_wave, Some(3));
}
