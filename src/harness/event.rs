//! What a use case tells while it works. It says; how that looks is the listener's business.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
pub use tinderbox_gitops::manifest::ObjectName;

/// What part a pod has in a job; it decides whose log is worth following.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Spark's driver.
    Driver,
    /// One of Spark's executors.
    Executor,
    /// The pod that runs spark-submit.
    Submitter,
    /// Any other.
    Plain,
}

/// One thing worth telling.
#[derive(Debug, Clone)]
pub enum Event {
    /// A step begins; it ends where the next begins.
    Step(String),
    /// A step is done.
    Done {
        /// What was done.
        text: String,
        /// How long it took.
        took: Duration,
    },
    /// How far a download has come.
    Download {
        /// What is downloaded.
        what: String,
        /// Bytes that are there, and bytes in all where that is known; `None` when it is over.
        done: Option<(u64, Option<u64>)>,
    },
    /// Something that the user should know.
    Note(String),
    /// Something that may keep the work from succeeding.
    Warning(String),
    /// An object was applied.
    Applied {
        /// Which.
        object: ObjectName,
        /// What that did: created, changed or nothing.
        outcome: Applied,
    },
    /// An object entered a phase.
    Phase {
        /// Which object.
        object: ObjectName,
        /// Its part.
        role: Role,
        /// The phase.
        phase: String,
        /// Time since the use case began.
        at: Duration,
    },
    /// A container wrote a line.
    Line {
        /// The pod.
        pod: String,
        /// The container.
        container: String,
        /// The pod's part.
        role: Role,
        /// The line, without its end.
        text: String,
    },
    /// A scenario of an end-to-end run begins.
    Scenario {
        /// Its name.
        name: String,
        /// Its number, from 1.
        number: usize,
        /// How many there are.
        of: usize,
    },
    /// A scenario is over.
    Judged {
        /// Its name.
        name: String,
        /// It did all it should.
        passed: bool,
        /// How long it took.
        took: Duration,
    },
}

/// What applying an object did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Applied {
    /// It is new.
    Created,
    /// It is different now.
    Configured,
    /// It was as wanted.
    Unchanged,
}

/// Where a use case tells what it does.
#[derive(Clone)]
pub struct Talk(Arc<dyn Fn(Event) + Send + Sync>);

impl Talk {
    /// Hands every event to `listener`.
    pub fn new(listener: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }

    /// Nobody listens.
    #[must_use]
    pub fn silent() -> Self {
        Self::new(|_| {})
    }

    /// Tells one event.
    pub fn tell(&self, event: Event) {
        (self.0)(event);
    }

    /// The same, for a provider.
    pub(crate) fn for_provider(&self) -> tinderbox_providers::Talk {
        let talk = self.clone();
        tinderbox_providers::Talk::new(move |line| talk.tell(Event::Step(line.to_owned())))
    }
}

impl std::fmt::Debug for Talk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Talk")
    }
}
