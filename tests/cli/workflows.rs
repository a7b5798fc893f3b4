//! `workflow` on a cluster: submitted, looked at, resumed and stopped; and lint without one.

use crate::output::{compare, documented};
use crate::program::Cluster;

/// A pause between two pods, and a template of it with a parameter.
const WAITS: &str = r#"
apiVersion: argoproj.io/v1alpha1
kind: WorkflowTemplate
metadata: {name: waits, namespace: spark-jobs}
spec:
  entrypoint: main
  arguments: {parameters: [{name: word, value: none}]}
  templates:
    - name: main
      steps:
        - - {name: before, template: say}
        - - {name: pause, template: pause}
        - - {name: after, template: say}
    - {name: pause, suspend: {}}
    - name: say
      script: {image: busybox, command: [sh], source: "echo {{workflow.parameters.word}}"}
"#;

const BROKEN: &str = r#"
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {generateName: broken-, namespace: spark-jobs}
spec: {entrypoint: main, templates: [{name: other, suspend: {}}]}
"#;

#[test]
fn a_workflow_is_submitted_resumed_and_stopped() {
    let cluster = Cluster::new("workflow");
    cluster.run(&["up"]).succeeded();
    assert_eq!(cluster.run(&["workflow", "list"]).succeeded().trim(), "there are no workflows");
    cluster.kubectl_reads(&["apply", "-f", "-"], WAITS).succeeded();
    let documented = documented();

    let wrong = cluster.run(&["workflow", "submit", "waits", "-p", "wort=a"]).failed(2);
    assert!(wrong.contains("has no parameter \"wort\"") && wrong.contains("did you mean \"word\"?"), "{wrong}");
    let made = cluster.run(&["workflow", "submit", "waits", "-p", "word=hello", "-o", "json"]).json(0);
    compare("workflow get", &documented["workflow get"], &made);
    let name = made["name"].as_str().expect("a name").to_owned();
    assert!(name.starts_with("waits-"), "{name}");
    let wait = |condition: &str| {
        let wait =
            ["-n", "spark-jobs", "wait", &format!("workflow/{name}"), &format!("--for={condition}"), "--timeout=60s"];
        cluster.kubectl(&wait).succeeded();
    };
    let workflow = format!("workflow/{name}");
    let pauses = |line: &str| line.contains("displayName: pause");
    cluster.watch(&["-n", "spark-jobs", "get", &workflow, "-o", "yaml"], pauses);
    let get = cluster.run(&["workflow", "get", &name, "-o", "json"]).json(0);
    compare("workflow get", &documented["workflow get"], &get);
    let nodes: Vec<String> = get["nodes"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|node| format!("{} {} {} {}", node["depth"], node["name"], node["type"], node["phase"]).replace('"', ""))
        .collect();
    assert_eq!(
        nodes,
        [format!("0 {name} Steps Running"), "1 before Pod Succeeded".into(), "1 pause Suspend Running".into()]
    );
    let resumed = cluster.run(&["workflow", "resume", &name]).succeeded();
    assert!(resumed.contains("✔ pause"), "{resumed}");
    wait("jsonpath={.status.phase}=Succeeded");
    let over = cluster.run(&["workflow", "stop", &name]).failed(2);
    assert!(over.contains("is over: Succeeded"), "{over}");
    let pods = cluster.kubectl(&["-n", "spark-jobs", "logs", "-l", &format!("workflows.argoproj.io/workflow={name}")]);
    assert_eq!(pods.succeeded(), "hello\nhello\n");

    let second = cluster.run(&["workflow", "submit", "waits", "-o", "json"]).json(0);
    let second = second["name"].as_str().expect("a name").to_owned();
    cluster.run(&["workflow", "stop", &second]).succeeded();
    let failed = format!("workflow/{second}");
    let wait = ["-n", "spark-jobs", "wait", &failed, "--for=jsonpath={.status.phase}=Failed", "--timeout=60s"];
    cluster.kubectl(&wait).succeeded();
    let list = cluster.run(&["workflow", "list", "--namespace", "spark-jobs", "-o", "json"]).json(0);
    compare("workflow list", &documented["workflow list"], &list);
    let mut phases: Vec<&str> =
        list.as_array().expect("a list").iter().filter_map(|one| one["phase"].as_str()).collect();
    phases.sort_unstable();
    assert_eq!(phases, ["Failed", "Succeeded"]);
    let near = cluster.run(&["workflow", "get", &name[..name.len() - 1]]).failed(2);
    assert!(near.contains(&format!("did you mean {name:?}?")), "{near}");
    cluster.run(&["down"]).succeeded();
}

/// A step, a request to the API server, and a step that fails unless it is told otherwise.
const FAILS: &str = r#"
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: fails, namespace: spark-jobs}
spec:
  entrypoint: main
  arguments: {parameters: [{name: code, value: "3"}]}
  templates:
    - name: main
      steps:
        - - {name: first, template: say}
        - - {name: ask, template: ask}
        - - {name: last, template: leave, arguments: {parameters: [{name: version, value: "{{steps.ask.outputs.result}}"}]}}
    - name: say
      container: {image: busybox, command: [echo, hello]}
    - name: ask
      http:
        url: https://kubernetes.default.svc/version
        insecureSkipVerify: true
        successCondition: response.statusCode == 200 && response.headers["Content-Type"][0] contains "json"
    - name: leave
      inputs: {parameters: [{name: version}]}
      script:
        image: busybox
        command: [sh]
        env: [{name: ANSWER, value: "{{inputs.parameters.version}}"}]
        source: |
          echo "$ANSWER" | tr -d ' \n' | grep -o '"minor":"[0-9]*"'
          exit {{workflow.parameters.code}}
