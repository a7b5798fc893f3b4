//! What makes the structures resources for clients.

use std::borrow::Cow;

use kube::core::{ClusterResourceScope, NamespaceResourceScope, ObjectMeta};

use super::{ClusterWorkflowTemplate, CronWorkflow, GROUP, VERSION, Workflow, WorkflowTaskResult, WorkflowTemplate};

macro_rules! resource {
    ($type:ident, $plural:literal, $scope:ident) => {
        impl kube::Resource for $type {
            type DynamicType = ();
            type Scope = $scope;

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

resource!(Workflow, "workflows", NamespaceResourceScope);
resource!(WorkflowTemplate, "workflowtemplates", NamespaceResourceScope);
resource!(ClusterWorkflowTemplate, "clusterworkflowtemplates", ClusterResourceScope);
resource!(CronWorkflow, "cronworkflows", NamespaceResourceScope);
resource!(WorkflowTaskResult, "workflowtaskresults", NamespaceResourceScope);
