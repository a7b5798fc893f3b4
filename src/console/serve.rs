//! What the console answers to whom: nothing at all to those who are not let in. What is in an answer is decided elsewhere.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue, Method, Request, StatusCode};
use kube::Client;
use kube::api::{Api, DynamicObject};
use serde_json::{Value, json};
use tinderbox_client::discovery::served;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::gate::{Admitted, Gate, is_name};
use crate::hub::Hub;
use crate::spark::{Looking, Said};
use crate::{Config, act, assets, dashboards, feed, kinds, logs, proxy, tree};

/// Largest wish.
const WISH: usize = 64 * 1024;
/// What a browser may do with the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// One console.
pub(crate) struct Console {
    client: Client,
    config: Config,
    gate: Gate,
    hub: Arc<Hub>,
    said: Said,
    token: CancellationToken,
}

impl Console {
    pub(crate) fn new(
        port: u16,
        client: Client,
        config: Config,
        tracker: TaskTracker,
        token: CancellationToken,
    ) -> Self {
        let hub = Hub::new(client.clone(), config.namespace.clone(), tracker, token.clone());
        let gate = Gate::new(config.token.clone(), port);
        Self { client, config, gate, hub, said: Said::default(), token }
    }
}

/// Serves until cancelled; streams end with it.
pub(crate) async fn run(listener: TcpListener, console: Arc<Console>, token: CancellationToken) {
    let serving = Router::new().fallback(move |request| {
        let console = console.clone();
        async move { answer(&console, request).await }
    });
    let served = axum::serve(listener, serving);
    tokio::select! {
        served = served.into_future() => if let Err(error) = served {
            tracing::warn!(%error, "the console is not served any more");
        },
        () = token.cancelled() => {}
    }
}

async fn answer(console: &Arc<Console>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    match console.gate.admit(&parts.method, &path, &parts.headers) {
        None => nothing(),
        Some(Admitted::Foreign(target, rest)) => {
            let rest = parts.uri.query().map_or_else(|| rest.to_owned(), |query| format!("{rest}?{query}"));
            proxy::page(&console.client, target, &rest, &console.gate.context(target)).await
        }
        Some(Admitted::Console(rest)) => {
            let query = parts.uri.query().unwrap_or_default();
            let mut response = own(console, &parts.method, rest, query, body).await;
            let headers = response.headers_mut();
            for (name, value) in [
                (CONTENT_SECURITY_POLICY, POLICY),
                (X_CONTENT_TYPE_OPTIONS, "nosniff"),
                (REFERRER_POLICY, "no-referrer"),
                (CACHE_CONTROL, "no-store"),
                (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
                (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
            ] {
                headers.insert(name, HeaderValue::from_static(value));
            }
            response
        }
    }
}

/// What those get who are not let in.
fn nothing() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

async fn own(console: &Arc<Console>, method: &Method, rest: &str, query: &str, body: Body) -> Response {
    let parts: Vec<&str> = rest.split('/').collect();
    if *method == Method::POST {
        return match parts[..] {
            ["api", "act"] => wished(console, body).await,
            _ => nothing(),
        };
    }
    if let ["api", named @ ..] = &parts[..]
        && !named.iter().all(|part| part.split(',').all(is_name))
    {
        return nothing();
    }
    match parts[..] {
        ["api", "about"] => value(Ok(about(console))),
        ["api", "live", kinds] => {
            let kinds = kinds.split(',').filter_map(kinds::known).collect();
            let stream = feed::feed(&console.hub, kinds, console.token.clone());
            streamed("text/event-stream", Body::from_stream(stream))
        }
        ["api", "job", kind, namespace, name] => {
            let Console { client, gate, said, config, .. } = &**console;
            let looking = Looking { client, gate, said, ingress: config.ingress };
            value(looking.job(kind, namespace, name).await)
        }
        ["api", "object", kind, namespace, name] => value(object(console, kind, namespace, name).await),
        ["api", "tree", namespace, name] => {
            let found = object(console, "Application", namespace, name).await;
            value(found.map(|found| json!({"tree": tree::tree(&found, console.hub.board()), "object": found})))
        }
        ["api", "explain", "all"] => value(explain(console, None, None).await),
        ["api", "explain", kind, namespace, name] => {
            value(explain(console, Some(format!("{kind}/{name}")), Some(namespace.to_owned())).await)
        }
        ["api", "dashboards"] => value(dashboards::list()),
        ["api", "dashboards", uid] => match dashboards::text(uid) {
            Some(text) => streamed("application/json", Body::from(text)),
            None => nothing(),
        },
        ["api", "dashboards", uid, "data"] => {
            let Console { client, config, .. } = &**console;
            let (wish, now) = (dashboards::Wish::read(query), jiff::Timestamp::now());
            value(dashboards::data(client, &config.place, uid, &wish, now).await)
        }
        ["api", "log", namespace, pod, container, how] => {
            match logs::log(console.client.clone(), [namespace, pod, container], how).await {
                Ok(stream) => {
                    let ended = console.token.clone().cancelled_owned();
                    let stream = futures::StreamExt::take_until(stream, ended);
                    streamed("text/plain; charset=utf-8", Body::from_stream(stream))
                }
                Err(error) => value(Err(error.to_string())),
            }
        }
        [name] => match assets::file(name) {
            Some(file) => {
                // Whoever opens the page wants to know at once.
                drop(console.hub.look());
                file
            }
            None => nothing(),
        },
        _ => nothing(),
    }
}

fn about(console: &Console) -> Value {
    let Config { cluster, place, namespace, .. } = &console.config;
    json!({"cluster": cluster, "place": place, "namespace": namespace, "version": env!("CARGO_PKG_VERSION")})
}

async fn explain(console: &Console, what: Option<String>, namespace: Option<String>) -> Result<Value, String> {
    let namespace = namespace.or_else(|| console.config.namespace.clone());
    console.config.explain.explain(console.client.clone(), what, namespace).await
}

/// One object, without what the API keeps for itself.
async fn object(console: &Console, kind: &str, namespace: &str, name: &str) -> Result<Value, String> {
    let served = served(&console.client).await.map_err(|error| error.to_string())?;
    let found = kinds::any(&served, kind);
    let (resource, namespaced) = found.ok_or_else(|| format!("this cluster has no objects of kind {kind}"))?;
    let api: Api<DynamicObject> = match namespaced {
        true => Api::namespaced_with(console.client.clone(), namespace, &resource),
        false => Api::all_with(console.client.clone(), &resource),
    };
    let mut object = api.get(name).await.map_err(|error| error.to_string())?;
    object.metadata.managed_fields = None;
    if kind == "Secret" {
        for content in object.data["data"].as_object_mut().into_iter().flat_map(|data| data.values_mut()) {
            *content = Value::from("(left out)");
        }
    }
    serde_json::to_value(object).map_err(|error| error.to_string())
}

async fn wished(console: &Console, body: Body) -> Response {
    let read = async {
        let bytes = to_bytes(body, WISH).await.map_err(|error| error.to_string())?;
        let wish: act::Wish = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
        let made = act::act(&console.client, &wish, jiff::Timestamp::now()).await?;
        Ok(json!({"name": made}))
    };
    value(read.await)
}

/// An answer as JSON; what went wrong is said in words.
fn value(answer: Result<Value, String>) -> Response {
    let (status, value) = match answer {
        Ok(value) => (StatusCode::OK, value),
        Err(error) => (StatusCode::UNPROCESSABLE_ENTITY, json!({"error": error})),
    };
    let mut response = streamed("application/json", Body::from(value.to_string()));
    *response.status_mut() = status;
    response
}

fn streamed(kind: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
