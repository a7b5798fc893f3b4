//! Running a scenario: submit, wait until all that it expects is true, look at histories, logs and outputs, and see that nothing
//! stays. Whatever fails carries what explains it.

use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};

use super::{Expectation, Expression, History, Scenario, Selection, logs, outputs};
use crate::apply::finished;
use crate::cluster::Cluster;
use crate::e2e::Options;
use crate::error::Error;
use crate::event::Talk;
use crate::explain::Explanation;
use crate::images;
use crate::kin::{self, PodReport, millis};
use crate::manifest::{self, Object};
use crate::observe::{Record, World};
use crate::parity::{self, Profiles};
use crate::project::Project;
use crate::session::{Session, Submitted};
use crate::timeline::Timeline;

/// How a scenario ended, or a spec of the conformance run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// All is as it should be.
    Passed,
    /// Something is not.
    #[default]
    Failed,
}

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// What should be.
    pub what: String,
    /// It is so.
    pub passed: bool,
    /// What is instead.
    pub detail: Option<String>,
}

/// One part of a scenario's time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PhaseReport {
    /// What was done.
    pub name: &'static str,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// What a scenario came to.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScenarioReport {
    /// Its name.
    pub name: String,
    /// What it proves.
    pub description: String,
    /// How it ended.
    pub verdict: Verdict,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Its parts.
    pub phases: Vec<PhaseReport>,
    /// What was checked.
    pub checks: Vec<Check>,
    /// What was submitted.
    pub objects: Vec<Submitted>,
    /// Its pods.
    pub pods: Vec<PodReport>,
    /// How far its Spark applications came, and when.
    pub timelines: Vec<Timeline>,
    /// What its objects did, without what differs from run to run.
    #[serde(serialize_with = "parity::as_list")]
    pub profiles: Profiles,
    /// What explains a failure.
    pub explanation: Option<Explanation>,
}

/// How long the last states of objects may be in coming when all else is as expected.
const SETTLES: Duration = Duration::from_secs(30);

struct Clock {
    phases: Vec<PhaseReport>,
    since: Instant,
}

impl Clock {
    fn lap(&mut self, name: &'static str) {
        let now = Instant::now();
        self.phases.push(PhaseReport { name, took_ms: millis(now, self.since) });
        self.since = now;
    }
}

/// Runs a scenario on a cluster, and takes away what it brought unless it is to be kept.
///
/// # Errors
/// When its files cannot be read. What the cluster refuses is a failed scenario and not an error.
pub async fn verify(
    project: &Project,
    cluster: &Cluster,
    scenario: &Scenario,
    options: &Options,
    talk: &Talk,
) -> Result<ScenarioReport, Error> {
    let objects = objects_of(project, scenario)?;
    // Not on the scenario's time: it is done once on a machine.
    images::fetch(project, &objects, talk).await;
    let began = Instant::now();
    let more: Vec<(String, String)> =
        selections(scenario).map(|on| (on.api_version.clone(), on.kind.clone())).collect();
    let mut clock = Clock { phases: Vec::new(), since: began };
    let mut report = ScenarioReport {
        name: scenario.name.clone(),
        description: scenario.description.clone(),
        ..ScenarioReport::default()
    };
    match Session::submit(cluster, objects, &more, talk).await {
        Ok(session) => {
            clock.lap("submit");
            report.checks = checks(scenario, &session, began + scenario.budget, &mut clock).await;
            report.objects = session.submitted();
            report.pods = session.pods();
            report.timelines = session.timelines();
            if options.compared {
                session.quiet(Instant::now() + SETTLES).await;
            }
            report.profiles = session.profiles();
            if let Some(failed) = report.checks.iter().find(|check| !check.passed) {
                let detail = failed.detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
                report.explanation = Some(session.explain(format!("{}{detail}", failed.what)));
            } else {
                report.verdict = Verdict::Passed;
            }
            if !options.keep {
                if let Err(error) = session.clean().await {
                    report.verdict = Verdict::Failed;
                    let check = failed_check("nothing of the scenario stays", &error);
                    report.explanation.get_or_insert_with(|| session.explain(check.what.clone()));
                    report.checks.push(check);
                }
                clock.lap("clean");
            }
        }
        Err(error) => {
            clock.lap("submit");
            let check = failed_check("the cluster accepts what is submitted", &error);
            report.explanation = Some(Explanation {
                summary: format!("{}: {}", check.what, check.detail.clone().unwrap_or_default()),
                ..Explanation::default()
            });
            report.checks.push(check);
        }
    }
    report.phases = clock.phases;
    report.took_ms = millis(Instant::now(), began);
    Ok(report)
}

