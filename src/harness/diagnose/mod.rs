//! The first real cause of what waits or failed: what it is, what shows it, and what to change. Pure functions over what was
//! seen and said; it must not ask a cluster.

mod logs;
mod memory;
mod placement;
mod pods;
mod refusals;
mod work;

use std::collections::BTreeSet;
use std::time::Instant;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::apply;
use crate::event::ObjectName;
use crate::explain;
use crate::follow::{Text, Texts};
use crate::observe::{Record, World};

/// What kind of thing a cause is. What comes first brings about what comes later, and is told in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An account may not do what it must.
    MissingRight,
    /// A quota leaves no room.
    Quota,
    /// A service account, ConfigMap, Secret or claim that is named is not there.
    MissingObject,
    /// A claim has no volume.
    UnboundClaim,
    /// An image cannot be had.
    Image,
    /// No node takes a pod.
    NoNodeFits,
    /// A process had more memory than it may have.
    OutOfMemory,
    /// A container's program cannot be started.
    Start,
    /// The operator could not make the driver.
    Submission,
    /// A program ended with an exception.
    Exception,
    /// A pod was taken from its node.
    Evicted,
    /// A node stopped under what ran on it.
    NodeStopped,
    /// A program ended with an exit code, and says no more.
    ExitCode,
    /// Executors were lost.
    ExecutorLoss,
    /// Something took longer than it may.
    Deadline,
    /// What an object made has ended badly, and of that nothing is left to say more.
    Ended,
    /// A schedule that cannot be read.
    Schedule,
    /// Somebody has stopped it.
    Suspended,
    /// A schedule that is never due.
    NeverDue,
    /// Nobody has looked at it yet.
    Untouched,
}

/// Why something waits or failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// What kind of thing it is.
    pub kind: Kind,
    /// The object that shows it.
    pub object: ObjectName,
    /// What it is, in one sentence.
    pub what: String,
    /// What shows it: events, conditions, lines of a log.
    pub evidence: Vec<String>,
    /// What to change.
    pub change: Vec<String>,
}

/// What is known of a cluster.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) world: &'a World,
    pub(crate) texts: &'a Texts,
    /// The time, for schedules.
    pub(crate) now: Timestamp,
}

/// The first cause among the objects with these UIDs, if one of them is not well.
#[must_use]
pub(crate) fn diagnose(known: Known<'_>, concerned: &BTreeSet<String>) -> Option<Cause> {
    let mut found: Vec<(Kind, Instant, Cause)> = Vec::new();
    for uid in concerned {
        let Some(record) = known.world.records.get(uid) else { continue };
        if made_good(known.world, record) {
            continue;
        }
        let subject = Subject { uid, record, known };
        let causes = match record.name.kind.as_str() {
            "Pod" => pods::causes(subject),
            _ => work::causes(subject),
        };
        found.extend(causes.into_iter().map(|cause| (cause.kind, record.versions[0].at, cause)));
    }
    found.sort_by_key(|(kind, seen, _)| (*kind, *seen));
    found.into_iter().next().map(|(_, _, cause)| cause)
}

/// Whether an object has ended well, or whatever it is part of has: a job, at another try.
fn made_good(world: &World, record: &Record) -> bool {
    let object = record.object();
    let owners = object["metadata"]["ownerReferences"].as_array().into_iter().flatten();
    apply::finished(&object["status"]) == Some(true)
        || owners.filter_map(|owner| world.records.get(owner["uid"].as_str()?)).any(|owner| made_good(world, owner))
}

/// The object that is looked at.
#[derive(Clone, Copy)]
struct Subject<'a> {
    uid: &'a str,
    record: &'a Record,
    known: Known<'a>,
}

impl<'a> Subject<'a> {
    fn object(self) -> &'a Value {
        self.record.object()
    }

    fn namespace(self) -> &'a str {
        &self.record.name.namespace
    }

    /// Its warnings, oldest first: reason, message, and the whole in one line.
    fn warnings(self) -> Vec<(String, String, String)> {
        let mut found: Vec<(&str, Instant, &Value)> = self
            .known
            .world
            .of_kind("Event")
            .map(|(_, record)| (record.versions[0].at, record.object()))
            .filter(|(_, event)| event["involvedObject"]["uid"] == self.uid && event["type"] == "Warning")
            .map(|(seen, event)| (event["lastTimestamp"].as_str().unwrap_or_default(), seen, event))
            .collect();
        found.sort_by_key(|(time, seen, _)| (*time, *seen));
        let text = |value: &Value| value.as_str().unwrap_or_default().trim().to_owned();
        let all = found.into_iter();
        all.map(|(_, _, event)| (text(&event["reason"]), text(&event["message"]), explain::event_text(event))).collect()
    }

    /// What its containers said, the last runs last.
    fn said(self) -> impl Iterator<Item = &'a Text> {
        let uid = self.uid;
        self.known.texts.iter().filter(move |((of, _, _), _)| of == uid).map(|(_, text)| text)
    }

    fn cause(self, kind: Kind, what: String) -> Cause {
        Cause { kind, object: self.record.name.clone(), what, evidence: Vec::new(), change: Vec::new() }
    }

    /// Another object of its namespace.
    fn neighbour(self, kind: &'a str, name: &str) -> Option<&'a Record> {
        let mut all = self.known.world.of_kind(kind).map(|(_, record)| record);
        all.find(|record| record.name.name == name && record.name.namespace == self.namespace())
    }

    /// The SparkApplication that a pod is of.
    fn application(self) -> Option<&'a Value> {
        let name = self.record.label(tinderbox_api::spark::labels::APP_NAME)?;
        self.neighbour("SparkApplication", name).map(Record::object)
    }
}

impl Cause {
    /// Its parts under their titles, for people.
    #[must_use]
    pub fn parts(&self) -> Vec<(&'static str, Vec<String>)> {
        let cause = vec![format!("{}: {}", self.object, self.what)];
        let all = [("cause", cause), ("what shows it", self.evidence.clone()), ("what to change", self.change.clone())];
        all.into_iter().filter(|(_, lines)| !lines.is_empty()).collect()
    }

    fn shown_by(mut self, evidence: impl IntoIterator<Item = String>) -> Self {
        self.evidence.extend(evidence);
        self
    }

    fn mended_by(mut self, change: impl Into<String>) -> Self {
        self.change.push(change.into());
        self
    }
}

/// `s` unless there is one.
fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

#[cfg(test)]
mod tests;
