//! ApplicationSets: applications that come, change and go with folders of a tree.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::DeleteParams;
use serde_json::{Value, json};
use tinderbox_api::gitops::{Application, ApplicationSet, marks};

use super::stage::{Repository, Stage, is, map};
use crate::world::World;

/// A set of the folders below `apps`.
fn folders(name: &str, more: Value) -> Value {
    let mut spec = json!({
        "goTemplate": true, "goTemplateOptions": ["missingkey=error"],
        "generators": [{"git": {"repoURL": "r", "revision": "HEAD", "directories": [{"path": "apps/*"}]}}],
        "template": {
            "metadata": {"name": "{{.path.basename}}", "labels": {"of": name}},
            "spec": {
                "project": "default", "syncPolicy": {"automated": {"prune": true}},
                "source": {"repoURL": "r", "path": "{{.path.path}}"},
                "destination": {"server": "https://kubernetes.default.svc", "namespace": "default"},
            },
        },
    });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "metadata": {"name": name}, "spec": spec})
}

/// Status, reason and message of a condition.
fn condition<'a>(set: &'a ApplicationSet, of: &str) -> Option<[&'a str; 3]> {
    let all = set.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let found = all.iter().find(|one| one["type"] == of)?;
    Some(["status", "reason", "message"].map(|key| found[key].as_str().unwrap_or_default()))
}

fn is_up_to_date(set: &ApplicationSet, count: i64) -> bool {
    let is = |of: &str, status: &str| condition(set, of).is_some_and(|[found, ..]| found == status);
    let right = is("ResourcesUpToDate", "True") && is("ErrorOccurred", "False") && is("ParametersGenerated", "True");
    right && set.status.as_ref().is_some_and(|status| status.resources_count == Some(count))
}

#[tokio::test]
async fn applications_come_change_and_go_with_their_folders() {
    let world = World::bare().await;
    let repository = Repository::new();
    repository.write("apps/one/m.yaml", &map("one", "1"));
    repository.commit("first");
    Stage::over(&world, repository.sources(&world)).await;
    world.create::<ApplicationSet>(folders("all", json!({}))).await;
    let one = world.until::<Application>("one", |app| is(app, "Synced", "Healthy")).await;
    let owner = &one.owner_references()[0];
    assert_eq!((owner.kind.as_str(), owner.name.as_str(), owner.controller), ("ApplicationSet", "all", Some(true)));
    assert_eq!(one.finalizers(), [marks::RESOURCES_FINALIZER]);
    let set = world.until::<ApplicationSet>("all", |set| is_up_to_date(set, 1)).await;
    let told = |set: &ApplicationSet| set.status.as_ref().unwrap().resources[0]["status"] == "Synced";
    world.until::<ApplicationSet>("all", told).await;
    world.event("created", "created Application \"one\"").await;
    // A folder comes, and brings an application.
    repository.write("apps/two/m.yaml", &map("two", "1"));
    world.until::<ConfigMap>("two", |_| true).await;
    world.until::<ApplicationSet>("all", |set| is_up_to_date(set, 2)).await;
    // Somebody changes an application, and somebody the template of all.
    let patch = json!({"metadata": {"labels": {"of": "nobody"}}});
    world.patch::<Application>("one", patch).await;
    world.until::<Application>("one", |app| app.labels().get("of").is_some_and(|of| of == "all")).await;
    let mut template = set.spec.template.clone().unwrap();
    template["metadata"]["labels"] = json!({"of": "everybody"});
    world.patch::<ApplicationSet>("all", json!({"spec": {"template": template}})).await;
    for name in ["one", "two"] {
        world.until::<Application>(name, |app| app.labels().get("of").is_some_and(|of| of == "everybody")).await;
    }
    // A folder goes, and what its application consisted of goes along.
    repository.remove("apps/one");
    world.gone::<Application>("one").await;
    world.gone::<ConfigMap>("one").await;
    world.event("Deleted", "Deleted Application \"one\"").await;
    world.until::<ApplicationSet>("all", |set| is_up_to_date(set, 1)).await;
}

#[tokio::test]
async fn policies_keep_applications_and_what_is_wrong_is_told() {
    let world = World::bare().await;
    let stage = Stage::new(&world).await;
    stage.put("apps/one/m.yaml", &map("one", "1"));
    let policy = json!({"applicationsSync": "create-only", "preserveResourcesOnDeletion": true});
    world.create::<ApplicationSet>(folders("all", json!({"syncPolicy": policy}))).await;
    let one = world.until::<Application>("one", |app| is(app, "Synced", "Healthy")).await;
    assert!(one.finalizers().is_empty());
    // Nothing is changed and nothing deleted; what is new is made.
    world.patch::<Application>("one", json!({"metadata": {"labels": {"of": "nobody"}}})).await;
    stage.revise("r2", |tree| {
        tree.remove("apps/one/m.yaml".as_ref());
        tree.put("apps/two/m.yaml", map("two", "1"));
    });
    world.until::<Application>("two", |_| true).await;
    world.until::<ApplicationSet>("all", |set| is_up_to_date(set, 2)).await;
    let one = world.until::<Application>("one", |_| true).await;
    assert_eq!(one.labels()["of"], "nobody");
    // What cannot be generated is said, and leaves everything as it is.
    world.patch::<ApplicationSet>("all", json!({"spec": {"generators": [{"clusters": {}}]}})).await;
    let wrong = |set: &ApplicationSet| {
        let error = condition(set, "ErrorOccurred");
        error.is_some_and(|[status, reason, message]| {
            status == "True"
                && reason == "ApplicationGenerationFromParamsError"
                && message.contains("the generator clusters")
        }) && condition(set, "ParametersGenerated").is_some_and(|[status, ..]| status == "False")
    };
    world.until::<ApplicationSet>("all", wrong).await;
    let elements = json!([{"name": "same"}, {"name": "same"}, {"name": "other"}]);
    let template = json!({"metadata": {"name": "{{.name}}"}, "spec": {"source": {"path": "apps/two"}}});
    let spec = json!({"generators": [{"list": {"elements": elements}}], "template": template});
    world.patch::<ApplicationSet>("all", json!({"spec": spec})).await;
    let twice = |set: &ApplicationSet| {
        condition(set, "ErrorOccurred").is_some_and(|[_, reason, message]| {
            reason == "ApplicationValidationError" && message.contains("applications with duplicate name: same")
        })
    };
    world.until::<ApplicationSet>("all", twice).await;
    world.until::<Application>("other", |_| true).await;
    // Applications that may not be deleted stay when their set goes, where its finalizer gives time to let go of them.
    world.patch::<ApplicationSet>("all", json!({"metadata": {"finalizers": [marks::RESOURCES_FINALIZER]}})).await;
    world.api::<ApplicationSet>().delete("all", &DeleteParams::default()).await.unwrap();
    world.gone::<ApplicationSet>("all").await;
    world.until::<Application>("one", |app| app.owner_references().is_empty()).await;
}
