//! How a sync is done: what the application says, and what was asked for.

use serde_json::{Value, json};
use tinderbox_api::gitops::{Application, Selected, SyncOperation};

/// What becomes of the dependents of an object that is deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Propagation {
    /// They go first.
    #[default]
    Foreground,
    /// They go later.
    Background,
    /// They stay.
    Orphan,
}

/// How a sync is done.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    /// Objects that the source has no more are deleted.
    pub prune: bool,
    /// Leave was given for what is deleted with leave only.
    pub prune_confirmed: bool,
    /// Nothing is written.
    pub dry_run: bool,
    /// Hooks are left out.
    pub skip_hooks: bool,
    /// Objects are deleted and made anew where a change is refused.
    pub force: bool,
    /// Objects are replaced and not merged.
    pub replace: bool,
    /// Pruning comes last.
    pub prune_last: bool,
    /// Every object is deleted with leave only.
    pub prune_confirm: bool,
    /// Nothing is ever pruned.
    pub prune_never: bool,
    /// Only what differs is written.
    pub out_of_sync_only: bool,
    /// Kinds that the cluster does not know yet are not tried first.
    pub skip_check_of_missing_kinds: bool,
    /// Objects of other applications are not taken over.
    pub fail_on_shared: bool,
    /// Ignored fields are not written.
    pub respect_ignored: bool,
    /// The namespace to make.
    pub namespace: Option<Value>,
    /// What becomes of dependents of what is pruned.
    pub propagation: Propagation,
    /// The only objects to sync; all when empty.
    pub selected: Vec<Selected>,
    /// The revision; part of the names of hooks.
    pub revision: String,
    /// When the operation began, in seconds; part of the names of hooks.
    pub started: i64,
}

impl Settings {
    /// The settings of an operation.
    #[must_use]
    pub fn of(app: &Application, sync: &SyncOperation) -> Self {
        let policy = app.spec.sync_policy.clone().unwrap_or_default();
        let options = if sync.sync_options.is_empty() { &policy.sync_options } else { &sync.sync_options };
        let has = |option: &str| options.iter().any(|one| one == option);
        let strategy = sync.sync_strategy.clone().unwrap_or_default();
        let force = [&strategy.apply, &strategy.hook].into_iter().flatten().any(|one| one.force.unwrap_or_default());
        let namespace = has("CreateNamespace=true").then(|| {
            let metadata = policy.managed_namespace_metadata.clone().unwrap_or_default();
            let mut namespace = json!({
                "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": app.spec.destination.namespace},
            });
            if !metadata.labels.is_empty() {
                namespace["metadata"]["labels"] = json!(metadata.labels);
            }
            if !metadata.annotations.is_empty() {
                namespace["metadata"]["annotations"] = json!(metadata.annotations);
            }
            namespace
        });
        let propagation = if has("PrunePropagationPolicy=background") {
            Propagation::Background
        } else if has("PrunePropagationPolicy=orphan") {
            Propagation::Orphan
        } else {
            Propagation::Foreground
        };
        Self {
            prune: sync.prune.unwrap_or_default(),
            prune_confirmed: false,
            dry_run: sync.dry_run.unwrap_or_default(),
            skip_hooks: strategy.apply.is_some() || !sync.resources.is_empty(),
            force: force || has("Force=true"),
            replace: has("Replace=true"),
            prune_last: has("PruneLast=true"),
            prune_confirm: has("Prune=confirm"),
            prune_never: has("Prune=false"),
            out_of_sync_only: has("ApplyOutOfSyncOnly=true"),
            skip_check_of_missing_kinds: has("SkipDryRunOnMissingResource=true"),
            fail_on_shared: has("FailOnSharedResource=true"),
            respect_ignored: has("RespectIgnoreDifferences=true"),
            namespace: namespace.filter(|_| !app.spec.destination.namespace.is_empty()),
            propagation,
            selected: sync.resources.clone(),
            revision: sync.revision.clone(),
            started: 0,
        }
    }

    /// Whether an object is among those to sync.
    pub(super) fn selects(&self, key: &super::Key) -> bool {
        self.selected.is_empty()
            || self.selected.iter().any(|one| {
                let place = one.namespace.is_empty() || one.namespace == key.namespace;
                one.group == key.group && one.kind == key.kind && one.name == key.name && place
            })
    }
}
