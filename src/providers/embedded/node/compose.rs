//! The one composer of a cluster: place, store, API server, controllers, platform and kubelet, started side by side where they do not need
//! each other, and ended in the order that loses nothing.

use std::fs::Permissions;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use tinderbox_api::pools::{Capacity, Pools};
use tinderbox_api::streams::PodStreams;
use tinderbox_apiserver::auth::pki::Pki;
use tinderbox_apiserver::auth::token::Tokens;
use tinderbox_apiserver::auth::{MASTERS, User};
use tinderbox_apiserver::{ApiServer, Config, HISTORY};
use tinderbox_client::{Clock, wait};
use tinderbox_kubelet::cgroups::Groups;
use tinderbox_kubelet::image::{Images, Quiet, cache_dir, language_folders};
use tinderbox_kubelet::runtime::Runtime;
use tinderbox_kubelet::sandbox::{NODE_ADDRESS, Place, PlaceConfig, PlaceError};
use tinderbox_kubelet::{Kubelet, KubeletConfig, capacity_of_machine};
use tinderbox_platform::{Account, PROMETHEUS_OPERATOR};
use tinderbox_store::{OpenError, Options, Store};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::exporters;
use crate::embedded::state::Settings;
use crate::folder::Folder;
use crate::{Class, Error};

/// The API's addresses inside the place: the service `kubernetes`, and what stands behind it.
const INSIDE: [SocketAddrV4; 2] =
    [SocketAddrV4::new(Ipv4Addr::new(10, 96, 0, 1), 443), SocketAddrV4::new(NODE_ADDRESS, 6443)];
/// The address that pods ask for names.
const DNS: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);
/// The binding that lets nodes read services and what stands behind them.
const PROXY: &str = "tinderbox:node-proxier";
/// The role by which those who may view pods may read what they use; metrics-server brings it elsewhere.
const METRICS_READER: &str = "system:aggregated-metrics-reader";
/// How long the node may take until it calls itself ready.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long controllers may take to end.
const FAREWELL: Duration = Duration::from_secs(2);

/// The name of a cluster's first node.
pub(super) fn node_name(cluster: &str) -> String {
    format!("{cluster}-0")
}

/// A running cluster.
pub(super) struct Cluster {
    pub(super) pki: Arc<Pki>,
    server: ApiServer,
    kubelet: Arc<Kubelet>,
    controllers: TaskTracker,
    token: CancellationToken,
    listeners: TaskTracker,
}

impl Cluster {
    /// Starts everything and comes back when the API answers and the node is ready.
    pub(super) async fn start(
        folder: &Folder,
        settings: &Settings,
        outside: TcpListener,
        ingress: TcpListener,
    ) -> Result<Self, Error> {
        let place = async {
            let place: Arc<dyn Runtime> = Arc::new(place(folder, settings).await?);
            Ok((place, groups(folder).await?))
        };
        Self::over(place, capacity_of_machine(folder.path()), folder, settings, [outside, ingress]).await
    }

