//! What a sync has done so far, object by object, as it stands in the status of the application.

use tinderbox_api::gitops::ResourceResult;

use super::Operation;
use super::mark::Phase;
use super::task::{Key, Task};

/// The results of a sync.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Results(Vec<ResourceResult>);

impl Results {
    /// The results in a status.
    #[must_use]
    pub fn new(results: Vec<ResourceResult>) -> Self {
        Self(results)
    }

    /// The results for a status.
    #[must_use]
    pub fn into_inner(self) -> Vec<ResourceResult> {
        self.0
    }

    /// Whether anything was done but that the application's namespace was made.
    pub(super) fn has_more_than_namespace(&self, namespace: Option<&Key>) -> bool {
        self.0.iter().any(|one| {
            let is_before = one.sync_phase == Phase::PreSync.as_str() && one.hook_type.is_empty();
            !(is_before
                && namespace.is_some_and(|key| one.kind == key.kind && one.group == key.group && one.name == key.name))
        })
    }

    /// What was done with a task.
    #[must_use]
    pub fn of(&self, task: &Task) -> Option<&ResourceResult> {
        self.0.iter().find(|one| is_about(one, task))
    }

    /// Nothing was done with a task.
    pub(super) fn is_pending(&self, task: &Task) -> bool {
        self.of(task).is_none()
    }

    /// A task is under way.
    pub(super) fn is_running(&self, task: &Task) -> bool {
        self.of(task).is_some_and(|one| one.hook_phase == Operation::Running.as_str())
    }

    /// A task has ended badly.
    pub(super) fn is_failed(&self, task: &Task) -> bool {
        self.of(task).is_some_and(|one| matches!(one.hook_phase.as_str(), "Failed" | "Error"))
    }

    /// The API did not take what a task is about.
    pub(super) fn is_refused(&self, task: &Task) -> bool {
        self.of(task).is_some_and(|one| one.status == "SyncFailed" && one.hook_phase == Operation::Failed.as_str())
    }

    /// A task has deleted its object.
    pub(super) fn is_pruned(&self, task: &Task) -> bool {
        self.of(task).is_some_and(|one| one.status == "Pruned")
    }

    /// Notes what was done with a task; an empty status is the one before.
    pub(super) fn put(&mut self, task: &Task, status: &str, phase: Operation, message: &str) {
        let found = self.0.iter_mut().find(|one| is_about(one, task));
        if let Some(one) = found {
            if !status.is_empty() {
                status.clone_into(&mut one.status);
            }
            phase.as_str().clone_into(&mut one.hook_phase);
            message.clone_into(&mut one.message);
            return;
        }
        self.0.push(ResourceResult {
            group: task.key.group.clone(),
            version: task.version.clone(),
            kind: task.key.kind.clone(),
            namespace: task.key.namespace.clone(),
            name: task.key.name.clone(),
            status: status.to_owned(),
            message: message.to_owned(),
            hook_type: if task.hook { task.phase.as_str().to_owned() } else { String::new() },
            hook_phase: phase.as_str().to_owned(),
            sync_phase: task.phase.as_str().to_owned(),
            images: Vec::new(),
        });
    }
}

fn is_about(result: &ResourceResult, task: &Task) -> bool {
    let Task { key, phase, .. } = task;
    result.group == key.group
        && result.kind == key.kind
        && result.namespace == key.namespace
        && result.name == key.name
        && result.sync_phase == phase.as_str()
}
