//! What goes where: results on standard output in the form that was asked for, talk on standard error, colour on terminals alone.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use serde_json::Value;
use tinderbox::bench::{BenchReport, Figure};

use crate::program::{Cluster, root};

const JOB: &str = r#"{"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "one"}, "spec": {"backoffLimit": 0,
    "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox",
    "command": ["sh", "-c", "echo hello; test ! -e /nowhere"]}]}}}}"#;

const SCENARIO: &str = r#"
submit: {files: [../../bad.json]}
budget: 1m
namespace: default
expect:
  - on: {apiVersion: batch/v1, kind: Job, name: bad}
    that: object.status.succeeded == 1
    never: has(object.status.failed) && object.status.failed > 0
"#;

const NAMESPACE: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: {a: b}}\n";

/// The examples of `docs/output.md` by the heading above them.
pub(crate) fn documented() -> BTreeMap<String, Value> {
    let text = std::fs::read_to_string(root().join("docs/output.md")).expect("it is there");
    let sections = text.split("\n## ").skip(1);
    let example = |section: &str| {
        let block = section.split("```json\n").nth(1)?.split("```").next()?;
        let title = section.lines().next().unwrap_or_default().trim_matches('`').to_owned();
        Some((title, serde_json::from_str(block).unwrap_or_else(|error| panic!("{error}: {block}"))))
    };
    sections.filter_map(example).collect()
}

/// Whether a value has the fields and types of an example. What is null or empty in one of them says nothing.
pub(crate) fn compare(place: &str, example: &Value, value: &Value) {
    match (example, value) {
        (Value::Null, _) | (_, Value::Null) => {}
        (Value::Object(example), Value::Object(value)) => {
            let keys = |object: &serde_json::Map<String, Value>| object.keys().cloned().collect::<Vec<_>>();
            assert_eq!(keys(example), keys(value), "{place}");
            example.iter().for_each(|(key, inner)| compare(&format!("{place}.{key}"), inner, &value[key]));
        }
        (Value::Array(examples), Value::Array(values)) => {
            let first = examples.first().unwrap_or(&Value::Null);
            values.iter().for_each(|value| compare(&format!("{place}[]"), first, value));
        }
        (example, value) => {
            assert_eq!(
                std::mem::discriminant(example),
                std::mem::discriminant(value),
                "{place}: {example} and {value}"
            );
        }
    }
}

