//! Who may pull what: pull secrets and docker's own configuration, read and matched as docker and the kubelet do it. Only a credential
//! helper is ever run.
//! Upstream rule: k8s.io/kubernetes `pkg/credentialprovider` (keyring, config).

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::image::name::Reference;

/// A helper may ask a vault, or even the user.
const HELPER: Duration = Duration::from_secs(20);
/// What docker calls its own registry in its configuration.
const HUB: &str = "https://index.docker.io/v1/";

/// What proves who asks.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Credential {
    /// A user's name and password.
    Password { user: String, password: String },
    /// A token that is exchanged for others.
    Refresh(String),
    /// A token that is sent as it is.
    Bearer(String),
}

/// Shows no secret.
impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Password { .. } => "a password",
            Self::Refresh(_) | Self::Bearer(_) => "a token",
        })
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
struct Auth {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default, rename = "identitytoken")]
    identity_token: String,
    #[serde(default, rename = "registrytoken")]
    registry_token: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    #[serde(default)]
    creds_store: String,
}

/// Credentials of a pod's pull secrets, in their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keyring(Vec<(String, Credential)>);

impl Keyring {
    /// Adds what a secret of type `kubernetes.io/dockerconfigjson` or `kubernetes.io/dockercfg` holds. False if it holds neither.
    pub(crate) fn add_secret<B: AsRef<[u8]>>(&mut self, data: &BTreeMap<String, B>) -> bool {
        let auths = match (data.get(".dockerconfigjson"), data.get(".dockercfg")) {
            (Some(text), _) => serde_json::from_slice(text.as_ref()).map(|config: DockerConfig| config.auths),
            (None, Some(text)) => serde_json::from_slice(text.as_ref()),
            (None, None) => return false,
        };
        let Ok(auths) = auths else { return false };
        self.add(auths);
        true
    }

    fn add(&mut self, auths: BTreeMap<String, Auth>) {
        let known = auths.into_iter().filter_map(|(place, auth)| Some((place, auth.credential()?)));
        self.0.extend(known);
    }

    /// The credentials that may fit an image, nearest first.
    fn matching(&self, reference: &Reference) -> Vec<Credential> {
        let mut fitting: Vec<(usize, &Credential)> = self
            .0
            .iter()
            .filter(|(place, _)| matches(place, reference))
            .map(|(place, credential)| (plain(place).len(), credential))
            .collect();
        fitting.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
        fitting.into_iter().map(|(_, credential)| credential.clone()).collect()
    }
}

impl Auth {
    fn credential(self) -> Option<Credential> {
        if !self.registry_token.is_empty() {
            return Some(Credential::Bearer(self.registry_token));
        }
        if !self.identity_token.is_empty() {
            return Some(Credential::Refresh(self.identity_token));
        }
        let decoded = BASE64_STANDARD.decode(self.auth.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = decoded.as_deref().and_then(|text| text.trim_end_matches('\0').split_once(':'));
        let (user, password) = match pair {
            Some((user, password)) => (user.to_owned(), password.to_owned()),
            None => (self.username, self.password),
        };
        (!user.is_empty()).then_some(Credential::Password { user, password })
    }
}

/// The place of a credential without what does not count: scheme, the version of the API, a slash at its end.
fn plain(place: &str) -> &str {
    let place = place.split_once("://").map_or(place, |(_, rest)| rest);
    let place = place.trim_end_matches('/');
    place.strip_suffix("/v1").or_else(|| place.strip_suffix("/v2")).unwrap_or(place)
}

/// Whether a credential's place holds an image: the same host, whose parts may be `*`, and a path above it.
fn matches(place: &str, reference: &Reference) -> bool {
    let (host, path) = plain(place).split_once('/').unwrap_or((plain(place), ""));
    let (host, port) = host.split_once(':').map_or((host, None), |(host, port)| (host, Some(port)));
    let host = if matches!(host, "index.docker.io" | "registry-1.docker.io") { "docker.io" } else { host };
    let (wanted, wanted_port) = reference
        .registry
        .split_once(':')
        .map_or((reference.registry.as_str(), None), |(host, port)| (host, Some(port)));
    let (parts, wanted_parts): (Vec<_>, Vec<_>) = (host.split('.').collect(), wanted.split('.').collect());
    let same_host =
        parts.len() == wanted_parts.len() && parts.iter().zip(&wanted_parts).all(|(part, wanted)| fits(part, wanted));
    let below =
        path.is_empty() || reference.repository == path || reference.repository.starts_with(&format!("{path}/"));
    same_host && (port.is_none() || port == wanted_port) && below
}

/// One part of a host against a pattern with at most a few `*`.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|left| {
            (0..=left.len()).filter(|at| left.is_char_boundary(*at)).any(|at| fits(rest, &left[at..]))
        }),
    }
}

