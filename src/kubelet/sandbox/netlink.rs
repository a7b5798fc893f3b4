//! The few route netlink messages that a place needs: links, addresses and routes, one request at a time, waiting for each answer.
//! It must not know what a pod is.
//!
//! Written by hand because the place process is single-threaded and synchronous: `rtnetlink` is asynchronous, wants a runtime, and its
//! message crate alone takes longer to compile than the rest of the kubelet. A socket talks to the network namespace it was made in.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use super::system;

/// The hardware address of an interface.
pub(super) type Hardware = [u8; 6];

const HEADER: usize = 16;
const LINK_HEADER: usize = 16;
const VETH_PEER: u16 = 1;

/// A connection to the routing part of one network namespace.
#[derive(Debug)]
pub(super) struct Netlink {
    socket: OwnedFd,
    sequence: u32,
}

/// A request under construction: header, family header, attributes.
struct Message {
    bytes: Vec<u8>,
}

impl Message {
    fn new(kind: u16, flags: i32, family_header: &[u8]) -> Self {
        let flags = (libc::NLM_F_REQUEST | libc::NLM_F_ACK | flags) as u16;
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(family_header);
        Self { bytes }
    }

    fn put(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        let start = self.open(kind);
        self.bytes.extend_from_slice(value);
        self.close(start);
        self
    }

    fn text(&mut self, kind: u16, value: &str) -> &mut Self {
        let start = self.open(kind);
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.push(0);
        self.close(start);
        self
    }

    fn nest(&mut self, kind: u16, inside: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.open(kind | libc::NLA_F_NESTED as u16);
        inside(self);
        self.close(start);
        self
    }

    fn open(&mut self, kind: u16) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0, 0]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        start
    }

    fn close(&mut self, start: usize) {
        let length = (self.bytes.len() - start) as u16;
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// `struct ifinfomsg`.
fn link_header(index: u32, flags: i32, changed: i32) -> [u8; LINK_HEADER] {
    let mut header = [0; LINK_HEADER];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..16].copy_from_slice(&changed.to_ne_bytes());
    header
}

/// `struct rtmsg` of an IPv4 route.
fn route_header(prefix: u8, table: u8, scope: u8, kind: u8) -> [u8; 12] {
    [libc::AF_INET as u8, prefix, 0, 0, table, libc::RTPROT_BOOT, scope, kind, 0, 0, 0, 0]
}

const CREATE: i32 = libc::NLM_F_CREATE | libc::NLM_F_EXCL;

impl Netlink {
    /// Opens a socket into the current network namespace.
    pub(super) fn open() -> io::Result<Self> {
        let socket = system::socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE)?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Makes a bridge and returns its index. Its hardware address must be given: left to itself, a bridge takes the lowest
    /// one of its ports, changes it as ports come and go, and whoever knows the old one sends into the void for half a minute.
    pub(super) fn create_bridge(&mut self, name: &str, hardware: Hardware) -> io::Result<u32> {
        let mut message = Message::new(libc::RTM_NEWLINK, CREATE, &link_header(0, libc::IFF_UP, libc::IFF_UP));
        message.text(libc::IFLA_IFNAME, name).put(libc::IFLA_ADDRESS, &hardware).nest(libc::IFLA_LINKINFO, |info| {
            info.text(libc::IFLA_INFO_KIND, "bridge");
        });
        self.ask(message)?;
        self.index(name)
    }

    /// Makes a pair of interfaces: one here, up, as a port of `bridge`, the other in the namespace `peer` under `peer_name`, still down
    /// (the kernel refuses to switch an interface on before it has its other end) and with its own hardware address.
    pub(super) fn create_pair(
        &mut self,
        name: &str,
        bridge: u32,
        peer: BorrowedFd<'_>,
        peer_name: &str,
        peer_hardware: Hardware,
    ) -> io::Result<()> {
        let up = link_header(0, libc::IFF_UP, libc::IFF_UP);
        let mut message = Message::new(libc::RTM_NEWLINK, CREATE, &up);
        message.text(libc::IFLA_IFNAME, name).put(libc::IFLA_MASTER, &bridge.to_ne_bytes()).nest(
            libc::IFLA_LINKINFO,
            |info| {
                info.text(libc::IFLA_INFO_KIND, "veth").nest(libc::IFLA_INFO_DATA, |data| {
                    data.nest(VETH_PEER, |other| {
                        other.bytes.extend_from_slice(&link_header(0, 0, 0));
                        other
                            .text(libc::IFLA_IFNAME, peer_name)
                            .put(libc::IFLA_ADDRESS, &peer_hardware)
                            .put(libc::IFLA_NET_NS_FD, &peer.as_raw_fd().to_ne_bytes());
                    });
                });
            },
        );
        self.ask(message).map(drop)
    }

    /// The index of an interface.
    pub(super) fn index(&mut self, name: &str) -> io::Result<u32> {
        let mut message = Message::new(libc::RTM_GETLINK, 0, &link_header(0, 0, 0));
        message.text(libc::IFLA_IFNAME, name);
        let answer = self.ask(message)?;
        let index = answer.get(4..8).and_then(|bytes| bytes.try_into().ok()).map(u32::from_ne_bytes);
        index.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
    }

