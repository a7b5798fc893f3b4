//! Where the manifests of an application come from, and how they are rendered. The structure only.

use std::collections::BTreeMap;

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::Value;

/// Values and patches are written down as they are.
pub(super) fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// A replica count is a number or a text.
fn int_or_string(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"x-kubernetes-int-or-string": true})
}

record! {
    /// A place in a repository, and how it is rendered.
    #[schemars(extend("required" = ["repoURL"]))]
    ApplicationSource {
        /// URL of the repository.
        #[serde(rename = "repoURL")]
        repo_url: String,
        /// Path in the repository.
        path: String,
        /// Branch, tag, commit, or a range of versions.
        target_revision: String,
        /// Options for Helm.
        helm: Option<HelmSource>,
        /// Options for kustomize.
        kustomize: Option<KustomizeSource>,
        /// Options for plain manifests.
        directory: Option<DirectorySource>,
        /// Options for a plugin.
        #[schemars(schema_with = "any_object")]
        plugin: Option<Value>,
        /// Name of a Helm chart.
        chart: String,
        /// Name by which value files of other sources refer to this one.
        #[serde(rename = "ref")]
        reference: String,
        /// Name of this source.
        name: String,
        /// Beginning of the tags that a range of versions looks at.
        tag_prefix: String,
    }

    /// Plain manifests.
    DirectorySource {
        /// Folders below count too.
        recurse: Option<bool>,
        /// Options for jsonnet.
        #[schemars(schema_with = "any_object")]
        jsonnet: Option<Value>,
        /// Pattern of files to leave out.
        exclude: String,
        /// Pattern of files to take.
        include: String,
    }

    /// What is added to a kustomization.
    KustomizeSource {
        /// Put before names.
        name_prefix: String,
        /// Put after names.
        name_suffix: String,
        /// Images, as in `name=new:tag`.
        images: Vec<String>,
        /// Labels of every object.
        common_labels: BTreeMap<String, String>,
        /// Version of kustomize.
        version: String,
        /// Annotations of every object.
        common_annotations: BTreeMap<String, String>,
        /// Labels replace those that are there.
        force_common_labels: Option<bool>,
        /// Annotations replace those that are there.
        force_common_annotations: Option<bool>,
        /// Namespace of every object.
        namespace: String,
        /// Variables in annotations are replaced.
        common_annotations_envsubst: Option<bool>,
        /// Replica counts.
        replicas: Vec<KustomizeReplica>,
        /// Patches.
        patches: Vec<KustomizePatch>,
        /// Components.
        components: Vec<String>,
        /// Components that are missing are passed over.
        ignore_missing_components: Option<bool>,
        /// Labels are not put into selectors.
        label_without_selector: Option<bool>,
        /// Labels are put into templates.
        label_include_templates: Option<bool>,
        /// Version of Kubernetes that is pretended.
        kube_version: String,
        /// APIs that are pretended.
        api_versions: Vec<String>,
    }

    /// A replica count.
    #[schemars(extend("required" = ["count", "name"]))]
    KustomizeReplica {
        /// Name of the object.
        name: String,
        /// How many.
        #[schemars(schema_with = "int_or_string")]
        count: Option<Value>,
    }

    /// A patch.
    KustomizePatch {
        /// A file with the patch.
        path: String,
        /// The patch itself.
        patch: String,
        /// What it changes.
        target: Option<KustomizeSelector>,
        /// Options, as in `allowNameChange`.
        options: BTreeMap<String, bool>,
    }

    /// Objects that a patch changes.
    KustomizeSelector {
        /// Group.
        group: String,
        /// Version.
        version: String,
        /// Kind.
        kind: String,
        /// Name.
        name: String,
        /// Namespace.
        namespace: String,
        /// Annotations.
        annotation_selector: String,
        /// Labels.
        label_selector: String,
    }

    /// How a chart is rendered.
    HelmSource {
        /// Files with values.
        value_files: Vec<String>,
        /// Values, each by its path.
        parameters: Vec<HelmParameter>,
        /// Name of the release; that of the application without this.
        release_name: String,
        /// Values as YAML.
        values: String,
        /// Values as they are.
        #[schemars(schema_with = "any_object")]
        values_object: Option<Value>,
        /// Values from files.
        file_parameters: Vec<HelmFileParameter>,
        /// Version of Helm.
        version: String,
        /// Credentials go to other hosts too.
        pass_credentials: Option<bool>,
        /// Files with values that are missing are passed over.
        ignore_missing_value_files: Option<bool>,
        /// Definitions of the chart are left out.
        skip_crds: Option<bool>,
        /// Tests of the chart are left out.
        skip_tests: Option<bool>,
        /// Values are not held to the chart's schema.
        skip_schema_validation: Option<bool>,
        /// Namespace that the chart is told.
        namespace: String,
        /// Version of Kubernetes that is pretended.
        kube_version: String,
        /// APIs that are pretended.
        api_versions: Vec<String>,
    }

    /// A value by its path.
    HelmParameter {
        /// The path.
        name: String,
        /// The value.
        value: String,
        /// It is a text, whatever it looks like.
        force_string: Option<bool>,
    }

    /// A value from a file.
    HelmFileParameter {
        /// The path of the value.
        name: String,
        /// The file.
        path: String,
    }
}
