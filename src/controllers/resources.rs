//! The metadata of every object there is, custom resources included: what garbage collection and the end of namespaces look
//! at. Resources that appear while running are picked up, those that go are let go. It acts on nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::PartialObjectMeta;
use tinderbox_client::caches::AnyCache;
use tinderbox_client::discovery::{Served, served};
use tinderbox_client::{ObjectKey, Queue, Result, Runner, runner::Action};
use tokio::sync::watch;

use crate::context::Context;

/// A definition is served a moment after it is written.
const SETTLING: [Duration; 3] = [Duration::ZERO, Duration::from_millis(300), Duration::from_secs(3)];

/// A resource and the cache of its objects.
type Watched = (Arc<Served>, Arc<dyn AnyCache>);
type Handler = Arc<dyn Fn(&Arc<Served>, &ObjectKey) + Send + Sync>;

/// All resources whose objects can be watched and deleted. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Resources(Arc<Shared>);

struct Shared {
    table: Mutex<Table>,
    known: watch::Sender<bool>,
}

#[derive(Default)]
struct Table {
    /// By group and plural.
    resources: BTreeMap<(String, String), Watched>,
    handlers: Vec<Handler>,
}

impl Resources {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Shared { table: Mutex::default(), known: watch::Sender::new(false) }))
    }

    /// Calls `handler` with every object and every change, until the process ends.
    pub(crate) fn subscribe(&self, handler: impl Fn(&Arc<Served>, &ObjectKey) + Send + Sync + 'static) {
        let handler: Handler = Arc::new(handler);
        let resources: Vec<_> = {
            let mut table = self.table();
            table.handlers.push(handler.clone());
            table.resources.values().cloned().collect()
        };
        for (served, cache) in resources {
            listen(&served, &*cache, handler.clone());
        }
    }

    /// The resource of a kind, in whatever version.
    pub(crate) fn of_kind(&self, group: &str, kind: &str) -> Option<Arc<Served>> {
        let table = self.table();
        let mut found = table.resources.values().map(|(served, _)| served);
        found.find(|served| served.resource.group == group && served.resource.kind == kind).cloned()
    }

    /// The cache of a resource.
    pub(crate) fn cache(&self, served: &Served) -> Option<Arc<dyn AnyCache>> {
        let key = (served.resource.group.clone(), served.resource.plural.clone());
        self.table().resources.get(&key).map(|(_, cache)| cache.clone())
    }

    /// How many objects of each resource a namespace has, by group and plural.
    pub(crate) fn counts(&self, namespace: &str) -> BTreeMap<(String, String), usize> {
        let table = self.table();
        let counts = table.resources.iter().map(|(key, (_, cache))| (key.clone(), cache.count_in(namespace)));
        counts.filter(|(_, count)| *count > 0).collect()
    }

    /// Returns when the resources are known and listed, as far as they can be within `patience`.
    pub(crate) async fn ready(&self, patience: Duration) -> Result<()> {
        let mut known = self.0.known.subscribe();
        if known.wait_for(|known| *known).await.is_err() {
            return Ok(());
        }
        let caches: Vec<_> = self.table().resources.values().map(|(_, cache)| cache.clone()).collect();
        let all = futures::future::try_join_all(caches.iter().map(|cache| cache.synced()));
        tokio::time::timeout(patience, all).await.map_or(Ok(()), |outcome| outcome.map(|_| ()))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn refresh(&self, context: &Context) -> Result<()> {
        let found = served(&context.client).await?;
        let wanted: BTreeMap<_, _> = found
            .into_iter()
            .filter(is_collected)
            .map(|served| ((served.resource.group.clone(), served.resource.plural.clone()), served))
            .collect();
        let gone: Vec<Arc<Served>> = {
            let mut table = self.table();
            let gone: Vec<_> = table.resources.keys().filter(|key| !wanted.contains_key(*key)).cloned().collect();
            gone.iter().filter_map(|key| table.resources.remove(key)).map(|(served, _)| served).collect()
        };
        gone.iter().for_each(|served| context.caches.drop_metadata(&served.resource));
        for (key, served) in wanted {
            if self.table().resources.contains_key(&key) {
                continue;
            }
            let cache = context.caches.metadata(&served.resource);
            let served = Arc::new(served);
            let handlers = {
                let mut table = self.table();
                table.resources.insert(key, (served.clone(), cache.clone()));
                table.handlers.clone()
            };
            for handler in handlers {
                listen(&served, &*cache, handler);
            }
        }
        self.0.known.send_replace(true);
        Ok(())
    }
}

fn listen(served: &Arc<Served>, cache: &dyn AnyCache, handler: Handler) {
    let served = served.clone();
    cache.subscribe_keys(Box::new(move |key| handler(&served, key)));
}

/// Events own nothing, outlive nobody and are many.
fn is_collected(served: &Served) -> bool {
    served.resource.kind != "Event" && served.can(&["get", "list", "watch", "delete", "patch"])
}

/// Keeps the table in step with what the API serves.
pub(crate) fn run(context: Context, resources: Resources) -> BoxFuture<'static, Result<()>> {
    async move {
        let definitions = context.caches.get::<PartialObjectMeta<CustomResourceDefinition>>();
        let queue = Queue::new(context.clock.clone());
        definitions.subscribe({
            let queue = queue.clone();
            move |_| {
                for (number, delay) in SETTLING.into_iter().enumerate() {
                    queue.add_after(number, delay);
                }
            }
        });
        queue.add(0);
        let runner = Runner { name: "resources", queue, concurrency: 1, token: context.token.clone() };
        runner
            .run(move |_: usize| {
                let (context, resources) = (context.clone(), resources.clone());
                async move { resources.refresh(&context).await.map(|()| Action::Done) }
            })
            .await;
        Ok(())
    }
    .boxed()
}
