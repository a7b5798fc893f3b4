//! Requests to the API, counted: a client that tells of each what it asked and what came.

use std::time::{Duration, Instant};

use http::Request;
use kube::Client;
use kube::client::Body;

/// A request that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Its method.
    pub method: http::Method,
    /// Its path, without the query.
    pub path: String,
    /// Its query.
    pub query: String,
    /// The status of the answer.
    pub code: u16,
    /// How long the answer took to begin.
    pub took: Duration,
}

impl Answered {
    /// The namespace that is asked for; nothing for all and for what is in none.
    #[must_use]
    pub fn namespace(&self) -> &str {
        let mut parts = self.path.split('/').filter(|part| !part.is_empty());
        parts.find(|part| *part == "namespaces").and(parts.next()).unwrap_or_default()
    }

    /// Verb and kind, as in `List` and `pods`.
    /// Upstream rule: `ParseRequest` in `util/k8s/parse.go` of argoproj/argo-workflows.
    #[must_use]
    pub fn verb_and_kind(&self) -> (&'static str, String) {
        let parts: Vec<&str> = self.path.split('/').filter(|part| !part.is_empty()).collect();
        let start = if parts.first() == Some(&"api") { 2 } else { 3 };
        let mut rest = parts.get(start..).unwrap_or_default();
        if rest.first() == Some(&"namespaces") && rest.len() > 2 {
            rest = &rest[2..];
        }
        let kind = rest.first().map_or("Unknown", |kind| kind).to_owned();
        let named = rest.len() > 1;
        let verb = match self.method.as_str() {
            "GET" if self.query.split('&').any(|pair| matches!(pair, "watch=true" | "watch=1")) => "Watch",
            "GET" if named => "Get",
            "GET" => "List",
            "POST" => "Create",
            "DELETE" if named => "Delete",
            "DELETE" => "DeleteCollection",
            "PATCH" => "Patch",
            "PUT" => "Update",
            _ => "Unknown",
        };
        (verb, kind)
    }
}

/// The same client, with each answer told to `told`.
#[must_use]
pub fn counted(client: &Client, told: impl Fn(&Answered) + Clone + Send + Sync + 'static) -> Client {
    let namespace = client.default_namespace().to_owned();
    let inner = client.clone();
    let service = tower::service_fn(move |request: Request<Body>| {
        let (inner, told) = (inner.clone(), told.clone());
        async move {
            let (method, uri, since) = (request.method().clone(), request.uri().clone(), Instant::now());
            let answer = inner.send(request).await?;
            told(&Answered {
                method,
                path: uri.path().to_owned(),
                query: uri.query().unwrap_or_default().to_owned(),
                code: answer.status().as_u16(),
                took: since.elapsed(),
            });
            Ok::<_, kube::Error>(answer)
        }
    });
    Client::new(service, namespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_tell_what_is_asked() {
        for (method, path, query, wanted) in [
            ("GET", "/api/v1/pods", "watch=true&resourceVersion=1", ("Watch", "pods")),
            ("GET", "/api/v1/namespaces/a/pods", "limit=500", ("List", "pods")),
            ("GET", "/api/v1/namespaces/a", "", ("Get", "namespaces")),
            ("PATCH", "/apis/argoproj.io/v1alpha1/namespaces/a/workflows/w", "", ("Patch", "workflows")),
            ("POST", "/apis/argoproj.io/v1alpha1/namespaces/a/workflows", "", ("Create", "workflows")),
            ("DELETE", "/api/v1/namespaces/a/pods/p", "", ("Delete", "pods")),
            ("DELETE", "/api/v1/namespaces/a/pods", "", ("DeleteCollection", "pods")),
            ("GET", "/version", "", ("List", "Unknown")),
        ] {
            let asked = Answered {
                method: method.parse().unwrap(),
                path: path.to_owned(),
                query: query.to_owned(),
                code: 200,
                took: Duration::ZERO,
            };
            let (verb, kind) = asked.verb_and_kind();
            assert_eq!((verb, kind.as_str()), wanted, "{method} {path}");
            let namespace = if path.contains("/namespaces/a") { "a" } else { "" };
            assert_eq!(asked.namespace(), namespace, "{path}");
        }
    }
}
