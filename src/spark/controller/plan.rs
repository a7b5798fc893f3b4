//! What an application wants done next, by its state: one function per state, from what is seen to a plan. Pure.
//! Upstream rule: `Reconcile` in `internal/controller/sparkapplication/controller.go` of kubeflow/spark-operator.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use tinderbox_api::spark::{SparkApplicationStatus, State, labels};
use tinderbox_client::clock::after;
use tinderbox_client::{Note, Plan, Step};
use uuid::Uuid;

use super::observed::Observed;
use super::pods::{DriverState, driver_end, driver_state};
use super::reset::reset;
use super::submit::{self, claim};
use super::{beside, executors, notes, retry, ui};
use crate::Config;

/// How long a driver's pod may be missing after its submission.
const GRACE: Duration = Duration::from_secs(10);

/// A plan, and whether it makes the objects of a submission: then a refusal is the submission's failure.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Turn {
    pub(super) plan: Plan,
    pub(super) submits: bool,
}

impl From<Plan> for Turn {
    fn from(plan: Plan) -> Self {
        Self { plan, submits: false }
    }
}

/// Plans the next step of an application; `fresh` is the id of a submission if one begins.
pub(super) fn plan(observed: &Observed, config: &Config, fresh: Uuid, now: Timestamp) -> Turn {
    let state = observed.state();
    if observed.app.metadata.deletion_timestamp.is_some() {
        return Plan::default().into();
    }
    if observed.spec.suspend == Some(true)
        && !state.is_terminated()
        && !matches!(state, State::Suspending | State::Suspended)
    {
        return enter(observed, observed.status.clone(), State::Suspending).into();
    }
    if is_outdated(observed) {
        return enter(observed, observed.status.clone(), State::Invalidating).into();
    }
    match state {
        State::Submitted | State::Running | State::Unknown => follow(observed, now).into(),
        State::SubmissionFailed => submission_failed(observed, config, fresh, now),
        State::PendingRerun => pending_rerun(observed, config, fresh, now),
        State::Succeeding => succeeding(observed).into(),
        State::Failing => failing(observed, now).into(),
        State::Invalidating => rerun(observed).into(),
        State::Suspending => suspending(observed).into(),
        State::Suspended => suspended(observed).into(),
        State::New | State::Resuming => submit::submit(observed, config, fresh, now),
        State::Completed | State::Failed => terminated(observed, now).into(),
    }
}

/// Whether the driver was made for what the application no longer says.
fn is_outdated(observed: &Observed) -> bool {
    let settled = matches!(
        observed.state(),
        State::Submitted
            | State::Running
            | State::Unknown
            | State::Succeeding
            | State::Failing
            | State::Completed
            | State::Failed
    );
    let made_for = observed.driver().and_then(|driver| driver.annotations().get(submit::SUBMITTED_SPEC));
    settled && made_for.is_some_and(|digest| *digest != submit::digest(&observed.app))
}

/// Writes a state down, and says what is to be said of it.
fn enter(observed: &Observed, mut status: SparkApplicationStatus, state: State) -> Plan {
    let mut plan = Plan::default();
    status.application_state.state = state;
    claim(observed, &status).into_iter().for_each(|step| plan.push(step));
    plan.notes.extend(notes::application(&observed.app, &status));
    plan
}

/// Takes away what a run has left, in a stage of its own.
fn clear(observed: &Observed, plan: &mut Plan) {
    if let Some(pod) = observed.own_pod().filter(|pod| pod.metadata.deletion_timestamp.is_none()) {
        plan.push(Step::delete(&**pod));
    }
    if let Some(service) = observed.own_service() {
        plan.push(Step::delete(&**service));
    }
    beside::gone(observed).into_iter().for_each(|step| plan.push(step));
    plan.then();
}

/// Takes away what a run has left, and begins anew with the next.
fn rerun(observed: &Observed) -> Plan {
    let mut plan = Plan::default();
    clear(observed, &mut plan);
    let status = reset(&observed.status, State::PendingRerun);
    claim(observed, &status).into_iter().for_each(|step| plan.push(step));
    plan.notes.extend(notes::application(&observed.app, &status));
    plan
}

/// Follows the driver and its executors.
fn follow(observed: &Observed, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let mut status = observed.status.clone();
    match observed.driver() {
        Some(_) => follow_driver(observed, &mut status, &mut plan, now),
        None => {
            let last = status.last_submission_attempt_time.as_ref().map_or(Timestamp::MIN, |time| time.0);
            let patience = after(last, GRACE);
            if observed.state() == State::Submitted && now < patience {
                plan.at(patience);
                return plan;
            }
            lose_driver(observed, &mut status, &mut plan, now);
        }
    }
    executors::update(observed, &mut status, &mut plan);
    let begins = observed.state() == State::Submitted || status.application_state.state == State::Running;
    match observed.own_service() {
        Some(service) => ui::describe(service, &mut status),
        None if begins && observed.driver().is_some() => plan.push(Step::apply(&ui::wanted(observed))),
        None => {}
    }
    claim(observed, &status).into_iter().for_each(|step| plan.push(step));
    plan
}

