//! What the default roles of Kubernetes 1.34 allow, as rows; roles of parts that this server does not have are left out.
//! Data alone.

/// Verbs, groups, and resources; or verbs, nothing, and paths.
pub(super) type Row = (&'static str, &'static str, &'static str);

/// What `view` adds to nothing.
pub(super) const VIEW: &[Row] = &[
    (
        "read",
        "core",
        "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers \
         replicationcontrollers/scale serviceaccounts services services/status",
    ),
    (
        "read",
        "core",
        "bindings events limitranges namespaces/status pods/log pods/status replicationcontrollers/status \
         resourcequotas resourcequotas/status",
    ),
    ("read", "core", "namespaces"),
    ("read", "discovery.k8s.io", "endpointslices"),
    (
        "read",
        "apps",
        "controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status replicasets \
         replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status",
    ),
    ("read", "autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"),
    ("read", "batch", "cronjobs cronjobs/status jobs jobs/status"),
    ("read", "policy", "poddisruptionbudgets poddisruptionbudgets/status"),
    ("read", "networking.k8s.io", "ingresses ingresses/status networkpolicies"),
    ("read", "resource.k8s.io", "resourceclaims resourceclaims/status resourceclaimtemplates"),
];

/// What `edit` adds to `view`.
pub(super) const EDIT: &[Row] = &[
    ("read", "core", "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy"),
    ("impersonate", "core", "serviceaccounts"),
    ("write", "core", "pods pods/attach pods/exec pods/portforward pods/proxy"),
    ("create", "core", "pods/eviction"),
    (
        "write",
        "core",
        "configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets \
         serviceaccounts services services/proxy",
    ),
    ("create", "core", "serviceaccounts/token"),
    (
        "write",
        "apps",
        "daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale statefulsets \
         statefulsets/scale",
    ),
    ("write", "autoscaling", "horizontalpodautoscalers"),
    ("write", "batch", "cronjobs jobs"),
    ("write", "policy", "poddisruptionbudgets"),
    ("write", "networking.k8s.io", "ingresses networkpolicies"),
    ("readwrite", "coordination.k8s.io", "leases"),
    ("write", "resource.k8s.io", "resourceclaims resourceclaimtemplates"),
];

/// What `admin` adds to `edit`.
pub(super) const ADMIN: &[Row] = &[
    ("create", "authorization.k8s.io", "localsubjectaccessreviews"),
    ("readwrite", "rbac.authorization.k8s.io", "rolebindings roles"),
];

/// The other roles.
pub(super) const ROLES: &[(&str, &[Row])] = &[
    ("cluster-admin", &[("*", "*", "*"), ("*", "", "*")]),
    (
        "system:discovery",
        &[("get", "", "/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/")],
    ),
    ("system:public-info-viewer", &[("get", "", "/healthz /livez /readyz /version /version/")]),
    (
        "system:basic-user",
        &[
            ("create", "authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews"),
            ("create", "authentication.k8s.io", "selfsubjectreviews"),
        ],
    ),
    (
        "system:monitoring",
        &[
            ("get", "", "/healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/*"),
            ("get", "core", "nodes/metrics"),
        ],
    ),
    ("system:service-account-issuer-discovery", &[("get", "", "/.well-known/openid-configuration /openid/v1/jwks")]),
    (
        "system:auth-delegator",
        &[
            ("create", "authentication.k8s.io", "tokenreviews"),
            ("create", "authorization.k8s.io", "subjectaccessreviews"),
        ],
    ),
    (
        "system:kubelet-api-admin",
        &[("get list watch proxy", "core", "nodes"), ("*", "core", "nodes/log nodes/metrics nodes/proxy nodes/stats")],
    ),
    (
        "system:node",
        &[
            ("create", "authentication.k8s.io", "tokenreviews"),
            ("create", "authorization.k8s.io", "localsubjectaccessreviews subjectaccessreviews"),
            ("read", "core", "services"),
            ("create get list watch patch update", "core", "nodes"),
            ("patch update", "core", "nodes/status"),
            ("create patch update", "core", "events"),
            ("create delete get list watch", "core", "pods"),
            ("patch update", "core", "pods/status"),
            ("create", "core", "pods/eviction"),
            ("read", "core", "configmaps secrets"),
            ("get", "core", "persistentvolumeclaims persistentvolumes"),
            ("get", "core", "endpoints"),
            ("create delete get patch update", "coordination.k8s.io", "leases"),
            ("get", "storage.k8s.io", "volumeattachments"),
            ("create", "core", "serviceaccounts/token"),
            ("get patch update", "core", "persistentvolumeclaims/status"),
            ("read", "storage.k8s.io", "csidrivers"),
            ("create delete get patch update", "storage.k8s.io", "csinodes"),
            ("read", "node.k8s.io", "runtimeclasses"),
            ("get", "core", "serviceaccounts"),
        ],
    ),
    (
        "system:node-proxier",
        &[
            ("list watch", "core", "endpoints services"),
            ("read", "core", "nodes"),
            ("create patch update", "core events.k8s.io", "events"),
            ("list watch", "discovery.k8s.io", "endpointslices"),
        ],
    ),
    ("system:kube-dns", &[("list watch", "core", "endpoints services")]),
    (
        "system:kube-scheduler",
        &[
            ("create patch update", "core events.k8s.io", "events"),
            ("create get list update watch", "coordination.k8s.io", "leases"),
            ("read", "core", "nodes"),
            ("delete get list watch", "core", "pods"),
            ("create", "core", "bindings pods/binding"),
            ("patch update", "core", "pods/status"),
            ("read", "core", "replicationcontrollers services"),
            ("read", "apps", "replicasets statefulsets"),
            ("read", "policy", "poddisruptionbudgets"),
            ("read", "core", "persistentvolumeclaims persistentvolumes namespaces"),
            ("read", "storage.k8s.io", "csinodes volumeattachments csidrivers csistoragecapacities"),
            ("create", "authentication.k8s.io", "tokenreviews"),
            ("create", "authorization.k8s.io", "subjectaccessreviews"),
        ],
    ),
    (
        "system:volume-scheduler",
        &[
            ("get list patch update watch", "core", "persistentvolumes persistentvolumeclaims"),
            ("read", "storage.k8s.io", "storageclasses"),
        ],
    ),
    (
        "system:persistent-volume-provisioner",
        &[
            ("create delete get list watch", "core", "persistentvolumes"),
            ("get list update watch", "core", "persistentvolumeclaims"),
            ("read", "storage.k8s.io", "storageclasses"),
            ("watch", "core", "events"),
            ("create patch update", "core events.k8s.io", "events"),
        ],
    ),
];

/// Role, kind of its subjects, subjects. Nodes are bound as there is no authorizer of their own here.
pub(super) const BINDINGS: &[(&str, &str, &str)] = &[
    ("cluster-admin", "Group", "system:masters"),
    ("system:discovery", "Group", "system:authenticated"),
    ("system:basic-user", "Group", "system:authenticated"),
    ("system:public-info-viewer", "Group", "system:authenticated system:unauthenticated"),
    ("system:monitoring", "Group", "system:monitoring"),
    ("system:service-account-issuer-discovery", "Group", "system:serviceaccounts"),
    ("system:node", "Group", "system:nodes"),
    ("system:node-proxier", "User", "system:kube-proxy"),
    ("system:kube-dns", "ServiceAccount", "kube-dns"),
    ("system:kube-scheduler", "User", "system:kube-scheduler"),
    ("system:volume-scheduler", "User", "system:kube-scheduler"),
];
