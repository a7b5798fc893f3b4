//! What a workflow or a template says about how it is run: retries, locks, memory, cleaning up. The structure only.

use std::collections::BTreeMap;

use serde_json::Value;

use super::value::{IntOrText, Text, any_object};

record! {
    /// Labels and annotations of pods.
    Metadata {
        /// Labels.
        labels: BTreeMap<String, String>,
        /// Annotations.
        annotations: BTreeMap<String, String>,
    }

    /// Labels and annotations of workflows.
    WorkflowMetadata {
        /// Labels.
        labels: BTreeMap<String, String>,
        /// Annotations.
        annotations: BTreeMap<String, String>,
        /// Labels by expressions.
        labels_from: BTreeMap<String, LabelValueFrom>,
    }

    /// A label by an expression.
    LabelValueFrom {
        /// The expression.
        expression: String,
    }

    /// A key of a ConfigMap; where only the ConfigMap is meant, there is none.
    KeySelector {
        /// Name of the ConfigMap.
        name: String,
        /// The key.
        key: String,
        /// May be missing.
        optional: Option<bool>,
    }

    /// Whether and how often what failed is tried again.
    RetryStrategy {
        /// How often, at most.
        limit: Option<IntOrText>,
        /// After which ends: `OnFailure`, `OnError`, `Always` or `OnTransientError`.
        retry_policy: Option<String>,
        /// How long it waits in between.
        backoff: Option<Backoff>,
        /// Tells whether it is tried again.
        expression: Option<String>,
        /// Where it is tried again.
        #[schemars(schema_with = "any_object")]
        affinity: Option<Value>,
    }

    /// Pauses that grow.
    Backoff {
        /// The first pause: seconds, or as in `1m`.
        duration: Option<Text>,
        /// What each pause is multiplied with to get the next one.
        factor: Option<IntOrText>,
        /// The time after the start when it gives up.
        max_duration: Option<Text>,
        /// The longest pause.
        cap: Option<Text>,
    }

    /// Ends after which the rest goes on all the same.
    ContinueOn {
        /// After an error.
        error: Option<bool>,
        /// After a failure.
        failed: Option<bool>,
    }

    /// Locks that must be held.
    Synchronization {
        /// One of several that may hold it; 3.x form.
        semaphore: Option<SemaphoreRef>,
        /// The only one; 3.x form.
        mutex: Option<Mutex>,
        /// Locks that several may hold.
        semaphores: Vec<SemaphoreRef>,
        /// Locks that one may hold.
        mutexes: Vec<Mutex>,
    }

    /// A lock that as many may hold as a ConfigMap says.
    SemaphoreRef {
        /// The key with the number.
        config_map_key_ref: Option<KeySelector>,
        /// The namespace, when it is another one.
        namespace: Option<String>,
        /// A lock in a database.
        #[schemars(schema_with = "any_object")]
        database: Option<Value>,
    }

    /// A lock that one may hold.
    Mutex {
        /// Its name.
        name: String,
        /// The namespace, when it is another one.
        namespace: Option<String>,
        /// Whether it is in a database.
        database: Option<bool>,
    }

    /// Outputs that are remembered by a key.
    #[schemars(extend("required" = ["key", "cache"]))]
    Memoize {
        /// The key.
        key: String,
        /// Where they are kept.
        cache: Option<MemoCache>,
        /// How old they may be, as in `10m`.
        max_age: Option<String>,
    }

    /// Where outputs are remembered.
    MemoCache {
        /// A ConfigMap; its key is not used.
        config_map: Option<KeySelector>,
    }

    /// When pods are deleted.
    PodGc {
        /// `OnPodCompletion`, `OnPodSuccess`, `OnWorkflowCompletion` or `OnWorkflowSuccess`.
        strategy: Option<String>,
        /// The pods that are meant.
        #[schemars(schema_with = "any_object")]
        label_selector: Option<Value>,
        /// How much later.
        delete_delay_duration: Option<Text>,
    }

    /// When a workflow that has ended is deleted.
    TtlStrategy {
        /// Seconds after its end.
        seconds_after_completion: Option<i64>,
        /// Seconds after it succeeded.
        seconds_after_success: Option<i64>,
        /// Seconds after it failed.
        seconds_after_failure: Option<i64>,
    }

    /// When claims of volumes are deleted.
    VolumeClaimGc {
        /// `OnWorkflowSuccess` or `OnWorkflowCompletion`.
        strategy: Option<String>,
    }
}
