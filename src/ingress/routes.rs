//! Which rule a request meets: hosts, paths, default backends and classes. Pure.
//! Upstream rule: the reference of `networking.k8s.io/v1` Ingress; a host of a rule comes before a wildcard, that before a rule
//! without host; then the longest path, an exact one before a prefix.

use std::cmp::Reverse;
use std::sync::Arc;

use k8s_openapi::api::networking::v1::{Ingress, IngressBackend, IngressClass};
use kube::ResourceExt;

use crate::CONTROLLER;

/// The annotation that named the class before there was a field.
const CLASS: &str = "kubernetes.io/ingress.class";
/// The domain whose names all lead to the machine itself.
const LOCALHOST: &str = ".localhost";

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Backend {
    pub(crate) ingress: String,
    pub(crate) namespace: String,
    /// The service and its port by name or number; `None` for what is no service.
    pub(crate) service: Option<(String, Port)>,
}

/// A port of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Port {
    Name(String),
    Number(i32),
}

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Number(number) => number.fmt(f),
        }
    }
}

#[derive(Debug)]
struct Rule {
    /// Empty for every host.
    host: String,
    /// `None` for what remains of the host.
    path: Option<String>,
    exact: bool,
    backend: Backend,
}

/// All rules that are served.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    rules: Vec<Rule>,
    /// Host and secret of certificates; the host is empty for all.
    certificates: Vec<(String, String, String)>,
}

/// Whether an Ingress is ours to serve: of our class, of none, or of one that this cluster does not define, as manifests for other
/// clusters name theirs.
pub(crate) fn is_ours(ingress: &Ingress, classes: &[Arc<IngressClass>]) -> bool {
    let field = ingress.spec.as_ref().and_then(|spec| spec.ingress_class_name.as_deref());
    let name = field.or_else(|| ingress.annotations().get(CLASS).map(String::as_str));
    let class = name.and_then(|name| classes.iter().find(|class| class.name_any() == name));
    let controller = class.and_then(|class| class.spec.as_ref()?.controller.as_deref());
    class.is_none() || controller == Some(CONTROLLER)
}

impl Routes {
    pub(crate) fn new(ingresses: &[Arc<Ingress>], classes: &[Arc<IngressClass>]) -> Self {
        let mut ours: Vec<_> = ingresses.iter().filter(|ingress| is_ours(ingress, classes)).collect();
        // Of two that want the same, the older one has it.
        ours.sort_by_key(|ingress| {
            (ingress.creation_timestamp().map(|time| time.0), ingress.namespace(), ingress.name_any())
        });
        let mut routes = Self::default();
        for ingress in ours {
            routes.add(ingress);
        }
        routes
    }

    fn add(&mut self, ingress: &Ingress) {
        let Some(spec) = &ingress.spec else { return };
        let backend = |backend: &IngressBackend| Backend {
            ingress: ingress.name_any(),
            namespace: ingress.namespace().unwrap_or_default(),
            service: backend.service.as_ref().map(|service| {
                let port = service.port.as_ref();
                let name = port.and_then(|port| port.name.clone()).map(Port::Name);
                let number = Port::Number(port.and_then(|port| port.number).unwrap_or_default());
                (service.name.clone(), name.unwrap_or(number))
            }),
        };
        let whole = |host: &str, to: &IngressBackend| Rule {
            host: host.to_lowercase(),
            path: None,
            exact: false,
            backend: backend(to),
        };
        for rule in spec.rules.iter().flatten() {
            let host = rule.host.as_deref().unwrap_or_default();
            for path in rule.http.iter().flat_map(|http| &http.paths) {
                self.rules.push(Rule {
                    host: host.to_lowercase(),
                    path: Some(path.path.clone().unwrap_or_else(|| "/".to_owned())),
                    exact: path.path_type == "Exact",
                    backend: backend(&path.backend),
                });
            }
            // What no path of the host takes.
            if let (false, Some(default)) = (host.is_empty(), &spec.default_backend) {
                self.rules.push(whole(host, default));
            }
        }
        self.rules.extend(spec.default_backend.as_ref().map(|default| whole("", default)));
        let namespace = ingress.namespace().unwrap_or_default();
        for tls in spec.tls.iter().flatten() {
            let Some(secret) = &tls.secret_name else { continue };
            let hosts = tls.hosts.clone().filter(|hosts| !hosts.is_empty()).unwrap_or_else(|| vec![String::new()]);
            let entries = hosts.into_iter().map(|host| (host.to_lowercase(), namespace.clone(), secret.clone()));
            self.certificates.extend(entries);
        }
    }

