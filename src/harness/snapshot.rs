//! `snapshot`: clusters kept as they are, and brought back, also under another name.

use std::time::Instant;

use serde::Serialize;
use tinderbox_providers::embedded::snapshot::{Snapshot, Snapshots};

use crate::error::Error;
use crate::event::{Event, Talk};
use crate::project::Project;
use crate::up::{self, UpReport, whole_millis};

/// A snapshot that was taken.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SaveReport {
    /// The snapshot.
    #[serde(flatten)]
    pub snapshot: Snapshot,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// A cluster that was brought back.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoreReport {
    /// What it was made of.
    pub snapshot: Snapshot,
    /// Until all of it was copied, in milliseconds.
    pub copied_ms: u64,
    /// The cluster.
    pub up: UpReport,
}

/// Takes a snapshot of the cluster.
///
/// # Errors
/// When there is no such cluster, there is such a snapshot, or the disk is full.
pub async fn save(project: &Project, name: &str, talk: &Talk) -> Result<SaveReport, Error> {
    let began = Instant::now();
    let place = project.embedded("snapshot save")?;
    let snapshot = snapshots(project)?.save(&place, name, &talk.for_provider()).await?;
    Ok(SaveReport { snapshot, took_ms: whole_millis(began.elapsed()) })
}

/// Makes the cluster out of a snapshot, and brings it up.
///
/// # Errors
/// When there is such a cluster or no such snapshot, or it cannot be brought up.
pub async fn restore(
    project: &Project,
    name: &str,
    stop: impl Future<Output = ()>,
    talk: &Talk,
) -> Result<RestoreReport, Error> {
    let mut stop = std::pin::pin!(stop);
    let began = Instant::now();
    talk.tell(Event::Step(format!("making cluster {} of snapshot {name}", project.cluster)));
    let place = project.embedded("snapshot restore")?;
    let (all, said) = (snapshots(project)?, talk.for_provider());
    let snapshot = tokio::select! {
        snapshot = all.restore(&place, name, &said) => snapshot?,
        () = &mut stop => return Err(Error::Interrupted),
    };
    let copied_ms = whole_millis(began.elapsed());
    let (up, _) = up::up(project, "snapshot restore", stop, talk).await?;
    Ok(RestoreReport { snapshot, copied_ms, up })
}

/// All snapshots of the project.
///
/// # Errors
/// When they cannot be read.
pub fn list(project: &Project) -> Result<Vec<Snapshot>, Error> {
    Ok(snapshots(project)?.list()?)
}

/// Removes a snapshot.
///
/// # Errors
/// When there is none.
pub fn remove(project: &Project, name: &str, talk: &Talk) -> Result<Snapshot, Error> {
    Ok(snapshots(project)?.remove(name, &talk.for_provider())?)
}

fn snapshots(project: &Project) -> Result<Snapshots, Error> {
    // Objects name folders by their whole path.
    let home = std::path::absolute(project.home()).map_err(Error::file("make absolute", project.home()))?;
    Ok(Snapshots::new(&home))
}
