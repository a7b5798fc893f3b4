//! What can go wrong with a place. The text says what was attempted, the cause is in `source`, the advice is apart.

use std::io;
use std::path::PathBuf;

/// Whose turn it is after an error; it decides the exit code of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The thing itself failed.
    Failed,
    /// It was asked for in a wrong way.
    Usage,
    /// The machine lacks something.
    Environment,
}

/// Why a cluster could not be brought up, found or taken away.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder of the cluster's state refused.
    #[error("cannot {act} {}", path.display())]
    File {
        /// What was attempted, as in "write".
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The state file is there and cannot be read.
    #[error("cannot read the state of cluster {name} in {}", path.display())]
    StateUnread {
        /// The cluster.
        name: String,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The state file is not what this program writes.
    #[error("the state of cluster {name} in {} is damaged or half-written", path.display())]
    StateDamaged {
        /// The cluster.
        name: String,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A later version of this program wrote the state.
    #[error("the state of cluster {name} in {} has format {found}, and this version knows only up to {known}", path.display())]
    StateNewer {
        /// The cluster.
        name: String,
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// The newest known one.
        known: u64,
    },
    /// A name that no cluster can have.
    #[error("{name:?} cannot be the name of a cluster: {why}")]
    Name {
        /// The name.
        name: String,
        /// The rule that it breaks.
        why: String,
    },
    /// The program that runs the node is not there.
    #[error("cannot find the program that runs the node; looked at {}", looked.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", "))]
    Program {
        /// Where it was looked for.
        looked: Vec<PathBuf>,
    },
    /// The node process could not be started.
    #[error("cannot start the node process {}", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The node process ended without a word.
    #[error("the node process ended before it was ready ({how}){}", tail_text(tail))]
    NodeEnded {
        /// Its exit status in words.
        how: String,
        /// Last lines of its log.
        tail: Vec<String>,
    },
    /// The node process said what keeps it from being ready.
    #[error("{message}")]
    Node {
        /// What it said.
        message: String,
        /// The causes, outermost first.
        #[source]
        source: Option<Box<Cause>>,
        /// Its advice.
        hint: Option<String>,
        /// Whose turn it is.
        class: Class,
    },
    /// A port that the user asked for is in use.
    #[error("port {port} of 127.0.0.1 is taken{}", holder.as_ref().map(|who| format!(" by {who}")).unwrap_or_default())]
    PortTaken {
        /// The port.
        port: u16,
        /// Who has it, if that can be seen.
        holder: Option<String>,
    },
    /// A process would not end.
    #[error("cannot end the node process {pid}")]
    Kill {
        /// The process.
        pid: i32,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It was asked for in a wrong way.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What would be right.
        hint: Option<String>,
    },
    /// The machine, or what runs on it, lacks something.
    #[error("{message}")]
    Lack {
        /// What.
        message: String,
        /// What would help.
        hint: Option<String>,
    },
    /// A part of the cluster could not be started.
    #[error("cannot {act}")]
    Compose {
        /// What was attempted.
        act: String,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
        /// What would help.
        hint: Option<String>,
        /// Whose turn it is.
        class: Class,
    },
}

fn tail_text(tail: &[String]) -> String {
    if tail.is_empty() {
        return String::new();
    }
    format!("; its last words:\n  {}", tail.join("\n  "))
}

/// What to do about files of another user's.
fn anothers() -> Option<String> {
    Some(
        "it belongs to another user: give it back with chown, or set TINDERBOX_HOME to a folder of your own".to_owned(),
    )
}

/// A cause that came from another process as text.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Cause {
    message: String,
    #[source]
    source: Option<Box<Cause>>,
}

impl Cause {
    /// Builds the chain from its texts, outermost first.
    #[must_use]
    pub fn chain(texts: &[String]) -> Option<Box<Self>> {
        let (message, rest) = texts.split_first()?;
        Some(Box::new(Self { message: message.clone(), source: Self::chain(rest) }))
    }
}

impl Error {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::StateUnread { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => anothers(),
            Self::StateDamaged { name, .. } | Self::StateUnread { name, .. } => Some(format!(
                "`cargo xtask down --name {name}` removes the cluster with all its objects; the next `up` starts afresh"
            )),
            Self::StateNewer { name, .. } => Some(format!(
                "use the version that wrote it, or remove the cluster with `cargo xtask down --name {name}`"
            )),
            Self::File { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull => Some("free some space on that file system".to_owned()),
                io::ErrorKind::PermissionDenied => anothers(),
                _ => None,
            },
            Self::Program { .. } => {
                Some("build it with `cargo build --package xtask`, or name it in TINDERBOX_PROGRAM".to_owned())
            }
            Self::PortTaken { .. } => {
                Some("end that program, or set another `port` in tinderbox.yaml (0 chooses a free one)".to_owned())
            }
            Self::NodeEnded { .. } => {
                Some("`cargo xtask doctor` tries what this machine must be able to do".to_owned())
            }
            Self::Node { hint, .. }
            | Self::Compose { hint, .. }
            | Self::Lack { hint, .. }
            | Self::Usage { hint, .. } => hint.clone(),
            Self::Name { .. } | Self::Spawn { .. } | Self::Kill { .. } => None,
        }
    }

    /// Whose turn it is.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Name { .. } | Self::Usage { .. } => Class::Usage,
            Self::NodeEnded { .. } | Self::Kill { .. } => Class::Failed,
            Self::Node { class, .. } | Self::Compose { class, .. } => *class,
            Self::File { .. }
            | Self::StateUnread { .. }
            | Self::StateDamaged { .. }
            | Self::StateNewer { .. }
            | Self::Program { .. }
            | Self::Spawn { .. }
            | Self::Lack { .. }
            | Self::PortTaken { .. } => Class::Environment,
        }
    }
}
