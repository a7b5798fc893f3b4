//! Looking at a cluster while something happens in it: every version of every object of some kinds, from before the start on.
//! What was seen stays known after it is gone. It records; what it means is for others to say.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt;
use kube::ResourceExt;
use kube::api::DynamicObject;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use serde_json::Value;
use tinderbox_client::wait::is_refusal;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::cluster::{Cluster, Resource};
use crate::error::Error;
use crate::event::ObjectName;

/// One version of an object.
#[derive(Debug, Clone)]
pub struct Version {
    /// When it was seen.
    pub at: Instant,
    /// The whole object.
    pub object: Arc<Value>,
}

/// One object and all that was seen of it.
#[derive(Debug, Clone)]
pub struct Record {
    /// Kind, namespace and name.
    pub name: ObjectName,
    /// Its API version.
    pub api_version: String,
    /// It was there before the observation began.
    pub before: bool,
    /// What was seen, in order; never empty.
    pub versions: Vec<Version>,
    /// When it was removed.
    pub gone: Option<Instant>,
}

impl Record {
    /// The last version.
    #[must_use]
    pub fn object(&self) -> &Value {
        self.versions.last().map_or(&Value::Null, |version| &version.object)
    }

    /// The value of a label.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        self.object()["metadata"]["labels"][key].as_str()
    }
}

/// All that was seen, by UID.
#[derive(Debug, Default)]
pub struct World {
    /// The objects.
    pub records: BTreeMap<String, Record>,
    /// Why nothing more will be seen.
    pub lost: Option<String>,
}

impl World {
    /// The objects of a kind.
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (&'a String, &'a Record)> {
        self.records.iter().filter(move |(_, record)| record.name.kind == kind)
    }

    fn see(&mut self, object: DynamicObject, resource: &Resource, before: bool) {
        let uid = object.uid().unwrap_or_default();
        let name = ObjectName {
            kind: resource.api.kind.clone(),
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
        };
        let version = version(object);
        let record = self.records.entry(uid).or_insert_with(|| Record {
            name,
            api_version: resource.api.api_version.clone(),
            before,
            versions: Vec::new(),
            gone: None,
        });
        if record.versions.last().is_none_or(|last| last.object != version.object) {
            record.versions.push(version);
        }
    }

    fn lose(&mut self, uid: &str, last: Option<DynamicObject>) {
        if let Some(record) = self.records.get_mut(uid) {
            let now = Instant::now();
            if let Some(last) = last {
                let version = version(last);
                if record.versions.last().is_none_or(|known| known.object != version.object) {
                    record.versions.push(version);
                }
            }
            record.gone.get_or_insert(now);
        }
    }
}

fn version(mut object: DynamicObject) -> Version {
    // Nobody asks for it, and it is most of an object.
    object.metadata.managed_fields = None;
    Version { at: Instant::now(), object: Arc::new(serde_json::to_value(object).unwrap_or_default()) }
}

/// Watches some kinds until it is dropped.
pub(crate) struct Observer {
    world: Arc<Mutex<World>>,
    change: Arc<watch::Sender<u64>>,
    changed: watch::Receiver<u64>,
    _tasks: JoinSet<()>,
}

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Observer").finish_non_exhaustive()
    }
}

