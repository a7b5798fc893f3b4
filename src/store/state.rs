//! What reads and watches see: the objects in memory and the bounded history of their changes. It knows nothing of files
//! or threads; whoever applies a change has made it durable before.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use tokio::sync::watch;

use crate::{Change, Collection, Event, Expired, Key, List, Stored};

/// Bytes of object versions that the history may hold, roughly.
const HISTORY_BYTES: usize = 16 << 20;
/// Events that are kept even when they are larger than that.
const HISTORY_LEAST: usize = 64;
/// What an object costs in a snapshot besides its name and bytes.
const OVERHEAD: u64 = 16;

type Name = (Arc<str>, Arc<str>);

/// A change that has its revision and is ready to be written and applied.
#[derive(Debug, Clone)]
pub(crate) enum Write {
    /// A new object or a new version.
    Put(Arc<Stored>),
    /// A deletion, with the last bytes and the revision of the deletion.
    Delete(Arc<Stored>),
}

impl Write {
    pub(crate) fn object(&self) -> &Arc<Stored> {
        match self {
            Self::Put(object) | Self::Delete(object) => object,
        }
    }
}

struct Past {
    event: Event,
    /// The version before, with its own revision.
    before: Option<Arc<Stored>>,
}

struct Shelf {
    objects: BTreeMap<Name, Arc<Stored>>,
    /// The newest revision that changed something here; wakes the watches.
    changed: Arc<watch::Sender<u64>>,
    /// The newest revision here whose event is forgotten.
    forgotten: u64,
}

impl Default for Shelf {
    fn default() -> Self {
        Self { objects: BTreeMap::new(), changed: Arc::new(watch::Sender::new(0)), forgotten: 0 }
    }
}

/// All visible objects.
pub(crate) struct State {
    revision: u64,
    shelves: HashMap<Collection, Shelf>,
    history: VecDeque<Past>,
    history_limit: usize,
    history_bytes: usize,
    /// Nothing older than this can be continued from.
    floor: u64,
    live_bytes: u64,
}

impl State {
    pub(crate) fn new(history_limit: usize) -> Self {
        Self {
            revision: 1,
            shelves: HashMap::new(),
            history: VecDeque::new(),
            history_limit,
            history_bytes: 0,
            floor: 1,
            live_bytes: 0,
        }
    }

    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// About how large a snapshot would be.
    pub(crate) fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Arc<Stored>> {
        let name = (key.namespace.clone(), key.name.clone());
        self.shelves.get(&key.collection)?.objects.get(&name)
    }

    /// Every object, in no order between collections.
    pub(crate) fn objects(&self) -> Vec<Arc<Stored>> {
        self.shelves.values().flat_map(|shelf| shelf.objects.values().cloned()).collect()
    }

    /// The same key, sharing the strings of what is stored already.
    pub(crate) fn intern(&self, key: Key) -> Key {
        let Some((collection, shelf)) = self.shelves.get_key_value(&key.collection) else {
            return key;
        };
        let from = Bound::Included((key.namespace.clone(), Arc::from("")));
        let neighbour = shelf.objects.range((from, Bound::Unbounded)).next();
        Key {
            collection: collection.clone(),
            namespace: match neighbour {
                Some(((namespace, _), _)) if *namespace == key.namespace => namespace.clone(),
                _ => key.namespace,
            },
            name: key.name,
        }
    }

    /// Takes an object of a snapshot; it is no event.
    pub(crate) fn load(&mut self, object: Stored) {
        let key = self.intern(object.key.clone());
        self.live_bytes += size(&key, object.bytes.len());
        let name = (key.namespace.clone(), key.name.clone());
        let shelf = self.shelves.entry(key.collection.clone()).or_default();
        shelf.objects.insert(name, Arc::new(Stored { key, ..object }));
    }

    /// Starts at the revision of a snapshot; older ones are unknown.
    pub(crate) fn start_at(&mut self, revision: u64) {
        self.revision = revision;
        self.floor = revision;
    }

    /// Makes a change visible. Returns the channel to wake the collection's watches with, to be used when all is unlocked.
    pub(crate) fn apply(&mut self, write: &Write) -> Arc<watch::Sender<u64>> {
        let object = write.object();
        let name = (object.key.namespace.clone(), object.key.name.clone());
        let shelf = self.shelves.entry(object.key.collection.clone()).or_default();
        let size = size(&object.key, object.bytes.len());
        let (change, before) = match write {
            Write::Put(object) => {
                self.live_bytes += size;
                match shelf.objects.insert(name, object.clone()) {
                    None => (Change::Created(object.clone()), None),
                    Some(previous) => {
                        let change = Change::Updated { current: object.clone(), previous: previous.clone() };
                        (change, Some(previous))
                    }
                }
            }
            Write::Delete(object) => {
                let before = shelf.objects.remove(&name);
                (Change::Deleted(object.clone()), before)
            }
        };
        if let Some(before) = &before {
            self.live_bytes -= self::size(&before.key, before.bytes.len());
        }
        let changed = shelf.changed.clone();
        self.revision = object.revision;
        self.history_bytes += object.bytes.len();
        self.history.push_back(Past { event: Event { revision: object.revision, change }, before });
        self.trim();
        changed
    }

