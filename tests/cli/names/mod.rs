//! Servers on the same port of every address in Python, a JVM and a static binary, each of them asked by Service name in all
//! three.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::Cluster;

/// Each kind of program: its name, the image that it stands in, and how it is started there.
const KINDS: [(&str, &str, &str); 3] = [
    ("python", "python:3", "exec python3 /peer \"$@\""),
    ("jvm", "apache/spark:4.0.1", "exec \"$JAVA_HOME/bin/java\" -Xmx128m -XX:+UseSerialGC --source 17 /peer \"$@\""),
    ("static", "busybox", "exec /peer \"$@\""),
];

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cli/names").join(name)
}

/// Compiles the static one.
fn compile(folder: &Path) -> PathBuf {
    let compiler = PathBuf::from(std::env::var_os("CARGO").expect("run by cargo")).with_file_name("rustc");
    let program = folder.join("peer");
    let mut command = Command::new(compiler);
    command.args(["--edition=2024", "-Ctarget-feature=+crt-static", "-o"]).arg(&program).arg(source("peer.rs"));
    assert!(command.status().expect("rustc lies beside cargo").success());
    assert!(!has_loader(&std::fs::read(&program).expect("it was written")), "it is not static");
    program
}

/// Whether a 64-bit program asks for the loader of shared libraries, in its table of segments.
fn has_loader(program: &[u8]) -> bool {
    const INTERPRETER: [u8; 4] = 3u32.to_le_bytes();
    assert_eq!(program[..6], *b"\x7fELF\x02\x01");
    let number = |at: usize, length: usize| {
        program[at..at + length].iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
    };
    let (table, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    (0..count).any(|index| program[table + index * size..].starts_with(&INTERPRETER))
}

/// Describes an image with each of the programs.
fn configuration(folder: &TempDir) -> PathBuf {
    let program = |kind: &str| match kind {
        "python" => source("peer.py"),
        "jvm" => source("Peer.java"),
        _ => compile(folder.path()),
    };
    let image = |(kind, from, _): &(&str, &str, &str)| {
        let file = json!({"source": program(kind), "target": "/peer"});
        json!({"name": format!("peer/{kind}:1"), "from": from, "files": [file]})
    };
    let path = folder.path().join("tinderbox.yaml");
    let text = json!({"images": KINDS.iter().map(image).collect::<Vec<_>>()}).to_string();
    std::fs::write(&path, text).expect("written");
    path
}

fn pod(name: &str, (kind, _, start): &(&str, &str, &str), words: &[String]) -> Value {
    let mut command = ["sh", "-c", start, "sh"].map(str::to_owned).to_vec();
    command.extend_from_slice(words);
    let container = json!({"name": "main", "image": format!("peer/{kind}:1"), "command": command});
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"restartPolicy": "Never", "containers": [container]}})
}

/// A server with two Services: one with an address of its own, and one that names the pod.
fn server(kind: &(&str, &str, &str)) -> [Value; 3] {
    let name = kind.0;
    let mut pod = pod(name, kind, &["serve".to_owned()]);
    pod["spec"]["containers"][0]["readinessProbe"] = json!({"tcpSocket": {"port": 80}, "periodSeconds": 1});
    let service = |suffix: &str, address: Value| {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": format!("{name}{suffix}")},
            "spec": {"clusterIP": address, "selector": {"app": name}, "ports": [{"port": 80}]}})
    };
    [pod, service("", Value::Null), service("-pod", json!("None"))]
}

/// The names that a server has.
fn names(server: &str) -> Vec<String> {
    ["", ".default", ".default.svc", ".default.svc.cluster.local", "-pod", "-pod.default.svc"]
        .map(|ending| format!("{server}{ending}"))
        .to_vec()
}

fn list(items: Vec<Value>) -> String {
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

#[test]
fn three_runtimes_serve_at_once_and_find_each_other_by_name() {
    let folder = TempDir::new().expect("a temporary folder");
    let cluster = Cluster::new("names");
    let configuration = configuration(&folder);
    cluster.run(&["up", "--config", configuration.to_str().expect("plain")]).succeeded();
    cluster.kubectl_reads(&["create", "-f", "-"], &list(KINDS.iter().flat_map(server).collect())).succeeded();
    let mut open: Vec<String> =
        KINDS.iter().flat_map(|(kind, ..)| [(*kind).to_owned(), format!("{kind}-pod")]).collect();
    let slices = "jsonpath={.metadata.labels.kubernetes\\.io/service-name} {.endpoints[*].conditions.ready}{\"\\n\"}";
    cluster.watch(&["get", "endpointslices", "-o", slices], |line| {
        open.retain(|name| line != format!("{name} true"));
        open.is_empty()
    });

    let asked: Vec<String> = KINDS.iter().flat_map(|(kind, ..)| names(kind)).collect();
    let clients = KINDS.iter().map(|kind| pod(&format!("ask-{}", kind.0), kind, &asked)).collect();
    cluster.kubectl_reads(&["create", "-f", "-"], &list(clients)).succeeded();
    let wanted: String = KINDS
        .iter()
        .flat_map(|(kind, ..)| names(kind).into_iter().map(move |name| format!("{name} {kind}\n")))
        .collect();
    for (kind, ..) in KINDS {
        let name = format!("ask-{kind}");
        assert_eq!(cluster.ended(&["pod", &name]), "Succeeded", "{kind}: {:?}", cluster.kubectl(&["logs", &name]));
        assert_eq!(cluster.kubectl(&["logs", &name]).succeeded(), wanted, "{kind}");
    }
}
