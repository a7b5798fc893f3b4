//! How the structures of custom resources are written down: every field may be absent, and an absent one is not written.
//! What a schema requires is said in its own words (`extend("required" = …)`), since objects that lack it still have to
//! be read.

use std::collections::BTreeMap;

/// What can be absent from an object.
pub(crate) trait Absent {
    /// Whether it is not to be written.
    fn is_absent(&self) -> bool;
}

impl<T> Absent for Option<T> {
    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl<T> Absent for Vec<T> {
    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

impl<K, V> Absent for BTreeMap<K, V> {
    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

/// Structures of a custom resource: camel case in JSON, absent fields left out.
macro_rules! record {
    ($($(#[$meta:meta])* $name:ident { $($(#[$note:meta])* $field:ident: $type:ty,)* })*) => {$(
        #[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "camelCase", default)]
        $(#[$meta])*
        pub struct $name {
            $($(#[$note])* #[serde(skip_serializing_if = "crate::record::Absent::is_absent")] pub $field: $type,)*
        }
    )*};
}

/// Structures that are written even when nothing is in them.
macro_rules! always {
    ($($name:ident),*) => {$(
        impl crate::record::Absent for $name {
            fn is_absent(&self) -> bool {
                false
            }
        }
    )*};
}
