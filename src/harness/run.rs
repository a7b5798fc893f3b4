//! `run`: submit an app, follow it, and say what became of it.

use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::apply::finished;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::Talk;
use crate::explain::Explanation;
use crate::images;
use crate::kin::{PodReport, millis};
use crate::manifest;
use crate::project::Project;
use crate::session::{Session, Submitted};

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
    /// What explains a failure.
    pub explanation: Option<Explanation>,
}

/// Submits what lies at `path` and follows it to its end, at most for `budget`.
///
/// # Errors
/// When it cannot be read, or the API rejects it. A job that fails is a result and not an error.
pub async fn run(
    project: &Project,
    cluster: &Cluster,
    app: &str,
    path: &Path,
    budget: Duration,
    talk: &Talk,
) -> Result<RunReport, Error> {
    let objects = manifest::load(path)?;
    images::fetch(project, &objects, talk).await;
    let session = Session::submit(cluster, objects, &[], talk).await?;
    let work = session.work();
    let deadline = session.began + budget;
    let verdict = session
        .observer
        .until(deadline, |world| {
            if let Some(why) = session.hopeless(world) {
                return Some(Err(why));
            }
            let mut all = true;
            for (name, uid) in &work {
                let status = world.records.get(uid).and_then(|record| finished(&record.object()["status"]));
                match status {
                    Some(true) => {}
                    Some(false) => return Some(Err(format!("{name} failed"))),
                    None => all = false,
                }
            }
            all.then_some(Ok(()))
        })
        .await
        .unwrap_or_else(|| Err(format!("{app} did not end within {} s", budget.as_secs())));
    session.last_words().await;
    let outcome = match &verdict {
        Ok(()) if work.is_empty() => Outcome::Applied,
        Ok(()) => Outcome::Succeeded,
        Err(_) => Outcome::Failed,
    };
    Ok(RunReport {
        app: app.to_owned(),
        outcome,
        took_ms: millis(Instant::now(), session.began),
        objects: session.submitted(),
        pods: session.pods(),
        explanation: verdict.err().map(|why| session.explain(why)),
    })
}