impl Observer {
    /// Begins to watch, and comes back when everything that is there has been seen.
    ///
    /// # Errors
    /// When the API refuses a watch.
    pub(crate) async fn start(cluster: &Cluster, watched: Vec<(Resource, String)>) -> Result<Self, Error> {
        let world = Arc::new(Mutex::new(World::default()));
        let (change, changed) = watch::channel(0);
        let change = Arc::new(change);
        let (listed, mut lists) = mpsc::channel(watched.len().max(1));
        let mut tasks = JoinSet::new();
        let mut awaited = watched.len();
        for (resource, namespace) in watched {
            let collection = cluster.collection(&resource, &namespace);
            let (world, change, listed) = (Arc::clone(&world), Arc::clone(&change), listed.clone());
            tasks.spawn(async move {
                let mut events = pin!(watcher(collection, watcher::Config::default()).default_backoff());
                let mut first = true;
                let mut listing = Vec::new();
                while let Some(event) = events.next().await {
                    {
                        let mut world = lock(&world);
                        match event {
                            Ok(Event::Init) => listing.clear(),
                            Ok(Event::InitApply(object)) => {
                                listing.push(object.uid().unwrap_or_default());
                                world.see(object, &resource, first);
                            }
                            Ok(Event::InitDone) => {
                                let missing: Vec<String> = world
                                    .of_kind(&resource.api.kind)
                                    .filter(|(uid, record)| {
                                        record.gone.is_none()
                                            && (namespace.is_empty() || record.name.namespace == namespace)
                                            && !listing.contains(uid)
                                    })
                                    .map(|(uid, _)| uid.clone())
                                    .collect();
                                missing.iter().for_each(|uid| world.lose(uid, None));
                                if std::mem::take(&mut first) {
                                    // Nobody listens any more only when the start was given up.
                                    let _ = listed.try_send(Ok(()));
                                }
                            }
                            Ok(Event::Apply(object)) => world.see(object, &resource, false),
                            Ok(Event::Delete(object)) => {
                                let uid = object.uid().unwrap_or_default();
                                world.lose(&uid, Some(object));
                            }
                            Err(error) => {
                                tracing::debug!(%error, kind = resource.api.kind, "watch interrupted");
                                if first && is_refusal(&error) {
                                    let _ = listed.try_send(Err((resource.api.kind.clone(), error)));
                                    return;
                                }
                                continue;
                            }
                        }
                    }
                    change.send_modify(|count| *count += 1);
                }
            });
        }
        drop(listed);
        while awaited > 0 {
            match lists.recv().await {
                Some(Ok(())) => awaited -= 1,
                Some(Err((kind, error))) => return Err(Error::Internal(format!("cannot watch {kind}: {error}"))),
                None => return Err(Error::Internal("a watch ended".to_owned())),
            }
        }
        Ok(Self { world, change, changed, _tasks: tasks })
    }

    /// Looks at what has been seen.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&World) -> R) -> R {
        look(&lock(&self.world))
    }

    /// Has everybody look again: what is to be made of it has changed, though nothing was seen.
    pub(crate) fn look_again(&self) {
        self.change.send_modify(|count| *count += 1);
    }

    /// What tells everybody that nothing more will be seen, and why.
    pub(crate) fn give_up(&self) -> impl FnOnce(String) + Send + 'static {
        let (world, change) = (Arc::clone(&self.world), Arc::clone(&self.change));
        move |why| {
            lock(&world).lost = Some(why);
            change.send_modify(|count| *count += 1);
        }
    }

    /// A second view on the same observation.
    #[must_use]
    pub(crate) fn view(&self) -> View {
        View { world: Arc::clone(&self.world), changed: self.changed.clone() }
    }

    /// Waits until `judge` gives a value, at most until `deadline`. It is asked now and after every change.
    pub(crate) async fn until<R>(&self, deadline: Instant, judge: impl FnMut(&World) -> Option<R>) -> Option<R> {
        self.view().until(deadline, judge).await
    }
}

/// A view on an observation.
#[derive(Clone)]
pub(crate) struct View {
    world: Arc<Mutex<World>>,
    changed: watch::Receiver<u64>,
}

impl View {
    /// Looks at what has been seen.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&World) -> R) -> R {
        look(&lock(&self.world))
    }

    /// Waits for the next change; false when there will be none.
    pub(crate) async fn change(&mut self) -> bool {
        self.changed.changed().await.is_ok()
    }

    /// Waits until `judge` gives a value, at most until `deadline`.
    pub(crate) async fn until<R>(mut self, deadline: Instant, mut judge: impl FnMut(&World) -> Option<R>) -> Option<R> {
        let waiting = async {
            loop {
                self.changed.mark_unchanged();
                if let Some(found) = judge(&lock(&self.world)) {
                    return Some(found);
                }
                if !self.change().await {
                    return None;
                }
            }
        };
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        tokio::time::timeout(left, waiting).await.ok().flatten()
    }
}

fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Record {
    /// An object as it was once listed.
    #[must_use]
    pub fn of(kind: &str, object: Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Self {
            name: ObjectName {
                kind: kind.to_owned(),
                namespace: text(&object["metadata"]["namespace"]),
                name: text(&object["metadata"]["name"]),
            },
            api_version: text(&object["apiVersion"]),
            before: true,
            versions: vec![Version { at: Instant::now(), object: Arc::new(object) }],
            gone: None,
        }
    }
}
