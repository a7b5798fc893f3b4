//! What a sync does and in which order: phases, waves, kinds, hooks, pruning. Pure: it looks at objects and results, and says what
//! is to be done next; nobody is asked and nothing is written.
//! Upstream rule: `gitops-engine/pkg/sync` of argoproj/argo-cd.

pub mod auto;
mod duration;
mod kinds;
mod mark;
mod options;
mod results;
pub mod retry;
mod task;
mod turn;
pub mod window;

pub use mark::{Marks, Phase, has_option, is_hook};
pub use options::{Propagation, Settings};
pub use results::Results;
pub use task::{Key, Pair, Sync, Task};
pub use turn::{Act, Check, Objection, Outcome, Settled, Turn};

/// The phase of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// It is under way.
    Running,
    /// It was asked to end.
    Terminating,
    /// It did what it should.
    Succeeded,
    /// It did not.
    Failed,
    /// It could not even begin.
    Error,
}

impl Operation {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Terminating => "Terminating",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Error => "Error",
        }
    }

    /// Whether an operation in this phase, by its word, is still under way.
    #[must_use]
    pub fn is_open(word: &str) -> bool {
        matches!(word, "Running" | "Terminating")
    }
}

#[cfg(test)]
mod tests;
