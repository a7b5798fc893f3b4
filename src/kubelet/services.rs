//! Services and their endpoints as this node sees them: one compact table, fed by two watches, read by names, proxy and
//! environments. It must not open sockets.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Service as ServiceObject;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

const SERVICE_LABEL: &str = "kubernetes.io/service-name";
const DEFAULT_AFFINITY: i32 = 10_800;

/// Namespace and name.
pub(crate) type Name = (String, String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    fn read(text: Option<&str>) -> Option<Self> {
        match text.unwrap_or("TCP") {
            "TCP" => Some(Self::Tcp),
            "UDP" => Some(Self::Udp),
            _ => None,
        }
    }

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// A port of a service or of its endpoints; unnamed ones have an empty name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) name: String,
    pub(crate) protocol: Protocol,
    pub(crate) port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Service {
    /// `None` for headless ones.
    pub(crate) address: Option<Ipv4Addr>,
    pub(crate) ports: Vec<Port>,
    /// `sessionAffinity: ClientIP`, for this long.
    pub(crate) affinity: Option<Duration>,
    pub(crate) external_name: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) address: Ipv4Addr,
    pub(crate) ready: bool,
    pub(crate) hostname: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slice {
    pub(crate) service: Name,
    pub(crate) ports: Vec<Port>,
    pub(crate) endpoints: Vec<Endpoint>,
}

/// All services and slices.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) services: BTreeMap<Name, Service>,
    slices: BTreeMap<Name, Slice>,
}

impl Table {
    /// Slices of a service.
    pub(crate) fn slices<'a>(&'a self, service: &'a Name) -> impl Iterator<Item = &'a Slice> {
        let of_namespace = (service.0.clone(), String::new())..;
        self.slices
            .range(of_namespace)
            .take_while(|((namespace, _), _)| *namespace == service.0)
            .map(|(_, slice)| slice)
            .filter(move |slice| slice.service == *service)
    }

    /// Ready endpoints of a service, once each.
    pub(crate) fn ready<'a>(&'a self, service: &'a Name) -> Vec<&'a Endpoint> {
        let all = self.slices(service).flat_map(|slice| &slice.endpoints);
        let mut ready: Vec<_> = all.filter(|endpoint| endpoint.ready).collect();
        ready.sort_by_key(|endpoint| endpoint.address);
        ready.dedup_by_key(|endpoint| endpoint.address);
        ready
    }

    /// Where connections to one port of a service go.
    pub(crate) fn backends(&self, service: &Name, port: &Port) -> Vec<(Ipv4Addr, u16)> {
        let mut backends = Vec::new();
        for slice in self.slices(service) {
            let same = |p: &&Port| p.name == port.name && p.protocol == port.protocol;
            if let Some(target) = slice.ports.iter().find(same) {
                let ready = slice.endpoints.iter().filter(|endpoint| endpoint.ready);
                backends.extend(ready.map(|endpoint| (endpoint.address, target.port)));
            }
        }
        backends.sort_unstable();
        backends.dedup();
        backends
    }

    /// The variables that tell containers of a namespace about services; `default/kubernetes` always, its own by choice.
    pub(crate) fn variables(&self, namespace: &str, links: bool) -> Vec<(String, String)> {
        let mut variables = Vec::new();
        for ((space, name), service) in &self.services {
            let master = space == "default" && name == "kubernetes";
            if master || (links && space == namespace) {
                link(name, service, &mut variables);
            }
        }
        variables
    }
}

/// `NAME_SERVICE_HOST` and the older Docker-style names.
fn link(name: &str, service: &Service, out: &mut Vec<(String, String)>) {
    let (Some(address), Some(first)) = (service.address, service.ports.first()) else {
        return;
    };
    let upper = |text: &str| text.to_uppercase().replace(['-', '.'], "_");
    let name = upper(name);
    let mut put = |key: String, value: String| out.push((key, value));
    put(format!("{name}_SERVICE_HOST"), address.to_string());
    put(format!("{name}_SERVICE_PORT"), first.port.to_string());
    for port in service.ports.iter().filter(|port| !port.name.is_empty()) {
        put(format!("{name}_SERVICE_PORT_{}", upper(&port.name)), port.port.to_string());
    }
    for (index, port) in service.ports.iter().enumerate() {
        let protocol = port.protocol.label();
        let url = format!("{protocol}://{address}:{}", port.port);
        let prefix = format!("{name}_PORT_{}_{}", port.port, protocol.to_uppercase());
        if index == 0 {
            put(format!("{name}_PORT"), url.clone());
        }
        put(prefix.clone(), url);
        put(format!("{prefix}_PROTO"), protocol.to_owned());
        put(format!("{prefix}_PORT"), port.port.to_string());
        put(format!("{prefix}_ADDR"), address.to_string());
    }
}

