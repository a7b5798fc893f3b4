//! Request paths and queries, read as Kubernetes reads them. Pure text: it must not know which resources exist.
//! Upstream rule: k8s.io/apiserver `pkg/endpoints/request/requestinfo.go`.

/// What a path addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// A collection, an object or a subresource.
    Resource(ResourcePath),
    /// Anything else: discovery, health, documents.
    Other(String),
}

/// A path below `/api/VERSION` or `/apis/GROUP/VERSION`; absent parts are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ResourcePath {
    /// API group; empty for core.
    pub(crate) group: String,
    /// Version.
    pub(crate) version: String,
    /// Namespace of the request; that of the object itself for `namespaces`.
    pub(crate) namespace: String,
    /// Plural resource name.
    pub(crate) resource: String,
    /// Object name.
    pub(crate) name: String,
    /// Subresource name.
    pub(crate) subresource: String,
    /// What follows the subresource (`proxy`).
    pub(crate) rest: String,
}

impl Route {
    /// Reads a path.
    pub(crate) fn parse(path: &str) -> Self {
        let parts: Vec<String> =
            path.split('/').filter(|part| !part.is_empty()).map(|part| decode(part, false)).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (group, version, tail) = match parts.as_slice() {
            ["api", version, tail @ ..] if !tail.is_empty() => ("", *version, tail),
            ["apis", group, version, tail @ ..] if !tail.is_empty() => (*group, *version, tail),
            _ => return Self::Other(path.to_owned()),
        };
        let mut found =
            ResourcePath { group: group.to_owned(), version: version.to_owned(), ..ResourcePath::default() };
        let tail = match tail {
            ["namespaces", namespace, tail @ ..] => {
                found.namespace = (*namespace).to_owned();
                if matches!(tail, [] | ["status" | "finalize", ..]) {
                    found.resource = "namespaces".to_owned();
                    found.name = (*namespace).to_owned();
                    found.subresource = tail.first().map_or_else(String::new, |s| (*s).to_owned());
                    return Self::Resource(found);
                }
                tail
            }
            tail => tail,
        };
        let mut tail = tail.iter();
        let mut next = || tail.next().map_or_else(String::new, |part| (*part).to_owned());
        found.resource = next();
        found.name = next();
        found.subresource = next();
        found.rest = tail.copied().collect::<Vec<_>>().join("/");
        Self::Resource(found)
    }
}

/// The parameters of a query, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Reads a query string.
    pub(crate) fn parse(query: Option<&str>) -> Self {
        let pair = |pair: &str| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key, true), decode(value, true))
        };
        Self(query.unwrap_or_default().split('&').filter(|part| !part.is_empty()).map(pair).collect())
    }

    /// The first value of a parameter, if it is there and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).find(|value| !value.is_empty())
    }

    /// Every value of a parameter.
    pub(crate) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let name = name.to_owned();
        self.0.iter().filter(move |(key, _)| *key == name).map(|(_, value)| value.as_str())
    }

    /// Whether a parameter is there and is not `false` or `0`.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.all(name).next().is_some_and(|value| !matches!(value, "false" | "0" | "False" | "FALSE"))
    }
}

/// Undoes percent encoding; what is no valid escape stays as it is.
fn decode(text: &str, plus_is_space: bool) -> String {
    if !text.contains(['%', '+']) {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let escaped = (*byte == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match escaped {
            Some(value) => {
                out.push(value);
                at += 3;
            }
            None => {
                out.push(if plus_is_space && *byte == b'+' { b' ' } else { *byte });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(path: &str) -> [String; 7] {
        match Route::parse(path) {
            Route::Resource(r) => [r.group, r.version, r.namespace, r.resource, r.name, r.subresource, r.rest],
            Route::Other(path) => panic!("{path} is no resource"),
        }
    }

    #[test]
    fn reads_each_form() {
        for (path, parts) in [
            ("/api/v1/pods", ["", "v1", "", "pods", "", "", ""]),
            ("/api/v1/namespaces/a/pods/b/log", ["", "v1", "a", "pods", "b", "log", ""]),
            ("/api/v1/namespaces", ["", "v1", "", "namespaces", "", "", ""]),
            ("/api/v1/namespaces/a", ["", "v1", "a", "namespaces", "a", "", ""]),
            ("/api/v1/namespaces/a/finalize", ["", "v1", "a", "namespaces", "a", "finalize", ""]),
            ("/apis/apps/v1/namespaces/a/deployments/b/scale", ["apps", "v1", "a", "deployments", "b", "scale", ""]),
            (
                "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode",
                ["rbac.authorization.k8s.io", "v1", "", "clusterroles", "system:node", "", ""],
            ),
            ("/api/v1/namespaces/a/services/b:80/proxy/x/y", ["", "v1", "a", "services", "b:80", "proxy", "x/y"]),
        ] {
            assert_eq!(resource(path), parts.map(str::to_owned), "{path}");
        }
        for path in ["/", "/api", "/apis/apps/v1", "/api/v1/", "/healthz"] {
            assert!(matches!(Route::parse(path), Route::Other(_)), "{path}");
        }
    }

    #[test]
    fn reads_queries() {
        let params = Params::parse(Some("watch=1&labelSelector=a%3Db%2Cc+in+%28d%29&x=&f=false&c=a&c=b"));
        assert!(params.flag("watch") && !params.flag("f") && !params.flag("none"));
        assert_eq!(params.get("labelSelector"), Some("a=b,c in (d)"));
        assert_eq!(params.get("x"), None);
        assert_eq!(params.all("c").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(decode("100%", false), "100%");
    }
}
