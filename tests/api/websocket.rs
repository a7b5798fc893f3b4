//! Watches over a websocket, as the Java client of Spark opens them: HTTP/1.1, no subprotocol, a text per event.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::wire::Served;

async fn connect(served: &Served) -> TlsStream<TcpStream> {
    let file = |name: &str| served.folder.path().join(name);
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file("ca.crt")).unwrap()).unwrap();
    let chain = vec![CertificateDer::from_pem_file(file("admin.crt")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(file("admin.key")).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_client_auth_cert(chain, key).unwrap();
    let stream = TcpStream::connect(served.address.trim_start_matches("https://")).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

/// The next text message.
async fn message(stream: &mut TlsStream<TcpStream>) -> Value {
    assert_eq!(stream.read_u8().await.unwrap(), 0x81, "a whole text message");
    let length = match stream.read_u8().await.unwrap() {
        126 => u64::from(stream.read_u16().await.unwrap()),
        127 => stream.read_u64().await.unwrap(),
        short => u64::from(short),
    };
    let mut text = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut text).await.unwrap();
    serde_json::from_slice(&text).unwrap()
}

#[tokio::test]
async fn a_watch_comes_as_messages() {
    let served = Served::start().await;
    served.out(&["create", "configmap", "a"]).await;
    let mut stream = connect(&served).await;
    let request = "GET /api/v1/namespaces/default/configmaps?watch=true&fieldSelector=metadata.name%3Da HTTP/1.1\r\n\
        Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: https://localhost\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    assert!(head.starts_with("http/1.1 101") && head.contains("s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
    let added = message(&mut stream).await;
    assert_eq!((&added["type"], &added["object"]["metadata"]["name"]), (&json!("ADDED"), &json!("a")));
    served.out(&["label", "configmap", "a", "x=y"]).await;
    let changed = message(&mut stream).await;
    assert_eq!((&changed["type"], &changed["object"]["metadata"]["labels"]), (&json!("MODIFIED"), &json!({"x": "y"})));
    served.out(&["delete", "configmap", "a"]).await;
    assert_eq!(message(&mut stream).await["type"], "DELETED");
}
