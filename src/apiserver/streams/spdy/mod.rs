//! The serving side of a SPDY/3.1 connection: streams that the client opens, over any pair of byte streams. Go's client
//! neither keeps windows nor sends updates of them, so none are kept here; a reader that is slow slows its connection.

mod frame;
mod headers;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::frame::{Frame, INVALID_STREAM, Reader, Writer};
pub(super) use self::headers::Headers;

/// Frames on their way out.
const OUTGOING: usize = 32;
/// Pieces that a stream's reader has not taken yet.
const UNREAD: usize = 64;
/// New streams that nobody has taken yet.
const WAITING: usize = 64;

/// A stream that the client has opened.
pub(super) struct Stream {
    /// Its headers.
    pub(super) headers: Headers,
    /// What the client sends; ends with its half of the stream.
    pub(super) input: mpsc::Receiver<Bytes>,
    /// What the client gets.
    pub(super) output: Output,
}

/// Our half of a stream.
pub(super) struct Output {
    id: u32,
    frames: mpsc::Sender<Frame>,
    streams: Arc<Streams>,
    reset: CancellationToken,
}

/// The client has gone, or has reset the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gone;

impl Output {
    /// Sends bytes, as fast as the client takes them.
    pub(super) async fn send(&self, bytes: Bytes) -> Result<(), Gone> {
        self.put(Frame::Data { id: self.id, bytes, fin: false }).await
    }

    /// Ends our half.
    pub(super) async fn finish(self) -> Result<(), Gone> {
        self.streams.finished(self.id);
        self.put(Frame::Data { id: self.id, bytes: Bytes::new(), fin: true }).await
    }

    /// Done when the client has reset the stream or gone.
    pub(super) async fn gone(&self) {
        self.reset.cancelled().await;
    }

    async fn put(&self, frame: Frame) -> Result<(), Gone> {
        tokio::select! {
            biased;
            () = self.reset.cancelled() => Err(Gone),
            sent = self.frames.send(frame) => sent.map_err(|_| Gone),
        }
    }
}

#[derive(Default)]
struct Streams(Mutex<HashMap<u32, Half>>);

/// The client's half of a stream.
struct Half {
    /// Absent once the client has ended it.
    input: Option<mpsc::Sender<Bytes>>,
    reset: CancellationToken,
    we_finished: bool,
}

impl Streams {
    fn with<T>(&self, run: impl FnOnce(&mut HashMap<u32, Half>) -> T) -> T {
        run(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn input(&self, id: u32) -> Option<mpsc::Sender<Bytes>> {
        self.with(|all| all.get(&id)?.input.clone())
    }

    fn finished(&self, id: u32) {
        self.with(|all| {
            if let Some(half) = all.get_mut(&id) {
                half.we_finished = true;
                if half.input.is_none() {
                    all.remove(&id);
                }
            }
        });
    }

    fn they_finished(&self, id: u32) {
        self.with(|all| {
            if let Some(half) = all.get_mut(&id) {
                half.input = None;
                if half.we_finished {
                    all.remove(&id);
                }
            }
        });
    }

    fn reset(&self, id: u32) {
        if let Some(half) = self.with(|all| all.remove(&id)) {
            half.reset.cancel();
        }
    }

    fn reset_all(&self) {
        for half in self.with(std::mem::take).into_values() {
            half.reset.cancel();
        }
    }
}

/// Serves a connection in the background; gives its streams as the client opens them, until it goes.
pub(super) fn serve<T>(io: T) -> mpsc::Receiver<Stream>
where
    T: AsyncRead + AsyncWrite + Send + 'static,
{
    let (read, write) = tokio::io::split(io);
    let (frames, outgoing) = mpsc::channel(OUTGOING);
    let (opened, streams) = mpsc::channel(WAITING);
    tokio::spawn(write_frames(write, outgoing));
    tokio::spawn(async move {
        let all = Arc::new(Streams::default());
        if let Err(error) = read_frames(Reader::new(read), &frames, &opened, &all).await {
            tracing::debug!(%error, "a SPDY connection ended");
        }
        all.reset_all();
    });
    streams
}

async fn write_frames(mut io: impl AsyncWrite + Unpin, mut outgoing: mpsc::Receiver<Frame>) {
    let mut writer = Writer::new();
    let mut bytes = Vec::new();
    while let Some(frame) = outgoing.recv().await {
        bytes.clear();
        let mut whole = writer.put(&frame, &mut bytes).is_some();
        while bytes.len() < 64 * 1024
            && let Ok(frame) = outgoing.try_recv()
        {
            whole &= writer.put(&frame, &mut bytes).is_some();
        }
        if !whole || io.write_all(&bytes).await.is_err() || io.flush().await.is_err() {
            return;
        }
    }
    // Nothing is left to say, and a client that has gone need not hear it.
    let _ = io.shutdown().await;
}

async fn read_frames<R: AsyncRead + Unpin>(
    mut reader: Reader<R>,
    frames: &mpsc::Sender<Frame>,
    opened: &mpsc::Sender<Stream>,
    all: &Arc<Streams>,
) -> Result<(), frame::FrameError> {
    while let Some(frame) = reader.next().await? {
        let answer = match frame {
            Frame::SynStream { id, headers, fin, unidirectional } => {
                let (input, unread) = mpsc::channel(UNREAD);
                let reset = CancellationToken::new();
                let half = Half { input: (!fin).then_some(input), reset: reset.clone(), we_finished: unidirectional };
                all.with(|all| all.insert(id, half));
                // The client drops data that comes before the reply.
                if frames.send(Frame::SynReply(id)).await.is_err() {
                    return Ok(());
                }
                let output = Output { id, frames: frames.clone(), streams: all.clone(), reset };
                let stream = Stream { headers, input: unread, output };
                // Nobody waits for streams any more: the ones that are there may end in peace.
                opened.send(stream).await.is_err().then_some(Frame::Reset(id, INVALID_STREAM))
            }
            Frame::Data { id, bytes, fin } => {
                if !bytes.is_empty()
                    && let Some(input) = all.input(id)
                {
                    // A reader that has gone does not want it.
                    let _ = input.send(bytes).await;
                }
                if fin {
                    all.they_finished(id);
                }
                None
            }
            Frame::Reset(id, _) => {
                all.reset(id);
                None
            }
            // Pings of the client have odd numbers; even ones answer ours, and we send none.
            Frame::Ping(id) if id % 2 == 1 => Some(Frame::Ping(id)),
            Frame::Ping(_) | Frame::SynReply(_) | Frame::GoAway(_) | Frame::Other => None,
        };
        if let Some(answer) = answer
            && frames.send(answer).await.is_err()
        {
            return Ok(());
        }
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests;
