//! Services and what belongs to them: Endpoints, EndpointSlice, Ingress, NetworkPolicy.
//! Upstream rules: k8s.io/kubernetes `pkg/apis/{core,discovery,networking}/validation/validation.go`.

use std::collections::HashSet;
use std::net::IpAddr;

use serde_json::{Value, json};
use tinderbox_api::names;

use super::common::{Errors, PROTOCOLS, has, list, text};
use crate::error::FieldError;
use crate::schema::Path;

const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
/// A day: longer than this a client need not stay with its pod.
const AFFINITY_MAX: i64 = 86_400;

pub(super) fn service(service: &Value, errors: &mut Errors) {
    let (spec, path) = (&service["spec"], Path::new("spec"));
    let kind = text(spec, "type");
    let headless = text(spec, "clusterIP") == "None";
    if list(&spec["ports"]).next().is_none() && !headless && kind != "ExternalName" {
        errors.required(path.field("ports"), "");
    }
    if kind == "ExternalName" {
        match text(spec, "externalName") {
            "" => errors.required(path.field("externalName"), ""),
            name => {
                let name = name.strip_suffix('.').unwrap_or(name);
                errors.each(&path.field("externalName"), name, names::dns_subdomain(name));
            }
        }
    } else {
        addresses(spec, &path, errors);
    }
    service_ports(spec, &path.field("ports"), errors);
    errors.labels(&spec["selector"], &path.field("selector"));
    match text(spec, "sessionAffinity") {
        "" => errors.required(path.field("sessionAffinity"), ""),
        _ => errors.choice(path.field("sessionAffinity"), &spec["sessionAffinity"], &["ClientIP", "None"]),
    }
    if let Some(seconds) = spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"].as_i64()
        && !(1..=AFFINITY_MAX).contains(&seconds)
    {
        let at = path.field("sessionAffinityConfig").field("clientIP").field("timeoutSeconds");
        errors.invalid(at, &json!(seconds), "must be greater than 0 and less than 86400");
    }
    for (index, address) in list(&spec["externalIPs"]).enumerate() {
        let at = path.field("externalIPs").index(index);
        errors.ip(&at, address);
        if let Ok(parsed) = address.as_str().unwrap_or_default().parse() {
            not_special(&at, address, parsed, errors);
        }
    }
    match kind {
        "" => errors.required(path.field("type"), ""),
        _ => errors.choice(path.field("type"), &spec["type"], &TYPES),
    }
    let outside = matches!(kind, "NodePort" | "LoadBalancer")
        || (kind == "ClusterIP" && list(&spec["externalIPs"]).next().is_some());
    let policy = path.field("externalTrafficPolicy");
    if outside {
        errors.choice(policy, &spec["externalTrafficPolicy"], &["Cluster", "Local"]);
    } else if !text(spec, "externalTrafficPolicy").is_empty() {
        let detail = "may only be set for externally-accessible services";
        errors.invalid(policy, &spec["externalTrafficPolicy"], detail);
    }
    if kind == "ClusterIP" {
        for (index, port) in list(&spec["ports"]).enumerate() {
            if port["nodePort"].as_i64().is_some_and(|number| number != 0) {
                let at = path.field("ports").index(index).field("nodePort");
                errors.forbidden(at, "may not be used when `type` is 'ClusterIP'");
            }
        }
    }
    errors.choice(path.field("internalTrafficPolicy"), &spec["internalTrafficPolicy"], &["Cluster", "Local"]);
}

fn addresses(spec: &Value, path: &Path, errors: &mut Errors) {
    let at = path.field("clusterIPs");
    let (single, all) = (text(spec, "clusterIP"), &spec["clusterIPs"]);
    match list(all).next().and_then(Value::as_str) {
        Some(first) if first != single && !single.is_empty() => {
            errors.invalid(&at, all, "first value must match `clusterIP`");
        }
        _ => {}
    }
    for (index, address) in list(all).enumerate().filter(|(_, address)| **address != "None") {
        errors.ip(&at.index(index), address);
    }
}

fn not_special(path: &Path, value: &Value, address: IpAddr, errors: &mut Errors) {
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.segments()[0] & 0xffc0 == 0xfe80,
    };
    for (wrong, detail) in [
        (address.is_unspecified(), "may not be unspecified (0.0.0.0 or ::)"),
        (address.is_loopback(), "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        (link_local, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
        (
            address.is_multicast() && !link_local,
            "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)",
        ),
    ] {
        if wrong {
            errors.invalid(path, value, detail);
        }
    }
}

