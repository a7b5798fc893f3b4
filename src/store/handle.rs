//! The store as its users see it: reads from what is visible, writes checked and put in order, then handed to the writer.
//!
//! Order: a write is checked against the newest *sequenced* state. It is that of the visible objects, because a key with
//! a write under way admits no second one until the first is visible or has failed. So a refusal too speaks of durable
//! versions only, and a failed write takes no other down with it that built upon it.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::JoinHandle;

use bytes::Bytes;
use tokio::sync::{oneshot, watch};

use crate::disk::Folder;
use crate::state::{State, Write};
use crate::{Collection, Expired, Key, List, OpenError, Options, Stored, Watch, WriteError, writer};

type Outcome = Result<Arc<Stored>, WriteError>;

/// A handle on the store; clones share it. When the last one goes, the writer ends and the folder is free again.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

/// What handles, watches and the writer thread share. Locks are taken in the order `queue`, `state`.
pub(crate) struct Shared {
    queue: Mutex<Queue>,
    work: Condvar,
    state: RwLock<State>,
    /// Counts batches that became visible or failed.
    settled: watch::Sender<u64>,
    /// The writer has ended.
    ended: watch::Sender<bool>,
}

struct Queue {
    next: u64,
    /// Keys with a write under way.
    pending: HashSet<Key>,
    waiting: VecDeque<Queued>,
    closing: Option<Closing>,
}

/// How the writer is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closing {
    /// With a snapshot.
    Close,
    /// At once, after what is queued.
    Drop,
}

/// A write with its revision, and who waits for it.
pub(crate) struct Queued {
    pub(crate) write: Write,
    pub(crate) done: oneshot::Sender<Outcome>,
}

impl Store {
    /// Reads snapshot and log, and starts the writer.
    ///
    /// # Errors
    /// When the folder cannot be used, is in use, or holds what this program cannot trust or does not know.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let mut state = State::new(options.history);
        let folder = match &options.dir {
            Some(dir) => Some(Folder::open(dir, &mut state)?),
            None => None,
        };
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue {
                next: state.revision() + 1,
                pending: HashSet::new(),
                waiting: VecDeque::new(),
                closing: None,
            }),
            work: Condvar::new(),
            state: RwLock::new(state),
            settled: watch::Sender::new(0),
            ended: watch::Sender::new(folder.is_none()),
        });
        let writer = match folder {
            Some(folder) => Some(writer::start(shared.clone(), folder)?),
            None => None,
        };
        let inner = Arc::new(Inner { shared, writer });
        Ok(Self { inner })
    }

    /// The newest visible revision; 1 in an empty store.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.inner.shared.state().revision()
    }

    /// The newest version of an object.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Arc<Stored>> {
        self.inner.shared.state().get(key).cloned()
    }

    /// A page of a collection (of one namespace, or all), ordered by namespace and name, after `from`; a `limit` of 0 means
    /// everything.
    #[must_use]
    pub fn list(
        &self,
        collection: &Collection,
        namespace: Option<&str>,
        from: Option<&(Arc<str>, Arc<str>)>,
        limit: usize,
    ) -> List {
        let state = self.inner.shared.state();
        state.list(collection, namespace, from, limit)
    }

    /// The same as it was at a revision: for the later pages of a list. A revision that is not reached yet shows the
    /// present.
    ///
    /// # Errors
    /// When the revision is too old.
    pub fn list_at(
        &self,
        collection: &Collection,
        namespace: Option<&str>,
        from: Option<&(Arc<str>, Arc<str>)>,
        limit: usize,
        revision: u64,
    ) -> Result<List, Expired> {
        let state = self.inner.shared.state();
        state.list_at(collection, namespace, from, limit, revision)
    }

    /// The events of a collection (of one namespace, or all) with a revision greater than `after`.
    ///
    /// # Errors
    /// When some of them are forgotten.
    pub fn watch(&self, collection: &Collection, namespace: Option<&str>, after: u64) -> Result<Watch, Expired> {
        Watch::new(self.inner.shared.clone(), collection, namespace, after)
    }

    /// Stores a new object. Durable when it returns; a dropped future may or may not have written.
    ///
    /// # Errors
    /// [`WriteError::Exists`], or the log could not be written.
    pub async fn create(&self, key: Key, bytes: Bytes) -> Outcome {
        let bytes = Bytes::copy_from_slice(&bytes);
        self.submit(&key, |state, found, revision| match found {
            Some(found) => Err(WriteError::Exists(found.clone())),
            None => Ok(Write::Put(Arc::new(Stored { key: state.intern(key.clone()), revision, bytes: bytes.clone() }))),
        })
        .await
    }

    /// Stores a new version in the place of the one of revision `expected`.
    ///
    /// # Errors
    /// [`WriteError::Missing`], [`WriteError::Conflict`], or the log could not be written.
    pub async fn update(&self, key: &Key, expected: u64, bytes: Bytes) -> Outcome {
        let bytes = Bytes::copy_from_slice(&bytes);
        self.submit(key, |_, found, revision| {
            let found = expect(found, expected)?;
            Ok(Write::Put(Arc::new(Stored { key: found.key.clone(), revision, bytes: bytes.clone() })))
        })
        .await
    }

    /// Removes the object whose version is `expected`. Returns its last bytes with the revision of the deletion.
    ///
    /// # Errors
    /// As [`Store::update`].
    pub async fn delete(&self, key: &Key, expected: u64) -> Outcome {
        self.submit(key, |_, found, revision| {
            let found = expect(found, expected)?;
            Ok(Write::Delete(Arc::new(Stored { key: found.key.clone(), revision, bytes: found.bytes.clone() })))
        })
        .await
    }

    /// Forgets all past events, as if the history had run full: every earlier revision is expired.
    pub fn compact_history(&self) {
        self.inner.shared.state_mut().forget();
    }

    /// Writes what is queued, makes a snapshot and ends the writer. Reads go on; writes are refused from now on.
    pub async fn close(&self) {
        let mut ended = self.inner.shared.ended.subscribe();
        self.inner.shared.end(Closing::Close);
        // Only fails when the sender is gone, and this handle holds it.
        let _ = ended.wait_for(|ended| *ended).await;
    }

    async fn submit(
        &self,
        key: &Key,
        plan: impl Fn(&State, Option<&Arc<Stored>>, u64) -> Result<Write, WriteError>,
    ) -> Outcome {
        let shared = &*self.inner.shared;
        let mut settled = shared.settled.subscribe();
        let done = loop {
            if let Some(done) = self.try_submit(key, &plan)? {
                break done;
            }
            // Only fails when the sender is gone, and this handle holds it.
            let _ = settled.changed().await;
        };
        done.await.unwrap_or(Err(WriteError::Closed))
    }

    /// `None` when another write to the key is under way.
    fn try_submit(
        &self,
        key: &Key,
        plan: impl Fn(&State, Option<&Arc<Stored>>, u64) -> Result<Write, WriteError>,
    ) -> Result<Option<oneshot::Receiver<Outcome>>, WriteError> {
        let shared = &*self.inner.shared;
        let (done, receiver) = oneshot::channel();
        let mut queue = shared.queue();
        if queue.closing.is_some() {
            return Err(WriteError::Closed);
        }
        if queue.pending.contains(key) {
            return Ok(None);
        }
        let write = {
            let state = shared.state();
            plan(&state, state.get(key), queue.next)?
        };
        queue.next += 1;
        queue.pending.insert(write.object().key.clone());
        let queued = Queued { write, done };
        if self.inner.writer.is_some() {
            queue.waiting.push_back(queued);
            shared.work.notify_one();
        } else {
            shared.publish_locked(queue, vec![queued]);
        }
        Ok(Some(receiver))
    }
}

