//! What makes pods until they are done: Job, CronJob.
//! Upstream rule: k8s.io/kubernetes `pkg/apis/batch/validation/validation.go`.

use serde_json::{Value, json};
use tinderbox_api::cron::{self, Schedule};

use super::common::{Errors, has, list, text};
use super::{job_policy, pod, workload};
use crate::error::FieldError;
use crate::schema::Path;

const ENDING: &str = "valid values: \"OnFailure\", \"Never\"";
/// The longest name of a cron job: its jobs append eleven letters.
const CRON_NAME_MAX: usize = 52;

pub(super) fn job(object: &Value, errors: &mut Errors) {
    let path = Path::new("spec");
    job_spec(&object["spec"], &path, errors);
    let spec = &object["spec"];
    if spec["manualSelector"] == true && spec["selector"].is_null() {
        errors.required("spec.selector", "");
    }
    own_selector(object, errors);
    workload::selects(&spec["selector"], &spec["template"]["metadata"]["labels"], &path.field("template"), errors);
}

/// Unless its author chose one, the selector of a job is made from its uid.
fn own_selector(object: &Value, errors: &mut Errors) {
    let spec = &object["spec"];
    if spec["manualSelector"] == true {
        return;
    }
    let uid = text(&object["metadata"], "uid");
    let wanted = json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}});
    let older = json!({"matchLabels": {"controller-uid": uid}});
    if spec["selector"] != wanted && spec["selector"] != older {
        errors.invalid("spec.selector", &spec["selector"], "`selector` not auto-generated");
    }
}

fn job_spec(spec: &Value, path: &Path, errors: &mut Errors) {
    let numbers = ["parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished"];
    errors.none_negative(spec, path, &numbers);
    errors.none_negative(spec, path, &["backoffLimitPerIndex", "maxFailedIndexes"]);
    errors.choice(path.field("completionMode"), &spec["completionMode"], &["NonIndexed", "Indexed"]);
    job_policy::indexes(spec, path, errors);
    job_policy::replacement(spec, path, errors);
    if has(spec, "podFailurePolicy") {
        failure_policy(spec, path, errors);
    }
    let at = path.field("template");
    pod::template(&spec["template"], &at, errors);
    let at = at.field("spec").field("restartPolicy");
    match text(&spec["template"]["spec"], "restartPolicy") {
        "" | "Always" => errors.required(at, ENDING),
        "OnFailure" if has(spec, "podFailurePolicy") => {
            let detail = "only \"Never\" is supported when podFailurePolicy is specified";
            errors.invalid(at, &json!("OnFailure"), detail);
        }
        _ => {}
    }
}

fn failure_policy(spec: &Value, path: &Path, errors: &mut Errors) {
    let path = path.field("podFailurePolicy").field("rules");
    for (index, rule) in list(&spec["podFailurePolicy"]["rules"]).enumerate() {
        let at = path.index(index);
        match text(rule, "action") {
            "" => {
                errors.required(at.field("action"), "valid values: \"Count\", \"FailIndex\", \"FailJob\", \"Ignore\"")
            }
            "FailIndex" if !has(spec, "backoffLimitPerIndex") => {
                errors.invalid(at.field("action"), &rule["action"], "requires the backoffLimitPerIndex to be set");
            }
            _ => errors.choice(at.field("action"), &rule["action"], &["Count", "FailIndex", "FailJob", "Ignore"]),
        }
        if has(rule, "onExitCodes") {
            exit_codes(&rule["onExitCodes"], &at.field("onExitCodes"), errors);
        }
        let conditions = list(&rule["onPodConditions"]).next().is_some();
        let detail = match (has(rule, "onExitCodes"), conditions) {
            (true, true) => "specifying both OnExitCodes and OnPodConditions is not supported",
            (false, false) => "specifying one of OnExitCodes and OnPodConditions is required",
            _ => continue,
        };
        let message = format!("Invalid value: {detail}");
        errors.0.push(FieldError { reason: "FieldValueInvalid", field: at.into(), message });
    }
}

fn exit_codes(codes: &Value, path: &Path, errors: &mut Errors) {
    errors.choice(path.field("operator"), &codes["operator"], &["In", "NotIn"]);
    let at = path.field("values");
    if list(&codes["values"]).next().is_none() {
        let found = codes.get("values").cloned().unwrap_or_else(|| json!([]));
        errors.invalid(&at, &found, "at least one value is required");
    }
    for (index, value) in list(&codes["values"]).enumerate() {
        if codes["operator"] == "In" && *value == 0 {
            errors.invalid(at.index(index), value, "must not be 0 for the In operator");
        }
    }
}

pub(super) fn cron_job(object: &Value, errors: &mut Errors) {
    let (spec, path) = (&object["spec"], Path::new("spec"));
    let schedule = text(spec, "schedule");
    if schedule.is_empty() {
        errors.required(path.field("schedule"), "");
    } else {
        if let Err(error) = Schedule::parse(schedule) {
            errors.invalid(path.field("schedule"), &json!(schedule), &error);
        }
        if schedule.contains("TZ") {
            let detail = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
            errors.invalid(path.field("schedule"), &json!(schedule), detail);
        }
    }
    errors.not_negative(path.field("startingDeadlineSeconds"), &spec["startingDeadlineSeconds"]);
    if let Some(zone) = spec["timeZone"].as_str() {
        let detail = match zone {
            "" => "timeZone must be nil or non-empty string".to_owned(),
            zone if zone.eq_ignore_ascii_case("local") => {
                "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones".to_owned()
            }
            zone if cron::zone(zone).is_none() => format!("unknown time zone {zone}"),
            _ => String::new(),
        };
        if !detail.is_empty() {
            errors.invalid(path.field("timeZone"), &json!(zone), &detail);
        }
    }
    match text(spec, "concurrencyPolicy") {
        "" => errors.required(path.field("concurrencyPolicy"), ""),
        _ => {
            errors.choice(path.field("concurrencyPolicy"), &spec["concurrencyPolicy"], &["Allow", "Forbid", "Replace"])
        }
    }
    let at = path.field("jobTemplate").field("spec");
    job_spec(&spec["jobTemplate"]["spec"], &at, errors);
    if spec["jobTemplate"]["spec"]["manualSelector"] == true {
        let found = &spec["jobTemplate"]["spec"]["manualSelector"];
        errors.0.push(FieldError::not_supported(at.field("manualSelector"), found, &["nil", "false"]));
    }
    errors.none_negative(spec, &path, &["successfulJobsHistoryLimit", "failedJobsHistoryLimit"]);
    let name = text(&object["metadata"], "name");
    if name.len() > CRON_NAME_MAX {
        let detail = format!("must be no more than {CRON_NAME_MAX} characters");
        errors.invalid("metadata.name", &json!(name), &detail);
    }
}
