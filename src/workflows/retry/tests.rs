//! Workflows that fail, are run again by the patch, and what is done then: on the nodes that the pure runner leaves.

use jiff::Timestamp;
use serde_json::{Value, json};
use tinderbox_api::workflows::{NodePhase, Workflow};

use super::*;
use crate::runner::{Run, Table, World};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + second).unwrap()
}

fn run(workflow: Value, table: &str) -> Run {
    let mut world = World::new(at(0));
    world.add(workflow).unwrap();
    world.run(&serde_yaml::from_str::<Table>(table).unwrap(), &[]).unwrap()
}

fn workflow(templates: &str) -> Value {
    let spec: Value = serde_yaml::from_str(templates).unwrap();
    json!({"kind": "Workflow", "metadata": {"name": "wf"}, "spec": spec})
}

/// The workflow by a patch, which is run again: names of nodes whose pods were made anew, without the workflow's, and the run.
fn run_again(workflow: &Workflow, retry: &Retry, table: &str) -> (Vec<String>, Run) {
    let mut value = json!(workflow);
    json_patch::merge(&mut value, &retry.patch);
    value["kind"] = json!("Workflow");
    let run = run(value, table);
    let names = run.pods.iter().map(|(node, _)| node.strip_prefix("wf").unwrap_or(node).to_owned());
    (names.collect(), run)
}

/// What is run again after a failure, given what pods do the first and the second time; the workflow succeeds then.
fn repeated(templates: &str, first: &str, second: &str) -> Vec<String> {
    let failed = run(workflow(templates), first);
    let wish = Wish::default();
    let planned = retry(&failed.workflows[0], &wish, at(100)).unwrap();
    let (names, run) = run_again(&failed.workflows[0], &planned, second);
    let status = run.workflows[0].status.clone().unwrap();
    assert_eq!(status.phase, Phase::Succeeded, "{:?} {:?}", status.message, run.history);
    let open = status.nodes.values().find(|node| !node.phase.is_fulfilled());
    assert!(open.is_none(), "left open: {open:?}");
    let pods: BTreeSet<String> = planned.pods.into_iter().collect();
    let made: BTreeSet<String> = run.pods.iter().map(|(_, pod)| pod.name_any()).collect();
    let before: BTreeSet<String> = failed.pods.iter().map(|(_, pod)| pod.name_any()).collect();
    assert!(made.intersection(&before).all(|name| pods.contains(name)), "{pods:?} and {made:?}");
    names
}

const DIAMOND: &str = "
entrypoint: main
onExit: tell
templates:
  - name: main
    dag:
      tasks:
        - {name: A, template: say}
        - {name: B, template: say, depends: A}
        - {name: C, template: say, depends: A}
        - {name: D, template: say, depends: B && C}
  - {name: say, container: {image: i, command: [x]}}
  - {name: tell, container: {image: i, command: [x]}}
";

#[test]
fn what_failed_and_what_waited_for_it_is_run_again_with_the_exit_handler() {
    let failed = run(workflow(DIAMOND), "{B: {exit: 1}}");
    let planned = retry(&failed.workflows[0], &Wish::default(), at(100)).unwrap();
    let pod = |name: &str| failed.pods.iter().find(|(node, _)| node == name).unwrap().1.name_any();
    let mut pods = vec![pod("wf.B"), pod("wf.onExit")];
    pods.sort();
    // D was omitted: it never had a pod.
    assert_eq!(planned.pods, pods);
    let status = &planned.patch["status"];
    assert_eq!((&status["phase"], &status["startedAt"]), (&json!("Running"), &json!("2026-01-01T00:01:40Z")));
    assert_eq!(status["nodes"]["wf"]["phase"], "Running");
    assert_eq!(planned.patch["metadata"]["annotations"][labels::RETRIES], "1");
    assert_eq!(repeated(DIAMOND, "{B: {exit: 1}}", "{}"), [".B", ".D", ".onExit"]);
}

#[test]
fn steps_go_on_where_they_failed() {
    let steps = "
entrypoint: main
templates:
  - name: main
    steps:
      - [{name: one, template: say}]
      - [{name: two, template: say, withItems: [a, b, c]}, {name: inner, template: inner}]
      - [{name: three, template: say}]
  - name: inner
    steps:
      - [{name: first, template: say}]
      - [{name: second, template: say, hooks: {exit: {template: say}}}]
  - {name: say, container: {image: i, command: [x]}}
";
    assert_eq!(repeated(steps, "{'two(1:b)': {exit: 1}}", "{}"), ["[1].two(1:b)", "[2].three"]);
    let inner = ["[1].inner[1].second", "[1].inner[1].second.onExit", "[2].three"];
    assert_eq!(repeated(steps, "{second: {exit: 1}}", "{}"), inner);
}

