//! The resources of policy.

use super::Resource;
use crate::table::workloads;

pub(super) fn table() -> Vec<Resource> {
    vec![
        Resource::namespaced("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets")
            .short(&["pdb"])
            .columns(workloads::DISRUPTION_BUDGETS)
            .counted()
            .status(),
    ]
}
