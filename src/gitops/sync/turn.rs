//! One turn of a sync: what is to be done now, seen from what was done before; and what is to be said once it was tried.

use super::Operation;
use super::mark::{DeletePolicy, Phase};
use super::results::Results;
use super::task::{Key, Sync, Task};
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

/// What stands against a task before anything is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Objection {
    /// It cannot be: nobody serves its kind, or its project does not let it through.
    Invalid(String),
    /// The API refuses it.
    Refused(String),
}

/// Whether anything stands against a task.
pub type Check = Result<(), Objection>;

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
const NO_MORE: &str = "successfully synced (no more tasks)";

impl Sync {
    /// What is to be done now. Results are brought up to date with what the objects say of themselves.
    pub fn turn(&self, results: &mut Results) -> Turn {
        let own = self.settings.namespace.as_ref().map(Key::of);
        if results.has_more_than_namespace(own.as_ref()) {
            return self.proceed(results);
        }
        let pending = |task: &Task| self.is_wanted(task) && results.is_pending(task);
        // What stands in a namespace cannot be tried before there is one.
        let namespace = self.tasks.iter().position(|task| task.namespace && pending(task));
        if let Some(index) = namespace.filter(|_| !self.settings.dry_run) {
            return Turn::Do(vec![Act::Apply(index)]);
        }
        let all: Vec<usize> = (0..self.tasks.len()).filter(|index| pending(&self.tasks[*index])).collect();
        if all.is_empty() { self.proceed(results) } else { Turn::Check(all) }
    }

    /// What is to be done now that all tasks are known to be valid.
    pub fn proceed(&self, results: &mut Results) -> Turn {
        self.skip_what_may_not_go(results);
        self.look(results);
        let calls = self.pending_calls(results);
        // What the API refuses is called out at once, and hooks that are under way are waited for after that.
        if !calls.is_empty() && self.regular().any(|(_, task)| results.is_refused(task)) {
            return begin(&calls);
        }
        let running = self.running(results);
        if !running.is_empty() {
            return Turn::Wait(waiting_for(&running));
        }
        let going: Vec<&Task> = self.tasks.iter().filter(|task| results.is_pruned(task) && task.is_going()).collect();
        if !going.is_empty() {
            return Turn::Wait(waiting_for_deletion(&going));
        }
        if self.regular().any(|(_, task)| results.is_failed(task)) {
            return self.fail(results);
        }
        let pending: Vec<(usize, &Task)> =
            self.regular().filter(|(_, task)| self.is_wanted(task) && results.is_pending(task)).collect();
        let Some((_, first)) = pending.first() else {
            let gone = self.hooks_to_delete(results, DeletePolicy::HookSucceeded);
            return Turn::End(Operation::Succeeded, NO_MORE.to_owned(), gone);
        };
        let step = (first.phase, first.wave);
        let now: Vec<(usize, &Task)> =
            pending.into_iter().filter(|(_, task)| (task.phase, task.wave) == step).collect();
        let asking: Vec<&Task> = now.iter().map(|(_, task)| *task).filter(|task| self.needs_leave(task)).collect();
        if asking.is_empty() {
            begin(&now)
        } else {
            Turn::Wait(waiting("pruning confirmation of", &asking, "resources"))
        }
    }

