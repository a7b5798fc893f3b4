//! Applications of repositories elsewhere, beside those of the working tree.

use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Value, json};
use tinderbox_api::gitops::{Application, ApplicationSet, marks};

use super::stage::{Repository, Stage, application, condition, is, map};
use crate::world::World;

/// The kustomization of what is applied by hand: it names the repository that the working tree is.
const ROOT: &str = "resources: [root.yaml]\n";

/// An application of a folder of another repository.
fn of(url: &str, name: &str, revision: &str, policy: Value) -> Value {
    let mut app = application(name, "shop", policy);
    app["spec"]["source"] = json!({"repoURL": url, "path": "shop", "targetRevision": revision});
    app
}

fn revision(app: &Application) -> &str {
    app.status.as_ref().map_or("", |status| status.sync.revision.as_str())
}

#[tokio::test]
async fn a_repository_that_disappears_leaves_everything_as_it_is() {
    let world = World::bare().await;
    let own = Repository::new();
    own.write("clusters/local/kustomization.yaml", ROOT);
    own.write("clusters/local/root.yaml", &application("own", "shop", json!({})).to_string());
    own.write("shop/m.yaml", &map("own", "1"));
    let other = Repository::new();
    other.write("shop/one.yaml", &map("one", "1"));
    other.write("shop/two.yaml", &map("two", "1"));
    other.commit("first");
    other.tag("v1.2.0");
    let downloads = tempfile::tempdir().unwrap();
    Stage::over(&world, own.sources_beside(&world, downloads.path(), "clusters")).await;
    let policy = json!({"automated": {"prune": true, "selfHeal": true}});
    world.create::<Application>(application("own", "shop", policy.clone())).await;
    world.create::<Application>(of(&other.url(), "shop", "main", policy)).await;
    for name in ["own", "shop"] {
        world.until::<Application>(name, |app| is(app, "Synced", "Healthy")).await;
    }
    world.until::<ConfigMap>("own", |_| true).await;
    let first = world.until::<Application>("shop", |_| true).await;
    assert_eq!(revision(&first), other.head());
    // A commit is there when somebody asks for it, and what is gone from it is pruned.
    other.remove_file("shop/two.yaml");
    other.write("shop/one.yaml", &map("one", "2"));
    other.commit("second");
    let refresh = json!({"metadata": {"annotations": {marks::REFRESH: "normal"}}});
    world.patch::<Application>("shop", refresh.clone()).await;
    world.until::<ConfigMap>("one", |one| one.data.as_ref().unwrap()["k"] == "2").await;
    world.gone::<ConfigMap>("two").await;
    let second = other.head();
    world.until::<Application>("shop", |app| is(app, "Synced", "Healthy") && revision(app) == second).await;
    // It disappears: that is said, and nothing is deleted.
    let url = other.url();
    other.hide();
    world.patch::<Application>("shop", refresh.clone()).await;
    let gone = |app: &Application| {
        condition(app, "ComparisonError").is_some_and(|text| text.contains(&format!("fetch the repository {url}: ")))
    };
    let gone = world.until::<Application>("shop", gone).await;
    let status = gone.status.unwrap();
    assert_eq!((status.sync.status.as_str(), status.sync.revision.as_str()), ("Unknown", second.as_str()));
    assert_eq!(status.resources.len(), 1);
    assert_eq!(world.until::<ConfigMap>("one", |_| true).await.data.unwrap()["k"], "2");
    assert!(world.until::<Application>("own", |_| true).await.status.unwrap().conditions.is_empty());
    // It is there again, and a range of versions finds its tag.
    other.show();
    world.patch::<Application>("shop", refresh).await;
    world.until::<Application>("shop", |app| is(app, "Synced", "Healthy") && revision(app) == second).await;
    world.patch::<Application>("shop", json!({"spec": {"source": {"targetRevision": "1.*"}}})).await;
    world.until::<ConfigMap>("two", |_| true).await;
    let tagged = world.until::<Application>("shop", |app| is(app, "Synced", "Healthy")).await;
    assert_eq!(revision(&tagged), revision(&first));
}

#[tokio::test]
async fn a_set_looks_at_files_elsewhere() {
    let world = World::bare().await;
    let own = Repository::new();
    own.write("clusters/local/kustomization.yaml", "resources: []\n");
    own.write("one/m.yaml", &map("one", "1"));
    let other = Repository::new();
    other.write("envs/dev.json", r#"{"name": "dev", "folder": "one"}"#);
    other.commit("first");
    let downloads = tempfile::tempdir().unwrap();
    // Every URL that the working tree is not is fetched: here there is none that it is, but that of the first source.
    own.write("clusters/local/kustomization.yaml", ROOT);
    own.write("clusters/local/root.yaml", &application("own", "one", json!({})).to_string());
    Stage::over(&world, own.sources_beside(&world, downloads.path(), "clusters")).await;
    let template = |spec: Value| json!({"metadata": {"name": "{{.name}}", "labels": {"of": "set"}}, "spec": spec});
    let spec = json!({
        "project": "default", "source": {"repoURL": "https://git.example/repo", "path": "{{.folder}}"},
        "destination": {"server": "https://kubernetes.default.svc", "namespace": "default"},
    });
    let set = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "metadata": {"name": "envs"},
        "spec": {
            "goTemplate": true, "applyNestedSelectors": true,
            "preservedFields": {"annotations": ["mine"], "labels": ["also-mine"]},
            "generators": [{"git": {"repoURL": other.url(), "revision": "main", "files": [{"path": "envs/*.json"}]}}],
            "template": template(spec.clone()),
        },
    });
    world.create::<ApplicationSet>(set).await;
    world.until::<Application>("dev", |app| is(app, "OutOfSync", "Missing")).await;
    let set = world.until::<ApplicationSet>("envs", |_| true).await;
    assert_eq!(set.spec.apply_nested_selectors, Some(true), "the API keeps it");
    // What is said to be others' stays, what is not goes.
    let theirs = json!({"metadata": {
        "annotations": {"mine": "1", "other": "1"}, "labels": {"also-mine": "1", "of": "nobody"},
    }});
    world.patch::<Application>("dev", theirs).await;
    let settled = |app: &Application| {
        let annotations = app.metadata.annotations.clone().unwrap_or_default();
        let labels = app.metadata.labels.clone().unwrap_or_default();
        annotations.contains_key("mine")
            && !annotations.contains_key("other")
            && labels.get("also-mine").is_some_and(|one| one == "1")
            && labels["of"] == "set"
    };
    world.until::<Application>("dev", settled).await;
}
