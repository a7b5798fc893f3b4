//! The kinds that applications have objects of: how the API serves them, and their objects, watched from the first use on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::api::Api;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::discovery::{Scope, pinned_kind};
use kube::runtime::watcher;
use kube::{Client, ResourceExt};
use serde_json::Value;
use tinderbox_client::cache::Cache;
use tinderbox_client::error::Doing;
use tinderbox_client::{Change, Error, ObjectKey, Result};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::sync::Key;

/// How long the first list of a kind may take.
const PATIENCE: Duration = Duration::from_secs(10);

type Handler = Arc<dyn Fn(&Change<'_, DynamicObject>) + Send + Sync>;

/// A kind, and its objects.
#[derive(Clone)]
pub(super) struct Kind {
    pub(super) resource: ApiResource,
    pub(super) namespaced: bool,
    pub(super) cache: Cache<DynamicObject>,
    token: CancellationToken,
}

/// All kinds that were asked for.
#[derive(Clone)]
pub(super) struct Kinds(Arc<Inner>);

struct Inner {
    client: Client,
    known: Mutex<HashMap<(String, String), Kind>>,
    handler: Handler,
    tracker: TaskTracker,
    token: CancellationToken,
}

impl Kinds {
    pub(super) fn new(client: Client, handler: Handler, tracker: TaskTracker, token: CancellationToken) -> Self {
        Self(Arc::new(Inner { client, known: Mutex::default(), handler, tracker, token }))
    }

    pub(super) fn client(&self) -> &Client {
        &self.0.client
    }

    /// A kind by version and name, with all of its objects; nothing when the API does not serve it.
    pub(super) async fn get(&self, api_version: &str, kind: &str) -> Result<Option<Kind>> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let id = (group.to_owned(), kind.to_owned());
        let known = self.known().get(&id).cloned();
        let found = match known {
            Some(found) => found,
            None => {
                let gvk = GroupVersionKind::gvk(group, version, kind);
                match pinned_kind(&self.0.client, &gvk).await {
                    Ok((resource, capabilities)) => self.watch(id, resource, capabilities.scope == Scope::Namespaced),
                    Err(kube::Error::Api(status)) if status.code == 404 => return Ok(None),
                    Err(kube::Error::Discovery(_)) => return Ok(None),
                    Err(error) => return Err(error).doing(|| format!("discover {kind} in {api_version}")),
                }
            }
        };
        let what = || {
            format!("cannot list {kind} in {api_version}: see whether the controller's account may list and watch it")
        };
        match tokio::time::timeout(PATIENCE, found.cache.synced()).await {
            Ok(synced) => synced.map(|()| Some(found)),
            Err(_) => Err(Error::Invalid(what())),
        }
    }

    /// A kind that is known already.
    pub(super) fn known_kind(&self, key: &Key) -> Option<Kind> {
        self.known().get(&(key.group.clone(), key.kind.clone())).cloned()
    }

    /// All kinds that are known.
    pub(super) fn all(&self) -> Vec<Kind> {
        self.known().values().cloned().collect()
    }

    /// Ends the watch of a kind whose definition goes.
    pub(super) fn forget(&self, group: &str, kind: &str) {
        if let Some(kind) = self.known().remove(&(group.to_owned(), kind.to_owned())) {
            kind.token.cancel();
        }
    }

    /// An object as it was last seen.
    pub(super) fn live(&self, key: &Key) -> Option<Value> {
        let kind = self.known_kind(key)?;
        kind.cache.get(&ObjectKey::new(&key.namespace, &key.name)).map(|object| kind.value(&object))
    }

    fn watch(&self, id: (String, String), resource: ApiResource, namespaced: bool) -> Kind {
        let mut known = self.known();
        if let Some(kind) = known.get(&id) {
            return kind.clone();
        }
        let cache: Cache<DynamicObject> = Cache::new(|_| ());
        let token = self.0.token.child_token();
        let handler = self.0.handler.clone();
        cache.subscribe(move |change| handler(change));
        let api: Api<DynamicObject> = Api::all_with(self.0.client.clone(), &resource);
        let (watched, stop) = (cache.clone(), token.clone());
        self.0.tracker.spawn(async move { watched.run(api, watcher::Config::default(), stop).await });
        let kind = Kind { resource, namespaced, cache, token };
        known.insert(id, kind.clone());
        kind
    }

    fn known(&self) -> MutexGuard<'_, HashMap<(String, String), Kind>> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kind {
    /// An object as JSON, with its type, which objects of lists lack.
    pub(super) fn value(&self, object: &DynamicObject) -> Value {
        let mut value = tinderbox_client::plan::encode(object);
        value["apiVersion"] = Value::from(self.resource.api_version.clone());
        value["kind"] = Value::from(self.resource.kind.clone());
        value
    }

    /// The objects in one namespace, or all of them.
    pub(super) fn api(&self, client: &Client, namespace: &str) -> Api<DynamicObject> {
        if self.namespaced && !namespace.is_empty() {
            Api::namespaced_with(client.clone(), namespace, &self.resource)
        } else {
            Api::all_with(client.clone(), &self.resource)
        }
    }

    /// Takes in what the API answered to a write.
    pub(super) fn observe(&self, object: DynamicObject) {
        self.cache.observe(object);
    }

    /// Takes in that an object is gone.
    pub(super) fn gone(&self, key: &Key, object: &DynamicObject) {
        self.cache.forget(&ObjectKey::new(&key.namespace, &key.name), &object.uid().unwrap_or_default());
    }
}
