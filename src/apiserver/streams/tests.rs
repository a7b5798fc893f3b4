//! Streams over websockets and SPDY against a node that is played.

use std::net::SocketAddrV4;
use std::sync::Mutex;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use http::Request;
use serde_json::json;
use tinderbox_api::streams::{Connection, ContainerRef, LogOptions, LogStream, Session};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;

use super::session::Inputs;
use super::spdy::tests::Client;
use super::*;

/// A node whose one process copies its input to its output in capitals, and ends with the code that its command names;
/// and whose one port does the same.
#[derive(Default)]
struct Node {
    sizes: Arc<Mutex<Vec<(u16, u16)>>>,
}

async fn shout(io: DuplexStream) {
    let (mut read, mut write) = tokio::io::split(io);
    let mut text = String::new();
    read.read_to_string(&mut text).await.unwrap();
    write.write_all(text.to_uppercase().as_bytes()).await.unwrap();
    write.shutdown().await.unwrap();
}

impl Node {
    fn session(&self, options: &ExecOptions) -> Session {
        let (ours, theirs) = tokio::io::duplex(1024);
        let code = options.command.last().and_then(|code| code.parse().ok()).unwrap_or(0);
        let (read, write) = tokio::io::split(ours);
        let (resize, mut sizes) = mpsc::channel(4);
        let seen = self.sizes.clone();
        tokio::spawn(async move {
            while let Some(size) = sizes.recv().await {
                let size: tinderbox_api::streams::TerminalSize = size;
                seen.lock().unwrap().push((size.width, size.height));
            }
        });
        let worker = tokio::spawn(shout(theirs));
        let stderr: Option<Box<dyn AsyncRead + Send + Unpin>> =
            options.stderr.then(|| Box::new(&b"to stderr"[..]) as Box<_>);
        Session {
            stdin: Some(Box::new(write)),
            stdout: Some(Box::new(read)),
            stderr,
            resize: options.tty.then_some(resize),
            exit: Box::pin(async move {
                worker.await.map_err(|error| StreamError::Internal(error.to_string()))?;
                if code < 0 { Err(StreamError::Internal("lost".into())) } else { Ok(code) }
            }),
        }
    }
}

impl PodStreams for Node {
    fn logs(&self, container: ContainerRef, options: LogOptions) -> BoxFuture<'_, Result<LogStream, StreamError>> {
        Box::pin(async move {
            if options.previous {
                return Err(StreamError::BadRequest("previous terminated container not found".into()));
            }
            let lines = [format!("{} says\n", container.container), "more\n".to_owned()];
            Ok(futures::stream::iter(lines.map(|line| Ok(Bytes::from(line)))).boxed())
        })
    }

    fn exec(&self, _: ContainerRef, options: ExecOptions) -> BoxFuture<'_, Result<Session, StreamError>> {
        let session = self.session(&options);
        Box::pin(async move { Ok(session) })
    }

    fn attach(&self, _: ContainerRef, _: ExecOptions) -> BoxFuture<'_, Result<Session, StreamError>> {
        Box::pin(async { Err(StreamError::NotFound("no such container".into())) })
    }

    fn port_forward(&self, _: ContainerRef, port: u16) -> BoxFuture<'_, Result<Box<dyn Connection>, StreamError>> {
        Box::pin(async move {
            if port != 80 {
                return Err(StreamError::Internal(format!("connection refused: port {port}")));
            }
            let (ours, theirs) = tokio::io::duplex(1024);
            tokio::spawn(shout(theirs));
            Ok(Box::new(ours) as Box<dyn Connection>)
        })
    }

    fn usage(&self) -> BoxFuture<'_, Vec<tinderbox_api::streams::PodUsage>> {
        Box::pin(async { Vec::new() })
    }

    fn dial(&self, address: SocketAddrV4) -> BoxFuture<'_, Result<Box<dyn Connection>, StreamError>> {
        Box::pin(async move { Err(StreamError::Internal(format!("nobody is at {address}"))) })
    }
}

fn pod() -> Value {
    json!({
        "metadata": {"name": "p", "namespace": "n", "uid": "u"},
        "spec": {"nodeName": "local-0", "containers": [{"name": "a"}]},
        "status": {"phase": "Running"},
    })
}

fn node() -> Arc<dyn PodStreams> {
    Arc::new(Node::default())
}