"#;

#[test]
fn what_failed_is_run_again_and_all_of_it_is_read() {
    let cluster = Cluster::new("workflow-retry");
    cluster.run(&["up"]).succeeded();
    cluster.kubectl_reads(&["apply", "-f", "-"], FAILS).succeeded();
    let said = cluster.run(&["workflow", "logs", "fails", "--follow"]).succeeded();
    let pods: Vec<&str> = said.lines().filter_map(|line| line.split_once(": ").map(|(pod, _)| pod)).collect();
    let of = |template: &str| pods.iter().position(|pod| pod.starts_with(&format!("fails-{template}-")));
    assert!(of("say") < of("ask") && of("ask") < of("leave") && of("say").is_some(), "{said}");
    assert!(
        said.contains(": hello\n") && said.contains(": \"minor\":\"34\"\n") && said.contains("/version: 200\n"),
        "{said}"
    );
    let get = cluster.run(&["workflow", "get", "fails", "-o", "json"]).json(0);
    assert_eq!((&get["phase"], &get["nodes"][2]["type"]), (&"Failed".into(), &"HTTP".into()));

    let wrong = cluster.run(&["workflow", "retry", "fails", "-p", "cod=0"]).failed(2);
    assert!(wrong.contains("has no parameter \"cod\""), "{wrong}");
    let again = cluster.run(&["workflow", "retry", "fails", "-p", "code=0", "-o", "json"]).json(0);
    compare("workflow get", &documented()["workflow get"], &again);
    let said = cluster.run(&["workflow", "logs", "fails", "last", "-f", "-o", "json"]).succeeded();
    assert!(said.lines().all(|line| line.contains("\"pod\":\"fails-leave-")) && said.contains("minor"), "{said}");
    let get = cluster.run(&["workflow", "get", "fails", "-o", "json"]).json(0);
    assert_eq!((&get["phase"], &get["progress"]), (&"Succeeded".into(), &"3/3".into()));
    let over = cluster.run(&["workflow", "retry", "fails"]).failed(2);
    assert!(over.contains("has succeeded"), "{over}");

    cluster.kubectl(&["-n", "spark-jobs", "delete", "pods", "-l", "workflows.argoproj.io/workflow=fails"]).succeeded();
    let gone = cluster.run(&["workflow", "logs", "fails", "first"]);
    assert!(gone.err.contains("the pod is gone, and its log with it"), "{}", gone.err);
    let near = cluster.run(&["workflow", "logs", "fails", "fist"]).failed(2);
    assert!(near.contains("did you mean \"first\"?"), "{near}");
    cluster.run(&["down"]).succeeded();
}

#[test]
fn workflows_are_linted_without_a_cluster() {
    let cluster = Cluster::of_own_project("lint");
    cluster.write("good.yaml", WAITS);
    cluster.write("broken.yaml", BROKEN);
    let good = cluster.run(&["workflow", "lint", "good.yaml"]).succeeded();
    assert_eq!(good.trim(), "WorkflowTemplate waits: good");
    let both = cluster.run(&["workflow", "lint", "good.yaml", "broken.yaml", "-o", "json"]).json(1);
    compare("workflow lint", &documented()["workflow lint"], &both);
    assert_eq!(both["objects"][1]["problem"], "template name 'main' undefined");
    cluster.write("job.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n");
    let none = cluster.run(&["workflow", "lint", "job.yaml"]).failed(2);
    assert!(none.contains("there is no workflow in job.yaml"), "{none}");
}

#[test]
fn workflows_are_played_by_a_table() {
    let cluster = Cluster::of_own_project("played");
    cluster.write("waits.yaml", WAITS);
    let scenario = |wanted: &str| {
        format!(
            "about: It goes on when it is let.\nfiles: [../waits.yaml]\nspec: {{workflowTemplateRef: {{name: waits}}}}\n\
             moments: [{{at: 60, resume: true}}]\nexpect: {{phase: Succeeded, nodes: {{'[2].after': {wanted}}}}}\n"
        )
    };
    cluster.write("played/good.yaml", &scenario("Succeeded"));
    let good = cluster.run(&["workflow", "test", "played"]).succeeded();
    assert_eq!(good, "✔ good: It goes on when it is let.\n1 scenario(s), 0 failed\n");
    cluster.write("played/wrong.yaml", &scenario("Failed"));
    let both = cluster.run(&["workflow", "test", "played", "--junit", "junit.xml", "-o", "json"]).json(1);
    compare("workflow test", &documented()["workflow test"], &both);
    let wrong = &both["scenarios"][1];
    assert_eq!(wrong["complaints"][0]["text"], "node [2].after is \"Succeeded\" and not \"Failed\"");
    assert_eq!(wrong["nodes"].as_array().expect("a list").len(), 7);
    let junit = std::fs::read_to_string(cluster.files().join("junit.xml")).expect("written");
    assert!(junit.contains("tests=\"16\" skipped=\"0\" failures=\"1\""), "{junit}");
    cluster.write("bad.yaml", "about: x\nexpects: {}\n");
    let bad = cluster.run(&["workflow", "test", "bad.yaml"]).failed(2);
    assert!(bad.contains("bad.yaml: unknown field `expects`"), "{bad}");
    let none = cluster.run(&["workflow", "test", "."]).failed(2);
    assert!(none.contains("waits.yaml") || none.contains("bad.yaml"), "{none}");
}
