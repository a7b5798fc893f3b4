//! What the objects of a scenario did, without what differs from run to run: generated parts of names, times, and how many of a
//! kind there happened to be. Pure functions over what was seen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::kin;
use crate::observe::{Record, World};

/// One side of an object that is compared from place to place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aspect {
    /// The phases that it went through.
    Phases,
    /// Exit codes, reasons and restarts of its containers.
    Containers,
    /// Its last conditions, with their reasons.
    Conditions,
    /// What owns it.
    Owners,
    /// Type and reason of the events about it.
    Events,
}

impl Aspect {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Phases, Self::Containers, Self::Conditions, Self::Owners, Self::Events];

    /// As it is written in `fixtures/parity.yaml`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Phases => "phases",
            Self::Containers => "containers",
            Self::Conditions => "conditions",
            Self::Owners => "owners",
            Self::Events => "events",
        }
    }
}

/// All that was seen of the objects of one name, each aspect as a set.
pub type Profile = BTreeMap<Aspect, BTreeSet<String>>;

/// The profiles by kind and name, as in `pod/flights-report-*`.
pub type Profiles = BTreeMap<String, Profile>;

/// Writes the profiles as a list of objects with all their aspects.
///
/// # Errors
/// As the serializer.
pub fn as_list<S: Serializer>(profiles: &Profiles, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Line<'a> {
        object: &'a str,
        #[serde(flatten)]
        aspects: BTreeMap<&'static str, Vec<&'a String>>,
    }
    serializer.collect_seq(profiles.iter().map(|(object, profile)| {
        let seen = |aspect: &Aspect| profile.get(aspect).into_iter().flatten().collect();
        Line { object, aspects: Aspect::ALL.iter().map(|aspect| (aspect.as_str(), seen(aspect))).collect() }
    }))
}

/// The profiles of these objects, by UID.
#[must_use]
pub fn profiles(world: &World, uids: &BTreeSet<String>) -> Profiles {
    let generated = Generated::of(world);
    let mut profiles = Profiles::new();
    for record in uids.iter().filter_map(|uid| world.records.get(uid)) {
        let profile = profiles.entry(name(record, &generated)).or_default();
        let object = record.object();
        let mut add = |aspect: Aspect, values: Vec<String>| profile.entry(aspect).or_default().extend(values);
        add(Aspect::Phases, history(record).into_iter().collect());
        add(Aspect::Containers, containers(object));
        add(Aspect::Conditions, conditions(object));
        add(Aspect::Owners, owners(object, &generated));
    }
    for (_, event) in world.of_kind("Event") {
        let event = event.object();
        let concerned = event["involvedObject"]["uid"].as_str().and_then(|uid| Some((uids.get(uid)?, uid)));
        if let Some(record) = concerned.and_then(|(_, uid)| world.records.get(uid)) {
            let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
            let profile = profiles.entry(name(record, &generated)).or_default();
            profile.entry(Aspect::Events).or_default().insert(format!("{} {}", text("type"), text("reason")));
        }
    }
    profiles
}

/// Names that the API made up, with what was asked for.
struct Generated(Vec<(String, String)>);

impl Generated {
    fn of(world: &World) -> Self {
        let one = |record: &Record| {
            let given = record.object()["metadata"]["generateName"].as_str()?;
            Some((record.name.name.clone(), format!("{given}*")))
        };
        Self(world.records.values().filter_map(one).collect())
    }

    /// A name that is one of them, or begins with one as a driver's does with its application's. What was asked for may begin with
    /// another one in turn.
    fn without(&self, name: &str) -> String {
        let rest = |made: &str| name.strip_prefix(made).filter(|rest| rest.is_empty() || rest.starts_with('-'));
        let found = self.0.iter().filter_map(|(made, given)| Some((made.len(), format!("{given}{}", rest(made)?))));
        found.max().map_or_else(|| name.to_owned(), |(_, name)| self.without(&name))
    }
}

/// Kind and name, what was generated in it replaced by `*`.
fn name(record: &Record, generated: &Generated) -> String {
    let name = without_hash(&generated.without(&record.name.name), record.object());
    format!("{}/{}", record.name.kind.to_lowercase(), without_chance(&name))
}

/// A name without the hash of the pod template: it stands for the same template, but each place computes it in its own way.
fn without_hash(name: &str, object: &Value) -> String {
    match object["metadata"]["labels"]["pod-template-hash"].as_str() {
        Some(hash) => name.replace(&format!("-{hash}"), "-*"),
        None => name.to_owned(),
    }
}

/// A name without Spark's own identifiers, moments and numbers of executors.
fn without_chance(name: &str) -> String {
    static CHANCE: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"-(?:[0-9a-f]{16}|[0-9a-f]{32}|[0-9]{8,19})(?P<rest>-|$)").ok());
    static EXECUTOR: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"-exec-[0-9]+").ok());
    let replace = |text: &str, with: Option<&Regex>, by: &str| match with {
        Some(pattern) => pattern.replace_all(text, by).into_owned(),
        None => text.to_owned(),
    };
    replace(&replace(name, CHANCE.as_ref(), "-*${rest}"), EXECUTOR.as_ref(), "-exec-*")
}

