//! Serves a registry's text at `/metrics`, as every exporter does.

use std::convert::Infallible;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tinderbox_client::metrics::{Registry, text};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The form of the text.
const FORM: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers until `token` is cancelled.
pub async fn serve(listener: TcpListener, registry: Registry, token: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = token.cancelled() => return,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "a scrape is not accepted");
                continue;
            }
        };
        let (registry, token) = (registry.clone(), token.clone());
        tokio::spawn(async move {
            let answering = service_fn(move |request| {
                let answer = answer(&request, &registry);
                async move { Ok::<_, Infallible>(answer) }
            });
            let connection = hyper::server::conn::http1::Builder::new();
            tokio::select! {
                ended = connection.serve_connection(TokioIo::new(stream), answering) => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a scrape broke off");
                    }
                }
                () = token.cancelled() => {}
            }
        });
    }
}

fn answer(request: &Request<Incoming>, registry: &Registry) -> Response<Full<Bytes>> {
    let known = request.uri().path() == "/metrics" && request.method() == Method::GET;
    let (status, form, body) = match known {
        true => (StatusCode::OK, FORM, text(registry)),
        false => (StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "metrics are at /metrics\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(form));
    response
}

#[cfg(test)]
mod tests {
    use tinderbox_client::metrics::{counter, counters, look};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn the_text_is_at_its_path_and_nowhere_else() {
        let registry = Registry::new();
        look(&registry, "a", || {
            let mut family = counters("a_total", "A.");
            counter(&mut family, &[], 1.0);
            vec![family]
        });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let (address, token) = (listener.local_addr().unwrap(), CancellationToken::new());
        let serving = tokio::spawn(serve(listener, registry, token.clone()));
        let ask = async |path: &str| {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let found = ask("/metrics").await;
        assert!(found.starts_with("HTTP/1.1 200 ") && found.ends_with("\na_total 1\n"), "{found}");
        assert!(found.contains("content-type: text/plain; version=0.0.4"), "{found}");
        assert!(ask("/").await.starts_with("HTTP/1.1 404 "));
        token.cancel();
        serving.await.unwrap();
    }
}
