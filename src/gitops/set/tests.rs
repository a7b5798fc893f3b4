//! Sets and the applications that follow from them, in tables.

use std::path::Path;

use serde_json::Map;

use super::*;
use crate::tree::Memory;

fn tree() -> Memory {
    let files = ["apps/one/a.yaml", "apps/two/deep/b.yaml", "apps/.hidden/c.yaml", "jobs/one/d.yaml"];
    let config = [
        ("apps/file.yaml", "just a text"),
        ("apps/one/config.json", r#"{"name": "a", "size": {"cpu": 2}, "zones": ["x", "y"]}"#),
        ("jobs/one/config.yaml", "- {name: b}\n- {name: c}\n"),
        ("config.json", "{\"name\": \"root\"}"),
    ];
    Memory::new(files.map(|file| (file, "")).into_iter().chain(config))
}

fn set(spec: Value) -> ApplicationSet {
    let mut whole = json!({"template": {
        "metadata": {"name": "{{name}}"},
        "spec": {"project": "p", "source": {"repoURL": "r", "path": "x"}, "destination": {"namespace": "n"}},
    }});
    json_patch::merge(&mut whole, &spec);
    let value = json!({"metadata": {"name": "set", "namespace": "argocd"}, "spec": whole});
    serde_json::from_value(value).expect("a set")
}

fn made(spec: Value) -> Result<Vec<Value>, Wrong> {
    let tree = tree();
    let apps = applications(&set(spec), &|_, look| look(&tree))?;
    Ok(apps.iter().map(|app| serde_json::to_value(app).expect("encoded")).collect())
}

fn names(spec: Value) -> Vec<String> {
    let made = made(spec).expect("applications");
    made.iter().map(|app| app["metadata"]["name"].as_str().unwrap_or_default().to_owned()).collect()
}

fn git(patterns: Value) -> Value {
    json!({"git": {"repoURL": "r", "revision": "HEAD", "directories": patterns}})
}

fn files(patterns: Value) -> Value {
    json!({"git": {"repoURL": "r", "revision": "HEAD", "files": patterns}})
}

fn named(name: &str) -> Value {
    json!({"metadata": {"name": name}})
}

#[test]
fn folders_that_fit() {
    for (patterns, expected) in [
        (json!([{"path": "apps/*"}]), vec!["apps/one", "apps/two"]),
        (json!([{"path": "*"}]), vec!["apps", "jobs"]),
        (json!([{"path": "*/one"}]), vec!["apps/one", "jobs/one"]),
        (json!([{"path": "*/*/*"}]), vec!["apps/two/deep"]),
        (json!([{"path": "apps/*"}, {"path": "apps/two", "exclude": true}]), vec!["apps/one"]),
        (json!([{"path": "apps/t?o"}, {"path": "apps/[a-o]*"}]), vec!["apps/one", "apps/two"]),
        (json!([{"path": "apps/[^o]*"}]), vec!["apps/two"]),
        (json!([{"path": "none/*"}, {"path": "apps/.hidden"}]), vec![]),
    ] {
        let patterns_read: Vec<_> = serde_json::from_value(patterns.clone()).expect("patterns");
        let found = folders::matching(&tree(), &patterns_read).expect("listed");
        assert_eq!(found, expected.iter().map(Path::new).collect::<Vec<_>>(), "{patterns}");
    }
}

#[test]
fn generators_and_what_they_give() {
    let go = |name: &str, more: Value| {
        let mut spec = json!({"goTemplate": true, "template": named(name)});
        json_patch::merge(&mut spec, &more);
        spec
    };
    let list = |elements: Value| json!({"list": {"elements": elements}});
    let matrix = |generators: Value| json!({"matrix": {"generators": generators}});
    for (rule, spec, expected) in [
        ("a list", json!({"generators": [list(json!([{"name": "a"}, {"name": "b"}]))]}), vec!["a", "b"]),
        (
            "a list with values",
            json!({"generators": [list(json!([{"values": {"x": "a"}}]))], "template": named("{{values.x}}")}),
            vec!["a"],
        ),
        (
            "a list of anything, for Go's templates",
            go("{{.a.b}}-{{.n}}", json!({"generators": [list(json!([{"a": {"b": "c"}, "n": 1}]))]})),
            vec!["c-1"],
        ),
        (
            "elements as YAML",
            json!({"generators": [{"list": {"elementsYaml": "- name: a\n- name: b\n"}}]}),
            vec!["a", "b"],
        ),
        (
            "folders, simple",
            json!({"generators": [git(json!([{"path": "apps/*"}]))], "template": named("{{path[0]}}-{{path.basename}}")}),
            vec!["apps-one", "apps-two"],
        ),
        (
            "folders, Go's",
            go(
                "{{index .path.segments 0}}-{{.path.basenameNormalized}}",
                json!({"generators": [git(json!([{"path": "apps/*"}]))]}),
            ),
            vec!["apps-one", "apps-two"],
        ),
        (
            "folders with a prefix and values",
            json!({
                "generators": [{"git": {
                    "directories": [{"path": "jobs/*"}], "pathParamPrefix": "my", "values": {"x": "{{my.path.basename}}-v"},
                }}],
                "template": named("{{my.path}}-{{values.x}}"),
            }),
            vec!["jobs/one-one-v"],
        ),
        (
            "each with each, where the second knows the first",
            go(
                "{{.path.basename}}-{{.stage}}",
                json!({"generators": [matrix(json!([list(json!([{"stage": "dev", "dir": "apps"}, {"stage": "prod", "dir": "jobs"}])), git(json!([{"path": "{{.dir}}/*"}]))]))]}),
            ),
            vec!["one-dev", "two-dev", "one-prod"],
        ),
        (
            "a matrix within a matrix",
            json!({
                "generators": [matrix(json!([
                    list(json!([{"a": "1"}])),
                    matrix(json!([list(json!([{"b": "2"}, {"b": "3"}])), list(json!([{"c": "4"}]))])),
                ]))],
                "template": named("{{a}}{{b}}{{c}}"),
            }),
            vec!["124", "134"],
        ),
        (
            "a value of a second generator knows the first, or its own path",
            go(
                "{{.values.own}}-{{.values.first}}",
                json!({"generators": [matrix(json!([
                    list(json!([{"stage": "dev"}])),
                    {"git": {"directories": [{"path": "jobs/*"}], "values": {"own": "{{.path.basename}}", "first": "{{.stage}}"}}},
                ]))]}),
            ),
            vec!["one-dev"],
        ),
        (
            "a selector",
            json!({"generators": [{
                "list": {"elements": [{"name": "a", "stage": "dev"}, {"name": "b", "stage": "prod"}]},
                "selector": {"matchLabels": {"stage": "prod"}},
            }]}),
            vec!["b"],
        ),
        (
            "several generators, one after the other",
            json!({"generators": [list(json!([{"name": "a"}])), list(json!([{"name": "b"}]))]}),
            vec!["a", "b"],
        ),
        (
            "files, simple: what they say by its path",
            json!({"generators": [files(json!([{"path": "**/config.json"}]))],
                "template": named("{{name}}-{{path}}-{{path.basename}}-{{path.filename}}-{{size.cpu}}{{zones.1}}")}),
            vec!["a-apps/one-one-config.json-2y", "root-.-.-config.json-{{size.cpu}}{{zones.1}}"],
        ),
        (
            "files, Go's, with several objects in one",
            go(
                "{{.name}}-{{.path.path}}-{{.path.filenameNormalized}}-{{index .path.segments 0}}",
                json!({"generators": [files(json!([{"path": "{apps,jobs}/*/config.*"}]))]}),
            ),
            vec!["a-apps/one-config.json-apps", "b-jobs/one-config.yaml-jobs", "c-jobs/one-config.yaml-jobs"],
        ),
        (
            "files but for some, with a prefix and values",
            json!({
                "generators": [{"git": {
                    "files": [{"path": "**/config.*"}, {"path": "config.json", "exclude": true}, {"path": "jobs/**", "exclude": true}],
                    "pathParamPrefix": "my", "values": {"x": "{{my.path.filename}}-{{name}}"},
                }}],
                "template": named("{{my.path[1]}}-{{values.x}}"),
            }),
            vec!["one-config.json-a"],
        ),
        (
            "selectors of inner generators count, whatever applyNestedSelectors says",
            json!({
                "applyNestedSelectors": false,
                "generators": [matrix(json!([
                    list(json!([{"a": "1"}])),
                    {"list": {"elements": [{"b": "2"}, {"b": "3"}]}, "selector": {"matchLabels": {"b": "3"}}},
                ]))],
                "template": named("{{a}}{{b}}"),
            }),
            vec!["13"],
        ),
        ("none of a pattern", json!({"generators": [git(json!([{"path": "none/*"}]))]}), vec![]),
    ] {
        assert_eq!(names(spec), expected, "{rule}");
    }
}

#[test]
fn templates_become_applications() {
    let generators = json!([{"list": {"elements": [{"name": "a", "ns": "x"}]}}]);
    let app = &made(json!({
        "generators": generators,
        "template": {
            "metadata": {"labels": {"of-{{name}}": "{{ns}}"}},
            "spec": {"destination": {"namespace": "{{ns}}"}},
        },
    }))
    .expect("applications")[0];
    assert_eq!(
        app["metadata"],
        json!({"name": "a", "namespace": "argocd", "labels": {"of-a": "x"}, "finalizers": [marks::RESOURCES_FINALIZER]})
    );
    assert_eq!(app["spec"]["destination"]["namespace"], "x");
    let preserved = json!({"generators": generators, "syncPolicy": {"preserveResourcesOnDeletion": true}});
    assert_eq!(made(preserved).expect("applications")[0]["metadata"]["finalizers"], Value::Null);
    // A generator's template wins over that of the set, field by field.
    let over = json!({"generators": [{"list": {"elements": [{"name": "a"}], "template": {"spec": {"source": {"path": "{{name}}/y"}}}}}]});
    let source = made(over).expect("applications")[0]["spec"]["source"].clone();
    assert_eq!(source, json!({"repoURL": "r", "path": "a/y"}));
    let patched = made(json!({
        "goTemplate": true, "generators": [{"list": {"elements": [{"auto": true}, {"auto": false}]}}],
        "template": named("{{.auto}}"),
        "templatePatch": "spec:\n  project: other\n{{- if .auto}}\n  syncPolicy:\n    automated: {prune: true}\n{{- end}}\n",
    }))
    .expect("applications");
    assert_eq!(patched[0]["spec"]["syncPolicy"], json!({"automated": {"prune": true}}));
    assert_eq!((&patched[1]["spec"]["syncPolicy"], &patched[1]["spec"]["project"]), (&Value::Null, &json!("p")));
}

#[test]
fn what_cannot_be_generated_is_told() {
    let matrix = |generators: Value| json!({"generators": [{"matrix": {"generators": generators}}]});
    let list = |elements: Value| json!({"list": {"elements": elements}});
    for (spec, reason, expected) in [
        (
            json!({"generators": [{"clusters": {}}]}),
            "ApplicationGenerationFromParamsError",
            "the generator clusters is not",
        ),
        (json!({"generators": [{}]}), "ApplicationGenerationFromParamsError", "a generator is empty"),
        (
            json!({"generators": [{"list": {}, "git": {}}]}),
            "ApplicationGenerationFromParamsError",
            "a generator is more",
        ),
        (
            json!({"generators": [{"git": {}}]}),
            "ApplicationGenerationFromParamsError",
            "git has neither directories nor files",
        ),
        (
            json!({"generators": [{"git": {"files": [{"path": "apps/fi*.yaml"}]}}]}),
            "ApplicationGenerationFromParamsError",
            "error getting files from repo: apps/file.yaml:1:1: unable to parse file: this is neither an object nor",
        ),
        (
            json!({"generators": [{"git": {"files": [{"path": "a[b"}]}}]}),
            "ApplicationGenerationFromParamsError",
            "error getting files from repo: a[b: this is no pattern of paths",
        ),
        (matrix(json!([list(json!([]))])), "ApplicationGenerationFromParamsError", "a matrix has 1 generators"),
        (
            matrix(json!([list(json!([{"a": "1"}])), list(json!([{"a": "2"}]))])),
            "ApplicationGenerationFromParamsError",
            "found duplicate key a with different value",
        ),
        (
            json!({"generators": [list(json!([{"name": 1}]))]}),
            "ApplicationGenerationFromParamsError",
            "the element name of a list is no text",
        ),
        (
            json!({"goTemplate": true, "goTemplateOptions": ["missingkey=error"], "template": named("{{.none}}"),
                "generators": [list(json!([{}]))]}),
            "RenderTemplateParamsError",
            "map has no entry for key \"none\"",
        ),
        (
            json!({"generators": [list(json!([{"name": "a"}]))], "template": {"spec": {"destination": {"server": 1}}}}),
            "RenderTemplateParamsError",
            "the template gives no application for \"a\"",
        ),
        (
            json!({"generators": [list(json!([{"name": "a"}]))], "strategy": {"type": "RollingSync"}}),
            "ApplicationGenerationFromParamsError",
            "strategy RollingSync is not served here",
        ),
    ] {
        let wrong = made(spec).expect_err(expected);
        assert_eq!(wrong.reason, reason, "{wrong}");
        assert!(wrong.message.contains(expected), "{wrong}");
    }
}

#[test]
fn names_are_there_and_apart() {
    let spec =
        json!({"generators": [{"list": {"elements": [{"name": "a"}, {"name": "a"}, {"name": "b"}, {"name": ""}]}}]});
    let set = set(spec);
    let apps = applications(&set, &|_, _| Ok(())).expect("applications");
    let told: Vec<(String, String)> = clashes(&set, &apps);
    let told: Map<String, Value> = told.into_iter().map(|(name, message)| (name, json!(message))).collect();
    assert_eq!(told["a"], "ApplicationSet set contains applications with duplicate name: a");
    assert!(told[""].as_str().is_some_and(|message| message.contains("an application with no name")));
    assert_eq!(told.len(), 2);
}

#[test]
fn policies() {
    for (named, updates, deletes) in [
        ("", true, true),
        ("sync", true, true),
        ("create-only", false, false),
        ("create-update", true, false),
        ("create-delete", false, true),
    ] {
        let policy = Policy::of(&set(json!({"syncPolicy": {"applicationsSync": named}})));
        assert_eq!((policy.updates, policy.deletes), (updates, deletes), "{named}");
    }
}
