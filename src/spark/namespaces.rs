//! The namespaces whose applications the operator serves, by name or by their labels.
//! Upstream: `--namespaces` and `--namespace-selector` of the Spark Operator's controller.

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client, ResourceExt};
use serde::{Deserialize, Serialize};
use tinderbox_api::selector::LabelSelector;
use tinderbox_client::{Cache, Caches, Error, ObjectKey, Result};

/// The namespaces that are served: named ones and those whose labels fit. Without either, every one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct JobNamespaces {
    /// By name.
    pub namespaces: Vec<String>,
    /// By label, as `team in (a, b)`. A namespace that is labelled later is served from the next application on that comes or changes.
    pub namespace_selector: LabelSelector,
}

/// Lets those applications in that are served.
#[derive(Clone)]
pub(crate) struct Gate {
    served: JobNamespaces,
    client: Client,
    /// What is known of labels, where they are asked for.
    labels: Option<Cache<Namespace>>,
}

impl Gate {
    pub(crate) fn new(served: &JobNamespaces, caches: &Caches) -> Self {
        let labels = (!served.namespace_selector.is_empty()).then(|| caches.get_shrunk(shrink));
        Self { served: served.clone(), client: caches.client().clone(), labels }
    }

    /// Whether what comes in a namespace is served.
    ///
    /// # Errors
    /// When the API does not tell the namespace's labels.
    pub(crate) async fn admits(&self, namespace: &str) -> Result<bool> {
        let JobNamespaces { namespaces, namespace_selector } = &self.served;
        let everything = namespaces.is_empty() && self.labels.is_none();
        if everything || namespaces.iter().any(|name| name == namespace) {
            return Ok(true);
        }
        let Some(labels) = &self.labels else { return Ok(false) };
        let fits = |namespace: &Namespace| namespace_selector.matches_map(namespace.metadata.labels.as_ref());
        if labels.get(&ObjectKey::new("", namespace)).is_some_and(|known| fits(&known)) {
            return Ok(true);
        }
        // The cache may be behind, and nobody asks again.
        let found = Api::<Namespace>::all(self.client.clone()).get_opt(namespace).await;
        let failed = |source| Error::Request { act: format!("get namespaces {namespace}"), source };
        Ok(found.map_err(failed)?.is_some_and(|namespace| fits(&namespace)))
    }
}

/// Nothing but labels is asked for.
fn shrink(namespace: &mut Namespace) {
    namespace.spec = None;
    namespace.status = None;
    namespace.annotations_mut().clear();
}
