//! How a request leaves HTTP: by a websocket or by SPDY/3.1, and under which subprotocol. It must not know sessions'
//! insides.

use std::collections::HashMap;
use std::time::Duration;

use axum::body::Body;
use axum::extract::FromRequestParts as _;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http::header::{CONNECTION, HeaderName, UPGRADE};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tinderbox_api::streams::{ExecOptions, Session};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;

use super::channels::{self, Form, PROTOCOLS};
use super::session::{self, ERROR, Inputs, RESIZE, STDERR, STDIN, STDOUT};
use super::spdy::{self, Headers, Output, Stream};
use crate::error::ApiError;

const STREAM_PROTOCOL: HeaderName = HeaderName::from_static("x-stream-protocol-version");
/// The protocol of sessions over SPDY that we speak.
const SESSIONS: &str = "v4.channel.k8s.io";
/// How long a client may take to open the streams of a session.
const OPENING: Duration = Duration::from_secs(30);
/// Standard input on its way.
const QUEUE: usize = 16;
const TUNNEL: usize = 64 * 1024;

/// Whether the request asks for that protocol.
pub(super) fn wants(parts: &Parts, protocol: &str) -> bool {
    let asked = parts.headers.get(UPGRADE).and_then(|value| value.to_str().ok());
    asked.is_some_and(|asked| asked.eq_ignore_ascii_case(protocol))
}

/// The websocket that the request asks for, under the first of `protocols` that the client offers; with it the protocol.
/// An empty protocol stands for a client that offers none.
pub(super) fn websocket(
    parts: &mut Parts,
    protocols: &[&'static str],
) -> Result<(WebSocketUpgrade, &'static str), ApiError> {
    // axum takes websockets by GET alone, as their standard has it; nothing in this future waits.
    let upgrade = futures::FutureExt::now_or_never(WebSocketUpgrade::from_request_parts(parts, &()));
    let mut upgrade = match upgrade {
        Some(Ok(upgrade)) => upgrade,
        Some(Err(error)) => return Err(ApiError::bad_request(error.to_string())),
        None => return Err(ApiError::internal("the websocket upgrade did not come at once")),
    };
    let offered: Vec<String> =
        upgrade.requested_protocols().filter_map(|value| value.to_str().ok()).map(str::to_owned).collect();
    let chosen = protocols.iter().copied().find(|protocol| {
        if protocol.is_empty() { offered.is_empty() } else { offered.iter().any(|one| one == protocol) }
    });
    let Some(chosen) = chosen else {
        return Err(ApiError::bad_request(format!(
            "unable to upgrade: the client offers the subprotocols {offered:?}, the server speaks {protocols:?}"
        )));
    };
    if !chosen.is_empty() {
        upgrade.set_selected_protocol(HeaderValue::from_static(chosen));
    }
    Ok((upgrade.max_message_size(16 << 20), chosen))
}

/// A SPDY connection that a request asks for.
pub(super) struct SpdyUpgrade {
    on_upgrade: OnUpgrade,
    protocol: &'static str,
}

impl SpdyUpgrade {
    /// Answers the request, and gives the connection's streams to `serve`.
    pub(super) fn serve<F, R>(self, serve: F) -> Response<Body>
    where
        F: FnOnce(mpsc::Receiver<Stream>) -> R + Send + 'static,
        R: Future<Output = ()> + Send,
    {
        tokio::spawn(async move {
            match self.on_upgrade.await {
                Ok(upgraded) => serve(spdy::serve(TokioIo::new(upgraded))).await,
                Err(error) => tracing::debug!(%error, "an upgrade to SPDY failed"),
            }
        });
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("SPDY/3.1"));
        headers.insert(STREAM_PROTOCOL, HeaderValue::from_static(self.protocol));
        response
    }
}

/// The SPDY connection that the request asks for, if the client speaks `protocol` on it.
pub(super) fn spdy(parts: &mut Parts, protocol: &'static str) -> Result<SpdyUpgrade, ApiError> {
    let offered = parts.headers.get_all(STREAM_PROTOCOL).iter();
    let mut offered = offered.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).peekable();
    if offered.peek().is_some() && !offered.any(|one| one.trim() == protocol) {
        return Err(ApiError::bad_request(format!(
            "unable to upgrade: unable to negotiate protocol: the server speaks {protocol}"
        )));
    }
    let on_upgrade = parts
        .extensions
        .remove::<OnUpgrade>()
        .ok_or_else(|| ApiError::bad_request("the connection cannot be upgraded"))?;
    Ok(SpdyUpgrade { on_upgrade, protocol })
}

