//! Submitting an application so that a controller killed at any moment goes on with the same submission: the submission is
//! written down first, its driver is made next and marked with its id, and what the driver owns last. Pure.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};
use kube::{Resource, ResourceExt};
use sha2::{Digest, Sha256};
use tinderbox_api::spark::{SparkApplication, SparkApplicationStatus, State};
use tinderbox_client::plan::encode;
use tinderbox_client::{Error, Plan, Step};
use uuid::Uuid;

use super::beside;
use super::notes;
use super::observed::Observed;
use super::plan::Turn;
use crate::Config;
use crate::submission::{Identity, Refusal, driver_pod_name, objects};

/// On a driver: the digest of what its application said when it was submitted.
pub(super) const SUBMITTED_SPEC: &str = "tinderbox.dev/submitted-spec";

/// Whether a submission is written down and neither done nor refused.
pub(super) fn is_under_way(status: &SparkApplicationStatus) -> bool {
    !status.submission_id.is_empty() && status.application_state.error_message.is_empty()
}

/// Begins a submission, or goes on with the one that is under way.
pub(super) fn submit(observed: &Observed, config: &Config, fresh: Uuid, now: Timestamp) -> Turn {
    let mut status = observed.status.clone();
    // What is written down has whole seconds, and names are made from it.
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    if !is_under_way(&status) {
        status.submission_id = fresh.to_string();
        status.last_submission_attempt_time = Some(Time(now));
        status.submission_attempts += 1;
        status.application_state.error_message.clear();
        status.driver_info.pod_name = driver_pod_name(&observed.app);
    }
    let began = status.last_submission_attempt_time.as_ref().map_or(now, |time| time.0);
    let submission = Uuid::parse_str(&status.submission_id).unwrap_or(fresh);
    let identity = Identity { submission, began, user: config.user.clone(), master: config.master.clone() };
    match steps(observed, &status, &identity) {
        Ok(plan) => Turn { plan, submits: true },
        Err(Refusal(why)) => fail(observed, status, &format!("failed to run spark-submit: {why}")).into(),
    }
}

fn steps(observed: &Observed, status: &SparkApplicationStatus, identity: &Identity) -> Result<Plan, Refusal> {
    let made = objects(&observed.app, &observed.spec, identity)?;
    let mut plan = Plan::default();
    let Some(driver) = observed.driver() else {
        plan.stages.extend(claim(observed, status).map(|step| vec![step]));
        let mut pod = made.pod;
        pod.annotations_mut().insert(SUBMITTED_SPEC.to_owned(), digest(&observed.app));
        plan.stages.push(vec![Step::create(&pod)]);
        return Ok(plan);
    };
    let owned = |mut object: Step| {
        if let tinderbox_client::Verb::Apply { body, .. } = &mut object.verb {
            body["metadata"]["ownerReferences"] = encode(&[owner(driver)]);
        }
        object
    };
    for step in made.config_maps.iter().map(Step::apply).chain([Step::apply(&made.service)]) {
        plan.push(owned(step));
    }
    for claim in &made.claims {
        plan.push(owned(Step::apply(claim)));
    }
    beside::wanted(observed, &identity.app_id()).into_iter().for_each(|step| plan.push(step));
    plan.then();
    let mut status = status.clone();
    status.application_state.state = State::Submitted;
    status.execution_attempts += 1;
    plan.stages.extend(claim(observed, &status).map(|step| vec![step]));
    plan.notes.extend(notes::application(&observed.app, &status));
    Ok(plan)
}

/// The reference by which a driver owns what belongs to it, as Spark's client writes it.
fn owner(driver: &Pod) -> OwnerReference {
    OwnerReference {
        api_version: Pod::api_version(&()).into_owned(),
        kind: Pod::kind(&()).into_owned(),
        name: driver.name_any(),
        uid: driver.uid().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: None,
    }
}

/// Writes a status down.
pub(super) fn claim(observed: &Observed, status: &SparkApplicationStatus) -> Option<Step> {
    Step::status(&*observed.app, observed.app.status.as_ref(), status)
}

/// What a submission becomes that cannot be.
fn fail(observed: &Observed, mut status: SparkApplicationStatus, why: &str) -> Plan {
    let mut plan = Plan::default();
    status.application_state.state = State::SubmissionFailed;
    status.application_state.error_message = format!("failed to submit spark application: {why}");
    if let Some(driver) = observed.driver() {
        plan.push(Step::delete(&**driver));
        plan.then();
    }
    claim(observed, &status).into_iter().for_each(|step| plan.push(step));
    plan.notes.extend(notes::application(&observed.app, &status));
    plan
}

/// What a submission becomes that the API refused.
pub(super) fn refused(observed: &Observed, why: &str) -> Plan {
    fail(observed, observed.status.clone(), why)
}

/// Whether the API has answered, and trying the same again would bring the same answer.
pub(super) fn is_refusal(error: &Error) -> bool {
    let code = error.status().map_or(0, |status| status.code);
    error.is_already_exists() || ((400..500).contains(&code) && !matches!(code, 401 | 409 | 429))
}

/// A refusal in words whose beginning is upstream's.
pub(super) fn words(error: &Error) -> String {
    if error.is_already_exists() {
        return "driver pod already exist".to_owned();
    }
    format!("failed to run spark-submit: {}", error.message())
}

/// A digest of what an application says, suspension and time to live excepted.
pub(super) fn digest(app: &SparkApplication) -> String {
    let mut spec = app.spec.clone();
    spec.suspend = None;
    spec.time_to_live_seconds = None;
    let digest = Sha256::digest(encode(&spec).to_string().as_bytes());
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
