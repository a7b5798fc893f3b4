//! Clients of the port of Ingresses: HTTP/1.1 by hand, HTTP/2 with and without TLS, and a websocket.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};

fn connect(port: u16) -> TcpStream {
    TcpStream::connect(("127.0.0.1", port)).expect("the cluster listens")
}

/// Status and body of an answer.
pub(super) fn ask(port: u16, method: &str, host: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = connect(port);
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all((head + body).as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{answer:?}"));
    (status, body.to_owned())
}

/// The body of a page, by HTTP/2 without TLS.
pub(super) fn ask_h2(port: u16, host: &str, path: &str) -> String {
    wait(async {
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.expect("the cluster listens");
        over_h2(stream, &format!("http://{host}{path}")).await
    })
}

/// The body of a page, by HTTP/2 with TLS, from a server with this certificate alone.
pub(super) fn ask_tls(port: u16, host: &str, path: &str, der: &[u8]) -> String {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from(der.to_vec())).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = builder.expect("a version").with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from(host.to_owned()).expect("a name");
    wait(async {
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.expect("the cluster listens");
        let stream =
            tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("a handshake");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        over_h2(stream, &format!("https://{host}{path}")).await
    })
}

async fn over_h2(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, url: &str) -> String {
    let (mut sender, driver) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("it speaks HTTP/2");
    tokio::spawn(driver);
    let request = http::Request::get(url).body(Empty::<Bytes>::new()).expect("a request");
    let answer = sender.send_request(request).await.expect("an answer");
    let body = answer.into_body().collect().await.expect("a body").to_bytes();
    String::from_utf8(body.to_vec()).expect("text")
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

/// An open websocket.
pub(super) struct Websocket(TcpStream);

/// Opens one.
pub(super) fn open_websocket(port: u16, host: &str, path: &str) -> Websocket {
    let mut stream = connect(port);
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("answered");
        answer.extend(byte);
    }
    let answer = String::from_utf8(answer).expect("text").to_lowercase();
    assert!(answer.starts_with("http/1.1 101 "), "{answer}");
    // The key of the standard's own example.
    assert!(answer.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"), "{answer}");
    Websocket(stream)
}

impl Websocket {
    /// Says a short text, and hears one.
    pub(super) fn say(&mut self, text: &str) -> String {
        let length = u8::try_from(text.len()).expect("short");
        let frame = [&[0x81, 0x80 | length, 0, 0, 0, 0], text.as_bytes()].concat();
        self.0.write_all(&frame).expect("sent");
        let mut head = [0; 2];
        self.0.read_exact(&mut head).expect("answered");
        let mut heard = vec![0; usize::from(head[1])];
        self.0.read_exact(&mut heard).expect("answered");
        String::from_utf8(heard).expect("text")
    }
}
