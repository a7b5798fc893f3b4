//! The administrator's kubeconfig: one cluster, one user, one context, all named `tinderbox-<name>`, keys inside.

use serde_json::json;

use crate::place::context;

/// What the file is made from; the keys and certificates are PEM text in base64.
#[derive(Debug, Clone)]
pub(super) struct Credentials<'a> {
    /// URL of the API.
    pub(super) server: &'a str,
    /// Certificate authority of the API.
    pub(super) authority: &'a str,
    /// The administrator's certificate.
    pub(super) certificate: &'a str,
    /// The administrator's key.
    pub(super) key: &'a str,
}

/// The file's text.
///
/// # Errors
/// When it cannot be written as YAML.
pub(super) fn render(cluster: &str, credentials: &Credentials<'_>) -> Result<String, serde_yaml::Error> {
    let name = context(cluster);
    serde_yaml::to_string(&json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {
            "server": credentials.server,
            "certificate-authority-data": credentials.authority,
        }}],
        "users": [{"name": name, "user": {
            "client-certificate-data": credentials.certificate,
            "client-key-data": credentials.key,
        }}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }))
}
