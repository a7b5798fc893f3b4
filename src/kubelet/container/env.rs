//! The environment of a container: service links, `envFrom`, `env` with references and expansion, over the image's own.
//! Pure: the objects that it refers to are looked up through a function.
//! Upstream rule: k8s.io/kubernetes `pkg/kubelet/kubelet_pods.go`, `makeEnvironmentVariables`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, EnvVarSource, Pod};

use super::ConfigError;
use super::expand::expand;
use super::fields::{self, Facts};
use crate::objects::{Content, Key, Kind, Seen};

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What an environment is made from besides the container's spec.
pub(crate) struct Sources<'a> {
    pub(crate) facts: Facts<'a>,
    pub(crate) image: &'a [(String, String)],
    pub(crate) services: &'a [(String, String)],
    pub(crate) hostname: &'a str,
    /// `HOME`, unless the image or the container sets it.
    pub(crate) home: &'a str,
    pub(crate) objects: &'a dyn Fn(&Key) -> Seen,
}

/// The ConfigMaps and Secrets that a container's environment refers to.
pub(crate) fn references(pod: &Pod, container: &Container) -> Vec<Key> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let key = |kind, name: &str| Key::new(kind, namespace, name);
    let mut keys = Vec::new();
    for from in container.env_from.iter().flatten() {
        keys.extend(from.config_map_ref.as_ref().map(|r| key(Kind::ConfigMap, &r.name)));
        keys.extend(from.secret_ref.as_ref().map(|r| key(Kind::Secret, &r.name)));
    }
    for source in container.env.iter().flatten().filter_map(|e| e.value_from.as_ref()) {
        keys.extend(source.config_map_key_ref.as_ref().map(|r| key(Kind::ConfigMap, &r.name)));
        keys.extend(source.secret_key_ref.as_ref().map(|r| key(Kind::Secret, &r.name)));
    }
    keys
}

/// The whole environment, in a settled order.
pub(crate) fn environment(container: &Container, sources: &Sources<'_>) -> Result<Vec<(String, String)>, ConfigError> {
    let mut made: BTreeMap<String, String> = sources.services.iter().cloned().collect();
    made.extend(env_from(container, sources)?);
    for variable in container.env.iter().flatten() {
        let value = match (&variable.value, &variable.value_from) {
            (_, Some(source)) => match value_from(container, source, sources)? {
                Some(value) => value,
                None => continue,
            },
            (value, None) => {
                let lookup = |name: &str| made.get(name).cloned();
                expand(value.as_deref().unwrap_or_default(), &lookup)
            }
        };
        made.insert(variable.name.clone(), value);
    }
    let mut whole: Vec<(String, String)> = Vec::new();
    let base = [("PATH", DEFAULT_PATH), ("HOSTNAME", sources.hostname), ("HOME", sources.home)];
    let base = base.map(|(name, value)| (name.to_owned(), value.to_owned()));
    for (name, value) in base.into_iter().chain(sources.image.iter().cloned()).chain(made) {
        match whole.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = value,
            None => whole.push((name, value)),
        }
    }
    Ok(whole)
}

fn env_from(container: &Container, sources: &Sources<'_>) -> Result<BTreeMap<String, String>, ConfigError> {
    let namespace = sources.facts.pod.metadata.namespace.as_deref().unwrap_or_default();
    let mut made = BTreeMap::new();
    for from in container.env_from.iter().flatten() {
        let (kind, name, optional) = match (&from.config_map_ref, &from.secret_ref) {
            (Some(map), _) => (Kind::ConfigMap, &map.name, map.optional),
            (None, Some(secret)) => (Kind::Secret, &secret.name, secret.optional),
            (None, None) => continue,
        };
        let key = Key::new(kind, namespace, name);
        let Some(content) = find(&key, optional == Some(true), sources)? else {
            continue;
        };
        let prefix = from.prefix.as_deref().unwrap_or_default();
        for (name, value) in &content.data {
            let name = format!("{prefix}{name}");
            if is_variable(&name) {
                made.insert(name, String::from_utf8_lossy(value).into_owned());
            }
        }
    }
    Ok(made)
}

/// Kubernetes' relaxed rule: printable ASCII without `=`.
fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'=')
}

fn find(key: &Key, optional: bool, sources: &Sources<'_>) -> Result<Option<std::sync::Arc<Content>>, ConfigError> {
    match (sources.objects)(key) {
        Seen::Found(content) => Ok(Some(content)),
        Seen::Missing if optional => Ok(None),
        Seen::Missing => Err(ConfigError(format!("{} \"{}\" not found", key.kind.word(), key.name))),
        Seen::Unknown => {
            Err(ConfigError(format!("failed to sync {} cache: timed out waiting for the condition", key.kind.word())))
        }
    }
}

