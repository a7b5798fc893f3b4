//! `state.json` in the folder of a cluster, whatever its place keeps there: written whole or not at all, with the number of its format.
//! It must not know what it says.

use std::fs;
use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Error;
use crate::folder::{Folder, replace};

/// Reads the state of a cluster, if it is of no later format than `known`; `None` when there is none.
///
/// # Errors
/// When it cannot be read, is damaged, or comes from a later version.
pub(crate) fn load<T: DeserializeOwned>(folder: &Folder, known: u64) -> Result<Option<T>, Error> {
    let (name, path) = (folder.name().to_owned(), folder.state());
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::StateUnread { name, path, source }),
    };
    let damaged = |source| Error::StateDamaged { name: name.clone(), path: path.clone(), source };
    let value: Value = serde_json::from_slice(&bytes).map_err(damaged)?;
    match value["format"].as_u64() {
        Some(found) if found > known => Err(Error::StateNewer { name, path, found, known }),
        _ => serde_json::from_value(value).map(Some).map_err(damaged),
    }
}

/// Writes the state so that a reader sees the old one or the new one, never a half.
///
/// # Errors
/// When the file system refuses.
pub(crate) fn save<T: Serialize>(folder: &Folder, state: &T) -> Result<(), Error> {
    let path = folder.state();
    let fail = |source| Error::File { act: "write", path: path.clone(), source };
    let text = serde_json::to_vec_pretty(state).map_err(|error| fail(io::Error::from(error)))?;
    replace(&path, &text).map_err(fail)
}