    /// The same over any runtime, with control groups where it has some, whose machine offers `capacity`. The listeners are those
    /// of the API and of Ingresses.
    pub(super) async fn over(
        runtime: impl Future<Output = Result<(Arc<dyn Runtime>, Option<Groups>), Error>>,
        capacity: Capacity,
        folder: &Folder,
        settings: &Settings,
        [outside, ingress]: [TcpListener; 2],
    ) -> Result<Self, Error> {
        let ((place, groups), pki, store) = tokio::try_join!(runtime, keys(folder), store(folder))?;
        let pki = Arc::new(pki);
        let tokens = pki.token_key().map_err(failed("read the key of tokens"))?;
        let tokens = Tokens::from_pem(&tokens).map_err(failed("use the key of tokens"))?;
        let tls = pki.server_config().map_err(failed("set up TLS"))?;
        let mut listeners = vec![outside];
        for address in INSIDE {
            listeners.push(place.listen_tcp(address).await.map_err(refused)?);
        }
        let exporting = exporters::listen(&*place).await?;
        let timing = settings.nodes.timing;
        let config = Config { toleration_seconds: timing.eviction_seconds, ..Config::new(store, Arc::new(tokens)) };
        let server = ApiServer::new(config).await.map_err(failed("start the API server"))?;
        let serving = TaskTracker::new();
        for listener in listeners {
            let listener = tokio::net::TcpListener::from_std(listener).map_err(failed("listen"))?;
            let (server, tls) = (server.clone(), Arc::clone(&tls));
            serving.spawn(async move { server.serve(listener, tls).await });
        }
        serving.close();
        let client = |name: &str, group: &str, agent| {
            Client::new(server.service_as(User::authenticated(name, &[group])).called(agent), "default")
        };
        let (controllers, token) = (TaskTracker::new(), CancellationToken::new());
        let pools = Pools::new(folder.name(), &settings.nodes, capacity);
        let config = tinderbox_controllers::Config {
            ca: pki.ca_certificate().to_owned(),
            authority: pki.clone(),
            volumes_dir: folder.of_pods()[1].clone(),
            clock: Clock::system(),
            node_grace: Duration::from_secs(timing.grace_seconds.into()),
            pools: pools.clone(),
        };
        let masters = client("system:kube-controller-manager", MASTERS, "kube-controller-manager");
        let caches = tinderbox_controllers::spawn_all(masters, config, &controllers, &token);
        let account = |account: Account| Client::new(server.service_as(user_of(account)), "default");
        let metrics = tinderbox_platform::Metrics::default();
        if let Some(project) = &settings.project {
            let client = account(tinderbox_platform::APPLICATION_CONTROLLER);
            let (clock, downloads) = (Clock::system(), cache_dir());
            tinderbox_platform::gitops(&client, clock, project, &downloads, &metrics.gitops, &controllers, &token);
        }
        exporters::watch_for_monitoring(
            client("system:tinderbox", MASTERS, "tinderbox"),
            account(PROMETHEUS_OPERATOR),
            &controllers,
            &token,
        );
        if !settings.bare {
            let jobs = &settings.spark_operator;
            tinderbox_platform::spawn(account, Clock::system(), &[], jobs, &metrics, &controllers, &token);
        }
        exporters::serve(exporting, metrics, &caches, &controllers, &token)?;
        let node = node_name(folder.name());
        let admin = client("system:tinderbox", MASTERS, "tinderbox");
        let ours = PatchParams::apply("tinderbox").force();
        let (bindings, roles) = (Api::<ClusterRoleBinding>::all(admin.clone()), Api::<ClusterRole>::all(admin));
        let (proxy, reader) = (Patch::Apply(proxy_binding()), Patch::Apply(metrics_reader()));
        let (bound, made) =
            tokio::join!(bindings.patch(PROXY, &ours, &proxy), roles.patch(METRICS_READER, &ours, &reader));
        bound.map_err(failed("let the node forward connections to services"))?;
        made.map_err(failed("let those who may view pods read what they use"))?;
        let nodes = server.clone();
        let as_node = move |name: &str| {
            let user = User::authenticated(&format!("system:node:{name}"), &["system:nodes"]);
            Client::new(nodes.service_as(user).called("kubelet"), "default")
        };
        let config = KubeletConfig {
            client: as_node(&node),
            as_node: Arc::new(as_node),
            pools: pools.clone(),
            renew: Duration::from_secs(timing.renew_seconds.into()),
            cluster_dns: Some(DNS),
            state_dir: folder.path().to_owned(),
            images: Arc::new(Images::new(cache_dir(), settings.images.clone(), Arc::new(Quiet))),
            groups,
        };
        let reader = config.client.clone();
        let kubelet = Arc::new(Kubelet::start(config, place).await.map_err(failed("start the kubelet"))?);
        server.set_streams(&kubelet);
        let ingress = tokio::net::TcpListener::from_std(ingress).map_err(failed("listen"))?;
        let streams = Arc::clone(&kubelet) as Arc<dyn PodStreams>;
        tinderbox_ingress::spawn(ingress, &caches, streams, &controllers, &token).map_err(failed("serve Ingresses"))?;
        controllers.close();
        let first = pools.iter().flat_map(|pool| (0..pool.min as usize).map(|index| pools.name(pool, index)));
        try_join_all(first.map(|name| {
            let nodes = Api::all(reader.clone());
            async move { wait::object(nodes, &name, "the node to be ready", PATIENCE, is_ready).await }
        }))
        .await
        .map_err(failed("get the nodes ready"))?;
        Ok(Self { pki, server, kubelet, controllers, token, listeners: serving })
    }

    /// Serves the console, with the rights of the administrator: whoever has its token could read the kubeconfig too.
    pub(super) fn serve_console(&self, listener: TcpListener, config: tinderbox_console::Config) -> Result<(), Error> {
        let listener = tokio::net::TcpListener::from_std(listener).map_err(failed("listen"))?;
        let admin = self.server.service_as(User::authenticated("kubernetes-admin", &[MASTERS])).called("console");
        let client = Client::new(admin, "default");
        tinderbox_console::spawn(listener, client, config, &self.controllers, &self.token)
            .map_err(failed("serve the console"))
    }

