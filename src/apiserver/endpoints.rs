//! Who is behind a port of a service: the addresses of its ready endpoints. The way there is not its business.
//! Upstream rule: `ResourceLocation` of k8s.io/kubernetes `pkg/registry/core/service/storage`.

use std::net::{Ipv4Addr, SocketAddrV4};

use serde_json::Value;
use tinderbox_store::{Collection, Key};

use crate::error::ApiError;
use crate::{ApiServer, codec};

/// The addresses behind a port of a service, which is given by number, by name, or, where there is one alone, not at all.
/// There is at least one.
pub(crate) fn of_service(
    api: &ApiServer,
    namespace: &str,
    name: &str,
    port: &str,
) -> Result<Vec<SocketAddrV4>, ApiError> {
    let service = object(api, "services", namespace, name)?;
    let ports = service["spec"]["ports"].as_array().map(Vec::as_slice).unwrap_or_default();
    let named = |port: &Value| port["name"].as_str().unwrap_or_default().to_owned();
    let port = match (port.parse::<u16>(), ports) {
        (Ok(number), _) => {
            let found = ports.iter().find(|one| one["port"] == number).map(named);
            found.ok_or_else(|| {
                ApiError::unavailable(format!("no service port {number} found for service \"{name}\""))
            })?
        }
        (Err(_), [only]) if port.is_empty() => named(only),
        (Err(_), _) => port.to_owned(),
    };
    let none = || ApiError::unavailable(format!("no endpoints available for service \"{name}\""));
    let endpoints = object(api, "endpoints", namespace, name).map_err(|_| none())?;
    let mut found = Vec::new();
    for subset in endpoints["subsets"].as_array().into_iter().flatten() {
        let ports = subset["ports"].as_array().into_iter().flatten();
        let number = ports.filter(|one| named(one) == port).find_map(|one| one["port"].as_u64());
        let Some(number) = number.and_then(|number| u16::try_from(number).ok()) else {
            continue;
        };
        for address in subset["addresses"].as_array().into_iter().flatten() {
            found.push(allowed(address["ip"].as_str().unwrap_or_default(), number)?);
        }
    }
    if found.is_empty() { Err(none()) } else { Ok(found) }
}

/// An address that may be connected to: none of the machine's own.
pub(crate) fn allowed(ip: &str, port: u16) -> Result<SocketAddrV4, ApiError> {
    let ip: Option<Ipv4Addr> = ip.parse().ok();
    let global = |ip: &Ipv4Addr| {
        !(ip.is_loopback() || ip.is_link_local() || ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast())
    };
    let ip = ip.filter(global).ok_or_else(|| ApiError::bad_request("address not allowed"))?;
    Ok(SocketAddrV4::new(ip, port))
}

/// An object of the core group.
pub(crate) fn object(api: &ApiServer, resource: &str, namespace: &str, name: &str) -> Result<Value, ApiError> {
    let key = Key {
        collection: Collection { group: "".into(), resource: resource.into() },
        namespace: namespace.into(),
        name: name.into(),
    };
    let stored = api.store().get(&key).ok_or_else(|| ApiError::not_found("", resource, name))?;
    Ok(codec::decode(&stored))
}
