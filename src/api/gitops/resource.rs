//! What makes the structures resources for clients.

use kube::core::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::{
    AppProjectSpec, AppProjectStatus, ApplicationSetSpec, ApplicationSetStatus, ApplicationSpec, ApplicationStatus,
    GROUP, Operation, VERSION,
};

macro_rules! kind {
    ($(#[$meta:meta])* $type:ident, $plural:literal, $spec:ty { $($(#[$note:meta])* $field:ident: $of:ty,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        pub struct $type {
            /// `argoproj.io/v1alpha1`.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub api_version: Option<String>,
            /// The kind.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub kind: Option<String>,
            /// Name, labels and so on.
            pub metadata: ObjectMeta,
            /// What is wanted.
            pub spec: $spec,
            $($(#[$note])* #[serde(skip_serializing_if = "Option::is_none")] pub $field: Option<$of>,)*
        }

        resource!($type, $plural, NamespaceResourceScope);
    };
}

kind! {
    /// Manifests from a source, kept in sync with a cluster.
    Application, "applications", ApplicationSpec {
        /// What is to be done now; the controller takes it away when it begins.
        operation: Operation,
        /// What became of it.
        status: ApplicationStatus,
    }
}
kind! {
    /// What applications of a project may do.
    AppProject, "appprojects", AppProjectSpec {
        /// What became of it.
        status: AppProjectStatus,
    }
}
kind! {
    /// Applications from a template and what generates its parameters.
    ApplicationSet, "applicationsets", ApplicationSetSpec {
        /// What became of it.
        status: ApplicationSetStatus,
    }
}
