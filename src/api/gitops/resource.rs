//! What makes the structures resources for clients.

use std::borrow::Cow;

use kube::core::{NamespaceResourceScope, ObjectMeta};
use serde::{Deserialize, Serialize};

use super::{
    AppProjectSpec, AppProjectStatus, ApplicationSetSpec, ApplicationSetStatus, ApplicationSpec, ApplicationStatus,
    GROUP, Operation, VERSION,
};

macro_rules! resource {
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

        impl kube::Resource for $type {
            type DynamicType = ();
            type Scope = NamespaceResourceScope;

            fn kind((): &()) -> Cow<'_, str> {
                stringify!($type).into()
            }

            fn group((): &()) -> Cow<'_, str> {
                GROUP.into()
            }

            fn version((): &()) -> Cow<'_, str> {
                VERSION.into()
            }

            fn plural((): &()) -> Cow<'_, str> {
                $plural.into()
            }

            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }

        impl $type {
            /// An object of that kind with its type written in.
            #[must_use]
            pub fn new(metadata: ObjectMeta) -> Self {
                let api_version = Some(format!("{GROUP}/{VERSION}"));
                Self { api_version, kind: Some(stringify!($type).to_owned()), metadata, ..Self::default() }
            }
        }
    };
}

resource! {
    /// Manifests from a source, kept in sync with a cluster.
    Application, "applications", ApplicationSpec {
        /// What is to be done now; the controller takes it away when it begins.
        operation: Operation,
        /// What became of it.
        status: ApplicationStatus,
    }
}
resource! {
    /// What applications of a project may do.
    AppProject, "appprojects", AppProjectSpec {
        /// What became of it.
        status: AppProjectStatus,
    }
}
resource! {
    /// Applications from a template and what generates its parameters.
    ApplicationSet, "applicationsets", ApplicationSetSpec {
        /// What became of it.
        status: ApplicationSetStatus,
    }
}
