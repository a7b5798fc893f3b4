//! Listeners: TLS with optional client certificates, HTTP/1.1 and 2 on one port, upgrades, and an end that lets requests
//! finish. It must not read requests.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use crate::ApiServer;
use crate::auth::User;
use crate::auth::pki::user_of_certificate;

/// How long a client may take for the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long requests may go on after the end was asked for.
const FAREWELL: Duration = Duration::from_secs(2);

/// Who the client of a connection is by its certificate, as a request extension.
#[derive(Debug, Clone)]
pub(crate) struct Peer(pub(crate) User);

impl ApiServer {
    /// Serves a listener until [`ApiServer::shutdown`]; returns when its connections have ended.
    pub async fn serve(&self, listener: TcpListener, tls: Arc<rustls::ServerConfig>) {
        let acceptor = TlsAcceptor::from(tls);
        let connections = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                () = self.token().cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    connections.spawn(self.clone().connection(stream, acceptor.clone()));
                }
                Err(error) => {
                    // Out of file descriptors, or a connection that ended before it was taken.
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
        drop(listener);
        connections.close();
        connections.wait().await;
    }

    async fn connection(self, stream: TcpStream, acceptor: TlsAcceptor) {
        // Small answers must not wait for the acknowledgement of earlier ones.
        let _ = stream.set_nodelay(true);
        let stream = match timeout(HANDSHAKE, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => return tracing::debug!("a TLS handshake took too long"),
        };
        let chain = stream.get_ref().1.peer_certificates();
        let peer = chain.and_then(|chain| chain.first()).and_then(|first| user_of_certificate(first)).map(Peer);
        self.http(stream, peer).await;
    }

    async fn http<S>(self, stream: S, peer: Option<Peer>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let server = self.clone();
        let service = service_fn(move |request: http::Request<Incoming>| {
            let server = server.clone();
            let mut request = request.map(Body::new);
            if let Some(peer) = &peer {
                request.extensions_mut().insert(peer.clone());
            }
            async move { Ok::<_, Infallible>(server.handle(request, None).await) }
        });
        let mut builder = Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new());
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(250)
            .keep_alive_interval(Some(Duration::from_secs(30)));
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => Some(ended),
            () = self.token().cancelled() => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                connection.as_mut().graceful_shutdown();
                match timeout(FAREWELL, connection).await {
                    Ok(ended) => ended,
                    Err(_) => return tracing::debug!("a connection did not end in time"),
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended");
        }
    }
}