#[test]
fn attempts_are_counted_anew_and_attempts_of_groups_go_on_in_the_last() {
    let leaf = "
entrypoint: main
templates:
  - {name: main, retryStrategy: {limit: 1}, container: {image: i, command: [x]}}
";
    assert_eq!(repeated(leaf, "{main: {exit: 1}}", "{main: [{exit: 1}, {exit: 0}]}"), ["(0)", "(1)"]);
    let group = "
entrypoint: main
templates:
  - name: main
    retryStrategy: {limit: 1}
    steps: [[{name: good, template: say}], [{name: bad, template: say}]]
  - {name: say, container: {image: i, command: [x]}}
";
    assert_eq!(repeated(group, "{bad: {exit: 1}}", "{}"), ["(1)[1].bad"]);
}

#[test]
fn failures_that_something_was_built_on_stay() {
    let continued = "
entrypoint: main
templates:
  - name: main
    dag:
      tasks:
        - {name: A, template: say}
        - {name: B, template: say, depends: A.Failed}
        - {name: C, template: say, depends: B}
  - {name: say, container: {image: i, command: [x]}}
";
    assert_eq!(repeated(continued, "{A: {exit: 1}, C: {exit: 1}}", "{}"), [".C"]);
}

#[test]
fn what_was_refused_or_stopped_is_tried_again() {
    let pause = "
entrypoint: main
templates:
  - name: main
    steps: [[{name: pause, template: pause}], [{name: after, template: say}]]
  - {name: pause, suspend: {duration: 5}}
  - {name: say, container: {image: i, command: [x]}}
";
    let mut world = World::new(at(0));
    world.add(workflow(pause)).unwrap();
    let moment = serde_yaml::from_str("{at: 2, patch: {spec: {shutdown: Stop}}}").unwrap();
    let stopped = world.run(&Table::default(), &[moment]).unwrap();
    let planned = retry(&stopped.workflows[0], &Wish::default(), at(100)).unwrap();
    let (names, second) = run_again(&stopped.workflows[0], &planned, "{}");
    assert_eq!((names, second.workflows[0].spec.shutdown.clone()), (vec!["[1].after".to_owned()], None));
    assert_eq!(second.workflows[0].status.as_ref().unwrap().phase, Phase::Succeeded);

    let missing = "
entrypoint: main
arguments: {parameters: [{name: text, value: no}]}
templates:
  - {name: main, inputs: {parameters: [{name: word, value: '{{workflow.parameters.text}}', enum: ['yes']}]},
     container: {image: i, command: ['{{inputs.parameters.word}}']}}
";
    let failed = run(workflow(missing), "{}");
    let wish = Wish { parameters: vec![("text".to_owned(), "yes".to_owned())], ..Wish::default() };
    let planned = retry(&failed.workflows[0], &wish, at(100)).unwrap();
    let (names, run) = run_again(&failed.workflows[0], &planned, "{}");
    assert_eq!(
        (names, run.pods[0].1.spec.clone().unwrap().containers[0].command.clone().unwrap()),
        (vec![String::new()], vec!["yes".to_owned()])
    );
    let wrong = Wish { parameters: vec![("txt".to_owned(), "yes".to_owned())], ..Wish::default() };
    assert_eq!(
        retry(&failed.workflows[0], &wrong, at(100)),
        Err("the workflow wf has no parameter \"txt\"".to_owned())
    );
}

#[test]
fn nodes_that_succeeded_are_run_again_when_they_are_selected() {
    let done = run(workflow(DIAMOND), "{}");
    let wish = |selector: &str| Wish { restart: Some(selector.to_owned()), ..Wish::default() };
    let planned = retry(&done.workflows[0], &wish("displayName=B"), at(100)).unwrap();
    let (names, run) = run_again(&done.workflows[0], &planned, "{}");
    assert_eq!(names, [".B", ".D", ".onExit"]);
    let status = run.workflows[0].status.clone().unwrap();
    assert_eq!((status.phase, status.progress.as_deref()), (Phase::Succeeded, Some("5/5")));
    assert!(status.nodes.values().all(|node| node.phase == NodePhase::Succeeded));
    let none = retry(&done.workflows[0], &wish("displayName=E"), at(100));
    assert_eq!(none, Err("no node fits the selector \"displayName=E\"".to_owned()));
}

#[test]
fn what_runs_or_has_succeeded_is_refused() {
    let done = run(workflow(DIAMOND), "{}");
    let why = retry(&done.workflows[0], &Wish::default(), at(0)).unwrap_err();
    assert!(why.contains("wf has succeeded") && why.contains("--restart-successful"), "{why}");
    let mut running = done.workflows[0].clone();
    running.status.as_mut().unwrap().phase = Phase::Running;
    let why = retry(&running, &Wish::default(), at(0)).unwrap_err();
    assert!(why.contains("wf is not over"), "{why}");
}
