//! What holds for every workflow: the samples pass, crashes repeat nothing, and many nodes are each run once.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tinderbox_api::workflows::{NodePhase, Phase, Workflow};

use super::*;

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn world() -> World {
    World::new("2026-03-04T05:06:07Z".parse().unwrap())
}

fn table(text: &str) -> Table {
    serde_yaml::from_str(text).unwrap()
}

fn phase(workflow: &Workflow) -> Phase {
    workflow.status.as_ref().unwrap().phase
}

fn read(path: &str) -> Value {
    serde_yaml::from_str(&fs::read_to_string(root().join(path)).unwrap()).unwrap()
}

#[test]
fn the_samples_pass() {
    let completed = "{takes: 20, object: {status: {applicationState: {state: COMPLETED}}}}";
    for (template, app, workflow, nodes, ids) in [
        ("echo", "hello-argo-workflows", "workflow", 4, 0),
        ("pi", "hello-spark-operator-argo-workflows", "workflow", 0, 3),
        ("spark-job", "hello-argo-workflow-template", "template", 0, 1),
    ] {
        let object = read(&format!("manifests/apps/{app}/{workflow}.yaml"));
        let mut world = world();
        if workflow == "template" {
            let name = object["metadata"]["name"].clone();
            world.add(object).unwrap();
            let spec = json!({"workflowTemplateRef": {"name": name}});
            world.add(json!({"kind": "Workflow", "metadata": {"name": "wf"}, "spec": spec})).unwrap();
        } else {
            world.add(object).unwrap();
        }
        let table = if nodes == 0 { table(&format!("{template}: {completed}")) } else { Table::default() };
        let run = world.run(&table, &[]).unwrap();
        assert_eq!(phase(&run.workflows[0]), Phase::Succeeded, "{app}: {:?}", run.workflows[0].status);
        assert_eq!((run.pods.len(), run.objects.len()), (nodes, ids), "{app}");
        for (_, manifest) in &run.objects {
            let made: Value = serde_yaml::from_str(manifest).unwrap();
            assert_eq!(made["spec"]["executor"]["podSecurityContext"]["runAsUser"], 185);
        }
    }
}

/// The pipeline of the sample, of which one Spark job fails once.
fn flights() -> World {
    let mut world = world();
    let spec = json!({"workflowTemplateRef": {"name": "flights-nightly"}});
    world.add(json!({"kind": "Workflow", "metadata": {"name": "wf"}, "spec": spec})).unwrap();
    world.add(read("manifests/apps/flights-nightly/template.yaml")).unwrap();
    world
}

fn flights_table() -> Table {
    serde_json::from_value(read("fixtures/workflows/flights-nightly.yaml")["table"].clone()).unwrap()
}

#[test]
fn a_controller_that_is_killed_anywhere_repeats_nothing_and_loses_nothing() {
    let wanted = flights().run(&flights_table(), &[]).unwrap();
    let made = |run: &Run| {
        let names = run.pods.iter().map(|(node, _)| node).chain(run.objects.iter().map(|(node, _)| node));
        let mut names: Vec<String> = names.cloned().collect();
        names.sort();
        names
    };
    assert_eq!(made(&wanted).len(), 9, "{:?}", made(&wanted));
    let mut seed = 7_u64;
    for round in 0..50 {
        let mut world = flights();
        // Some three crashes, anywhere.
        let crashes: Vec<usize> = (0..3)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                usize::try_from(seed >> 33).unwrap() % 60 + 1
            })
            .collect();
        world.crash_at(crashes.clone());
        let run = world.run(&flights_table(), &[]).unwrap();
        assert_eq!(phase(&run.workflows[0]), Phase::Succeeded, "round {round}, crashes {crashes:?}");
        assert_eq!(made(&run), made(&wanted), "round {round}, crashes {crashes:?}");
    }
}

/// Layers of tasks, each waiting for two of the layer before.
fn layers(count: usize, width: usize) -> Value {
    let mut tasks = Vec::new();
    for number in 0..count {
        let layer = number / width;
        let before: Vec<String> = match layer {
            0 => Vec::new(),
            _ => [0, 1].iter().map(|next| format!("t{}", (layer - 1) * width + (number + next) % width)).collect(),
        };
        tasks.push(json!({"name": format!("t{number}"), "template": "noop", "dependencies": before}));
    }
    json!({"kind": "Workflow", "metadata": {"name": "wf"}, "spec": {"entrypoint": "main", "templates": [
        {"name": "main", "dag": {"tasks": tasks}}, {"name": "noop", "container": {"image": "noop", "command": ["true"]}},
    ]}})
}

#[test]
fn hundreds_of_nodes_are_run_each_once() {
    let mut world = world();
    world.add(layers(400, 40)).unwrap();
    let run = world.run(&Table::default(), &[]).unwrap();
    assert_eq!(phase(&run.workflows[0]), Phase::Succeeded);
    let nodes: BTreeSet<&String> = run.pods.iter().map(|(node, _)| node).collect();
    assert_eq!((run.pods.len(), nodes.len(), run.most_at_once), (400, 400, 40));
}

#[test]
fn a_failure_at_the_beginning_omits_all_that_follow_at_once() {
    let mut world = world();
    world.add(layers(400, 4)).unwrap();
    let run = world.run(&table("{t0: {exit: 1}, t1: {exit: 1}, t2: {exit: 1}, t3: {exit: 1}}"), &[]).unwrap();
    let status = run.workflows[0].status.clone().unwrap();
    assert_eq!(status.phase, Phase::Failed);
    assert_eq!(status.nodes.values().filter(|node| node.phase == NodePhase::Omitted).count(), 396);
}