fn parts(query: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().uri(format!("/api/v1/namespaces/n/pods/p/x?{query}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn exec_options(command: &str, stderr: bool, tty: bool) -> ExecOptions {
    ExecOptions { command: vec![command.to_owned()], stdin: true, stdout: true, stderr, tty }
}

#[tokio::test]
async fn logs_are_the_body() {
    let (node, pod) = (node(), pod());
    let mut request = parts("container=a", &[]);
    let response = log(PodCall { streams: &node, pod: &pod, parts: &mut request }).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/plain");
    let body = axum::body::to_bytes(response.into_body(), 1000).await.unwrap();
    assert_eq!(body, "a says\nmore\n");
    let mut request = parts("previous=true", &[]);
    let error = log(PodCall { streams: &node, pod: &pod, parts: &mut request }).await.unwrap_err();
    assert_eq!((error.code, &*error.reason), (400, "BadRequest"));
    let mut unplaced = pod.clone();
    unplaced["spec"]["nodeName"] = Value::Null;
    let mut request = parts("", &[]);
    let response = log(PodCall { streams: &node, pod: &unplaced, parts: &mut request }).await.unwrap();
    assert!(axum::body::to_bytes(response.into_body(), 1000).await.unwrap().is_empty());
}

#[tokio::test]
async fn requests_that_do_not_fit_are_refused() {
    let (node, pod) = (node(), pod());
    for (query, headers, message) in [
        ("stdout=1", &[][..], "you must specify at least 1 command for the container"),
        ("command=a", &[][..], "Upgrade request required"),
        (
            "command=a",
            &[("upgrade", "SPDY/3.1"), ("x-stream-protocol-version", "channel.k8s.io")][..],
            "unable to upgrade: unable to negotiate protocol: the server speaks v4.channel.k8s.io",
        ),
        ("command=a&container=b", &[][..], "container b is not valid for pod p"),
    ] {
        let mut request = parts(query, headers);
        let error = exec(PodCall { streams: &node, pod: &pod, parts: &mut request }).await.unwrap_err();
        assert_eq!((error.code, error.message.as_str()), (400, message));
    }
    let mut request = parts("", &[]);
    let error = attach(PodCall { streams: &node, pod: &pod, parts: &mut request }).await.unwrap_err();
    assert_eq!(error.message, "Upgrade request required");
    let mut request = parts("ports=x", &[("upgrade", "websocket")]);
    let error = port_forward(PodCall { streams: &node, pod: &pod, parts: &mut request }).await.unwrap_err();
    assert!(error.message.contains("invalid port \"x\""), "{error}");
}

/// Runs a session with these inputs; gives what came on each channel.
async fn run(command: &str, stdin: &[&str], resize: &[&str]) -> (Vec<String>, Arc<Mutex<Vec<(u16, u16)>>>) {
    let node = Node::default();
    let session = node.session(&exec_options(command, true, true));
    let (send_stdin, stdin_rx) = mpsc::channel(8);
    let (send_resize, resize_rx) = mpsc::channel(8);
    for (sender, texts) in [(&send_stdin, stdin), (&send_resize, resize)] {
        for text in texts {
            sender.send(Bytes::copy_from_slice(text.as_bytes())).await.unwrap();
        }
    }
    drop((send_stdin, send_resize));
    let (output, mut pieces) = mpsc::channel::<(u8, Bytes)>(8);
    let inputs = Inputs { stdin: stdin_rx, resize: resize_rx };
    let mut texts = vec![String::new(); 5];
    let collect = async {
        while let Some((channel, bytes)) = pieces.recv().await {
            texts[usize::from(channel)].push_str(std::str::from_utf8(&bytes).unwrap());
        }
    };
    tokio::join!(session::run(session, inputs, output), collect);
    (texts, node.sizes)
}

#[tokio::test]
async fn a_session_ends_with_its_status() {
    let (texts, sizes) = run("0", &["a", "b"], &[r#"{"Width":80,"Height":24}{"Width":90,"Height":30}"#]).await;
    assert_eq!(texts[1], "AB");
    assert_eq!(texts[2], "to stderr");
    assert_eq!(texts[3], r#"{"metadata":{},"status":"Success"}"#);
    assert_eq!(*sizes.lock().unwrap(), [(80, 24), (90, 30)]);
    let (texts, _) = run("7", &["a"], &[]).await;
    let status: Value = serde_json::from_str(&texts[3]).unwrap();
    assert_eq!(status["reason"], "NonZeroExitCode");
    assert_eq!(status["details"]["causes"][0], json!({"reason": "ExitCode", "message": "7"}));
    let (texts, _) = run("-1", &[], &[]).await;
    let status: Value = serde_json::from_str(&texts[3]).unwrap();
    assert_eq!((&status["reason"], &status["code"]), (&json!("InternalError"), &json!(500)));
}

#[tokio::test]
async fn a_session_runs_over_spdy() {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let options = exec_options("3", true, false);
    let session = Node::default().session(&options);
    let serve = tokio::spawn(upgrade::over_spdy(spdy::serve(ours), session, options));
    let mut client = Client::new(theirs);
    for (id, kind) in [(1, "error"), (3, "stdin"), (5, "stdout"), (7, "stderr")] {
        client.open(id, &[("streamType", kind)]).await;
    }
    client.data(3, "hello", true).await;
    let texts = client.collect(&[1, 5, 7]).await;
    assert_eq!((texts[&5].as_str(), texts[&7].as_str()), ("HELLO", "to stderr"));
    let status: Value = serde_json::from_str(&texts[&1]).unwrap();
    assert_eq!(status["details"]["causes"][0]["message"], "3");
    serve.await.unwrap();
}

#[tokio::test]
async fn forwards_several_connections_at_once() {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    tokio::spawn(forward::pairs(spdy::serve(ours), node(), target::pod(&pod())));
    let mut client = Client::new(theirs);
    for (id, request, port) in [(1, "0", "80"), (5, "1", "80"), (9, "2", "81")] {
        for (id, kind) in [(id, "error"), (id + 2, "data")] {
            client.open(id, &[("streamType", kind), ("port", port), ("requestID", request)]).await;
        }
        client.data(id, "", true).await;
    }
    client.data(7, "second", true).await;
    client.data(3, "first", true).await;
    client.data(11, "", true).await;
    let texts = client.collect(&[1, 3, 5, 7, 9, 11]).await;
    let text = |id: u32| texts.get(&id).map(String::as_str).unwrap_or_default();
    assert_eq!((text(3), text(7)), ("FIRST", "SECOND"));
    assert_eq!((text(1), text(5)), ("", ""));
    assert_eq!(text(9), "error forwarding port 81 to pod u, uid : connection refused: port 81");
    assert_eq!(text(11), "");
}
