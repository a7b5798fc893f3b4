//! `verify`: whether a place would be accepted and would work, as far as that can be said without its cluster. What is found is told with
//! file and line. The parts look, each at one thing; an API server in this process has the last word.

mod api;
mod images;
mod pods;
mod projects;
mod references;
mod rights;
mod schedules;
mod security;

use std::time::Instant;

pub(crate) use rights::driver_lacks;

use serde::Serialize;
use tinderbox_gitops::sync::Key;

use super::diff::of_place;
use super::place::Plan;
use crate::error::Error;
use crate::event::{Event, ObjectName, Talk};
use crate::manifest::Object;
use crate::project::Project;
use crate::up::whole_millis;

/// What a place was found to be.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifyReport {
    /// The place.
    pub place: String,
    /// How many objects it has.
    pub objects: usize,
    /// What is wrong, in the order of the objects.
    pub faults: Vec<Fault>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// Where it stands, as `FILE:LINE:COLUMN`.
    pub origin: String,
    /// The application that brings the object; empty for what is applied by hand.
    pub application: String,
    /// The object; absent where a file is broken.
    pub object: Option<ObjectName>,
    /// What it is against: `rendered`, `accepted`, `owned`, `permitted`, `pinned`, `scheduled`, `resolved`, `secured` or `allowed`.
    pub rule: &'static str,
    /// What is wrong.
    pub message: String,
}

/// An object that is looked at, with what brings it.
#[derive(Debug, Clone, Copy)]
struct Seen<'a> {
    application: &'a str,
    object: &'a Object,
}

impl Seen<'_> {
    /// What is wrong with a field of it.
    fn fault(&self, field: &str, rule: &'static str, message: String) -> Fault {
        Fault {
            origin: self.object.place_of(field),
            application: self.application.to_owned(),
            object: Some(self.object.name()),
            rule,
            message,
        }
    }

    fn kind(&self) -> &str {
        self.object.value["kind"].as_str().unwrap_or_default()
    }

    fn namespace(&self) -> &str {
        self.object.value["metadata"]["namespace"].as_str().unwrap_or_default()
    }
}

/// All objects of a place.
fn seen(plan: &Plan) -> Vec<Seen<'_>> {
    plan.all().map(|(application, object)| Seen { application, object }).collect()
}

/// Looks at a place.
///
/// # Errors
/// When there is no such place, or the API server in this process cannot be started.
pub async fn verify(project: &Project, place: &str, talk: &Talk) -> Result<VerifyReport, Error> {
    let began = Instant::now();
    // What is not there is no fault of a file.
    project.root_of(place)?;
    talk.tell(Event::Step(format!("rendering {place}")));
    let plan = match of_place(project, place) {
        Ok(plan) => plan,
        Err(error @ (Error::Document { .. } | Error::File { .. })) => {
            let faults = vec![broken(error)];
            return Ok(VerifyReport {
                place: place.to_owned(),
                objects: 0,
                faults,
                took_ms: whole_millis(began.elapsed()),
            });
        }
        Err(error) => return Err(error),
    };
    let all = seen(&plan);
    let mut faults = owned_once(&all);
    faults.extend(projects::check(&plan));
    faults.extend(all.iter().flat_map(images::check));
    faults.extend(all.iter().flat_map(schedules::check));
    faults.extend(references::check(&all));
    faults.extend(security::check(&all));
    talk.tell(Event::Step("trying the objects on an API server".to_owned()));
    faults.extend(api::check(project, &all).await?);
    faults.sort();
    faults.dedup();
    Ok(VerifyReport { place: place.to_owned(), objects: all.len(), faults, took_ms: whole_millis(began.elapsed()) })
}

/// A file that cannot be rendered.
fn broken(error: Error) -> Fault {
    let (origin, message) = match error {
        Error::Document { place, message } => (place, message),
        Error::File { act, path, source } => (path.display().to_string(), format!("cannot {act} it: {source}")),
        other => (String::new(), other.to_string()),
    };
    Fault { origin, application: String::new(), object: None, rule: "rendered", message }
}

/// Each object belongs to one application.
fn owned_once(all: &[Seen<'_>]) -> Vec<Fault> {
    let mut known: std::collections::BTreeMap<Key, &Seen<'_>> = std::collections::BTreeMap::new();
    let mut faults = Vec::new();
    for one in all {
        let Some(other) = known.insert(Key::of(&one.object.value), one) else { continue };
        let by = |seen: &Seen<'_>| if seen.application.is_empty() { "the root" } else { seen.application }.to_owned();
        let message = format!("{} also has it, from {}", by(other), other.object.place_of(""));
        faults.push(one.fault("metadata.name", "owned", message));
    }
    faults
}
