//! The run that a schedule starts at a moment, started now: nobody waits for a night to try what the night will do. The
//! cluster's clock stays as it is.

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tinderbox_platform::{run_at as spark_run_at, workflows};

use crate::apply;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::Talk;
use crate::manifest::{self, Object};
use crate::session::NAMESPACE;

/// The kinds whose objects start things at times.
const KINDS: [&str; 2] = ["ScheduledSparkApplication", "CronWorkflow"];

/// Applies the objects, and gives the run that the schedule among them starts at `moment`.
///
/// # Errors
/// When there is not exactly one schedule among them or it has no such moment, before anything is applied; and when the API
/// rejects one.
pub(crate) async fn prepare(
    cluster: &Cluster,
    mut objects: Vec<Object>,
    moment: Timestamp,
    talk: &Talk,
) -> Result<Object, Error> {
    let schedule = only_schedule(&objects)?.clone();
    run_at(&schedule, &schedule.value, moment)?;
    apply::in_order(&mut objects);
    let place = objects.iter().position(|object| *object == schedule);
    let mut applied = apply::apply(cluster, &objects, NAMESPACE, talk).await?;
    // The applied one has a uid, by which it owns its runs.
    let applied = place.map_or(Value::Null, |place| serde_json::json!(applied.swap_remove(place)));
    let value = run_at(&schedule, &applied, moment)?;
    Ok(Object { value, ..schedule })
}

fn only_schedule(objects: &[Object]) -> Result<&Object, Error> {
    manifest::only(objects, &KINDS, "schedules", ("a moment", "--at"))
}

fn run_at(schedule: &Object, value: &Value, moment: Timestamp) -> Result<Value, Error> {
    let spark = schedule.value["kind"] == KINDS[0];
    let run = if spark {
        typed(value, |one| spark_run_at(&one, moment))
    } else {
        typed(value, |one| workflows::run_at(&one, moment))
    };
    let field = if spark || !value["spec"]["schedule"].is_null() { "spec.schedule" } else { "spec.schedules" };
    run.map_err(|message| Error::Document { place: schedule.place_of(field), message })
}

/// What comes of an object of a kind, as values.
fn typed<K: DeserializeOwned, R: Serialize>(
    value: &Value,
    run: impl Fn(K) -> Result<R, String>,
) -> Result<Value, String> {
    let object = K::deserialize(value).map_err(|error| error.to_string())?;
    serde_json::to_value(run(object)?).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Object {
        Object { value, origin: "nights.yaml".into(), place: None }
    }

    fn schedule(name: &str, text: &str) -> Object {
        object(json!({"kind": KINDS[0], "metadata": {"name": name, "namespace": "n"},
            "spec": {"schedule": text, "timeZone": "America/New_York", "template": {"type": "Python"}}}))
    }

    fn said(result: Result<Value, Error>) -> String {
        result.map_or_else(|error| error.to_string(), |run| run["metadata"]["name"].to_string())
    }

    #[test]
    fn a_moment_is_one_of_the_schedule_or_told_not_to_be() {
        let nightly = schedule("nightly", "0 2 * * *");
        let at = |moment: &str| said(run_at(&nightly, &nightly.value, moment.parse().unwrap()));
        assert_eq!(at("2026-01-31T07:00Z"), "\"nightly-1769842800000000000\"");
        assert_eq!(
            at("2026-01-31T02:00Z"),
            "nights.yaml: the schedule \"0 2 * * *\" is not due at 2026-01-31T02:00:00Z; after it, it is due 2026-01-31T07:00:00Z"
        );
        // The hour that the change of clocks leaves out.
        assert!(at("2026-03-08T07:00Z").ends_with("it is due 2026-03-09T06:00:00Z"));
        let wrong = schedule("wrong", "at night");
        assert_eq!(
            said(run_at(&wrong, &wrong.value, Timestamp::UNIX_EPOCH)),
            "nights.yaml: expected exactly 5 fields, found 2: [at night]"
        );
    }

    #[test]
    fn cron_workflows_have_moments_too() {
        let value = json!({"kind": KINDS[1], "metadata": {"name": "nightly", "namespace": "n"}, "spec": {
            "schedules": ["30 2 * * *", "0 12 * * 0"], "timezone": "Europe/Berlin",
            "workflowSpec": {"workflowTemplateRef": {"name": "nightly"}}}});
        let nightly = object(value);
        let at = |moment: &str| run_at(&nightly, &nightly.value, moment.parse().unwrap());
        let run = at("2026-01-31T01:30Z").unwrap();
        assert_eq!(run["metadata"]["name"], "nightly-1769823000");
        assert_eq!(run["metadata"]["annotations"]["workflows.argoproj.io/scheduled-time"], "2026-01-31T02:30:00+01:00");
        assert_eq!(run["spec"]["workflowTemplateRef"]["name"], "nightly");
        assert_eq!(
            said(at("2026-01-31T02:30Z")),
            "nights.yaml: nightly is not due at 2026-01-31T02:30:00Z; after it, it is due 2026-02-01T01:30:00Z"
        );
    }

    #[test]
    fn there_is_exactly_one_schedule_to_go_by() {
        let job = object(json!({"kind": "Job", "metadata": {"name": "job"}}));
        let (first, second) = (schedule("a", "@hourly"), schedule("b", "@hourly"));
        assert_eq!(only_schedule(&[job.clone(), first.clone()]).unwrap(), &first);
        let none = only_schedule(&[job]).unwrap_err().to_string();
        assert_eq!(none, "there is no ScheduledSparkApplication or CronWorkflow in it that a moment could be given to");
        let two = only_schedule(&[first, second]).unwrap_err().to_string();
        assert_eq!(two, "there are several schedules in it: a, b …");
    }
}
