//! Small operators of other people's making: one on kube-rs, in this process, and one on controller-runtime. Each has two
//! replicas of which one leads by a Lease, webhooks, finalizers and server-side apply; what they do is held to whole histories.

mod election;
mod go;
mod native;
mod ponds;

use std::sync::{Arc, Mutex};

use futures::StreamExt;
use kube::Api;
use kube::runtime::watcher::{Config, Event, watcher};
use tokio::task::JoinHandle;

use crate::world::Kind;

/// What a watch has seen of some objects, in words, each once in a row.
pub(crate) struct History {
    seen: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl History {
    /// Begins to watch; `word` says what an object is like, or that it does not matter.
    pub(crate) fn of<K: Kind>(api: Api<K>, word: impl Fn(&K) -> Option<String> + Send + 'static) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let mut events = std::pin::pin!(watcher(api, Config::default()));
            while let Some(event) = events.next().await {
                let (Ok(Event::Apply(object)) | Ok(Event::InitApply(object))) = event else { continue };
                let mut told = told.lock().unwrap();
                if let Some(word) = word(&object).filter(|word| told.last() != Some(word)) {
                    told.push(word);
                }
            }
        });
        Self { seen, task }
    }

    /// What was seen until now.
    pub(crate) fn words(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for History {
    fn drop(&mut self) {
        self.task.abort();
    }
}
