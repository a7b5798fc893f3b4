//! `e2e`: a cluster, every scenario, a report, and the cluster gone again, unless it was there before.

use std::time::Instant;

use serde::Serialize;
use tinderbox_providers::{Arrival, Provider as _, ProviderName};

use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::{Event, Talk};
use crate::kin::millis;
use crate::parity::{self, Parity};
use crate::project::Project;
use crate::scenario::{self, Scenario, ScenarioReport, Verdict};
use crate::{reaper, up};

/// The verb that is remembered as the maker of a cluster of our own.
pub(crate) const VERB: &str = "e2e";

/// What an end-to-end run is to do.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Names or files of scenarios; all when empty.
    pub scenarios: Vec<String>,
    /// Leave the cluster and what the scenarios brought.
    pub keep: bool,
    /// What the objects did is compared with other places: wait for the last events too, which may come when all is over.
    pub compared: bool,
}

/// The report of an end-to-end run.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct E2eReport {
    /// The cluster.
    pub cluster: String,
    /// The place that it was in.
    pub provider: ProviderName,
    /// It was started for this run.
    pub own_cluster: bool,
    /// When it began, in RFC 3339.
    pub began: String,
    /// Until the cluster was up, in milliseconds.
    pub up_ms: u64,
    /// Until it was gone again, in milliseconds; absent when it stays.
    pub down_ms: Option<u64>,
    /// All together, in milliseconds.
    pub took_ms: u64,
    /// The scenarios.
    pub scenarios: Vec<ScenarioReport>,
}

impl E2eReport {
    /// What a scenario came to, if it ran.
    #[must_use]
    pub fn scenario(&self, name: &str) -> Option<&ScenarioReport> {
        self.scenarios.iter().find(|one| one.name == name)
    }

    /// Whether every scenario passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.scenarios.iter().all(|scenario| scenario.verdict == Verdict::Passed)
    }
}

/// The reports of the same scenarios in several places.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EverywhereReport {
    /// Each place's own.
    pub places: Vec<E2eReport>,
    /// How they compare.
    pub parity: Parity,
}

impl EverywhereReport {
    /// Whether every scenario passed everywhere, and no difference is without a listed cause.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.places.iter().all(E2eReport::passed) && self.parity.faults().next().is_none()
    }
}

/// Runs the scenarios in several places, one after the other, and compares what they did there. Clusters of other places than the
/// first are called `NAME-PLACE`.
///
/// # Errors
/// As [`e2e`].
pub async fn everywhere(
    project: &Project,
    places: &[ProviderName],
    options: &Options,
    stop: impl Future<Output = ()>,
    talk: &Talk,
) -> Result<EverywhereReport, Error> {
    let mut stop = std::pin::pin!(stop);
    let allowances = parity::allowances(project)?;
    let options = &Options { compared: true, ..options.clone() };
    let mut reports = Vec::with_capacity(places.len());
    for (index, place) in places.iter().enumerate() {
        let mut project = project.clone();
        project.asked = Some(*place);
        if index > 0 {
            project.cluster = format!("{}-{place}", project.cluster);
        }
        reports.push(e2e(&project, options, &mut stop, talk).await?);
    }
    let parity = parity::compare(&reports, &allowances);
    Ok(EverywhereReport { places: reports, parity })
}

/// Runs the scenarios. A cluster that was not there before is taken away at the end, however that comes about.
///
/// # Errors
/// When a scenario is wrong or the cluster cannot be had. A scenario that fails is a result and not an error.
pub async fn e2e(
    project: &Project,
    options: &Options,
    stop: impl Future<Output = ()>,
    talk: &Talk,
) -> Result<E2eReport, Error> {
    let began = Instant::now();
    let started_at = format!("{:.0}", jiff::Timestamp::now());
    // What is wrong with a file is found before anything is started.
    let scenarios = project
        .scenario_files(&options.scenarios)?
        .iter()
        .map(|file| Scenario::load(file))
        .collect::<Result<Vec<_>, _>>()?;
    let place = project.provider(VERB)?;
    // What an earlier end-to-end run left, killed half-way, is ours too.
    let left = place.made_by()?.is_some_and(|verb| verb == VERB);
    let own = left || !place.folder().exists();
    if own && !options.keep {
        reaper::start(project)?;
    }
    let work = async {
        let (up, cluster) = up::up(project, if own { VERB } else { "up" }, std::future::pending(), talk).await?;
        let up_ms = millis(Instant::now(), began);
        let own = own || up.arrival == Arrival::New;
        let reports = all(project, &cluster, &scenarios, options, talk).await?;
        Ok::<_, Error>((own, up_ms, reports))
    };
    let outcome = tokio::select! {
        outcome = work => outcome,
        () = stop => Err(Error::Interrupted),
    };
    let mut down_ms = None;
    if own && !options.keep {
        talk.tell(Event::Step(format!("taking cluster {} away", project.cluster)));
        let since = Instant::now();
        let down = up::take_away(project, &place).await;
        down_ms = Some(millis(Instant::now(), since));
        // What failed first is what is told.
        if outcome.is_ok() {
            down?;
        }
    }
    let (own_cluster, up_ms, scenarios) = outcome?;
    Ok(E2eReport {
        cluster: project.cluster.clone(),
        provider: place.name(),
        own_cluster,
        began: started_at,
        up_ms,
        down_ms,
        took_ms: millis(Instant::now(), began),
        scenarios,
    })
}

async fn all(
    project: &Project,
    cluster: &Cluster,
    scenarios: &[Scenario],
    options: &Options,
    talk: &Talk,
) -> Result<Vec<ScenarioReport>, Error> {
    let mut reports = Vec::with_capacity(scenarios.len());
    for (index, scenario) in scenarios.iter().enumerate() {
        talk.tell(Event::Scenario { name: scenario.name.clone(), number: index + 1, of: scenarios.len() });
        let report = scenario::verify(project, cluster, scenario, options, talk).await?;
        talk.tell(Event::Judged {
            name: report.name.clone(),
            passed: report.verdict == Verdict::Passed,
            took: std::time::Duration::from_millis(report.took_ms),
        });
        reports.push(report);
    }
    Ok(reports)
}
