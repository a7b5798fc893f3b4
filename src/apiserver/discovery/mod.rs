//! Paths that are about the server and not about objects: what it serves, its version, its health.
//! It must not know how resources behave.

mod groups;

use axum::body::Body;
use bytes::Bytes;
use http::header::{ACCEPT, ETAG, HeaderValue, IF_NONE_MATCH};
use http::request::Parts;
use http::{Method, Response};
use serde_json::json;

use crate::error::ApiError;
use crate::path::Params;
use crate::registry::Snapshot;
use crate::{ApiServer, VERSION, codec, openapi, respond};

/// Answers a request for a path that is no resource.
pub(crate) fn serve(server: &ApiServer, path: &str, parts: &Parts) -> Result<Response<Body>, ApiError> {
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        return Err(ApiError::method_not_allowed());
    }
    let resources = server.registry().snapshot();
    let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let aggregated = || groups::wants_aggregated(&parts.headers, ACCEPT);
    let document = match segments.as_slice() {
        [] => groups::paths(&resources),
        ["api"] if aggregated() => return Ok(groups::aggregated(&resources, true)),
        ["apis"] if aggregated() => return Ok(groups::aggregated(&resources, false)),
        ["api"] => groups::core_versions(server.config()),
        ["apis"] => groups::group_list(&resources),
        ["api", version] => groups::resource_list(&resources, "", version)?,
        ["apis", group] => groups::group(&resources, group)?,
        ["apis", group, version] => groups::resource_list(&resources, group, version)?,
        // Upstream writes this one for people.
        ["version"] => return Ok(respond::respond(200, "application/json", format!("{:#}", version()))),
        ["metrics"] => {
            let text = server.metrics().text(&resources, server.store());
            return Ok(respond::respond(200, "text/plain; version=0.0.4; charset=utf-8", text));
        }
        ["openapi", "v2"] if wants_protobuf(parts) => return Ok(respond::respond(200, V2_PROTOBUF, v2_protobuf())),
        ["openapi", "v2"] => {
            let tag = openapi::tag(resources.all());
            return Ok(document(&tag, parts, || openapi::v2(&resources)));
        }
        ["openapi", "v3"] => openapi::v3_index(&resources),
        ["openapi", "v3", "api", version] => return of_version(&resources, "", version, parts),
        ["openapi", "v3", "apis", group, version] => return of_version(&resources, group, version, parts),
        [".well-known", "openid-configuration"] => server.config().tokens.openid_configuration(),
        ["openid", "v1", "jwks"] => server.config().tokens.key_set(),
        ["healthz" | "livez" | "readyz", rest @ ..] => {
            return Ok(health(segments[0], rest, &Params::parse(parts.uri.query())));
        }
        _ => return Err(ApiError::no_such_path()),
    };
    Ok(respond::json(200, &document))
}

/// The media type of version 2 that kubectl asks for, when version 3 does not know a kind.
const V2_ASKED: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
/// The same in the form that can be parsed.
const V2_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

fn wants_protobuf(parts: &Parts) -> bool {
    let accepted = parts.headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accepted.starts_with(V2_ASKED) || accepted.starts_with(V2_PROTOBUF)
}

/// The head of the document alone: every definition is in version 3, which whoever asks for this has read before.
fn v2_protobuf() -> Bytes {
    let mut info = Vec::new();
    for (tag, text) in [(0x0a, "Kubernetes"), (0x12, VERSION)] {
        info.extend([tag, u8::try_from(text.len()).unwrap_or_default()]);
        info.extend_from_slice(text.as_bytes());
    }
    let mut out = vec![0x0a, 3, b'2', b'.', b'0', 0x12, u8::try_from(info.len()).unwrap_or_default()];
    out.extend(info);
    out.into()
}

fn of_version(resources: &Snapshot, group: &str, version: &str, parts: &Parts) -> Result<Response<Body>, ApiError> {
    let all = resources.of(group, version);
    if all.is_empty() {
        return Err(ApiError::no_such_path());
    }
    Ok(document(&openapi::tag(&all), parts, || openapi::v3(resources, group, version).unwrap_or_default()))
}

/// A document that clients keep; who has it already gets its tag alone.
fn document(tag: &str, parts: &Parts, make: impl FnOnce() -> serde_json::Value) -> Response<Body> {
    let tag = format!("\"{tag}\"");
    let same = parts.headers.get(IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == tag.as_bytes());
    let mut response = if same {
        respond::respond(304, "application/json", Body::empty())
    } else {
        let mut bytes = Vec::new();
        codec::write(&mut bytes, &make());
        respond::respond(200, "application/json", Bytes::from(bytes))
    };
    if let Ok(value) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(ETAG, value);
    }
    response
}

fn version() -> serde_json::Value {
    let platform = match std::env::consts::ARCH {
        "x86_64" => "linux/amd64",
        "aarch64" => "linux/arm64",
        _ => "linux",
    };
    json!({
        "major": "1", "minor": "34", "gitVersion": VERSION, "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "rustc", "platform": platform,
        "emulationMajor": "1", "emulationMinor": "34", "minCompatibilityMajor": "1", "minCompatibilityMinor": "33",
    })
}

/// The server answers as soon as its objects are in place, so that each check has passed by then.
fn health(path: &str, check: &[&str], params: &Params) -> Response<Body> {
    const CHECKS: [&str; 3] = ["ping", "log", "store"];
    match check {
        [] if params.all("verbose").next().is_some() => {
            let mut text = String::new();
            for check in CHECKS {
                text.push_str("[+]");
                text.push_str(check);
                text.push_str(" ok\n");
            }
            text.push_str(path);
            text.push_str(" check passed\n");
            respond::text(200, text)
        }
        [] => respond::text(200, "ok"),
        [one] if CHECKS.contains(one) => respond::text(200, "ok"),
        _ => respond::text(404, "404 page not found\n"),
    }
}
