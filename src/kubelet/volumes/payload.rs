//! Which files a configMap, secret, projected or downwardAPI volume holds. Pure: objects are looked up through a function.

use k8s_openapi::api::core::v1::{
    DownwardAPIVolumeFile, KeyToPath, ServiceAccountTokenProjection, Volume, VolumeProjection,
};

use super::atomic::{Files, ProjectedFile, is_inside};
use super::tokens::Tokens;
use crate::container::fields::{self, Facts};
use crate::objects::{Key, Kind, Seen};

const DEFAULT_MODE: u32 = 0o644;

/// Whether the volume's files are written by the node.
pub(super) fn is_projected(volume: &Volume) -> bool {
    volume.config_map.is_some()
        || volume.secret.is_some()
        || volume.projected.is_some()
        || volume.downward_api.is_some()
}

/// The tokens that a volume asks for.
pub(super) fn token_sources(volume: &Volume) -> Vec<&ServiceAccountTokenProjection> {
    let sources = volume.projected.iter().flat_map(|p| p.sources.iter().flatten());
    sources.filter_map(|source| source.service_account_token.as_ref()).collect()
}

struct Making<'a> {
    facts: &'a Facts<'a>,
    look_up: &'a dyn Fn(&Key) -> Seen,
    tokens: &'a Tokens,
    mode: u32,
    files: Files,
}

/// The files of `volume`.
pub(super) fn payload(
    volume: &Volume,
    facts: &Facts<'_>,
    look_up: &dyn Fn(&Key) -> Seen,
    tokens: &Tokens,
) -> Result<Files, String> {
    let mode = |mode: Option<i32>| mode.and_then(|m| u32::try_from(m).ok()).unwrap_or(DEFAULT_MODE);
    let mut making = Making { facts, look_up, tokens, mode: DEFAULT_MODE, files: Files::new() };
    if let Some(map) = &volume.config_map {
        making.mode = mode(map.default_mode);
        making.object(Kind::ConfigMap, &map.name, map.items.as_deref(), map.optional)?;
    } else if let Some(secret) = &volume.secret {
        making.mode = mode(secret.default_mode);
        let name = secret.secret_name.as_deref().unwrap_or_default();
        making.object(Kind::Secret, name, secret.items.as_deref(), secret.optional)?;
    } else if let Some(downward) = &volume.downward_api {
        making.mode = mode(downward.default_mode);
        making.downward(downward.items.as_deref())?;
    } else if let Some(projected) = &volume.projected {
        making.mode = mode(projected.default_mode);
        for source in projected.sources.iter().flatten() {
            making.source(source)?;
        }
    }
    Ok(making.files)
}

