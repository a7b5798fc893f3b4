//! What is said of an application in its status, and in events where it changes. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tinderbox_api::gitops::{
    Application, ComparedTo, Condition, GROUP, HealthReport, ResourceStatus, Summary, SyncState,
};
use tinderbox_client::Note;

use super::observe::View;
use crate::compare;
use crate::health::{self, Health};
use crate::sync::Key;

/// Conditions that are found anew each time an application is looked at.
const FOUND: [&str; 5] =
    ["ComparisonError", "InvalidSpecError", "SharedResourceWarning", "RepeatedResourceWarning", "UnknownError"];

/// Writes down what was seen; what has changed, as events.
pub(super) fn seen(app: &mut Application, view: &View, now: Timestamp) -> Vec<Note> {
    let resources: Vec<ResourceStatus> = view.pairs.iter().map(compare::status_of).collect();
    let health = health::of_all(view.pairs.iter().map(|pair| pair.live.as_ref()));
    let sync = SyncState {
        status: compare::summary(&view.pairs).to_owned(),
        compared_to: Some(ComparedTo {
            source: app.spec.source.clone(),
            sources: app.spec.sources.clone(),
            destination: app.spec.destination.clone(),
            ignore_differences: app.spec.ignore_differences.clone(),
        }),
        revision: view.revision.clone(),
        revisions: Vec::new(),
    };
    let notes = changed(app, &sync.status, health);
    let summary = summary(view);
    set_health(app, health, now);
    let status = app.status.get_or_insert_default();
    status.resources = resources;
    status.sync = sync;
    view.source_type.clone_into(&mut status.source_type);
    status.summary = Some(summary).filter(|summary| *summary != Summary::default());
    conditions(app, view.warnings.iter().map(|(of, text)| (*of, text.clone())).collect(), now);
    notes
}

/// Writes down that nothing can be said of an application, and why.
pub(super) fn unknown(app: &mut Application, of: &'static str, messages: Vec<String>, now: Timestamp) -> Vec<Note> {
    let notes = changed(app, "Unknown", Health::Unknown);
    set_health(app, Health::Unknown, now);
    let status = app.status.get_or_insert_default();
    "Unknown".clone_into(&mut status.sync.status);
    conditions(app, messages.into_iter().map(|message| (of, message)).collect(), now);
    notes
}

fn set_health(app: &mut Application, health: Health, now: Timestamp) {
    let status = app.status.get_or_insert_default();
    if status.health.status != health.as_str() {
        status.health = HealthReport {
            status: health.as_str().to_owned(),
            message: String::new(),
            last_transition_time: Some(Time(now)),
        };
    }
}

fn changed(app: &Application, sync: &str, health: Health) -> Vec<Note> {
    let (was_sync, was_health) =
        app.status.as_ref().map_or(("", ""), |status| (status.sync.status.as_str(), status.health.status.as_str()));
    let mut notes = Vec::new();
    if was_sync != sync {
        let text = format!("Updated sync status: {was_sync} -> {sync}");
        notes.push(Note::normal(app, "ResourceUpdated", text));
    }
    if was_health != health.as_str() {
        let text = format!("Updated health status: {was_health} -> {}", health.as_str());
        notes.push(Note::normal(app, "ResourceUpdated", text));
    }
    notes
}

fn summary(view: &View) -> Summary {
    let mut images = std::collections::BTreeSet::new();
    for live in view.pairs.iter().filter_map(|pair| pair.live.as_ref().filter(|_| pair.target.is_some())) {
        for pod in
            [&live["spec"], &live["spec"]["template"]["spec"], &live["spec"]["jobTemplate"]["spec"]["template"]["spec"]]
        {
            for field in ["containers", "initContainers"] {
                let found = pod[field].as_array().into_iter().flatten().filter_map(|one| one["image"].as_str());
                images.extend(found.map(str::to_owned));
            }
        }
        images.extend(live["spec"]["image"].as_str().map(str::to_owned));
    }
    let is_parent = view.pairs.iter().any(|pair| pair.target.is_some() && is_application(&pair.key()));
    Summary {
        external_urls: Vec::new(),
        images: images.into_iter().collect(),
        is_app_of_apps: Some(is_parent).filter(|is| *is),
    }
}

fn is_application(key: &Key) -> bool {
    key.group == GROUP && key.kind == "Application"
}

fn conditions(app: &mut Application, found: Vec<(&'static str, String)>, now: Timestamp) {
    let status = app.status.get_or_insert_default();
    let before = std::mem::take(&mut status.conditions);
    let since = |of: &str, message: &str| {
        let same = before.iter().find(|one| one.r#type == of && one.message == message);
        same.and_then(|one| one.last_transition_time.clone()).or(Some(Time(now)))
    };
    let new = found.iter().map(|(of, message)| Condition {
        r#type: (*of).to_owned(),
        message: message.clone(),
        last_transition_time: since(of, message),
    });
    let kept = before.iter().filter(|one| !FOUND.contains(&one.r#type.as_str())).cloned();
    status.conditions = kept.chain(new).collect();
}

/// Adds a condition that is not found anew each time.
pub(super) fn set(app: &mut Application, of: &'static str, message: String, now: Timestamp) {
    let status = app.status.get_or_insert_default();
    if status.conditions.iter().any(|one| one.r#type == of && one.message == message) {
        return;
    }
    status.conditions.retain(|one| one.r#type != of);
    status.conditions.push(Condition { r#type: of.to_owned(), message, last_transition_time: Some(Time(now)) });
}

/// Takes a condition away.
pub(super) fn clear(app: &mut Application, of: &str) {
    app.status.get_or_insert_default().conditions.retain(|one| one.r#type != of);
}
