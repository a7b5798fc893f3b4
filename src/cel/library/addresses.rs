//! IP addresses and networks. Addresses of version 4 in version 6's clothes, and zones, are refused.
//! Upstream rules: k8s.io/apiserver `pkg/cel/library/ip.go` and `cidr.go`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Row;
use super::kubernetes::Kubernetes;
use crate::error::Error;
use crate::text::quoted;
use crate::value::Value;

pub(super) const TABLE: &[Row] = &[
    ("string_to_ip", "ip", "string -> ip", |args| Ok(Value::kubernetes(Kubernetes::Ip(parse_ip(text(args, 0)?)?)))),
    ("ip_family", "family", ".ip -> int", |args| Ok(Value::Int(if ip(args, 0)?.is_ipv4() { 4 } else { 6 }))),
    ("ip_is_canonical", "ip.isCanonical", "string -> bool", |args| {
        let text = text(args, 0)?;
        Ok(Value::Bool(parse_ip(text)?.to_string() == text))
    }),
    ("ip_is_unspecified", "isUnspecified", ".ip -> bool", |args| Ok(Value::Bool(ip(args, 0)?.is_unspecified()))),
    ("ip_is_loopback", "isLoopback", ".ip -> bool", |args| Ok(Value::Bool(ip(args, 0)?.is_loopback()))),
    ("ip_is_link_local_multicast", "isLinkLocalMulticast", ".ip -> bool", |args| {
        Ok(Value::Bool(is_link_local_multicast(ip(args, 0)?)))
    }),
    ("ip_is_link_local_unicast", "isLinkLocalUnicast", ".ip -> bool", |args| {
        Ok(Value::Bool(is_link_local_unicast(ip(args, 0)?)))
    }),
    ("ip_is_global_unicast", "isGlobalUnicast", ".ip -> bool", |args| Ok(Value::Bool(is_global_unicast(ip(args, 0)?)))),
    ("is_ip", "isIP", "string -> bool", |args| Ok(Value::Bool(parse_ip(text(args, 0)?).is_ok()))),
    ("ip_to_string", "string", "ip -> string", |args| Ok(Value::text(ip(args, 0)?.to_string()))),
    ("string_to_cidr", "cidr", "string -> cidr", |args| {
        Ok(Value::kubernetes(Kubernetes::Cidr(parse_cidr(text(args, 0)?)?)))
    }),
    ("cidr_contains_ip_string", "containsIP", ".cidr, string -> bool", contains_ip),
    ("cidr_contains_ip_ip", "containsIP", ".cidr, ip -> bool", contains_ip),
    ("cidr_contains_cidr_string", "containsCIDR", ".cidr, string -> bool", contains_cidr),
    ("cidr_contains_cidr", "containsCIDR", ".cidr, cidr -> bool", contains_cidr),
    ("cidr_ip", "ip", ".cidr -> ip", |args| Ok(Value::kubernetes(Kubernetes::Ip(cidr(args, 0)?.address)))),
    ("cidr_prefix_length", "prefixLength", ".cidr -> int", |args| Ok(Value::Int(cidr(args, 0)?.length.into()))),
    ("cidr_masked", "masked", ".cidr -> cidr", |args| {
        let net = cidr(args, 0)?;
        let address = net.mask(net.address);
        Ok(Value::kubernetes(Kubernetes::Cidr(Cidr { address, length: net.length })))
    }),
    ("is_cidr", "isCIDR", "string -> bool", |args| Ok(Value::Bool(parse_cidr(text(args, 0)?).is_ok()))),
    ("cidr_to_string", "string", "cidr -> string", |args| {
        let net = cidr(args, 0)?;
        Ok(Value::text(format!("{}/{}", net.address, net.length)))
    }),
];

/// A network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    /// An address in it.
    pub address: IpAddr,
    /// How many leading bits all of its addresses share.
    pub length: u8,
}

