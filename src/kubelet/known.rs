//! The images that the node's status lists: those of the store, and native ones that pods have run. It tells who keeps the status
//! that there are new ones.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::image::oci::{Record, Store};
use crate::image::{Image, Images};

/// As many as the kubelet lists by default (`nodeStatusMaxImages`).
const MOST: usize = 50;

/// What is known of images.
#[derive(Clone)]
pub(crate) struct KnownImages {
    store: Store,
    /// Images that pods have run, by name: their ids.
    run: Arc<Mutex<BTreeMap<String, Run>>>,
    news: watch::Sender<()>,
}

#[derive(PartialEq, Eq)]
struct Run {
    id: String,
    is_native: bool,
}

impl KnownImages {
    pub(crate) fn new(images: &Images) -> Self {
        Self { store: images.store().clone(), run: Arc::default(), news: watch::Sender::new(()) }
    }

    /// Takes note of an image that a pod runs.
    pub(crate) fn note(&self, image: &Image) {
        let run = Run { id: image.id.clone(), is_native: image.unpacked.is_none() };
        let mut known = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        if known.get(&image.name) != Some(&run) {
            known.insert(image.name.clone(), run);
            self.news.send_replace(());
        }
    }

    /// Tells when there may be something new.
    pub(crate) fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    /// The list for the status, largest first.
    pub(crate) fn list(&self) -> Vec<Value> {
        let run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        let native = run.iter().filter(|(_, run)| run.is_native);
        let native = native.map(|(name, run)| (0, vec![format!("{name}@{}", run.id), name.clone()]));
        // A store that cannot be read will be told of by the pods that need it.
        let stored = self.store.list().unwrap_or_default();
        let stored = stored.into_iter().filter_map(|Record { names, digests, size, .. }| {
            let names = [digests, names].concat();
            (!names.is_empty()).then_some((size, names))
        });
        let mut all: Vec<(u64, Vec<String>)> = stored.chain(native).collect();
        all.sort_by_key(|(size, _)| std::cmp::Reverse(*size));
        all.truncate(MOST);
        all.into_iter().map(|(size, names)| json!({"names": names, "sizeBytes": size})).collect()
    }
}