fn read_service(object: &ServiceObject) -> Service {
    let spec = object.spec.clone().unwrap_or_default();
    let port = |port: k8s_openapi::api::core::v1::ServicePort| {
        Some(Port {
            name: port.name.unwrap_or_default(),
            protocol: Protocol::read(port.protocol.as_deref())?,
            port: u16::try_from(port.port).ok()?,
        })
    };
    let seconds =
        spec.session_affinity_config.and_then(|config| config.client_ip?.timeout_seconds).unwrap_or(DEFAULT_AFFINITY);
    let seconds = u64::try_from(seconds).unwrap_or(0);
    let sticky = spec.session_affinity.as_deref() == Some("ClientIP");
    Service {
        address: spec.cluster_ip.and_then(|ip| ip.parse().ok()),
        ports: spec.ports.into_iter().flatten().filter_map(port).collect(),
        affinity: sticky.then(|| Duration::from_secs(seconds)),
        external_name: spec.external_name.filter(|_| spec.type_.as_deref() == Some("ExternalName")),
    }
}

fn read_slice(object: &EndpointSlice) -> Option<Slice> {
    let name = object.metadata.labels.as_ref()?.get(SERVICE_LABEL)?.clone();
    let ports = object.ports.iter().flatten().filter_map(|port| {
        Some(Port {
            name: port.name.clone().unwrap_or_default(),
            protocol: Protocol::read(port.protocol.as_deref())?,
            port: u16::try_from(port.port?).ok()?,
        })
    });
    let endpoints = object.endpoints.iter().flat_map(|endpoint| {
        let ready = endpoint.conditions.as_ref().and_then(|c| c.ready).unwrap_or(true);
        let hostname = endpoint.hostname.clone();
        let addresses = endpoint.addresses.iter().filter_map(|address| address.parse().ok());
        addresses.map(move |address| Endpoint { address, ready, hostname: hostname.clone() })
    });
    Some(Slice {
        service: (object.namespace().unwrap_or_default(), name),
        ports: ports.collect(),
        endpoints: endpoints.collect(),
    })
}

/// How far the table has come.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Progress {
    changes: u64,
    /// Of the two watches, how many have listed everything once.
    complete: u8,
}

/// The table, kept current.
#[derive(Clone)]
pub(crate) struct Services {
    table: Arc<RwLock<Table>>,
    changed: watch::Receiver<Progress>,
    _tasks: Arc<[AbortOnDropHandle<()>; 2]>,
}

impl Services {
    /// Starts the watches.
    pub(crate) fn start(client: Client) -> Self {
        let table = Arc::new(RwLock::new(Table::default()));
        let (sender, changed) = watch::channel(Progress::default());
        let services = follow::<ServiceObject, Service>(
            client.clone(),
            table.clone(),
            sender.clone(),
            |table| &mut table.services,
            |object| Some(read_service(object)),
        );
        let slices =
            follow::<EndpointSlice, Slice>(client, table.clone(), sender, |table| &mut table.slices, read_slice);
        let tasks = [tokio::spawn(services), tokio::spawn(slices)].map(AbortOnDropHandle::new);
        Self { table, changed, _tasks: Arc::new(tasks) }
    }

    /// The table as it is now.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of every change from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<Progress> {
        self.changed.clone()
    }

    /// Waits until everything has been listed once.
    pub(crate) async fn complete(&self) {
        let mut changed = self.changed.clone();
        // The senders live in the tasks, which live as long as `self`.
        let _ = changed.wait_for(|progress| progress.complete >= 2).await;
    }
}

