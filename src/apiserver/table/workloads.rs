//! How workloads are printed.

use jiff::Timestamp;
use serde_json::Value;

use super::{Columns, Printer, age, containers, count, items, number, or_none, selector, text, wide};
use crate::object::{condition, is_deleting, meta, text as text_at};

pub(crate) const DEPLOYMENTS: Columns = Columns::Builtin(&Printer {
    columns: &[
        text("Name"),
        text("Ready"),
        text("Up-to-date"),
        text("Available"),
        text("Age"),
        wide("Containers"),
        wide("Images"),
        wide("Selector"),
    ],
    cells: |object, now| {
        let status = &object["status"];
        let [names, images] = of_template(object);
        vec![
            meta(object, "name").into(),
            ratio(&status["readyReplicas"], &object["spec"]["replicas"]),
            count(&status["updatedReplicas"]),
            count(&status["availableReplicas"]),
            age::of(object, now),
            names,
            images,
            selector(&object["spec"]["selector"]),
        ]
    },
});

const OF_SETS: &[super::Column] = &[
    text("Name"),
    number("Desired"),
    number("Current"),
    number("Ready"),
    text("Age"),
    wide("Containers"),
    wide("Images"),
    wide("Selector"),
];

pub(crate) const REPLICA_SETS: Columns = Columns::Builtin(&Printer { columns: OF_SETS, cells: of_set });
pub(crate) const REPLICATION_CONTROLLERS: Columns = Columns::Builtin(&Printer { columns: OF_SETS, cells: of_set });

fn of_set(object: &Value, now: Timestamp) -> Vec<Value> {
    let [names, images] = of_template(object);
    vec![
        meta(object, "name").into(),
        count(&object["spec"]["replicas"]),
        count(&object["status"]["replicas"]),
        count(&object["status"]["readyReplicas"]),
        age::of(object, now),
        names,
        images,
        selector(&object["spec"]["selector"]),
    ]
}

pub(crate) const STATEFUL_SETS: Columns = Columns::Builtin(&Printer {
    columns: &[text("Name"), text("Ready"), text("Age"), wide("Containers"), wide("Images")],
    cells: |object, now| {
        let [names, images] = of_template(object);
        vec![
            meta(object, "name").into(),
            ratio(&object["status"]["readyReplicas"], &object["spec"]["replicas"]),
            age::of(object, now),
            names,
            images,
        ]
    },
});

pub(crate) const DAEMON_SETS: Columns = Columns::Builtin(&Printer {
    columns: &[
        text("Name"),
        number("Desired"),
        number("Current"),
        number("Ready"),
        number("Up-to-date"),
        number("Available"),
        text("Node Selector"),
        text("Age"),
        wide("Containers"),
        wide("Images"),
        wide("Selector"),
    ],
    cells: |object, now| {
        let status = &object["status"];
        let [names, images] = of_template(object);
        vec![
            meta(object, "name").into(),
            count(&status["desiredNumberScheduled"]),
            count(&status["currentNumberScheduled"]),
            count(&status["numberReady"]),
            count(&status["updatedNumberScheduled"]),
            count(&status["numberAvailable"]),
            selector(&object["spec"]["template"]["spec"]["nodeSelector"]),
            age::of(object, now),
            names,
            images,
            selector(&object["spec"]["selector"]),
        ]
    },
});

pub(crate) const JOBS: Columns = Columns::Builtin(&Printer {
    columns: &[
        text("Name"),
        text("Status"),
        text("Completions"),
        text("Duration"),
        text("Age"),
        wide("Containers"),
        wide("Images"),
        wide("Selector"),
    ],
    cells: |object, now| {
        let [names, images] = of_template(object);
        vec![
            meta(object, "name").into(),
            job_status(object).into(),
            completions(object).into(),
            job_duration(object, now).into(),
            age::of(object, now),
            names,
            images,
            selector(&object["spec"]["selector"]),
        ]
    },
});

fn job_status(job: &Value) -> &'static str {
    let is = |kind: &str| condition(job, kind) == Some("True");
    if is("Complete") {
        "Complete"
    } else if is("Failed") {
        "Failed"
    } else if is_deleting(job) {
        "Terminating"
    } else if is("Suspended") {
        "Suspended"
    } else if is("FailureTarget") {
        "FailureTarget"
    } else if is("SuccessCriteriaMet") {
        "SuccessCriteriaMet"
    } else {
        "Running"
    }
}

fn completions(job: &Value) -> String {
    let done = job["status"]["succeeded"].as_i64().unwrap_or(0);
    let parallelism = job["spec"]["parallelism"].as_i64().unwrap_or(0);
    match job["spec"]["completions"].as_i64() {
        Some(wanted) => format!("{done}/{wanted}"),
        None if parallelism > 1 => format!("{done}/1 of {parallelism}"),
        None => format!("{done}/1"),
    }
}

fn job_duration(job: &Value, now: Timestamp) -> String {
    let at = |field: &str| text_at(job, &["status", field]).parse::<Timestamp>().ok();
    at("startTime").map_or_else(String::new, |start| age::between(start, at("completionTime").unwrap_or(now)))
}

