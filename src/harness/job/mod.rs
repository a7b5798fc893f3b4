//! Jobs as code: a job is run by a Rust program or a test, and what became of it comes back as values.
//!
//! ```no_run
//! # async fn example() -> Result<(), tinderbox::Error> {
//! let done = tinderbox::run("flights-report").await?;
//! assert!(done.succeeded(), "{done}");
//! assert_eq!(done.states("job/flights-report"), ["Waiting", "Active", "Complete"]);
//!
//! let pi = tinderbox::application("pi").python("local:///opt/spark/examples/src/main/python/pi.py").executors(2);
//! let done = pi.run().await?;
//! assert!(done.driver_log().contains("Pi is roughly 3.1"), "{done}");
//! # Ok(()) }
//! ```
//!
//! It must not do anything that `run` on the command line does not.

mod application;

use std::collections::BTreeMap;
use std::fmt;
use std::future::IntoFuture;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::{Duration, Instant};

use jiff::Timestamp;

pub use application::{Application, application};

use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::{Role, Talk};
use crate::kin::PodReport;
use crate::project::{Place, Project};
use crate::run::{self, Outcome, RunReport};
use crate::scenario::outputs;
use crate::{manifest, up};

/// How long a job may take, unless it is said.
const BUDGET: Duration = Duration::from_secs(600);
/// How long a file of a volume may take to be read.
const READ: Duration = Duration::from_secs(60);

/// A job that is run when it is awaited.
#[derive(Debug, Clone)]
#[must_use = "a job is run when it is awaited"]
pub struct Job {
    source: Source,
    place: Place,
    at: Option<Timestamp>,
    parameters: Vec<(String, String)>,
    budget: Duration,
    talk: Talk,
}

#[derive(Debug, Clone)]
enum Source {
    /// A folder of `manifests/apps`, or a path.
    Named(String),
    Application(Box<Application>),
}

/// Runs an app of the project, by its name or the path of its manifests.
pub fn run(app: impl Into<String>) -> Job {
    Job::new(Source::Named(app.into()))
}

impl Job {
    fn new(source: Source) -> Self {
        let place = Place { cluster: "local".to_owned(), ..Place::default() };
        Self { source, place, at: None, parameters: Vec::new(), budget: BUDGET, talk: Talk::silent() }
    }

    /// The root of the project; found from the current folder upwards without this.
    pub fn project(mut self, root: impl Into<PathBuf>) -> Self {
        self.place.project = Some(root.into());
        self
    }

    /// The cluster to run it in, `local` without this. It is brought up where it is not, and stays: [`crate::up::down`] takes it away.
    pub fn cluster(mut self, name: impl Into<String>) -> Self {
        self.place.cluster = name.into();
        self
    }

    /// The whole place to run it in: project, cluster, provider and platform.
    pub fn place(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    /// Not the job, but the run that its schedule starts at this moment.
    pub fn at(mut self, moment: Timestamp) -> Self {
        self.at = Some(moment);
        self
    }

    /// A parameter for a workflow of the job's WorkflowTemplate.
    pub fn parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.parameters.push((name.into(), value.into()));
        self
    }

    /// How long it may take, ten minutes without this. A job that takes longer has failed.
    pub fn budget(mut self, budget: Duration) -> Self {
        self.budget = budget;
        self
    }

    /// Where is told what happens meanwhile.
    pub fn talk(mut self, talk: Talk) -> Self {
        self.talk = talk;
        self
    }

    async fn done(self) -> Result<Done, Error> {
        let Self { source, place, at, parameters, budget, talk } = self;
        let project = Project::open(&place)?;
        let (app, objects) = match &source {
            Source::Named(name) => (name.clone(), manifest::load(&project.target(name)?)?),
            Source::Application(application) => (application.name(), application.manifest()?),
        };
        let (_, cluster) = up::up(&project, "up", std::future::pending(), &talk).await?;
        let work = run::Work { app: &app, objects, at, parameters: &parameters, budget };
        let (report, session) = run::follow(&project, &cluster, work, std::future::pending(), &talk).await?;
        let histories = session.histories();
        let logs = session.follower.look(|texts| {
            let of = |text: &crate::follow::Text| Log {
                pod: text.pod.clone(),
                container: text.container.clone(),
                role: text.role.unwrap_or(Role::Plain),
                lines: text.lines.clone(),
            };
            texts.values().map(of).collect()
        });
        Ok(Done { report, histories, logs, cluster })
    }
}

impl IntoFuture for Job {
    type Output = Result<Done, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output>>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.done())
    }
}

/// What one run of one container said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Name of the pod.
    pub pod: String,
    /// Name of the container.
    pub container: String,
    /// The pod's part in the job.
    pub role: Role,
    /// The lines, oldest first; of a very long log the last 16 MiB.
    pub lines: Vec<String>,
}

/// What became of a job. As text it is what `run` prints of a failure.
#[derive(Clone)]
pub struct Done {
    /// What `run -o json` prints.
    pub report: RunReport,
    /// The states that each object went through, by its name as `sparkapplication/pi` or `pod/pi-driver`.
    pub histories: BTreeMap<String, Vec<String>>,
    /// What its containers said, those of pods that are gone included.
    pub logs: Vec<Log>,
    cluster: Cluster,
}

impl Done {
    /// Whether all its work is done, and well.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.report.outcome == Outcome::Succeeded
    }

    /// The states of an object, in order; none where there was no such object, or it has no states.
    #[must_use]
    pub fn states(&self, object: &str) -> Vec<&str> {
        self.histories.get(object).into_iter().flatten().map(String::as_str).collect()
    }

    /// The pods of one part.
    #[must_use]
    pub fn pods(&self, role: Role) -> Vec<&PodReport> {
        self.report.pods.iter().filter(|pod| pod.role == role).collect()
    }

    /// What the drivers said.
    #[must_use]
    pub fn driver_log(&self) -> String {
        let drivers = self.logs.iter().filter(|log| log.role == Role::Driver);
        drivers.flat_map(|log| &log.lines).map(|line| format!("{line}\n")).collect()
    }

    /// The content of a file that the job left on a claim of a namespace. A pod that mounts the claim reads it.
    ///
    /// # Errors
    /// When there is no such claim or file.
    pub async fn output(&self, namespace: &str, claim: &str, file: &str) -> Result<String, Error> {
        outputs::content(&self.cluster, (namespace, outputs::IMAGE), claim, file, Instant::now() + READ).await
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?} after {} ms", self.report.app, self.report.outcome, self.report.took_ms)?;
        let Some(explanation) = &self.report.explanation else { return Ok(()) };
        write!(f, "\nwhy: {}", explanation.summary)?;
        for (title, lines) in explanation.cause.iter().flat_map(crate::diagnose::Cause::parts) {
            write!(f, "\n{title}:\n  {}", lines.join("\n  "))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
