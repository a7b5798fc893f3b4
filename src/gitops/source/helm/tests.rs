//! Charts through the real helm, which Go's client builds from its module, case by case; and what is refused without it.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Value, json};

use super::*;
use crate::source::render;
use crate::sync::{Marks, Phase};
use crate::tree::{Disk, Memory};

/// The module of the version that the tests hold us to.
const MODULE: &str = "helm.sh/helm/v3/cmd/helm";
const VERSION: &str = "v3.19.5";

/// Helm, built once per machine; nothing where Go, or its module, cannot be had.
#[allow(clippy::print_stderr, reason = "whoever reads a test run has to know what was not tested")]
fn helm() -> Option<&'static Helm> {
    static HELM: OnceLock<Option<Helm>> = OnceLock::new();
    HELM.get_or_init(|| match build() {
        Ok(program) => Some(Helm::at(program)),
        Err(why) => {
            eprintln!("skipped: charts are not tested, as {MODULE}@{VERSION} cannot be built: {why}");
            None
        }
    })
    .as_ref()
}

fn build() -> Result<PathBuf, String> {
    let folder = |variable: &str| std::env::var_os(variable).map(PathBuf::from);
    let cache = folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")));
    let folder = cache.unwrap_or_else(std::env::temp_dir).join("tinderbox/go");
    let program = folder.join(format!("helm-{VERSION}"));
    if program.is_file() {
        return Ok(program);
    }
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let made = tempfile::tempdir_in(&folder).map_err(|error| error.to_string())?;
    let mut go = Command::new("go");
    go.args(["install", &format!("{MODULE}@{VERSION}")]).env("GOBIN", made.path());
    let output = go.output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    std::fs::rename(made.path().join("helm"), &program).map_err(|error| error.to_string())?;
    Ok(program)
}

