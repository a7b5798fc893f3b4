//! A process in a container and its client: input, output, terminal sizes, and the status at the end; as channels of
//! bytes, whatever carries them. It must not know websockets or SPDY.

use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};
use tinderbox_api::streams::{Session, StreamError, TerminalSize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Channel of standard input.
pub(super) const STDIN: u8 = 0;
/// Channel of standard output.
pub(super) const STDOUT: u8 = 1;
/// Channel of standard error.
pub(super) const STDERR: u8 = 2;
/// Channel of the status at the end.
pub(super) const ERROR: u8 = 3;
/// Channel of terminal sizes.
pub(super) const RESIZE: u8 = 4;

/// A process that has ended may have left its output to a child: it is heard as long as it does not pause so long.
const LAST_WORDS: Duration = Duration::from_millis(500);
const PIECE: usize = 32 * 1024;

/// What the client sends.
pub(super) struct Inputs {
    /// Standard input; its end is the end of the input.
    pub(super) stdin: mpsc::Receiver<Bytes>,
    /// Terminal sizes, as JSON.
    pub(super) resize: mpsc::Receiver<Bytes>,
}

/// Runs until the process has ended and its output has been sent; then sends the status. Ends early when the receiver
/// of `output` has gone.
pub(super) async fn run(session: Session, inputs: Inputs, output: mpsc::Sender<(u8, Bytes)>) {
    let Session { stdin, stdout, stderr, resize, exit } = session;
    let (ended, end) = watch::channel(false);
    let exit = exit.inspect(move |_| {
        let _ = ended.send(true);
    });
    let outputs =
        [(stdout, STDOUT), (stderr, STDERR)].map(|(from, channel)| copy(from, channel, output.clone(), end.clone()));
    let work = finish(exit.boxed(), outputs.map(FutureExt::boxed), output.clone()).boxed();
    // These end with the set, whatever ends it.
    let mut tasks = JoinSet::new();
    tasks.spawn(feed(stdin, inputs.stdin));
    tasks.spawn(resized(resize, inputs.resize));
    tokio::select! {
        () = work => {}
        () = output.closed() => {}
    }
}

async fn finish(
    exit: BoxFuture<'static, Result<i32, StreamError>>,
    outputs: [BoxFuture<'static, ()>; 2],
    output: mpsc::Sender<(u8, Bytes)>,
) {
    let (code, _) = tokio::join!(exit, futures::future::join_all(outputs));
    let status = Bytes::from(status(&code).to_string());
    let _ = output.send((ERROR, status)).await;
}

async fn feed(stdin: Option<Box<dyn AsyncWrite + Send + Unpin>>, mut input: mpsc::Receiver<Bytes>) {
    let Some(mut stdin) = stdin else { return };
    while let Some(bytes) = input.recv().await {
        // A process that has closed its input does not hear the rest.
        if stdin.write_all(&bytes).await.is_err() || stdin.flush().await.is_err() {
            return;
        }
    }
    let _ = stdin.shutdown().await;
}

async fn resized(sizes: Option<mpsc::Sender<TerminalSize>>, mut input: mpsc::Receiver<Bytes>) {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Size {
        width: u16,
        height: u16,
    }
    let Some(sizes) = sizes else { return };
    while let Some(bytes) = input.recv().await {
        // Go's encoder may put several sizes into one message.
        let all: Vec<Size> = serde_json::Deserializer::from_slice(&bytes).into_iter().map_while(Result::ok).collect();
        for size in all {
            let size = TerminalSize { width: size.width, height: size.height };
            if sizes.send(size).await.is_err() {
                return;
            }
        }
    }
}

async fn copy(
    from: Option<Box<dyn AsyncRead + Send + Unpin>>,
    channel: u8,
    output: mpsc::Sender<(u8, Bytes)>,
    mut end: watch::Receiver<bool>,
) {
    let Some(mut from) = from else { return };
    let mut buffer = vec![0; PIECE];
    loop {
        let read = if *end.borrow() {
            match tokio::time::timeout(LAST_WORDS, from.read(&mut buffer)).await {
                Ok(read) => read,
                Err(_) => return,
            }
        } else {
            tokio::select! {
                read = from.read(&mut buffer) => read,
                _ = end.changed() => continue,
            }
        };
        match read {
            // A terminal whose last process has gone answers with an error.
            Ok(0) | Err(_) => return,
            Ok(size) => {
                let bytes = Bytes::copy_from_slice(&buffer[..size]);
                if output.send((channel, bytes)).await.is_err() {
                    return;
                }
            }
        }
    }
}

fn status(code: &Result<i32, StreamError>) -> Value {
    match code {
        Ok(0) => json!({"metadata": {}, "status": "Success"}),
        Ok(code) => json!({
            "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
            "message": format!("command terminated with non-zero exit code: exit status {code}"),
            "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
        }),
        Err(error) => json!({
            "metadata": {}, "status": "Failure", "reason": "InternalError", "code": 500,
            "message": format!("Internal error occurred: error executing command in container: {error}"),
            "details": {"causes": [{"message": format!("error executing command in container: {error}")}]},
        }),
    }
}