    /// Switches an interface on.
    pub(super) fn up(&mut self, index: u32) -> io::Result<()> {
        self.ask(Message::new(libc::RTM_NEWLINK, 0, &link_header(index, libc::IFF_UP, libc::IFF_UP))).map(drop)
    }

    /// Removes an interface (and the other end of a pair).
    pub(super) fn remove(&mut self, name: &str) -> io::Result<()> {
        let mut message = Message::new(libc::RTM_DELLINK, 0, &link_header(0, 0, 0));
        message.text(libc::IFLA_IFNAME, name);
        self.ask(message).map(drop)
    }

    /// Gives an interface an address.
    pub(super) fn add_address(&mut self, index: u32, address: Ipv4Addr, prefix: u8) -> io::Result<()> {
        let mut header = [libc::AF_INET as u8, prefix, 0, libc::RT_SCOPE_UNIVERSE, 0, 0, 0, 0];
        header[4..8].copy_from_slice(&index.to_ne_bytes());
        let mut message = Message::new(libc::RTM_NEWADDR, CREATE, &header);
        message.put(libc::IFA_LOCAL, &address.octets()).put(libc::IFA_ADDRESS, &address.octets());
        self.ask(message).map(drop)
    }

    /// Sends everything that has no better route to `gateway`.
    pub(super) fn add_default_route(&mut self, gateway: Ipv4Addr) -> io::Result<()> {
        let header = route_header(0, libc::RT_TABLE_MAIN, libc::RT_SCOPE_UNIVERSE, libc::RTN_UNICAST);
        let mut message = Message::new(libc::RTM_NEWROUTE, CREATE, &header);
        message.put(libc::RTA_GATEWAY, &gateway.octets());
        self.ask(message).map(drop)
    }

    /// Makes every address of a range local to this namespace, so that listeners can bind to any of them.
    pub(super) fn add_local_range(&mut self, index: u32, network: Ipv4Addr, prefix: u8) -> io::Result<()> {
        let header = route_header(prefix, libc::RT_TABLE_LOCAL, libc::RT_SCOPE_HOST, libc::RTN_LOCAL);
        let mut message = Message::new(libc::RTM_NEWROUTE, CREATE, &header);
        message.put(libc::RTA_DST, &network.octets()).put(libc::RTA_OIF, &index.to_ne_bytes());
        self.ask(message).map(drop)
    }

    /// Sends a request, and returns the family header and attributes of the answer that came before its acknowledgement, if any.
    fn ask(&mut self, message: Message) -> io::Result<Vec<u8>> {
        self.sequence += 1;
        let mut bytes = message.bytes;
        let length = bytes.len() as u32;
        bytes[0..4].copy_from_slice(&length.to_ne_bytes());
        bytes[8..12].copy_from_slice(&self.sequence.to_ne_bytes());
        transmit(self.socket.as_fd(), &bytes)?;
        let mut answer = Vec::new();
        let mut buffer = vec![0; 32 << 10];
        loop {
            let received =
                nix::sys::socket::recv(self.socket.as_raw_fd(), &mut buffer, nix::sys::socket::MsgFlags::empty())?;
            let mut rest = &buffer[..received];
            while let Some((kind, sequence, body, after)) = split(rest) {
                rest = after;
                if sequence != self.sequence {
                    continue;
                }
                if i32::from(kind) == libc::NLMSG_ERROR {
                    let errno =
                        body.get(..4).and_then(|code| code.try_into().ok()).map_or(-libc::EIO, i32::from_ne_bytes);
                    return if errno == 0 { Ok(answer) } else { Err(io::Error::from_raw_os_error(-errno)) };
                }
                answer = body.to_vec();
            }
        }
    }
}

fn transmit(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<()> {
    nix::sys::socket::send(socket.as_raw_fd(), bytes, nix::sys::socket::MsgFlags::empty())?;
    Ok(())
}

/// Splits the first message off: type, sequence number, body, the rest.
fn split(bytes: &[u8]) -> Option<(u16, u32, &[u8], &[u8])> {
    let length = u32::from_ne_bytes(bytes.get(0..4)?.try_into().ok()?) as usize;
    let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
    let sequence = u32::from_ne_bytes(bytes.get(8..12)?.try_into().ok()?);
    let body = bytes.get(HEADER..length)?;
    let rest = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((kind, sequence, body, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_nest_and_are_padded() {
        let mut message = Message::new(libc::RTM_NEWLINK, 0, &[]);
        message.nest(18, |info| {
            info.text(1, "veth");
        });
        let attributes = &message.bytes[HEADER..];
        assert_eq!(attributes.len(), 4 + 12);
        assert_eq!(attributes[0..2], 16u16.to_ne_bytes());
        assert_eq!(attributes[4..6], 9u16.to_ne_bytes());
        assert_eq!(&attributes[8..16], b"veth\0\0\0\0");
    }

    #[test]
    fn loopback_has_an_index_and_a_missing_link_an_error() -> io::Result<()> {
        let mut netlink = Netlink::open()?;
        assert_eq!(netlink.index("lo")?, 1);
        let missing = netlink.index("tb-none").map_err(|error| error.raw_os_error());
        assert_eq!(missing, Err(Some(libc::ENODEV)));
        Ok(())
    }
}