fn failed_check(what: &str, error: &Error) -> Check {
    let mut detail = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        detail = format!("{detail}: {next}");
        cause = next.source();
    }
    Check { what: what.to_owned(), passed: false, detail: Some(detail) }
}

fn selections(scenario: &Scenario) -> impl Iterator<Item = &Selection> {
    let expected = scenario.expect.iter().map(|one| &one.on);
    let histories = scenario.history.iter().map(|one| &one.on);
    let logs = scenario.logs.iter().map(|one| &one.on);
    expected.chain(histories).chain(logs).chain(&scenario.gone)
}

/// Loads what the scenario submits, with its parameters set.
fn objects_of(project: &Project, scenario: &Scenario) -> Result<Vec<Object>, Error> {
    let mut objects = Vec::new();
    if let Some(app) = &scenario.submit.app {
        objects.extend(manifest::load(&project.target(app)?)?);
    }
    let base = scenario.file.parent().unwrap_or(std::path::Path::new("."));
    for file in &scenario.submit.files {
        objects.extend(manifest::load(&base.join(file))?);
    }
    for parameter in &scenario.submit.parameters {
        let object = objects.iter_mut().find(|object| {
            let name = object.name();
            name.kind == parameter.kind && name.name == parameter.name
        });
        let set = object.is_some_and(|object| set(&mut object.value, &parameter.path, &parameter.value));
        if !set {
            return Err(Error::Document {
                place: scenario.file.display().to_string(),
                message: format!(
                    "parameters: there is no {}/{} with a place {}",
                    parameter.kind, parameter.name, parameter.path
                ),
            });
        }
    }
    Ok(objects)
}

/// Sets the value at a JSON pointer, whose last part may be new; false when there is no such place.
fn set(object: &mut Value, pointer: &str, value: &Value) -> bool {
    let Some((parent, last)) = pointer.rsplit_once('/') else {
        return false;
    };
    match object.pointer_mut(parent) {
        Some(Value::Object(fields)) => {
            fields.insert(last.replace("~1", "/").replace("~0", "~"), value.clone());
            true
        }
        Some(Value::Array(items)) if last == "-" => {
            items.push(value.clone());
            true
        }
        Some(Value::Array(items)) => match last.parse::<usize>().ok().and_then(|index| items.get_mut(index)) {
            Some(item) => {
                *item = value.clone();
                true
            }
            None => false,
        },
        _ => false,
    }
}

