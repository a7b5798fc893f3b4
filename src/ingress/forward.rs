//! One request: passed on to a pod, its answer brought back, and connections that change their protocol joined. Which pod is
//! decided elsewhere.

use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    CONNECTION, HOST, HeaderName, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING,
    UPGRADE,
};
use http::{HeaderMap, Request, Response, StatusCode, Uri, Version};
use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tinderbox_api::streams::Connection;

use crate::World;
use crate::backend::{self, Addresses};
use crate::page::page;

/// What answers are made of.
pub(crate) type Body = BoxBody<Bytes, hyper::Error>;

/// How long a pod may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// What is between two neighbours alone.
const HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Where a request came in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) client: SocketAddr,
    pub(crate) secure: bool,
}

/// Answers a request.
pub(crate) async fn answer(world: Arc<World>, entry: Entry, request: Request<Incoming>) -> Response<Body> {
    let host = host(&request).unwrap_or_default();
    let path = request.uri().path().to_owned();
    let headers = request.headers().clone();
    let routes = world.routes();
    let Some(backend) = routes.find(&host, &path) else {
        let why = format!("no Ingress has a rule for {host}{path}");
        return page(StatusCode::NOT_FOUND, &headers, &why, &routes.list(world.port));
    };
    let whose = format!("ingress {}/{}", backend.namespace, backend.ingress);
    let addresses = match backend::addresses(&world, backend) {
        Ok(addresses) => addresses,
        Err(why) => return page(StatusCode::SERVICE_UNAVAILABLE, &headers, &format!("{whose}: {why}"), &[]),
    };
    match pass_on(&world, entry, &host, &addresses, request).await {
        Ok(response) => response,
        Err(why) => page(StatusCode::BAD_GATEWAY, &headers, &format!("{whose}: {why}"), &[]),
    }
}

/// The host that was asked, with its port.
fn host(request: &Request<Incoming>) -> Option<String> {
    let authority = request.uri().authority().map(|authority| authority.as_str().to_owned());
    authority.or_else(|| Some(request.headers().get(HOST)?.to_str().ok()?.to_owned()))
}

async fn pass_on(
    world: &World,
    entry: Entry,
    host: &str,
    to: &Addresses,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, String> {
    let connection = connect(world, &to.addresses).await?;
    let upgrade = upgrade_of(request.headers());
    // The client's side of a connection that changes its protocol.
    let client = upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
    let sent = outward(entry, host, upgrade.clone(), to.h2c, request)?;
    let failed = |error: hyper::Error| format!("the pod did not answer: {error}");
    let mut response = if to.h2c {
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(connection));
        let (mut sender, driver) = handshake.await.map_err(failed)?;
        tokio::spawn(driver);
        sender.send_request(sent).await.map_err(failed)?
    } else {
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(connection));
        let (mut sender, driver) = handshake.await.map_err(failed)?;
        tokio::spawn(driver.with_upgrades());
        sender.send_request(sent).await.map_err(failed)?
    };
    let mut changed = None;
    if let (StatusCode::SWITCHING_PROTOCOLS, Some(client)) = (response.status(), client) {
        let pod = hyper::upgrade::on(&mut response);
        changed = upgrade_of(response.headers());
        tokio::spawn(join(client, pod));
    }
    let mut response = response.map(BodyExt::boxed);
    *response.version_mut() = Version::default();
    without_hops(response.headers_mut());
    if let Some(protocol) = changed {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
        response.headers_mut().insert(UPGRADE, protocol);
    }
    Ok(response)
}

/// The first that accepts.
async fn connect(world: &World, addresses: &[SocketAddrV4]) -> Result<Box<dyn Connection>, String> {
    let mut why = String::new();
    for address in addresses {
        match tokio::time::timeout(CONNECT, world.node.dial(*address)).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => why = error.to_string(),
            Err(_) => why = format!("{address} does not accept a connection"),
        }
    }
    Err(why)
}

