//! An API server in memory with all controllers, and waits that end when something is true.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::{StreamExt, pin_mut};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, Node};
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::core::NamespaceResourceScope;
use kube::runtime::watcher::{Config as Watch, watch_object, watcher};
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;
use tinderbox_api::pools::Pools;
use tinderbox_apiserver::auth::User;
use tinderbox_apiserver::auth::pki::Pki;
use tinderbox_apiserver::{ApiServer, Config};
use tinderbox_client::{Clock, ManualClock};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const PATIENCE: Duration = Duration::from_secs(20);
/// Nodes of tests renew no leases, unless a test is about that.
pub(crate) const NODE_GRACE: Duration = Duration::from_secs(60 * 86_400);

/// What all kinds in these tests are.
pub(crate) trait Kind:
    Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Serialize + Send + 'static
{
}
impl<K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Serialize + Send + 'static> Kind for K {}

/// The cluster of one test.
pub(crate) struct World {
    pub(crate) server: ApiServer,
    pub(crate) client: Client,
    pub(crate) clock: Clock,
    pub(crate) dir: TempDir,
    pub(crate) tracker: TaskTracker,
    pub(crate) token: CancellationToken,
    hand: Option<ManualClock>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.token.cancel();
    }
}

impl World {
    /// A cluster without nodes.
    pub(crate) async fn bare() -> Self {
        Self::start(Clock::system(), None).await
    }

    /// A cluster with one node that plays its part.
    pub(crate) async fn new() -> Self {
        let world = Self::bare().await;
        world.add_node("node-0", json!({})).await;
        crate::node::play(&world);
        world
    }

    /// The same, with a clock that [`Self::advance`] moves.
    pub(crate) async fn with_manual_clock() -> Self {
        Self::beginning(Timestamp::now()).await
    }

    /// The same, with a clock that begins at a moment.
    pub(crate) async fn beginning(at: Timestamp) -> Self {
        let (clock, hand) = Clock::manual(at);
        let world = Self::start(clock, Some(hand)).await;
        world.add_node("node-0", json!({})).await;
        crate::node::play(&world);
        world
    }

    /// The same over a server that others reach too.
    pub(crate) async fn over(server: &ApiServer) -> Self {
        let world = Self::of(server, Clock::system(), None);
        world.add_node("node-0", json!({})).await;
        crate::node::play(&world);
        world
    }

    async fn start(clock: Clock, hand: Option<ManualClock>) -> Self {
        let server = ApiServer::new(Config::in_memory().unwrap()).await.unwrap();
        Self::of(&server, clock, hand)
    }

    fn of(server: &ApiServer, clock: Clock, hand: Option<ManualClock>) -> Self {
        Self::of_pools(server, clock, hand, Pools::none())
    }

    /// A cluster whose nodes come from pools, with a clock that [`Self::advance`] moves.
    pub(crate) async fn with_pools(pools: Pools) -> Self {
        let (clock, hand) = Clock::manual(Timestamp::now());
        let server = ApiServer::new(Config::in_memory().unwrap()).await.unwrap();
        let world = Self::of_pools(&server, clock, Some(hand), pools);
        crate::node::play(&world);
        world
    }

    fn of_pools(server: &ApiServer, clock: Clock, hand: Option<ManualClock>, pools: Pools) -> Self {
        let admin = User { name: "admin".to_owned(), groups: vec!["system:masters".to_owned()], ..User::default() };
        let client = Client::new(server.service_as(admin), "default");
        let dir = tempfile::tempdir().unwrap();
        let (tracker, token) = (TaskTracker::new(), CancellationToken::new());
        let config = tinderbox_controllers::Config {
            ca: "PEM".to_owned(),
            authority: Arc::new(Pki::open(&dir.path().join("pki"), "node-0", SystemTime::now()).unwrap()),
            volumes_dir: dir.path().join("volumes"),
            clock: clock.clone(),
            node_grace: NODE_GRACE,
            pools,
        };
        tinderbox_controllers::spawn_all(client.clone(), config, &tracker, &token);
        Self { server: server.clone(), client, clock, dir, tracker, token, hand }
    }

    /// Moves the clock.
    pub(crate) fn advance(&self, by: Duration) {
        self.hand.as_ref().unwrap().advance(by);
    }

