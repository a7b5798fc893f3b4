//! Why what makes pods does not make them, or makes none any more: applications, jobs, schedules, sets and claims.

use serde_json::Value;
use tinderbox_api::cron::{Schedule, zone};

use super::{Cause, Kind, Subject, refusals};

/// All that is wrong with an object that is no pod. What its pods came to is theirs to say.
pub(super) fn causes(subject: Subject<'_>) -> Vec<Cause> {
    let found = match subject.record.name.kind.as_str() {
        "SparkApplication" => application(subject),
        "ScheduledSparkApplication" | "CronJob" => schedule(subject),
        "PersistentVolumeClaim" => claim(subject),
        "Job" => job(subject).or_else(|| creation(subject)),
        "ReplicaSet" | "StatefulSet" | "DaemonSet" | "Deployment" => creation(subject),
        _ => None,
    };
    found.into_iter().collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn application(subject: Subject<'_>) -> Option<Cause> {
    let state = &subject.object()["status"]["applicationState"];
    let message = text(&state["errorMessage"]);
    let name = &subject.record.name;
    match text(&state["state"]) {
        "" => {
            let what = "no operator has looked at the application yet".to_owned();
            let change = "see that the Spark operator runs and watches this namespace: cargo xtask status";
            Some(subject.cause(Kind::Untouched, what).mended_by(change))
        }
        "SUSPENDED" | "SUSPENDING" => {
            let cause = subject.cause(Kind::Suspended, "the application is suspended".to_owned());
            Some(cause.shown_by([format!("{name}: spec.suspend is true")]).mended_by("set spec.suspend to false"))
        }
        "FAILED" | "SUBMISSION_FAILED" | "PENDING_RERUN" | "FAILING" if message.contains("failed to submit") => {
            let line = format!("{name}: {message}");
            if let Some(cause) = refusals::read(subject, message, &line) {
                return Some(cause);
            }
            let why = message.trim_start_matches("failed to submit spark application: ");
            let why = why.trim_start_matches("failed to run spark-submit: ");
            let cause = subject.cause(Kind::Submission, format!("the driver could not be made: {why}"));
            Some(cause.shown_by([line]).mended_by("change what the message names, and apply the application again"))
        }
        "FAILED" | "FAILING" if !message.is_empty() => {
            let cause = subject.cause(Kind::Ended, message.to_owned());
            let change = format!("look at the driver's log: cargo xtask logs {}", name.name);
            Some(cause.shown_by([format!("{name}: {message}")]).mended_by(change))
        }
        _ => None,
    }
}

/// What is wrong with a schedule.
fn schedule(subject: Subject<'_>) -> Option<Cause> {
    let (spec, status) = (&subject.object()["spec"], &subject.object()["status"]);
    let name = &subject.record.name;
    if spec["suspend"] == true {
        let cause = subject.cause(Kind::Suspended, "the schedule is suspended: no run is started".to_owned());
        return Some(cause.shown_by([format!("{name}: spec.suspend is true")]).mended_by("set spec.suspend to false"));
    }
    let (times, zone_name) = (text(&spec["schedule"]), spec["timeZone"].as_str());
    let wrong = |what: String, change: String| {
        let cause = subject.cause(Kind::Schedule, what);
        let told = Some(text(&status["reason"])).filter(|reason| !reason.is_empty());
        Some(cause.shown_by(told.map(|reason| format!("{name}: {reason}"))).mended_by(change))
    };
    let read = match zone_name.filter(|name| !name.is_empty() && *name != "Local").map(|name| (name, zone(name))) {
        Some((name, None)) => {
            let what = format!("there is no time zone {name:?}");
            return wrong(what, "set spec.timeZone to an IANA name, as in Europe/Berlin".to_owned());
        }
        Some((_, Some(zone))) => Schedule::parse_in(times, zone),
        None => Schedule::parse(times),
    };
    match read {
        Err(why) => {
            let change =
                "set spec.schedule to five fields (minute, hour, day, month, weekday) or to @every 1h and the like";
            wrong(format!("the schedule {times:?} cannot be read: {why}"), change.to_owned())
        }
        Ok(schedule) if schedule.next(subject.known.now).is_none() => {
            let cause = subject.cause(Kind::NeverDue, format!("the schedule {times:?} is not due within five years"));
            Some(cause.mended_by("set spec.schedule to days that exist, as 30 February does not"))
        }
        Ok(_) if text(&status["scheduleState"]) == "FailedValidation" => {
            let reason = text(&status["reason"]);
            wrong(format!("the schedule is refused: {reason}"), "change what the message names".to_owned())
        }
        // Since the last success it was tried in vain to make a run.
        Ok(_) => creation(subject),
    }
}

fn claim(subject: Subject<'_>) -> Option<Cause> {
    let object = subject.object();
    if object["status"]["phase"] == "Bound" {
        return None;
    }
    let (reason, message, line) = subject.warnings().into_iter().next_back()?;
    let class = text(&object["spec"]["storageClassName"]);
    let what = match reason.as_str() {
        "ProvisioningFailed" if message.contains("not found") => format!("there is no StorageClass {class}"),
        _ => format!("no volume is made for the claim: {message}"),
    };
    let cause = subject.cause(Kind::UnboundClaim, what).shown_by([line]);
    let classes = subject.known.world.of_kind("StorageClass").map(|(_, class)| class.name.name.as_str());
    let classes = classes.collect::<Vec<_>>().join(", ");
    let there = if classes.is_empty() { String::new() } else { format!(" (there are: {classes})") };
    Some(
        cause.mended_by(format!(
            "set spec.storageClassName to one that is there{there}, or leave it out for the default"
        )),
    )
}

fn job(subject: Subject<'_>) -> Option<Cause> {
    let object = subject.object();
    if object["spec"]["suspend"] == true {
        let cause = subject.cause(Kind::Suspended, "the job is suspended".to_owned());
        return Some(cause.mended_by("set spec.suspend to false"));
    }
    let conditions = object["status"]["conditions"].as_array()?;
    let failed = conditions.iter().find(|one| one["type"] == "Failed" && one["status"] == "True")?;
    let (reason, message) = (text(&failed["reason"]), text(&failed["message"]));
    let line = format!("{}: Failed is True: {reason}: {message}", subject.record.name);
    Some(match reason {
        "DeadlineExceeded" => {
            let cause = subject.cause(Kind::Deadline, "the job took longer than it may".to_owned());
            cause.shown_by([line]).mended_by("raise spec.activeDeadlineSeconds")
        }
        _ => {
            let limit = object["spec"]["backoffLimit"].as_i64().unwrap_or(6);
            let cause = subject.cause(Kind::Ended, format!("the pods of the job failed: {message}"));
            cause.shown_by([line, format!("spec.backoffLimit is {limit}")])
        }
    })
}

/// Pods that could not be made.
fn creation(subject: Subject<'_>) -> Option<Cause> {
    let object = subject.object();
    let (spec, status) = (&object["spec"], &object["status"]);
    // What is complete has got over it.
    let wanted = spec["replicas"].as_i64();
    let complete = wanted.is_some_and(|wanted| status["replicas"].as_i64().unwrap_or(0) >= wanted);
    let works = status["active"].as_i64().is_some_and(|active| active > 0);
    if complete || works || crate::apply::finished(status) == Some(true) {
        return None;
    }
    let failures = subject.warnings().into_iter().rev();
    let (_, message, line) = failures.into_iter().find(|(reason, _, _)| reason == "FailedCreate")?;
    Some(refusals::read(subject, &message, &line).unwrap_or_else(|| {
        subject.cause(Kind::Submission, format!("what it makes is refused: {message}")).shown_by([line.clone()])
    }))
}