fn value_from(
    container: &Container,
    source: &EnvVarSource,
    sources: &Sources<'_>,
) -> Result<Option<String>, ConfigError> {
    if let Some(selector) = &source.field_ref {
        return fields::field(&sources.facts, selector).map(Some);
    }
    if let Some(selector) = &source.resource_field_ref {
        return fields::resource(&sources.facts, selector, Some(container)).map(Some);
    }
    let (kind, name, key, optional) = match (&source.config_map_key_ref, &source.secret_key_ref) {
        (Some(r), _) => (Kind::ConfigMap, &r.name, &r.key, r.optional),
        (None, Some(r)) => (Kind::Secret, &r.name, &r.key, r.optional),
        (None, None) => return Ok(None),
    };
    let namespace = sources.facts.pod.metadata.namespace.as_deref().unwrap_or_default();
    let optional = optional == Some(true);
    let Some(content) = find(&Key::new(kind, namespace, name), optional, sources)? else {
        return Ok(None);
    };
    match content.data.get(key) {
        Some(value) => Ok(Some(String::from_utf8_lossy(value).into_owned())),
        None if optional => Ok(None),
        None => Err(ConfigError(format!("couldn't find key {key} in {} {namespace}/{name}", kind.name()))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use serde_json::json;

    fn environment_of(container: serde_json::Value) -> Result<BTreeMap<String, String>, ConfigError> {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "n"}, "spec": {"containers": [container]}}))
        .unwrap();
        let objects = |key: &Key| {
            let data = match (key.kind, key.name.as_str()) {
                (Kind::ConfigMap, "conf") => json!({"A": "1", "b.c": "2"}),
                (Kind::Secret, "pass") => json!({"word": "geheim"}),
                _ => return Seen::Missing,
            };
            let data: BTreeMap<String, String> = serde_json::from_value(data).unwrap();
            let data = data.into_iter().map(|(k, v)| (k, v.into_bytes().into())).collect();
            Seen::Found(Arc::new(Content { data }))
        };
        let services = [("KUBERNETES_SERVICE_HOST".to_owned(), "10.96.0.1".to_owned())];
        let image = [("PATH".to_owned(), "/opt/bin".to_owned()), ("IMAGE".to_owned(), "i".to_owned())];
        let sources = Sources {
            facts: Facts { pod: &pod, pod_ip: Some("10.244.0.2"), host_ip: "h", node_cpu_millis: 1, node_memory: 1 },
            image: &image,
            services: &services,
            hostname: "p",
            home: "/",
            objects: &objects,
        };
        let container = &pod.spec.as_ref().unwrap().containers[0];
        environment(container, &sources).map(|list| list.into_iter().collect())
    }

    #[test]
    fn all_forms() {
        let env = environment_of(json!({"name": "c",
            "envFrom": [{"prefix": "P_", "configMapRef": {"name": "conf"}}, {"secretRef": {"name": "none", "optional": true}}],
            "env": [
                {"name": "API", "value": "https://$(KUBERNETES_SERVICE_HOST):$(PORT)"},
                {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {"name": "BOTH", "value": "$(IP)-$(P_A)"},
                {"name": "WORD", "valueFrom": {"secretKeyRef": {"name": "pass", "key": "word"}}},
                {"name": "NONE", "valueFrom": {"configMapKeyRef": {"name": "conf", "key": "none", "optional": true}}},
                {"name": "IMAGE", "value": "mine"}]}))
        .unwrap();
        let get = |name: &str| env.get(name).map(String::as_str);
        assert_eq!(get("API"), Some("https://10.96.0.1:$(PORT)"));
        assert_eq!(get("BOTH"), Some("10.244.0.2-1"));
        assert_eq!((get("P_b.c"), get("WORD"), get("NONE")), (Some("2"), Some("geheim"), None));
        assert_eq!((get("IMAGE"), get("PATH")), (Some("mine"), Some("/opt/bin")));
        assert_eq!((get("HOSTNAME"), get("HOME")), (Some("p"), Some("/")));
    }

    #[test]
    fn what_is_missing_is_named() {
        for (source, text) in [
            (json!({"configMapKeyRef": {"name": "x", "key": "k"}}), "configmap \"x\" not found"),
            (json!({"secretKeyRef": {"name": "x", "key": "k"}}), "secret \"x\" not found"),
            (json!({"configMapKeyRef": {"name": "conf", "key": "k"}}), "couldn't find key k in ConfigMap n/conf"),
        ] {
            let made = environment_of(json!({"name": "c", "env": [{"name": "A", "valueFrom": source}]}));
            assert_eq!(made.unwrap_err().to_string(), text);
        }
    }
}