fn service_ports(spec: &Value, path: &Path, errors: &mut Errors) {
    let many = list(&spec["ports"]).nth(1).is_some();
    let (mut names_seen, mut seen) = (HashSet::new(), HashSet::new());
    for (index, port) in list(&spec["ports"]).enumerate() {
        let at = path.index(index);
        let name = text(port, "name");
        if name.is_empty() {
            if many {
                errors.required(at.field("name"), "");
            }
        } else {
            errors.each(&at.field("name"), name, names::dns_label(name));
            if !names_seen.insert(name) {
                errors.duplicate(at.field("name"), &json!(name));
            }
        }
        errors.port(&at.field("port"), &json!(port["port"].as_i64().unwrap_or(0)));
        match text(port, "protocol") {
            "" => errors.required(at.field("protocol"), ""),
            _ => errors.choice(at.field("protocol"), &port["protocol"], &PROTOCOLS),
        }
        errors.port(&at.field("targetPort"), &port["targetPort"]);
        if !seen.insert((port["port"].as_i64(), text(port, "protocol"))) {
            // Shown without what does not make it a duplicate.
            let shown = json!({"port": port["port"], "protocol": port["protocol"]});
            errors.duplicate(&at, &shown);
        }
    }
}

pub(super) fn endpoints(endpoints: &Value, errors: &mut Errors) {
    for (index, subset) in list(&endpoints["subsets"]).enumerate() {
        let at = Path::new("subsets").index(index);
        let both = ["addresses", "notReadyAddresses"];
        if both.iter().all(|field| list(&subset[*field]).next().is_none()) {
            errors.required(&at, "must specify `addresses` or `notReadyAddresses`");
        }
        for field in both {
            for (index, address) in list(&subset[field]).enumerate() {
                let at = at.field(field).index(index).field("ip");
                errors.ip(&at, &address["ip"]);
                match text(address, "ip").parse() {
                    Ok(parsed) => not_special(&at, &address["ip"], parsed, errors),
                    Err(_) => errors.invalid(&at, &address["ip"], "must be a valid IP address"),
                }
            }
        }
        let many = list(&subset["ports"]).nth(1).is_some();
        for (index, port) in list(&subset["ports"]).enumerate() {
            let at = at.field("ports").index(index);
            let name = text(port, "name");
            match name {
                "" if many => errors.required(at.field("name"), ""),
                "" => {}
                _ => errors.each(&at.field("name"), name, names::dns_label(name)),
            }
            errors.port(&at.field("port"), &json!(port["port"].as_i64().unwrap_or(0)));
            match text(port, "protocol") {
                "" => errors.required(at.field("protocol"), ""),
                _ => errors.choice(at.field("protocol"), &port["protocol"], &PROTOCOLS),
            }
        }
    }
}

pub(super) fn endpoint_slice(slice: &Value, errors: &mut Errors) {
    let kind = text(slice, "addressType");
    if kind.is_empty() {
        errors.required("addressType", "");
    } else {
        errors.choice("addressType", &slice["addressType"], &["FQDN", "IPv4", "IPv6"]);
    }
    for (index, endpoint) in list(&slice["endpoints"]).enumerate() {
        let at = Path::new("endpoints").index(index).field("addresses");
        if list(&endpoint["addresses"]).next().is_none() {
            errors.required(&at, "must contain at least 1 address");
        }
        for (index, address) in list(&endpoint["addresses"]).enumerate().filter(|_| kind != "FQDN") {
            errors.ip(&at.index(index), address);
        }
    }
    let mut seen = HashSet::new();
    for (index, port) in list(&slice["ports"]).enumerate() {
        let at = Path::new("ports").index(index);
        let name = text(port, "name");
        if !name.is_empty() {
            errors.each(&at.field("name"), name, names::dns_label(name));
        }
        if !seen.insert(name) {
            errors.duplicate(at.field("name"), &json!(name));
        }
        match text(port, "protocol") {
            "" => errors.required(at.field("protocol"), ""),
            _ => errors.choice(at.field("protocol"), &port["protocol"], &PROTOCOLS),
        }
    }
}

pub(super) fn ingress(ingress: &Value, errors: &mut Errors) {
    let (spec, path) = (&ingress["spec"], Path::new("spec"));
    if list(&spec["rules"]).next().is_none() && !has(spec, "defaultBackend") {
        errors.invalid(&path, &Value::Null, "either `defaultBackend` or `rules` must be specified");
    }
    if has(spec, "defaultBackend") {
        backend(&spec["defaultBackend"], &path.field("defaultBackend"), errors);
    }
    for (index, rule) in list(&spec["rules"]).enumerate() {
        let at = path.field("rules").index(index);
        let host = text(rule, "host");
        if host.parse::<IpAddr>().is_ok() {
            errors.invalid(at.field("host"), &json!(host), "must be a DNS name, not an IP address");
        } else if !host.is_empty() {
            let plain = host.strip_prefix("*.").unwrap_or(host);
            errors.each(&at.field("host"), host, names::dns_subdomain(plain));
        }
        if has(rule, "http") {
            let at = at.field("http").field("paths");
            if list(&rule["http"]["paths"]).next().is_none() {
                errors.required(&at, "");
            }
            for (index, one) in list(&rule["http"]["paths"]).enumerate() {
                http_path(one, &at.index(index), errors);
            }
        }
    }
}

