//! `exec` and `attach` over a websocket: each message begins with the number of its channel, as a byte or, in the base64
//! forms, as a digit. Version 5 can also close a channel. It must not know what the channels mean.

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{BufMut, Bytes, BytesMut};
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use tinderbox_api::streams::{ExecOptions, Session};
use tokio::sync::mpsc;

use super::session::{self, ERROR, Inputs, RESIZE, STDERR, STDIN, STDOUT};

/// Subprotocols, the best first.
pub(super) const PROTOCOLS: [&str; 6] = [
    "v5.channel.k8s.io",
    "v4.channel.k8s.io",
    "v4.base64.channel.k8s.io",
    "base64.channel.k8s.io",
    "channel.k8s.io",
    "",
];
/// The message that closes the channel whose number follows (version 5).
const CLOSE: u8 = 255;
/// Messages on their way.
const QUEUE: usize = 16;

/// How channels are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Form {
    base64: bool,
    closes: bool,
}

impl Form {
    pub(super) fn of(protocol: &str) -> Self {
        Self { base64: protocol.contains("base64"), closes: protocol.starts_with("v5.") }
    }

    pub(super) fn encode(self, channel: u8, bytes: &[u8]) -> Message {
        if self.base64 {
            let mut text = char::from(b'0' + channel).to_string();
            BASE64.encode_string(bytes, &mut text);
            return Message::Text(text.into());
        }
        let mut framed = BytesMut::with_capacity(bytes.len() + 1);
        framed.put_u8(channel);
        framed.extend_from_slice(bytes);
        Message::Binary(framed.freeze())
    }

    /// The channel and bytes of a message; `None` for one that is neither.
    pub(super) fn decode(self, message: Message) -> Option<(u8, Bytes)> {
        match (self.base64, message) {
            (false, Message::Binary(mut bytes)) if !bytes.is_empty() => {
                let rest = bytes.split_off(1);
                Some((bytes[0], rest))
            }
            (true, Message::Text(text)) => {
                let (channel, rest) = text.as_str().split_at_checked(1)?;
                Some((channel.parse().ok()?, BASE64.decode(rest).ok()?.into()))
            }
            _ => None,
        }
    }
}

/// Carries a session over a websocket.
pub(super) async fn serve(socket: WebSocket, form: Form, session: Session, options: ExecOptions) {
    let (sink, stream) = socket.split();
    let (stdin, stdin_rx) = mpsc::channel(QUEUE);
    let (resize, resize_rx) = mpsc::channel(QUEUE);
    let (output, output_rx) = mpsc::channel(QUEUE);
    // A first, empty message tells the client that it is connected.
    let first = if options.stdout {
        STDOUT
    } else if options.stderr {
        STDERR
    } else {
        ERROR
    };
    let _ = output.send((first, Bytes::new())).await;
    let inputs = Inputs { stdin: stdin_rx, resize: resize_rx };
    let talk = async {
        tokio::join!(session::run(session, inputs, output), send(sink, form, output_rx));
    };
    tokio::select! {
        () = talk => {}
        // The client has gone; the process learns it by its closed streams.
        () = receive(stream, form, stdin, resize) => {}
    }
}

async fn send(mut sink: SplitSink<WebSocket, Message>, form: Form, mut output: mpsc::Receiver<(u8, Bytes)>) {
    while let Some((channel, bytes)) = output.recv().await {
        if sink.send(form.encode(channel, &bytes)).await.is_err() {
            return;
        }
    }
    let normal = CloseFrame { code: 1000, reason: "".into() };
    let _ = sink.send(Message::Close(Some(normal))).await;
}

/// Sorts messages to their channels until the client goes.
async fn receive(
    mut stream: SplitStream<WebSocket>,
    form: Form,
    stdin: mpsc::Sender<Bytes>,
    resize: mpsc::Sender<Bytes>,
) {
    let mut stdin = Some(stdin);
    while let Some(Ok(message)) = stream.next().await {
        let Some((channel, bytes)) = form.decode(message) else {
            continue;
        };
        match channel {
            STDIN => {
                if let Some(stdin) = &stdin {
                    // Where nobody reads, nobody misses it.
                    let _ = stdin.send(bytes).await;
                }
            }
            RESIZE => {
                let _ = resize.send(bytes).await;
            }
            CLOSE if form.closes && bytes.first() == Some(&STDIN) => stdin = None,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_and_reads_both_forms() {
        let (binary, text) = (Form::of("v4.channel.k8s.io"), Form::of("v4.base64.channel.k8s.io"));
        let message = binary.encode(1, b"out");
        assert_eq!(message, Message::Binary(Bytes::from_static(b"\x01out")));
        assert_eq!(binary.decode(message), Some((1, Bytes::from_static(b"out"))));
        let message = text.encode(1, b"out");
        assert_eq!(message, Message::Text("1b3V0".into()));
        assert_eq!(text.decode(message), Some((1, Bytes::from_static(b"out"))));
        assert_eq!(binary.decode(Message::Binary(Bytes::new())), None);
        assert_eq!(text.decode(Message::Text("x".into())), None);
        assert!(Form::of("v5.channel.k8s.io").closes && !Form::of("v4.channel.k8s.io").closes);
    }
}
