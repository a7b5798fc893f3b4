//! AppProject: what applications may take from where, put where, and when. The structure only.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::Value;

pub use super::resource::AppProject;
use super::source::any_object;

/// What is kept as it is, in a list.
fn any_objects(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}})
}

record! {
    /// What applications of a project may do.
    AppProjectSpec {
        /// Repositories that manifests may come from.
        source_repos: Vec<String>,
        /// Where they may go.
        destinations: Vec<ProjectDestination>,
        /// What it is for.
        description: String,
        /// Who may do what.
        roles: Vec<Role>,
        /// Kinds beside namespaces that are allowed.
        cluster_resource_whitelist: Vec<ResourceKind>,
        /// Kinds in namespaces that are not.
        namespace_resource_blacklist: Vec<ResourceKind>,
        /// What is said of objects that belong to nothing.
        orphaned_resources: Option<Orphaned>,
        /// When syncs may be.
        sync_windows: Vec<SyncWindow>,
        /// Kinds in namespaces that are allowed; all without this.
        namespace_resource_whitelist: Vec<ResourceKind>,
        /// Keys that commits have to be signed with.
        #[schemars(schema_with = "any_objects")]
        signature_keys: Vec<Value>,
        /// How commits have to be signed.
        #[schemars(schema_with = "any_object")]
        source_integrity: Option<Value>,
        /// Kinds beside namespaces that are not.
        cluster_resource_blacklist: Vec<ResourceKind>,
        /// Namespaces that applications of the project may stand in.
        source_namespaces: Vec<String>,
        /// Only clusters of the project are allowed.
        permit_only_project_scoped_clusters: Option<bool>,
        /// Accounts that syncs act as.
        #[schemars(schema_with = "any_objects")]
        destination_service_accounts: Vec<Value>,
    }

    /// What became of a project.
    AppProjectStatus {
        /// Tokens of roles.
        #[schemars(schema_with = "any_object")]
        jwt_tokens_by_role: Option<Value>,
    }

    /// Somewhere that manifests may go; patterns, refused with a leading `!`.
    ProjectDestination {
        /// URL of the cluster's API.
        server: String,
        /// Namespace.
        namespace: String,
        /// Name of the cluster.
        name: String,
    }

    /// A kind of object; patterns.
    #[schemars(extend("required" = ["group", "kind"]))]
    ResourceKind {
        /// Group.
        group: String,
        /// Kind.
        kind: String,
        /// Name.
        name: String,
    }

    /// Who may do what.
    #[schemars(extend("required" = ["name"]))]
    Role {
        /// Its name.
        name: String,
        /// What it is for.
        description: String,
        /// What it may.
        policies: Vec<String>,
        /// Its tokens.
        #[schemars(schema_with = "any_objects")]
        jwt_tokens: Vec<Value>,
        /// Its groups.
        groups: Vec<String>,
    }

    /// What is said of objects that belong to nothing.
    Orphaned {
        /// A warning.
        warn: Option<bool>,
        /// Objects that are passed over.
        ignore: Vec<OrphanedKey>,
    }

    /// Objects that are passed over.
    OrphanedKey {
        /// Pattern of their group.
        group: String,
        /// Pattern of their kind.
        kind: String,
        /// Pattern of their name.
        name: String,
    }

    /// A time when syncs may be, or may not.
    SyncWindow {
        /// `allow` or `deny`.
        kind: String,
        /// When it begins, in the five fields of cron.
        schedule: String,
        /// How long it lasts, as in `1h30m`.
        duration: String,
        /// Applications that it is about; patterns.
        applications: Vec<String>,
        /// Namespaces that it is about; patterns.
        namespaces: Vec<String>,
        /// Clusters that it is about; patterns.
        clusters: Vec<String>,
        /// Syncs that somebody asks for may be nevertheless.
        manual_sync: Option<bool>,
        /// Time zone of the schedule.
        time_zone: String,
        /// What it is about has to fit in every way, not in one.
        and_operator: Option<bool>,
        /// Syncs that are under way when it ends go on.
        sync_overrun: Option<bool>,
        /// What it is for.
        description: String,
    }
}
