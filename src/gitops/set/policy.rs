//! What the controller may do with the applications of a set.
//! Upstream rule: `applicationset/utils/policy.go` of argoproj/argo-cd, where sets may choose for themselves.

use tinderbox_api::gitops::ApplicationSet;

/// What may be done with applications beside making them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// They are changed.
    pub updates: bool,
    /// They are deleted.
    pub deletes: bool,
    /// What they consist of stays when they are deleted.
    pub preserves: bool,
}

impl Policy {
    /// The policy of a set.
    #[must_use]
    pub fn of(set: &ApplicationSet) -> Self {
        let policy = set.spec.sync_policy.clone().unwrap_or_default();
        let named = policy["applicationsSync"].as_str().unwrap_or_default();
        Self {
            updates: !matches!(named, "create-only" | "create-delete"),
            deletes: !matches!(named, "create-only" | "create-update"),
            preserves: policy["preserveResourcesOnDeletion"].as_bool().unwrap_or_default(),
        }
    }
}