    /// Where a request for a host and path goes.
    pub(crate) fn find(&self, host: &str, path: &str) -> Option<&Backend> {
        let host = plain(host);
        let nearest = self.rules.iter().filter_map(|rule| nearness(&rule.host, &host)).max();
        // A host that a rule names is served by its rules alone.
        if let Some(nearest) = nearest.filter(|nearest| *nearest > 0) {
            return best(self.rules.iter().filter(|rule| nearness(&rule.host, &host) == Some(nearest)), path);
        }
        // The Ingress by its own name, whatever hosts it names.
        if let Some(short) = host.strip_suffix(LOCALHOST) {
            let (name, namespace) = short.split_once('.').map_or((short, None), |(name, rest)| (name, Some(rest)));
            let is_meant = |rule: &&Rule| {
                rule.backend.ingress == name && namespace.is_none_or(|namespace| rule.backend.namespace == namespace)
            };
            if let Some(first) = self.rules.iter().find(is_meant) {
                let same = |rule: &&Rule| is_meant(rule) && rule.backend.namespace == first.backend.namespace;
                return best(self.rules.iter().filter(same), path);
            }
        }
        best(self.rules.iter().filter(|rule| rule.host.is_empty()), path)
    }

    /// Namespace and name of the secret with the certificate of a host.
    pub(crate) fn certificate(&self, host: &str) -> Option<(&str, &str)> {
        let host = plain(host);
        let known = self.certificates.iter().filter_map(|entry| Some((nearness(&entry.0, &host)?, entry)));
        let (_, (_, namespace, secret)) = known.rev().max_by_key(|(near, _)| *near)?;
        Some((namespace, secret))
    }

    /// Every route as an address, and what it leads to.
    pub(crate) fn list(&self, port: u16) -> Vec<(String, String)> {
        let line = |rule: &Rule| {
            let Backend { ingress, namespace, service } = &rule.backend;
            let host = match rule.host.strip_prefix("*.") {
                None if rule.host.is_empty() => format!("{ingress}{LOCALHOST}"),
                None => rule.host.clone(),
                Some(rest) => format!("any.{rest}"),
            };
            let to = service.as_ref().map_or_else(
                || "no service".to_owned(),
                |(name, port)| format!("service {namespace}/{name} port {port}"),
            );
            let path = rule.path.as_deref().unwrap_or("/");
            (format!("http://{host}:{port}{path}"), format!("{to} (ingress {namespace}/{ingress})"))
        };
        self.rules.iter().map(line).collect()
    }
}

/// A host as rules name it: without port, in small letters.
fn plain(host: &str) -> String {
    let host = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    host.trim_end_matches('.').to_lowercase()
}

/// How well a rule's host fits: 2 by name, 1 by wildcard, 0 for any.
fn nearness(wanted: &str, host: &str) -> Option<u8> {
    if wanted.is_empty() {
        return Some(0);
    }
    if wanted == host {
        return Some(2);
    }
    let rest = wanted.strip_prefix("*.")?;
    // It stands for exactly one label.
    host.split_once('.').filter(|(first, others)| !first.is_empty() && *others == rest).map(|_| 1)
}

fn best<'a>(rules: impl Iterator<Item = &'a Rule>, path: &str) -> Option<&'a Backend> {
    let fitting = rules.filter(|rule| fits(rule, path));
    let rank = |rule: &&Rule| {
        let length = rule.path.as_ref().map_or(0, |path| path.trim_end_matches('/').len() + 1);
        Reverse((rule.path.is_some(), length, rule.exact))
    };
    // The first of equals.
    fitting.min_by_key(rank).map(|rule| &rule.backend)
}

fn fits(rule: &Rule, path: &str) -> bool {
    match &rule.path {
        None => true,
        Some(wanted) if rule.exact => wanted == path,
        Some(wanted) => {
            let wanted = wanted.trim_end_matches('/');
            path.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }
    }
}

#[cfg(test)]
mod tests;
