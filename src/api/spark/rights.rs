//! What the account of a driver must be allowed.
//! Upstream rule: the calls of Spark's `KubernetesClusterSchedulerBackend` and of what it starts.

/// Resources of the core group, and what a driver does with them in its namespace: it makes and watches its executors, and removes at
/// its end what it made.
pub const DRIVER_RIGHTS: [(&str, &[&str]); 4] = [
    ("pods", &["create", "get", "list", "watch", "delete", "deletecollection"]),
    ("configmaps", &["create", "deletecollection"]),
    ("persistentvolumeclaims", &["list", "deletecollection"]),
    ("services", &["deletecollection"]),
];
