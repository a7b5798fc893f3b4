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

/// The phase that Argo CD's word stands for.
fn phase_of(word: &str) -> Option<Phase> {
    [Phase::PreSync, Phase::Sync, Phase::PostSync, Phase::SyncFail].into_iter().find(|phase| phase.as_str() == word)
}

/// The phase that Helm's word stands for.
fn helm_phase_of(word: &str) -> Option<Phase> {
    match word {
        "pre-install" | "pre-upgrade" => Some(Phase::PreSync),
        "post-install" | "post-upgrade" => Some(Phase::PostSync),
        _ => None,
    }
}

/// The value of a sync option of an object, as `false` of `Prune=false`.
pub(super) fn option<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    let all = annotation(object, marks::SYNC_OPTIONS).unwrap_or_default();
    list(all).filter_map(|one| one.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
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
        let words = |key: &str| annotation(object, key).map(|text| list(text).collect::<Vec<_>>());
        let own = words(marks::HOOK);
        let helm = words(marks::HELM_HOOK).filter(|words| *words != ["crd-install"]);
        let phases: Vec<Phase> = own.iter().flatten().filter_map(|word| phase_of(word)).collect();
        let skips = own.iter().flatten().any(|word| *word == "Skip");
        // Helm's words count where Argo CD's say nothing. Words that nobody knows make a hook of no phase, which never runs: so do
        // those of deletions.
        let phases = if phases.is_empty() && !skips {
            helm.iter().flatten().filter_map(|word| helm_phase_of(word)).collect()
        } else {
            phases
        };
        found.skip = skips && phases.is_empty();
        if !found.skip && (own.is_some() || helm.is_some()) {
            found.hooks = Some(Vec::new());
        }
        phases.into_iter().for_each(|phase| found.hook(phase));
        let number = |key: &str| annotation(object, key).and_then(|text| text.parse().ok());
        found.wave = number(marks::SYNC_WAVE).or_else(|| number(marks::HELM_HOOK_WEIGHT)).unwrap_or_default();
        let policies = [marks::HOOK_DELETE_POLICY, marks::HELM_HOOK_DELETE_POLICY];
        found.delete = policies
            .iter()
            .flat_map(|key| list(annotation(object, key).unwrap_or_default()))
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
