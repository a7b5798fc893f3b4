//! What monitors say about one endpoint that is scraped. The structure only.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMapKeySelector, SecretKeySelector};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::Value;

/// A port by its number or its name.
pub type PortRef = IntOrString;

/// A number or a text as text.
#[must_use]
pub fn text_of(value: &IntOrString) -> String {
    match value {
        IntOrString::Int(number) => number.to_string(),
        IntOrString::String(text) => text.clone(),
    }
}

pub(super) fn port(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"x-kubernetes-int-or-string": true})
}

record! {
    /// One endpoint of the pods or services that a monitor selects.
    #[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
    Endpoint {
        /// Name of the port: the container's for pods, the service's for services.
        port: Option<String>,
        /// Number of a container's port, for pods.
        port_number: Option<i32>,
        /// Name or number of a container's port.
        #[schemars(schema_with = "port")]
        target_port: Option<PortRef>,
        /// Path; `/metrics` without it.
        path: Option<String>,
        /// `http` or `https`.
        scheme: Option<String>,
        /// Parameters of the URL.
        params: BTreeMap<String, Vec<String>>,
        /// Time between two scrapes.
        interval: Option<String>,
        /// How long a scrape may take.
        scrape_timeout: Option<String>,
        /// Labels of the target win over those of its place.
        honor_labels: Option<bool>,
        /// Times that the target tells are believed.
        honor_timestamps: Option<bool>,
        /// What changes the labels of the target before it is scraped.
        relabelings: Vec<Relabeling>,
        /// What changes the labels of each sample.
        metric_relabelings: Vec<Relabeling>,
        /// Leaves pods out that have ended; true without it.
        filter_running: Option<bool>,
        /// User and password.
        basic_auth: Option<BasicAuth>,
        /// The header `Authorization`.
        authorization: Option<Authorization>,
        /// A token from a Secret; `authorization` says more.
        bearer_token_secret: Option<SecretKeySelector>,
        /// A token from a file of Prometheus' container.
        bearer_token_file: Option<String>,
        /// Certificates.
        tls_config: Option<TlsConfig>,
        /// Redirects are followed.
        follow_redirects: Option<bool>,
        /// HTTP/2 is used.
        enable_http2: Option<bool>,
        /// What is not acted upon here.
        #[serde(flatten)]
        #[schemars(skip)]
        other: BTreeMap<String, Value>,
    }

    /// One rule that changes labels.
    Relabeling {
        /// The labels whose values are looked at, joined.
        source_labels: Vec<String>,
        /// What joins them; `;` without it.
        separator: Option<String>,
        /// The label that is written.
        target_label: Option<String>,
        /// What the values must match; `(.*)` without it.
        regex: Option<String>,
        /// For `hashmod`.
        modulus: Option<u64>,
        /// What is written; `$1` without it.
        replacement: Option<String>,
        /// What is done; `replace` without it.
        action: Option<String>,
    }

    /// User and password.
    BasicAuth {
        /// The user.
        username: Option<SecretKeySelector>,
        /// The password.
        password: Option<SecretKeySelector>,
    }

    /// The header `Authorization`.
    Authorization {
        /// Its scheme; `Bearer` without it.
        r#type: Option<String>,
        /// What follows.
        credentials: Option<SecretKeySelector>,
    }

    /// Certificates.
    TlsConfig {
        /// The authority of the target's certificate.
        ca: Option<SecretOrConfigMap>,
        /// The certificate that is shown.
        cert: Option<SecretOrConfigMap>,
        /// Its key.
        key_secret: Option<SecretKeySelector>,
        /// The authority, as a file of Prometheus' container.
        ca_file: Option<String>,
        /// The certificate, as a file of Prometheus' container.
        cert_file: Option<String>,
        /// Its key, as a file of Prometheus' container.
        key_file: Option<String>,
        /// The name that the target's certificate must have.
        server_name: Option<String>,
        /// The target's certificate is not looked at.
        insecure_skip_verify: Option<bool>,
    }

    /// A key of a Secret or of a ConfigMap.
    SecretOrConfigMap {
        /// Of a Secret.
        secret: Option<SecretKeySelector>,
        /// Of a ConfigMap.
        config_map: Option<ConfigMapKeySelector>,
    }
}
