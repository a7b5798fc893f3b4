//! `state.json` of a cluster in a container engine: written before anything is made there, so that whatever a start leaves that
//! was cut off is found again. It must not act on what it reads.

use serde::{Deserialize, Serialize};

use super::KindConfig;
use crate::folder::Folder;
use crate::{Error, ProviderName, state};

/// The format that this version writes.
const FORMAT: u64 = 1;

/// The file's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct State {
    /// Number of the file's format.
    pub(super) format: u64,
    /// The place: always `kind`.
    pub(super) provider: ProviderName,
    /// The verb that made the cluster.
    pub(super) started_by: String,
    /// Its name in the engine.
    pub(super) kind_name: String,
    /// What it was made of.
    pub(super) config: KindConfig,
    /// `kind` has made it to the end.
    pub(super) made: bool,
}

impl State {
    pub(super) fn new(started_by: &str, kind_name: &str, config: &KindConfig) -> Self {
        Self {
            format: FORMAT,
            provider: ProviderName::Kind,
            started_by: started_by.to_owned(),
            kind_name: kind_name.to_owned(),
            config: config.clone(),
            made: false,
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