    /// What follows once a check was tried.
    pub fn checked(&self, results: &mut Results, outcomes: &[(usize, Check)]) -> Option<Settled> {
        let objections = || outcomes.iter().filter_map(|(index, outcome)| Some((*index, outcome.as_ref().err()?)));
        let is_invalid = objections().any(|(_, objection)| matches!(objection, Objection::Invalid(_)));
        let mut reasons = Vec::new();
        for (index, objection) in objections() {
            let (Objection::Invalid(reason) | Objection::Refused(reason)) = objection;
            // What cannot be is told alone: without it the rest may look otherwise.
            if !is_invalid || matches!(objection, Objection::Invalid(_)) {
                results.put(&self.tasks[index], "SyncFailed", Operation::Failed, reason);
                add(&mut reasons, reason);
            }
        }
        if is_invalid {
            reasons.sort_unstable();
            return Some(failed(format!("{INVALID}: {}", reasons.join("; "))));
        }
        if !reasons.is_empty() {
            return Some(failed(because(&format!("{NOT_APPLIED} (dry run)"), &reasons)));
        }
        self.settings.dry_run.then(|| {
            self.skip_what_may_not_go(results);
            for task in outcomes.iter().map(|(index, _)| &self.tasks[*index]) {
                if results.is_pending(task) {
                    let (status, said) =
                        if task.prunes() { ("Pruned", "pruned (dry run)") } else { ("Synced", "(dry run)") };
                    results.put(task, status, Operation::Succeeded, said);
                }
            }
            Settled::End(Operation::Succeeded, NO_MORE.to_owned(), Vec::new())
        })
    }

    /// Whether a turn goes on to `next`: not where something that had to go before it could not.
    #[must_use]
    pub fn goes_on(outcomes: &[(Act, Outcome)], next: Act) -> bool {
        let alike = |act: Act| std::mem::discriminant(&act) == std::mem::discriminant(&next);
        outcomes.iter().all(|(act, outcome)| outcome.is_ok() || matches!(act, Act::Apply(_)) || alike(*act))
    }

    /// What follows once things were tried.
    pub fn settle(&self, results: &mut Results, outcomes: &[(Act, Outcome)]) -> Settled {
        let mut reasons = Vec::new();
        let mut namespace_failed = false;
        for (act, outcome) in outcomes {
            let task = &self.tasks[act.task()];
            match (act, outcome) {
                (Act::Apply(_), Ok(said)) => results.put(task, "Synced", Operation::Running, said),
                (Act::Prune(_), Ok(said)) => results.put(task, "Pruned", Operation::Succeeded, said),
                (Act::DeleteHook(_), Ok(_)) => (),
                (_, Err(error)) => {
                    results.put(task, "SyncFailed", Operation::Failed, error);
                    add(&mut reasons, error);
                    namespace_failed |= task.namespace;
                }
            }
        }
        let running = self.running(results);
        if namespace_failed {
            return failed(because("the namespace failed to apply", &reasons));
        }
        // Without hooks that are under way or have to run yet the sync is over.
        if !reasons.is_empty() && running.is_empty() && self.calls().next().is_none() {
            let gone = self.hooks_to_delete(results, DeletePolicy::HookFailed);
            return Settled::End(Operation::Failed, because(NOT_APPLIED, &reasons), gone);
        }
        let is_open =
            |task: &Task| results.is_pending(task) || results.is_failed(task) || task.hook && results.is_running(task);
        let is_done = !self.regular().any(|(_, task)| self.is_wanted(task) && is_open(task));
        // What remains are plain objects: that they work is health's affair, not the sync's.
        if is_done && !outcomes.iter().any(|(act, _)| self.tasks[act.task()].hook) {
            let gone = self.hooks_to_delete(results, DeletePolicy::HookSucceeded);
            return Settled::End(Operation::Succeeded, "successfully synced (all tasks run)".to_owned(), gone);
        }
        let replaced = outcomes.iter().filter(|(act, _)| matches!(act, Act::DeleteHook(_)));
        let replaced: Vec<&Task> = replaced.map(|(act, _)| &self.tasks[act.task()]).collect();
        Settled::Again(match (running.is_empty(), replaced.is_empty()) {
            (false, _) => waiting_for(&running),
            (true, false) => waiting_for_deletion(&replaced),
            (true, true) => "one or more tasks are running".to_owned(),
        })
    }