    /// Ends it: the pods first, then those who write, then the API, and the store when nobody writes any more.
    pub(super) async fn stop(self) {
        self.kubelet.stop().await;
        self.token.cancel();
        if tokio::time::timeout(FAREWELL, self.controllers.wait()).await.is_err() {
            tracing::warn!("a controller does not end");
        }
        drop(self.kubelet);
        self.server.shutdown();
        self.listeners.wait().await;
        self.server.store().close().await;
    }
}

/// A service account as the API knows it.
fn user_of(account: Account) -> User {
    let [all, own] = account.groups();
    User::authenticated(&account.user(), &[&all, &own])
}

/// The node forwards connections to services itself, as kube-proxy does elsewhere: it may read what that may.
fn proxy_binding() -> serde_json::Value {
    serde_json::json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": PROXY},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:node-proxier"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:nodes"}],
    })
}

fn metrics_reader() -> serde_json::Value {
    let label = |role: &str| (format!("rbac.authorization.k8s.io/aggregate-to-{role}"), "true".into());
    let labels: serde_json::Map<String, serde_json::Value> = ["admin", "edit", "view"].into_iter().map(label).collect();
    serde_json::json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": METRICS_READER, "labels": labels},
        "rules": [{"apiGroups": ["metrics.k8s.io"], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]}],
    })
}

fn is_ready(node: Option<&Node>) -> bool {
    let conditions = node.and_then(|node| node.status.as_ref()).and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

async fn place(folder: &Folder, settings: &Settings) -> Result<Place, Error> {
    let cache = cache_dir();
    let [pods, volumes] = folder.of_pods();
    let mut binds = vec![cache.clone(), pods.clone(), volumes.clone()];
    for image in &settings.images {
        binds.extend(image.jars.iter().cloned());
        binds.extend(image.files.iter().map(|file| file.source.clone()));
    }
    blocking("start the place of the pods", move || {
        std::fs::create_dir_all(&cache).map_err(|source| Error::File {
            act: "make the folder",
            path: cache,
            source,
        })?;
        for dir in [pods, volumes] {
            // Containers with other ids go through it; the cluster's own folder above keeps other users of the machine out.
            let made = std::fs::create_dir_all(&dir);
            made.and_then(|()| std::fs::set_permissions(&dir, Permissions::from_mode(0o711)))
                .map_err(|source| Error::File { act: "make the folder", path: dir, source })?;
        }
        binds.extend(language_folders());
        // What a description names and is not there, a pod that wants it will say.
        binds.retain(|path| path.exists());
        Place::start(PlaceConfig { binds }).map_err(refused)
    })
    .await
}

async fn groups(folder: &Folder) -> Result<Option<Groups>, Error> {
    let path = folder.path().to_owned();
    let groups = blocking("look for control groups", move || Ok(Groups::open(&path))).await?;
    match &groups {
        Some(groups) => tracing::info!(by = groups.describe(), "limits of containers are held"),
        None => {
            tracing::info!("memory limits are watched, CPU limits are not held: no control groups can be made here")
        }
    }
    Ok(groups)
}

async fn keys(folder: &Folder) -> Result<Pki, Error> {
    let folder = folder.clone();
    blocking("open the keys", move || super::open_pki(&folder)).await
}

async fn store(folder: &Folder) -> Result<Store, Error> {
    let folder = folder.clone();
    let open = move || {
        let options = Options { dir: Some(folder.store()), history: HISTORY };
        Store::open(options).map_err(|error| unopened(folder.name(), error))
    };
    blocking("open the store", open).await
}

async fn blocking<T: Send + 'static>(
    act: &'static str,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(failed(act)(error)))
}

pub(super) fn failed<E: std::error::Error + Send + Sync + 'static>(act: &'static str) -> impl FnOnce(E) -> Error {
    move |source| Error::Compose { act: act.to_owned(), source: Box::new(source), hint: None, class: Class::Failed }
}

pub(super) fn refused(error: PlaceError) -> Error {
    let hint = error.hint().map(str::to_owned);
    let class = if matches!(error, PlaceError::Refused { .. }) { Class::Environment } else { Class::Failed };
    Error::Compose { act: "make the place where pods run".to_owned(), source: Box::new(error), hint, class }
}

fn unopened(cluster: &str, error: OpenError) -> Error {
    let down = format!("`cargo xtask down --name {cluster}`");
    let hint = match &error {
        OpenError::Corrupt { .. } => {
            format!("put back a copy of the folder, or remove the cluster with all its objects: {down}")
        }
        OpenError::Newer { .. } => format!("use the version that wrote it, or remove the cluster with {down}"),
        OpenError::Io { .. } | OpenError::InUse { .. } => error.hint().to_owned(),
    };
    let source = Box::new(error);
    Error::Compose { act: "open the store".to_owned(), source, hint: Some(hint), class: Class::Environment }
}