const CHART: &str = "apiVersion: v2\nname: web\nversion: 1.0.0\n";
const DUMP: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}, namespace: {{ .Release.Namespace }}}
data:
  values: {{ omit .Values \"global\" | toJson | quote }}
  kubernetes: {{ .Capabilities.KubeVersion.Version }}
  monitors: {{ .Capabilities.APIVersions.Has \"monitoring.coreos.com/v1\" | quote }}
";

fn tree() -> Memory {
    Memory::new([
        ("charts/web/Chart.yaml", CHART),
        ("charts/web/values.yaml", "a: default\nb: default\n"),
        ("charts/web/values-two.yaml", "b: two\nc: two\n"),
        ("charts/web/text.txt", "from, a file"),
        ("charts/web/templates/dump.yaml", DUMP),
        ("values/one.yaml", "a: one\nb: one\n"),
        ("values/shop.yaml", "a: shop\n"),
    ])
}

/// A request of the application `shop` for the chart.
fn request(options: Value) -> Request {
    let source = json!({"repoURL": "https://git.example/repo.git", "path": "charts/web", "helm": options});
    Request {
        source: serde_json::from_value(source).expect("a source"),
        app: "shop".to_owned(),
        namespace: "jobs".to_owned(),
        project: "sales".to_owned(),
        ..Request::default()
    }
}

fn objects(tree: &dyn Tree, options: Value, helm: &Helm) -> Result<Vec<Value>> {
    Ok(render(tree, &request(options), helm)?.1.into_iter().map(|object| object.value).collect())
}

fn values(object: &Value) -> Value {
    serde_json::from_str(object["data"]["values"].as_str().expect("values")).expect("JSON")
}

#[test]
fn values_come_in_argo_cds_order() {
    let Some(helm) = helm() else { return };
    let value = |name: &str, value: &str| json!({"name": name, "value": value});
    let text = |name: &str, value: &str| json!({"name": name, "value": value, "forceString": true});
    for (rule, options, expected) in [
        ("the chart's own", json!({}), json!({"a": "default", "b": "default"})),
        ("a file", json!({"valueFiles": ["values-two.yaml"]}), json!({"a": "default", "b": "two", "c": "two"})),
        (
            "of files the last wins, and one may be elsewhere in the repository",
            json!({"valueFiles": ["values-two.yaml", "../../values/one.yaml"]}),
            json!({"a": "one", "b": "one", "c": "two"}),
        ),
        ("from the root", json!({"valueFiles": ["/values/one.yaml"]}), json!({"a": "one", "b": "one"})),
        (
            "a pattern, whose files stand in order",
            json!({"valueFiles": ["/values/*.yaml"]}),
            json!({"a": "shop", "b": "one"}),
        ),
        (
            "one that is named itself stands where it is named",
            json!({"valueFiles": ["/values/shop.yaml", "/values/*.yaml"]}),
            json!({"a": "one", "b": "one"}),
        ),
        (
            "missing ones may be passed over",
            json!({"valueFiles": ["none.yaml", "/none/*.yaml", "/values/one.yaml"], "ignoreMissingValueFiles": true}),
            json!({"a": "one", "b": "one"}),
        ),
        (
            "variables in paths",
            json!({"valueFiles": ["/values/$ARGOCD_APP_NAME.yaml"]}),
            json!({"a": "shop", "b": "default"}),
        ),
        (
            "values win over files",
            json!({"valueFiles": ["/values/one.yaml"], "values": "b: {x: inline}\n"}),
            json!({"a": "one", "b": {"x": "inline"}}),
        ),
        (
            "an object wins over text",
            json!({"values": "a: text\n", "valuesObject": {"b": [1, true, null]}}),
            json!({"a": "default", "b": [1, true, null]}),
        ),
        (
            "parameters win over values",
            json!({"values": "a: text\n", "parameters": [value("a", "parameter"), value("n.m", "5")]}),
            json!({"a": "parameter", "b": "default", "n": {"m": 5}}),
        ),
        (
            "of parameters of a name the last wins",
            json!({"parameters": [value("a", "1"), value("a", "2")]}),
            json!({"a": 2, "b": "default"}),
        ),
        (
            "texts stay texts, and win",
            json!({"parameters": [text("a", "true"), value("a", "false"), text("b", "08")]}),
            json!({"a": "true", "b": "08"}),
        ),
        (
            "commas are part of a value, and braces make a list",
            json!({"parameters": [value("a", r"x,y\,z"), value("b", "{p,q}")]}),
            json!({"a": "x,y,z", "b": ["p", "q"]}),
        ),
        (
            "variables in parameters",
            json!({"parameters": [value("a", "$ARGOCD_APP_NAMESPACE/${ARGOCD_APP_PROJECT_NAME}")]}),
            json!({"a": "jobs/sales", "b": "default"}),
        ),
        (
            "files win over parameters",
            json!({"parameters": [value("a", "1")], "fileParameters": [{"name": "a", "path": "text.txt"}]}),
            json!({"a": "from, a file", "b": "default"}),
        ),
    ] {
        let objects = objects(&tree(), options, helm).expect(rule);
        assert_eq!(values(&objects[0]), expected, "{rule}");
    }
}

#[test]
fn charts_are_told_of_the_release_and_the_cluster() {
    let Some(helm) = helm() else { return };
    let told = |options: Value| {
        let found = objects(&tree(), options, helm).expect("rendered").remove(0);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (metadata, data) = (&found["metadata"], &found["data"]);
        [&metadata["name"], &metadata["namespace"], &data["kubernetes"], &data["monitors"]].map(text)
    };
    assert_eq!(told(json!({})), ["shop", "jobs", "v1.34.2", "false"]);
    let options = json!({
        "releaseName": "other", "namespace": "else", "kubeVersion": "1.30.1", "apiVersions": ["monitoring.coreos.com/v1"],
        "version": "v3", "passCredentials": true,
    });
    assert_eq!(told(options), ["other", "else", "v1.30.1", "true"]);
}

#[test]
fn definitions_tests_and_hooks() {
    let Some(helm) = helm() else { return };
    let mut tree = tree();
    let definition = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: ks.g.h}\n";
    tree.put("charts/web/crds/k.yaml", definition);
    let hook = |name: &str, of: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\n  annotations: {{helm.sh/hook: '{of}', \
             helm.sh/hook-weight: '3', helm.sh/hook-delete-policy: hook-succeeded}}\n---\n{{{{- /* nothing */}}}}\n"
        )
    };
    tree.put("charts/web/templates/test.yaml", hook("t", "test"));
    tree.put(
        "charts/web/templates/hooks.yaml",
        hook("before", "pre-install,pre-upgrade") + &hook("after", "post-install"),
    );
    let names = |options: Value| {
        let objects = objects(&tree, options, helm).expect("rendered");
        objects.iter().map(|one| one["metadata"]["name"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(json!({})), ["ks.g.h", "shop", "before", "after", "t"]);
    assert_eq!(names(json!({"skipCrds": true, "skipTests": true})), ["shop", "before", "after"]);
    let all = render(&tree, &request(json!({})), helm).expect("rendered").1;
    let marks: Vec<_> = all.iter().map(|one| (Marks::of(&one.value).hooks, Marks::of(&one.value).wave)).collect();
    assert_eq!(marks[1], (None, 0));
    assert_eq!(marks[2], (Some(vec![Phase::PreSync]), 3));
    assert_eq!(marks[3], (Some(vec![Phase::PostSync]), 3));
    assert_eq!(marks[4], (Some(vec![]), 3), "tests are never run");
    // Each object leads to its template, and the same tree gives the same objects.
    let places: Vec<String> = all.iter().map(|one| one.place_of("spec")).collect();
    let templates = "charts/web/templates";
    let hooks = format!("{templates}/hooks.yaml");
    let expected = ["charts/web/crds/k.yaml".to_owned(), format!("{templates}/dump.yaml"), hooks.clone(), hooks];
    assert_eq!(places[..4], expected);
    assert_eq!(render(&tree, &request(json!({})), helm).expect("rendered").1, all);
}

#[test]
fn local_charts_are_brought_as_the_lock_has_them() {
    let Some(helm) = helm() else { return };
    let chart = |name: &str, on: &str| {
        let version = format!("apiVersion: v2\nname: {name}\nversion: 1.0.0\n");
        if on.is_empty() {
            version
        } else {
            format!("{version}dependencies:\n- {{name: {on}, version: 1.x, repository: 'file://../{on}'}}\n")
        }
    };
    let map =
        |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}-{{{{ .Values.size }}}}}}\n");
    let mut tree = Memory::new([
        ("charts/web/Chart.yaml", chart("web", "cache")),
        ("charts/web/values.yaml", "size: 1\ncache: {size: 2}\n".to_owned()),
        ("charts/web/templates/web.yaml", map("web")),
        ("charts/cache/Chart.yaml", chart("cache", "base")),
        ("charts/cache/values.yaml", "base: {size: 3}\n".to_owned()),
        ("charts/cache/templates/cache.yaml", map("cache")),
        ("charts/base/Chart.yaml", chart("base", "")),
        ("charts/base/templates/base.yaml", map("base")),
    ]);
    let look = |tree: &Memory| -> Result<Vec<(String, String)>> {
        let found = render(tree, &request(json!({})), helm)?.1;
        let mut found: Vec<_> = found.iter().map(|one| (one.name().name, one.place_of(""))).collect();
        found.sort();
        Ok(found)
    };
    let expected = ["base", "cache", "web"].map(|name| format!("charts/{name}/templates/{name}.yaml"));
    let names = ["base-3", "cache-2", "web-1"].map(str::to_owned);
    let expected: Vec<_> = names.into_iter().zip(expected).collect();
    assert_eq!(look(&tree).expect("rendered"), expected);
    // A lock that knows of something else is told of, and nothing is made of it.
    let lock = "dependencies:\n- {name: other, repository: '', version: 1.0.0}\ndigest: sha256:00\ngenerated: '2026-01-01T00:00:00Z'\n";
    tree.put("charts/web/Chart.lock", lock);
    let error = look(&tree).expect_err("out of date").to_string();
    assert!(error.starts_with("charts/web: helm dependency: the lock file (Chart.lock) is out of sync"), "{error}");
    tree.remove(Path::new("charts/web/Chart.lock"));
    tree.put("charts/base/Chart.yaml", chart("base", "web"));
    let error = look(&tree).expect_err("a circle").to_string();
    assert_eq!(error, "charts/web: the chart depends on itself");
}

