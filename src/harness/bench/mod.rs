//! `bench`: the figures that this project promises, beside their limits, measured on a cluster of its own that is taken away again.

mod cluster;
mod console;
mod gitops;
mod kind;
mod operator;
mod scale;
mod spark;
mod workflows;

use serde::Serialize;
use tinderbox_providers::embedded::node::rehearsal::Rehearsal;
use tinderbox_providers::{Provider as _, ProviderName};

use crate::apply;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::{Event, Talk};
use crate::gitops as tree;
use crate::project::Project;
use crate::suggest;

/// The name of the cluster that is measured on.
const CLUSTER: &str = "bench";

/// The figures that can be asked for by name, in the order in which they are measured.
pub const FIGURES: [&str; 36] = [
    "up-first",
    "up-again",
    "pod-running",
    "node-memory",
    "place-memory",
    "down",
    "spark-driver",
    "spark-pi",
    "scale-create",
    "scale-watch",
    "scale-watch-late",
    "scale-list",
    "scale-pods",
    "scale-memory",
    "operator-submit",
    "operator-many",
    "operator-memory",
    "gitops-up",
    "gitops-saved",
    "gitops-sync",
    "gitops-render",
    "console-view",
    "console-bytes",
    "console-memory",
    "console-update",
    "console-list",
    "workflow-dag",
    "workflow-pods",
    "workflow-diamond",
    "workflow-memory",
    "kind-up",
    "kind-e2e",
    "kind-down",
    "kind-load-first",
    "kind-load-again",
    "kind-load-changed",
];

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figure {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub what: &'static str,
    /// The value measured.
    pub value: f64,
    /// `ms`, `MiB`, `kB` or `times`.
    pub unit: &'static str,
    /// What it should not exceed, where something was promised.
    pub limit: Option<f64>,
    /// It does not.
    pub within: bool,
    /// How the value came about.
    pub detail: String,
}

impl Figure {
    fn new(
        name: &'static str,
        what: &'static str,
        value: f64,
        unit: &'static str,
        limit: impl Into<Option<f64>>,
    ) -> Self {
        let limit = limit.into();
        let within = limit.is_none_or(|limit| value <= limit);
        Self { name, what, value, unit, limit, within, detail: String::new() }
    }

    fn told(mut self, detail: String) -> Self {
        self.detail = detail;
        self
    }
}

/// The figures.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BenchReport {
    /// When they were measured, in RFC 3339.
    pub at: String,
    /// Processors of this machine.
    pub processors: usize,
    /// The figures.
    pub figures: Vec<Figure>,
}

impl BenchReport {
    /// Whether every figure is within its limit.
    #[must_use]
    pub fn within(&self) -> bool {
        self.figures.iter().all(|figure| figure.within)
    }
}

/// Whether a name means a figure: its own, or the first word of several.
fn means(name: &str, figure: &str) -> bool {
    figure.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// The administrator's connection to a rehearsal that has the platform in it.
async fn with_platform(project: &Project, rehearsal: &Rehearsal) -> Result<Cluster, Error> {
    let cluster = Cluster::connect("rehearsal", &rehearsal.kubeconfig()).await?;
    let mut objects = match project.platform(ProviderName::Embedded) {
        Some(root) => tree::expand(project, &root)?.objects(),
        None => Vec::new(),
    };
    apply::in_order(&mut objects);
    apply::apply(&cluster, &objects, "default", &Talk::silent()).await?;
    Ok(cluster)
}

/// Measures the figures named (by name, or by the first word of several), or all. The cluster is taken away at the end, however that comes about.
///
/// # Errors
/// When a name is not known, or something cannot be measured.
pub async fn bench(
    project: &Project,
    names: &[String],
    stop: impl Future<Output = ()>,
    talk: &Talk,
) -> Result<BenchReport, Error> {
    for name in names {
        if !FIGURES.iter().any(|figure| means(name, figure)) {
            return Err(Error::Usage {
                message: format!("there is no figure called {name:?}"),
                hint: Some(suggest::hint(name, "figures", &FIGURES)),
            });
        }
    }
    let wanted =
        |any: &[&str]| names.is_empty() || names.iter().any(|name| any.iter().any(|figure| means(name, figure)));
    let mut own = project.clone();
    CLUSTER.clone_into(&mut own.cluster);
    // A port of the user's choice is their own cluster's.
    own.config.port = 0;
    let place = own.embedded("bench")?;
    place.down().await?;
    let work = async {
        let mut figures = Vec::new();
        if wanted(&FIGURES[..6]) {
            figures.extend(cluster::measure(&own, talk).await?);
        }
        if wanted(&FIGURES[6..8]) {
            figures.extend(spark::measure(&own, talk).await?);
        }
        if wanted(&FIGURES[8..14]) {
            figures.extend(scale::measure(talk).await?);
        }
        if wanted(&FIGURES[14..17]) {
            figures.extend(operator::measure(&own, talk).await?);
        }
        if wanted(&FIGURES[17..21]) {
            place.down().await?;
            figures.extend(gitops::measure(&own, talk).await?);
        }
        if wanted(&FIGURES[21..26]) {
            place.down().await?;
            figures.extend(console::measure(&own, talk).await?);
        }
        for figure in FIGURES[26..30].iter().filter(|figure| wanted(&[**figure])) {
            place.down().await?;
            figures.push(workflows::measure(&own, figure, talk).await?);
        }
        if wanted(&FIGURES[30..]) {
            // It is a cluster of another place that may take the name now.
            place.down().await?;
            figures.extend(kind::measure(&own, talk).await?);
        }
        figures.retain(|figure| wanted(&[figure.name]));
        Ok(figures)
    };
    let outcome = tokio::select! {
        outcome = work => outcome,
        () = stop => Err(Error::Interrupted),
    };
    talk.tell(Event::Step("taking the cluster away".to_owned()));
    let down = place.down().await;
    let figures = outcome?;
    down?;
    Ok(BenchReport {
        at: jiff::Timestamp::now().to_string(),
        processors: std::thread::available_parallelism().map_or(1, usize::from),
        figures,
    })
}
