//! Which pods belong to which application, kept up by what the watch shows: nobody looks through all pods to find two.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::core::v1::Pod;
use tinderbox_client::{Change, ObjectKey};

use super::application_of;

/// Keys of pods by the key of their application.
#[derive(Clone, Default)]
pub(super) struct Members(Arc<Mutex<HashMap<ObjectKey, BTreeSet<ObjectKey>>>>);

impl Members {
    /// Takes in a change.
    pub(super) fn see(&self, change: &Change<'_, Pod>) {
        let key = change.key();
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(app) = change.old.and_then(|pod| application_of(pod))
            && let Some(pods) = table.get_mut(&app)
        {
            pods.remove(&key);
            if pods.is_empty() {
                table.remove(&app);
            }
        }
        if let Some(app) = change.new.and_then(|pod| application_of(pod)) {
            table.entry(app).or_default().insert(key);
        }
    }

    /// The pods of an application; some may be gone.
    pub(super) fn of(&self, app: &ObjectKey) -> Vec<ObjectKey> {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.get(app).into_iter().flatten().cloned().collect()
    }
}