impl Cidr {
    fn mask(self, address: IpAddr) -> IpAddr {
        let keep = |bits: u8| if self.length == 0 { 0 } else { u128::MAX << (bits - self.length) };
        match address {
            IpAddr::V4(address) => {
                IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & u32::try_from(keep(32) & 0xffff_ffff).unwrap_or(0)))
            }
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & keep(128))),
        }
    }

    fn contains(self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4() && self.mask(self.address) == self.mask(address)
    }
}

fn text<'v>(args: &'v [Value<'_>], at: usize) -> Result<&'v str, Error> {
    match args.get(at) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(Error::no_such_overload()),
    }
}

fn parse_ip(text: &str) -> Result<IpAddr, Error> {
    if text.contains('%') && text.split('%').next().is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()) {
        return Err(Error::new(format!("IP address {} with zone value is not allowed", quoted(text))));
    }
    match text.parse() {
        Ok(IpAddr::V6(address)) if address.to_ipv4_mapped().is_some() => {
            Err(Error::new(format!("IPv4-mapped IPv6 address {} is not allowed", quoted(text))))
        }
        Ok(address) => Ok(address),
        Err(_) => {
            let quoted = quoted(text);
            let reason = format!("ParseAddr({quoted}): unable to parse IP");
            Err(Error::new(format!("IP Address {quoted} parse error during conversion from string: {reason}")))
        }
    }
}

fn parse_cidr(text: &str) -> Result<Cidr, Error> {
    let wrong = |reason: &str| {
        let reason = format!("netip.ParsePrefix({}): {reason}", quoted(text));
        let told = format!("network address parse error during conversion from string: {reason}");
        Error::new(format!("network address parse error during conversion from string: {told}"))
    };
    let (address, length) = text.rsplit_once('/').ok_or_else(|| wrong("no '/'"))?;
    let address: IpAddr = address.parse().map_err(|_| wrong("unable to parse IP"))?;
    if let IpAddr::V6(six) = address
        && six.to_ipv4_mapped().is_some()
    {
        return Err(Error::new(format!("IPv4-mapped IPv6 address {} is not allowed", quoted(text))));
    }
    let plain = length.bytes().all(|digit| digit.is_ascii_digit()) && (length == "0" || !length.starts_with('0'));
    let most = if address.is_ipv4() { 32 } else { 128 };
    match length.parse::<u8>() {
        Ok(length) if plain && length <= most => Ok(Cidr { address, length }),
        _ => Err(wrong("prefix length out of range")),
    }
}

fn ip(args: &[Value<'_>], at: usize) -> Result<IpAddr, Error> {
    match args.get(at) {
        Some(Value::String(text)) => parse_ip(text),
        Some(Value::Kubernetes(value)) => match **value {
            Kubernetes::Ip(address) => Ok(address),
            _ => Err(Error::no_such_overload()),
        },
        _ => Err(Error::no_such_overload()),
    }
}

fn cidr(args: &[Value<'_>], at: usize) -> Result<Cidr, Error> {
    match args.get(at) {
        Some(Value::String(text)) => parse_cidr(text),
        Some(Value::Kubernetes(value)) => match **value {
            Kubernetes::Cidr(net) => Ok(net),
            _ => Err(Error::no_such_overload()),
        },
        _ => Err(Error::no_such_overload()),
    }
}

fn contains_ip<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    Ok(Value::Bool(cidr(args, 0)?.contains(ip(args, 1)?)))
}

fn contains_cidr<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    let (outer, inner) = (cidr(args, 0)?, cidr(args, 1)?);
    Ok(Value::Bool(outer.length <= inner.length && outer.contains(inner.address)))
}

fn is_link_local_unicast(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

fn is_link_local_multicast(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => matches!(address.octets(), [224, 0, 0, _]),
        IpAddr::V6(address) => address.segments()[0] & 0xff0f == 0xff02,
    }
}

fn is_global_unicast(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    let other = address.is_unspecified() || address.is_loopback() || address.is_multicast();
    !broadcast && !other && !is_link_local_unicast(address)
}