/// The bytes of a websocket's messages, as one stream.
pub(super) fn tunnel(socket: WebSocket) -> DuplexStream {
    let (ours, theirs) = tokio::io::duplex(TUNNEL);
    tokio::spawn(async move {
        let (mut sink, mut stream) = socket.split();
        let (mut read, mut write) = tokio::io::split(ours);
        let inward = async {
            while let Some(Ok(message)) = stream.next().await {
                if let Message::Binary(bytes) = message
                    && write.write_all(&bytes).await.is_err()
                {
                    break;
                }
            }
            let _ = write.shutdown().await;
        };
        let outward = async {
            let mut buffer = vec![0; 32 * 1024];
            while let Ok(size @ 1..) = read.read(&mut buffer).await {
                let message = Message::Binary(Bytes::copy_from_slice(&buffer[..size]));
                if sink.send(message).await.is_err() {
                    return;
                }
            }
            let _ = sink.send(Message::Close(None)).await;
        };
        tokio::join!(inward, outward);
    });
    theirs
}

/// How a session will be carried.
pub(super) enum SessionUpgrade {
    /// By a websocket.
    Websocket(WebSocketUpgrade, Form),
    /// By SPDY.
    Spdy(SpdyUpgrade),
}

/// The upgrade that a request for a session asks for.
pub(super) fn sessions(parts: &mut Parts) -> Result<SessionUpgrade, ApiError> {
    if wants(parts, "SPDY/3.1") {
        return spdy(parts, SESSIONS).map(SessionUpgrade::Spdy);
    }
    if wants(parts, "websocket") {
        let (upgrade, protocol) = websocket(parts, &PROTOCOLS)?;
        return Ok(SessionUpgrade::Websocket(upgrade, Form::of(protocol)));
    }
    Err(ApiError::bad_request("Upgrade request required"))
}

impl SessionUpgrade {
    /// Answers the request, and carries the session in the background.
    pub(super) fn serve(self, session: Session, options: &ExecOptions) -> Response<Body> {
        let options = options.clone();
        match self {
            Self::Websocket(upgrade, form) => {
                upgrade.on_upgrade(move |socket| channels::serve(socket, form, session, options))
            }
            Self::Spdy(upgrade) => upgrade.serve(move |streams| over_spdy(streams, session, options)),
        }
    }
}

/// Carries a session over SPDY: a stream for each channel.
pub(super) async fn over_spdy(mut streams: mpsc::Receiver<Stream>, session: Session, options: ExecOptions) {
    let Ok(Some(opened)) = tokio::time::timeout(OPENING, open(&mut streams, &options)).await else {
        return tracing::debug!("a client did not open the streams of its session");
    };
    let (mut outputs, mut inputs): (HashMap<u8, Output>, HashMap<u8, mpsc::Receiver<Bytes>>) = Default::default();
    for (channel, Stream { input, output, .. }) in opened {
        outputs.insert(channel, output);
        inputs.insert(channel, input);
    }
    // A channel that is not connected is one whose sender has gone.
    let mut input = |channel: u8| inputs.remove(&channel).unwrap_or_else(|| mpsc::channel(1).1);
    let inputs = Inputs { stdin: input(STDIN), resize: input(RESIZE) };
    let (output, mut pieces) = mpsc::channel::<(u8, Bytes)>(QUEUE);
    let send = async {
        while let Some((channel, bytes)) = pieces.recv().await {
            if let Some(to) = outputs.get(&channel)
                && to.send(bytes).await.is_err()
            {
                return;
            }
        }
        for (_, output) in outputs.drain() {
            let _ = output.finish().await;
        }
    };
    let gone = async { while streams.recv().await.is_some() {} };
    let talk = async {
        tokio::join!(session::run(session, inputs, output), send);
    };
    tokio::select! {
        () = talk => {}
        () = gone => {}
    }
}

/// The streams of a session by channel, once all of them are open.
async fn open(streams: &mut mpsc::Receiver<Stream>, options: &ExecOptions) -> Option<HashMap<u8, Stream>> {
    let wanted = [
        (true, ERROR),
        (options.stdin, STDIN),
        (options.stdout, STDOUT),
        (options.stderr, STDERR),
        (options.tty, RESIZE),
    ];
    let wanted: Vec<u8> = wanted.iter().filter(|(wanted, _)| *wanted).map(|(_, channel)| *channel).collect();
    let mut opened = HashMap::new();
    while !wanted.iter().all(|channel| opened.contains_key(channel)) {
        let stream = streams.recv().await?;
        if let Some(channel) = channel(&stream.headers) {
            opened.insert(channel, stream);
        }
    }
    Some(opened)
}

fn channel(headers: &Headers) -> Option<u8> {
    match headers.get("streamtype")?.as_str() {
        "error" => Some(ERROR),
        "stdin" => Some(STDIN),
        "stdout" => Some(STDOUT),
        "stderr" => Some(STDERR),
        "resize" => Some(RESIZE),
        _ => None,
    }
}
