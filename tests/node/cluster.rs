//! A store, an API server and a kubelet in one process, without scheduler and controllers.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use k8s_openapi::api::core::v1::{Event, Pod};
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use kube::runtime::wait::{Condition, await_condition};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use tinderbox_api::pools::{Nodes, Pools};
use tinderbox_api::streams::{ContainerRef, LogOptions, PodStreams};
use tinderbox_apiserver::auth::User;
use tinderbox_apiserver::{ApiServer, Config};
use tinderbox_kubelet::cgroups::{self, Groups};
use tinderbox_kubelet::image::{Images, Quiet};
use tinderbox_kubelet::sandbox::{Place, PlaceConfig};
use tinderbox_kubelet::{Kubelet, KubeletConfig, capacity_of_machine};

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const NODE: &str = "local-0";

pub(crate) struct Cluster {
    pub(crate) client: Client,
    pub(crate) server: ApiServer,
    kubelet: Option<Kubelet>,
    folder: tempfile::TempDir,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let server = ApiServer::new(Config::in_memory().unwrap()).await.unwrap();
        let admin = User { name: "admin".to_owned(), groups: vec!["system:masters".to_owned()], ..User::default() };
        let client = Client::new(server.service_as(admin), "default");
        let mut cluster = Self { client, server, kubelet: None, folder: tempfile::tempdir().unwrap() };
        let authority = json!({"metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": "certificate"}});
        cluster.create::<k8s_openapi::api::core::v1::ConfigMap>(authority).await;
        let proxy = json!({"metadata": {"name": "proxy"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:node-proxier"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:nodes"}]});
        let bindings: Api<ClusterRoleBinding> = Api::all(cluster.client.clone());
        bindings.create(&PostParams::default(), &serde_json::from_value(proxy).unwrap()).await.unwrap();
        cluster.start_kubelet().await;
        cluster
    }

    /// Starts a kubelet over the state that is there, as a new node process would.
    pub(crate) async fn start_kubelet(&mut self) {
        let groups = Groups::open(self.folder.path());
        self.start_kubelet_with(groups).await;
    }

    /// The same with the machine's control groups, or without any.
    pub(crate) async fn start_kubelet_with(&mut self, groups: Option<Groups>) {
        let state_dir = self.folder.path().to_owned();
        let place = Place::start(PlaceConfig { binds: vec![state_dir.clone()] }).unwrap();
        let images = Images::new(state_dir.join("cache"), Vec::new(), Arc::new(Quiet));
        let server = self.server.clone();
        let as_node = move |name: &str| {
            let node = User::authenticated(&format!("system:node:{name}"), &["system:nodes"]);
            Client::new(server.service_as(node), "default")
        };
        let config = KubeletConfig {
            client: as_node(NODE),
            as_node: Arc::new(as_node),
            pools: Pools::new("local", &Nodes::default(), capacity_of_machine(&state_dir)),
            renew: Duration::from_secs(10),
            cluster_dns: Some([10, 96, 0, 10].into()),
            state_dir,
            images: Arc::new(images),
            groups,
        };
        self.kubelet = Some(Kubelet::start(config, Arc::new(place)).await.unwrap());
    }

    /// Ends the node as a kill of its process does: nothing is told to the API.
    pub(crate) async fn kill_kubelet(&mut self) {
        if let Some(kubelet) = self.kubelet.take() {
            kubelet.stop().await;
        }
    }

    pub(crate) fn kubelet(&self) -> &Kubelet {
        self.kubelet.as_ref().unwrap()
    }

    pub(crate) fn state_dir(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::default_namespaced(self.client.clone())
    }

    /// Creates any object of the default namespace.
    pub(crate) async fn create<K>(&self, object: Value) -> K
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>
            + serde::de::DeserializeOwned
            + serde::Serialize
            + Clone
            + std::fmt::Debug,
    {
        let object: K = serde_json::from_value(object).unwrap();
        self.api().create(&PostParams::default(), &object).await.unwrap()
    }

    /// Creates a pod of `spec`, bound to this node.
    pub(crate) async fn pod(&self, name: &str, spec: Value) -> Pod {
        self.pod_with(json!({"name": name}), spec).await
    }

    pub(crate) async fn pod_with(&self, metadata: Value, mut spec: Value) -> Pod {
        spec["nodeName"] = NODE.into();
        self.create(json!({"metadata": metadata, "spec": spec})).await
    }

    /// A pod of one container that runs a shell script once.
    pub(crate) async fn script(&self, name: &str, script: &str) -> Pod {
        let container = json!({"name": "main", "image": "busybox", "command": ["sh", "-c", script]});
        self.pod(name, json!({"restartPolicy": "Never", "containers": [container]})).await
    }

    /// Waits until the pod is as wanted; panics with all that explains why it is not.
    pub(crate) async fn until(&self, pod: &Pod, what: &str, wanted: impl Fn(&Pod) -> bool + Send) -> Pod {
        let condition = |found: Option<&Pod>| found.is_some_and(&wanted);
        match self.wait(&pod.name_any(), condition).await {
            Some(Some(pod)) => pod,
            _ => panic!("{} never became: {what}\n{}", pod.name_any(), self.explain(pod).await),
        }
    }

    pub(crate) async fn until_phase(&self, pod: &Pod, phase: &str) -> Pod {
        self.until(pod, phase, |pod| pod.status.as_ref().and_then(|s| s.phase.as_deref()) == Some(phase)).await
    }

    pub(crate) async fn until_gone(&self, pod: &Pod) {
        let gone = self.wait(&pod.name_any(), |found: Option<&Pod>| found.is_none()).await;
        assert!(gone.is_some(), "{} is still there\n{}", pod.name_any(), self.explain(pod).await);
    }

    async fn wait(&self, name: &str, condition: impl Condition<Pod>) -> Option<Option<Pod>> {
        let waiting = await_condition(self.api::<Pod>(), name, condition);
        tokio::time::timeout(PATIENCE, waiting).await.ok().map(Result::unwrap)
    }

    /// Waits for an event of the pod with this reason.
    pub(crate) async fn until_event(&self, pod: &Pod, reason: &str) -> Event {
        self.until_told(pod, reason, |event| event.reason.as_deref() == Some(reason)).await
    }

    /// Waits until something said about the pod fits.
    pub(crate) async fn until_told(&self, pod: &Pod, what: &str, wanted: impl Fn(&Event) -> bool + Send) -> Event {
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                let events = self.events(pod).await;
                if let Some(event) = events.into_iter().find(&wanted) {
                    return event;
                }
                tokio::task::yield_now().await;
            }
        });
        match found.await {
            Ok(event) => event,
            Err(_) => panic!("no event {what}\n{}", self.explain(pod).await),
        }
    }

    pub(crate) async fn events(&self, pod: &Pod) -> Vec<Event> {
        let fields = format!("involvedObject.uid={}", pod.uid().unwrap());
        self.api::<Event>().list(&ListParams::default().fields(&fields)).await.unwrap().items
    }

    async fn explain(&self, pod: &Pod) -> String {
        let now = self.api::<Pod>().get_opt(&pod.name_any()).await.unwrap();
        let status = now.map(|pod| serde_json::to_string_pretty(&pod.status).unwrap());
        let events = self.events(pod).await;
        let lines = events.iter().map(|e| format!("{:?} {:?}", e.reason, e.message)).collect::<Vec<_>>();
        let log = self.logs(pod, "main").await.unwrap_or_else(|error| error);
        format!("{}\n{}\nlog: {log}", status.unwrap_or_default(), lines.join("\n"))
    }

    pub(crate) fn reference(&self, pod: &Pod, container: &str) -> ContainerRef {
        ContainerRef {
            namespace: pod.namespace().unwrap(),
            pod: pod.name_any(),
            uid: pod.uid().unwrap(),
            container: container.to_owned(),
        }
    }

    pub(crate) async fn logs(&self, pod: &Pod, container: &str) -> Result<String, String> {
        self.logs_with(pod, container, LogOptions::default()).await
    }

    pub(crate) async fn logs_with(&self, pod: &Pod, container: &str, options: LogOptions) -> Result<String, String> {
        let stream = self.kubelet().logs(self.reference(pod, container), options).await;
        let chunks: Vec<_> =
            stream.map_err(|error| error.to_string())?.try_collect().await.map_err(|error| error.to_string())?;
        Ok(String::from_utf8(chunks.concat()).unwrap())
    }

    /// Waits until the log of the container `main` holds `text`.
    pub(crate) async fn until_log(&self, pod: &Pod, text: &str) {
        self.until_phase(pod, "Running").await;
        let follow = LogOptions { follow: true, ..LogOptions::default() };
        let mut chunks = self.kubelet().logs(self.reference(pod, "main"), follow).await.unwrap();
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains(text) {
            let chunk = tokio::time::timeout(PATIENCE, chunks.try_next()).await.expect(text);
            seen.extend(chunk.unwrap().unwrap_or_else(|| panic!("the log ended without {text:?}")));
        }
    }

    /// Runs a one-shot pod to its end and returns its log.
    pub(crate) async fn output(&self, name: &str, script: &str) -> String {
        let pod = self.script(name, script).await;
        let pod = self.until_phase(&pod, "Succeeded").await;
        self.logs(&pod, "main").await.unwrap()
    }

    pub(crate) async fn delete(&self, pod: &Pod, grace: Option<u32>) {
        let params = DeleteParams { grace_period_seconds: grace, ..DeleteParams::default() };
        self.api::<Pod>().delete(&pod.name_any(), &params).await.unwrap();
    }

    pub(crate) async fn stop(mut self) {
        self.kill_kubelet().await;
        cgroups::clear(self.folder.path());
        self.server.shutdown();
    }
}

/// The status of one container as JSON.
pub(crate) fn container(pod: &Pod, name: &str) -> Value {
    let status = serde_json::to_value(&pod.status).unwrap();
    let lists = ["initContainerStatuses", "containerStatuses"];
    let found = lists.iter().flat_map(|list| status[list].as_array().into_iter().flatten());
    found.clone().find(|c| c["name"] == name).cloned().unwrap_or_default()
}