fn http_path(one: &Value, path: &Path, errors: &mut Errors) {
    let found = text(one, "path");
    match text(one, "pathType") {
        "" => errors.required(path.field("pathType"), "pathType must be specified"),
        "Exact" | "Prefix" => {
            if !found.starts_with('/') {
                errors.invalid(path.field("path"), &json!(found), "must be an absolute path");
            }
            for (wrong, detail) in [
                ("//", "must not contain '//'"),
                ("/./", "must not contain '/./'"),
                ("/../", "must not contain '/../'"),
                ("%2f", "must not contain '%2f'"),
                ("%2F", "must not contain '%2F'"),
            ] {
                if found.contains(wrong) {
                    errors.invalid(path.field("path"), &json!(found), detail);
                }
            }
        }
        "ImplementationSpecific" => {
            if !found.is_empty() && !found.starts_with('/') {
                errors.invalid(path.field("path"), &json!(found), "must be an absolute path");
            }
        }
        _ => {
            let kinds = ["Exact", "ImplementationSpecific", "Prefix"];
            errors.choice(path.field("pathType"), &one["pathType"], &kinds);
        }
    }
    backend(&one["backend"], &path.field("backend"), errors);
}

fn backend(backend: &Value, path: &Path, errors: &mut Errors) {
    match (has(backend, "service"), has(backend, "resource")) {
        (true, true) => errors.invalid(path, &json!(""), "cannot set both resource and service backends"),
        (true, false) => {
            let (service, at) = (&backend["service"], path.field("service"));
            match text(service, "name") {
                "" => errors.required(at.field("name"), ""),
                name => errors.each(&at.field("name"), name, names::dns_1035_label(name)),
            }
            let port = &service["port"];
            let (name, number) = (text(port, "name"), port["number"].as_i64().unwrap_or(0));
            match (name.is_empty(), number == 0) {
                (true, true) => errors.required(path, "port name or number is required"),
                (false, false) => errors.invalid(path, &json!(""), "cannot set both port name & port number"),
                (false, true) => errors.port(&at.field("port").field("name"), &port["name"]),
                (true, false) => errors.port(&at.field("port").field("number"), &port["number"]),
            }
        }
        _ => {}
    }
}

pub(super) fn network_policy(policy: &Value, errors: &mut Errors) {
    let (spec, path) = (&policy["spec"], Path::new("spec"));
    errors.selector(&spec["podSelector"], &path.field("podSelector"));
    for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
        for (index, rule) in list(&spec[direction]).enumerate() {
            let at = path.field(direction).index(index);
            for (index, port) in list(&rule["ports"]).enumerate() {
                let at = at.field("ports").index(index);
                errors.choice(at.field("protocol"), &port["protocol"], &["TCP", "UDP", "SCTP"]);
                if has(port, "port") {
                    errors.port(&at.field("port"), &port["port"]);
                }
            }
            for (index, peer) in list(&rule[peers]).enumerate() {
                self::peer(peer, &at.field(peers).index(index), errors);
            }
        }
    }
    let kinds = ["Ingress", "Egress"];
    for (index, kind) in list(&spec["policyTypes"]).enumerate() {
        if !kind.as_str().is_some_and(|kind| kinds.contains(&kind)) {
            errors.0.push(FieldError::not_supported(path.field("policyTypes").index(index), kind, &kinds));
        }
    }
}

fn peer(peer: &Value, path: &Path, errors: &mut Errors) {
    let selectors = ["podSelector", "namespaceSelector"];
    let found = selectors.iter().filter(|field| has(peer, field)).count();
    for field in selectors {
        if has(peer, field) {
            errors.selector(&peer[field], &path.field(field));
        }
    }
    if has(peer, "ipBlock") {
        let at = path.field("ipBlock");
        match text(&peer["ipBlock"], "cidr") {
            "" => errors.required(at.field("cidr"), ""),
            _ => errors.cidr(&at.field("cidr"), &peer["ipBlock"]["cidr"]),
        }
        for (index, except) in list(&peer["ipBlock"]["except"]).enumerate() {
            errors.cidr(&at.field("except").index(index), except);
        }
        if found > 0 {
            errors.forbidden(path, "may not specify both ipBlock and another peer");
        }
    } else if found == 0 {
        errors.required(path, "must specify a peer");
    }
}
