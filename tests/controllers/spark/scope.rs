//! Operators of some namespaces: what is in others they leave alone, and need no rights for.

use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleBinding};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;
use tinderbox_api::selector::LabelSelector;
use tinderbox_api::spark::{SparkApplication, State};
use tinderbox_platform::JobNamespaces;

use super::{application, define, operate, operate_for, operate_in, state};
use crate::node::EXIT;
use crate::world::{World, from, until_in};

/// The operator's manifests, an application in each of these namespaces, made in this order, and rights in those of them that `rights` names,
/// with none beyond.
async fn world_of(namespaces: &[&str], rights: &[&str]) -> World {
    let world = World::with_manual_clock().await;
    define(&world).await;
    limit(&world, rights).await;
    fill(&world, namespaces).await;
    world
}

/// Takes the operator's rights away but for these namespaces.
async fn limit(world: &World, rights: &[&str]) {
    let bindings: Api<ClusterRoleBinding> = Api::all(world.client.clone());
    bindings.delete("spark-operator", &DeleteParams::default()).await.unwrap();
    for namespace in rights {
        let binding = json!({
            "metadata": {"name": "spark-operator"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "spark-operator"},
            "subjects": [{"kind": "ServiceAccount", "name": "spark-operator", "namespace": "spark-operator"}],
        });
        make_namespace(world, namespace).await;
        let bindings: Api<RoleBinding> = Api::namespaced(world.client.clone(), namespace);
        bindings.create(&PostParams::default(), &from(binding)).await.unwrap();
    }
}

/// An application in each of these namespaces.
async fn fill(world: &World, namespaces: &[&str]) {
    for namespace in namespaces {
        make_namespace(world, namespace).await;
        let accounts: Api<ServiceAccount> = Api::namespaced(world.client.clone(), namespace);
        accounts.create(&PostParams::default(), &from(json!({"metadata": {"name": "spark"}}))).await.unwrap();
        submit(world, namespace, "pi").await;
    }
}

async fn submit(world: &World, namespace: &str, name: &str) {
    let mut app = application(json!({}));
    app["metadata"]["name"] = name.into();
    apps(world, namespace).create(&PostParams::default(), &from(app)).await.unwrap();
}

/// Gives a namespace's label `spark` this value, or takes it away.
async fn label(world: &World, namespace: &str, value: Option<&str>) {
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    let labels = json!({"metadata": {"labels": {"spark": value}}});
    namespaces.patch(namespace, &PatchParams::default(), &Patch::Merge(labels)).await.unwrap();
}

async fn make_namespace(world: &World, name: &str) {
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    if namespaces.get_opt(name).await.unwrap().is_none() {
        let namespace = json!({"metadata": {"name": name}});
        namespaces.create(&PostParams::default(), &from(namespace)).await.unwrap();
    }
}

fn apps(world: &World, namespace: &str) -> Api<SparkApplication> {
    Api::namespaced(world.client.clone(), namespace)
}

/// Waits until the application there runs, submitted once.
async fn runs(world: &World, namespace: &str) {
    runs_as(world, namespace, "pi").await;
}

async fn runs_as(world: &World, namespace: &str, name: &str) {
    let app = until_in(apps(world, namespace), name, |app: &SparkApplication| state(app) == State::Running).await;
    assert_eq!(app.status.unwrap().submission_attempts, 1, "{namespace}");
}

/// Nobody took up the application of this name.
async fn assert_waits(world: &World, namespace: &str, name: &str) {
    assert!(apps(world, namespace).get(name).await.unwrap().status.is_none(), "{namespace}/{name}");
}

/// Nothing was done about the application there.
async fn assert_untouched(world: &World, namespace: &str) {
    assert_waits(world, namespace, "pi").await;
    let pods: Api<Pod> = Api::namespaced(world.client.clone(), namespace);
    assert_eq!(pods.list(&ListParams::default()).await.unwrap().items.len(), 0, "{namespace}");
}