    fn trim(&mut self) {
        while self.history.len() > self.history_limit
            || (self.history_bytes > HISTORY_BYTES && self.history.len() > HISTORY_LEAST)
        {
            let Some(past) = self.history.pop_front() else {
                return;
            };
            let object = past.event.object();
            self.history_bytes -= object.bytes.len();
            if let Some(shelf) = self.shelves.get_mut(&object.key.collection) {
                shelf.forgotten = past.event.revision;
            }
        }
    }

    /// Forgets every event. A watch that has seen all of them goes on.
    pub(crate) fn forget(&mut self) {
        let limit = std::mem::replace(&mut self.history_limit, 0);
        self.trim();
        self.history_limit = limit;
        self.floor = self.revision;
    }

    /// Whether the collection can be continued from a revision by somebody who comes anew.
    pub(crate) fn check(&self, collection: &Collection, revision: u64) -> Result<(), Expired> {
        let oldest = self.shelves.get(collection).map_or(0, |shelf| shelf.forgotten).max(self.floor);
        if revision < oldest {
            return Err(Expired { requested: revision, oldest });
        }
        Ok(())
    }

    /// The channel that tells of changes in a collection.
    pub(crate) fn changes(&mut self, collection: &Collection) -> watch::Receiver<u64> {
        let shelf = self.shelves.entry(collection.clone()).or_default();
        shelf.changed.subscribe()
    }

    /// The first event after a revision, for a watch that has seen everything up to it.
    pub(crate) fn event_after(
        &self,
        collection: &Collection,
        namespace: Option<&str>,
        revision: u64,
    ) -> Result<Option<&Event>, Expired> {
        let Some(shelf) = self.shelves.get(collection) else {
            return Ok(None);
        };
        if revision < shelf.forgotten {
            return Err(Expired { requested: revision, oldest: shelf.forgotten });
        }
        Ok(self.since(revision).map(|past| &past.event).find(|event| selects(event, collection, namespace)))
    }

    fn since(&self, revision: u64) -> impl DoubleEndedIterator<Item = &Past> {
        let start = self.history.partition_point(|past| past.event.revision <= revision);
        self.history.range(start..)
    }

    pub(crate) fn list(
        &self,
        collection: &Collection,
        namespace: Option<&str>,
        from: Option<&Name>,
        limit: usize,
    ) -> List {
        let objects = self.range(collection, namespace, from);
        page(objects, limit, self.revision)
    }

    pub(crate) fn list_at(
        &self,
        collection: &Collection,
        namespace: Option<&str>,
        from: Option<&Name>,
        limit: usize,
        revision: u64,
    ) -> Result<List, Expired> {
        self.check(collection, revision)?;
        let mut undone: BTreeMap<Name, Arc<Stored>> =
            self.range(collection, namespace, from).map(|object| (name(object), object.clone())).collect();
        for past in self.since(revision).rev() {
            if !selects(&past.event, collection, namespace) {
                continue;
            }
            let name = name(past.event.object());
            if from.is_some_and(|from| name <= *from) {
                continue;
            }
            match &past.before {
                Some(before) => undone.insert(name, before.clone()),
                None => undone.remove(&name),
            };
        }
        Ok(page(undone.values(), limit, revision.min(self.revision)))
    }

    fn range<'a>(
        &'a self,
        collection: &Collection,
        namespace: Option<&'a str>,
        from: Option<&Name>,
    ) -> impl Iterator<Item = &'a Arc<Stored>> + use<'a> {
        let start = match (namespace, from) {
            (None, None) => Bound::Unbounded,
            (Some(namespace), from) if from.is_none_or(|from| *from.0 < *namespace) => {
                Bound::Included((Arc::from(namespace), Arc::from("")))
            }
            (_, Some(from)) => Bound::Excluded(from.clone()),
            (Some(namespace), None) => Bound::Included((Arc::from(namespace), Arc::from(""))),
        };
        self.shelves
            .get(collection)
            .into_iter()
            .flat_map(move |shelf| shelf.objects.range((start.clone(), Bound::Unbounded)))
            .take_while(move |((at, _), _)| namespace.is_none_or(|namespace| **at == *namespace))
            .map(|(_, object)| object)
    }
}

fn name(object: &Stored) -> Name {
    (object.key.namespace.clone(), object.key.name.clone())
}

fn selects(event: &Event, collection: &Collection, namespace: Option<&str>) -> bool {
    let key = &event.object().key;
    namespace.is_none_or(|namespace| *key.namespace == *namespace) && key.collection == *collection
}

fn page<'a>(mut objects: impl Iterator<Item = &'a Arc<Stored>>, limit: usize, revision: u64) -> List {
    let most = if limit == 0 { usize::MAX } else { limit };
    List { items: objects.by_ref().take(most).cloned().collect(), revision, remaining: objects.count() }
}

fn size(key: &Key, bytes: usize) -> u64 {
    let collection = key.collection.group.len() + key.collection.resource.len();
    (collection + key.namespace.len() + key.name.len() + bytes) as u64 + OVERHEAD
}
