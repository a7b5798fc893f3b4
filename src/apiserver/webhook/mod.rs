//! Calls of webhooks: servers outside, or behind services of the cluster, that are asked about objects. What they are asked,
//! and what an answer means, is not its business.
//! Upstream rule: k8s.io/apiserver `pkg/util/webhook` and k8s.io/client-go `rest/request.go`, whose words errors have.

mod tls;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, USER_AGENT};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt, Limited};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tinderbox_api::streams::Connection;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::{ApiServer, codec, endpoints};

/// How long a webhook may take that names no time.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);
/// The largest answer that is read.
const ANSWER_LIMIT: usize = 32 * 1024 * 1024;
const PORT: u16 = 443;

/// Where a webhook is, read from a `clientConfig`.
struct Target {
    /// Whom it is asked by name; with the port that clients are shown.
    host: String,
    port: u16,
    /// Path and query.
    path: String,
    /// The service behind which it is, as namespace and name; a server outside otherwise.
    service: Option<(String, String)>,
    /// Certificates that it is trusted by (PEM); those that this machine trusts, where there is none.
    ca: Vec<u8>,
}

/// Sends `body` to a webhook and brings its answer back. The error says why it could not, in a client's words.
pub(crate) async fn post(api: &ApiServer, config: &Value, timeout: Duration, body: &Value) -> Result<Value, String> {
    let target = Target::read(config)?;
    let seconds = timeout.as_secs().max(1);
    let separator = if target.path.contains('?') { '&' } else { '?' };
    let path = format!("{}{separator}timeout={seconds}s", target.path);
    let url = format!("https://{}{path}", target.authority());
    let asked = tokio::time::timeout(timeout, ask(api, &target, &path, body)).await;
    match asked {
        Ok(answer) => answer.map_err(|error| match error {
            Failure::Answered(text) => text,
            Failure::Unreachable(text) => format!("Post \"{url}\": {text}"),
        }),
        Err(_) => Err(format!("Post \"{url}\": context deadline exceeded")),
    }
}

/// Why there is no answer.
enum Failure {
    /// Nobody was reached.
    Unreachable(String),
    /// Somebody was, and said no, or nothing that is understood.
    Answered(String),
}

fn unreachable(error: impl std::fmt::Display) -> Failure {
    Failure::Unreachable(error.to_string())
}

impl Target {
    fn read(config: &Value) -> Result<Self, String> {
        let ca = config["caBundle"].as_str().unwrap_or_default();
        let ca = STANDARD.decode(ca).map_err(|error| format!("the caBundle is not base64: {error}"))?;
        let service = &config["service"];
        if service.is_object() {
            let text = |field: &str| service[field].as_str().unwrap_or_default().to_owned();
            let (namespace, name) = (text("namespace"), text("name"));
            let port = service["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or(PORT);
            let path = format!("/{}", text("path").trim_start_matches('/'));
            return Ok(Self {
                host: format!("{name}.{namespace}.svc"),
                port,
                path,
                service: Some((namespace, name)),
                ca,
            });
        }
        let Some(url) = config["url"].as_str() else {
            return Err("webhook configuration must have either service or URL".to_owned());
        };
        let uri: Uri = url.parse().map_err(|error| format!("Unparsable URL: {error}"))?;
        let host = uri.host().ok_or_else(|| "Unparsable URL: it has no host".to_owned())?;
        let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
        Ok(Self { host: host.to_owned(), port: uri.port_u16().unwrap_or(PORT), path, service: None, ca })
    }

    fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The first of its addresses that answers.
    async fn connect(&self, api: &ApiServer) -> Result<Box<dyn Connection>, Failure> {
        let Some((namespace, name)) = &self.service else {
            let host = self.host.trim_start_matches('[').trim_end_matches(']');
            let stream = TcpStream::connect((host, self.port)).await;
            let stream = stream.map_err(|error| unreachable(format!("dial tcp {}: {error}", self.authority())))?;
            return Ok(Box::new(stream));
        };
        let addresses = endpoints::of_service(api, namespace, name, &self.port.to_string())
            .map_err(|error| unreachable(missing(error, name)))?;
        let node = api.streams().ok_or_else(|| unreachable("no node of this cluster runs pods"))?;
        let mut last = unreachable("no address");
        for address in addresses {
            match node.dial(address).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = unreachable(error),
            }
        }
        Err(last)
    }
}

