//! What an application is asked to do: a sync, by whom, and how often it is tried. The structure only.

use super::application::{Info, RetryStrategy};
use super::source::ApplicationSource;

record! {
    /// Something to be done with an application.
    Operation {
        /// A sync.
        sync: Option<SyncOperation>,
        /// Who asked for it.
        initiated_by: Option<Initiator>,
        /// Notes for people.
        info: Vec<Info>,
        /// How it is tried again.
        retry: Option<RetryStrategy>,
    }

    /// A sync.
    SyncOperation {
        /// The revision; that of the application without this.
        revision: String,
        /// Objects that the source has no more are deleted.
        prune: Option<bool>,
        /// Nothing is written.
        dry_run: Option<bool>,
        /// How objects are written.
        sync_strategy: Option<SyncStrategy>,
        /// The only objects to sync; all without this.
        resources: Vec<Selected>,
        /// A source instead of the application's, as a rollback has it.
        source: Option<ApplicationSource>,
        /// Manifests instead of those of the source.
        manifests: Vec<String>,
        /// Options, as in `CreateNamespace=true`.
        sync_options: Vec<String>,
        /// Sources instead of the application's.
        sources: Vec<ApplicationSource>,
        /// The revisions of several sources.
        revisions: Vec<String>,
        /// How many times in a row a change in the cluster was undone.
        auto_heal_attempts_count: Option<i64>,
    }

    /// How objects are written.
    SyncStrategy {
        /// Without hooks.
        apply: Option<ApplyStrategy>,
        /// With hooks, the usual way.
        hook: Option<ApplyStrategy>,
    }

    /// Whether objects are deleted and made anew where a change is refused.
    ApplyStrategy {
        /// They are.
        force: Option<bool>,
    }

    /// An object that a sync is about.
    #[schemars(extend("required" = ["kind", "name"]))]
    Selected {
        /// Its group.
        group: String,
        /// Its kind.
        kind: String,
        /// Its name.
        name: String,
        /// Its namespace.
        namespace: String,
    }

    /// Who asked for an operation.
    Initiator {
        /// The user.
        username: String,
        /// It was the controller, by the application's policy.
        automated: Option<bool>,
    }
}
