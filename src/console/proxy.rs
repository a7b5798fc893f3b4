//! Pages and answers of pods, through the API server's proxy: what works for the caller there works here. It only reads.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_TYPE, LOCATION, REFERRER_POLICY};
use http::{HeaderValue, Request, StatusCode};
use kube::Client;
use serde_json::Value;

use crate::gate::Target;

/// How long a pod may take to answer a question of the console's own.
const PATIENCE: Duration = Duration::from_secs(3);

fn path(target: Target<'_>, rest: &str) -> String {
    let Target { namespace, pod, port } = target;
    format!("/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy/{rest}")
}

/// What answers questions.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Server<'a> {
    /// A port of a pod.
    Pod(Target<'a>),
    /// A Service of a namespace, with its port.
    Service(&'a str, &'a str),
}

/// What a pod or a Service answers as JSON.
pub(crate) async fn json(client: &Client, server: Server<'_>, rest: &str) -> Result<Value, String> {
    let path = match server {
        Server::Pod(target) => path(target, rest),
        Server::Service(namespace, service) => {
            format!("/api/v1/namespaces/{namespace}/services/{service}/proxy/{rest}")
        }
    };
    let request = Request::get(path).body(Vec::new()).map_err(|error| error.to_string())?;
    match tokio::time::timeout(PATIENCE, client.request::<Value>(request)).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err("no answer".to_owned()),
    }
}

/// A page of a pod as it comes; `context` is the path under which it lies here, which it is told.
pub(crate) async fn page(client: &Client, target: Target<'_>, rest: &str, context: &str) -> Response {
    let built = Request::get(path(target, rest)).header("x-forwarded-context", context);
    let built = built.body(kube::client::Body::empty()).map_err(|error| error.to_string());
    let sent = match built {
        Ok(request) => client.send(request).await.map_err(|error| error.to_string()),
        Err(error) => Err(error),
    };
    let answer = match sent {
        Ok(answer) => answer,
        Err(why) => {
            let mut response = Response::new(Body::from(format!("{} does not show this page: {why}\n", target.pod)));
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            return response;
        }
    };
    let (parts, body) = answer.into_parts();
    let mut response = Response::new(Body::new(body));
    *response.status_mut() = parts.status;
    for name in [CONTENT_TYPE, LOCATION] {
        if let Some(value) = parts.headers.get(&name) {
            let inside = path(target, "");
            // Redirects lead to where the API server has the page.
            let moved = value.to_str().ok().and_then(|text| text.split_once(&inside)).map(|(_, rest)| rest.to_owned());
            let moved = moved.and_then(|rest| HeaderValue::from_str(&format!("{context}/{rest}")).ok());
            response.headers_mut().insert(name, moved.unwrap_or_else(|| value.clone()));
        }
    }
    response.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}
