//! The definitions of the three kinds, as they are applied to a cluster.
//! Upstream rule: the kubebuilder markers in `pkg/apis/application/v1alpha1` of argoproj/argo-cd.

use serde_json::{Value, json};

use super::{
    AppProjectSpec, AppProjectStatus, ApplicationSetSpec, ApplicationSetStatus, ApplicationSpec, ApplicationStatus,
    GROUP, Operation, VERSION,
};
use crate::crd::{Column, Definition, schema_of};

/// The definitions of Application, AppProject and ApplicationSet.
#[must_use]
pub fn definitions() -> [Value; 3] {
    let application = Definition {
        kind: "Application",
        plural: "applications",
        short_name: "app",
        columns: &[
            Column("Sync Status", "string", ".status.sync.status"),
            Column("Health Status", "string", ".status.health.status"),
            Column("Revision", "string", ".status.sync.revision"),
            Column("Project", "string", ".spec.project"),
        ],
        // It has no way of its own for the status, which is written together with the operation that it takes over.
        fields: vec![
            ("spec", schema_of::<ApplicationSpec>()),
            ("operation", schema_of::<Operation>()),
            ("status", schema_of::<ApplicationStatus>()),
        ],
        ..Definition::within(GROUP, VERSION)
    };
    let project = Definition {
        kind: "AppProject",
        plural: "appprojects",
        short_name: "appproj",
        fields: vec![("spec", schema_of::<AppProjectSpec>()), ("status", schema_of::<AppProjectStatus>())],
        ..Definition::within(GROUP, VERSION)
    };
    let set = Definition {
        kind: "ApplicationSet",
        plural: "applicationsets",
        short_name: "appset",
        status: true,
        fields: vec![("spec", schema_of::<ApplicationSetSpec>()), ("status", schema_of::<ApplicationSetStatus>())],
        ..Definition::within(GROUP, VERSION)
    };
    [application, project, set].map(Definition::into_value).map(as_upstream)
}

/// What these kinds have beside others: a plural of their short name, and columns that only a wide table shows.
fn as_upstream(mut definition: Value) -> Value {
    let short = definition["spec"]["names"]["shortNames"][0].as_str().map(|name| format!("{name}s"));
    if let Some(names) = definition["spec"]["names"]["shortNames"].as_array_mut() {
        names.extend(short.map(Value::from));
    }
    let version = &mut definition["spec"]["versions"][0];
    for column in version["additionalPrinterColumns"].as_array_mut().into_iter().flatten() {
        if column["name"] == "Revision" || column["name"] == "Project" {
            column["priority"] = json!(10);
        }
    }
    definition
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is applied, here and in production, is made from the types and never by hand.
    #[test]
    fn the_manifests_say_what_the_types_say() {
        crate::crd::hold("argo-cd", &definitions());
    }

    #[test]
    fn the_types_say_what_upstreams_say() {
        crate::crd::upstream::hold("github.com/argoproj/argo-cd/v3@v3.5.1", &definitions(), |plural| {
            format!("manifests/crds/{}-crd.yaml", plural.trim_end_matches('s'))
        });
    }

    #[test]
    fn the_status_of_applications_has_no_way_of_its_own() {
        let [application, _, set] = definitions();
        assert_eq!(application["spec"]["versions"][0]["subresources"], json!({}));
        assert_eq!(set["spec"]["versions"][0]["subresources"], json!({"status": {}}));
        assert_eq!(application["spec"]["names"]["shortNames"], json!(["app", "apps"]));
        let schema = &application["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        assert_eq!(schema["required"], json!(["metadata", "spec"]));
        let source = &schema["properties"]["spec"]["properties"]["source"];
        assert_eq!(source["required"], json!(["repoURL"]));
        assert_eq!(
            source["properties"]["helm"]["properties"]["valuesObject"]["x-kubernetes-preserve-unknown-fields"],
            true
        );
        let count = &source["properties"]["kustomize"]["properties"]["replicas"]["items"]["properties"]["count"];
        assert_eq!(count["x-kubernetes-int-or-string"], true);
    }
}