    /// Ends a sync at somebody's wish: hooks that are under way go, what was written stays.
    /// Upstream rule: `Terminate` in `gitops-engine/pkg/sync/sync_context.go`.
    pub fn terminate(&self, results: &mut Results) -> Vec<Act> {
        let hooks = self.tasks.iter().enumerate().filter(|(_, task)| task.hook && task.live.is_some());
        let hooks: Vec<(usize, &Task)> = hooks.filter(|(_, task)| results.is_running(task)).collect();
        self.look(results);
        let mut gone = Vec::new();
        for (index, task) in hooks {
            if results.is_running(task) {
                results.put(task, "", Operation::Failed, "Terminated");
                gone.push(Act::DeleteHook(index));
            } else if task.deletes(DeletePolicy::HookFailed) {
                gone.push(Act::DeleteHook(index));
            }
        }
        gone
    }

    /// Tasks that are not only for failures.
    fn regular(&self) -> impl Iterator<Item = (usize, &Task)> {
        self.tasks.iter().enumerate().filter(|(_, task)| task.phase != Phase::SyncFail)
    }

    /// Hooks that are only for failures.
    fn calls(&self) -> impl Iterator<Item = (usize, &Task)> {
        self.tasks.iter().enumerate().filter(|(_, task)| task.phase == Phase::SyncFail)
    }

    fn pending_calls(&self, results: &Results) -> Vec<(usize, &Task)> {
        self.calls().filter(|(_, task)| results.is_pending(task)).collect()
    }

    /// Tasks that are waited for: hooks always, objects where there is more than one step.
    fn running(&self, results: &Results) -> Vec<&Task> {
        let steps = self.has_steps();
        self.tasks.iter().filter(|task| (steps || task.hook) && results.is_running(task)).collect()
    }

    /// Whether a task has a part in this sync.
    fn is_wanted(&self, task: &Task) -> bool {
        !self.settings.out_of_sync_only || task.hook || task.modified || task.prunes()
    }

    /// Whether pruning of a task's object is off, or needs leave: what the object says comes before what the application says.
    fn prune_option<'a>(&'a self, task: &'a Task) -> Option<&'a str> {
        let own = || match (self.settings.prune_never, self.settings.prune_confirm) {
            (true, _) => Some("false"),
            (false, true) => Some("confirm"),
            (false, false) => None,
        };
        task.option("Prune").or_else(own)
    }

    /// Notes what is not deleted though the source has it no more.
    fn skip_what_may_not_go(&self, results: &mut Results) {
        for task in self.tasks.iter().filter(|task| task.prunes()) {
            if !results.is_pending(task) {
                continue;
            }
            if !self.settings.prune {
                results.put(task, "PruneSkipped", Operation::Succeeded, "ignored (requires pruning)");
            } else if self.prune_option(task) == Some("false") {
                results.put(task, "PruneSkipped", Operation::Succeeded, "ignored (no prune)");
            }
        }
    }

    /// Whether a task deletes what is only deleted with leave.
    fn needs_leave(&self, task: &Task) -> bool {
        task.prunes() && self.prune_option(task) == Some("confirm") && !self.settings.prune_confirmed
    }

