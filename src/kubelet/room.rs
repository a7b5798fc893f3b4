//! Keeps room on the disk for images, for as long as the node lives.

use crate::image::oci::{COLLECT_EVERY, Store};

/// Looks again and again until it is aborted.
pub(crate) async fn keep(store: Store) {
    loop {
        tokio::time::sleep(COLLECT_EVERY).await;
        let store = store.clone();
        match tokio::task::spawn_blocking(move || store.collect()).await {
            Ok(Ok(pruned)) if pruned.removed.is_empty() => {}
            Ok(Ok(pruned)) => {
                tracing::info!(removed = ?pruned.removed, freed = pruned.freed, "unused images made room")
            }
            Ok(Err(error)) => tracing::warn!(%error, "cannot make room among the images"),
            Err(error) => tracing::error!(%error, "making room among the images broke"),
        }
    }
}
