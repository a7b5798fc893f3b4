//! Sources of every type, from trees in memory and from a repository.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use super::*;
use crate::tree::Memory;

fn map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n")
}

fn source(value: Value) -> Request {
    Request { source: serde_json::from_value(value).expect("a source"), ..Request::default() }
}

fn render(tree: &dyn Tree, request: &Request) -> Result<(SourceType, Vec<Object>)> {
    super::render(tree, request, &Helm::at("/nonexistent/helm"))
}

fn names(objects: &[Object]) -> Vec<&str> {
    objects.iter().filter_map(|object| object.value["metadata"]["name"].as_str()).collect()
}

#[test]
fn folders_of_manifests() {
    let tree = Memory::new([
        ("d/a.yaml".to_owned(), map("a")),
        ("d/b.yml".to_owned(), map("b")),
        ("d/c.json".to_owned(), r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}"#.to_owned()),
        ("d/README.md".to_owned(), "no manifest".to_owned()),
        ("d/skip.yaml".to_owned(), "# +argocd:skip-file-rendering\nanything: [".to_owned()),
        ("d/deep/e.yaml".to_owned(), map("e")),
    ]);
    for (directory, expected) in [
        (json!({}), vec!["a", "b", "c"]),
        (json!({"recurse": true}), vec!["a", "b", "c", "e"]),
        (json!({"recurse": true, "include": "{a,deep/*}.yaml"}), vec!["a", "e"]),
        (json!({"exclude": "*.y*ml"}), vec!["c"]),
        (json!({"include": "?.yaml", "exclude": "a*"}), vec![]),
    ] {
        let (of, objects) = render(&tree, &source(json!({"path": "d", "directory": directory}))).expect("rendered");
        assert_eq!(of, SourceType::Directory);
        assert_eq!(names(&objects), expected, "{directory}");
    }
}

#[test]
fn the_type_is_told_or_found() {
    let tree = Memory::new([
        ("k/kustomization.yaml".to_owned(), "resources: [a.yaml]\nnamePrefix: k-\n".to_owned()),
        ("k/a.yaml".to_owned(), map("a")),
        ("h/Chart.yaml".to_owned(), "name: h".to_owned()),
    ]);
    let (of, objects) = render(&tree, &source(json!({"path": "k"}))).expect("rendered");
    assert_eq!((of.as_str(), names(&objects)), ("Kustomize", vec!["k-a"]));
    for (value, expected) in [
        (json!({"path": "h"}), "h: there is no command `helm` to render this chart"),
        (json!({"path": "none"}), "none: app path does not exist"),
        (json!({"path": "../x"}), "../x: it leads out of"),
        (json!({"path": "k", "helm": {}, "directory": {}}), "k: the source has options for Helm and for Directory"),
        (json!({"path": "k", "plugin": {}}), "k: plugins are not run here"),
    ] {
        let error = render(&tree, &source(value)).expect_err(expected).to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn options_of_an_application_are_a_kustomization_on_top() {
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {template: {spec: {containers: [{name: c, image: 'a:1'}]}}}\n";
    let tree = Memory::new([
        ("k/kustomization.yaml", "resources: [a.yaml]\n"),
        ("k/a.yaml", deployment),
        (
            "k/more/kustomization.yaml",
            "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnameSuffix: -c\n",
        ),
    ]);
    let options = json!({
        "namePrefix": "p-", "images": ["a=b:2"], "replicas": [{"name": "web", "count": "3"}], "namespace": "n",
        "commonLabels": {"x": "y"}, "labelWithoutSelector": true, "components": ["more", "missing"],
        "ignoreMissingComponents": true,
        "patches": [{"target": {"kind": "Deployment"}, "patch": "[{op: add, path: /spec/paused, value: true}]"}],
    });
    let (_, objects) = render(&tree, &source(json!({"path": "k", "kustomize": options}))).expect("rendered");
    let value = &objects[0].value;
    assert_eq!(value["metadata"], json!({"name": "p-web-c", "namespace": "n", "labels": {"x": "y"}}));
    assert_eq!(value["spec"]["template"]["spec"]["containers"][0]["image"], "b:2");
    assert_eq!((&value["spec"]["replicas"], &value["spec"]["paused"]), (&json!(3), &json!(true)));
    assert!(value["spec"].get("selector").is_none());
    assert_eq!(objects[0].place_of("kind"), "k/a.yaml:2:1");
}

#[test]
fn a_repository_as_it_is_and_as_it_was() {
    let dir = tempfile::tempdir().expect("a folder");
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.arg("-C").arg(dir.path()).args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]);
        let output = command.args(arguments).output().expect("git runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let write = |name: &str| fs::write(dir.path().join("d").join(name), map(name)).expect("written");
    git(&["init", "-q", "-b", "main"]);
    fs::create_dir(dir.path().join("d")).expect("made");
    write("a.yaml");
    git(&["add", "."]);
    git(&["commit", "-qm", "first\n\nmore of it"]);
    git(&["tag", "v1"]);
    write("b.yaml");
    let repository = Repository::around(&dir.path().join("d")).expect("found");
    let head = repository.resolve("main").expect("there");
    assert_eq!(repository.working_revision(&[]).expect("known"), format!("{head}+dirty"));
    assert_eq!(repository.working_revision(&["d/b.yaml".into()]).expect("known"), format!("{head}+dirty"));
    assert_eq!(repository.working_revision(&["d/a.yaml".into(), "d/none".into()]).expect("known"), head);
    assert_eq!(repository.branch().as_deref(), Some("main"));
    git(&["add", "."]);
    git(&["commit", "-qm", "second"]);
    let now = repository.working_revision(&["d".into()]).expect("known");
    assert_eq!(now, repository.resolve("HEAD").expect("there"));
    let of = source(json!({"path": "d"}));
    let first = repository.tree("v1").expect("there");
    assert_eq!(first.commit(), head);
    assert_eq!(names(&render(&first, &of).expect("rendered").1), ["a.yaml"]);
    assert_eq!(names(&render(&repository.working_tree(), &of).expect("rendered").1), ["a.yaml", "b.yaml"]);
    let commit = repository.commit("v1").expect("there");
    assert_eq!((commit.author.as_str(), commit.subject.as_str()), ("Ada <ada@example.org>", "first"));
    let error = repository.resolve("v2").expect_err("missing").to_string();
    assert!(error.starts_with("git cannot find the revision v2: there is no such branch, tag or commit"), "{error}");
    let outside = Path::new("/");
    assert!(Repository::around(outside).is_err());
    assert_eq!(Repository::at(outside).working_revision(&[]).expect("known"), "+dirty");
}
