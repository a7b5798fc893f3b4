//! Snapshots: a cluster's objects, keys and volumes as they were at one moment, in a folder of their own beside the clusters. A
//! running cluster stands still while it is copied, as if the power were cut and came back. Whole or not at all.

mod copy;
mod freeze;
mod rename;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::state::State;
use super::{Embedded, compose_error};
use crate::folder::{Held, remove_tree, replace};
use crate::{Class, Error, Found, Provider as _, Talk};
use copy::Fresh;
use freeze::Frozen;

/// The folder of all snapshots, which no cluster may be called.
pub(crate) const FOLDER: &str = "snapshots";
/// What says that a snapshot is one, beside the copied folders.
const NOTE: &str = "snapshot.json";
/// The format that this version writes.
const FORMAT: u64 = 1;
/// What is copied of a cluster's folder, where it is there.
const PARTS: [&str; 4] = ["pki", "store", "volumes", "pods"];

/// One snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Number of the format.
    pub format: u64,
    /// Its name.
    pub name: String,
    /// The cluster that it was taken of.
    pub cluster: String,
    /// When.
    pub taken: Timestamp,
    /// Size of its files in bytes.
    pub size: u64,
    /// The volumes' folder of that cluster: objects name it.
    volumes: PathBuf,
}

/// The snapshots of a project.
#[derive(Debug, Clone)]
pub struct Snapshots {
    dir: PathBuf,
}

impl Snapshots {
    /// Those beside the clusters in `home`.
    #[must_use]
    pub fn new(home: &Path) -> Self {
        Self { dir: home.join(FOLDER) }
    }

