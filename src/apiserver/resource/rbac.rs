//! The resources of rights.

use super::{NameRule, Resource};
use crate::table::config;

const GROUP: &str = "rbac.authorization.k8s.io";

pub(super) fn table() -> Vec<Resource> {
    let all = [
        Resource::cluster(GROUP, "v1", "ClusterRoleBinding", "clusterrolebindings")
            .columns(config::CLUSTER_ROLE_BINDINGS),
        Resource::cluster(GROUP, "v1", "ClusterRole", "clusterroles").columns(config::ROLES),
        Resource::namespaced(GROUP, "v1", "RoleBinding", "rolebindings").columns(config::ROLE_BINDINGS),
        Resource::namespaced(GROUP, "v1", "Role", "roles").columns(config::ROLES),
    ];
    all.map(|one| one.names(NameRule::Segment).create_on_update()).into()
}