/// Stands for `e2e.test`: what it says of two specs.
const JUDGE: &str = r#"#!/bin/sh
for word; do
  case $word in --ginkgo.json-report=*) report=${word#*=};; esac
done
cat > "$report" <<END
[{"SpecReports": [
  {"LeafNodeType": "It", "ContainerHierarchyTexts": ["One"], "LeafNodeText": "does", "State": "passed", "RunTime": 2000000},
  {"LeafNodeType": "It", "ContainerHierarchyTexts": ["One"], "LeafNodeText": "does not", "State": "failed", "RunTime": 2000000,
   "Failure": {"Message": "why"}}
]}]
END
exit 1
"#;

#[test]
fn every_verb_gives_the_json_that_is_documented() {
    let cluster = Cluster::of_own_project("json");
    cluster.write("good.json", JOB);
    cluster.write("bad.json", &JOB.replace("! -e", "-e").replace("\"one\"", "\"bad\""));
    cluster.write("fixtures/scenarios/bad.yaml", SCENARIO);
    cluster.write("manifests/clusters/local/a.yaml", NAMESPACE);
    let documented = documented();
    let check = |title: &str, words: &[&str], code: i32| {
        let said = cluster.run(&[words, &["-o", "json"]].concat());
        let example = documented.get(title).unwrap_or_else(|| panic!("docs/output.md does not tell of {title}"));
        compare(title, example, &said.json(code));
    };
    check("doctor", &["doctor"], 0);
    check("status", &["status"], 0);
    check("up --dry-run", &["up", "--dry-run"], 0);
    check("up", &["up"], 0);
    check("run", &["run", "good.json"], 0);
    check("run", &["run", "bad.json"], 1);
    check("explain", &["explain", "bad"], 0);
    check("e2e", &["e2e", "bad"], 1);
    check("status", &["status"], 0);
    check("console", &["console"], 0);
    check("kubeconfig", &["kubeconfig"], 0);
    check("kubeconfig", &["kubeconfig", "--export"], 0);
    check("kubeconfig --raw", &["kubeconfig", "--raw"], 0);
    check("export", &["export"], 0);
    let logs = cluster.run(&["logs", "one", "-o", "json"]).succeeded();
    logs.lines().for_each(|line| compare("logs", &documented["logs"], &serde_json::from_str(line).expect("JSON")));
    assert_eq!(logs.lines().count(), 1, "{logs}");
    let node = format!("{}-0", cluster.name);
    check("node list", &["node", "list"], 0);
    check("node kill", &["node", "kill", &node], 0);
    check("node kill", &["node", "start", &node], 0);
    cluster.write("judge", JUDGE);
    let judge = cluster.files().join("judge");
    std::fs::set_permissions(&judge, std::fs::Permissions::from_mode(0o755)).expect("a file of the test's");
    let judge = judge.to_str().expect("a path of letters");
    check("conformance", &["conformance", "--e2e-test", judge], 1);
    let missing = cluster.run(&["conformance", "--e2e-test", "absent"]).failed(3);
    assert!(missing.contains("error: cannot run absent") && missing.contains("--e2e-test"), "{missing}");
    check("snapshot save", &["snapshot", "save", "one"], 0);
    check("snapshot list", &["snapshot", "list"], 0);
    check("down", &["down"], 0);
    check("snapshot restore", &["snapshot", "restore", "one"], 0);
    check("snapshot rm", &["snapshot", "rm", "one"], 0);
    check("down", &["down"], 0);
    check("down", &["down"], 0);
    let image = tinderbox_tests::oci::busybox(&serde_json::json!({}));
    std::fs::write(cluster.files().join("app.tar"), image.archive("json-test/app:1")).expect("written");
    check("image load", &["image", "load", "app.tar"], 0);
    check("image list", &["image", "list"], 0);
    check("image rm`, `image prune", &["image", "rm", "json-test/app:1"], 0);

    let figure = Figure {
        name: "down",
        what: "w",
        value: 1.5,
        unit: "ms",
        limit: Some(2.0),
        within: true,
        detail: String::new(),
    };
    let bench = BenchReport { at: String::new(), processors: 2, figures: vec![figure] };
    compare("bench", &documented["bench"], &serde_json::to_value(bench).expect("JSON"));
}

#[test]
fn a_user_decides_how_much_is_said() {
    let cluster = Cluster::of_own_project("much");
    cluster.write("job.json", JOB);
    cluster.write("manifests/clusters/local/a.yaml", NAMESPACE);
    let quiet = cluster.run(&["up", "-q"]);
    assert_eq!((quiet.code, quiet.err.as_str()), (Some(0), ""));
    assert!(quiet.out.starts_with("cluster much-"), "{}", quiet.out);
    let much = cluster.run(&["up", "-v"]);
    assert_eq!(cluster.tidy(&much.err), "starting cluster NAME\nnamespace/a unchanged");

    let quiet = cluster.run(&["run", "job.json", "-q"]);
    assert_eq!((quiet.code, quiet.err.as_str()), (Some(0), ""));
    assert!(quiet.out.contains("job.json succeeded in ") && !quiet.out.contains("hello"), "{}", quiet.out);
    let usual = cluster.run(&["run", "job.json"]);
    assert!(usual.out.starts_with("hello\n") && usual.err.contains("job/one: Complete"), "{usual:?}");
    let much = cluster.run(&["run", "job.json", "-v"]);
    assert!(much.out.starts_with("one-") && much.out.contains(" | hello\n"), "{}", much.out);
    assert!(much.err.contains("job/one created\n"), "{}", much.err);

    let said = cluster.run(&["logs", "one", "--tail", "0"]).succeeded();
    assert_eq!(said, "");
    let node = cluster.run(&["logs", "node", "--tail", "1"]).succeeded();
    assert_eq!(node.lines().count(), 1, "{node}");
    let mut follow = cluster.command(&["logs", "node", "--follow"]).stdout(Stdio::piped()).spawn().expect("it runs");
    let mut lines = BufReader::new(follow.stdout.take().expect("piped")).lines().map_while(Result::ok);
    assert!(lines.next().is_some(), "the node has said something");
    cluster.run(&["down"]).succeeded();
    assert!(lines.any(|line| line.ends_with("told to end")), "the last words are not missed");
    assert!(follow.wait().expect("it ends").success());
}

#[test]
fn an_export_holds_no_secret_and_appears_whole() {
    let cluster = Cluster::of_own_project("export");
    cluster.run(&["up"]).succeeded();
    cluster.kubectl(&["create", "secret", "generic", "key", "--from-literal=word=xyzzy-plugh"]).succeeded();
    let said = cluster.run(&["export", "all.tar.gz"]).succeeded();
    assert!(said.starts_with("all.tar.gz holds "), "{said}");
    let untar =
        Command::new("tar").args(["-xzOf", "all.tar.gz"]).current_dir(cluster.files()).output().expect("tar runs");
    let all = String::from_utf8_lossy(&untar.stdout).into_owned();
    let encoded = "eHl6enktcGx1Z2g";
    assert!(all.contains("(left out)") && !all.contains("xyzzy-plugh") && !all.contains(encoded));
    assert!(!all.contains("PRIVATE KEY") && all.contains("\"findings\""));
    let told = cluster.run(&["export", "nowhere/all.tar.gz"]).failed(2);
    insta::assert_snapshot!(told, @r"
        error: cannot open the folder nowhere
          because: No such file or directory (os error 2)
    ");
    let names: Vec<_> =
        std::fs::read_dir(cluster.files()).expect("there").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(names, ["all.tar.gz"]);
}

#[test]
fn the_kubeconfig_can_be_taken_over_by_a_shell() {
    let cluster = Cluster::of_own_project("eval");
    cluster.run(&["up"]).succeeded();
    let export = cluster.run(&["kubeconfig", "--export"]).succeeded();
    let script = format!("{export}\nkubectl get nodes -o name");
    let said = Command::new("sh").args(["-euc", &script]).output().expect("a shell runs");
    assert_eq!(String::from_utf8_lossy(&said.stdout), format!("node/{}-0\n", cluster.name));
    let raw = cluster.run(&["kubeconfig", "--raw"]).succeeded();
    assert_eq!(raw, std::fs::read_to_string(cluster.kubeconfig()).expect("it is there"));
    let path = cluster.run(&["kubeconfig"]).succeeded();
    assert_eq!(path.trim_end(), cluster.kubeconfig().display().to_string());
}

/// What a command says on a terminal.
fn on_terminal(cluster: &Cluster, words: &str, no_color: bool) -> String {
    let mut command = Command::new("script");
    command.args(["-qefc", &format!("\"$PROGRAM\" {words}"), "/dev/null"]);
    command.env("PROGRAM", crate::program::program()).env("TERM", "xterm").env_remove("NO_COLOR");
    command.current_dir(cluster.files()).env("TINDERBOX_HOME", cluster.home());
    if no_color {
        command.env("NO_COLOR", "1");
    }
    String::from_utf8_lossy(&command.output().expect("script runs").stdout).into_owned()
}

/// Whether a text sets colours or weights.
fn is_coloured(text: &str) -> bool {
    let ends = |rest: &str| rest.trim_start_matches(|next: char| next.is_ascii_digit() || next == ';').starts_with('m');
    text.split("\u{1b}[").skip(1).any(ends)
}

#[test]
fn colour_is_for_terminals_whose_user_wants_it() {
    let cluster = Cluster::of_own_project("colour");
    assert!(is_coloured(&on_terminal(&cluster, "stauts", false)));
    let name = &cluster.name;
    for words in [
        "stauts".to_owned(),
        format!("--name {name} up"),
        format!("--name {name} status"),
        format!("--name {name} down"),
    ] {
        let said = on_terminal(&cluster, &words, true);
        assert!(!said.is_empty() && !is_coloured(&said), "{words}: {said:?}");
    }
    for words in [&["stauts"][..], &["up"], &["status"], &["doctor"], &["logs", "nothing"], &["--help"], &["down"]] {
        let said = cluster.run(words);
        assert!(!said.out.contains('\u{1b}') && !said.err.contains('\u{1b}'), "{words:?}: {said:?}");
    }
}
