//! The caches of one process: one per kind, started when first asked for, shared by all that ask. Controllers that care for
//! every kind alike (garbage collection) get a metadata view of the same caches, and caches of metadata alone for the rest.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::core::{DynamicObject, NamespaceResourceScope, ObjectMeta, PartialObjectMeta, discovery::ApiResource};
use kube::runtime::watcher;
use kube::{Api, Client, Resource};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cache::{Cache, Cached};
use crate::{ObjectKey, Result};

/// Objects of one page of a list: a page is read whole, with fields that are dropped then, and its room stays with the process.
const PAGE: u32 = 50;

/// A cache seen without its type.
pub trait AnyCache: Send + Sync {
    /// Takes in what the API answered to a write.
    fn observe(&self, object: Value);
    /// Takes in that an object is gone.
    fn forget(&self, key: &ObjectKey, uid: &str);
    /// The metadata of an object.
    fn meta(&self, key: &ObjectKey) -> Option<ObjectMeta>;
    /// How many objects a namespace has.
    fn count_in(&self, namespace: &str) -> usize;
    /// Calls the handler with the key of every object, and of every change from now on.
    fn subscribe_keys(&self, handler: Box<dyn Fn(&ObjectKey) + Send + Sync>);
    /// The first list, complete.
    fn synced(&self) -> futures::future::BoxFuture<'static, Result<()>>;
}

impl<K: Cached> AnyCache for Cache<K> {
    fn observe(&self, object: Value) {
        match serde_json::from_value(object) {
            Ok(object) => Self::observe(self, object),
            Err(error) => tracing::debug!(%error, "an answer is no object of its kind"),
        }
    }

    fn forget(&self, key: &ObjectKey, uid: &str) {
        Self::forget(self, key, uid);
    }

    fn meta(&self, key: &ObjectKey) -> Option<ObjectMeta> {
        self.get(key).map(|object| object.meta().clone())
    }

    fn count_in(&self, namespace: &str) -> usize {
        self.in_namespace(namespace).len()
    }

    fn subscribe_keys(&self, handler: Box<dyn Fn(&ObjectKey) + Send + Sync>) {
        self.subscribe(move |change| handler(&change.key()));
    }

    fn synced(&self) -> futures::future::BoxFuture<'static, Result<()>> {
        let cache = self.clone();
        Box::pin(async move { Self::synced(&cache).await })
    }
}

/// All caches of a process. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Caches(Arc<Shared>);

struct Shared {
    client: Client,
    namespace: Option<String>,
    tracker: TaskTracker,
    token: CancellationToken,
    tables: Mutex<Tables>,
}

#[derive(Default)]
struct Tables {
    typed: HashMap<TypeId, Box<dyn Any + Send>>,
    any: HashMap<(String, String), (Arc<dyn AnyCache>, CancellationToken)>,
}

impl Caches {
    /// No caches yet; those to come watch through `client` until cancelled.
    #[must_use]
    pub fn new(client: Client, tracker: TaskTracker, token: CancellationToken) -> Self {
        Self::within(None, client, tracker, token)
    }

    /// The same, of objects in one namespace alone: what [`get_within`](Self::get_within) gives needs no rights beyond it.
    #[must_use]
    pub fn within(namespace: Option<String>, client: Client, tracker: TaskTracker, token: CancellationToken) -> Self {
        Self(Arc::new(Shared { client, namespace, tracker, token, tables: Mutex::default() }))
    }

    /// The client that the caches watch through.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.0.client
    }

    /// The cache of a kind, with every field but `managedFields`.
    #[must_use]
    pub fn get<K: Cached + Resource<DynamicType = ()>>(&self) -> Cache<K> {
        self.get_shrunk(|_| ())
    }

    /// The cache of a kind; whoever asks first says which fields nobody needs.
    #[must_use]
    pub fn get_shrunk<K: Cached + Resource<DynamicType = ()>>(&self, shrink: fn(&mut K)) -> Cache<K> {
        self.get_from(Api::all(self.0.client.clone()), shrink)
    }

    /// The cache of a kind that lives in namespaces: of the one that is meant, where one is.
    #[must_use]
    pub fn get_within<K>(&self) -> Cache<K>
    where
        K: Cached + Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        self.get_within_shrunk(|_| ())
    }

    /// The same; whoever asks first says which fields nobody needs.
    #[must_use]
    pub fn get_within_shrunk<K>(&self, shrink: fn(&mut K)) -> Cache<K>
    where
        K: Cached + Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        let client = self.0.client.clone();
        let api = match &self.0.namespace {
            Some(namespace) => Api::namespaced(client, namespace),
            None => Api::all(client),
        };
        self.get_from(api, shrink)
    }

    fn get_from<K: Cached + Resource<DynamicType = ()>>(&self, api: Api<K>, shrink: fn(&mut K)) -> Cache<K> {
        let mut tables = self.tables();
        let known = tables.typed.get(&TypeId::of::<K>());
        if let Some(cache) = known.and_then(|cache| cache.downcast_ref::<Cache<K>>()) {
            return cache.clone();
        }
        let cache = Cache::new(shrink);
        let token = self.start(&cache, api);
        let resource = ApiResource::erase::<K>(&());
        let any: Arc<dyn AnyCache> = Arc::new(cache.clone());
        tables.any.insert((resource.group, resource.plural), (any, token));
        tables.typed.insert(TypeId::of::<K>(), Box::new(cache.clone()));
        cache
    }

    /// The cache of a resource if there is one.
    #[must_use]
    pub fn of(&self, resource: &ApiResource) -> Option<Arc<dyn AnyCache>> {
        let tables = self.tables();
        let key = (resource.group.clone(), resource.plural.clone());
        tables.any.get(&key).map(|(cache, _)| cache.clone())
    }

    /// The metadata of a resource's objects, from its cache or from one of metadata alone.
    #[must_use]
    pub fn metadata(&self, resource: &ApiResource) -> Arc<dyn AnyCache> {
        let mut tables = self.tables();
        let key = (resource.group.clone(), resource.plural.clone());
        if let Some((cache, _)) = tables.any.get(&key) {
            return cache.clone();
        }
        let cache: Cache<PartialObjectMeta<DynamicObject>> = Cache::new(|object| {
            object.types = None;
            object.metadata.annotations = None;
            object.metadata.labels = None;
        });
        let api = Api::all_with(self.0.client.clone(), resource);
        let token = self.start(&cache, api);
        let any: Arc<dyn AnyCache> = Arc::new(cache);
        tables.any.insert(key, (any.clone(), token));
        any
    }

    /// Ends the watch of a resource that is served no more.
    pub fn drop_metadata(&self, resource: &ApiResource) {
        let key = (resource.group.clone(), resource.plural.clone());
        if let Some((_, token)) = self.tables().any.remove(&key) {
            token.cancel();
        }
    }

    fn start<K: Cached>(&self, cache: &Cache<K>, api: Api<K>) -> CancellationToken {
        let token = self.0.token.child_token();
        let (cache, stop) = (cache.clone(), token.clone());
        let watching = async move { cache.run(api, watcher::Config::default().page_size(PAGE), stop).await };
        self.0.tracker.spawn(watching);
        token
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
