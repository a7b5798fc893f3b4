//! Logs, exec, attach and port-forward as the API server asks for them.

use serde_json::json;
use tinderbox_api::streams::{ExecOptions, LogOptions, PodStreams, StreamError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::cluster::{Cluster, container};

fn command(argv: &[&str]) -> ExecOptions {
    ExecOptions {
        command: argv.iter().map(|&word| word.to_owned()).collect(),
        stdout: true,
        stderr: true,
        ..ExecOptions::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exec_has_streams_and_an_exit_code() {
    let cluster = Cluster::start().await;
    let pod = cluster.script("host", "sleep 1000").await;
    let pod = cluster.until_phase(&pod, "Running").await;
    let at = cluster.reference(&pod, "main");
    let options = ExecOptions { stdin: true, ..command(&["sh", "-c", "cat; echo error >&2; exit 7"]) };
    let mut session = cluster.kubelet().exec(at.clone(), options).await.unwrap();
    let mut stdin = session.stdin.take().unwrap();
    stdin.write_all(b"input").await.unwrap();
    drop(stdin);
    let (mut out, mut err) = (String::new(), String::new());
    session.stdout.unwrap().read_to_string(&mut out).await.unwrap();
    session.stderr.unwrap().read_to_string(&mut err).await.unwrap();
    assert_eq!((out.as_str(), err.as_str(), session.exit.await), ("input", "error\n", Ok(7)));
    let tty = ExecOptions { tty: true, stderr: false, ..command(&["sh", "-c", "test -t 1 && echo terminal"]) };
    let session = cluster.kubelet().exec(at.clone(), tty).await.unwrap();
    let mut out = String::new();
    session.stdout.unwrap().read_to_string(&mut out).await.unwrap();
    assert_eq!(out, "terminal\r\n");
    let missing = cluster.kubelet().exec(at, command(&["/no/such"])).await;
    assert!(matches!(missing, Err(StreamError::Internal(text)) if text.contains("/no/such")));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attach_talks_to_the_main_process() {
    let cluster = Cluster::start().await;
    let spec = json!({"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox", "stdin": true, "stdinOnce": true,
        "command": ["sh", "-c", "read line; echo got $line"]}]});
    let pod = cluster.pod("listener", spec).await;
    let pod = cluster.until_phase(&pod, "Running").await;
    let options = ExecOptions { stdin: true, ..command(&[]) };
    let mut session = cluster.kubelet().attach(cluster.reference(&pod, "main"), options).await.unwrap();
    session.stdin.as_mut().unwrap().write_all(b"word\n").await.unwrap();
    let mut out = String::new();
    session.stdout.unwrap().read_to_string(&mut out).await.unwrap();
    assert_eq!(out, "got word\n");
    cluster.until_phase(&pod, "Succeeded").await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forwarded_ports_reach_loopback() {
    let cluster = Cluster::start().await;
    let script = "import socket\ns = socket.create_server(('127.0.0.1', 5000))\nprint('up', flush=True)\nc, _ = s.accept()\nc.sendall(c.recv(99).upper())";
    let spec = json!({"restartPolicy": "Never", "containers": [{"name": "main", "image": "python", "command": ["python3", "-c", script],
        "readinessProbe": {"exec": {"command": ["python3", "-c", "import socket,sys\nsys.exit(':1388 ' not in open('/proc/net/tcp').read())"]}, "periodSeconds": 1}}]});
    let pod = cluster.pod("server", spec).await;
    let pod = cluster.until(&pod, "ready", |p| container(p, "main")["ready"] == true).await;
    let at = cluster.reference(&pod, "");
    let refused = cluster.kubelet().port_forward(at.clone(), 5001).await;
    assert!(matches!(refused, Err(StreamError::Internal(text)) if text.contains("localhost:5001")));
    let mut connection = cluster.kubelet().port_forward(at, 5000).await.unwrap();
    connection.write_all(b"quiet").await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "QUIET");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_before_and_without_a_container() {
    let cluster = Cluster::start().await;
    let spec = json!({"containers": [{"name": "main", "image": "localhost:1/none:1"}]});
    let pod = cluster.pod("never", spec).await;
    cluster.until(&pod, "waiting", |p| container(p, "main")["state"]["waiting"]["reason"] == "ErrImagePull").await;
    let error = cluster.logs(&pod, "main").await.unwrap_err();
    assert!(error.starts_with("container \"main\" in pod \"never\" is waiting to start: "), "{error}");
    let pod = cluster.script("lines", "for i in 1 2 3 4 5; do echo $i; done").await;
    let pod = cluster.until_phase(&pod, "Succeeded").await;
    let tail = LogOptions { tail_lines: Some(2), ..LogOptions::default() };
    assert_eq!(cluster.logs_with(&pod, "main", tail).await.unwrap(), "4\n5\n");
    assert_eq!(cluster.output("other", "printf partial").await, "partial");
    cluster.stop().await;
}
