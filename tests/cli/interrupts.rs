//! Ctrl-C: what was begun is ended, or said to go on; nothing is left that was not there before.

use crate::program::Cluster;

/// A job that goes on for ever.
const JOB: &str = r#"{"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "long"}, "spec": {"template": {"spec": {
    "restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox", "command": ["sleep", "1000000"]}]}}}}"#;

#[test]
fn an_interrupted_start_leaves_nothing() {
    let cluster = Cluster::new("stop-up");
    let mut up = cluster.start(&["up"]);
    up.wait_for("starting cluster");
    up.interrupt();
    let told = up.end().failed(130);
    assert_eq!(cluster.tidy(&told), "starting cluster NAME\nerror: interrupted");
    cluster.assert_gone();

    // A little later, when there is a node already.
    let mut up = cluster.start(&["up"]);
    up.wait_for_node(&cluster);
    up.interrupt();
    up.end().failed(130);
    cluster.assert_gone();
}

#[test]
fn an_interrupted_start_keeps_what_was_there() {
    let cluster = Cluster::new("stop-again");
    cluster.run(&["up"]).succeeded();
    cluster.kubectl(&["create", "configmap", "kept"]).succeeded();
    crate::machine::kill(cluster.node());
    crate::machine::wait_for_end(cluster.node());
    let mut up = cluster.start(&["up"]);
    up.wait_for_node(&cluster);
    up.interrupt();
    up.end().failed(130);
    assert_eq!(cluster.node_process(), None);
    assert!(cluster.run(&["status"]).succeeded().contains(": stopped"));
    cluster.run(&["up"]).succeeded();
    cluster.kubectl(&["get", "configmap", "kept"]).succeeded();
}

#[test]
fn an_interrupted_run_goes_on_without_us() {
    let cluster = Cluster::of_own_project("stop-run");
    cluster.run(&["up"]).succeeded();
    cluster.write("job.json", JOB);
    for again in [false, true] {
        let mut run = cluster.start(&["run", "job.json"]);
        run.wait_for(": Running");
        run.interrupt();
        let told = run.end().failed(130);
        let end = "note: job.json goes on: `cargo xtask run job.json` follows it again\nerror: interrupted\n";
        assert!(told.ends_with(end), "{told}");
        assert_eq!(told.contains("still works from before: following it"), again, "{told}");
    }
    cluster.kubectl(&["wait", "job/long", "--for=jsonpath={.status.active}=1", "--timeout=10s"]).succeeded();
    cluster.run(&["down"]).succeeded();
    cluster.assert_gone();
}

#[test]
fn an_interrupted_end_to_end_run_takes_its_cluster_away() {
    let cluster = Cluster::of_own_project("stop-e2e");
    cluster.write("job.json", JOB);
    cluster.write("fixtures/scenarios/long.yaml", "submit: {files: [../../job.json]}\nbudget: 10m\nexpect: [{on: {kind: Pod, name: none}, that: object != null}]\n");
    let e2e = |cluster: &Cluster| {
        let mut e2e = cluster.start(&["e2e", "long"]);
        e2e.wait_for(": Running");
        e2e.interrupt();
        e2e.end().failed(130)
    };
    let told = e2e(&cluster);
    assert!(told.ends_with(&format!("taking cluster {} away\nerror: interrupted\n", cluster.name)), "{told}");
    cluster.assert_gone();

    // One that was there stays.
    cluster.run(&["up"]).succeeded();
    let told = e2e(&cluster);
    assert!(!told.contains("away"), "{told}");
    cluster.kubectl(&["get", "nodes"]).succeeded();
}
