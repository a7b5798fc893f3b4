//! The resources of storage.

use super::Resource;
use crate::table::volumes;

const GROUP: &str = "storage.k8s.io";

pub(super) fn table() -> Vec<Resource> {
    vec![
        Resource::cluster(GROUP, "v1", "CSIDriver", "csidrivers"),
        Resource::cluster(GROUP, "v1", "CSINode", "csinodes"),
        Resource::namespaced(GROUP, "v1", "CSIStorageCapacity", "csistoragecapacities"),
        Resource::cluster(GROUP, "v1", "StorageClass", "storageclasses").short(&["sc"]).columns(volumes::CLASSES),
        Resource::cluster(GROUP, "v1", "VolumeAttachment", "volumeattachments").columns(volumes::ATTACHMENTS).status(),
    ]
}
