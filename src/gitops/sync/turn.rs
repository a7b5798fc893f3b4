//! One turn of a sync: what is to be done now, seen from what was done before; and what is to be said once it was tried.

use super::Operation;
use super::mark::{DeletePolicy, Phase};
use super::results::Results;
use super::task::{Sync, Task};
use crate::health::{self, Health};

/// One thing to do now, by the index of its task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// The object is written.
    Apply(usize),
    /// The object is deleted.
    Prune(usize),
    /// A hook of an earlier time, or one that has done its work, is deleted.
    DeleteHook(usize),
}

impl Act {
    /// The index of its task.
    #[must_use]
    pub fn task(self) -> usize {
        match self {
            Self::Apply(index) | Self::Prune(index) | Self::DeleteHook(index) => index,
        }
    }
}

/// What is to be done now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// Every task is tried without effect. Without an objection the sync goes on.
    Check(Vec<usize>),
    /// These things, in this order.
    Do(Vec<Act>),
    /// Nothing, until something changes.
    Wait(String),
    /// The sync is over, once these hooks are deleted.
    End(Operation, String, Vec<Act>),
}

/// How something went: what was said of it.
pub type Outcome = Result<String, String>;

/// What follows from a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// The next turn can come at once.
    Again(String),
    /// The sync is over, once these hooks are deleted.
    End(Operation, String, Vec<Act>),
}

const INVALID: &str = "one or more synchronization tasks are not valid";
const NOT_APPLIED: &str = "one or more objects failed to apply";
const UNSUCCESSFUL: &str = "one or more synchronization tasks completed unsuccessfully";

impl Sync {
    /// What is to be done now. Results are brought up to date with what the objects say of themselves.
    pub fn turn(&self, results: &mut Results) -> Turn {
        if results.is_empty() {
            let all: Vec<usize> = (0..self.tasks.len()).filter(|index| self.is_wanted(&self.tasks[*index])).collect();
            if all.is_empty() {
                return Turn::End(Operation::Succeeded, "successfully synced (no more tasks)".to_owned(), Vec::new());
            }
            return Turn::Check(all);
        }
        self.proceed(results)
    }

    /// What is to be done now that all tasks are known to be valid.
    pub fn proceed(&self, results: &mut Results) -> Turn {
        self.skip_what_may_not_go(results);
        self.look(results);
        let steps = self.has_steps();
        let running: Vec<&Task> =
            self.tasks.iter().filter(|task| (steps || task.hook) && results.is_running(task)).collect();
        if !running.is_empty() {
            return Turn::Wait(waiting_for(&running));
        }
        let regular = || self.tasks.iter().enumerate().filter(|(_, task)| task.phase != Phase::SyncFail);
        if regular().any(|(_, task)| results.is_failed(task)) {
            let refused = self.tasks.iter().filter_map(|task| results.of(task)).find(|one| one.status == "SyncFailed");
            let message = refused.map(|one| format!("{NOT_APPLIED}, reason: {}", one.message));
            return self.fail(results, &message.unwrap_or_else(|| UNSUCCESSFUL.to_owned()));
        }
        let pending: Vec<(usize, &Task)> =
            regular().filter(|(_, task)| self.is_wanted(task) && results.is_pending(task)).collect();
        let Some((_, first)) = pending.first() else {
            let gone = self.finished_hooks(results, DeletePolicy::HookSucceeded);
            return Turn::End(Operation::Succeeded, "successfully synced (all tasks run)".to_owned(), gone);
        };
        let step = (first.phase, first.wave);
        let now: Vec<(usize, &Task)> =
            pending.into_iter().filter(|(_, task)| (task.phase, task.wave) == step).collect();
        match now.iter().find(|(_, task)| self.needs_leave(task)) {
            Some((_, task)) => Turn::Wait(format!("waiting for pruning confirmation of {}", task.key)),
            None => Turn::Do(acts(&now)),
        }
    }

