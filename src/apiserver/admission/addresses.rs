//! Addresses and node ports of services. Nothing is kept: what is taken is what the services in the store say, and what
//! is given follows from a service's name, so that the same service gets the same address again where it is free.

use std::collections::HashSet;
use std::hash::Hasher;
use std::net::Ipv4Addr;

use serde_json::{Value, json};

use crate::call::Call;
use crate::codec;
use crate::error::{ApiError, FieldError};
use crate::object::{self, meta, text};

/// Node ports.
const PORTS: std::ops::RangeInclusive<u16> = 30000..=32767;
/// Addresses below this are given only to who asks for them.
const RESERVED: u16 = 256;

/// What other services have.
#[derive(Default)]
struct Taken {
    addresses: HashSet<Ipv4Addr>,
    ports: HashSet<(u16, String)>,
}

pub(super) fn admit(call: &Call, old: Option<&Value>, service: &mut Value) -> Result<(), ApiError> {
    let mut taken = Taken::default();
    let own = call.key_of(meta(service, "name"));
    for stored in call.api.store().list(&call.resource.collection, None, None, 0).items {
        if stored.key != own {
            taken.add(&codec::decode(&stored));
        }
    }
    let range = call.api.config().service_range;
    let refuse = |error| ApiError::invalid("", "Service", meta(service, "name"), &[error]);
    let mut new = service.clone();
    address(range, &taken, old, &mut new).map_err(refuse)?;
    node_ports(&mut taken, old, &mut new).map_err(refuse)?;
    *service = new;
    Ok(())
}

impl Taken {
    fn add(&mut self, service: &Value) {
        let spec = &service["spec"];
        if let Ok(address) = text(spec, &["clusterIP"]).parse() {
            self.addresses.insert(address);
        }
        for port in spec["ports"].as_array().into_iter().flatten() {
            if let Some(number) = port["nodePort"].as_u64().and_then(|port| u16::try_from(port).ok()) {
                self.ports.insert((number, protocol(port)));
            }
        }
    }
}

fn protocol(port: &Value) -> String {
    port["protocol"].as_str().unwrap_or("TCP").to_owned()
}

fn address([a, b]: [u8; 2], taken: &Taken, old: Option<&Value>, service: &mut Value) -> Result<(), FieldError> {
    let name = format!("{}/{}", meta(service, "namespace"), meta(service, "name"));
    let spec = &mut service["spec"];
    if text(spec, &["type"]) == "ExternalName" {
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            object::remove(spec, field);
        }
        return Ok(());
    }
    let had = old.map_or("", |old| text(old, &["spec", "clusterIP"])).to_owned();
    let listed = text(&spec["clusterIPs"], &[]).to_owned();
    let first = spec["clusterIPs"][0].as_str().map_or(listed, str::to_owned);
    let mut wanted = text(spec, &["clusterIP"]).to_owned();
    if wanted.is_empty() {
        wanted = first;
    }
    if wanted.is_empty() {
        wanted = had.clone();
    }
    if !had.is_empty() && wanted != had {
        let value = json!([wanted]);
        return Err(FieldError::invalid("spec.clusterIPs[0]", &value, "may not change once set"));
    }
    if wanted.is_empty() {
        let size = u16::MAX - RESERVED;
        let start = hash(&name) % u64::from(size);
        let free = (0..size)
            .map(|step| RESERVED + u16::try_from((start + u64::from(step)) % u64::from(size)).unwrap_or(0))
            .map(|host| {
                let [c, d] = host.to_be_bytes();
                Ipv4Addr::new(a, b, c, d)
            })
            .find(|address| !taken.addresses.contains(address));
        wanted = free
            .ok_or_else(|| {
                FieldError::invalid("spec.clusterIPs", &Value::Null, "failed to allocate IP: range is full")
            })?
            .to_string();
    } else if wanted != "None" {
        let value = json!([wanted]);
        let invalid = |text: &str| FieldError::invalid("spec.clusterIPs", &value, text);
        let address: Ipv4Addr = wanted.parse().map_err(|_| invalid("must be empty, 'None', or a valid IP address"))?;
        if address.octets()[..2] != [a, b] {
            let text = format!(
                "failed to allocate IP {address}: the provided IP is not in the valid range. The range of valid IPs is {a}.{b}.0.0/16"
            );
            return Err(invalid(&text));
        }
        if taken.addresses.contains(&address) {
            return Err(invalid(&format!("failed to allocate IP {address}: provided IP is already allocated")));
        }
    }
    spec["clusterIPs"] = json!([wanted]);
    spec["clusterIP"] = wanted.into();
    spec["ipFamilies"] = json!(["IPv4"]);
    spec["ipFamilyPolicy"] = "SingleStack".into();
    Ok(())
}