    /// Adds a node with 4 CPUs and 8 GiB; `with` is merged into it.
    pub(crate) async fn add_node(&self, name: &str, with: Value) {
        let amounts = json!({"cpu": "4", "memory": "8Gi", "pods": "110", "ephemeral-storage": "10Gi"});
        let node = json!({"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}});
        let nodes: Api<Node> = Api::all(self.client.clone());
        nodes.create(&PostParams::default(), &from(node)).await.unwrap();
        let status = json!({"status": {"capacity": amounts, "allocatable": amounts}});
        nodes.patch(name, &PatchParams::default(), &Patch::Merge(with)).await.unwrap();
        nodes.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    }

    /// The objects of a kind in `default`.
    pub(crate) fn api<K: Kind + Resource<Scope = NamespaceResourceScope>>(&self) -> Api<K> {
        Api::default_namespaced(self.client.clone())
    }

    /// Makes an object in `default`.
    pub(crate) async fn create<K: Kind + Resource<Scope = NamespaceResourceScope>>(&self, value: Value) -> K {
        self.api::<K>().create(&PostParams::default(), &from(value)).await.unwrap()
    }

    /// Changes an object in `default`.
    pub(crate) async fn patch<K: Kind + Resource<Scope = NamespaceResourceScope>>(
        &self,
        name: &str,
        value: Value,
    ) -> K {
        self.api::<K>().patch(name, &PatchParams::default(), &Patch::Merge(value)).await.unwrap()
    }

    /// Waits until an object in `default` is as wanted.
    pub(crate) async fn until<K>(&self, name: &str, wanted: impl Fn(&K) -> bool) -> K
    where
        K: Kind + Resource<Scope = NamespaceResourceScope>,
    {
        until_in(self.api(), name, wanted).await
    }

    /// Waits until an object in `default` is gone.
    pub(crate) async fn gone<K: Kind + Resource<Scope = NamespaceResourceScope>>(&self, name: &str) {
        gone_from(self.api::<K>(), name).await;
    }

    /// Waits until the objects of a kind in `default` are as wanted all together.
    pub(crate) async fn until_all<K>(&self, wanted: impl Fn(&[K]) -> bool) -> Vec<K>
    where
        K: Kind + Resource<Scope = NamespaceResourceScope>,
    {
        let api = self.api::<K>();
        let mut last = Vec::new();
        let wait = async {
            let events = watcher(api.clone(), Watch::default());
            pin_mut!(events);
            loop {
                events.next().await.unwrap().unwrap();
                last = api.list(&Default::default()).await.unwrap().items;
                if wanted(&last) {
                    return;
                }
            }
        };
        if timeout(PATIENCE, wait).await.is_err() {
            panic!("never as wanted; last: {}", serde_json::to_string_pretty(&last).unwrap());
        }
        last
    }

    /// Waits for an event with this reason whose message contains `text`.
    pub(crate) async fn event(&self, reason: &str, text: &str) -> Event {
        let fits = |event: &&Event| {
            event.reason.as_deref() == Some(reason)
                && event.message.as_ref().is_some_and(|message| message.contains(text))
        };
        let events = self.until_all(|events: &[Event]| events.iter().any(|event| fits(&event))).await;
        events.iter().find(fits).cloned().unwrap()
    }
}

/// Waits until an object is as wanted.
pub(crate) async fn until_in<K: Kind>(api: Api<K>, name: &str, wanted: impl Fn(&K) -> bool) -> K {
    let mut last = None;
    let wait = async {
        let events = watch_object(api, name);
        pin_mut!(events);
        loop {
            last = events.next().await.unwrap().unwrap();
            if let Some(object) = last.as_ref().filter(|object| wanted(object)) {
                return object.clone();
            }
        }
    };
    match timeout(PATIENCE, wait).await {
        Ok(object) => object,
        Err(_) => panic!("{name} never as wanted; last: {}", serde_json::to_string_pretty(&last).unwrap()),
    }
}

/// Waits until an object is gone.
pub(crate) async fn gone_from<K: Kind>(api: Api<K>, name: &str) {
    let mut last = None;
    let wait = async {
        let events = watch_object(api, name);
        pin_mut!(events);
        loop {
            last = events.next().await.unwrap().unwrap();
            if last.is_none() {
                return;
            }
        }
    };
    if timeout(PATIENCE, wait).await.is_err() {
        panic!("{name} never goes; last: {}", serde_json::to_string_pretty(&last).unwrap());
    }
}

/// A typed object from JSON.
pub(crate) fn from<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

/// Names, sorted.
pub(crate) fn names<K: ResourceExt>(objects: &[K]) -> Vec<String> {
    let mut names: Vec<String> = objects.iter().map(ResourceExt::name_any).collect();
    names.sort();
    names
}

/// A pod spec with one container and requests.
pub(crate) fn pod_spec(cpu: &str) -> Value {
    json!({"containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu}}}]})
}