#[tokio::test]
async fn named_namespaces_are_worked_in_and_others_are_not() {
    let world = world_of(&["other", "one", "two"], &["one", "two", "other"]).await;
    operate_in(&world, &["one", "two"]);
    runs(&world, "one").await;
    runs(&world, "two").await;
    assert_untouched(&world, "other").await;
    // An application that comes later fares as those that were there.
    make_namespace(&world, "late").await;
    apps(&world, "late").create(&PostParams::default(), &from(application(json!({})))).await.unwrap();
    let mut second = application(json!({}));
    second["metadata"]["name"] = "second".into();
    apps(&world, "one").create(&PostParams::default(), &from(second)).await.unwrap();
    until_in(apps(&world, "one"), "second", |app: &SparkApplication| state(app) == State::Running).await;
    assert_untouched(&world, "late").await;
    assert_untouched(&world, "other").await;
    // Another operator may have what this one leaves.
    operate_in(&world, &["other"]);
    runs(&world, "other").await;
}

#[tokio::test]
async fn a_namespace_alone_takes_no_rights_beyond_it() {
    let world = world_of(&["one"], &["one"]).await;
    operate_in(&world, &["one"]);
    runs(&world, "one").await;
}

#[tokio::test]
async fn a_namespace_without_rights_keeps_no_other_from_its_work() {
    let world = world_of(&["closed", "one"], &["one"]).await;
    operate_in(&world, &["closed", "one"]);
    runs(&world, "one").await;
    assert_untouched(&world, "closed").await;
}

#[tokio::test]
async fn without_names_every_namespace_is_worked_in_also_one_that_comes_later() {
    let world = World::with_manual_clock().await;
    define(&world).await;
    operate(&world);
    make_namespace(&world, "late").await;
    let accounts: Api<ServiceAccount> = Api::namespaced(world.client.clone(), "late");
    accounts.create(&PostParams::default(), &from(json!({"metadata": {"name": "spark"}}))).await.unwrap();
    apps(&world, "late").create(&PostParams::default(), &from(application(json!({})))).await.unwrap();
    runs(&world, "late").await;
}

#[tokio::test]
async fn labelled_namespaces_are_served_and_one_that_is_labelled_later_from_then_on() {
    let world = World::with_manual_clock().await;
    define(&world).await;
    make_namespace(&world, "one").await;
    label(&world, "one", Some("served")).await;
    fill(&world, &["named", "plain", "one"]).await;
    let jobs = JobNamespaces {
        namespaces: vec!["named".to_owned()],
        namespace_selector: LabelSelector::parse("spark in (served)").unwrap(),
    };
    let first = operate_for(&world, &[], &jobs);
    runs(&world, "one").await;
    runs(&world, "named").await;
    assert_untouched(&world, "plain").await;

    // What was there before the label waits until it changes; what comes after it is served.
    label(&world, "plain", Some("served")).await;
    submit(&world, "plain", "second").await;
    runs_as(&world, "plain", "second").await;
    assert_waits(&world, "plain", "pi").await;
    let change = json!({"spec": {"arguments": ["20"]}});
    apps(&world, "plain").patch("pi", &PatchParams::default(), &Patch::Merge(change)).await.unwrap();
    runs(&world, "plain").await;

    // What was begun is followed to its end, whatever the label says then; what comes after it is not taken up.
    label(&world, "one", None).await;
    first.cancel();
    operate_for(&world, &[], &jobs);
    submit(&world, "one", "third").await;
    let pods: Api<Pod> = Api::namespaced(world.client.clone(), "one");
    let ends = json!({"metadata": {"annotations": {EXIT: "0"}}});
    pods.patch("pi-driver", &PatchParams::default(), &Patch::Merge(ends)).await.unwrap();
    until_in(apps(&world, "one"), "pi", |app: &SparkApplication| state(app) == State::Completed).await;
    submit(&world, "named", "fourth").await;
    runs_as(&world, "named", "fourth").await;
    assert_waits(&world, "one", "third").await;
}

#[test]
fn a_selector_that_is_none_is_refused() {
    let read = |selector: &str| serde_json::from_value::<JobNamespaces>(json!({"namespaceSelector": selector}));
    let told = read("spark in served").unwrap_err().to_string();
    assert!(told.contains("spark in served"), "{told}");
    assert!(read("spark in (served), !closed").is_ok());
}
