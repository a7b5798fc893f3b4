//! Processes inside containers with their streams connected, and connections to a container's own streams.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use tinderbox_api::streams::{ExecOptions, Session, StreamError, TerminalSize};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::context::Shared;
use crate::fd::Stream;
use crate::logs::Progress;
use crate::logs::line::Source;
use crate::pods::handle::Live;
use crate::sandbox::{ExecSpec, Exited, PlaceError};

/// Bytes between a container and somebody attached to it.
const PIPE: usize = 64 << 10;

type Reader = Box<dyn AsyncRead + Send + Unpin>;
type Writer = Box<dyn AsyncWrite + Send + Unpin>;

fn internal(error: &dyn std::error::Error) -> StreamError {
    match error.source() {
        Some(cause) => StreamError::Internal(format!("{error}: {cause}")),
        None => StreamError::Internal(error.to_string()),
    }
}

/// Starts a process inside a running container.
pub(super) async fn exec(shared: &Arc<Shared>, live: &Live, options: ExecOptions) -> Result<Session, StreamError> {
    let id = format!("{}-exec-{}", live.id, crate::ids::unique());
    let ended = shared.exits.expect(&id);
    let spec = ExecSpec {
        container: live.id.clone(),
        id: id.clone(),
        argv: options.command,
        tty: options.tty,
        stdin: options.stdin,
        doors: live.doors(),
        ..ExecSpec::default()
    };
    let started = shared.place.exec(spec).await.map_err(|error| {
        shared.exits.forget(&id);
        match &error {
            PlaceError::Start { message } => StreamError::Internal(message.clone()),
            _ => internal(&error),
        }
    })?;
    let open = |fd| Stream::new(fd).map_err(|error| internal(&error));
    let stdout = open(started.stdout)?;
    let stdin = match started.stdin {
        Some(fd) => Some(open(fd)?),
        None if options.tty && options.stdin => Some(stdout.second().map_err(|error| internal(&error))?),
        None => None,
    };
    let stderr = started.stderr.map(open).transpose()?;
    let discard = |stream: Stream, wanted: bool| -> Option<Reader> {
        if wanted {
            return Some(Box::new(stream));
        }
        tokio::spawn(async move {
            let mut stream = stream;
            // A process must not wait for a reader that nobody asked for.
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        });
        None
    };
    Ok(Session {
        stdin: stdin.map(|stream| Box::new(stream) as Writer),
        stdout: discard(stdout, options.stdout || options.tty),
        stderr: stderr.and_then(|stream| discard(stream, options.stderr)),
        resize: options.tty.then(|| resizer(shared, id.clone())),
        exit: exit(ended),
    })
}

fn exit(ended: oneshot::Receiver<Exited>) -> futures::future::BoxFuture<'static, Result<i32, StreamError>> {
    async move {
        let exited = ended.await.map_err(|_| StreamError::Internal("the node is stopping".to_owned()))?;
        Ok(exited.code)
    }
    .boxed()
}

fn resizer(shared: &Arc<Shared>, id: String) -> mpsc::Sender<TerminalSize> {
    let (sender, mut sizes) = mpsc::channel::<TerminalSize>(4);
    let shared = shared.clone();
    tokio::spawn(async move {
        while let Some(TerminalSize { width, height }) = sizes.recv().await {
            if let Err(error) = shared.place.resize(&id, width, height).await {
                tracing::debug!(%error, "a terminal was not resized");
            }
        }
    });
    sender
}

/// Connects to the streams of a container's main process.
pub(super) async fn attach(
    shared: &Arc<Shared>,
    live: &Arc<Live>,
    options: &ExecOptions,
) -> Result<Session, StreamError> {
    let mut readers = [None, None];
    let wanted = [options.stdout || options.tty, options.stderr && !live.tty];
    let mut writers = [None, None];
    for (index, wanted) in wanted.into_iter().enumerate() {
        if wanted {
            let (near, far) = tokio::io::duplex(PIPE);
            readers[index] = Some(Box::new(near) as Reader);
            writers[index] = Some(far);
        }
    }
    let mut progress = live.log.follow();
    tokio::spawn(copy_out(live.tap.subscribe(), writers, live.log.follow()));
    let stdin = if options.stdin { take_stdin(live).await } else { None };
    let [stdout, stderr] = readers;
    Ok(Session {
        stdin,
        stdout,
        stderr,
        resize: (options.tty && live.tty).then(|| resizer(shared, live.id.clone())),
        exit: async move {
            // An error means that the log is gone, and the container with it.
            let _ = progress.wait_for(|progress| progress.done).await;
            Ok(0)
        }
        .boxed(),
    })
}

async fn copy_out(
    mut tap: broadcast::Receiver<(Source, Bytes)>,
    mut writers: [Option<tokio::io::DuplexStream>; 2],
    mut progress: watch::Receiver<Progress>,
) {
    loop {
        let item = tokio::select! {
            biased;
            item = tap.recv() => item,
            _ = progress.wait_for(|progress| progress.done) => return,
        };
        let (source, chunk) = match item {
            Ok(item) => item,
            Err(broadcast::error::RecvError::Lagged(_)) => continue,
            Err(broadcast::error::RecvError::Closed) => return,
        };
        let writer = match source {
            Source::Out => &mut writers[0],
            Source::Err => &mut writers[1],
        };
        if let Some(stream) = writer
            && stream.write_all(&chunk).await.is_err()
        {
            *writer = None;
        }
        if writers.iter().all(Option::is_none) {
            return;
        }
    }
}

/// Standard input for somebody attached: it is given back when they leave, unless `stdinOnce` says otherwise.
async fn take_stdin(live: &Arc<Live>) -> Option<Writer> {
    let mut stdin = live.stdin.lock().await.take()?;
    let (near, mut far) = tokio::io::duplex(PIPE);
    let live = live.clone();
    let mut progress = live.log.follow();
    tokio::spawn(async move {
        tokio::select! {
            // Either side may leave at any time.
            _ = tokio::io::copy(&mut far, &mut stdin) => {}
            _ = progress.wait_for(|progress| progress.done) => return,
        }
        if !live.stdin_once {
            *live.stdin.lock().await = Some(stdin);
        }
    });
    Some(Box::new(near))
}