async fn checks(scenario: &Scenario, session: &Session, deadline: Instant, clock: &mut Clock) -> Vec<Check> {
    let mut checks = expectations(scenario, session, deadline).await;
    clock.lap("run");
    let so_far = checks.iter().all(|check| check.passed);
    if !scenario.logs.is_empty() {
        let left = if so_far { deadline.saturating_duration_since(Instant::now()) } else { Duration::ZERO };
        for check in &scenario.logs {
            checks.push(logs::check(check, scenario, session, left).await);
        }
        clock.lap("logs");
    }
    session.last_words().await;
    if !checks.iter().all(|check| check.passed) {
        return checks;
    }
    let settled =
        |world: &World| scenario.history.iter().all(|history| !goes_on(history, scenario, world)).then_some(());
    // What becomes of one that does not settle, the checks say.
    let _ = session.observer.until(deadline.min(Instant::now() + SETTLES), settled).await;
    session
        .observer
        .look(|world| checks.extend(scenario.history.iter().map(|history| history_check(history, scenario, world))));
    for page in &scenario.pages {
        let answer = page.verify(&session.cluster, &scenario.namespace, deadline).await;
        checks.push(Check { what: page.to_string(), passed: answer.is_ok(), detail: answer.err() });
    }
    if !scenario.pages.is_empty() {
        clock.lap("pages");
    }
    for output in &scenario.outputs {
        let what = output.to_string();
        // One that the nodes have: whoever wrote the file ran of it.
        let image = session.observer.look(|world| image_with(world, &output.claim));
        let image = image.as_deref().unwrap_or(outputs::IMAGE);
        let place = (scenario.namespace.as_str(), image);
        checks.push(match output.verify(&session.cluster, place, &scenario.file, deadline).await {
            Ok(None) => Check { what, passed: true, detail: None },
            Ok(detail) => Check { what, passed: false, detail },
            Err(error) => failed_check(&what, &error),
        });
    }
    if !scenario.outputs.is_empty() {
        clock.lap("outputs");
    }
    for selection in &scenario.gone {
        let nobody = |world: &World| {
            matching(selection, scenario, world).into_iter().all(|record| record.gone.is_some()).then_some(())
        };
        let gone = session.observer.until(deadline, nobody).await.is_some();
        let left = session.observer.look(|world| {
            let there = matching(selection, scenario, world).into_iter().filter(|record| record.gone.is_none());
            there.map(|record| record.name.name.clone()).collect::<Vec<_>>().join(", ")
        });
        checks.push(Check {
            what: format!("{selection} is gone"),
            passed: gone,
            detail: (!gone).then(|| format!("still there: {left}")),
        });
    }
    if !scenario.gone.is_empty() {
        clock.lap("gone");
    }
    checks
}

/// The image of a pod that mounts a claim.
fn image_with(world: &World, claim: &str) -> Option<String> {
    world.of_kind("Pod").find_map(|(_, record)| {
        let spec = &record.object()["spec"];
        let mounts = spec["volumes"].as_array()?.iter().any(|one| one["persistentVolumeClaim"]["claimName"] == claim);
        mounts.then(|| spec["containers"][0]["image"].as_str().map(str::to_owned))?
    })
}

/// The records that a selection means: of this run where it selects by label, the newest of its name where it names one.
pub(super) fn matching<'a>(on: &Selection, scenario: &Scenario, world: &'a World) -> Vec<&'a Record> {
    let mut found: Vec<&Record> = world
        .records
        .values()
        .filter(|record| record.name.kind == on.kind && record.api_version == on.api_version)
        .filter(|record| record.name.namespace.is_empty() || record.name.namespace == scenario.namespace)
        .filter(|record| match (&on.name, &on.selector) {
            (Some(name), _) => record.name.name == *name,
            (None, selector) => {
                !record.before
                    && selector.as_ref().is_none_or(|selector| selector.selector.matches_object(record.object()))
            }
        })
        .collect();
    found.sort_by_key(|record| record.versions.first().map(|version| version.at));
    if on.name.is_some() {
        found.drain(..found.len().saturating_sub(1));
    }
    found
}

fn variables(found: &[&Record]) -> Vec<(&'static str, Value)> {
    let there: Vec<&Value> =
        found.iter().filter(|record| record.gone.is_none()).map(|record| record.object()).collect();
    let seen: Vec<&Value> = found.iter().map(|record| record.object()).collect();
    let newest = found.last().map_or(Value::Null, |record| record.object().clone());
    vec![("object", newest), ("objects", json!(there)), ("seen", json!(seen))]
}

