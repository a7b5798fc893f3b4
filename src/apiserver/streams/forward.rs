//! `portforward`: over SPDY, direct or inside a websocket, a pair of streams for each connection; over a plain websocket
//! a pair of channels for each port. It must not know how a pod is reached.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http::Response;
use http::request::Parts;
use tinderbox_api::streams::{Connection, ContainerRef, PodStreams};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use super::channels::Form;
use super::spdy::{self, Stream};
use super::upgrade::{self, tunnel, wants};
use crate::error::ApiError;
use crate::path::Params;

/// The protocol on SPDY.
const PROTOCOL: &str = "portforward.k8s.io";
/// SPDY inside a websocket.
const TUNNELLED: &str = "SPDY/3.1+portforward.k8s.io";
/// Plain websockets.
const CHANNELS: [&str; 4] = ["v4.channel.k8s.io", "v4.base64.channel.k8s.io", "portforward.k8s.io", ""];
const QUEUE: usize = 16;
const PIECE: usize = 32 * 1024;

pub(super) fn serve(
    streams: Arc<dyn PodStreams>,
    pod: ContainerRef,
    parts: &mut Parts,
) -> Result<Response<Body>, ApiError> {
    if wants(parts, "SPDY/3.1") {
        let upgrade = upgrade::spdy(parts, PROTOCOL)?;
        return Ok(upgrade.serve(move |opened| pairs(opened, streams, pod)));
    }
    if !wants(parts, "websocket") {
        return Err(ApiError::bad_request("Upgrade request required"));
    }
    let ports = ports(&Params::parse(parts.uri.query()))?;
    let protocols: Vec<&'static str> = std::iter::once(TUNNELLED).chain(CHANNELS).collect();
    let (upgrade, protocol) = upgrade::websocket(parts, &protocols)?;
    if protocol == TUNNELLED {
        return Ok(upgrade.on_upgrade(move |socket| pairs(spdy::serve(tunnel(socket)), streams, pod)));
    }
    if ports.is_empty() {
        return Err(ApiError::bad_request("query parameter \"ports\" is required"));
    }
    let form = Form::of(protocol);
    Ok(upgrade.on_upgrade(move |socket| channels(socket, form, ports, streams, pod)))
}

/// The ports in the query, in all its forms: `ports=80&ports=81`, `ports=80,81`.
fn ports(params: &Params) -> Result<Vec<u16>, ApiError> {
    params
        .all("ports")
        .flat_map(|list| list.split(','))
        .map(|text| {
            let port = text.trim().parse().ok().filter(|port| *port > 0);
            port.ok_or_else(|| ApiError::bad_request(format!("invalid port {text:?} in query parameter \"ports\"")))
        })
        .collect()
}

/// Joins the streams of a SPDY connection to pairs, and forwards each.
pub(super) async fn pairs(mut opened: mpsc::Receiver<Stream>, streams: Arc<dyn PodStreams>, pod: ContainerRef) {
    let mut waiting: HashMap<String, Stream> = HashMap::new();
    while let Some(stream) = opened.recv().await {
        let header = |name: &str| stream.headers.get(name).cloned().unwrap_or_default();
        let kind = header("streamtype");
        // Old clients number their streams instead: the data stream follows its error stream.
        let request = match header("requestid") {
            none if none.is_empty() => header("port"),
            given => given,
        };
        let Some(other) = waiting.remove(&request) else {
            waiting.insert(request, stream);
            continue;
        };
        let (error, data) = if kind == "error" { (stream, other) } else { (other, stream) };
        tokio::spawn(forward(error, data, streams.clone(), pod.clone()));
    }
}

