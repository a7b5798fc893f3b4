//! Holds the renderer against `kubectl kustomize`, and looks at what it refuses.

use super::*;
use std::collections::BTreeMap;
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
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

fn kubectl(dir: &Path) -> BTreeMap<String, Value> {
    let output = Command::new("kubectl").arg("kustomize").arg(dir).output().expect("kubectl runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    by_name(manifest::parse(Path::new("stdout"), &text).expect("YAML").into_iter().map(|object| object.value))
}

fn ours(dir: &Path) -> BTreeMap<String, Value> {
    by_name(render(dir).expect("rendered").into_iter().map(|object| object.value))
}

#[test]
fn every_folder_of_the_project_as_kubectl_renders_it() {
    let mut dirs = vec![root().join("manifests/clusters/local")];
    for entry in fs::read_dir(root().join("manifests/apps")).expect("apps").flatten() {
        dirs.push(entry.path());
    }
    assert!(dirs.len() >= 3);
    for dir in dirs {
        assert_eq!(ours(&dir), kubectl(&dir), "{}", dir.display());
    }
}

#[test]
fn odd_content_has_kubectls_hash() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("a.txt"), "<a & b> \u{2028} \"quoted\" \\ \u{1} ü\n\ttab\r\n").expect("written");
    fs::write(
        dir.path().join("kustomization.yaml"),
        "namespace: here\ngeneratorOptions:\n  labels: {x: z}\nconfigMapGenerator:\n- name: odd\n  files: [a.txt, b=a.txt]\n  literals: [c=1, 'd=\"two words\"']\n- name: empty\n- name: plain\n  literals: [a=b=c]\n  options: {disableNameSuffixHash: true, annotations: {note: kept}}\n",
    )
    .expect("written");
    assert_eq!(ours(dir.path()), kubectl(dir.path()));
}

#[test]
fn refuses_what_it_does_not_do() {
    let dir = tempfile::tempdir().expect("a folder");
    let write = |text: &str| fs::write(dir.path().join("kustomization.yaml"), text).expect("written");
    write("resources: []\nnamePrefix: x-\n");
    let error = render(dir.path()).expect_err("unknown field").to_string();
    assert!(error.contains("kustomization.yaml:2:1: unknown field `namePrefix`"), "{error}");
    assert!(error.ends_with("this renderer knows no more of kustomize"), "{error}");
    write("resources: [../missing.yaml]\n");
    assert!(matches!(render(dir.path()), Err(Error::File { .. })));
    write("resources: [.]\n");
    assert!(render(dir.path()).expect_err("a circle").to_string().ends_with("it is among its own resources"));
    fs::remove_file(dir.path().join("kustomization.yaml")).expect("removed");
    assert!(render(dir.path()).is_err());
}
