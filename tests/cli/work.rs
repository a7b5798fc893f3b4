//! Pods that cannot do what they should: what the user is told while they wait, and when they have failed.

use crate::program::Cluster;
use serde_json::{Value, json};

fn pod(name: &str, container: Value) -> String {
    let mut main = json!({"name": "main", "image": "busybox"});
    main.as_object_mut().expect("an object").extend(container.as_object().cloned().unwrap_or_default());
    let spec = json!({"restartPolicy": "Never", "containers": [main]});
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}).to_string()
}

/// Runs a pod that must fail, and hands back talk and result.
fn failed(cluster: &Cluster, file: &str, text: &str, more: &[&str]) -> (String, String) {
    cluster.write(file, text);
    let said = cluster.run(&[&["run", file][..], more].concat());
    assert_eq!(said.code, Some(1), "{said:?}");
    (cluster.tidy(&said.err), cluster.tidy(&said.out))
}

#[test]
fn what_keeps_a_pod_from_its_work_is_told() {
    let cluster = Cluster::of_own_project("work");
    cluster.run(&["up"]).succeeded();

    let (told, result) = failed(&cluster, "image.json", &pod("image", json!({"image": "localhost:1/thing:1"})), &[]);
    let why = "failed to pull and unpack image \"localhost:1/thing:1\": registry localhost:1 does not answer: Connection refused \
               (os error 111) (load it from an archive with `cargo xtask image load FILE`, or describe it under images: in \
               tinderbox.yaml, or see that its registry has it and can be reached)";
    let warning = format!("warning: pod/image: Failed: Failed to pull image \"localhost:1/thing:1\": {why}\n");
    assert!(told.contains(&warning), "{told}");
    let summary = format!(
        "why: pod/image: the image \"localhost:1/thing:1\" cannot be had: Back-off pulling image \"localhost:1/thing:1\": ErrImagePull: {why}\n"
    );
    assert!(result.contains(&summary), "{result}");

    let huge = json!({"resources": {"requests": {"cpu": "1000"}}});
    let (told, result) = failed(&cluster, "huge.json", &pod("huge", huge), &["--timeout", "1s"]);
    let why = "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 Preemption is not helpful for \
               scheduling.";
    assert!(told.contains(&format!("warning: pod/huge: FailedScheduling: {why}")), "{told}");
    assert!(result.contains("\nwhy: huge.json did not end within 1 s\n"), "{result}");
    assert!(result.contains(&format!("\n  pod/huge: PodScheduled is False: Unschedulable: {why}\n")), "{result}");

    let command = json!({"command": ["sh", "-c", "echo these are its last words; exit 3"]});
    let (told, result) = failed(&cluster, "code.json", &pod("code", command), &[]);
    assert!(told.contains("pod/code: Failed"), "{told}");
    assert!(result.starts_with("these are its last words\n"), "{result}");
    let end = result.split_once("\nwhy: ").expect("it is explained").1;
    // Events come when they come.
    let end: Vec<&str> = end.lines().filter(|line| !line.starts_with("  Normal") && *line != "events:").collect();
    insta::assert_snapshot!(end.join("\n"), @r"
        pod/code failed
        cause:
          pod/code: container main ended with exit code 3
        what shows it:
          pod/code: container main: exit code 3: Error
          these are its last words
        what to change:
          look at the whole log: cargo xtask logs code
        conditions:
          pod/code: container main: state: exit code 3: Error
        last lines of code (main):
          these are its last words
    ");

    let program = json!({"command": ["no-such-program"]});
    let (_, result) = failed(&cluster, "start.json", &pod("start", program), &[]);
    assert!(result.contains("no-such-program"), "{result}");

    let status = cluster.run(&["status"]).succeeded();
    let problems = status.split_once("\nproblems:\n").expect("there are problems").1;
    for problem in ["pod/code: container main: state: exit code 3: Error", "pod/huge: PodScheduled is False"] {
        assert!(problems.contains(problem), "{problems}");
    }
}