async fn join(client: hyper::upgrade::OnUpgrade, pod: hyper::upgrade::OnUpgrade) {
    match tokio::try_join!(client, pod) {
        // Either side may end it in any way.
        Ok((client, pod)) => {
            let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(pod)).await;
        }
        Err(error) => tracing::debug!(%error, "a connection did not change its protocol"),
    }
}

/// The protocol that a message wants to change to.
fn upgrade_of(headers: &HeaderMap) -> Option<HeaderValue> {
    let wants = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let wants = wants.flat_map(|list| list.split(',')).any(|word| word.trim().eq_ignore_ascii_case("upgrade"));
    headers.get(UPGRADE).filter(|_| wants).cloned()
}

/// The request as the pod gets it.
fn outward<B>(
    entry: Entry,
    host: &str,
    upgrade: Option<HeaderValue>,
    h2c: bool,
    request: Request<B>,
) -> Result<Request<B>, String> {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let scheme = if entry.secure { "https" } else { "http" };
    let uri = if h2c { format!("http://{host}{path}") } else { path.to_owned() };
    parts.uri = uri.parse::<Uri>().map_err(|error| format!("{path} is no path: {error}"))?;
    parts.version = if h2c { Version::HTTP_2 } else { Version::HTTP_11 };
    let trailers = parts.headers.get(TE).is_some_and(|value| value == "trailers");
    without_hops(&mut parts.headers);
    if h2c {
        parts.headers.remove(HOST);
        if trailers {
            parts.headers.insert(TE, HeaderValue::from_static("trailers"));
        }
    } else {
        set(&mut parts.headers, HOST, host);
    }
    if let Some(protocol) = upgrade {
        parts.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        parts.headers.insert(UPGRADE, protocol);
    }
    let client = entry.client.ip().to_string();
    set(&mut parts.headers, HeaderName::from_static("x-real-ip"), &client);
    set(&mut parts.headers, HeaderName::from_static("x-forwarded-for"), &client);
    set(&mut parts.headers, HeaderName::from_static("x-forwarded-host"), host);
    set(&mut parts.headers, HeaderName::from_static("x-forwarded-proto"), scheme);
    Ok(Request::from_parts(parts, body))
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn without_hops(headers: &mut HeaderMap) {
    let named: Vec<String> =
        headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok()).map(str::to_owned).collect();
    for name in named.iter().flat_map(|list| list.split(',')) {
        headers.remove(name.trim());
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(h2c: bool, request: http::request::Builder) -> Vec<String> {
        let entry = Entry { client: "127.0.0.1:5".parse().expect("an address"), secure: true };
        let request = request.body(()).expect("a request");
        let upgrade = upgrade_of(request.headers());
        let request = outward(entry, "web.localhost:80", upgrade, h2c, request).expect("it can be sent");
        let mut lines = vec![format!("{} {}", request.method(), request.uri())];
        let named = |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {}", value.to_str().expect("text"));
        lines.extend(request.headers().iter().map(named));
        lines[1..].sort();
        lines
    }

    const TOLD: [&str; 4] = [
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-host: web.localhost:80",
        "x-forwarded-proto: https",
        "x-real-ip: 127.0.0.1",
    ];

    #[test]
    fn hops_stay_here_and_the_client_is_told_of() {
        let request = Request::builder().uri("https://web.localhost:80/a%20b?c=d").header("connection", "close, x-own");
        let request = request.header("x-own", "1").header("x-forwarded-for", "1.2.3.4").header("cookie", "a=b");
        let wanted = [&["GET /a%20b?c=d", "cookie: a=b", "host: web.localhost:80"][..], &TOLD].concat();
        assert_eq!(sent(false, request), wanted);
        let request =
            Request::builder().uri("/").header("connection", "keep-alive, Upgrade").header("upgrade", "websocket");
        let wanted =
            [&["GET /", "connection: upgrade", "host: web.localhost:80", "upgrade: websocket"][..], &TOLD].concat();
        assert_eq!(sent(false, request), wanted);
        let request = Request::builder().uri("/x").header("te", "trailers").header("host", "h");
        assert_eq!(sent(true, request), [&["GET http://web.localhost:80/x", "te: trailers"][..], &TOLD].concat());
    }
}