fn history(record: &Record) -> Option<String> {
    let mut phases: Vec<String> = Vec::new();
    for phase in record.versions.iter().filter_map(|version| kin::phase(&version.object)) {
        if phases.last() != Some(&phase) {
            phases.push(phase);
        }
    }
    (!phases.is_empty()).then(|| phases.join(" > "))
}

fn containers(object: &Value) -> Vec<String> {
    ["initContainerStatuses", "containerStatuses"]
        .iter()
        .filter_map(|field| object["status"][*field].as_array())
        .flatten()
        .map(|status| {
            let name = status["name"].as_str().unwrap_or_default();
            let restarts = match status["restartCount"].as_i64() {
                Some(0) | None => String::new(),
                Some(count) => format!(", {count} restarts"),
            };
            let state = &status["state"];
            if let Some(ended) = state.get("terminated") {
                let reason = ended["reason"].as_str().unwrap_or_default();
                return format!("{name}: exit code {} ({reason}){restarts}", ended["exitCode"]);
            }
            let waiting = state["waiting"]["reason"].as_str();
            format!("{name}: {}{restarts}", waiting.unwrap_or("running"))
        })
        .collect()
}

fn conditions(object: &Value) -> Vec<String> {
    let all = object["status"]["conditions"].as_array().into_iter().flatten();
    all.map(|condition| {
        let text = |field: &str| condition[field].as_str().unwrap_or_default();
        match text("reason") {
            "" => format!("{}={}", text("type"), text("status")),
            reason => format!("{}={} ({reason})", text("type"), text("status")),
        }
    })
    .collect()
}

fn owners(object: &Value, generated: &Generated) -> Vec<String> {
    let all = object["metadata"]["ownerReferences"].as_array().into_iter().flatten();
    all.map(|owner| {
        let text = |field: &str| owner[field].as_str().unwrap_or_default();
        format!(
            "{}/{}",
            text("kind").to_lowercase(),
            without_chance(&without_hash(&generated.without(text("name")), object))
        )
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_lose_what_is_chance() {
        for (name, expected) in [
            ("spark-pi-0a1b2c3d4e5f6789-driver", "spark-pi-*-driver"),
            ("spark-pi-0a1b2c3d4e5f6789-exec-12", "spark-pi-*-exec-*"),
            ("nightly-flights-1769824800000000000", "nightly-flights-*"),
            ("nightly-29497080", "nightly-*"),
            ("flights-report", "flights-report"),
        ] {
            assert_eq!(without_chance(name), expected);
        }
    }

    #[test]
    fn a_pod_in_all_its_aspects() {
        let pod = json!({
            "kind": "Pod",
            "metadata": {
                "name": "one-x2x4z-abcde", "generateName": "one-x2x4z-", "namespace": "jobs", "uid": "p",
                "ownerReferences": [{"kind": "Job", "name": "one-x2x4z", "uid": "j"}],
            },
            "status": {
                "phase": "Failed",
                "conditions": [{"type": "Ready", "status": "False", "reason": "PodFailed"}, {"type": "PodScheduled", "status": "True"}],
                "containerStatuses": [
                    {"name": "a", "restartCount": 2, "state": {"terminated": {"exitCode": 1, "reason": "Error"}}},
                    {"name": "b", "restartCount": 0, "state": {"waiting": {"reason": "ImagePullBackOff"}}},
                ],
            },
        });
        let about = |uid: &str, reason: &str| {
            Record::of(
                "Event",
                json!({"kind": "Event", "type": "Normal", "reason": reason, "involvedObject": {"uid": uid}}),
            )
        };
        let mut world = World::default();
        let job = json!({"kind": "Job", "metadata": {"name": "one-x2x4z", "generateName": "one-", "uid": "j"}});
        world.records.insert("j".to_owned(), Record::of("Job", job));
        world.records.insert("p".to_owned(), Record::of("Pod", pod));
        world.records.insert("e".to_owned(), about("p", "Scheduled"));
        world.records.insert("f".to_owned(), about("another", "Killing"));
        let profiles = profiles(&world, &BTreeSet::from(["p".to_owned()]));
        let set = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<BTreeSet<_>>();
        let expected = Profile::from([
            (Aspect::Phases, set(&["Failed"])),
            (Aspect::Containers, set(&["a: exit code 1 (Error), 2 restarts", "b: ImagePullBackOff"])),
            (Aspect::Conditions, set(&["PodScheduled=True", "Ready=False (PodFailed)"])),
            (Aspect::Owners, set(&["job/one-*"])),
            (Aspect::Events, set(&["Normal Scheduled"])),
        ]);
        assert_eq!(profiles, Profiles::from([("pod/one-*-*".to_owned(), expected)]));
    }
}
