//! The annotations, labels and finalizers by which Argo CD knows what an object wants.
//! Upstream rule: `common/common.go` and `pkg/sync/common/types.go` of argoproj/argo-cd.

/// Which application an object belongs to: `<app>:<group>/<Kind>:<namespace>/<name>`.
pub const TRACKING_ID: &str = "argocd.argoproj.io/tracking-id";
/// The wave of an object within its phase.
pub const SYNC_WAVE: &str = "argocd.argoproj.io/sync-wave";
/// The phases that an object is a hook of.
pub const HOOK: &str = "argocd.argoproj.io/hook";
/// When a hook is deleted.
pub const HOOK_DELETE_POLICY: &str = "argocd.argoproj.io/hook-delete-policy";
/// Sync options of one object.
pub const SYNC_OPTIONS: &str = "argocd.argoproj.io/sync-options";
/// How one object is compared.
pub const COMPARE_OPTIONS: &str = "argocd.argoproj.io/compare-options";
/// Asks for a refresh: `normal` or `hard`.
pub const REFRESH: &str = "argocd.argoproj.io/refresh";
/// The controller passes the application over while this is `true`.
pub const SKIP_RECONCILE: &str = "argocd.argoproj.io/skip-reconcile";
/// The health of one object does not count while this is `true`.
pub const IGNORE_HEALTH: &str = "argocd.argoproj.io/ignore-healthcheck";
/// A pod's health is read whatever its restart policy.
pub const IGNORE_RESTART_POLICY: &str = "argocd.argoproj.io/ignore-restart-policy";
/// Leave for a deletion that asks for it.
pub const DELETION_APPROVED: &str = "argocd.argoproj.io/deletion-approved";
/// Helm's word for hooks.
pub const HELM_HOOK: &str = "helm.sh/hook";
/// Helm's word for when hooks are deleted.
pub const HELM_HOOK_DELETE_POLICY: &str = "helm.sh/hook-delete-policy";
/// Helm's word for waves of hooks.
pub const HELM_HOOK_WEIGHT: &str = "helm.sh/hook-weight";
/// An application with this takes its objects along when it is deleted.
pub const RESOURCES_FINALIZER: &str = "resources-finalizer.argocd.argoproj.io";
/// By this Argo CD keeps a hook until its sync has seen how it ended.
pub const HOOK_FINALIZER: &str = "argocd.argoproj.io/hook-finalizer";
/// The field manager of server-side apply.
pub const MANAGER: &str = "argocd-controller";