fn node_ports(taken: &mut Taken, old: Option<&Value>, service: &mut Value) -> Result<(), FieldError> {
    let name = format!("{}/{}", meta(service, "namespace"), meta(service, "name"));
    let spec = &mut service["spec"];
    let exposed =
        matches!(text(spec, &["type"]), "NodePort" | "LoadBalancer") && spec["allocateLoadBalancerNodePorts"] != false;
    let before: Vec<Value> = old.and_then(|old| old["spec"]["ports"].as_array().cloned()).unwrap_or_default();
    for (index, port) in spec["ports"].as_array_mut().into_iter().flatten().enumerate() {
        let field = format!("spec.ports[{index}].nodePort");
        let same = |one: &&Value| one["port"] == port["port"] && protocol(one) == protocol(port);
        let given = port["nodePort"].as_u64().filter(|given| *given != 0);
        let kept = before.iter().find(same).and_then(|one| one["nodePort"].as_u64());
        if !exposed {
            // A port that an update leaves in place where the type no longer has one is the server's to remove.
            if given.is_some() && given != kept {
                return Err(FieldError::forbidden(field, "may not be used when `type` is 'ClusterIP'"));
            }
            object::remove(port, "nodePort");
            continue;
        }
        let chosen = match given.or(kept) {
            Some(given) => {
                let value = json!(given);
                let number = u16::try_from(given).ok().filter(|number| PORTS.contains(number)).ok_or_else(|| {
                    let text = "provided port is not in the valid range. The range of valid ports is 30000-32767";
                    FieldError::invalid(field.as_str(), &value, text)
                })?;
                if taken.ports.contains(&(number, protocol(port))) {
                    return Err(FieldError::invalid(field, &value, "provided port is already allocated"));
                }
                number
            }
            None => {
                let size = u64::from(PORTS.end() - PORTS.start()) + 1;
                let start = hash(&format!("{name}/{}", port["port"]));
                (0..size)
                    .map(|step| PORTS.start() + u16::try_from((start + step) % size).unwrap_or(0))
                    .find(|number| !taken.ports.iter().any(|(taken, _)| taken == number))
                    .ok_or_else(|| {
                        FieldError::invalid(field, &Value::Null, "failed to allocate a nodePort: range is full")
                    })?
            }
        };
        taken.ports.insert((chosen, protocol(port)));
        port["nodePort"] = chosen.into();
    }
    Ok(())
}

/// FNV-1a: the same on every machine and in every version.
fn hash(text: &str) -> u64 {
    struct Fnv(u64);
    impl Hasher for Fnv {
        fn finish(&self) -> u64 {
            self.0
        }
        fn write(&mut self, bytes: &[u8]) {
            for byte in bytes {
                self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    hasher.write(text.as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: [u8; 2] = [10, 96];

    fn service(spec: Value) -> Value {
        json!({"metadata": {"namespace": "n", "name": "s"}, "spec": spec})
    }

    #[test]
    fn the_same_service_gets_the_same_address_unless_it_is_taken() {
        let (mut one, mut two, mut three) = (service(json!({})), service(json!({})), service(json!({})));
        let mut taken = Taken::default();
        address(RANGE, &taken, None, &mut one).unwrap();
        address(RANGE, &taken, None, &mut two).unwrap();
        assert_eq!(one, two);
        assert!(text(&one, &["spec", "clusterIP"]).starts_with("10.96."));
        taken.add(&one);
        address(RANGE, &taken, None, &mut three).unwrap();
        assert_ne!(one, three);
        let mut same = service(json!({"clusterIP": one["spec"]["clusterIP"]}));
        assert!(address(RANGE, &taken, None, &mut same).is_err());
        let mut kept = service(json!({}));
        address(RANGE, &Taken::default(), Some(&three), &mut kept).unwrap();
        assert_eq!(kept["spec"]["clusterIP"], three["spec"]["clusterIP"]);
    }

    #[test]
    fn what_is_asked_for_is_held_to_the_range() {
        for (address_wanted, fine) in [("None", true), ("10.96.0.10", true), ("10.97.0.1", false), ("x", false)] {
            let mut one = service(json!({"clusterIP": address_wanted}));
            assert_eq!(address(RANGE, &Taken::default(), None, &mut one).is_ok(), fine, "{address_wanted}");
        }
        let mut external = service(json!({"type": "ExternalName", "clusterIP": ""}));
        address(RANGE, &Taken::default(), None, &mut external).unwrap();
        assert!(external["spec"].get("clusterIP").is_none());
    }

    #[test]
    fn node_ports_are_kept_and_never_shared() {
        let spec = json!({"type": "NodePort", "ports": [{"port": 80}, {"port": 81}]});
        let mut taken = Taken::default();
        let mut one = service(spec.clone());
        node_ports(&mut taken, None, &mut one).unwrap();
        let ports = one["spec"]["ports"].clone();
        assert_ne!(ports[0]["nodePort"], ports[1]["nodePort"]);
        let mut again = service(spec);
        node_ports(&mut Taken::default(), Some(&one), &mut again).unwrap();
        assert_eq!(again["spec"]["ports"], ports);
        let mut plain = service(json!({"type": "ClusterIP", "ports": [{"port": 80, "nodePort": 30001}]}));
        assert!(node_ports(&mut Taken::default(), None, &mut plain).is_err());
        let mut low = service(json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]}));
        assert!(node_ports(&mut Taken::default(), None, &mut low).is_err());
    }
}
