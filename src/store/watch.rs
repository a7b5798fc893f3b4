//! A watch: a position in the shared history. It holds no events of its own, so many of them cost no memory, and it can only
//! fall behind, never hold up a writer.

use std::sync::Arc;

use tokio::sync::watch;

use crate::handle::Shared;
use crate::{Collection, Event, Expired};

/// The changes of a collection from a revision on, in their order, none twice and none left out.
pub struct Watch {
    shared: Arc<Shared>,
    collection: Collection,
    namespace: Option<Arc<str>>,
    seen: u64,
    changes: watch::Receiver<u64>,
}

impl Watch {
    pub(crate) fn new(
        shared: Arc<Shared>,
        collection: &Collection,
        namespace: Option<&str>,
        after: u64,
    ) -> Result<Self, Expired> {
        let changes = {
            let mut state = shared.state_mut();
            state.check(collection, after)?;
            state.changes(collection)
        };
        Ok(Self { shared, collection: collection.clone(), namespace: namespace.map(Arc::from), seen: after, changes })
    }

    /// The next event; waits until there is one. May be dropped while it waits: no event is lost.
    ///
    /// # Errors
    /// When this watch is so far behind that events it has not seen are forgotten.
    pub async fn next(&mut self) -> Result<Event, Expired> {
        loop {
            self.changes.borrow_and_update();
            if let Some(event) = self.try_next()? {
                return Ok(event);
            }
            if self.changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// The next event, if there is one now.
    ///
    /// # Errors
    /// As [`Watch::next`].
    pub fn try_next(&mut self) -> Result<Option<Event>, Expired> {
        let state = self.shared.state();
        let namespace = self.namespace.as_deref();
        let event = state.event_after(&self.collection, namespace, self.seen)?.cloned();
        self.seen = match &event {
            Some(event) => event.revision,
            None => state.revision().max(self.seen),
        };
        Ok(event)
    }

    /// Everything up to this revision has been given out (for bookmarks). It grows with every write to the store, also
    /// to other collections.
    #[must_use]
    pub fn revision(&self) -> u64 {
        let state = self.shared.state();
        match state.event_after(&self.collection, self.namespace.as_deref(), self.seen) {
            Ok(None) => state.revision().max(self.seen),
            Ok(Some(_)) | Err(_) => self.seen,
        }
    }
}
