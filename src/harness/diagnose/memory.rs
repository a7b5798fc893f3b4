//! Processes that had more memory than they may have: with the sizes, and with what Spark was given of them.

use serde_json::Value;

use super::{Cause, Kind, Subject};

/// Exit code of an executor whose JVM could not get more heap.
const HEAP: i64 = 52;

/// A container that was ended for want of memory, or whose JVM had none left.
pub(super) fn cause(subject: Subject<'_>, container: &str, ended: &Value) -> Option<Cause> {
    let killed = ended["reason"] == "OOMKilled";
    let heap = subject.said().flat_map(|text| &text.lines).find(|line| line.contains("java.lang.OutOfMemoryError"));
    if !killed && heap.is_none() && ended["exitCode"] != HEAP {
        return None;
    }
    let sizes = sizes(subject, container);
    let role = subject.record.label("spark-role");
    let what = match (killed, role) {
        (true, Some(role)) => format!("the {role} had more memory than its container may have, and was ended"),
        (true, None) => format!("container {container} had more memory than it may have, and was ended"),
        (false, Some(role)) => format!("the {role}'s JVM had no heap left"),
        (false, None) => "the JVM had no heap left".to_owned(),
    };
    let code = ended["exitCode"].as_i64().unwrap_or(-1);
    let reason = ended["reason"].as_str().unwrap_or_default();
    let mut cause = subject.cause(Kind::OutOfMemory, what);
    cause = cause.shown_by([format!("{}: container {container}: exit code {code}: {reason}", subject.record.name)]);
    cause = cause.shown_by(heap.map(|line| line.trim().to_owned()));
    cause = cause.shown_by((!sizes.is_empty()).then(|| sizes.join(", ")));
    Some(match (killed, role.filter(|_| subject.application().is_some())) {
        (true, Some(role)) => cause
            .mended_by(format!("raise spec.{role}.memoryOverhead: what is not Java's heap, as Python, lives in it"))
            .mended_by(format!("or raise spec.memoryOverheadFactor or spec.{role}.memory")),
        (false, Some(role)) => cause
            .mended_by(format!("raise spec.{role}.memory"))
            .mended_by(format!("or give a task less to hold: fewer spec.{role}.cores, or more partitions")),
        (true, None) => cause.mended_by(format!("raise resources.limits.memory of container {container}")),
        (false, None) => cause.mended_by("give the JVM more heap (spark.driver.memory, spark.executor.memory)"),
    })
}

/// What the container may have and asks for, and what Spark was given of it.
fn sizes(subject: Subject<'_>, container: &str) -> Vec<String> {
    let mut containers = subject.object()["spec"]["containers"].as_array().into_iter().flatten();
    let spec = containers.find(|one| one["name"] == container).unwrap_or(&Value::Null);
    let mut sizes = Vec::new();
    for (word, field) in [("limit", "limits"), ("request", "requests")] {
        sizes.extend(spec["resources"][field]["memory"].as_str().map(|size| format!("{word} {size}")));
    }
    let Some(role) = subject.record.label("spark-role") else { return sizes };
    let application = subject.application().map_or(&Value::Null, |application| &application["spec"]);
    let env = spec["env"].as_array().into_iter().flatten();
    let heap = env.filter(|one| one["name"] == "SPARK_EXECUTOR_MEMORY").find_map(|one| one["value"].as_str());
    let heap = application[role]["memory"].as_str().or(heap);
    sizes.extend(heap.map(|heap| format!("heap {heap}")));
    let python = matches!(application["type"].as_str(), Some("Python" | "R"));
    let usual = if python { "0.4" } else { "0.1" };
    match (application[role]["memoryOverhead"].as_str(), application["memoryOverheadFactor"].as_str()) {
        (Some(overhead), _) => sizes.push(format!("overhead {overhead}")),
        (None, Some(factor)) => sizes.push(format!("overhead factor {factor}, at least 384m")),
        (None, None) if application.is_object() => {
            sizes.push(format!("overhead factor {usual} by default, at least 384m"))
        }
        (None, None) => {}
    }
    sizes
}
