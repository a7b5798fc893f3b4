//! How services, endpoints and their like are printed.

use serde_json::Value;

use super::{Columns, Printer, age, items, join, or_none, selector, text, wide};
use crate::object::{meta, text as text_at};

pub(crate) const SERVICES: Columns = Columns::Builtin(&Printer {
    columns: &[
        text("Name"),
        text("Type"),
        text("Cluster-IP"),
        text("External-IP"),
        text("Port(s)"),
        text("Age"),
        wide("Selector"),
    ],
    cells: |object, now| {
        let spec = &object["spec"];
        let address = text_at(spec, &["clusterIP"]);
        vec![
            meta(object, "name").into(),
            text_at(spec, &["type"]).into(),
            or_none(address),
            external(object).into(),
            or_none(&service_ports(spec)),
            age::of(object, now),
            selector(&spec["selector"]),
        ]
    },
});

fn external(service: &Value) -> String {
    let spec = &service["spec"];
    let listed = join(items(&spec["externalIPs"]), ",");
    match text_at(spec, &["type"]) {
        "ExternalName" => text_at(spec, &["externalName"]).to_owned(),
        "LoadBalancer" => {
            let ingress = items(&service["status"]["loadBalancer"]["ingress"])
                .filter_map(|one| one["ip"].as_str().or_else(|| one["hostname"].as_str()));
            let all: Vec<&str> = ingress.chain(listed.split(',').filter(|one| !one.is_empty())).collect();
            if all.is_empty() { "<pending>".to_owned() } else { all.join(",") }
        }
        _ if listed.is_empty() => "<none>".to_owned(),
        _ => listed,
    }
}

fn service_ports(spec: &Value) -> String {
    let texts: Vec<String> = items(&spec["ports"])
        .map(|port| {
            let (number, protocol) = (&port["port"], port["protocol"].as_str().unwrap_or("TCP"));
            match port["nodePort"].as_i64() {
                Some(node) if node > 0 => format!("{number}:{node}/{protocol}"),
                _ => format!("{number}/{protocol}"),
            }
        })
        .collect();
    texts.join(",")
}

/// The first few of a list, and how many there are more.
fn few(all: &[String]) -> Value {
    const SHOWN: usize = 3;
    match all {
        [] => "<none>".into(),
        all if all.len() > SHOWN => format!("{} + {} more...", all[..SHOWN].join(","), all.len() - SHOWN).into(),
        all => all.join(",").into(),
    }
}

pub(crate) const ENDPOINTS: Columns = Columns::Builtin(&Printer {
    columns: &[text("Name"), text("Endpoints"), text("Age")],
    cells: |object, now| {
        let mut all = Vec::new();
        for subset in items(&object["subsets"]) {
            let addresses: Vec<&str> = items(&subset["addresses"]).filter_map(|one| one["ip"].as_str()).collect();
            let ports: Vec<&Value> = items(&subset["ports"]).collect();
            if ports.is_empty() {
                all.extend(addresses.iter().map(|address| (*address).to_owned()));
            }
            for port in ports {
                all.extend(addresses.iter().map(|address| format!("{address}:{}", port["port"])));
            }
        }
        vec![meta(object, "name").into(), few(&all), age::of(object, now)]
    },
});

pub(crate) const ENDPOINT_SLICES: Columns = Columns::Builtin(&Printer {
    columns: &[text("Name"), text("AddressType"), text("Ports"), text("Endpoints"), text("Age")],
    cells: |object, now| {
        let number = |port: &Value| port["port"].as_i64().map_or_else(|| "*".to_owned(), |port| port.to_string());
        let ports: Vec<String> = items(&object["ports"]).map(number).collect();
        let addresses: Vec<String> = items(&object["endpoints"])
            .flat_map(|one| items(&one["addresses"]))
            .filter_map(|one| one.as_str().map(str::to_owned))
            .collect();
        let unset = |list: &[String]| if list.is_empty() { "<unset>".into() } else { few(list) };
        vec![
            meta(object, "name").into(),
            text_at(object, &["addressType"]).into(),
            unset(&ports),
            unset(&addresses),
            age::of(object, now),
        ]
    },
});

pub(crate) const INGRESSES: Columns = Columns::Builtin(&Printer {
    columns: &[text("Name"), text("Class"), text("Hosts"), text("Address"), text("Ports"), text("Age")],
    cells: |object, now| {
        let spec = &object["spec"];
        let hosts: Vec<String> = items(&spec["rules"])
            .filter_map(|rule| rule["host"].as_str().filter(|host| !host.is_empty()).map(str::to_owned))
            .collect();
        let hosts = if hosts.is_empty() { "*".into() } else { few(&hosts) };
        let addresses: Vec<&str> = items(&object["status"]["loadBalancer"]["ingress"])
            .filter_map(|one| one["ip"].as_str().or_else(|| one["hostname"].as_str()))
            .collect();
        let secure = items(&spec["tls"]).next().is_some();
        vec![
            meta(object, "name").into(),
            or_none(text_at(spec, &["ingressClassName"])),
            hosts,
            addresses.join(",").into(),
            if secure { "80, 443" } else { "80" }.into(),
            age::of(object, now),
        ]
    },
});

pub(crate) const INGRESS_CLASSES: Columns = Columns::Builtin(&Printer {
    columns: &[text("Name"), text("Controller"), text("Parameters"), text("Age")],
    cells: |object, now| {
        let parameters = &object["spec"]["parameters"];
        let mut kind = text_at(parameters, &["kind"]).to_owned();
        if let Some(group) = parameters["apiGroup"].as_str() {
            kind = format!("{kind}.{group}");
        }
        let named = parameters.is_object().then(|| format!("{kind}/{}", text_at(parameters, &["name"])));
        vec![
            meta(object, "name").into(),
            text_at(object, &["spec", "controller"]).into(),
            or_none(&named.unwrap_or_default()),
            age::of(object, now),
        ]
    },
});

pub(crate) const NETWORK_POLICIES: Columns = Columns::Builtin(&Printer {
    columns: &[text("Name"), text("Pod-Selector"), text("Age")],
    cells: |object, now| {
        vec![meta(object, "name").into(), selector(&object["spec"]["podSelector"]), age::of(object, now)]
    },
});

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ports_and_addresses_are_short() {
        let spec =
            json!({"ports": [{"port": 80, "protocol": "TCP"}, {"port": 53, "protocol": "UDP", "nodePort": 30053}]});
        assert_eq!(service_ports(&spec), "80/TCP,53:30053/UDP");
        assert_eq!(external(&json!({"spec": {"type": "LoadBalancer"}})), "<pending>");
        assert_eq!(external(&json!({"spec": {"type": "ClusterIP"}})), "<none>");
        let all: Vec<String> = (0..5).map(|number| number.to_string()).collect();
        assert_eq!(few(&all), "0,1,2 + 2 more...");
    }
}
