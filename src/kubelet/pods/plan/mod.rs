//! What to do next for a pod: a pure function of its rules, its state and the time. It decides; `act` carries out and
//! writes the outcome back into the state.

use jiff::{SignedDuration, Timestamp};

use super::model::{Container, PodState, RestartPolicy, Role, Rules, Run, Running, Sandbox, Stage, Verdict};

#[cfg(test)]
mod tests;

/// Shortest time between a failed image pull and the word that it is backing off.
const PULL_REPORT: SignedDuration = SignedDuration::from_secs(1);
/// What a stop signal gets at least after a preStop hook that used up the grace.
const LEAST_GRACE: SignedDuration = SignedDuration::from_secs(2);

/// One thing to do; containers are named by their place in the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    PrepareVolumes,
    CreateSandbox,
    /// Resolve the image and start the process.
    Start(usize),
    /// Tell that the container waits after a crash.
    ReportBackOff(usize),
    /// Tell that the image's pull waits.
    ReportPullBackOff(usize),
    /// Begin to stop: the preStop hook, if there is one.
    Stop {
        container: usize,
        deadline: Timestamp,
        message: Option<String>,
    },
    /// Send the stop signal; SIGKILL follows at the deadline.
    Terminate {
        container: usize,
        deadline: Timestamp,
    },
    /// Send SIGKILL.
    Kill(usize),
    /// The pod has failed as a whole.
    Fail(Verdict),
    /// Remove sandbox and volumes.
    Remove,
    /// Delete the object from the API.
    Delete,
}

/// What to do now, and when to look again if nothing happens.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) actions: Vec<Action>,
    pub(crate) wake: Option<Timestamp>,
}

impl Plan {
    fn wake(&mut self, at: Timestamp) {
        self.wake = Some(self.wake.map_or(at, |known| known.min(at)));
    }
}

/// Decides what to do for a pod at `now`.
pub(crate) fn plan(rules: &Rules, state: &PodState, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    if state.removed {
        if state.deletion.is_some_and(|d| !d.gone) && !state.deleted {
            plan.actions.push(Action::Delete);
        }
        return plan;
    }
    if let Some(deadline) = ending_deadline(rules, state) {
        end(state, deadline, now, &mut plan);
        return plan;
    }
    if let Some(limit) = rules.active_deadline {
        let at = state.started_at.saturating_add(limit).unwrap_or(now);
        if now >= at && !state.is_over(rules) {
            plan.actions.push(Action::Fail(Verdict {
                reason: "DeadlineExceeded",
                message: "Pod was active on the node longer than the specified deadline".into(),
                at: now,
                refused: false,
                grace: None,
            }));
            return plan;
        }
        plan.wake(at);
    }
    if state.is_over(rules) {
        end(state, now.saturating_add(rules.grace).unwrap_or(now), now, &mut plan);
        return plan;
    }
    if !state.volumes_ready || state.sandbox == Sandbox::None {
        match state.retry_at {
            Some(at) if now < at => plan.wake(at),
            _ if state.volumes_ready => plan.actions.push(Action::CreateSandbox),
            _ => plan.actions.push(Action::PrepareVolumes),
        }
        return plan;
    }
    for (index, container) in state.containers.iter().enumerate() {
        if let Some(running) = container.running() {
            keep_or_stop(rules, index, running, now, &mut plan);
        }
        if container.role == Role::Ephemeral {
            want(RestartPolicy::Never, index, container, now, &mut plan);
        }
    }
    if initialise(rules, state, now, &mut plan) {
        for (index, container) in state.containers.iter().enumerate() {
            if container.role == Role::Main {
                want(rules.restart, index, container, now, &mut plan);
            }
        }
    }
    plan
}

/// When everything must be dead, if the pod is on its way out.
fn ending_deadline(rules: &Rules, state: &PodState) -> Option<Timestamp> {
    let verdict = state.verdict.as_ref().map(|v| v.at.saturating_add(v.grace.unwrap_or(rules.grace)).unwrap_or(v.at));
    match (state.deletion, verdict) {
        (Some(deletion), Some(verdict)) => Some(deletion.deadline.min(verdict)),
        (Some(deletion), None) => Some(deletion.deadline),
        (None, verdict) => verdict,
    }
}

