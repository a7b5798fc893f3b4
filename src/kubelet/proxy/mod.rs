//! The service proxy in user space: a listener in the place for each address and port of a service that has ready endpoints.
//! Without endpoints there is no listener, and the kernel refuses at once, as kube-proxy's rules do.

mod balance;
mod tcp;
mod udp;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

use self::balance::Balance;
use crate::runtime::Runtime;
use crate::sandbox::PlaceError;
use crate::services::{Name, Port, Protocol, Services, Table};

/// Addresses that could not be bound are tried again after this time.
const RETRY: Duration = Duration::from_secs(1);

/// One address that is listened on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Front {
    address: Ipv4Addr,
    port: u16,
    protocol: Protocol,
}

impl Front {
    fn socket(self) -> SocketAddrV4 {
        SocketAddrV4::new(self.address, self.port)
    }
}

/// What should be listened on: the fronts of services with ready endpoints. The API server serves its own.
fn wanted(table: &Table) -> BTreeMap<Front, (Name, Port, Option<Duration>)> {
    let mut fronts = BTreeMap::new();
    for (name, service) in &table.services {
        let own = name.0 == "default" && name.1 == "kubernetes";
        let Some(address) = service.address.filter(|_| !own) else {
            continue;
        };
        for port in &service.ports {
            if table.backends(name, port).is_empty() {
                continue;
            }
            let front = Front { address, port: port.port, protocol: port.protocol };
            fronts.insert(front, (name.clone(), port.clone(), service.affinity));
        }
    }
    fronts
}

/// Keeps listeners in line with the services until it is aborted.
pub(crate) async fn run(place: Arc<dyn Runtime>, services: Services) {
    let mut changes = services.changes();
    let mut open: BTreeMap<Front, (Name, Port, Option<Duration>, AbortOnDropHandle<()>)> = BTreeMap::new();
    loop {
        changes.borrow_and_update();
        let wanted = wanted(&services.read());
        let same = |front: &Front, name: &Name, port: &Port, affinity: &Option<Duration>| {
            wanted.get(front).is_some_and(|w| w.0 == *name && w.1 == *port && w.2 == *affinity)
        };
        open.retain(|front, (name, port, affinity, _)| same(front, name, port, affinity));
        let missing: BTreeSet<Front> = wanted.keys().filter(|front| !open.contains_key(front)).copied().collect();
        let mut failed = false;
        for front in missing {
            let Some((name, port, affinity)) = wanted.get(&front).cloned() else {
                continue;
            };
            let balance = Balance::new(services.clone(), name.clone(), port.clone(), affinity);
            match listen(&place, front, balance).await {
                Ok(task) => {
                    open.insert(front, (name, port, affinity, task));
                }
                Err(error) => {
                    failed = true;
                    tracing::warn!(%error, service = ?name, "cannot listen for a service");
                }
            }
        }
        let retry = tokio::time::sleep(if failed { RETRY } else { Duration::from_secs(3600) });
        tokio::select! {
            changed = changes.changed() => if changed.is_err() {
                return;
            },
            () = retry => {}
        }
    }
}

async fn listen(place: &Arc<dyn Runtime>, front: Front, balance: Balance) -> Result<AbortOnDropHandle<()>, PlaceError> {
    let failed = |source| PlaceError::Failed { attempted: format!("listen on {}", front.socket()), source };
    let task = match front.protocol {
        Protocol::Tcp => {
            let listener = place.listen_tcp(front.socket()).await?;
            let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
            tokio::spawn(tcp::serve(place.clone(), listener, balance))
        }
        Protocol::Udp => {
            let socket = place.bind_udp(front.socket()).await?;
            let socket = tokio::net::UdpSocket::from_std(socket).map_err(failed)?;
            tokio::spawn(udp::serve(place.clone(), socket, balance))
        }
    };
    Ok(AbortOnDropHandle::new(task))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_services_with_ready_endpoints_are_listened_for() {
        let service = |namespace: &str, name: &str, ip: &str| json!({"metadata": {"namespace": namespace, "name": name}, "spec": {"clusterIP": ip, "ports": [{"port": 80}]}});
        let slice = |namespace: &str, name: &str, ready: bool| {
            json!({"metadata": {"namespace": namespace, "name": name, "labels": {"kubernetes.io/service-name": name}},
                "addressType": "IPv4", "ports": [{"port": 8080}],
                "endpoints": [{"addresses": ["10.244.0.3"], "conditions": {"ready": ready}}]})
        };
        let table = crate::services::tests::table(
            vec![
                service("default", "kubernetes", "10.96.0.1"),
                service("n", "up", "10.96.0.2"),
                service("n", "down", "10.96.0.3"),
                service("n", "headless", "None"),
            ],
            vec![
                slice("default", "kubernetes", true),
                slice("n", "up", true),
                slice("n", "down", false),
                slice("n", "headless", true),
            ],
        );
        let fronts: Vec<_> = wanted(&table).into_keys().map(Front::socket).collect();
        assert_eq!(fronts, ["10.96.0.2:80".parse().unwrap()]);
    }
}
