//! A watched kind in memory: one list and watch, however many readers. Writers tell it what the API answered, so that a
//! reader of its own writes never acts on a view from before them. It must not decide anything.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;
use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use futures::StreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::error::chain;
use crate::{Error, ObjectKey, Result};

const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(10);

/// What a cache can hold.
pub trait Cached: Resource + Clone + Debug + DeserializeOwned + Send + Sync + 'static {}
impl<K: Resource + Clone + Debug + DeserializeOwned + Send + Sync + 'static> Cached for K {}

/// An object before and after a change; both absent never happens.
#[derive(Debug)]
pub struct Change<'a, K> {
    /// The version before, unless the object is new to the cache.
    pub old: Option<&'a Arc<K>>,
    /// The version now, unless the object is gone.
    pub new: Option<&'a Arc<K>>,
}

impl<K: Resource> Change<'_, K> {
    /// The newest version known.
    #[must_use]
    pub fn latest(&self) -> Option<&K> {
        self.new.or(self.old).map(|object| &**object)
    }

    /// The key of the object.
    #[must_use]
    pub fn key(&self) -> ObjectKey {
        self.latest().map(ObjectKey::of).unwrap_or_default()
    }
}

type Handler<K> = Arc<dyn Fn(&Change<'_, K>) + Send + Sync>;

/// All objects of one kind, as last seen. Cheap to clone; clones share everything.
pub struct Cache<K>(Arc<Inner<K>>);

impl<K> Clone for Cache<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

struct Inner<K> {
    state: RwLock<State<K>>,
    handlers: RwLock<Vec<Handler<K>>>,
    progress: watch::Sender<Progress>,
    shrink: fn(&mut K),
}

struct State<K> {
    objects: BTreeMap<ObjectKey, Arc<K>>,
    /// Keys by the uid of their controller.
    owned: HashMap<String, BTreeSet<ObjectKey>>,
    /// The newest version that the watch has passed.
    passed: u64,
    /// Keys seen since a list began; what is not among them at its end is gone.
    listing: Option<BTreeSet<ObjectKey>>,
    /// Uids that a writer knows to be gone and the watch has not reported yet.
    gone: BTreeSet<String>,
}

/// How far a cache has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// There has been no complete list.
    Listing,
    /// There has been one.
    Synced,
    /// There has been none, and there will be none.
    Ended,
}

impl<K: Cached> Default for Cache<K> {
    fn default() -> Self {
        Self::new(|_| ())
    }
}

impl<K: Cached> Cache<K> {
    /// An empty cache; `shrink` drops the fields that no reader needs.
    #[must_use]
    pub fn new(shrink: fn(&mut K)) -> Self {
        Self(Arc::new(Inner {
            state: RwLock::new(State {
                objects: BTreeMap::new(),
                owned: HashMap::new(),
                passed: 0,
                listing: None,
                gone: BTreeSet::new(),
            }),
            handlers: RwLock::default(),
            progress: watch::Sender::new(Progress::Listing),
            shrink,
        }))
    }

    /// Lists and watches until cancelled; failures are retried with growing pauses.
    pub async fn run(&self, api: Api<K>, config: watcher::Config, token: CancellationToken) {
        self.follow(api, config, token).await;
        self.0.progress.send_if_modified(|progress| {
            let waiting = *progress == Progress::Listing;
            if waiting {
                *progress = Progress::Ended;
            }
            waiting
        });
    }

    async fn follow(&self, api: Api<K>, config: watcher::Config, token: CancellationToken) {
        let path = api.resource_url().to_owned();
        let mut events = pin!(watcher(api, config));
        let mut pause = FIRST_RETRY;
        loop {
            let event = tokio::select! {
                () = token.cancelled() => return,
                event = events.next() => event,
            };
            match event {
                Some(Ok(event)) => {
                    // The beginning of a list comes before its request: it says nothing yet of how that goes.
                    if !matches!(event, Event::Init) {
                        pause = FIRST_RETRY;
                    }
                    self.take(event);
                }
                Some(Err(error)) => {
                    tracing::debug!(path, error = %chain(&error), "watch interrupted");
                    tokio::select! {
                        () = token.cancelled() => return,
                        () = tokio::time::sleep(pause) => pause = (pause * 2).min(LAST_RETRY),
                    }
                }
                None => return,
            }
        }
    }

    /// Returns after the first complete list.
    ///
    /// # Errors
    /// When the watch ended before.
    pub async fn synced(&self) -> Result<()> {
        let mut progress = self.0.progress.subscribe();
        match progress.wait_for(|progress| *progress != Progress::Listing).await.as_deref() {
            Ok(Progress::Synced) => Ok(()),
            _ => Err(Error::NotSynced(std::any::type_name::<K>().to_owned())),
        }
    }

    /// Calls `handler` for every object that is there and for every change from now on. Handlers are called without any
    /// lock held, now and then twice or out of order: they mark work and look at the cache when they do it.
    pub fn subscribe(&self, handler: impl Fn(&Change<'_, K>) + Send + Sync + 'static) {
        let handler: Handler<K> = Arc::new(handler);
        self.handlers_mut().push(handler.clone());
        for object in self.list() {
            handler(&Change { old: None, new: Some(&object) });
        }
    }

    /// The object of that key.
    #[must_use]
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<K>> {
        self.read().objects.get(key).cloned()
    }

    /// All objects, ordered by namespace and name.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<K>> {
        self.read().objects.values().cloned().collect()
    }

