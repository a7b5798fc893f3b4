//! ConfigMaps and Secrets that pods refer to: one watch per object, shared, for as long as somebody holds it.
//! It must not know what they are used for.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::watch_object;
use kube::{Api, Client};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// The two kinds that hold data for pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    ConfigMap,
    Secret,
}

impl Kind {
    /// As in `configmap "x" not found`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::ConfigMap => "configmap",
            Self::Secret => "secret",
        }
    }

    /// As in manifests.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }
}

/// One object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) kind: Kind,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn new(kind: Kind, namespace: &str, name: &str) -> Self {
        Self { kind, namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

/// The data of an object, text and binary alike.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) data: BTreeMap<String, Bytes>,
}

/// What is known of an object.
#[derive(Debug, Clone, Default)]
pub(crate) enum Seen {
    /// The API has not answered yet.
    #[default]
    Unknown,
    Missing,
    Found(Arc<Content>),
}

/// A watched object; the watch ends with the last holder.
#[derive(Debug)]
pub(crate) struct Watched {
    seen: watch::Receiver<Seen>,
    _task: AbortOnDropHandle<()>,
}

impl Watched {
    /// What is known now.
    pub(crate) fn now(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// Tells of every change from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<Seen> {
        self.seen.clone()
    }

    /// Waits until the API has answered once.
    pub(crate) async fn known(&self) {
        let mut seen = self.seen.clone();
        // The sender lives in the task, which lives as long as `self`.
        let _ = seen.wait_for(|seen| !matches!(seen, Seen::Unknown)).await;
    }
}

/// All watched objects of a node.
pub(crate) struct Objects {
    client: Client,
    held: Mutex<HashMap<Key, Weak<Watched>>>,
}

impl Objects {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, held: Mutex::default() }
    }

    /// Watches an object, together with whoever does already.
    pub(crate) fn watch(&self, key: &Key) -> Arc<Watched> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watched) = held.get(key).and_then(Weak::upgrade) {
            return watched;
        }
        held.retain(|_, watched| watched.strong_count() > 0);
        let (sender, seen) = watch::channel(Seen::Unknown);
        let client = self.client.clone();
        let task = match key.kind {
            Kind::ConfigMap => tokio::spawn(follow::<ConfigMap>(client, key.clone(), sender)),
            Kind::Secret => tokio::spawn(follow::<Secret>(client, key.clone(), sender)),
        };
        let watched = Arc::new(Watched { seen, _task: AbortOnDropHandle::new(task) });
        held.insert(key.clone(), Arc::downgrade(&watched));
        watched
    }
}

/// An object that holds data.
trait Data: kube::Resource<Scope = kube::core::NamespaceResourceScope> {
    fn content(self) -> Content;
    fn is_immutable(&self) -> bool;
}

impl Data for ConfigMap {
    fn content(self) -> Content {
        let text = self.data.into_iter().flatten();
        let binary = self.binary_data.into_iter().flatten();
        let data = text.map(|(key, value)| (key, Bytes::from(value)));
        Content { data: data.chain(binary.map(|(key, value)| (key, Bytes::from(value.0)))).collect() }
    }

    fn is_immutable(&self) -> bool {
        self.immutable == Some(true)
    }
}

impl Data for Secret {
    fn content(self) -> Content {
        let data = self.data.into_iter().flatten();
        Content { data: data.map(|(key, value)| (key, Bytes::from(value.0))).collect() }
    }

    fn is_immutable(&self) -> bool {
        self.immutable == Some(true)
    }
}

async fn follow<K>(client: Client, key: Key, sender: watch::Sender<Seen>)
where
    K: Data + Clone + DeserializeOwned + Debug + Send + 'static,
    K::DynamicType: Default,
{
    let api: Api<K> = Api::namespaced(client, &key.namespace);
    let mut events = watch_object(api, &key.name).default_backoff().boxed();
    while let Some(event) = events.next().await {
        match event {
            Ok(Some(object)) => {
                let immutable = object.is_immutable();
                let content = object.content();
                sender.send_if_modified(|seen| match seen {
                    Seen::Found(known) if **known == content => false,
                    _ => {
                        *seen = Seen::Found(Arc::new(content));
                        true
                    }
                });
                if immutable {
                    // Nothing but its deletion can come, and that does not concern who has read it.
                    drop(events);
                    return sender.closed().await;
                }
            }
            Ok(None) => {
                sender.send_if_modified(|seen| {
                    let news = !matches!(seen, Seen::Missing);
                    *seen = Seen::Missing;
                    news
                });
            }
            Err(error) => {
                tracing::debug!(?key, %error, "cannot watch an object that a pod refers to");
            }
        }
    }
}