/// Stops what runs (sidecars last, in reverse order), then removes the pod.
fn end(state: &PodState, deadline: Timestamp, now: Timestamp, plan: &mut Plan) {
    let force = state.deletion.is_some_and(|d| d.force);
    let mut later_runs = state.containers.iter().any(|c| c.role != Role::Sidecar && c.running().is_some());
    for (index, container) in state.containers.iter().enumerate().rev() {
        let Some(running) = container.running() else {
            continue;
        };
        let held = container.role == Role::Sidecar && later_runs && now < deadline && !force;
        if container.role == Role::Sidecar {
            later_runs = true;
        }
        match &running.stopping {
            None if held => plan.wake(deadline),
            None => plan.actions.push(Action::Stop { container: index, deadline, message: None }),
            Some(stopping) => {
                let deadline = if stopping.stage == Stage::Asked || force {
                    stopping.deadline.min(deadline)
                } else {
                    stopping.deadline
                };
                drive(index, stopping.stage, deadline, now, plan);
            }
        }
    }
    if !state.any_running() {
        plan.actions.push(Action::Remove);
    }
}

/// Moves a stop on: hook, signal, force.
fn drive(index: usize, stage: Stage, deadline: Timestamp, now: Timestamp, plan: &mut Plan) {
    let terminate = |deadline| Action::Terminate { container: index, deadline };
    match stage {
        Stage::PreStop if now < deadline => plan.wake(deadline),
        Stage::PreStop | Stage::HookDone => {
            let least = now.saturating_add(LEAST_GRACE).unwrap_or(now);
            plan.actions.push(terminate(deadline.max(least)));
        }
        Stage::Asked if now < deadline => plan.wake(deadline),
        Stage::Asked => plan.actions.push(Action::Kill(index)),
        Stage::Forced => {}
    }
}

/// A running container of a healthy pod: stop it when a probe said so.
fn keep_or_stop(rules: &Rules, index: usize, running: &Running, now: Timestamp, plan: &mut Plan) {
    match (&running.stopping, &running.kill) {
        (Some(stopping), _) => drive(index, stopping.stage, stopping.deadline, now, plan),
        (None, Some(order)) => plan.actions.push(Action::Stop {
            container: index,
            deadline: now.saturating_add(order.grace.unwrap_or(rules.grace)).unwrap_or(now),
            message: Some(order.message.clone()),
        }),
        (None, None) => {}
    }
}

/// Brings the init containers forward; true when the main containers may run.
fn initialise(rules: &Rules, state: &PodState, now: Timestamp, plan: &mut Plan) -> bool {
    let begun = state.mains_begun();
    for (index, container) in state.containers.iter().enumerate() {
        match (container.role, &container.run) {
            (Role::Main | Role::Ephemeral, _) => break,
            (Role::Init, _) if begun => {}
            (Role::Init, Run::Ended(ended)) if ended.code == 0 => {}
            (Role::Init, _) => {
                // An init container with restartPolicy Always in the pod is retried like OnFailure.
                let policy = match rules.restart {
                    RestartPolicy::Never => RestartPolicy::Never,
                    _ => RestartPolicy::OnFailure,
                };
                want(policy, index, container, now, plan);
                return false;
            }
            (Role::Sidecar, Run::Running(running)) if begun || running.is_started() => {}
            (Role::Sidecar, _) => {
                want(RestartPolicy::Always, index, container, now, plan);
                if !begun {
                    return false;
                }
            }
        }
    }
    true
}

/// Starts a container that waits or ended, when its time has come.
fn want(policy: RestartPolicy, index: usize, container: &Container, now: Timestamp, plan: &mut Plan) {
    match &container.run {
        Run::Starting | Run::Running(_) => {}
        Run::Waiting(waiting) => match waiting.retry_at {
            Some(at) if now < at => {
                plan.wake(at);
                if let ("ErrImagePull", Some(since)) = (waiting.reason, waiting.since) {
                    let report = since.saturating_add(PULL_REPORT).unwrap_or(now);
                    if now >= report {
                        plan.actions.push(Action::ReportPullBackOff(index));
                    } else {
                        plan.wake(report);
                    }
                }
            }
            _ => plan.actions.push(Action::Start(index)),
        },
        Run::Ended(ended) if policy.restarts(ended.code) => match container.backoff.wait(ended.finished_at) {
            Some((_, until)) if now < until => {
                plan.wake(until);
                if !container.backoff.reported {
                    plan.actions.push(Action::ReportBackOff(index));
                }
            }
            _ => plan.actions.push(Action::Start(index)),
        },
        Run::Ended(_) => {}
    }
}
