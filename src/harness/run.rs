//! `run`: submit an app, follow it, and say what became of it.

use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Serialize;

use crate::apply::finished;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::{Event, Talk};
use crate::explain::Explanation;
use crate::history;
use crate::images;
use crate::kin::{self, PodReport, millis};
use crate::manifest::{self, Object};
use crate::moment;
use crate::observe::{Record, World};
use crate::preflight;
use crate::project::Project;
use crate::session::{Session, Submitted};
use crate::template;
use crate::timeline::Timeline;

/// What became of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// All its work is done, and well.
    Succeeded,
    /// Some of its work failed, or cannot succeed.
    Failed,
    /// Its objects are applied, and there is nothing among them that ends.
    Applied,
}

/// Objects that are to be run.
pub(crate) struct Work<'a> {
    pub(crate) app: &'a str,
    pub(crate) objects: Vec<Object>,
    pub(crate) at: Option<Timestamp>,
    pub(crate) parameters: &'a [(String, String)],
    pub(crate) budget: Duration,
}

/// What is to be run.
#[derive(Debug, Clone, Copy)]
pub struct What<'a> {
    /// What to call it.
    pub app: &'a str,
    /// Where its manifests are.
    pub path: &'a Path,
    /// Not its objects, but the run that the schedule among them starts at this moment.
    pub at: Option<Timestamp>,
    /// Parameters for a workflow of the WorkflowTemplate among them.
    pub parameters: &'a [(String, String)],
    /// How long it may take.
    pub budget: Duration,
}

/// The report of one run.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunReport {
    /// The name of the app, or the path that was run.
    pub app: String,
    /// What became of it.
    pub outcome: Outcome,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// What was submitted.
    pub objects: Vec<Submitted>,
    /// Its pods.
    pub pods: Vec<PodReport>,
    /// How far its Spark applications came, and when.
    pub timelines: Vec<Timeline>,
    /// Where the history server shows them.
    pub links: Vec<String>,
    /// What explains a failure.
    pub explanation: Option<Explanation>,
}

/// Submits something and follows it to its end, at most for its budget and until `stop` ends; stopped, the job goes on
/// without us.
///
/// # Errors
/// When it cannot be read, the API rejects it, or it is stopped. A job that fails is a result and not an error.
pub async fn run(
    project: &Project,
    cluster: &Cluster,
    what: What<'_>,
    stop: impl Future<Output = ()>,
    talk: &Talk,
) -> Result<RunReport, Error> {
    let What { app, path, at, parameters, budget } = what;
    let work = Work { app, objects: manifest::load(path)?, at, parameters, budget };
    Ok(follow(project, cluster, work, stop, talk).await?.0)
}

/// Submits objects and follows them; the session goes on to see what comes after.
///
/// # Errors
/// As [`run`].
pub(crate) async fn follow(
    project: &Project,
    cluster: &Cluster,
    work: Work<'_>,
    stop: impl Future<Output = ()>,
    talk: &Talk,
) -> Result<(RunReport, Session), Error> {
    let Work { app, objects, at, parameters, budget } = work;
    let mut stop = std::pin::pin!(stop);
    let submitted = async {
        images::fetch(project, &objects, talk).await;
        let objects = match at {
            Some(moment) => vec![moment::prepare(cluster, objects, moment, talk).await?],
            None => template::with_run(objects, parameters, Timestamp::now())?,
        };
        preflight::look(cluster, &objects, talk).await?;
        Session::submit(cluster, objects, &[], talk).await
    };
    let session = tokio::select! {
        session = submitted => session?,
        () = &mut stop => return Err(Error::Interrupted),
    };
    let deadline = session.began + budget;
    let ended = async {
        let verdict = session.observer.until(deadline, |world| judge(&session, world)).await;
        session.last_words().await;
        verdict.unwrap_or_else(|| Err(format!("{app} did not end within {} s", budget.as_secs())))
    };
    let verdict = tokio::select! {
        verdict = ended => verdict,
        () = &mut stop => {
            talk.tell(Event::Note(format!("{app} goes on: `cargo xtask run {app}` follows it again")));
            return Err(Error::Interrupted);
        }
    };
    let outcome = match &verdict {
        Ok(()) if session.work().is_empty() => Outcome::Applied,
        Ok(()) => Outcome::Succeeded,
        Err(_) => Outcome::Failed,
    };
    let took_ms = millis(Instant::now(), session.began);
    let links = history::links(project, cluster, &session.applications()).await;
    let report = RunReport {
        app: app.to_owned(),
        outcome,
        took_ms,
        objects: session.submitted(),
        pods: session.pods(),
        timelines: session.timelines(),
        links,
        explanation: verdict.err().map(|why| session.explain(why)),
    };
    Ok((report, session))
}

/// Whether all the work is done, or why it cannot be.
fn judge(session: &Session, world: &World) -> Option<Result<(), String>> {
    if let Some(why) = session.hopeless(world) {
        return Some(Err(why));
    }
    let mut all = true;
    for (name, uid) in session.work() {
        match world.records.get(&uid).and_then(|record| finished(&record.object()["status"])) {
            Some(true) => {}
            Some(false) => return Some(Err(format!("{name} failed"))),
            None => all = false,
        }
    }
    if all { drivers_verdict(&kin::drivers(world, &session.pod_uids(world))) } else { None }
}

/// What the drivers came to, once the submitted objects are done: `None` while one of them still works.
fn drivers_verdict(drivers: &[&Record]) -> Option<Result<(), String>> {
    let mut all = true;
    for driver in drivers {
        match driver.object()["status"]["phase"].as_str() {
            Some("Succeeded") => {}
            Some("Failed") => return Some(Err(format!("{} failed", driver.name))),
            _ if driver.gone.is_some() => return Some(Err(format!("{} was removed before its end", driver.name))),
            _ => all = false,
        }
    }
    all.then_some(Ok(()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_run_is_what_its_drivers_are() {
        let driver = |phase: &str| {
            Record::of("Pod", json!({"metadata": {"name": phase, "namespace": "n"}, "status": {"phase": phase}}))
        };
        let (good, bad, busy) = (driver("Succeeded"), driver("Failed"), driver("Running"));
        let removed = Record { gone: Some(Instant::now()), ..busy.clone() };
        assert_eq!(drivers_verdict(&[]), Some(Ok(())));
        assert_eq!(drivers_verdict(&[&good, &good]), Some(Ok(())));
        assert_eq!(drivers_verdict(&[&good, &busy]), None);
        assert_eq!(drivers_verdict(&[&busy, &bad]), Some(Err("pod/Failed failed".to_owned())));
        assert_eq!(drivers_verdict(&[&removed]), Some(Err("pod/Running was removed before its end".to_owned())));
    }
}
