//! What makes structures resources for clients: one macro for all kinds.

/// Implements `kube::Resource` and `new` for a structure with type, metadata and a default; `GROUP` and `VERSION` are those in scope.
macro_rules! resource {
    ($type:ident, $plural:literal, $scope:ident) => {
        impl kube::Resource for $type {
            type DynamicType = ();
            type Scope = kube::core::$scope;

            fn kind((): &()) -> std::borrow::Cow<'_, str> {
                stringify!($type).into()
            }

            fn group((): &()) -> std::borrow::Cow<'_, str> {
                GROUP.into()
            }

            fn version((): &()) -> std::borrow::Cow<'_, str> {
                VERSION.into()
            }

            fn plural((): &()) -> std::borrow::Cow<'_, str> {
                $plural.into()
            }

            fn meta(&self) -> &kube::core::ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut kube::core::ObjectMeta {
                &mut self.metadata
            }
        }

        impl $type {
            /// An object of that kind with its type written in.
            #[must_use]
            pub fn new(metadata: kube::core::ObjectMeta) -> Self {
                let api_version = Some(format!("{GROUP}/{VERSION}"));
                Self { api_version, kind: Some(stringify!($type).to_owned()), metadata, ..Self::default() }
            }
        }
    };
}
