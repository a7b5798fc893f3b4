//! What the node process and the place process say to each other. Data only.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::error::Failure;
use super::{ContainerSpec, ExecSpec, Exited, HostIds, PodSandbox, Usage};

/// First host id of the 65536 that the place maps where the node process is root.
pub(super) const RANGE_START: u32 = 0x6FFF_0000;
/// How many ids that map holds.
pub(super) const RANGE_LENGTH: u32 = 0x1_0000;

/// How user ids of the place map to those of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum IdMap {
    /// All ids below 65536, to an unprivileged range; written by the node process.
    Range,
    /// Only id 0, to the one who runs the node process.
    Single { uid: u32, gid: u32 },
}

impl From<IdMap> for HostIds {
    fn from(ids: IdMap) -> Self {
        match ids {
            IdMap::Range => Self::Range { start: RANGE_START },
            IdMap::Single { uid, gid } => Self::Single { uid, gid },
        }
    }
}

/// First message to the place process; the detached mounts of `binds` come with it where the node process could make them.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Settings {
    pub(super) ids: IdMap,
    pub(super) binds: Vec<PathBuf>,
}

/// The id map has been written: go on.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Mapped;

/// How far the start has come.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Progress {
    /// In its user namespace; waits for the id map.
    Unshared,
    /// The place process proper has been born, with this process id among the machine's.
    Born { pid: i32 },
    /// Everything is set up.
    Ready,
    /// The machine refuses.
    Refused { attempted: String, errno: i32 },
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) number: u64,
    pub(super) call: Call,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Call {
    /// A socket made inside a pod, or in the place's own network; everything else about it is done by the node process.
    Socket {
        pod: Option<String>,
        stream: bool,
    },
    CreatePod(PodSandbox),
    Start(Box<ContainerSpec>),
    Exec(Box<ExecSpec>),
    Signal {
        id: String,
        signal: i32,
    },
    Resize {
        id: String,
        columns: u16,
        rows: u16,
    },
    /// What containers use, by their ids; with their processes' own shares of memory, which takes longer.
    Usage {
        ids: Vec<String>,
        shares: bool,
    },
    RemovePod {
        id: String,
    },
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Event {
    Answer { number: u64, result: Result<Answer, Failure> },
    Exited(Exited),
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// Done; a socket comes with it where one was asked for.
    Done,
    /// Started. Its streams come with it: output, errors (unless `terminal`), input (if `input`).
    Started { pid: i32, terminal: bool, input: bool, warnings: Vec<String> },
    /// Of those that run.
    Usage(Vec<(String, Usage)>),
}