fn expect(found: Option<&Arc<Stored>>, expected: u64) -> Result<&Arc<Stored>, WriteError> {
    match found {
        None => Err(WriteError::Missing),
        Some(found) if found.revision != expected => Err(WriteError::Conflict(found.clone())),
        Some(found) => Ok(found),
    }
}

impl Shared {
    // A panic in between leaves none of these half-changed in a way that matters more than going on.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for writes and takes what is queued, up to about `most` bytes. Empty when the store is to end.
    pub(crate) fn take(&self, most: usize) -> (Vec<Queued>, Option<Closing>) {
        let mut queue = self.queue();
        while queue.waiting.is_empty() && queue.closing.is_none() {
            queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        let mut bytes = 0;
        let mut batch = Vec::new();
        while bytes < most
            && let Some(queued) = queue.waiting.pop_front()
        {
            bytes += queued.write.object().bytes.len();
            batch.push(queued);
        }
        (batch, queue.closing)
    }

    /// Makes durable writes visible and acknowledges them, in their order.
    pub(crate) fn publish(&self, batch: Vec<Queued>) {
        self.publish_locked(self.queue(), batch);
    }

    fn publish_locked(&self, mut queue: MutexGuard<'_, Queue>, batch: Vec<Queued>) {
        let mut wake = Vec::with_capacity(batch.len());
        {
            let mut state = self.state_mut();
            for queued in &batch {
                queue.pending.remove(&queued.write.object().key);
                wake.push((state.apply(&queued.write), queued.write.object().revision));
            }
        }
        drop(queue);
        for queued in batch {
            // Whoever asked may have gone.
            let _ = queued.done.send(Ok(queued.write.object().clone()));
        }
        for (changed, revision) in wake {
            changed.send_replace(revision);
        }
        self.settled.send_modify(|count| *count += 1);
    }

    /// Fails a batch and everything queued behind it, whose revisions would leave a gap.
    pub(crate) fn fail(&self, batch: Vec<Queued>, error: &Arc<std::io::Error>) {
        let mut queue = self.queue();
        let behind: Vec<Queued> = queue.waiting.drain(..).collect();
        queue.pending.clear();
        queue.next = self.state().revision() + 1;
        drop(queue);
        for queued in batch.into_iter().chain(behind) {
            let _ = queued.done.send(Err(WriteError::Io(error.clone())));
        }
        self.settled.send_modify(|count| *count += 1);
    }

    /// The writer is gone: nothing is written any more.
    pub(crate) fn ended(&self) {
        let mut queue = self.queue();
        queue.closing.get_or_insert(Closing::Drop);
        queue.waiting.clear();
        queue.pending.clear();
        drop(queue);
        self.settled.send_modify(|count| *count += 1);
        self.ended.send_replace(true);
    }

    fn end(&self, closing: Closing) {
        self.queue().closing.get_or_insert(closing);
        self.work.notify_one();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.end(Closing::Drop);
        if let Some(writer) = self.writer.take() {
            // The folder is free when this returns. A panic of the writer has been reported by itself.
            let _ = writer.join();
        }
    }
}

#[cfg(test)]
mod tests;
