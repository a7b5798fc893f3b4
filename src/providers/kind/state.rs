//! `state.json` of a cluster in a container engine: written before anything is made there, so that whatever a start leaves that
//! was cut off is found again. It must not act on what it reads.

use std::fs;
use std::io;

use serde::{Deserialize, Serialize};

use super::KindConfig;
use crate::folder::{Folder, replace};
use crate::{Error, ProviderName};

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
        let (name, path) = (folder.name().to_owned(), folder.state());
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::StateUnread { name, path, source }),
        };
        let state: Self = match serde_json::from_slice(&text) {
            Ok(state) => state,
            Err(source) => return Err(Error::StateDamaged { name, path, source }),
        };
        if state.format > FORMAT {
            return Err(Error::StateNewer { name, path, found: state.format, known: FORMAT });
        }
        Ok(Some(state))
    }

    /// Writes it whole or not at all.
    pub(super) fn save(&self, folder: &Folder) -> Result<(), Error> {
        let path = folder.state();
        let fail = |source| Error::File { act: "write", path: path.clone(), source };
        let text = serde_json::to_vec_pretty(self).map_err(|error| fail(io::Error::from(error)))?;
        replace(&path, &text).map_err(fail)
    }
}