    /// All, the oldest first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn list(&self) -> Result<Vec<Snapshot>, Error> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(Error::File { act: "list", path: self.dir.clone(), source }),
        };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut all = Vec::new();
        for name in names.filter(|name| is_name(name)) {
            all.extend(self.find(&name)?);
        }
        all.sort_by_key(|snapshot| (snapshot.taken, snapshot.name.clone()));
        Ok(all)
    }

    /// Takes one of a cluster, which stands still meanwhile if it runs.
    ///
    /// # Errors
    /// When there is one of that name, there is no such cluster, or the disk is full. Then nothing of it stays.
    pub async fn save(&self, cluster: &Embedded, name: &str, talk: &Talk) -> Result<Snapshot, Error> {
        check(name)?;
        let own = self.own(talk)?;
        if self.find(name)?.is_some() {
            return Err(usage(
                format!("there is a snapshot {name:?} already"),
                format!("choose another name, or remove it with `cargo xtask snapshot rm {name}`"),
            ));
        }
        let folder = cluster.folder();
        let missing = || {
            let hint = "`cargo xtask up` brings it up".to_owned();
            usage(format!("there is no cluster {} to take a snapshot of", folder.name()), hint)
        };
        if !folder.exists() {
            return Err(missing());
        }
        let lock = folder.lock_told(talk)?;
        let fresh = Fresh::new(&self.dir)?;
        // A node that is starting holds the lock: here it runs, or nothing does.
        let running = match cluster.find().await? {
            Found::Nothing => return Err(missing()),
            Found::Running(endpoint) => endpoint.pid,
            Found::Stopped | Found::Starting => None,
        };
        let still = running.map(Frozen::new).transpose();
        let still =
            still.map_err(|source| compose_error("let the cluster stand still", source, None, Class::Failed))?;
        let parts = PARTS.map(|part| folder.path().join(part));
        copy::folders(parts.iter().filter(|part| part.exists()), fresh.path()).await?;
        drop(still);
        drop(lock);
        let snapshot = Snapshot {
            format: FORMAT,
            name: name.to_owned(),
            cluster: folder.name().to_owned(),
            taken: Timestamp::now(),
            size: copy::size(fresh.path()),
            volumes: folder.of_pods()[1].clone(),
        };
        let note = fresh.path().join(NOTE);
        let text = serde_json::to_vec_pretty(&snapshot).map_err(io::Error::from);
        let written = text.and_then(|text| replace(&note, &text));
        written.map_err(|source| Error::File { act: "write", path: note, source })?;
        fresh.keep(&self.dir.join(name))?;
        drop(own);
        Ok(snapshot)
    }

    /// Makes a cluster of one, ready for the next `up`. The cluster must not be there yet; it may have another name.
    ///
    /// # Errors
    /// When there is such a cluster or no such snapshot, or the disk is full. Then nothing of the cluster stays.
    pub async fn restore(&self, cluster: &Embedded, name: &str, talk: &Talk) -> Result<Snapshot, Error> {
        check(name)?;
        let own = self.own(talk)?;
        let snapshot = self.find(name)?.ok_or_else(|| self.unknown(name))?;
        let folder = cluster.folder();
        let lock = folder.lock_told(talk)?;
        if folder.state().exists() {
            let down = format!("cargo xtask down --name {}", folder.name());
            return Err(usage(
                format!("there is a cluster {} already", folder.name()),
                format!("take it away with `{down}`, or give the new one another --name"),
            ));
        }
        let mut held = Held::new(folder, lock)?;
        let from = self.dir.join(name);
        let parts = PARTS.map(|part| from.join(part));
        copy::folders(parts.iter().filter(|part| part.exists()), folder.path()).await?;
        drop(own);
        let renamed = rename::objects(folder, (&snapshot.cluster, &snapshot.volumes)).await;
        renamed.map_err(|source| {
            compose_error("give the objects of the snapshot their new names", source, None, Class::Failed)
        })?;
        // With it the folder is a cluster.
        State::new(cluster.settings.clone()).save(folder)?;
        held.keep();
        Ok(snapshot)
    }

    /// Removes one.
    ///
    /// # Errors
    /// When there is none, or the file system refuses.
    pub fn remove(&self, name: &str, talk: &Talk) -> Result<Snapshot, Error> {
        check(name)?;
        let own = self.own(talk)?;
        let snapshot = self.find(name)?.ok_or_else(|| self.unknown(name))?;
        let path = self.dir.join(name);
        // First of all: under this name it is no snapshot, wherever the removal is cut off.
        let gone = copy::unfinished(&self.dir);
        fs::rename(&path, &gone).map_err(|source| Error::File { act: "remove", path, source })?;
        remove_tree(&gone)?;
        drop(own);
        // It stays where anything else is in it.
        let others = fs::read_dir(&self.dir).into_iter().flatten().flatten().any(|entry| entry.file_name() != "lock");
        if !others {
            remove_tree(&self.dir)?;
            let _ = self.dir.parent().map(fs::remove_dir);
        }
        Ok(snapshot)
    }

    fn find(&self, name: &str) -> Result<Option<Snapshot>, Error> {
        let path = self.dir.join(name).join(NOTE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::File { act: "read", path, source }),
        };
        match serde_json::from_slice::<Snapshot>(&text) {
            Ok(snapshot) if snapshot.format <= FORMAT => Ok(Some(snapshot)),
            Ok(snapshot) => Err(usage(
                format!(
                    "the snapshot {name:?} has format {}, and this version knows only up to {FORMAT}",
                    snapshot.format
                ),
                "use the version that took it".to_owned(),
            )),
            Err(error) => Err(Error::File { act: "read", path, source: error.into() }),
        }
    }

    fn unknown(&self, name: &str) -> Error {
        let known: Vec<String> = self.list().unwrap_or_default().into_iter().map(|snapshot| snapshot.name).collect();
        let hint = if known.is_empty() {
            "there are none: `cargo xtask snapshot save NAME` takes one".to_owned()
        } else {
            format!("snapshots: {}", known.join(", "))
        };
        usage(format!("there is no snapshot {name:?}"), hint)
    }

    /// Keeps other commands away from the snapshots, and removes what one that was cut off left over.
    fn own(&self, talk: &Talk) -> Result<fs::File, Error> {
        let fail = |act| {
            let path = self.dir.clone();
            move |source| Error::File { act, path, source }
        };
        fs::create_dir_all(&self.dir).map_err(fail("make the folder"))?;
        let path = self.dir.join("lock");
        let lock = fs::File::options().create(true).truncate(false).write(true).open(&path).map_err(fail("lock"))?;
        if lock.try_lock().is_err() {
            talk.say("another command works on the snapshots: waiting for it");
            lock.lock().map_err(fail("lock"))?;
        }
        for entry in fs::read_dir(&self.dir).map_err(fail("list"))?.flatten() {
            if copy::is_unfinished(&entry.file_name()) {
                remove_tree(&entry.path())?;
            }
        }
        Ok(lock)
    }
}

fn is_name(name: &str) -> bool {
    tinderbox_api::names::dns_label(name).is_empty() && name != "lock"
}

fn check(name: &str) -> Result<(), Error> {
    match tinderbox_api::names::dns_label(name).into_iter().next() {
        None if is_name(name) => Ok(()),
        why => {
            let why = why.unwrap_or_else(|| "it is reserved".to_owned());
            Err(usage(format!("{name:?} cannot be the name of a snapshot: {why}"), "choose another name".to_owned()))
        }
    }
}

fn usage(message: String, hint: String) -> Error {
    Error::Node { message, source: None, hint: Some(hint), class: Class::Usage }
}
