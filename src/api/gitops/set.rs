//! ApplicationSet: a template of applications, and what generates its parameters. The structure only.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::Value;

pub use super::resource::ApplicationSet;
use super::source::any_object;

/// Lists of parameters, whatever they are.
fn anything(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "items": {"x-kubernetes-preserve-unknown-fields": true}})
}

record! {
    /// Applications from a template and what generates its parameters.
    #[schemars(extend("required" = ["generators", "template"]))]
    ApplicationSetSpec {
        /// Templates are Go's, not the simple ones.
        go_template: Option<bool>,
        /// Options of Go's templates.
        go_template_options: Vec<String>,
        /// What generates parameters.
        generators: Vec<Generator>,
        /// The application to be, with variables.
        #[schemars(schema_with = "any_object")]
        template: Option<Value>,
        /// A patch of it, with variables.
        template_patch: Option<String>,
        /// What becomes of applications.
        #[schemars(schema_with = "any_object")]
        sync_policy: Option<Value>,
        /// In which order applications are synced.
        #[schemars(schema_with = "any_object")]
        strategy: Option<Value>,
        /// Fields of applications that others may change.
        #[schemars(schema_with = "anything")]
        ignore_application_differences: Vec<Value>,
        /// Annotations and labels of applications that others set.
        preserved_fields: Option<PreservedFields>,
        /// Without a meaning any more: selectors of inner generators always count.
        apply_nested_selectors: Option<bool>,
    }

    /// Annotations and labels that stay as they are.
    PreservedFields {
        /// Keys of annotations.
        annotations: Vec<String>,
        /// Keys of labels.
        labels: Vec<String>,
    }

    /// Something that generates parameters; one field of it.
    Generator {
        /// A list of them.
        list: Option<ListGenerator>,
        /// Folders or files of a repository.
        git: Option<GitGenerator>,
        /// Two generators, each with each.
        matrix: Option<MatrixGenerator>,
        /// Clusters that are known.
        #[schemars(schema_with = "any_object")]
        clusters: Option<Value>,
        /// Generators whose parameters are put together.
        #[schemars(schema_with = "any_object")]
        merge: Option<Value>,
        /// Repositories of a host.
        #[schemars(schema_with = "any_object")]
        scm_provider: Option<Value>,
        /// Pull requests.
        #[schemars(schema_with = "any_object")]
        pull_request: Option<Value>,
        /// Clusters that a resource names.
        #[schemars(schema_with = "any_object")]
        cluster_decision_resource: Option<Value>,
        /// A plugin.
        #[schemars(schema_with = "any_object")]
        plugin: Option<Value>,
        /// Which parameters count.
        #[schemars(schema_with = "any_object")]
        selector: Option<Value>,
    }

    /// A list of parameters.
    ListGenerator {
        /// The parameters.
        #[schemars(schema_with = "anything")]
        elements: Vec<Value>,
        /// The parameters as YAML, with variables.
        elements_yaml: String,
        /// What is changed in the template.
        #[schemars(schema_with = "any_object")]
        template: Option<Value>,
    }

    /// Folders or files of a repository.
    #[schemars(extend("required" = ["repoURL", "revision"]))]
    GitGenerator {
        /// URL of the repository.
        #[serde(rename = "repoURL")]
        repo_url: String,
        /// The revision.
        revision: String,
        /// Folders.
        directories: Vec<GitDirectory>,
        /// Files.
        files: Vec<GitFile>,
        /// Seconds until it is looked at again.
        requeue_after_seconds: Option<i64>,
        /// Put before the names of parameters that come from the path.
        path_param_prefix: String,
        /// Further parameters.
        values: std::collections::BTreeMap<String, String>,
        /// What is changed in the template.
        #[schemars(schema_with = "any_object")]
        template: Option<Value>,
    }

    /// Folders.
    #[schemars(extend("required" = ["path"]))]
    GitDirectory {
        /// A pattern.
        path: String,
        /// They are left out.
        exclude: Option<bool>,
    }

    /// Files.
    #[schemars(extend("required" = ["path"]))]
    GitFile {
        /// A pattern.
        path: String,
        /// They are left out.
        exclude: Option<bool>,
    }

    /// Two generators, each with each.
    #[schemars(extend("required" = ["generators"]))]
    MatrixGenerator {
        /// The generators.
        #[schemars(schema_with = "anything")]
        generators: Vec<Value>,
        /// What is changed in the template.
        #[schemars(schema_with = "any_object")]
        template: Option<Value>,
    }

    /// What became of a set of applications.
    ApplicationSetStatus {
        /// What is right and wrong.
        #[schemars(schema_with = "anything")]
        conditions: Vec<Value>,
        /// How far each application is.
        #[schemars(schema_with = "anything")]
        application_status: Vec<Value>,
        /// The applications.
        #[schemars(schema_with = "anything")]
        resources: Vec<Value>,
        /// How many there are.
        resources_count: Option<i64>,
        /// Whether the set works.
        #[schemars(schema_with = "any_object")]
        health: Option<Value>,
    }
}
