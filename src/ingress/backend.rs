//! From a backend of a rule to addresses of pods, or what is missing. Reads caches.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::ResourceExt;
use tinderbox_client::ObjectKey;

use crate::World;
use crate::routes::{Backend, Port};

/// The label that says whose endpoints a slice has.
const SERVICE: &str = "kubernetes.io/service-name";

/// Where to connect.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Addresses {
    /// To be tried in this order.
    pub(crate) addresses: Vec<SocketAddrV4>,
    /// They speak HTTP/2 without TLS, and nothing else.
    pub(crate) h2c: bool,
}

/// The addresses of a backend, another one first each time.
///
/// # Errors
/// With what is missing, in words.
pub(crate) fn addresses(world: &World, backend: &Backend) -> Result<Addresses, String> {
    let Some((name, port)) = &backend.service else {
        return Err("its backend is no Service, and nothing else is known here".to_owned());
    };
    let service = world.services.get(&ObjectKey::new(&*backend.namespace, &**name));
    let slices = world.slices.in_namespace(&backend.namespace);
    let mut found = resolve(service.as_deref(), &slices, &backend.namespace, name, port)?;
    let turn = world.turn.fetch_add(1, Ordering::Relaxed) % found.addresses.len();
    found.addresses.rotate_left(turn);
    Ok(found)
}

fn resolve(
    service: Option<&Service>,
    slices: &[Arc<EndpointSlice>],
    namespace: &str,
    name: &str,
    port: &Port,
) -> Result<Addresses, String> {
    let service = service.ok_or_else(|| format!("there is no Service {namespace}/{name}"))?;
    let spec = service.spec.as_ref();
    if spec.and_then(|spec| spec.type_.as_deref()) == Some("ExternalName") {
        return Err(format!(
            "the Service {namespace}/{name} is a name outside the cluster, which is not reached from here"
        ));
    }
    let is_meant = |known: &&ServicePort| match port {
        Port::Number(number) => known.port == *number,
        Port::Name(wanted) => known.name.as_ref() == Some(wanted),
    };
    let ports = || spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    let Some(meant) = ports().find(is_meant) else {
        let all: Vec<_> = ports()
            .map(|port| match &port.name {
                Some(name) => format!("{name} ({})", port.port),
                None => port.port.to_string(),
            })
            .collect();
        return Err(format!("the Service {namespace}/{name} has no port {port}, but {}", all.join(", ")));
    };
    let own = slices.iter().filter(|slice| slice.labels().get(SERVICE).is_some_and(|owner| owner == name));
    let mut addresses: Vec<SocketAddrV4> = own.flat_map(|slice| ready(slice, meant)).collect();
    addresses.sort_unstable();
    addresses.dedup();
    if addresses.is_empty() {
        return Err(format!("the Service {namespace}/{name} has no pod that is ready"));
    }
    let h2c = matches!(meant.app_protocol.as_deref(), Some("kubernetes.io/h2c" | "grpc"));
    Ok(Addresses { addresses, h2c })
}

fn ready(slice: &EndpointSlice, port: &ServicePort) -> Vec<SocketAddrV4> {
    let same = |name: &Option<String>| name.as_deref().unwrap_or("") == port.name.as_deref().unwrap_or("");
    let number = slice.ports.iter().flatten().find(|known| same(&known.name)).and_then(|known| known.port);
    let Some(number) = number.and_then(|number| u16::try_from(number).ok()) else { return Vec::new() };
    let is_ready = |conditions: Option<bool>| conditions.unwrap_or(true);
    let endpoints = slice
        .endpoints
        .iter()
        .filter(|endpoint| is_ready(endpoint.conditions.as_ref().and_then(|conditions| conditions.ready)));
    let all = endpoints.flat_map(|endpoint| &endpoint.addresses).filter_map(|text| text.parse::<Ipv4Addr>().ok());
    all.map(|address| SocketAddrV4::new(address, number)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn what_is_missing_is_said() {
        let service: Service = serde_json::from_value(json!({"metadata": {"name": "web", "namespace": "n"},
            "spec": {"ports": [{"name": "http", "port": 80, "appProtocol": "kubernetes.io/h2c"}, {"name": "admin", "port": 81}]}}))
        .expect("a Service");
        let slice = |ready: bool| -> Vec<Arc<EndpointSlice>> {
            let object: Value = json!({"metadata": {"name": "web-1", "namespace": "n", "labels": {SERVICE: "web"}},
                "addressType": "IPv4", "ports": [{"name": "http", "port": 8080}],
                "endpoints": [{"addresses": ["10.244.0.3"], "conditions": {"ready": ready}}]});
            vec![Arc::new(serde_json::from_value(object).expect("a slice"))]
        };
        let (none, number) = (Vec::new(), |number| Port::Number(number));
        let ask = |service: Option<&Service>, slices: &[Arc<EndpointSlice>], port: &Port| {
            resolve(service, slices, "n", "web", port)
        };
        let wanted = Addresses { addresses: vec!["10.244.0.3:8080".parse().expect("an address")], h2c: true };
        assert_eq!(ask(Some(&service), &slice(true), &number(80)).as_ref(), Ok(&wanted));
        assert_eq!(ask(Some(&service), &slice(true), &Port::Name("http".to_owned())), Ok(wanted));
        for (answer, text) in [
            (ask(None, &none, &number(80)), "there is no Service n/web"),
            (ask(Some(&service), &none, &number(82)), "the Service n/web has no port 82, but http (80), admin (81)"),
            (ask(Some(&service), &slice(false), &number(80)), "the Service n/web has no pod that is ready"),
            (ask(Some(&service), &slice(true), &number(81)), "the Service n/web has no pod that is ready"),
        ] {
            assert_eq!(answer, Err(text.to_owned()));
        }
    }
}