async fn forward(error: Stream, data: Stream, streams: Arc<dyn PodStreams>, pod: ContainerRef) {
    let port: Option<u16> = data.headers.get("port").and_then(|port| port.parse().ok()).filter(|port| *port > 0);
    let connection = match port {
        None => Err("the stream names no port".to_owned()),
        Some(port) => streams
            .port_forward(pod.clone(), port)
            .await
            .map_err(|error| format!("error forwarding port {port} to pod {}, uid : {error}", pod.uid)),
    };
    let Stream { mut input, output, .. } = data;
    match connection {
        Err(message) => {
            let _ = error.output.send(message.into()).await;
        }
        Ok(connection) => {
            let (mut read, mut write) = tokio::io::split(connection);
            let inward = async {
                while let Some(bytes) = input.recv().await {
                    if write.write_all(&bytes).await.is_err() || write.flush().await.is_err() {
                        break;
                    }
                }
                // The client has said all; the pod may still answer.
                let _ = write.shutdown().await;
                std::future::pending::<()>().await;
            };
            let outward = async {
                let mut buffer = vec![0; PIECE];
                while let Ok(size @ 1..) = read.read(&mut buffer).await {
                    if output.send(Bytes::copy_from_slice(&buffer[..size])).await.is_err() {
                        return;
                    }
                }
            };
            tokio::select! {
                () = inward => {}
                // The pod's end is the end; what the client still sends goes nowhere.
                () = outward => {}
                () = output.gone() => {}
            }
        }
    }
    let _ = output.finish().await;
    let _ = error.output.finish().await;
}

/// Forwards ports over the channels of a websocket: of each port, data and error.
async fn channels(socket: WebSocket, form: Form, ports: Vec<u16>, streams: Arc<dyn PodStreams>, pod: ContainerRef) {
    let (mut sink, mut stream) = socket.split();
    let (output, mut outgoing) = mpsc::channel::<(u8, Bytes)>(QUEUE);
    let mut inputs = Vec::new();
    let mut work = Vec::new();
    for (index, port) in ports.into_iter().enumerate() {
        let Ok(channel) = u8::try_from(index * 2) else { break };
        let (input, unread) = mpsc::channel(QUEUE);
        inputs.push(input);
        work.push(port_channel(channel, port, unread, output.clone(), streams.clone(), pod.clone()));
    }
    drop(output);
    let send = async {
        while let Some((channel, bytes)) = outgoing.recv().await {
            if sink.send(form.encode(channel, &bytes)).await.is_err() {
                return;
            }
        }
        let normal = CloseFrame { code: 1000, reason: "".into() };
        let _ = sink.send(Message::Close(Some(normal))).await;
    };
    let receive = async {
        while let Some(Ok(message)) = stream.next().await {
            if let Some((channel, bytes)) = form.decode(message)
                && channel % 2 == 0
                && let Some(input) = inputs.get(usize::from(channel / 2))
            {
                let _ = input.send(bytes).await;
            }
        }
    };
    tokio::select! {
        _ = async { tokio::join!(futures::future::join_all(work), send) } => {}
        () = receive => {}
    }
}

async fn port_channel(
    channel: u8,
    port: u16,
    mut input: mpsc::Receiver<Bytes>,
    output: mpsc::Sender<(u8, Bytes)>,
    streams: Arc<dyn PodStreams>,
    pod: ContainerRef,
) {
    // Each channel begins with its port.
    for channel in [channel, channel + 1] {
        let _ = output.send((channel, Bytes::copy_from_slice(&port.to_le_bytes()))).await;
    }
    let connection: Box<dyn Connection> = match streams.port_forward(pod, port).await {
        Ok(connection) => connection,
        Err(error) => {
            let _ = output.send((channel + 1, error.to_string().into())).await;
            return;
        }
    };
    let (mut read, mut write) = tokio::io::split(connection);
    let inward = async {
        while let Some(bytes) = input.recv().await {
            if write.write_all(&bytes).await.is_err() || write.flush().await.is_err() {
                break;
            }
        }
        std::future::pending::<()>().await;
    };
    let outward = async {
        let mut buffer = vec![0; PIECE];
        while let Ok(size @ 1..) = read.read(&mut buffer).await {
            if output.send((channel, Bytes::copy_from_slice(&buffer[..size]))).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = inward => {}
        () = outward => {}
    }
}