fn lose_driver(observed: &Observed, status: &mut SparkApplicationStatus, plan: &mut Plan, now: Timestamp) {
    let message = format!(
        "Driver pod {} not found after grace period {}s, marking application as Failing",
        status.driver_info.pod_name,
        GRACE.as_secs()
    );
    plan.note(Note::warning(&*observed.app, "SparkDriverNotFound", message));
    status.application_state.state = State::Failing;
    status.application_state.error_message = "driver pod not found".to_owned();
    status.termination_time = Some(Time(now));
}

fn follow_driver(observed: &Observed, status: &mut SparkApplicationStatus, plan: &mut Plan, now: Timestamp) {
    let Some(driver) = observed.driver() else { return };
    if let Some(id) = driver.labels().get(labels::SELECTOR) {
        status.spark_application_id.clone_from(id);
    }
    let state = driver_state(driver);
    if state.is_terminated() {
        status.termination_time.get_or_insert(Time(now));
    }
    if state == DriverState::Failed {
        let end = driver_end(driver).map(|end| (end.exit_code, end.reason.clone().unwrap_or_default()));
        match end {
            Some((code, reason)) if code != 0 => {
                status.application_state.error_message =
                    format!("driver container failed with ExitCode: {code}, Reason: {reason}");
            }
            Some(_) => {}
            None => "driver container status missing".clone_into(&mut status.application_state.error_message),
        }
    }
    if state.of_application() != status.application_state.state {
        plan.note(notes::driver(&observed.app, state, &driver.name_any()));
        status.application_state.state = state.of_application();
    }
}

fn submission_failed(observed: &Observed, config: &Config, fresh: Uuid, now: Timestamp) -> Turn {
    if submit::is_under_way(&observed.status) {
        return submit::submit(observed, config, fresh, now);
    }
    let mut plan = Plan::default();
    if !retry::wanted(&observed.spec, &observed.status) {
        let mut status = observed.status.clone();
        status.termination_time = Some(Time(now));
        return enter(observed, status, State::Failed).into();
    }
    let due = retry::due(&observed.spec, &observed.status);
    if now < due {
        plan.at(due);
    } else if observed.is_cleared() {
        return submit::submit(observed, config, fresh, now);
    } else {
        clear(observed, &mut plan);
    }
    plan.into()
}

fn pending_rerun(observed: &Observed, config: &Config, fresh: Uuid, now: Timestamp) -> Turn {
    if submit::is_under_way(&observed.status) || observed.is_cleared() {
        return submit::submit(observed, config, fresh, now);
    }
    let mut plan = Plan::default();
    clear(observed, &mut plan);
    plan.into()
}

fn succeeding(observed: &Observed) -> Plan {
    if retry::wanted(&observed.spec, &observed.status) {
        return rerun(observed);
    }
    enter(observed, observed.status.clone(), State::Completed)
}

fn failing(observed: &Observed, now: Timestamp) -> Plan {
    if !retry::wanted(&observed.spec, &observed.status) {
        // The driver's own event has told why; upstream tells of failed applications only when none was submitted.
        let mut plan = enter(observed, observed.status.clone(), State::Failed);
        plan.notes.clear();
        return plan;
    }
    let due = retry::due(&observed.spec, &observed.status);
    if now >= due {
        return rerun(observed);
    }
    let mut plan = Plan::default();
    plan.at(due);
    plan
}

fn suspending(observed: &Observed) -> Plan {
    let mut plan = Plan::default();
    clear(observed, &mut plan);
    let status = reset(&observed.status, State::Suspended);
    claim(observed, &status).into_iter().for_each(|step| plan.push(step));
    plan.notes.extend(notes::application(&observed.app, &status));
    plan
}

fn suspended(observed: &Observed) -> Plan {
    if !observed.is_cleared() {
        let mut plan = Plan::default();
        clear(observed, &mut plan);
        return plan;
    }
    if observed.spec.suspend == Some(true) {
        return Plan::default();
    }
    enter(observed, observed.status.clone(), State::Resuming)
}

/// Keeps the executors' last states right, and removes the application when its time is over.
fn terminated(observed: &Observed, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let ended = observed.status.termination_time.as_ref().map(|time| time.0);
    if let (Some(ended), Some(seconds)) = (ended, observed.spec.time_to_live_seconds) {
        let over = after(ended, Duration::from_secs(u64::try_from(seconds).unwrap_or_default()));
        if now > over {
            plan.push(Step::delete(&*observed.app));
            return plan;
        }
        // A moment later: the time has to be over, not to be reached.
        plan.at(after(over, Duration::from_millis(1)));
    }
    let mut status = observed.status.clone();
    executors::update(observed, &mut status, &mut plan);
    // A driver may have ended before its service was there.
    if let Some(service) = observed.own_service() {
        ui::describe(service, &mut status);
    }
    claim(observed, &status).into_iter().for_each(|step| plan.push(step));
    plan
}

#[cfg(test)]
mod tests;
