//! The place's network: a bridge with the node's address, services' addresses made local, and a pair of interfaces per pod.
//! Addresses are given by the caller; it must not choose them.

use std::net::Ipv4Addr;
use std::os::fd::BorrowedFd;

use super::error::{Attempt, Failure};
use super::netlink::{Hardware, Netlink};

/// The node's address on the bridge, and every pod's gateway.
pub const NODE_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 1);
const PREFIX: u8 = 16;
const SERVICES: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 0);
/// Further nodes have addresses here, and no interfaces: they are all this place.
const NODES: Ipv4Addr = Ipv4Addr::new(10, 244, 252, 0);
const NODES_PREFIX: u8 = 22;
const BRIDGE: &str = "tb0";
const LOOPBACK: u32 = 1;

/// The place's own network namespace.
#[derive(Debug)]
pub(super) struct Network {
    netlink: Netlink,
    bridge: u32,
}

impl Network {
    /// Sets up the current network namespace, which must be new.
    pub(super) fn set_up() -> Result<Self, Failure> {
        let mut netlink = Netlink::open().attempt(|| "open a netlink socket".to_owned())?;
        netlink.up(LOOPBACK).attempt(|| "switch lo on".to_owned())?;
        sysctl("ipv4/ip_forward", "1")?;
        sysctl("ipv4/ip_unprivileged_port_start", "0")?;
        sysctl_if_there("ipv6/conf/default/disable_ipv6", "1");
        let bridge =
            netlink.create_bridge(BRIDGE, hardware(NODE_ADDRESS)).attempt(|| format!("create the bridge {BRIDGE}"))?;
        netlink
            .add_address(bridge, NODE_ADDRESS, PREFIX)
            .attempt(|| format!("give {BRIDGE} the address {NODE_ADDRESS}/{PREFIX}"))?;
        netlink
            .add_local_range(LOOPBACK, SERVICES, PREFIX)
            .attempt(|| format!("make the service addresses {SERVICES}/{PREFIX} local"))?;
        netlink
            .add_local_range(LOOPBACK, NODES, NODES_PREFIX)
            .attempt(|| format!("make the node addresses {NODES}/{NODES_PREFIX} local"))?;
        Ok(Self { netlink, bridge })
    }

    /// Connects a pod's namespace to the bridge and returns the name of the interface on this side.
    pub(super) fn connect(
        &mut self,
        serial: u64,
        namespace: BorrowedFd<'_>,
        inside: &mut Netlink,
        address: Ipv4Addr,
    ) -> Result<String, Failure> {
        let name = format!("tb{serial}");
        self.netlink
            .create_pair(&name, self.bridge, namespace, "eth0", hardware(address))
            .attempt(|| format!("create the veth pair {name} for {address}"))?;
        let addressed = inside
            .index("eth0")
            .and_then(|index| inside.add_address(index, address, PREFIX).and_then(|()| inside.up(index)))
            .attempt(|| format!("give a pod the address {address}/{PREFIX}"))
            .and_then(|()| {
                inside.add_default_route(NODE_ADDRESS).attempt(|| format!("route a pod through {NODE_ADDRESS}"))
            });
        if let Err(failure) = addressed {
            // Its other end goes with the pod's namespace in any case.
            let _ = self.netlink.remove(&name);
            return Err(failure);
        }
        Ok(name)
    }
}

/// The hardware address that goes with an address, so that one which is used again is where its neighbours remember it. `0a:58`
/// before the address is what network plugins use (containernetworking/plugins `pkg/utils/hwaddr`).
fn hardware(address: Ipv4Addr) -> Hardware {
    let [a, b, c, d] = address.octets();
    [0x0a, 0x58, a, b, c, d]
}

/// Removes a pod's interfaces from the current network namespace. That takes the kernel tens of milliseconds: for a process of its own,
/// whose exit code is the result.
pub(super) fn remove(name: &str) -> i32 {
    let removed = Netlink::open().and_then(|mut netlink| netlink.remove(name));
    match removed.map_err(|error| error.raw_os_error()) {
        Ok(()) | Err(Some(libc::ENODEV)) => 0,
        Err(code) => code.unwrap_or(libc::EIO),
    }
}

/// Prepares the current network namespace, a pod's own: loopback, low ports and ping for everyone.
pub(super) fn set_up_pod(last_group: u32) -> Result<Netlink, Failure> {
    let mut netlink = Netlink::open().attempt(|| "open a netlink socket in a pod".to_owned())?;
    netlink.up(LOOPBACK).attempt(|| "switch a pod's lo on".to_owned())?;
    sysctl("ipv4/ip_unprivileged_port_start", "0")?;
    sysctl("ipv4/ping_group_range", &format!("0 {last_group}"))?;
    sysctl_if_there("ipv6/conf/default/disable_ipv6", "1");
    Ok(netlink)
}

fn sysctl(name: &str, value: &str) -> Result<(), Failure> {
    std::fs::write(format!("/proc/sys/net/{name}"), value).attempt(|| format!("set net/{name} to {value}"))
}

/// For settings that some kernels lack (no IPv6): then there is nothing to switch off.
fn sysctl_if_there(name: &str, value: &str) {
    let _ = std::fs::write(format!("/proc/sys/net/{name}"), value);
}