async fn follow<K, T>(
    client: Client,
    table: Arc<RwLock<Table>>,
    changed: watch::Sender<Progress>,
    part: fn(&mut Table) -> &mut BTreeMap<Name, T>,
    read: fn(&K) -> Option<T>,
) where
    K: kube::Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug + Send + 'static,
    K::DynamicType: Default,
    T: PartialEq,
{
    let name = |object: &K| (object.namespace().unwrap_or_default(), object.name_any());
    let mut events = watcher(Api::<K>::all(client), watcher::Config::default()).default_backoff().boxed();
    let mut listed = BTreeMap::new();
    let mut complete = false;
    while let Some(event) = events.next().await {
        let mut table = table.write().unwrap_or_else(PoisonError::into_inner);
        let known = part(&mut table);
        let news = match event {
            Ok(Event::Init) => {
                listed.clear();
                false
            }
            Ok(Event::InitApply(object)) => {
                listed.extend(read(&object).map(|item| (name(&object), item)));
                false
            }
            Ok(Event::InitDone) => {
                *known = std::mem::take(&mut listed);
                if !std::mem::replace(&mut complete, true) {
                    changed.send_modify(|progress| progress.complete += 1);
                }
                true
            }
            Ok(Event::Apply(object)) => match read(&object) {
                Some(item) if known.get(&name(&object)) == Some(&item) => false,
                Some(item) => {
                    known.insert(name(&object), item);
                    true
                }
                None => known.remove(&name(&object)).is_some(),
            },
            Ok(Event::Delete(object)) => known.remove(&name(&object)).is_some(),
            Err(error) => {
                tracing::debug!(%error, "cannot watch services");
                false
            }
        };
        drop(table);
        if news {
            changed.send_modify(|progress| progress.changes += 1);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// A table from manifests, for the tests of whoever reads it.
    pub(crate) fn table(services: Vec<Value>, slices: Vec<Value>) -> Table {
        let name = |meta: &kube::api::ObjectMeta| {
            (meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
        };
        let mut table = Table::default();
        for value in services {
            let object: ServiceObject = serde_json::from_value(value).unwrap();
            table.services.insert(name(&object.metadata), read_service(&object));
        }
        for value in slices {
            let object: EndpointSlice = serde_json::from_value(value).unwrap();
            table.slices.insert(name(&object.metadata), read_slice(&object).unwrap());
        }
        table
    }

    #[test]
    fn backends_are_ready_and_match_the_port() {
        let table = table(
            vec![
                json!({"metadata": {"namespace": "n", "name": "web"}, "spec": {"clusterIP": "10.96.0.5", "ports": [{"name": "http", "port": 80}]}}),
            ],
            vec![
                json!({"metadata": {"namespace": "n", "name": "web-1", "labels": {SERVICE_LABEL: "web"}}, "addressType": "IPv4",
                    "ports": [{"name": "http", "port": 8080}],
                    "endpoints": [{"addresses": ["10.244.0.3"]}, {"addresses": ["10.244.0.4"], "conditions": {"ready": false}}]}),
                json!({"metadata": {"namespace": "n", "name": "other", "labels": {SERVICE_LABEL: "other"}}, "addressType": "IPv4",
                    "ports": [{"name": "http", "port": 1}], "endpoints": [{"addresses": ["10.244.0.9"]}]}),
            ],
        );
        let name = ("n".to_owned(), "web".to_owned());
        let port = &table.services[&name].ports[0];
        assert_eq!(table.backends(&name, port), [(Ipv4Addr::new(10, 244, 0, 3), 8080)]);
    }

    #[test]
    fn variables_of_links() {
        let table = table(
            vec![
                json!({"metadata": {"namespace": "default", "name": "kubernetes"}, "spec": {"clusterIP": "10.96.0.1", "ports": [{"name": "https", "port": 443}]}}),
                json!({"metadata": {"namespace": "n", "name": "my-db"}, "spec": {"clusterIP": "10.96.0.7", "ports": [{"port": 5432}]}}),
                json!({"metadata": {"namespace": "n", "name": "headless"}, "spec": {"clusterIP": "None", "ports": [{"port": 1}]}}),
            ],
            vec![],
        );
        let all: BTreeMap<_, _> = table.variables("n", true).into_iter().collect();
        assert_eq!(all["KUBERNETES_SERVICE_HOST"], "10.96.0.1");
        assert_eq!(all["KUBERNETES_SERVICE_PORT_HTTPS"], "443");
        assert_eq!(all["KUBERNETES_PORT"], "tcp://10.96.0.1:443");
        assert_eq!(all["MY_DB_PORT_5432_TCP_ADDR"], "10.96.0.7");
        assert!(!all.keys().any(|name| name.starts_with("HEADLESS")));
        assert!(!table.variables("n", false).iter().any(|(name, _)| name.starts_with("MY_DB")));
    }
}
