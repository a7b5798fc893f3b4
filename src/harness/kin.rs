//! Which pods belong to what was applied, what part each has, and what they came to. Pure functions over what was seen.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use serde::Serialize;
use serde_json::Value;

use crate::event::Role;
use crate::manifest::Object;
use crate::observe::{Record, World};

/// The label by which an app's parts are known.
const APP: &str = "app.kubernetes.io/name";
/// The label in which Spark keeps an application's name.
const APPLICATION: &str = "spark-app-name";

/// What was applied, as far as it tells whose a pod is.
#[derive(Debug, Clone, Default)]
pub struct Kin {
    /// UIDs of the applied objects.
    pub uids: BTreeSet<String>,
    /// Values of the app label on them.
    pub apps: BTreeSet<String>,
}

impl Kin {
    /// What the manifests say; the UIDs come when they are applied.
    #[must_use]
    pub fn new(objects: &[Object]) -> Self {
        let label = |value: &Value| value["metadata"]["labels"][APP].as_str().map(str::to_owned);
        Self { uids: BTreeSet::new(), apps: objects.iter().filter_map(|object| label(&object.value)).collect() }
    }

    /// The pods that belong to it: applied themselves, owned by what was, directly or not, or of the same app and new.
    #[must_use]
    pub fn pods(&self, world: &World) -> Vec<String> {
        let mut found: Vec<(Instant, String)> = world
            .of_kind("Pod")
            .filter(|(uid, record)| self.uids.contains(*uid) || self.has(world, record))
            .map(|(uid, record)| (record.versions[0].at, uid.clone()))
            .collect();
        found.sort();
        found.into_iter().map(|(_, uid)| uid).collect()
    }

    /// The UIDs of all objects that belong to it.
    #[must_use]
    pub fn all(&self, world: &World) -> BTreeSet<String> {
        let of_it = |(uid, record): &(&String, &Record)| self.uids.contains(*uid) || self.has(world, record);
        world.records.iter().filter(of_it).map(|(uid, _)| uid.clone()).collect()
    }

    fn has(&self, world: &World, record: &Record) -> bool {
        if !record.before && record.label(APP).is_some_and(|app| self.apps.contains(app)) {
            return true;
        }
        let mut owner = record;
        // Owners of owners: a ring of them, which the API allows, ends here too.
        for _ in 0..8 {
            let Some(uid) = owner.object()["metadata"]["ownerReferences"][0]["uid"].as_str() else {
                return false;
            };
            if self.uids.contains(uid) {
                return true;
            }
            match world.records.get(uid) {
                Some(next) => owner = next,
                None => return false,
            }
        }
        false
    }
}

/// The drivers among pods that are in the order of their appearance: of each application the last one. A run is over when they
/// are: `spark-submit` in cluster mode is content with whatever becomes of its driver (it exits with 0, as of Spark 4.0).
#[must_use]
pub fn drivers<'a>(world: &'a World, pods: &[String]) -> Vec<&'a Record> {
    let mut last: BTreeMap<(&str, &str), &Record> = BTreeMap::new();
    for record in pods.iter().filter_map(|uid| world.records.get(uid)) {
        if role(record.object()) == Role::Driver {
            let application = record.label(APPLICATION).unwrap_or(&record.name.name);
            last.insert((&record.name.namespace, application), record);
        }
    }
    last.into_values().collect()
}

/// What part a pod has.
#[must_use]
pub fn role(pod: &Value) -> Role {
    match pod["metadata"]["labels"]["spark-role"].as_str() {
        Some("driver") => return Role::Driver,
        Some("executor") => return Role::Executor,
        _ => {}
    }
    let words = |field: &'static str| {
        let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
        containers
            .flat_map(move |container| container[field].as_array().into_iter().flatten().filter_map(Value::as_str))
    };
    if words("command").chain(words("args")).any(|word| word.ends_with("/spark-submit") || word == "spark-submit") {
        return Role::Submitter;
    }
    Role::Plain
}

/// Whether objects of this kind come to an end, well or badly: a run is made of them.
#[must_use]
pub fn is_work(kind: &str) -> bool {
    matches!(kind, "Job" | "Pod" | "SparkApplication" | "Workflow")
}

