//! Storage classes: the one that is there from the start, and which is the default. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::storage::v1::StorageClass;
use kube::ResourceExt;
use kube::core::ObjectMeta;

use crate::pods::created;

/// Who makes the volumes of the built-in class.
pub(super) const PROVISIONER: &str = "tinderbox.dev/local";
const DEFAULT: &str = "storageclass.kubernetes.io/is-default-class";
const NAME: &str = "standard";

/// The class that is there from the start: the default, as in kind.
pub(super) fn standard() -> StorageClass {
    StorageClass {
        metadata: ObjectMeta {
            name: Some(NAME.to_owned()),
            annotations: Some(BTreeMap::from([(DEFAULT.to_owned(), "true".to_owned())])),
            ..ObjectMeta::default()
        },
        provisioner: PROVISIONER.to_owned(),
        reclaim_policy: Some("Delete".to_owned()),
        volume_binding_mode: Some("WaitForFirstConsumer".to_owned()),
        ..StorageClass::default()
    }
}

/// The default class: the newest that says so.
pub(super) fn default(classes: &[Arc<StorageClass>]) -> Option<&StorageClass> {
    let says_so = |class: &&Arc<StorageClass>| class.annotations().get(DEFAULT).is_some_and(|text| text == "true");
    let newest = classes.iter().filter(says_so).max_by_key(|class| (created(&***class), class.name_any()));
    newest.map(|class| &**class)
}
