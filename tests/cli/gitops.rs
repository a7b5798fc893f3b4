//! The tree and the cluster: what is changed in one of them by hand, by a saved file and by a revert, and what is told of it.

use std::process::Command;

use crate::output::{compare, documented};
use crate::program::{Cluster, Said, root};

/// What a person applies: Argo CD's kinds and account, and the root.
const ROOT: &str = "\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../../platform/argo-cd, root.yaml]
";

/// An application; `NAME`, `PATH` and `POLICY` are the test's.
const APP: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: NAME, namespace: argocd}
spec:
  project: default
  source: {repoURL: https://git.example/repo, path: PATH}
  destination: {server: https://kubernetes.default.svc, namespace: default}
  syncPolicy: POLICY
";

fn app(name: &str, path: &str, policy: &str) -> String {
    APP.replace("NAME", name).replace("PATH", path).replace("POLICY", policy)
}

fn map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata:\n  k: {value}\n")
}

/// A project under git with a root application and two children: one that is synced by itself, and one that is synced when asked.
struct Tree(Cluster);

impl Tree {
    fn new(purpose: &str) -> Self {
        let cluster = Cluster::of_own_project(purpose);
        let from = root().join("manifests/platform/argo-cd");
        let to = cluster.files().join("manifests/platform");
        std::fs::create_dir_all(&to).expect("made");
        let copied = Command::new("cp").arg("-r").args([&from, &to]).status().expect("cp runs");
        assert!(copied.success());
        let tree = Self(cluster);
        tree.write("manifests/clusters/local/kustomization.yaml", ROOT);
        let automated = "{automated: {prune: true, selfHeal: true}}";
        tree.write("manifests/clusters/local/root.yaml", &app("root", "apps", automated));
        tree.write("apps/shop.yaml", &app("shop", "shop", automated));
        tree.write("apps/asked.yaml", &app("asked", "asked", "{}"));
        tree.write("shop/one.yaml", &map("one", "first"));
        tree.write("shop/two.yaml", &map("two", "first"));
        tree.write("asked/three.yaml", &map("three", "first"));
        tree.git(&["init", "-q", "-b", "main"]);
        tree.commit("all of it");
        tree
    }

    fn write(&self, path: &str, text: &str) {
        self.0.write(path, text);
    }

    fn git(&self, words: &[&str]) -> String {
        let mut command = Command::new("git");
        command.arg("-C").arg(self.0.files()).args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]);
        let output = command.args(words).output().expect("git runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn commit(&self, message: &str) -> String {
        self.git(&["add", "."]);
        self.git(&["commit", "-qm", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Waits until a field of an object has a value.
    fn until(&self, object: &str, path: &str, value: &str) {
        let words = [object, "-o", &format!("jsonpath={path}{{\"\\n\"}}")];
        self.0.watch(&[&["get"], &words[..]].concat(), |line| line == value);
    }

    /// Waits until an application is synced to a revision that begins so.
    fn synced(&self, name: &str, revision: &str) {
        let path = "{.status.sync.status} {.status.operationState.phase} {.status.sync.revision}";
        let words = ["-n", "argocd", "get", "app", name, "-o", &format!("jsonpath={path}{{\"\\n\"}}")];
        self.0.watch(&words, |line| line.starts_with(&format!("Synced Succeeded {revision}")));
    }

    fn status(&self, name: &str) -> serde_json::Value {
        self.0.run(&["status", name, "-o", "json"]).json(0)
    }
}

#[test]
fn what_is_deleted_changed_and_reverted_is_synced_and_told() {
    let tree = Tree::new("gitops");
    let cluster = &tree.0;
    let first = tree.git(&["rev-parse", "HEAD"]);
    cluster.run(&["up"]).succeeded();
    let status = cluster.run(&["status", "-o", "json"]).json(0);
    compare("status", &documented()["status"], &status);
    let lines: Vec<String> = status["synced"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| format!("{} {} {}", one["name"], one["sync"], one["revision"] == first.as_str()).replace('"', ""))
        .collect();
    assert_eq!(lines, ["asked OutOfSync true", "root Synced true", "shop Synced true"]);

    // Deleted by hand, and there again.
    let uid = cluster.kubectl(&["get", "cm", "one", "-o", "jsonpath={.metadata.uid}"]).succeeded();
    cluster.kubectl(&["delete", "cm", "one"]).succeeded();
    let uids = "jsonpath={.metadata.name} {.metadata.uid}{\"\\n\"}";
    let is_new = |line: &str| line.strip_prefix("one ").is_some_and(|new| new != uid);
    cluster.watch(&["get", "cm", "-o", uids], is_new);
    tree.synced("shop", &first);

    // A saved file, a commit of it, and its revert.
    tree.write("shop/one.yaml", &map("one", "second"));
    tree.until("cm/one", "{.data.k}", "second");
    tree.synced("shop", &format!("{first}+dirty."));
    let second = tree.commit("second thoughts");
    tree.synced("shop", &second);
    let shop = tree.status("shop");
    compare("status APP", &documented()["status APP"], &shop);
    assert_eq!(
        (&shop["commit"]["subject"], &shop["commit"]["author"]),
        (&"second thoughts".into(), &"Ada <ada@example.org>".into())
    );
    assert_eq!(shop["operation"]["by"], "automated");
    assert_eq!(
        (&shop["objects"][0]["name"], &shop["objects"][0]["origin"]),
        (&"one".into(), &"shop/one.yaml:1:1".into())
    );
    tree.git(&["revert", "--no-edit", "HEAD"]);
    let third = tree.git(&["rev-parse", "HEAD"]);
    tree.until("cm/one", "{.data.k}", "first");
    tree.synced("shop", &third);
    let shop = tree.status("shop");
    assert_eq!(shop["commit"]["subject"], "Revert \"second thoughts\"");
    let history: Vec<&str> =
        shop["history"].as_array().expect("a list").iter().filter_map(|one| one["revision"].as_str()).collect();
    assert_eq!((history[0], history.last()), (third.as_str(), Some(&first.as_str())), "{history:?}");

    // Events tell each of it.
    let events = [
        "-n",
        "argocd",
        "get",
        "events",
        "--field-selector",
        "involvedObject.name=shop",
        "-o",
        "jsonpath={range .items[*]}{.reason} {.message}{\"\\n\"}{end}",
    ];
    let events = cluster.kubectl(&events).succeeded();
    for wanted in [
        format!("OperationStarted Initiated automated sync to '{first}'"),
        format!("OperationStarted Initiated automated sync to '{first}+dirty."),
        format!("OperationCompleted Sync operation to {third} succeeded"),
    ] {
        assert!(events.lines().any(|line| line.starts_with(&wanted)), "{wanted}\n{events}");
    }
    cluster.run(&["down"]).succeeded();
}

#[test]
fn what_is_synced_when_asked_is_compared_synced_and_taken_back() {
    let tree = Tree::new("asked");
    let cluster = &tree.0;
    cluster.run(&["up"]).succeeded();
    let differs = cluster.run(&["diff", "-o", "json"]).json(1);
    compare("diff", &documented()["diff"], &differs);
    assert_eq!(differs["differences"][0]["name"], "three");
    let synced = cluster.run(&["sync", "asked", "-o", "json"]).json(0);
    compare("sync", &documented()["sync"], &synced);
    assert_eq!(synced["applications"][0]["resources"][0]["message"], "configmap/three serverside-applied");
    tree.until("cm/three", "{.data.k}", "first");
    let same = cluster.run(&["diff"]).succeeded();
    assert_eq!(same.trim(), "cluster and tree: no differences");

    tree.write("asked/three.yaml", &map("three", "second"));
    let told = cluster.run(&["diff"]);
    assert_eq!(told.code, Some(1));
    insta::assert_snapshot!(told.out.trim_end(), @r"
    configmap/three in default of asked changed: asked/three.yaml:1:1
    --- cluster
    +++ tree
    @@ -6,4 +6,4 @@
       name: three
       namespace: default
     data:
    -  k: first
    +  k: second

    cluster and tree: 1 object differs
    ");
    tree.commit("three changes");
    cluster.run(&["sync", "asked"]).succeeded();
    tree.until("cm/three", "{.data.k}", "second");
    let asked = tree.status("asked");
    assert_eq!(asked["changed"][0]["to"], "asked/three.yaml:1:1");
    assert_eq!((&asked["changed"][0]["name"], &asked["changed"][0]["change"]), (&"three".into(), &"changed".into()));
    let back = cluster.run(&["rollback", "asked"]).succeeded();
    assert!(back.contains("application asked: Succeeded at "), "{back}");
    tree.until("cm/three", "{.data.k}", "first");
    let none = cluster.run(&["rollback", "asked", "7"]).failed(2);
    assert!(none.contains("there is no sync with the id 7") && none.contains("ids: 0, 1, 2"), "{none}");
    let heals = cluster.run(&["rollback", "shop"]).failed(2);
    assert!(heals.contains("rollback cannot be performed when auto-sync is enabled"), "{heals}");
    let near = cluster.run(&["sync", "askd"]).failed(2);
    assert!(near.contains("did you mean \"asked\"?"), "{near}");

    // A broken file is named by its line, by whoever looks at it, and the others stay as they are.
    tree.write("shop/two.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: two}\n data: {}\n");
    let broken = cluster.run(&["up"]).failed(2);
    assert!(broken.contains("shop/two.yaml:4:2: "), "{broken}");
    cluster.watch(
        &["-n", "argocd", "get", "app", "shop", "-o", "jsonpath={.status.conditions[0].message}{\"\\n\"}"],
        |line| line.contains("shop/two.yaml:4:2: "),
    );
    let status = cluster.run(&["status", "-o", "json"]).json(0);
    assert_eq!((&status["synced"][1]["sync"], &status["synced"][2]["sync"]), (&"Synced".into(), &"Unknown".into()));
    // What the API does not take is told by `up`, too.
    tree.write("shop/two.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Two}\n");
    let refused = cluster.run(&["up"]).failed(1);
    assert!(refused.contains("not synced: shop: ") && refused.contains("shop/two.yaml:1:1: "), "{refused}");
    tree.git(&["checkout", "-q", "--", "shop/two.yaml"]);
    cluster.run(&["up"]).succeeded();
    cluster.run(&["down"]).succeeded();
}

#[test]
fn places_and_revisions_are_compared_without_a_cluster() {
    let tree = Tree::new("places");
    let cluster = &tree.0;
    tree.write(
        "manifests/clusters/other/kustomization.yaml",
        "resources: [../local]\nlabels: [{pairs: {place: other}}]\n",
    );
    let between = cluster.run(&["diff", "local", "other", "-o", "json"]).json(1);
    assert_eq!((&between["from"], &between["to"]), (&"local".into(), &"other".into()));
    let changed = between["differences"].as_array().expect("a list");
    assert!(changed.iter().all(|one| one["application"] == "" && one["change"] == "changed"), "{changed:?}");
    assert_eq!(cluster.run(&["diff", "local", "local"]).succeeded().trim(), "local and local: no differences");
    let first = tree.git(&["rev-parse", "HEAD"]);
    tree.write("shop/one.yaml", &map("one", "second"));
    let revisions = cluster.run(&["diff", &first, "-o", "json"]).json(1);
    let one = &revisions["differences"][0];
    assert_eq!(
        (&one["name"], &one["application"], &one["to"]),
        (&"one".into(), &"shop".into(), &"shop/one.yaml:1:1".into())
    );
    assert_eq!(revisions["differences"].as_array().map(Vec::len), Some(1));
    let none = cluster.run(&["diff", "nowhere", "main"]).failed(2);
    assert!(none.contains("find the revision nowhere") && none.contains("name two places (local, other)"), "{none}");

    let rendered = cluster.run(&["render", "local"]).succeeded();
    assert_eq!(rendered, cluster.run(&["render", "local"]).succeeded());
    let end = rendered.split("---\n").find(|one| one.starts_with("# shop: shop/two.yaml")).expect("it is there");
    insta::assert_snapshot!(end, @r"
    # shop: shop/two.yaml:1:1
    apiVersion: v1
    kind: ConfigMap
    metadata:
      name: two
      namespace: default
    data:
      k: first
    ");
    let mut json = cluster.run(&["render", "local", "-o", "json"]).json(0);
    json["objects"].as_array_mut().expect("a list").retain(|one| one["application"] == "shop");
    compare("render", &documented()["render"], &json);
    let near = cluster.run(&["render", "lokal"]).failed(2);
    assert!(near.contains("there is no place called \"lokal\"") && near.contains("did you mean \"local\"?"), "{near}");
    cluster.assert_gone();
}

/// Prints what `helm template` would, and what it was asked for. The real one is held to by the tests of the renderer.
const HELM: &str = r#"#!/bin/sh
cat <<END
---
# Source: web/templates/map.yaml
apiVersion: v1
kind: ConfigMap
metadata: {name: web, namespace: default}
data: {asked: "$*"}
END
"#;

#[test]
fn charts_and_repositories_elsewhere_are_rendered_too() {
    let tree = Tree::new("charts");
    let cluster = &tree.0;
    tree.write("charts/web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n");
    tree.write("apps/web.yaml", &app("web", "charts/web", "{}"));
    // A program that is there, and a PATH without any helm.
    tree.write("bin/helm", HELM);
    let bin = cluster.files().join("bin");
    assert!(Command::new("chmod").arg("+x").arg(bin.join("helm")).status().expect("chmod runs").success());
    let without = cluster.files().join("none");
    std::fs::create_dir(&without).expect("made");
    for program in ["git", "sh", "cat"] {
        let found = std::env::var("PATH").expect("a PATH");
        let found = std::env::split_paths(&found).map(|dir| dir.join(program)).find(|path| path.is_file());
        std::os::unix::fs::symlink(found.expect("it is there"), without.join(program)).expect("linked");
    }
    let missing = cluster.command(&["render", "local"]).env("PATH", &without).output().expect("it runs");
    let missing = Said::from(missing).failed(2);
    assert!(missing.contains("charts/web: there is no command `helm` to render this chart: install helm"), "{missing}");
    let path = std::env::join_paths([&bin, &without]).expect("a PATH");
    let rendered = cluster.command(&["render", "local"]).env("PATH", &path).output().expect("it runs");
    let rendered = Said::from(rendered).succeeded();
    let words = "template charts/web --name-template web --namespace default --kube-version v1.34.2 --include-crds";
    assert!(rendered.contains("# web: charts/web/templates/map.yaml\n"), "{rendered}");
    assert!(rendered.contains(&format!("asked: {words}\n")), "{rendered}");

    // Another repository, at a range of its versions.
    std::fs::remove_file(cluster.files().join("apps/web.yaml")).expect("removed");
    tree.commit("no chart");
    tree.git(&["tag", "v1.4.0"]);
    let url = format!("file://{}", cluster.files().display());
    let elsewhere = app("elsewhere", "shop", "{}").replace("https://git.example/repo", &url);
    tree.write("apps/elsewhere.yaml", &elsewhere.replace("path: shop", "path: shop, targetRevision: ^1.2"));
    tree.write("shop/one.yaml", &map("one", "newer"));
    let cache = cluster.files().join("cache");
    let render = |words: &[&str]| {
        let words = [&["render", "local"], words].concat();
        Said::from(cluster.command(&words).env("XDG_CACHE_HOME", &cache).output().expect("it runs"))
    };
    let rendered = render(&["-o", "json"]).json(0);
    let of = |name: &str| {
        let all = rendered["objects"].as_array().expect("a list").iter();
        let one = all.filter(|one| one["application"] == name).find(|one| one["object"]["metadata"]["name"] == "one");
        let one = one.expect("it is there");
        (one["object"]["data"]["k"].clone(), one["origin"].as_str().expect("a place").to_owned())
    };
    assert_eq!(of("elsewhere"), ("first".into(), format!("{url}/shop/one.yaml:1:1")));
    assert_eq!(of("shop"), ("newer".into(), "shop/one.yaml:1:1".to_owned()));
    tree.write("apps/elsewhere.yaml", &elsewhere.replace("path: shop", "path: shop, targetRevision: 7.x"));
    let none = render(&[]).failed(2);
    assert!(none.contains(&format!("find the revision 7.x in the repository {url}")), "{none}");
    cluster.assert_gone();
}
