//! What lies in the state folder when something went wrong before: killed commands and nodes, a reboot, other versions, halves.

use std::fs;
use std::net::TcpListener;

use serde_json::{Value, json};

use crate::machine;
use crate::program::Cluster;

/// Writes something else into the state.
fn change_state(cluster: &Cluster, change: impl FnOnce(&mut Value)) {
    let mut state = cluster.state();
    change(&mut state);
    fs::write(cluster.state_file(), state.to_string()).expect("written");
}

#[test]
fn two_starts_at_once_make_one_cluster() {
    let cluster = Cluster::new("two");
    let commands = [(); 3].map(|()| cluster.start(&["up"]));
    let said = commands.map(|command| command.end().succeeded());
    let new = said.iter().filter(|said| said.contains(" is up (")).count();
    let already = said.iter().filter(|said| said.contains(" is up already (")).count();
    assert_eq!((new, already), (1, 2), "{said:?}");
    assert_eq!(cluster.node_process(), Some(cluster.node()));
    let ends = [(); 2].map(|()| cluster.start(&["down"])).map(|command| command.end().succeeded());
    assert!(ends.iter().any(|said| said.contains("is gone")), "{ends:?}");
    cluster.assert_gone();
}

#[test]
fn a_killed_start_is_continued_or_taken_away() {
    for (purpose, next) in [("killed-up", "up"), ("killed-down", "down")] {
        let cluster = Cluster::new(purpose);
        let mut up = cluster.start(&["up"]);
        up.wait_for("starting cluster");
        up.wait_for_node(&cluster);
        up.kill();
        assert_eq!(up.end().code, None);
        cluster.run(&[next]).succeeded();
        if next == "up" {
            assert_eq!(cluster.node_process(), Some(cluster.node()));
            cluster.kubectl(&["get", "namespace", "spark-jobs"]).succeeded();
            cluster.run(&["down"]).succeeded();
        }
        cluster.assert_gone();
    }
}

#[test]
fn a_process_number_of_before_a_reboot_is_nobodys() {
    let cluster = Cluster::new("reboot");
    cluster.run(&["up"]).succeeded();
    cluster.kubectl(&["create", "configmap", "kept"]).succeeded();
    machine::kill(cluster.node());
    machine::wait_for_end(cluster.node());

    // The number belongs to another process of this boot, which is the test itself.
    change_state(&cluster, |state| state["node"]["pid"] = json!(std::process::id()));
    assert!(cluster.run(&["status"]).succeeded().contains(": stopped"));
    assert!(cluster.run(&["up"]).succeeded().contains("is up again, with all that it had"));
    cluster.kubectl(&["get", "configmap", "kept"]).succeeded();

    // The same number and start time, but of another boot. The node that runs is found by its command line.
    change_state(&cluster, |state| state["node"]["boot"] = json!("another"));
    let node = cluster.node();
    assert!(cluster.run(&["up"]).succeeded().contains("is up again"));
    machine::wait_for_end(node);
    assert_ne!(cluster.node(), node);
    change_state(&cluster, |state| state["node"]["pid"] = json!(std::process::id()));
    cluster.run(&["down"]).succeeded();
    cluster.assert_gone();
}