/// Upstream looks services up in a cache, which has shorter words for what is not in it.
fn missing(error: crate::error::ApiError, name: &str) -> String {
    if error.code == 404 { format!("service \"{name}\" not found") } else { error.message }
}

async fn ask(api: &ApiServer, target: &Target, path: &str, body: &Value) -> Result<Value, Failure> {
    let config = tls::config(&target.ca).map_err(unreachable)?;
    let connection = target.connect(api).await?;
    let name = ServerName::try_from(target.host.trim_matches(['[', ']']).to_owned()).map_err(unreachable)?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, connection).await;
    let stream = stream.map_err(|error| unreachable(tls::words(&error, &target.host)))?;
    let (mut sender, driver) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(unreachable)?;
    // It ends with the answer's body, or with the one who reads it.
    tokio::spawn(driver);
    let mut bytes = Vec::with_capacity(4096);
    codec::write(&mut bytes, body);
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(HOST, target.authority())
        .header(USER_AGENT, "kube-apiserver-admission")
        .header(ACCEPT, "application/json, */*")
        .header(CONTENT_TYPE, "application/json")
        .body(Body::from(bytes))
        .map_err(unreachable)?;
    let response = sender.send_request(request).await.map_err(unreachable)?;
    let code = response.status().as_u16();
    let limited = Limited::new(response.into_body(), ANSWER_LIMIT).collect().await;
    let bytes = limited.map_err(unreachable)?.to_bytes();
    if !(200..=206).contains(&code) {
        return Err(Failure::Answered(refusal(code, &bytes)));
    }
    serde_json::from_slice(&bytes)
        .map_err(|error| Failure::Answered(format!("couldn't get version/kind; json parse error: {error}")))
}

/// What a client makes of an answer that is no success.
fn refusal(code: u16, body: &[u8]) -> String {
    let status: Option<Value> = serde_json::from_slice(body).ok();
    if let Some(message) = status.as_ref().filter(|one| one["kind"] == "Status").and_then(|one| one["message"].as_str())
    {
        return message.to_owned();
    }
    match code {
        400 => "the server rejected our request for an unknown reason".to_owned(),
        401 => "the server has asked for the client to provide credentials".to_owned(),
        403 => String::from_utf8_lossy(body).trim().to_owned(),
        404 => "the server could not find the requested resource".to_owned(),
        405 => "the server does not allow this method on the requested resource".to_owned(),
        503 => "the server is currently unable to handle the request".to_owned(),
        500.. => {
            let text = String::from_utf8_lossy(body);
            let shown: String = text.trim().chars().take(2048).collect();
            let shown = if shown.is_empty() { "unknown".to_owned() } else { shown };
            format!("an error on the server ({shown:?}) has prevented the request from succeeding")
        }
        _ => format!("the server responded with the status code {code} but did not return more information"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_where_a_webhook_is() {
        for (config, authority, path) in [
            (json!({"service": {"namespace": "n", "name": "s"}}), "s.n.svc:443", "/"),
            (json!({"service": {"namespace": "n", "name": "s", "port": 9443, "path": "a/b"}}), "s.n.svc:9443", "/a/b"),
            (json!({"url": "https://127.0.0.1:8443/v?x=y"}), "127.0.0.1:8443", "/v?x=y"),
            (json!({"url": "https://hooks.example"}), "hooks.example:443", "/"),
        ] {
            let target = Target::read(&config).unwrap();
            assert_eq!((target.authority(), target.path.as_str()), (authority.to_owned(), path), "{config}");
        }
        assert!(Target::read(&json!({})).is_err_and(|text| text.contains("either service or URL")));
    }

    #[test]
    fn tells_what_was_answered() {
        assert_eq!(refusal(404, b"404 page not found"), "the server could not find the requested resource");
        assert_eq!(
            refusal(500, b"boom\n"),
            "an error on the server (\"boom\") has prevented the request from succeeding"
        );
        assert_eq!(refusal(409, br#"{"kind": "Status", "message": "no"}"#), "no");
    }
}
