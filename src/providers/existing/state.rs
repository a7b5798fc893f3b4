//! `state.json` of a cluster that somebody else has made: which one it is. It must not act on what it reads.

use serde::{Deserialize, Serialize};

use crate::folder::Folder;
use crate::{Error, ProviderName, state};

/// The format that this version writes.
const FORMAT: u64 = 1;

/// The file's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct State {
    /// Number of the file's format.
    format: u64,
    /// The place: always `existing`.
    provider: ProviderName,
    /// The verb that began.
    pub(super) started_by: String,
    /// The context in the user's kubeconfig.
    pub(super) context: String,
    /// The only namespace that is worked in.
    pub(super) namespace: Option<String>,
}

impl State {
    pub(super) fn new(started_by: &str, context: &str, namespace: Option<&str>) -> Self {
        Self {
            format: FORMAT,
            provider: ProviderName::Existing,
            started_by: started_by.to_owned(),
            context: context.to_owned(),
            namespace: namespace.map(str::to_owned),
        }
    }

    /// Reads the state of a cluster; `None` when there is none.
    pub(super) fn load(folder: &Folder) -> Result<Option<Self>, Error> {
        state::load(folder, FORMAT)
    }

    /// Writes it whole or not at all.
    pub(super) fn save(&self, folder: &Folder) -> Result<(), Error> {
        state::save(folder, self)
    }
}
