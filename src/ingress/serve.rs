//! The port: HTTP/1.1 and HTTP/2, with and without TLS, all on one listener. What a request means is decided elsewhere.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::World;
use crate::forward::{Entry, answer};
use crate::tls;

/// How long a client may take to say its first word, and for a handshake.
const FIRST: Duration = Duration::from_secs(30);
/// After a failed accept (no descriptors left …).
const PAUSE: Duration = Duration::from_millis(20);
/// With what a TLS handshake begins, and no request does.
const HANDSHAKE: u8 = 0x16;

/// Serves until cancelled; connections end with it.
pub(crate) async fn run(listener: TcpListener, world: Arc<World>, token: CancellationToken) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = token.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => {
                let (world, token) = (world.clone(), token.clone());
                connections.spawn(async move { token.run_until_cancelled(connection(world, stream, from)).await });
            }
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    connections.close();
    connections.wait().await;
}

async fn connection(world: Arc<World>, stream: TcpStream, client: SocketAddr) {
    // Only latency is lost without it.
    let _ = stream.set_nodelay(true);
    let mut first = [0];
    match timeout(FIRST, stream.peek(&mut first)).await {
        Ok(Ok(1)) => {}
        _ => return,
    }
    if first != [HANDSHAKE] {
        return http(world, stream, Entry { client, secure: false }).await;
    }
    match timeout(FIRST, tls::accept(&world, stream)).await {
        Ok(Ok(stream)) => http(world, stream, Entry { client, secure: true }).await,
        Ok(Err(error)) => tracing::debug!(error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
}

async fn http(world: Arc<World>, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, entry: Entry) {
    let service = service_fn(move |request| {
        let world = world.clone();
        async move { Ok::<_, Infallible>(answer(world, entry, request).await) }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new());
    builder.http2().timer(TokioTimer::new());
    if let Err(error) = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await {
        tracing::debug!(error, "a connection ended");
    }
}
