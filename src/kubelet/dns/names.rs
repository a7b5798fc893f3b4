//! Which records a name of the cluster has. Pure: a table of services in, records out.
//! Upstream rule: kubernetes/dns `docs/specification.md`.

use std::net::Ipv4Addr;

use crate::container::files::CLUSTER_DOMAIN;
use crate::services::{Endpoint, Name, Port, Service, Table};

/// One record's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Data {
    Address(Ipv4Addr),
    Service { port: u16, target: String },
    Pointer(String),
    Alias(String),
}

/// What is known of a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// All records that the name has, of whatever type.
    Records(Vec<Data>),
    /// It exists, but has none.
    Nothing,
    NoSuchName,
    /// Not a name of this cluster: ask the machine's own servers.
    Elsewhere,
}

/// Looks up a name (in small letters, without the last dot).
pub(super) fn look_up(table: &Table, name: &str) -> Outcome {
    if let Some(reversed) = name.strip_suffix(".in-addr.arpa") {
        return pointer(table, reversed);
    }
    let Some(inside) = name.strip_suffix(CLUSTER_DOMAIN) else {
        return Outcome::Elsewhere;
    };
    let inside = match inside {
        "" => return Outcome::Nothing,
        inside => match inside.strip_suffix('.') {
            Some(inside) => inside,
            None => return Outcome::Elsewhere,
        },
    };
    let labels: Vec<&str> = inside.split('.').rev().collect();
    match labels.as_slice() {
        ["svc" | "pod"] => Outcome::Nothing,
        ["svc" | "pod", namespace] => match table.services.keys().any(|(n, _)| n == namespace) {
            true => Outcome::Nothing,
            false => Outcome::NoSuchName,
        },
        ["pod", _, dashed] => match address_of(dashed) {
            Some(address) => Outcome::Records(vec![Data::Address(address)]),
            None => Outcome::NoSuchName,
        },
        ["svc", namespace, service, rest @ ..] => {
            let name = ((*namespace).to_owned(), (*service).to_owned());
            match table.services.get(&name) {
                Some(service) => of_service(table, &name, service, rest),
                None => Outcome::NoSuchName,
            }
        }
        _ => Outcome::NoSuchName,
    }
}

fn some(records: Vec<Data>) -> Outcome {
    if records.is_empty() { Outcome::NoSuchName } else { Outcome::Records(records) }
}

/// `rest` is what stands before the service's name, from right to left.
fn of_service(table: &Table, name: &Name, service: &Service, rest: &[&str]) -> Outcome {
    if let Some(alias) = &service.external_name {
        return match rest {
            [] => Outcome::Records(vec![Data::Alias(alias.trim_end_matches('.').to_owned())]),
            _ => Outcome::NoSuchName,
        };
    }
    match rest {
        [] => {
            let mut records = match service.address {
                Some(address) => vec![Data::Address(address)],
                None => table.ready(name).iter().map(|e| Data::Address(e.address)).collect(),
            };
            if !records.is_empty() {
                let ports = service.ports.iter();
                records.extend(ports.flat_map(|port| targets(table, name, service, port)));
            }
            some(records)
        }
        [protocol, port] if protocol.starts_with('_') && port.starts_with('_') => {
            let fits = |p: &&Port| p.name == port[1..] && p.protocol.label() == &protocol[1..];
            let ports = service.ports.iter().filter(fits);
            some(ports.flat_map(|port| targets(table, name, service, port)).collect())
        }
        [host] if service.address.is_none() => {
            let ready = table.ready(name);
            let of_host = ready.iter().filter(|endpoint| host_of(endpoint) == *host);
            some(of_host.map(|endpoint| Data::Address(endpoint.address)).collect())
        }
        _ => Outcome::NoSuchName,
    }
}

fn targets(table: &Table, name: &Name, service: &Service, port: &Port) -> Vec<Data> {
    let full = full_name(name);
    if service.address.is_some() {
        return vec![Data::Service { port: port.port, target: full }];
    }
    let mut targets = Vec::new();
    for slice in table.slices(name) {
        let same = |p: &&Port| p.name == port.name && p.protocol == port.protocol;
        let Some(own) = slice.ports.iter().find(same) else {
            continue;
        };
        for endpoint in slice.endpoints.iter().filter(|endpoint| endpoint.ready) {
            targets.push(Data::Service { port: own.port, target: format!("{}.{full}", host_of(endpoint)) });
        }
    }
    targets
}

fn full_name((namespace, name): &Name) -> String {
    format!("{name}.{namespace}.svc.{CLUSTER_DOMAIN}")
}

fn host_of(endpoint: &Endpoint) -> String {
    match &endpoint.hostname {
        Some(hostname) => hostname.clone(),
        None => endpoint.address.to_string().replace('.', "-"),
    }
}

fn address_of(dashed: &str) -> Option<Ipv4Addr> {
    dashed.replace('-', ".").parse().ok()
}