/// Waits until every expectation has been true once, or one of them cannot become true any more.
async fn expectations(scenario: &Scenario, session: &Session, deadline: Instant) -> Vec<Check> {
    let mut open: Vec<(usize, &Expectation)> = scenario.expect.iter().enumerate().collect();
    let mut last: Vec<Option<String>> = vec![None; scenario.expect.len()];
    let mut stopped = None;
    session
        .observer
        .until(deadline, |world| {
            for expectation in &scenario.expect {
                let found = matching(&expectation.on, scenario, world);
                if let Some(never) = expectation.never.as_ref().filter(|_| !found.is_empty())
                    && never.holds(variables(&found)) == Ok(true)
                {
                    stopped = Some(format!("{}: {never}", expectation.on));
                    return Some(());
                }
            }
            open.retain(|(index, expectation)| {
                let found = matching(&expectation.on, scenario, world);
                // A field that is not there yet is no error: it may come.
                match expectation.that.holds(variables(&found)) {
                    Ok(true) => false,
                    Ok(false) => {
                        last[*index] = Some(state_of(&found));
                        true
                    }
                    Err(why) => {
                        last[*index] = Some(if found.is_empty() { "there is none".to_owned() } else { why });
                        true
                    }
                }
            });
            if open.is_empty() {
                return Some(());
            }
            if let Some(why) = session.hopeless(world) {
                stopped = Some(why);
                return Some(());
            }
            // A Job that has failed will not complete: nothing is gained by waiting for the end of the budget.
            let failed = session.work().into_iter().find(|(_, uid)| {
                world.records.get(uid).and_then(|record| finished(&record.object()["status"])) == Some(false)
            });
            failed.map(|(name, _)| stopped = Some(format!("{name} failed")))
        })
        .await;
    let in_time = Instant::now() < deadline;
    scenario
        .expect
        .iter()
        .enumerate()
        .map(|(index, expectation)| {
            let passed = !open.iter().any(|(still, _)| *still == index);
            let why = match &stopped {
                Some(why) => why.clone(),
                None if in_time => last[index].clone().unwrap_or_default(),
                None => format!(
                    "not within {} s; at last: {}",
                    scenario.budget.as_secs(),
                    last[index].clone().unwrap_or_else(|| "there is none".to_owned())
                ),
            };
            Check {
                what: format!("{}: {}", expectation.on, expectation.that),
                passed,
                detail: (!passed).then_some(why),
            }
        })
        .chain(stopped.iter().filter(|_| open.is_empty()).map(|why| Check {
            what: "nothing happens that must not".to_owned(),
            passed: false,
            detail: Some(why.clone()),
        }))
        .collect()
}

/// What is to be said of objects that are not as expected.
fn state_of(found: &[&Record]) -> String {
    if found.is_empty() {
        return "there is none".to_owned();
    }
    let states: Vec<String> = found
        .iter()
        .map(|record| {
            let phase = kin::phase(record.object()).map(|phase| format!(" is {phase}")).unwrap_or_default();
            format!("{}{phase}{}", record.name.name, if record.gone.is_some() { " (gone)" } else { "" })
        })
        .collect();
    states.join(", ")
}

fn history_check(history: &History, scenario: &Scenario, world: &World) -> Check {
    let what = format!("{}: history is {}", history.on, states_text(&history.is));
    let found = matching(&history.on, scenario, world);
    if found.is_empty() {
        return Check { what, passed: false, detail: Some("there is none".to_owned()) };
    }
    for record in found {
        let states = match states(record, history.of.as_ref()) {
            Ok(states) => states,
            Err(why) => return Check { what, passed: false, detail: Some(why) },
        };
        if states != history.is {
            let detail = Some(format!("{} went through {}", record.name, states_text(&states)));
            return Check { what, passed: false, detail };
        }
    }
    Check { what, passed: true, detail: None }
}

/// Whether the history of some object has come a part of its way. A kubelet says that a pod is over some time after its containers
/// are, from which others conclude.
fn goes_on(history: &History, scenario: &Scenario, world: &World) -> bool {
    matching(&history.on, scenario, world).into_iter().any(|record| {
        states(record, history.of.as_ref())
            .is_ok_and(|states| states.len() < history.is.len() && history.is.starts_with(&states))
    })
}

fn states_text(states: &[Value]) -> String {
    let texts: Vec<String> =
        states.iter().map(|state| state.as_str().map_or_else(|| state.to_string(), str::to_owned)).collect();
    texts.join(" > ")
}

/// The states of a record's versions, one after the other.
fn states(record: &Record, of: Option<&Expression>) -> Result<Vec<Value>, String> {
    let mut states = Vec::new();
    for version in &record.versions {
        let state = match of {
            None => kin::phase(&version.object).map_or(Value::Null, Value::String),
            Some(expression) => expression.evaluate(vec![("object", (*version.object).clone())])?,
        };
        if !state.is_null() && states.last() != Some(&state) {
            states.push(state);
        }
    }
    Ok(states)
}

#[cfg(test)]
mod tests;