/// The phase of an object in one word.
#[must_use]
pub fn phase(object: &Value) -> Option<String> {
    let status = &object["status"];
    if object["kind"] == "Job" {
        return Some(match crate::apply::finished(status) {
            Some(true) => "Complete".to_owned(),
            Some(false) => "Failed".to_owned(),
            None if status["startTime"].is_string() => "Active".to_owned(),
            None => "Waiting".to_owned(),
        });
    }
    if object["kind"] == "SparkApplication" {
        let state = status["applicationState"]["state"].as_str().filter(|state| !state.is_empty());
        return Some(state.unwrap_or("NEW").to_owned());
    }
    status["phase"].as_str().map(str::to_owned)
}

/// A phase and when it was entered, in milliseconds since the beginning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entered {
    /// The phase.
    pub phase: String,
    /// Milliseconds since the use case began.
    pub at_ms: u64,
}

/// What a container came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerReport {
    /// Its name.
    pub name: String,
    /// How often it was started again.
    pub restarts: i64,
    /// Exit code of its last run, if that is over.
    pub exit_code: Option<i64>,
    /// Why it is as it is, as in `Completed`, `Error` or `ImagePullBackOff`.
    pub reason: Option<String>,
    /// Milliseconds from started to finished, as they were seen.
    pub ran_ms: Option<u64>,
}

/// What a pod came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodReport {
    /// Its name.
    pub name: String,
    /// Its part.
    pub role: Role,
    /// The phases it was seen in.
    pub phases: Vec<Entered>,
    /// Its containers, those that initialise it first.
    pub containers: Vec<ContainerReport>,
    /// It has been removed since.
    pub gone: bool,
}

/// The phases that an object was seen in, one after the other.
#[must_use]
pub fn phases(record: &Record, began: Instant) -> Vec<Entered> {
    let mut entered: Vec<Entered> = Vec::new();
    for version in &record.versions {
        let Some(phase) = phase(&version.object) else { continue };
        if entered.last().is_none_or(|last| last.phase != phase) {
            entered.push(Entered { phase, at_ms: millis(version.at, began) });
        }
    }
    entered
}

/// What a pod came to.
#[must_use]
pub fn pod_report(record: &Record, began: Instant) -> PodReport {
    let object = record.object();
    let statuses = |field: &'static str| object["status"][field].as_array().into_iter().flatten();
    let containers = statuses("initContainerStatuses")
        .chain(statuses("containerStatuses"))
        .map(|status| {
            let name = status["name"].as_str().unwrap_or_default().to_owned();
            let state = ["terminated", "waiting"].iter().find_map(|state| status["state"].get(state));
            ContainerReport {
                restarts: status["restartCount"].as_i64().unwrap_or(0),
                exit_code: status["state"]["terminated"]["exitCode"].as_i64(),
                reason: state.and_then(|state| state["reason"].as_str()).map(str::to_owned),
                ran_ms: ran(record, &name),
                name,
            }
        })
        .collect();
    PodReport {
        name: record.name.name.clone(),
        role: role(object),
        phases: phases(record, began),
        containers,
        gone: record.gone.is_some(),
    }
}

/// Milliseconds from the first version in which a container runs to the first in which it has ended.
fn ran(record: &Record, container: &str) -> Option<u64> {
    let at = |state: &str| {
        record.versions.iter().find_map(|version| {
            let all = &version.object["status"];
            let found = ["containerStatuses", "initContainerStatuses"]
                .iter()
                .filter_map(|field| all[*field].as_array())
                .flatten()
                .any(|status| status["name"] == container && status["state"].get(state).is_some());
            found.then_some(version.at)
        })
    };
    Some(millis(at("terminated")?, at("running")?))
}

pub(crate) fn millis(at: Instant, began: Instant) -> u64 {
    u64::try_from(at.saturating_duration_since(began).as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_each_application_the_last_driver_counts() {
        let pod = |name: &str, role: &str, application: &str| {
            let labels = json!({"spark-role": role, "spark-app-name": application});
            Record::of("Pod", json!({"kind": "Pod", "metadata": {"name": name, "namespace": "jobs", "labels": labels}}))
        };
        let mut world = World::default();
        for (uid, record) in [
            ("z", pod("first", "driver", "pi")),
            ("y", pod("executor", "executor", "pi")),
            ("x", pod("second", "driver", "pi")),
            ("w", pod("other", "driver", "report")),
        ] {
            world.records.insert(uid.to_owned(), record);
        }
        let names = |pods: &[&str]| {
            let pods: Vec<String> = pods.iter().map(|uid| (*uid).to_owned()).collect();
            drivers(&world, &pods).iter().map(|record| record.name.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(names(&["z", "y", "x", "w"]), ["second", "other"]);
        assert_eq!(names(&["z", "y"]), ["first"]);
        assert_eq!(names(&["y"]), Vec::<String>::new());
    }
}