pub(crate) const CRON_JOBS: Columns = Columns::Builtin(&Printer {
    columns: &[
        text("Name"),
        text("Schedule"),
        text("Timezone"),
        text("Suspend"),
        number("Active"),
        text("Last Schedule"),
        text("Age"),
        wide("Containers"),
        wide("Images"),
        wide("Selector"),
    ],
    cells: |object, now| {
        let spec = &object["spec"];
        let last = text_at(object, &["status", "lastScheduleTime"]);
        let [names, images] = containers(&spec["jobTemplate"]["spec"]["template"]["spec"]);
        let suspended = spec["suspend"] == true;
        vec![
            meta(object, "name").into(),
            text_at(spec, &["schedule"]).into(),
            or_none(text_at(spec, &["timeZone"])),
            if suspended { "True" } else { "False" }.into(),
            super::len(&object["status"]["active"]).into(),
            if last.is_empty() { "<none>".into() } else { age::since_text(last, now).into() },
            age::of(object, now),
            names,
            images,
            selector(&spec["jobTemplate"]["spec"]["selector"]),
        ]
    },
});

pub(crate) const AUTOSCALERS: Columns = Columns::Builtin(&Printer {
    columns: &[
        text("Name"),
        text("Reference"),
        text("Targets"),
        text("MinPods"),
        text("MaxPods"),
        number("Replicas"),
        text("Age"),
    ],
    cells: |object, now| {
        let spec = &object["spec"];
        let target = &spec["scaleTargetRef"];
        let least = spec["minReplicas"].as_i64().map_or_else(|| "<unset>".to_owned(), |least| least.to_string());
        vec![
            meta(object, "name").into(),
            format!("{}/{}", text_at(target, &["kind"]), text_at(target, &["name"])).into(),
            metrics(object).into(),
            least.into(),
            count(&spec["maxReplicas"]),
            count(&object["status"]["currentReplicas"]),
            age::of(object, now),
        ]
    },
});

/// Targets of resources, with what they are now; other metrics are named alone.
fn metrics(autoscaler: &Value) -> String {
    let current = |name: &Value| {
        let found = items(&autoscaler["status"]["currentMetrics"]).find(|one| one["resource"]["name"] == *name)?;
        found["resource"]["current"]["averageUtilization"].as_i64()
    };
    let texts: Vec<String> = items(&autoscaler["spec"]["metrics"])
        .map(|metric| {
            let resource = &metric["resource"];
            let name = resource["name"].as_str().unwrap_or_else(|| text_at(metric, &["type"]));
            let now = current(&resource["name"]).map_or_else(|| "<unknown>".to_owned(), |now| format!("{now}%"));
            match resource["target"]["averageUtilization"].as_i64() {
                Some(wanted) => format!("{name}: {now}/{wanted}%"),
                None => format!("{name}: {now}/{}", text_at(resource, &["target", "averageValue"])),
            }
        })
        .collect();
    if texts.is_empty() { "<none>".to_owned() } else { texts.join(", ") }
}

pub(crate) const DISRUPTION_BUDGETS: Columns = Columns::Builtin(&Printer {
    columns: &[
        text("Name"),
        text("Min Available"),
        text("Max Unavailable"),
        number("Allowed Disruptions"),
        text("Age"),
    ],
    cells: |object, now| {
        let bound = |field: &str| match &object["spec"][field] {
            Value::Null => Value::from("N/A"),
            Value::String(text) => text.as_str().into(),
            other => other.to_string().into(),
        };
        vec![
            meta(object, "name").into(),
            bound("minAvailable"),
            bound("maxUnavailable"),
            count(&object["status"]["disruptionsAllowed"]),
            age::of(object, now),
        ]
    },
});

pub(crate) const POD_TEMPLATES: Columns = Columns::Builtin(&Printer {
    columns: &[text("Name"), text("Containers"), text("Images"), text("Pod Labels")],
    cells: |object, _| {
        let [names, images] = containers(&object["template"]["spec"]);
        vec![meta(object, "name").into(), names, images, selector(&object["template"]["metadata"]["labels"])]
    },
});

pub(crate) const REVISIONS: Columns = Columns::Builtin(&Printer {
    columns: &[text("Name"), text("Controller"), number("Revision"), text("Age")],
    cells: |object, now| {
        let owners = items(&object["metadata"]["ownerReferences"]);
        let owner = owners.into_iter().find(|owner| owner["controller"] == true).map_or_else(String::new, |owner| {
            let version = text_at(owner, &["apiVersion"]);
            let kind = text_at(owner, &["kind"]).to_ascii_lowercase();
            let group = version.split_once('/').map_or(String::new(), |(group, _)| format!(".{group}"));
            format!("{kind}{group}/{}", text_at(owner, &["name"]))
        });
        vec![meta(object, "name").into(), or_none(&owner), count(&object["revision"]), age::of(object, now)]
    },
});

fn of_template(object: &Value) -> [Value; 2] {
    containers(&object["spec"]["template"]["spec"])
}

fn ratio(part: &Value, whole: &Value) -> Value {
    format!("{}/{}", part.as_i64().unwrap_or(0), whole.as_i64().unwrap_or(0)).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn jobs_say_how_far_they_are() {
        let now = "2025-01-01T00:01:00Z".parse().unwrap();
        let mut job =
            json!({"spec": {"completions": 3}, "status": {"succeeded": 1, "startTime": "2025-01-01T00:00:00Z"}});
        assert_eq!(completions(&job), "1/3");
        assert_eq!(job_duration(&job, now), "60s");
        assert_eq!(job_status(&job), "Running");
        job["status"]["conditions"] = json!([{"type": "Complete", "status": "True"}]);
        job["status"]["completionTime"] = "2025-01-01T00:00:10Z".into();
        assert_eq!(job_status(&job), "Complete");
        assert_eq!(job_duration(&job, now), "10s");
    }
}