#[test]
fn a_state_that_cannot_be_read_is_told_and_can_be_taken_away() {
    let cluster = Cluster::new("unread");
    let told = |verb: &str| cluster.tidy(&cluster.run(&["-q", verb]).failed(3));
    cluster.run(&["up"]).succeeded();

    change_state(&cluster, |state| state["format"] = json!(2));
    insta::assert_snapshot!(told("up"), @r"
        error: the state of cluster NAME in DIR/home/NAME/state.json has format 2, and this version knows only up to 1
        hint: use the version that wrote it, or remove the cluster with `cargo xtask down --name NAME`
    ");
    assert_eq!(told("status"), told("up"));

    fs::write(cluster.state_file(), r#"{"format": 1, "settings": {"#).expect("written");
    insta::assert_snapshot!(told("up"), @r"
        error: the state of cluster NAME in DIR/home/NAME/state.json is damaged or half-written
          because: EOF while parsing an object at line 1 column 27
        hint: `cargo xtask down --name NAME` removes the cluster with all its objects; the next `up` starts afresh
    ");

    fs::remove_file(cluster.state_file()).expect("removed");
    fs::create_dir(cluster.state_file()).expect("made");
    insta::assert_snapshot!(told("up"), @r"
        error: cannot read the state of cluster NAME in DIR/home/NAME/state.json
          because: Is a directory (os error 21)
        hint: `cargo xtask down --name NAME` removes the cluster with all its objects; the next `up` starts afresh
    ");

    assert!(cluster.node_process().is_some(), "it was not touched");
    cluster.run(&["down"]).succeeded();
    cluster.assert_gone();
}

#[test]
fn a_store_that_cannot_be_read_is_told_and_kept() {
    let cluster = Cluster::new("store");
    cluster.run(&["up"]).succeeded();
    machine::kill(cluster.node());
    machine::wait_for_end(cluster.node());
    let log = cluster.folder().join("store/log-0000000000000000");
    let whole = fs::read(&log).expect("there is a log");

    fs::write(&log, "no log").expect("written");
    insta::assert_snapshot!(cluster.tidy(&cluster.run(&["up"]).failed(3)), @r"
        starting cluster NAME
        error: cannot open the store
          because: DIR/home/NAME/store/log-0000000000000000 is corrupt at byte 0: this is not the header of a log
        hint: put back a copy of the folder, or remove the cluster with all its objects: `cargo xtask down --name NAME`
    ");
    let mut newer = whole.clone();
    newer[VERSION] += 1;
    fs::write(&log, newer).expect("written");
    insta::assert_snapshot!(cluster.tidy(&cluster.run(&["up"]).failed(3)), @r"
        starting cluster NAME
        error: cannot open the store
          because: DIR/home/NAME/store/log-0000000000000000 has format 2, and this program knows formats up to 1
        hint: use the version that wrote it, or remove the cluster with `cargo xtask down --name NAME`
    ");
    assert_eq!(cluster.node_process(), None);

    fs::write(&log, whole).expect("written");
    assert!(cluster.run(&["up"]).succeeded().contains("is up again"));
}

/// Where a file of the store says its format.
const VERSION: usize = 8;

#[test]
fn what_a_cut_off_removal_left_is_no_cluster() {
    let cluster = Cluster::new("remains");
    fs::create_dir_all(cluster.folder().join("store")).expect("made");
    fs::write(cluster.folder().join("store/log-0000000000000003"), "half").expect("written");
    assert!(cluster.run(&["up"]).succeeded().contains(" is up ("));
    // And a node whose folder somebody removed is found.
    let node = cluster.node();
    fs::remove_dir_all(cluster.home()).expect("removed");
    assert!(cluster.run(&["down"]).succeeded().contains("is gone"));
    machine::wait_for_end(node);
    cluster.assert_gone();
}

#[test]
fn a_taken_port_is_told_with_its_holder() {
    let cluster = Cluster::of_own_project("port");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    cluster.write("tinderbox.yaml", &format!("port: {port}\n"));
    let told = cluster.run(&["up"]).failed(3);
    let own = format!("error: port {port} of 127.0.0.1 is taken by process {} (", std::process::id());
    assert!(told.contains(&own), "{told}");
    assert!(
        told.ends_with("\nhint: end that program, or set another `port` in tinderbox.yaml (0 chooses a free one)\n"),
        "{told}"
    );
    cluster.assert_gone();
    let doctor = cluster.run(&["doctor", "-o", "json"]).json(3);
    let finding =
        doctor["findings"].as_array().into_iter().flatten().find(|finding| finding["what"] == "port of the API");
    assert_eq!(finding.expect("it is looked at")["good"], false);

    drop(listener);
    assert!(cluster.run(&["up"]).succeeded().contains(&format!("https://127.0.0.1:{port}\n")));
    assert_eq!(cluster.port(), port);
}

#[test]
fn a_port_of_before_that_is_taken_is_replaced_and_told() {
    let cluster = Cluster::of_own_project("moved");
    cluster.run(&["up"]).succeeded();
    let port = cluster.port();
    machine::kill(cluster.node());
    machine::wait_for_end(cluster.node());
    let _listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
    let said = cluster.run(&["up"]).succeeded();
    let note = format!("note: port {port} of the earlier start is taken by process {}", std::process::id());
    assert!(said.contains(&note), "{said}");
    cluster.kubectl(&["get", "nodes"]).succeeded();
}