fn pointer(table: &Table, reversed: &str) -> Outcome {
    let octets: Vec<&str> = reversed.split('.').rev().collect();
    let Ok(address) = octets.join(".").parse::<Ipv4Addr>() else {
        return Outcome::Elsewhere;
    };
    let of_cluster = matches!(address.octets(), [10, 96 | 244, ..]);
    if !of_cluster {
        return Outcome::Elsewhere;
    }
    for (name, service) in &table.services {
        if service.address == Some(address) {
            return Outcome::Records(vec![Data::Pointer(full_name(name))]);
        }
    }
    let mut names = Vec::new();
    for (name, service) in &table.services {
        let headless = service.address.is_none() && service.external_name.is_none();
        if headless && let Some(endpoint) = table.ready(name).iter().find(|e| e.address == address) {
            names.push(Data::Pointer(format!("{}.{}", host_of(endpoint), full_name(name))));
        }
    }
    some(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn table() -> Table {
        let slice = |name: &str, endpoints: serde_json::Value| {
            json!({"metadata": {"namespace": "jobs", "name": format!("{name}-x"), "labels": {"kubernetes.io/service-name": name}},
                "addressType": "IPv4", "ports": [{"name": "rpc", "port": 7078}], "endpoints": endpoints})
        };
        crate::services::tests::table(
            vec![
                json!({"metadata": {"namespace": "jobs", "name": "web"}, "spec": {"clusterIP": "10.96.0.7", "ports": [{"name": "http", "port": 80}]}}),
                json!({"metadata": {"namespace": "jobs", "name": "driver-svc"}, "spec": {"clusterIP": "None", "ports": [{"name": "rpc", "port": 7078}]}}),
                json!({"metadata": {"namespace": "jobs", "name": "empty"}, "spec": {"clusterIP": "None"}}),
                json!({"metadata": {"namespace": "jobs", "name": "far"}, "spec": {"type": "ExternalName", "externalName": "example.org"}}),
            ],
            vec![slice(
                "driver-svc",
                json!([
                {"addresses": ["10.244.0.3"], "hostname": "db-0"}, {"addresses": ["10.244.0.4"]},
                {"addresses": ["10.244.0.5"], "conditions": {"ready": false}}]),
            )],
        )
    }

    fn addresses(list: &[[u8; 4]]) -> Vec<Data> {
        list.iter().map(|octets| Data::Address((*octets).into())).collect()
    }

    #[test]
    fn names_of_the_cluster() {
        let table = table();
        let find = |name: &str| look_up(&table, name);
        let a = |name: &str| match find(name) {
            Outcome::Records(records) => {
                records.into_iter().filter(|r| matches!(r, Data::Address(_))).collect::<Vec<_>>()
            }
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(a("web.jobs.svc.cluster.local"), addresses(&[[10, 96, 0, 7]]));
        assert_eq!(a("driver-svc.jobs.svc.cluster.local"), addresses(&[[10, 244, 0, 3], [10, 244, 0, 4]]));
        assert_eq!(a("db-0.driver-svc.jobs.svc.cluster.local"), addresses(&[[10, 244, 0, 3]]));
        assert_eq!(a("10-244-0-4.driver-svc.jobs.svc.cluster.local"), addresses(&[[10, 244, 0, 4]]));
        assert_eq!(a("10-244-0-9.jobs.pod.cluster.local"), addresses(&[[10, 244, 0, 9]]));
        for missing in ["empty.jobs", "none.jobs", "web.other", "x.web.jobs", "a.b.driver-svc.jobs"] {
            assert_eq!(find(&format!("{missing}.svc.cluster.local")), Outcome::NoSuchName, "{missing}");
        }
        assert_eq!(find("jobs.svc.cluster.local"), Outcome::Nothing);
        assert_eq!(find("far.jobs.svc.cluster.local"), Outcome::Records(vec![Data::Alias("example.org".into())]));
        assert_eq!(find("example.org"), Outcome::Elsewhere);
        assert_eq!(find("notcluster.local"), Outcome::Elsewhere);
    }

    #[test]
    fn services_and_pointers() {
        let table = table();
        let port = |port, target: &str| Data::Service { port, target: target.into() };
        assert_eq!(
            look_up(&table, "_http._tcp.web.jobs.svc.cluster.local"),
            Outcome::Records(vec![port(80, "web.jobs.svc.cluster.local")])
        );
        assert_eq!(
            look_up(&table, "_rpc._tcp.driver-svc.jobs.svc.cluster.local"),
            Outcome::Records(vec![
                port(7078, "db-0.driver-svc.jobs.svc.cluster.local"),
                port(7078, "10-244-0-4.driver-svc.jobs.svc.cluster.local"),
            ])
        );
        let name = |name: &str| Outcome::Records(vec![Data::Pointer(name.into())]);
        assert_eq!(look_up(&table, "7.0.96.10.in-addr.arpa"), name("web.jobs.svc.cluster.local"));
        assert_eq!(look_up(&table, "3.0.244.10.in-addr.arpa"), name("db-0.driver-svc.jobs.svc.cluster.local"));
        assert_eq!(look_up(&table, "9.0.244.10.in-addr.arpa"), Outcome::NoSuchName);
        assert_eq!(look_up(&table, "1.1.1.1.in-addr.arpa"), Outcome::Elsewhere);
    }
}