impl Making<'_> {
    fn source(&mut self, source: &VolumeProjection) -> Result<(), String> {
        if let Some(map) = &source.config_map {
            self.object(Kind::ConfigMap, &map.name, map.items.as_deref(), map.optional)?;
        }
        if let Some(secret) = &source.secret {
            self.object(Kind::Secret, &secret.name, secret.items.as_deref(), secret.optional)?;
        }
        if let Some(downward) = &source.downward_api {
            self.downward(downward.items.as_deref())?;
        }
        if let Some(token) = &source.service_account_token {
            let content = self.tokens.get(token).ok_or("the token is not there yet")?;
            let file = ProjectedFile { content: content.clone(), mode: self.mode, private: true };
            self.add(&token.path, file)?;
        }
        if source.cluster_trust_bundle.is_some() || source.pod_certificate.is_some() {
            return Err("clusterTrustBundle and podCertificate sources are not supported by this node".into());
        }
        Ok(())
    }

    fn object(
        &mut self,
        kind: Kind,
        name: &str,
        items: Option<&[KeyToPath]>,
        optional: Option<bool>,
    ) -> Result<(), String> {
        let namespace = self.facts.pod.metadata.namespace.as_deref().unwrap_or_default();
        let optional = optional == Some(true);
        let content = match (self.look_up)(&Key::new(kind, namespace, name)) {
            Seen::Found(content) => content,
            Seen::Missing if optional => return Ok(()),
            Seen::Missing => return Err(format!("{} \"{name}\" not found", kind.word())),
            Seen::Unknown => {
                return Err(format!("failed to sync {} cache: timed out waiting for the condition", kind.word()));
            }
        };
        let plain = |content: &bytes::Bytes, mode| ProjectedFile { content: content.clone(), mode, private: false };
        let Some(items) = items.filter(|items| !items.is_empty()) else {
            for (path, value) in &content.data {
                self.add(path, plain(value, self.mode))?;
            }
            return Ok(());
        };
        for item in items {
            let mode = item.mode.and_then(|m| u32::try_from(m).ok()).unwrap_or(self.mode);
            match content.data.get(&item.key) {
                Some(value) => self.add(&item.path, plain(value, mode))?,
                None if optional => {}
                None => {
                    let word = match kind {
                        Kind::ConfigMap => "config",
                        Kind::Secret => "secret",
                    };
                    return Err(format!("references non-existent {word} key: {}", item.key));
                }
            }
        }
        Ok(())
    }

    fn downward(&mut self, items: Option<&[DownwardAPIVolumeFile]>) -> Result<(), String> {
        for item in items.into_iter().flatten() {
            let value = match (&item.field_ref, &item.resource_field_ref) {
                (Some(selector), _) => fields::field(self.facts, selector),
                (None, Some(selector)) => fields::resource(self.facts, selector, None),
                (None, None) => continue,
            };
            let file = ProjectedFile {
                content: value.map_err(|error| error.to_string())?.into(),
                mode: item.mode.and_then(|m| u32::try_from(m).ok()).unwrap_or(self.mode),
                private: false,
            };
            self.add(&item.path, file)?;
        }
        Ok(())
    }

    fn add(&mut self, path: &str, file: ProjectedFile) -> Result<(), String> {
        if !is_inside(path) {
            return Err(format!("the path {path:?} leads out of the volume"));
        }
        self.files.insert(path.to_owned(), file);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::objects::Content;
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::{Value, json};

    fn files(volume: Value) -> Result<Vec<(String, String, u32)>, String> {
        let pod: Pod =
            serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "n", "labels": {"a": "b"}}})).unwrap();
        let facts = Facts { pod: &pod, pod_ip: None, host_ip: "h", node_cpu_millis: 1, node_memory: 1 };
        let look_up = |key: &Key| match key.name.as_str() {
            "conf" => {
                let data = [("a", "1"), ("b", "2")].map(|(k, v)| (k.to_owned(), v.into()));
                Seen::Found(Arc::new(Content { data: data.into() }))
            }
            _ => Seen::Missing,
        };
        let mut volume = volume;
        volume["name"] = "v".into();
        let volume: Volume = serde_json::from_value(volume).unwrap();
        let files = payload(&volume, &facts, &look_up, &Tokens::default())?;
        let text = |f: &ProjectedFile| String::from_utf8(f.content.to_vec()).unwrap();
        Ok(files.iter().map(|(path, f)| (path.clone(), text(f), f.mode)).collect())
    }

    fn row(path: &str, text: &str, mode: u32) -> (String, String, u32) {
        (path.into(), text.into(), mode)
    }

    #[test]
    fn objects_items_modes() {
        let all = files(json!({"configMap": {"name": "conf", "defaultMode": 0o600}}));
        assert_eq!(all, Ok(vec![row("a", "1", 0o600), row("b", "2", 0o600)]));
        let some = files(json!({"configMap": {"name": "conf", "items": [{"key": "b", "path": "x/y", "mode": 0o400}]}}));
        assert_eq!(some, Ok(vec![row("x/y", "2", 0o400)]));
        let none = files(json!({"secret": {"secretName": "none"}}));
        assert_eq!(none, Err("secret \"none\" not found".into()));
        assert_eq!(files(json!({"secret": {"secretName": "none", "optional": true}})), Ok(vec![]));
        let key = files(json!({"configMap": {"name": "conf", "items": [{"key": "z", "path": "z"}]}}));
        assert_eq!(key, Err("references non-existent config key: z".into()));
        let out = files(json!({"configMap": {"name": "conf", "items": [{"key": "a", "path": "../z"}]}}));
        assert!(out.is_err());
    }

    #[test]
    fn projections_join() {
        let made = files(json!({"projected": {"sources": [
            {"configMap": {"name": "conf", "items": [{"key": "a", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}}]}}));
        assert_eq!(made, Ok(vec![row("ca.crt", "1", 0o644), row("labels", "a=\"b\"", 0o644)]));
    }
}
