//! Application: sources, destination and how they are kept in sync. The structure only.

use std::collections::BTreeMap;

pub use super::resource::Application;
use serde_json::Value;

use super::source::{ApplicationSource, any_object};

impl Application {
    /// How it is synced without being asked; nothing when it is not.
    #[must_use]
    pub fn automated(&self) -> Option<&Automated> {
        self.spec.sync_policy.as_ref()?.automated.as_ref().filter(|automated| automated.enabled.unwrap_or(true))
    }
}

record! {
    /// Where manifests come from, where they go and how they are kept in sync.
    #[schemars(extend("required" = ["destination", "project"]))]
    ApplicationSpec {
        /// Where the manifests come from.
        source: Option<ApplicationSource>,
        /// Where they come from when that is more than one place; it wins over `source`.
        sources: Vec<ApplicationSource>,
        /// Where they go.
        destination: Destination,
        /// The project.
        project: String,
        /// When and how they are synced.
        sync_policy: Option<SyncPolicy>,
        /// Differences that do not count.
        ignore_differences: Vec<IgnoreDifference>,
        /// Links and notes for people.
        info: Vec<Info>,
        /// How many syncs are remembered; 10 without this.
        revision_history_limit: Option<i64>,
        /// Where rendered manifests would be put, which is not done here.
        #[schemars(schema_with = "any_object")]
        source_hydrator: Option<Value>,
    }

    /// A cluster, by URL or by name, and a namespace for objects that name none.
    Destination {
        /// URL of the cluster's API.
        server: String,
        /// Namespace of objects that name none.
        namespace: String,
        /// Name of the cluster, instead of its URL.
        name: String,
    }

    /// When and how an application is synced.
    SyncPolicy {
        /// It is synced without being asked.
        automated: Option<Automated>,
        /// Options, as in `CreateNamespace=true`.
        sync_options: Vec<String>,
        /// How failed syncs are tried again.
        retry: Option<RetryStrategy>,
        /// Labels and annotations of a namespace that the sync makes.
        managed_namespace_metadata: Option<NamespaceMetadata>,
    }

    /// How an application is synced without being asked.
    Automated {
        /// Objects that the source has no more are deleted.
        prune: Option<bool>,
        /// Changes in the cluster are undone.
        self_heal: Option<bool>,
        /// A source without any object is believed.
        allow_empty: Option<bool>,
        /// False switches it off and leaves the settings.
        enabled: Option<bool>,
    }

    /// How failed syncs are tried again.
    RetryStrategy {
        /// How many times; without end when negative.
        limit: Option<i64>,
        /// The pauses.
        backoff: Option<Backoff>,
        /// The newest revision is taken, not that of the first try.
        refresh: Option<bool>,
    }

    /// Pauses that grow.
    Backoff {
        /// The first pause, as in `5s`.
        duration: Option<String>,
        /// What each pause is multiplied by.
        factor: Option<i64>,
        /// The longest pause.
        max_duration: Option<String>,
    }

    /// Labels and annotations of a namespace.
    NamespaceMetadata {
        /// Labels.
        labels: BTreeMap<String, String>,
        /// Annotations.
        annotations: BTreeMap<String, String>,
    }

    /// Differences that do not count, in objects that fit.
    #[schemars(extend("required" = ["kind"]))]
    IgnoreDifference {
        /// Group of the objects; `*` for all.
        group: String,
        /// Their kind; `*` for all.
        kind: String,
        /// Name, if only one is meant.
        name: String,
        /// Namespace, if only one is meant.
        namespace: String,
        /// JSON pointers of fields.
        json_pointers: Vec<String>,
        /// jq expressions of fields.
        #[serde(rename = "jqPathExpressions")]
        jq_path_expressions: Vec<String>,
        /// Managers whose fields do not count.
        managed_fields_managers: Vec<String>,
    }

    /// A link or a note.
    #[schemars(extend("required" = ["name", "value"]))]
    Info {
        /// Its name.
        name: String,
        /// What it says.
        value: String,
    }
}

always!(Destination);
