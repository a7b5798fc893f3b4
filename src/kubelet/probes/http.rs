//! The least HTTP that a probe needs: one GET, and the status code of its answer. Certificates are not checked, as
//! Kubernetes does not for probes.

use std::io;
use std::net::SocketAddrV4;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Longest status line that is read.
const LONGEST_LINE: usize = 4 << 10;

/// Asks for `path` and returns the status code.
pub(super) async fn get(
    stream: std::net::TcpStream,
    secure: bool,
    address: SocketAddrV4,
    path: &str,
    headers: &[(&str, &str)],
) -> io::Result<u16> {
    let stream = TcpStream::from_std(stream)?;
    let request = request(address, path, headers);
    if !secure {
        return ask(stream, &request).await;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Arc::new(Anyone(provider.clone()));
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    let name = ServerName::IpAddress((*address.ip()).into());
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    ask(stream, &request).await
}

fn request(address: SocketAddrV4, path: &str, headers: &[(&str, &str)]) -> String {
    let given = |name: &str| headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
    let mut text = format!("GET {path} HTTP/1.1\r\n");
    let own = [
        ("Host", address.to_string()),
        ("User-Agent", "kube-probe/1.34".to_owned()),
        ("Accept", "*/*".to_owned()),
        ("Connection", "close".to_owned()),
    ];
    for (name, value) in own.iter().filter(|(name, _)| !given(name)) {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text
}

async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> io::Result<u16> {
    stream.write_all(request.as_bytes()).await?;
    let mut line = Vec::new();
    while !line.contains(&b'\n') && line.len() < LONGEST_LINE {
        if stream.read_buf(&mut line).await? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "EOF"));
        }
    }
    status_code(&line).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "malformed HTTP response"))
}

fn status_code(line: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(line.split(|byte| *byte == b'\r').next()?).ok()?;
    let mut words = line.split_whitespace();
    words.next().filter(|word| word.starts_with("HTTP/1."))?;
    words.next()?.parse().ok()
}

/// Accepts every certificate.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_request_one_code() {
        let (near, mut far) = tokio::io::duplex(1024);
        let text = request("10.244.0.2:80".parse().unwrap(), "/ok", &[("X-A", "b"), ("host", "h")]);
        let asking = tokio::spawn(async move { ask(near, &text).await });
        let mut seen = vec![0; 512];
        let length = far.read(&mut seen).await.unwrap();
        let seen = String::from_utf8_lossy(&seen[..length]).into_owned();
        assert!(seen.starts_with("GET /ok HTTP/1.1\r\n") && seen.contains("host: h\r\n") && !seen.contains("Host: "));
        far.write_all(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").await.unwrap();
        assert_eq!(asking.await.unwrap().unwrap(), 503);
        assert_eq!(status_code(b"SSH-2.0\r\n"), None);
    }
}