    /// What follows once a check was tried.
    pub fn checked(&self, results: &mut Results, outcomes: &[(usize, Outcome)]) -> Option<Settled> {
        let mut reason = None;
        for (index, outcome) in outcomes {
            if let Err(error) = outcome {
                results.put(&self.tasks[*index], "SyncFailed", Operation::Failed, error);
                reason.get_or_insert_with(|| error.clone());
            }
        }
        let message = reason.map(|reason| format!("{INVALID} (dry run), reason: {reason}"));
        if let Some(message) = message {
            return Some(Settled::End(Operation::Failed, message, Vec::new()));
        }
        let end = "successfully synced (dry run)".to_owned();
        self.settings.dry_run.then(|| {
            for (index, _) in outcomes {
                let task = &self.tasks[*index];
                let (status, said) =
                    if task.prunes() { ("Pruned", "pruned (dry run)") } else { ("Synced", "(dry run)") };
                results.put(task, status, Operation::Succeeded, said);
            }
            Settled::End(Operation::Succeeded, end, Vec::new())
        })
    }

    /// What follows once things were tried.
    pub fn settle(&self, results: &mut Results, outcomes: &[(Act, Outcome)]) -> Settled {
        let mut reason = None;
        let mut in_failure = false;
        for (act, outcome) in outcomes {
            let task = &self.tasks[act.task()];
            in_failure |= task.phase == Phase::SyncFail;
            match (act, outcome) {
                (Act::Apply(_), Ok(said)) => results.put(task, "Synced", Operation::Running, said),
                (Act::Prune(_), Ok(said)) => results.put(task, "Pruned", Operation::Succeeded, said),
                (Act::DeleteHook(_), Ok(_)) => (),
                (_, Err(error)) => {
                    results.put(task, "SyncFailed", Operation::Failed, error);
                    reason.get_or_insert_with(|| error.clone());
                }
            }
        }
        // What has failed is looked at in the next turn: hooks may have to run, and others to go.
        if let Some(reason) = reason {
            return Settled::Again(format!("{NOT_APPLIED}, reason: {reason}"));
        }
        let left = self.tasks.iter().filter(|task| self.is_wanted(task) && task.phase != Phase::SyncFail);
        let open: Vec<&Task> =
            left.filter(|task| results.is_pending(task) || (task.hook && results.is_running(task))).collect();
        // What remains are plain objects: that they work is health's affair, not the sync's.
        if open.is_empty() && !in_failure {
            let gone = self.finished_hooks(results, DeletePolicy::HookSucceeded);
            return Settled::End(Operation::Succeeded, "successfully synced (all tasks run)".to_owned(), gone);
        }
        let running: Vec<&Task> = self.tasks.iter().filter(|task| results.is_running(task)).collect();
        Settled::Again(if running.is_empty() {
            "one or more tasks are running".to_owned()
        } else {
            waiting_for(&running)
        })
    }

    /// Whether a task has a part in this sync.
    fn is_wanted(&self, task: &Task) -> bool {
        !self.settings.out_of_sync_only || task.hook || task.modified || task.prunes()
    }

    /// Notes what is not deleted though the source has it no more.
    fn skip_what_may_not_go(&self, results: &mut Results) {
        for task in self.tasks.iter().filter(|task| task.prunes()) {
            if !results.is_pending(task) {
                continue;
            }
            if task.has("Prune=false") || self.settings.prune_never {
                results.put(task, "PruneSkipped", Operation::Succeeded, "ignored (no prune)");
            } else if !self.settings.prune {
                results.put(task, "PruneSkipped", Operation::Succeeded, "ignored (requires pruning)");
            }
        }
    }

    /// Whether a task deletes what is only deleted with leave.
    fn needs_leave(&self, task: &Task) -> bool {
        let asks = task.has("Prune=confirm") || self.settings.prune_confirm;
        task.prunes() && asks && !self.settings.prune_confirmed
    }

