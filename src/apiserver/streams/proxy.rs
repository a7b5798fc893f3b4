//! `proxy`: an HTTP request passed on to an address of the pods' network, and the answer brought back with its redirects
//! leading through the same way. It must not decide whose address that is.
//! Upstream rule: k8s.io/apimachinery `pkg/util/proxy`; links inside pages are left as they are, and connections are not
//! upgraded.

use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::header::{
    AUTHORIZATION, CONNECTION, HOST, HeaderName, LOCATION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, Uri, Version};
use hyper_util::rt::TokioIo;
use tinderbox_api::streams::{Connection, PodStreams};

use crate::error::ApiError;

/// How long an address may take to answer at all.
const CONNECT: Duration = Duration::from_secs(30);
/// What is between two neighbours alone.
const HOP_BY_HOP: [HeaderName; 7] =
    [CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];

/// Passes a request on; `rest` is its path there, without the first slash, and `prefix` the way to it here.
///
/// # Errors
/// ServiceUnavailable when nobody answers.
pub async fn proxy(
    node: &Arc<dyn PodStreams>,
    address: SocketAddrV4,
    (prefix, rest): (&str, &str),
    parts: &Parts,
    body: Body,
) -> Result<Response<Body>, ApiError> {
    let request = outward(address, prefix, rest, parts, body)?;
    let connection = tokio::time::timeout(CONNECT, node.dial(address));
    let connection = connection.await.map_err(|_| unreachable(&"timed out"))?.map_err(|error| unreachable(&error))?;
    let response = exchange(connection, request).await.map_err(|error| unreachable(&error))?;
    Ok(inward(address, prefix, response.map(Body::new)))
}

async fn exchange(
    connection: Box<dyn Connection>,
    request: Request<Body>,
) -> hyper::Result<Response<hyper::body::Incoming>> {
    let (mut sender, driver) = hyper::client::conn::http1::handshake(TokioIo::new(connection)).await?;
    // It ends with the answer's body, or with the one who reads it.
    tokio::spawn(driver);
    sender.send_request(request).await
}

fn unreachable(why: &dyn std::fmt::Display) -> ApiError {
    ApiError::unavailable(format!("error trying to reach service: {why}"))
}

/// The request as the pod gets it: without the caller's credentials.
fn outward(
    address: SocketAddrV4,
    prefix: &str,
    rest: &str,
    parts: &Parts,
    body: Body,
) -> Result<Request<Body>, ApiError> {
    let query = parts.uri.query().map_or_else(String::new, |query| format!("?{query}"));
    let uri: Uri =
        format!("/{rest}{query}").parse().map_err(|error| ApiError::bad_request(format!("invalid path: {error}")))?;
    let mut request = Request::new(body);
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = uri;
    *request.version_mut() = Version::HTTP_11;
    let mut headers = without_hops(&parts.headers);
    headers.remove(AUTHORIZATION);
    let asked = headers.get(HOST).cloned().or_else(|| text(parts.uri.authority()?.as_str()));
    let told = [
        (HOST, text(&address.to_string())),
        (HeaderName::from_static("x-forwarded-host"), asked),
        (HeaderName::from_static("x-forwarded-proto"), text("https")),
        (HeaderName::from_static("x-forwarded-uri"), text(&format!("{prefix}/{rest}"))),
    ];
    for (name, value) in told {
        if let Some(value) = value {
            headers.insert(name, value);
        }
    }
    *request.headers_mut() = headers;
    Ok(request)
}

/// The answer as the client gets it.
fn inward(address: SocketAddrV4, prefix: &str, mut response: Response<Body>) -> Response<Body> {
    *response.version_mut() = Version::default();
    let mut headers = without_hops(response.headers());
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    if let Some(value) = location.and_then(|location| redirected(location, address, prefix)) {
        headers.insert(LOCATION, value);
    }
    *response.headers_mut() = headers;
    response
}

/// Where a redirect leads from outside, if it stays with the one who sent it.
fn redirected(location: &str, address: SocketAddrV4, prefix: &str) -> Option<HeaderValue> {
    let own = format!("http://{address}");
    let path = location.strip_prefix(&own).unwrap_or(location);
    let stays = path.starts_with('/') && !path.starts_with("//") && !path.starts_with(prefix);
    stays.then(|| text(&format!("{prefix}{path}"))).flatten()
}

fn without_hops(headers: &HeaderMap) -> HeaderMap {
    let mut kept = headers.clone();
    let named: Vec<String> =
        headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok()).map(str::to_owned).collect();
    for name in named.iter().flat_map(|list| list.split(',')) {
        kept.remove(name.trim());
    }
    for name in &HOP_BY_HOP {
        kept.remove(name);
    }
    kept
}

fn text(value: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFIX: &str = "/api/v1/namespaces/n/pods/p:80/proxy";

    fn address() -> SocketAddrV4 {
        "10.244.0.2:80".parse().unwrap()
    }

    #[test]
    fn credentials_and_hops_stay_here() {
        let request = Request::builder()
            .uri(format!("{PREFIX}/a%20b?c=d"))
            .header("authorization", "Bearer secret")
            .header("connection", "close, x-own")
            .header("x-own", "1")
            .header("accept", "text/html")
            .header("host", "127.0.0.1:6443");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let sent = outward(address(), PREFIX, "a%20b", &parts, Body::empty()).unwrap();
        assert_eq!(sent.uri(), "/a%20b?c=d");
        let mut headers: Vec<_> =
            sent.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        headers.sort();
        assert_eq!(
            headers,
            [
                "accept: text/html".to_owned(),
                "host: 10.244.0.2:80".to_owned(),
                "x-forwarded-host: 127.0.0.1:6443".to_owned(),
                "x-forwarded-proto: https".to_owned(),
                format!("x-forwarded-uri: {PREFIX}/a%20b"),
            ]
        );
    }

    #[test]
    fn redirects_lead_through_here() {
        for (location, wanted) in [
            ("/jobs/", Some(format!("{PREFIX}/jobs/"))),
            ("http://10.244.0.2:80/jobs/?a=b", Some(format!("{PREFIX}/jobs/?a=b"))),
            ("http://other.example/jobs", None),
            ("//other.example/jobs", None),
            ("next", None),
        ] {
            let found = redirected(location, address(), PREFIX);
            assert_eq!(found.map(|value| value.to_str().unwrap().to_owned()), wanted, "{location}");
        }
    }
}