    /// Brings the results of what is under way up to date with what the objects say of themselves.
    fn look(&self, results: &mut Results) {
        let steps = self.has_steps();
        for task in &self.tasks {
            if !results.is_running(task) || task.prunes() {
                continue;
            }
            let Some(live) = &task.live else {
                if steps || task.hook {
                    let gone = format!("Resource {} is missing, it might have been deleted", task.key);
                    results.put(task, "SyncFailed", Operation::Error, &gone);
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

    /// The sync has failed: hooks for that case run, all at once, and then it is over.
    fn fail(&self, results: &Results) -> Turn {
        let mut all = self.hooks_to_delete(results, DeletePolicy::HookFailed);
        let calls = self.pending_calls(results);
        if calls.is_empty() {
            return Turn::End(Operation::Failed, self.what_failed(results), all);
        }
        let begun = begin(&calls);
        let Turn::Do(calls) = begun else { return begun };
        all.retain(|act| !calls.contains(act));
        all.extend(calls);
        Turn::Do(all)
    }

    /// The message of a sync that has failed.
    fn what_failed(&self, results: &Results) -> String {
        let reasons = |tasks: &mut dyn Iterator<Item = (usize, &Task)>| {
            let mut reasons = Vec::new();
            for one in tasks.filter_map(|(_, task)| results.of(task)).filter(|one| one.status == "SyncFailed") {
                add(&mut reasons, &one.message);
            }
            reasons
        };
        let message = because(UNSUCCESSFUL, &reasons(&mut self.regular()));
        match reasons(&mut self.calls()) {
            of_calls if of_calls.is_empty() => message,
            of_calls => format!("{message}\n{}", because("one or more SyncFail hooks failed", &of_calls)),
        }
    }

    /// Hooks that are there, not under way, and to be deleted at this end of a sync, each once.
    fn hooks_to_delete(&self, results: &Results, policy: DeletePolicy) -> Vec<Act> {
        let mut seen = Vec::new();
        let mut found = Vec::new();
        for (index, task) in self.tasks.iter().enumerate() {
            if task.deletes(policy) && !results.is_running(task) && !seen.contains(&&task.key) {
                seen.push(&task.key);
                found.push(Act::DeleteHook(index));
            }
        }
        found
    }
}

/// A hook of an earlier time that has to go before it is made anew.
fn is_replaced(task: &Task) -> bool {
    task.deletes(DeletePolicy::BeforeHookCreation)
}

fn failed(message: String) -> Settled {
    Settled::End(Operation::Failed, message, Vec::new())
}

/// Adds a reason that was not given yet.
fn add<'a>(reasons: &mut Vec<&'a str>, reason: &'a str) {
    if !reasons.contains(&reason) {
        reasons.push(reason);
    }
}

fn because(message: &str, reasons: &[&str]) -> String {
    if reasons.is_empty() { message.to_owned() } else { format!("{message}, reason: {}", reasons.join(",")) }
}

/// What is to be done for the tasks of one step.
fn begin(tasks: &[(usize, &Task)]) -> Turn {
    let replaced: Vec<&Task> = tasks.iter().map(|(_, task)| *task).filter(|task| is_replaced(task)).collect();
    if !replaced.is_empty() && replaced.iter().all(|task| task.is_going()) {
        return Turn::Wait(waiting_for_deletion(&replaced));
    }
    Turn::Do(acts(tasks))
}

/// The things to do for the tasks of one step: deletions first. Hooks of earlier times go, and what is new waits until they are gone.
fn acts(tasks: &[(usize, &Task)]) -> Vec<Act> {
    let (prunes, rest): (Vec<_>, Vec<_>) = tasks.iter().partition(|(_, task)| task.prunes());
    let old = rest.iter().filter(|(_, task)| is_replaced(task));
    let old: Vec<Act> = old.map(|(index, _)| Act::DeleteHook(*index)).collect();
    let new = || rest.iter().map(|(index, _)| Act::Apply(*index)).collect();
    let prunes = prunes.iter().map(|(index, _)| Act::Prune(*index));
    prunes.chain(if old.is_empty() { new() } else { old }).collect()
}

fn waiting_for(tasks: &[&Task]) -> String {
    let is_hook = tasks.iter().any(|task| task.hook);
    waiting(if is_hook { "completion of hook" } else { "healthy state of" }, tasks, kind_of(tasks))
}

fn waiting_for_deletion(tasks: &[&Task]) -> String {
    let is_hook = tasks.iter().any(|task| task.hook);
    waiting(if is_hook { "deletion of hook" } else { "deletion of" }, tasks, kind_of(tasks))
}

fn kind_of(tasks: &[&Task]) -> &'static str {
    if tasks.iter().all(|task| task.hook) { "hooks" } else { "resources" }
}

/// What is waited for, by the first hook, or the first object without any.
fn waiting(reason: &str, tasks: &[&Task], kind: &str) -> String {
    let Some(first) = tasks.iter().find(|task| task.hook).or(tasks.first()) else { return String::new() };
    match tasks.len() - 1 {
        0 => format!("waiting for {reason} {}", first.key),
        more => format!("waiting for {reason} {} and {more} more {kind}", first.key),
    }
}
