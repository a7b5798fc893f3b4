//! Proxy: who is meant by `pods/[SCHEME:]NAME[:PORT]/proxy` and `services/[SCHEME:]NAME[:PORT]/proxy`. The way there is not
//! its business.
//! Upstream rule: `ResourceLocation` of k8s.io/kubernetes `pkg/registry/core/pod` and `pkg/registry/core/service/storage`.

use std::net::SocketAddrV4;

use crate::call::Call;
use crate::error::ApiError;
use crate::object::text;
use crate::{endpoints, respond, streams};
use axum::body::Body;
use http::header::LOCATION;
use http::request::Parts;
use http::{HeaderValue, Method, Response};

/// Segments of a path up to and with `proxy`, counted with the nothing before the first slash.
const SEGMENTS: usize = 8;
/// The port of a pod that names none.
const HTTP: u16 = 80;

/// Passes the request on to a pod.
pub(crate) async fn proxy(call: &Call, parts: Parts, body: Body) -> Result<Response<Body>, ApiError> {
    let path = parts.uri.path().to_owned();
    let rest = path.splitn(SEGMENTS + 1, '/').nth(SEGMENTS);
    if rest.is_none() && matches!(parts.method, Method::GET | Method::HEAD) {
        return Ok(with_slash(&parts));
    }
    let rest = rest.unwrap_or_default();
    let prefix = path.strip_suffix(rest).unwrap_or(&path).trim_end_matches('/');
    let (name, port) = wanted(call)?;
    let address = if call.resource.is("", "pods") {
        of_pod(call, name, port)?
    } else {
        let found = endpoints::of_service(&call.api, &call.path.namespace, name, port)?;
        *found.first().ok_or_else(ApiError::no_such_path)?
    };
    let node = call.api.streams().ok_or_else(|| ApiError::unavailable("no node of this cluster runs pods"))?;
    streams::proxy(&node, address, (prefix, rest), &parts, body).await
}

/// Relative links of a page need the slash.
fn with_slash(parts: &Parts) -> Response<Body> {
    let query = parts.uri.query().map_or_else(String::new, |query| format!("?{query}"));
    let mut response = respond::text(301, "");
    if let Ok(value) = HeaderValue::from_str(&format!("{}/{query}", parts.uri.path())) {
        response.headers_mut().insert(LOCATION, value);
    }
    response
}

/// Name and port of `[SCHEME:]NAME[:PORT]`.
fn wanted(call: &Call) -> Result<(&str, &str), ApiError> {
    let given = call.path.name.as_str();
    let parts: Vec<&str> = given.split(':').collect();
    match parts.as_slice() {
        [name] if !name.is_empty() => Ok((name, "")),
        [name, port] | ["" | "http", name, port] if !name.is_empty() => Ok((name, port)),
        ["https", ..] => Err(ApiError::unavailable("error trying to reach service: TLS to pods is not spoken here")),
        _ => {
            let kind = call.resource.singular.as_ref();
            Err(ApiError::bad_request(format!("invalid {kind} request \"{given}\"")))
        }
    }
}

fn of_pod(call: &Call, name: &str, port: &str) -> Result<SocketAddrV4, ApiError> {
    let pod = endpoints::object(&call.api, "pods", &call.path.namespace, name)?;
    let declared = || {
        let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
        let mut ports = containers.filter_map(|container| container["ports"][0]["containerPort"].as_u64());
        ports.next().and_then(|port| u16::try_from(port).ok()).unwrap_or(HTTP)
    };
    let port = if port.is_empty() { declared() } else { number(call, port)? };
    endpoints::allowed(text(&pod, &["status", "podIP"]), port)
}

fn number(call: &Call, port: &str) -> Result<u16, ApiError> {
    let found = port.parse().ok().filter(|port| *port > 0);
    let given = &call.path.name;
    found.ok_or_else(|| ApiError::bad_request(format!("invalid pod request \"{given}\": port must be a number")))
}
