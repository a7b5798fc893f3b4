//! What an object says of its own sync by annotations, Argo CD's and Helm's.

use serde_json::Value;
use tinderbox_api::gitops::marks;

/// When something is synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Before everything else.
    PreSync,
    /// The objects themselves.
    Sync,
    /// When they work.
    PostSync,
    /// When something went wrong.
    SyncFail,
}

impl Phase {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PreSync => "PreSync",
            Self::Sync => "Sync",
            Self::PostSync => "PostSync",
            Self::SyncFail => "SyncFail",
        }
    }
}

/// When a hook is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DeletePolicy {
    BeforeHookCreation,
    HookSucceeded,
    HookFailed,
}

/// What an object says of its own sync.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    /// The phases that it is a hook of; nothing when it is none.
    pub hooks: Option<Vec<Phase>>,
    /// Its wave.
    pub wave: i64,
    pub(super) delete: Vec<DeletePolicy>,
    /// It is never synced.
    pub skip: bool,
}

fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object["metadata"]["annotations"][key].as_str()
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

/// Whether an object has a sync option, as in `Prune=false`.
#[must_use]
pub fn has_option(object: &Value, option: &str) -> bool {
    annotation(object, marks::SYNC_OPTIONS).is_some_and(|text| list(text).any(|one| one == option))
}

/// Whether an object is a hook, and no part of what an application consists of.
#[must_use]
pub fn is_hook(object: &Value) -> bool {
    let marks = Marks::of(object);
    marks.hooks.is_some() || marks.skip
}

impl Marks {
    /// Reads the annotations of an object.
    #[must_use]
    pub fn of(object: &Value) -> Self {
        let mut found = Self::default();
        if let Some(text) = annotation(object, marks::HOOK) {
            for word in list(text) {
                match word {
                    "PreSync" => found.hook(Phase::PreSync),
                    "Sync" => found.hook(Phase::Sync),
                    "PostSync" => found.hook(Phase::PostSync),
                    "SyncFail" => found.hook(Phase::SyncFail),
                    "Skip" => found.skip = true,
                    // Hooks of a deletion have no part in a sync; unknown words are no hooks.
                    "PreDelete" | "PostDelete" => found.hooks = found.hooks.or_else(|| Some(Vec::new())),
                    _ => (),
                }
            }
        } else if let Some(text) = annotation(object, marks::HELM_HOOK) {
            for word in list(text) {
                match word {
                    "pre-install" | "pre-upgrade" => found.hook(Phase::PreSync),
                    "post-install" | "post-upgrade" => found.hook(Phase::PostSync),
                    // Definitions are objects like others.
                    "crd-install" => (),
                    _ => found.hooks = found.hooks.or_else(|| Some(Vec::new())),
                }
            }
        }
        let wave = annotation(object, marks::SYNC_WAVE).or_else(|| annotation(object, marks::HELM_HOOK_WEIGHT));
        found.wave = wave.and_then(|text| text.trim().parse().ok()).unwrap_or_default();
        let policies = annotation(object, marks::HOOK_DELETE_POLICY)
            .or_else(|| annotation(object, marks::HELM_HOOK_DELETE_POLICY))
            .unwrap_or_default();
        found.delete = list(policies)
            .filter_map(|word| match word {
                "BeforeHookCreation" | "before-hook-creation" => Some(DeletePolicy::BeforeHookCreation),
                "HookSucceeded" | "hook-succeeded" => Some(DeletePolicy::HookSucceeded),
                "HookFailed" | "hook-failed" => Some(DeletePolicy::HookFailed),
                _ => None,
            })
            .collect();
        if found.delete.is_empty() {
            found.delete.push(DeletePolicy::BeforeHookCreation);
        }
        found
    }

    fn hook(&mut self, phase: Phase) {
        let hooks = self.hooks.get_or_insert_default();
        if !hooks.contains(&phase) {
            hooks.push(phase);
        }
    }
}
