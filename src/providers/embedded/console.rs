//! Where the console of a cluster is and what lets a browser in: a file beside the state, which goes into no archive. It must not
//! serve anything.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tinderbox_console::{Token, link};

use crate::Error;
use crate::folder::{Folder, replace};

/// The file's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Door {
    /// The port in use, kept from start to start.
    pub(super) port: Option<u16>,
    /// What lets a browser in, kept too: links stay true.
    pub(super) token: Token,
}

fn path(folder: &Folder) -> PathBuf {
    folder.path().join("console.json")
}

impl Door {
    /// The door of a cluster; a new one where there is none, or none that can be read.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub(super) fn open(folder: &Folder) -> Result<Self, Error> {
        if let Some(door) = Self::read(folder) {
            return Ok(door);
        }
        let token =
            Token::new().map_err(|source| Error::File { act: "make the token in", path: path(folder), source })?;
        Ok(Self { port: None, token })
    }

    fn read(folder: &Folder) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(path(folder)).ok()?).ok()
    }

    /// Keeps it.
    ///
    /// # Errors
    /// When the file system refuses.
    pub(super) fn save(&self, folder: &Folder) -> Result<(), Error> {
        let fail = |source| Error::File { act: "write", path: path(folder), source };
        let text = serde_json::to_vec(self).map_err(|error| fail(io::Error::from(error)))?;
        replace(&path(folder), &text).map_err(fail)
    }

    /// The link that opens the console of a cluster that runs.
    pub(super) fn link(folder: &Folder) -> Option<String> {
        let door = Self::read(folder)?;
        Some(link(door.port?, &door.token))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_token_is_kept_and_nobody_elses() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = Folder::new(dir.path(), "local").expect("a name");
        folder.create().expect("made");
        assert_eq!(Door::link(&folder), None);
        let door = Door { port: Some(7), ..Door::open(&folder).expect("a door") };
        door.save(&folder).expect("written");
        assert_eq!(Door::open(&folder).expect("a door"), door);
        assert_eq!(Door::link(&folder), Some(format!("http://127.0.0.1:7/{}/", door.token.as_str())));
        let mode = std::fs::metadata(path(&folder)).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(path(&folder), "{").expect("written");
        assert_ne!(Door::open(&folder).expect("a new door").token, door.token);
    }
}