    /// Brings the results of what is under way up to date with what the objects say of themselves.
    fn look(&self, results: &mut Results) {
        for task in &self.tasks {
            if !results.is_running(task) || task.prunes() {
                continue;
            }
            let Some(live) = &task.live else {
                if task.hook {
                    results.put(task, "", Operation::Failed, "the hook is gone before it has ended");
                }
                continue;
            };
            let said = results.of(task).map(|one| one.message.clone()).unwrap_or_default();
            let found = health::of(live);
            let message = found.as_ref().map_or(said, |found| found.message.clone());
            match (found.map(|found| found.health), task.hook) {
                (None | Some(Health::Healthy), _) => results.put(task, "", Operation::Succeeded, &message),
                (Some(Health::Degraded), _) | (Some(Health::Unknown), true) => {
                    results.put(task, "", Operation::Failed, &message);
                }
                _ => results.put(task, "", Operation::Running, &message),
            }
        }
    }

    /// The sync has failed: what is made for that case runs, and then it is over.
    fn fail(&self, results: &Results, message: &str) -> Turn {
        let last: Vec<(usize, &Task)> =
            self.tasks.iter().enumerate().filter(|(_, task)| task.phase == Phase::SyncFail).collect();
        let running: Vec<&Task> =
            last.iter().filter(|(_, task)| results.is_running(task)).map(|(_, task)| *task).collect();
        if !running.is_empty() {
            return Turn::Wait(waiting_for(&running));
        }
        let pending: Vec<(usize, &Task)> = last.iter().filter(|(_, task)| results.is_pending(task)).copied().collect();
        if pending.is_empty() || last.iter().any(|(_, task)| results.is_failed(task)) {
            return Turn::End(
                Operation::Failed,
                message.to_owned(),
                self.finished_hooks(results, DeletePolicy::HookFailed),
            );
        }
        let wave = pending[0].1.wave;
        let now: Vec<(usize, &Task)> = pending.into_iter().filter(|(_, task)| task.wave == wave).collect();
        Turn::Do(acts(&now))
    }

    /// Hooks that have ended and are deleted in this case; hooks of a failure go when they have done their own work.
    fn finished_hooks(&self, results: &Results, policy: DeletePolicy) -> Vec<Act> {
        let ended = self.tasks.iter().enumerate().filter(|(_, task)| {
            let for_failure = task.phase == Phase::SyncFail;
            let policy = match (for_failure, results.is_successful(task)) {
                (true, true) => DeletePolicy::HookSucceeded,
                (true, false) => DeletePolicy::HookFailed,
                (false, _) => policy,
            };
            task.deletes(policy) && (results.is_successful(task) || results.is_failed(task))
        });
        ended.map(|(index, _)| Act::DeleteHook(index)).collect()
    }
}

/// The things to do for the tasks of one step. Hooks of earlier times go first, and what is new waits until they are gone.
fn acts(tasks: &[(usize, &Task)]) -> Vec<Act> {
    let old: Vec<Act> = tasks
        .iter()
        .filter(|(_, task)| task.deletes(DeletePolicy::BeforeHookCreation))
        .map(|(index, _)| Act::DeleteHook(*index))
        .collect();
    if !old.is_empty() {
        return old;
    }
    tasks.iter().map(|(index, task)| if task.prunes() { Act::Prune(*index) } else { Act::Apply(*index) }).collect()
}

fn waiting_for(tasks: &[&Task]) -> String {
    let hook = tasks.iter().find(|task| task.hook);
    let Some(first) = hook.or(tasks.first()) else { return String::new() };
    let reason = if hook.is_some() { "completion of hook" } else { "healthy state of" };
    let kind = if tasks.iter().all(|task| task.hook) { "hooks" } else { "resources" };
    match tasks.len() - 1 {
        0 => format!("waiting for {reason} {}", first.key),
        more => format!("waiting for {reason} {} and {more} more {kind}", first.key),
    }
}