/// All credentials to try for an image, best first: the pod's own, then docker's configuration of this user.
pub(super) async fn for_image(keyring: &Keyring, reference: &Reference) -> Vec<Credential> {
    let mut all = keyring.matching(reference);
    let config = config_file().and_then(|path| fs::read(path).ok());
    let config: DockerConfig = config.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
    let host = if reference.registry == "docker.io" { HUB } else { reference.registry.as_str() };
    let own = config.cred_helpers.get(&reference.registry).or_else(|| config.cred_helpers.get(host));
    if let Some(helper) = own.or(Some(&config.creds_store)).filter(|name| !name.is_empty()) {
        all.extend(ask(helper, host).await);
    }
    let mut plain = Keyring::default();
    plain.add(config.auths);
    all.extend(plain.matching(reference));
    all
}

fn config_file() -> Option<PathBuf> {
    let folder = env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let folder = folder.or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".docker")));
    folder.map(|folder| folder.join("config.json"))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Told {
    username: String,
    secret: String,
}

/// Asks a credential helper; one that knows nothing, or fails, is as good as none.
async fn ask(helper: &str, host: &str) -> Option<Credential> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !helper.bytes().all(is_word) {
        return None;
    }
    let mut command = Command::new(format!("docker-credential-{helper}"));
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().ok()?;
    let mut stdin = child.stdin.take()?;
    let talk = async {
        stdin.write_all(host.as_bytes()).await.ok()?;
        drop(stdin);
        child.wait_with_output().await.ok()
    };
    let output = tokio::time::timeout(HELPER, talk).await.ok()??;
    let told: Told = serde_json::from_slice(&output.stdout).ok().filter(|_| output.status.success())?;
    Some(match told.username.as_str() {
        "<token>" => Credential::Refresh(told.secret),
        _ => Credential::Password { user: told.username, password: told.secret },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn keyring(auths: Value) -> Keyring {
        let text = json!({"auths": auths}).to_string().into_bytes();
        let mut keyring = Keyring::default();
        assert!(keyring.add_secret(&BTreeMap::from([(".dockerconfigjson".to_owned(), text)])));
        keyring
    }

    fn password(user: &str) -> Credential {
        Credential::Password { user: user.to_owned(), password: "p".to_owned() }
    }

    #[test]
    fn the_nearest_place_comes_first() {
        let auth = |user: &str| json!({"auth": BASE64_STANDARD.encode(format!("{user}:p"))});
        let keyring = keyring(json!({
            "https://index.docker.io/v1/": auth("hub"), "r.example": auth("all"), "r.example/team": auth("team"),
            "*.example:5000": auth("port"), "https://quay.io/v2/": {"username": "quay", "password": "p"},
            "empty.example": {}, "token.example": {"identitytoken": "t"},
        }));
        for (image, users) in [
            ("busybox", vec![password("hub")]),
            ("r.example/team/app", vec![password("team"), password("all")]),
            ("r.example/teams/app", vec![password("all")]),
            ("r.example:5000/x", vec![password("port"), password("all")]),
            ("a.b.example:5000/x", vec![]),
            ("quay.io/x", vec![password("quay")]),
            ("empty.example/x", vec![]),
            ("token.example/x", vec![Credential::Refresh("t".to_owned())]),
        ] {
            let reference = Reference::parse(image).expect(image);
            assert_eq!(keyring.matching(&reference), users, "{image}");
        }
    }

    #[test]
    fn both_forms_of_secrets_are_read() {
        let old = json!({"r.example": {"username": "u", "password": "p"}}).to_string().into_bytes();
        let mut keyring = Keyring::default();
        assert!(keyring.add_secret(&BTreeMap::from([(".dockercfg".to_owned(), old)])));
        let reference = Reference::parse("r.example/x").expect("a name");
        assert_eq!(keyring.matching(&reference), [password("u")]);
        assert!(!keyring.add_secret(&BTreeMap::from([("other".to_owned(), Vec::new())])));
        assert!(!keyring.add_secret(&BTreeMap::from([(".dockercfg".to_owned(), b"no".to_vec())])));
        assert!(!format!("{keyring:?}").contains("\"p\""));
    }
}
