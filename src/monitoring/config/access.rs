//! How a target lets itself be scraped: passwords and tokens from Secrets, certificates as files. Pure: what the Secrets hold is given.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{ConfigMapKeySelector, SecretKeySelector};
use tinderbox_api::monitoring::{Endpoint, SecretOrConfigMap, TlsConfig};

use super::output::{Basic, Bearer, Job, Tls};

/// Where certificates are in Prometheus' container.
pub const CERTIFICATES: &str = "/etc/prometheus/certs";

/// A key of a Secret or ConfigMap.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// It is of a Secret.
    pub secret: bool,
    /// Namespace of the object.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The key in it.
    pub key: String,
}

impl Reference {
    fn secret(namespace: &str, of: &SecretKeySelector) -> Self {
        Self { secret: true, namespace: namespace.to_owned(), name: of.name.clone(), key: of.key.clone() }
    }

    fn config_map(namespace: &str, of: &ConfigMapKeySelector) -> Self {
        Self { secret: false, namespace: namespace.to_owned(), name: of.name.clone(), key: of.key.clone() }
    }

    /// Its name as a file.
    #[must_use]
    pub fn file(&self) -> String {
        let kind = if self.secret { "secret" } else { "configmap" };
        format!("{kind}_{}_{}_{}", self.namespace, self.name, self.key)
    }
}

/// What references hold.
pub type Held = BTreeMap<Reference, String>;

/// The references of an endpoint of a monitor in that namespace.
#[must_use]
pub fn references(namespace: &str, endpoint: &Endpoint) -> BTreeSet<Reference> {
    let basic = endpoint.basic_auth.iter().flat_map(|basic| [&basic.username, &basic.password]);
    let secrets = basic
        .chain(endpoint.authorization.iter().map(|header| &header.credentials))
        .chain([&endpoint.bearer_token_secret])
        .flatten()
        .map(|of| Reference::secret(namespace, of));
    secrets.chain(endpoint.tls_config.iter().flat_map(|tls| files(namespace, tls))).collect()
}

/// The certificates and keys of a configuration, which become files.
#[must_use]
pub fn files(namespace: &str, tls: &TlsConfig) -> Vec<Reference> {
    let either = [&tls.ca, &tls.cert].into_iter().flatten().filter_map(|one| either(namespace, one));
    either.chain(tls.key_secret.iter().map(|of| Reference::secret(namespace, of))).collect()
}

fn either(namespace: &str, one: &SecretOrConfigMap) -> Option<Reference> {
    let secret = one.secret.as_ref().map(|of| Reference::secret(namespace, of));
    secret.or_else(|| one.config_map.as_ref().map(|of| Reference::config_map(namespace, of)))
}

/// Writes into a job how its targets are asked.
pub(super) fn write(job: &mut Job, namespace: &str, endpoint: &Endpoint, held: &Held) -> Result<(), String> {
    let of = |selector: &SecretKeySelector| {
        let reference = Reference::secret(namespace, selector);
        held.get(&reference).cloned().ok_or_else(|| {
            format!("the Secret {namespace}/{} with the key {:?} is not there", reference.name, reference.key)
        })
    };
    if let Some(basic) = &endpoint.basic_auth {
        let part = |one: &Option<SecretKeySelector>| one.as_ref().map_or(Ok(String::new()), of);
        job.basic_auth = Some(Basic { username: part(&basic.username)?, password: part(&basic.password)? });
    }
    if let Some(header) = &endpoint.authorization {
        let credentials = header.credentials.as_ref().map(of).transpose()?;
        job.authorization = Some(Bearer { kind: header.r#type.clone(), credentials, credentials_file: None });
    } else if let Some(secret) = &endpoint.bearer_token_secret {
        job.authorization = Some(Bearer { credentials: Some(of(secret)?), ..Bearer::default() });
    } else if let Some(file) = &endpoint.bearer_token_file {
        job.authorization = Some(Bearer { credentials_file: Some(file.clone()), ..Bearer::default() });
    }
    if job.basic_auth.is_some() && job.authorization.is_some() {
        return Err("at most one of basicAuth, authorization and a bearer token may be given".to_owned());
    }
    if let Some(tls) = &endpoint.tls_config {
        for reference in files(namespace, tls) {
            if !held.contains_key(&reference) {
                return Err(format!("{namespace}/{} with the key {:?} is not there", reference.name, reference.key));
            }
        }
        let path = |reference: Reference| format!("{CERTIFICATES}/{}", reference.file());
        let file = |one: &Option<SecretOrConfigMap>| one.as_ref().and_then(|one| either(namespace, one)).map(path);
        job.tls_config = Some(Tls {
            ca_file: file(&tls.ca).or_else(|| tls.ca_file.clone()),
            cert_file: file(&tls.cert).or_else(|| tls.cert_file.clone()),
            key_file: tls
                .key_secret
                .as_ref()
                .map(|of| path(Reference::secret(namespace, of)))
                .or_else(|| tls.key_file.clone()),
            server_name: tls.server_name.clone(),
            insecure_skip_verify: tls.insecure_skip_verify,
        });
    }
    Ok(())
}