    /// The objects of one namespace, ordered by name.
    #[must_use]
    pub fn in_namespace(&self, namespace: &str) -> Vec<Arc<K>> {
        let state = self.read();
        let from = ObjectKey::new(namespace, "");
        state
            .objects
            .range(from..)
            .take_while(|(key, _)| key.namespace == namespace)
            .map(|(_, object)| object.clone())
            .collect()
    }

    /// The objects whose controller has that uid.
    #[must_use]
    pub fn controlled_by(&self, uid: &str) -> Vec<Arc<K>> {
        let state = self.read();
        let keys = state.owned.get(uid).into_iter().flatten();
        keys.filter_map(|key| state.objects.get(key).cloned()).collect()
    }

    /// Takes in what the API answered to a write, unless the watch is already past it.
    pub fn observe(&self, object: K) {
        let Some(version) = version(&object) else {
            return;
        };
        let state = self.write();
        if version <= state.passed || state.is_gone(&object) {
            return;
        }
        let key = ObjectKey::of(&object);
        if state.objects.get(&key).is_some_and(|have| self::version(&**have) >= Some(version)) {
            return;
        }
        self.put(state, object);
    }

    /// Takes in that the object of that uid is gone, before the watch says so.
    pub fn forget(&self, key: &ObjectKey, uid: &str) {
        let mut state = self.write();
        if state.objects.get(key).is_some_and(|object| object.uid().as_deref() == Some(uid)) {
            state.gone.insert(uid.to_owned());
            let old = state.remove(key);
            drop(state);
            self.tell(old.as_ref(), None);
        }
    }

    /// Takes in one event of the watch.
    pub fn take(&self, event: Event<K>) {
        let mut state = self.write();
        match event {
            Event::Init => {
                state.listing = Some(BTreeSet::new());
                state.gone.clear();
            }
            Event::InitApply(object) | Event::Apply(object) => {
                state.passed = state.passed.max(version(&object).unwrap_or_default());
                let known = state.objects.get(&ObjectKey::of(&object));
                let newer = known.is_some_and(|have| have.uid() == object.uid() && version(&**have) > version(&object));
                if let Some(listing) = state.listing.as_mut() {
                    listing.insert(ObjectKey::of(&object));
                }
                if !newer && !state.is_gone(&object) {
                    self.put(state, object);
                }
            }
            Event::Delete(object) => {
                state.passed = state.passed.max(version(&object).unwrap_or_default());
                state.gone.remove(object.uid().as_deref().unwrap_or_default());
                let key = ObjectKey::of(&object);
                let same = |have: &Arc<K>| have.uid() == object.uid();
                if state.objects.get(&key).is_some_and(same) {
                    let old = state.remove(&key);
                    drop(state);
                    self.tell(old.as_ref(), None);
                }
            }
            Event::InitDone => {
                let seen = state.listing.take().unwrap_or_default();
                let lost: Vec<ObjectKey> = state.objects.keys().filter(|key| !seen.contains(key)).cloned().collect();
                let lost: Vec<Arc<K>> = lost.iter().filter_map(|key| state.remove(key)).collect();
                drop(state);
                for old in lost {
                    self.tell(Some(&old), None);
                }
                self.0.progress.send_replace(Progress::Synced);
            }
        }
    }

    fn put(&self, mut state: RwLockWriteGuard<'_, State<K>>, mut object: K) {
        object.meta_mut().managed_fields = None;
        (self.0.shrink)(&mut object);
        let key = ObjectKey::of(&object);
        let object = Arc::new(object);
        if let Some(listing) = state.listing.as_mut() {
            listing.insert(key.clone());
        }
        let old = state.remove(&key);
        if let Some(uid) = controller_uid(&*object) {
            let keys = state.owned.entry(uid.to_owned()).or_default();
            keys.insert(key.clone());
        }
        state.objects.insert(key, object.clone());
        drop(state);
        match old {
            Some(old) if old.uid() != object.uid() => {
                self.tell(Some(&old), None);
                self.tell(None, Some(&object));
            }
            old => self.tell(old.as_ref(), Some(&object)),
        }
    }

    fn tell(&self, old: Option<&Arc<K>>, new: Option<&Arc<K>>) {
        let handlers = self.handlers().clone();
        for handler in handlers {
            handler(&Change { old, new });
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, State<K>> {
        self.0.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State<K>> {
        self.0.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn handlers(&self) -> RwLockReadGuard<'_, Vec<Handler<K>>> {
        let handlers = self.0.handlers.read();
        handlers.unwrap_or_else(PoisonError::into_inner)
    }

    fn handlers_mut(&self) -> RwLockWriteGuard<'_, Vec<Handler<K>>> {
        let handlers = self.0.handlers.write();
        handlers.unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Resource> State<K> {
    fn is_gone(&self, object: &K) -> bool {
        object.uid().is_some_and(|uid| self.gone.contains(&uid))
    }

    fn remove(&mut self, key: &ObjectKey) -> Option<Arc<K>> {
        let old = self.objects.remove(key)?;
        if let Some(uid) = controller_uid(&*old)
            && let Some(keys) = self.owned.get_mut(uid)
        {
            keys.remove(key);
            if keys.is_empty() {
                self.owned.remove(uid);
            }
        }
        Some(old)
    }
}

fn version<K: Resource>(object: &K) -> Option<u64> {
    object.meta().resource_version.as_ref()?.parse().ok()
}

/// The uid of the owner that is an object's controller.
pub fn controller_uid<K: Resource>(object: &K) -> Option<&str> {
    let owners = object.meta().owner_references.as_deref().unwrap_or_default();
    let controller = owners.iter().find(|owner| owner.controller == Some(true));
    controller.map(|owner| owner.uid.as_str())
}

#[cfg(test)]
mod tests;
