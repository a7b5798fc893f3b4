//! Holds the renderer against `kubectl kustomize`, case by case, and looks at what it refuses.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use super::*;
use crate::tree::{Disk, Memory};

/// A case: what it is about, and its files.
type Case = (String, Vec<(String, String)>);

fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in include_str!("testdata/cases.txt").lines() {
        if let Some(name) = line.strip_prefix("=== ") {
            cases.push((name.to_owned(), Vec::new()));
            continue;
        }
        let (_, files) = cases.last_mut().expect("a case");
        match line.strip_prefix("--- ") {
            Some(path) => files.push((path.to_owned(), String::new())),
            None => {
                let (_, text) = files.last_mut().expect("a file");
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    let (_, shared) = cases.remove(0);
    for (_, files) in &mut cases {
        files.extend(shared.clone());
    }
    cases
}

/// Objects by kind, namespace and name, as kustomize's order is its own.
fn by_name(objects: impl IntoIterator<Item = Value>) -> BTreeMap<String, Value> {
    objects
        .into_iter()
        .map(|object| {
            let metadata = &object["metadata"];
            (format!("{} {} {}", object["kind"], metadata["namespace"], metadata["name"]), object)
        })
        .collect()
}

fn kubectl(dir: &Path) -> Result<BTreeMap<String, Value>, String> {
    let output = Command::new("kubectl").arg("kustomize").arg(dir).output().expect("kubectl runs");
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let text = String::from_utf8(output.stdout).expect("text");
    Ok(by_name(manifest::parse(Path::new("stdout"), &text).expect("YAML").into_iter().map(|object| object.value)))
}

fn ours(tree: &dyn Tree, dir: &str) -> Result<BTreeMap<String, Value>, String> {
    let objects = render(tree, Path::new(dir)).map_err(|error| error.to_string())?;
    Ok(by_name(objects.into_iter().map(|object| object.value)))
}

#[test]
fn every_case_as_kubectl_renders_it() {
    let cases = cases();
    assert!(cases.len() >= 60, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for (name, files) in cases {
        let dir = tempfile::tempdir().expect("a folder");
        for (path, text) in &files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, text).expect("written");
        }
        match (ours(&Memory::new(files), ""), kubectl(dir.path())) {
            (Ok(ours), Ok(theirs)) if ours == theirs => (),
            (Ok(ours), Ok(theirs)) => wrong.push(differences(&name, &ours, &theirs)),
            (Err(error), _) => wrong.push(format!("{name}: {error}")),
            (_, Err(error)) => wrong.push(format!("{name}: kubectl refuses: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{} cases differ\n{}", wrong.len(), wrong.join("\n"));
}

fn differences(name: &str, ours: &BTreeMap<String, Value>, theirs: &BTreeMap<String, Value>) -> String {
    let mut text = name.to_owned();
    let keys: std::collections::BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    for key in keys.into_iter().filter(|key| ours.get(*key) != theirs.get(*key)) {
        let show = |value: Option<&Value>| value.map_or_else(|| "-".to_owned(), Value::to_string);
        text.push_str(&format!("\n  {key}\n    ours   {}\n    theirs {}", show(ours.get(key)), show(theirs.get(key))));
    }
    text
}

#[test]
fn every_folder_of_the_project_as_kubectl_renders_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let tree = Disk::new(&root);
    let mut dirs = vec!["manifests/clusters/local".to_owned()];
    for entry in fs::read_dir(root.join("manifests/apps")).expect("apps").flatten() {
        dirs.push(format!("manifests/apps/{}", entry.file_name().display()));
    }
    assert!(dirs.len() >= 3);
    for dir in dirs {
        assert_eq!(ours(&tree, &dir), kubectl(&root.join(&dir)), "{dir}");
    }
}

#[test]
fn odd_content_has_kubectls_hash() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("a.txt"), "<a & b> \u{2028} \"quoted\" \\ \u{1} ü\n\ttab\r\n").expect("written");
    fs::write(dir.path().join("b.bin"), [0, 159, 146, 150]).expect("written");
    let text = "configMapGenerator:\n- name: odd\n  files: [a.txt, b.bin]\nsecretGenerator:\n- name: odd\n  files: [a.txt, b.bin]\n";
    fs::write(dir.path().join("kustomization.yaml"), text).expect("written");
    assert_eq!(ours(&Disk::new(dir.path()), ""), kubectl(dir.path()));
}

#[test]
fn refuses_what_it_does_not_do() {
    let base = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
    for (text, expected) in [
        (
            "resources: []\nvars: []\n",
            "kustomization.yaml:2:1: unknown field `vars`; this renderer knows no more of kustomize",
        ),
        ("helmCharts:\n- name: x\n", "kustomization.yaml:1:1: unknown field `helmCharts`"),
        ("resources: [missing.yaml]\n", "kustomization.yaml:1:13: there is no file or folder missing.yaml"),
        ("resources: [.]\n", "kustomization.yaml: it is among its own resources"),
        ("resources: [../out.yaml]\n", "kustomization.yaml: ../out.yaml leads out of the tree"),
        ("resources: [b]\n", "b/kustomization.yaml: the file ../a.yaml is not in or below this folder"),
        ("resources: ['https://x/y']\n", "kustomization.yaml: https://x/y: this renderer reads nothing from elsewhere"),
        ("resources: [a.yaml, a.yaml]\n", "a.yaml:2:1: ConfigMap a is there already, from a.yaml:2:1"),
        ("kind: Component\n", "kustomization.yaml: kustomize.config.k8s.io/v1beta1 Component is not a kustomization"),
        (
            "resources: [a.yaml]\nreplicas: [{name: a, count: 1}]\n",
            "kustomization.yaml: replicas: there is nothing named",
        ),
        ("patches: [{path: p, patch: q}]\n", "kustomization.yaml: patches: each entry has either path or patch"),
        (
            "resources: [a.yaml]\npatches:\n- patch: '{apiVersion: v1, kind: ConfigMap, metadata: {name: b}}'\n",
            "kustomization.yaml: patches: there is no ConfigMap b that this patch could change",
        ),
        (
            "resources: [a.yaml]\npatches:\n- patch: '[{op: remove, path: /data}]'\n  target: {kind: ConfigMap}\n",
            "kustomization.yaml: patches: the patch does not fit ConfigMap a",
        ),
        (
            "resources: [a.yaml]\nconfigMapGenerator: [{name: a}]\n",
            "kustomization.yaml: there is a ConfigMap a already",
        ),
        (
            "configMapGenerator: [{name: a, behavior: merge}]\n",
            "kustomization.yaml: there is no ConfigMap a to merge with",
        ),
        (
            "configMapGenerator: [{name: a, literals: [b]}]\n",
            "kustomization.yaml: configMapGenerator \"a\": \"b\" is not KEY=VALUE",
        ),
        (
            "replacements: [{source: {kind: X, name: a}, targets: []}]\n",
            "kustomization.yaml: replacements: the source X a is not there",
        ),
    ] {
        let tree = Memory::new([
            ("kustomization.yaml", text),
            ("a.yaml", base),
            ("b/kustomization.yaml", "resources: [../a.yaml]\n"),
        ]);
        let error = ours(&tree, "").expect_err(text);
        assert!(error.starts_with(expected), "{error}\n{expected}");
    }
    assert!(ours(&Memory::default(), "x").expect_err("nothing").contains("there is none of kustomization.yaml"));
}

#[test]
fn objects_know_where_they_come_from() {
    let tree = Memory::new([
        ("top/kustomization.yaml", "resources: [../base]\nnamePrefix: x-\nconfigMapGenerator: [{name: g}]\n"),
        ("base/kustomization.yaml", "resources: [all.yaml]\n"),
        (
            "base/all.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n",
        ),
    ]);
    let objects = render(&tree, Path::new("top")).expect("rendered");
    let places: Vec<String> = objects.iter().map(|object| object.place_of("")).collect();
    assert_eq!(places, ["base/all.yaml:1:1", "base/all.yaml:5:1", "top/kustomization.yaml"]);
}