#[test]
fn values_are_held_to_the_schema() {
    let Some(helm) = helm() else { return };
    let mut tree = tree();
    tree.put("charts/web/values.schema.json", r#"{"properties": {"a": {"type": "string"}}}"#);
    objects(&tree, json!({}), helm).expect("as the schema has it");
    let wrong = json!({"values": "a: 5"});
    let error = objects(&tree, wrong.clone(), helm).expect_err("a number").to_string();
    assert!(error.starts_with("charts/web: helm template: values don't meet the specifications"), "{error}");
    let mut skips = wrong;
    skips["skipSchemaValidation"] = json!(true);
    assert_eq!(values(&objects(&tree, skips, helm).expect("not looked at")[0])["a"], 5);
}

#[test]
fn a_broken_template_is_named_by_its_line() {
    let Some(helm) = helm() else { return };
    let mut tree = tree();
    tree.put("charts/web/templates/broken.yaml", "a: 1\nb: {{ .Values.none.more }}\n");
    let error = objects(&tree, json!({}), helm).expect_err("broken").to_string();
    assert!(error.contains("web/templates/broken.yaml:2:"), "{error}");
    tree.put("charts/web/templates/broken.yaml", "apiVersion: v1\nkind: ConfigMap\n");
    let error = objects(&tree, json!({}), helm).expect_err("no name").to_string();
    assert!(error.starts_with("charts/web/templates/broken.yaml:"), "{error}");
    assert!(error.ends_with(": as helm renders it: this object has no metadata.name"), "{error}");
}

/// What is refused before helm is asked.
#[test]
fn nothing_is_read_from_outside() {
    let never = Helm::at("/nonexistent/helm");
    let with = |path: &str, text: &str| {
        let mut tree = tree();
        tree.put(path, text);
        tree
    };
    let needs = |repository: &str| {
        with("charts/web/Chart.yaml", &format!("{CHART}dependencies:\n- {{name: db, repository: '{repository}'}}\n"))
    };
    let schema = |to: &str| with("charts/web/values.schema.json", &format!(r#"{{"items": {{"$ref": "{to}"}}}}"#));
    for (tree, options, expected) in [
        (tree(), json!({"valueFiles": ["../../../etc/passwd"]}), "../../../etc/passwd: it leads out of "),
        (
            tree(),
            json!({"valueFiles": ["$values/a.yaml"]}),
            "$values/a.yaml: files with values are read from the repository",
        ),
        (
            tree(),
            json!({"valueFiles": ["https://host/a.yaml"]}),
            "https://host/a.yaml: files with values are read from",
        ),
        (tree(), json!({"valueFiles": ["none.yaml"]}), "charts/web/none.yaml: there is no such file of values: mend"),
        (tree(), json!({"valueFiles": ["/none/*.yaml"]}), "none/*.yaml: there is no such file of values"),
        (tree(), json!({"fileParameters": [{"name": "a", "path": "../../../x"}]}), "../../../x: it leads out of "),
        (tree(), json!({"version": "v2"}), "charts/web: helm.version \"v2\" is not known"),
        (needs("file://../../../other"), json!({}), "charts/web: the dependency db is no folder of this repository"),
        (needs("file:///srv/db"), json!({}), "charts/web: the dependency db is no folder of this repository"),
        (
            needs("https://charts.example.com"),
            json!({}),
            "charts/web: the dependency db of https://charts.example.com is not",
        ),
        (
            schema("file:///etc/passwd"),
            json!({}),
            "charts/web/values.schema.json: the schema refers to \"file:///etc/passwd\"",
        ),
        (schema("../x.json"), json!({}), "charts/web/values.schema.json: the schema refers to \"../x.json\""),
        (with("charts/web/charts/db.tgz", "none"), json!({}), "charts/web/charts/db.tgz: this is no packed chart"),
        (schema("#/a"), json!({}), "charts/web: there is no command `helm` to render this chart: install helm 3"),
        (tree(), json!({}), "charts/web: there is no command `helm` to render this chart: install helm 3"),
    ] {
        let error = objects(&tree, options, &never).expect_err(expected).to_string();
        assert!(error.starts_with(expected), "{error}\n{expected}");
    }
    let chart = json!({"repoURL": "https://charts.example.com", "chart": "web"});
    let chart = Request { source: serde_json::from_value(chart).expect("a source"), ..Request::default() };
    let error = render(&tree(), &chart, &never).expect_err("not fetched").to_string();
    assert!(error.starts_with("web: charts of Helm's repositories are not fetched here"), "{error}");
}

#[test]
fn links_lead_no_further_than_the_repository() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = |path: &str| dir.path().join(path);
    std::fs::create_dir_all(at("repo/charts/web/templates")).expect("made");
    for (path, text) in
        [("repo/charts/web/Chart.yaml", CHART), ("repo/shared.yaml", "a: 1\n"), ("secret.yaml", "b: 2\n")]
    {
        std::fs::write(at(path), text).expect("written");
    }
    let link = |to: &str, from: &str| std::os::unix::fs::symlink(at(to), at(from)).expect("linked");
    link("repo/shared.yaml", "repo/charts/web/values.yaml");
    let disk = Disk::new(at("repo"));
    let never = Helm::at("/nonexistent/helm");
    let error = || objects(&disk, json!({}), &never).expect_err("no helm").to_string();
    assert!(error().contains("there is no command `helm`"), "{}", error());
    link("secret.yaml", "repo/charts/web/templates/secret.yaml");
    assert!(error().ends_with("a link leads out of the repository: only its own files are read"), "{}", error());
    std::fs::remove_file(at("repo/charts/web/templates/secret.yaml")).expect("removed");
    link("repo", "repo/charts/web/files");
    assert!(error().starts_with("charts/web/files: a link to a folder"), "{}", error());
}
