//! The real kubectl on a whole cluster: what an engineer types all day, and what comes back.

mod looks;
mod streams;
mod workloads;

use serde_json::{Value, json};

use crate::child::Running;
use crate::program::Cluster;

impl Cluster {
    /// A cluster that is up.
    fn up(purpose: &str) -> Self {
        let cluster = Self::new(purpose);
        cluster.run(&["up"]).succeeded();
        cluster
    }

    /// What kubectl prints, which must succeed.
    fn out(&self, words: &[&str]) -> String {
        self.kubectl(words).succeeded()
    }

    /// Starts kubectl with words that take a while.
    fn begin(&self, words: &[&str]) -> Running {
        Running::start(&mut self.kubectl_command(words))
    }

    /// Applies an object.
    fn apply(&self, object: &Value) {
        self.kubectl_reads(&["apply", "-f", "-"], &object.to_string()).succeeded();
    }

    fn json(&self, words: &[&str]) -> Value {
        serde_json::from_str(&self.out(&[words, &["-o", "json"]].concat())).expect("it is JSON")
    }

    /// Runs a shell script as a pod, and waits until it is ready.
    fn script(&self, name: &str, script: &str) {
        self.apply(&pod(name, json!({"name": "main", "image": "busybox", "command": ["sh", "-c", script]})));
        self.out(&["wait", "pod", name, "--for=condition=Ready", "--timeout=60s"]);
    }
}

/// A pod that runs once.
fn pod(name: &str, container: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [container]}})
}

/// Waits in a shell until there is a file.
fn wait_for(file: &str) -> String {
    format!("until test -e {file}; do sleep 0.05; done")
}

/// Cells of a table, without its head.
fn rows(table: &str) -> Vec<Vec<&str>> {
    table.lines().skip(1).map(|line| line.split_whitespace().collect()).collect()
}
