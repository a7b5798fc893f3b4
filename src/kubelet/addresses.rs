//! Addresses for nodes and pods: 10.244/16 in turn, never one in use. Arithmetic only.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

/// The first node's own address, on the bridge; every pod's gateway.
pub(crate) const NODE: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 1);
const NETWORK: u32 = u32::from_be_bytes([10, 244, 0, 0]);
/// The first host number for pods, and one past the last. What is above, up to the last address but one, is for further nodes.
const FIRST: u32 = 2;
const END: u32 = 0xFC00;
const LAST_NODE: u32 = 0xFFFE;

#[derive(Debug)]
struct Pool {
    next: u32,
    used: HashSet<u32>,
}

/// Gives out addresses.
#[derive(Debug, Clone)]
pub(crate) struct Addresses(Arc<Mutex<Pool>>);

/// An address that is given back when dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    host: u32,
    pool: Addresses,
}

impl Default for Addresses {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Pool { next: FIRST, used: HashSet::new() })))
    }
}

impl Addresses {
    /// The next free address of a pod, as long after its last use as possible; `None` when all are taken.
    pub(crate) fn lease(&self) -> Option<Lease> {
        let mut pool = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = pool.next;
        let free = (wanted..END).chain(FIRST..wanted).find(|host| !pool.used.contains(host))?;
        pool.used.insert(free);
        pool.next = if free + 1 == END { FIRST } else { free + 1 };
        drop(pool);
        Some(Lease { host: free, pool: self.clone() })
    }

    /// The address of a node: the one that it had before where that is free, else the first that is.
    pub(crate) fn lease_node(&self, before: Option<Ipv4Addr>) -> Option<Lease> {
        let host = |address: Ipv4Addr| address.to_bits().wrapping_sub(NETWORK);
        let all = || std::iter::once(host(NODE)).chain(END..=LAST_NODE);
        let mut pool = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = before.map(host).filter(|host| all().any(|one| one == *host));
        let free = before.into_iter().chain(all()).find(|host| !pool.used.contains(host))?;
        pool.used.insert(free);
        drop(pool);
        Some(Lease { host: free, pool: self.clone() })
    }
}

impl Lease {
    pub(crate) fn address(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(NETWORK + self.host)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut pool = self.pool.0.lock().unwrap_or_else(PoisonError::into_inner);
        pool.used.remove(&self.host);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_round_and_skips_what_is_in_use() {
        let pool = Addresses::default();
        let first = pool.lease().unwrap();
        assert_eq!(first.address(), Ipv4Addr::new(10, 244, 0, 2));
        drop(pool.lease());
        assert_eq!(pool.lease().unwrap().address(), Ipv4Addr::new(10, 244, 0, 4));
        let rest: Vec<_> = std::iter::from_fn(|| pool.lease()).collect();
        assert_eq!(rest.len(), 64_509);
        drop(first);
        assert_eq!(pool.lease().unwrap().address(), Ipv4Addr::new(10, 244, 0, 2));
    }

    #[test]
    fn a_node_gets_its_address_again() {
        let pool = Addresses::default();
        let first = pool.lease_node(None).unwrap();
        let second = pool.lease_node(Some(NODE)).unwrap();
        assert_eq!([first.address(), second.address()], [NODE, Ipv4Addr::new(10, 244, 252, 0)]);
        drop(first);
        let third = pool.lease_node(Some(Ipv4Addr::new(10, 244, 252, 7))).unwrap();
        assert_eq!(third.address(), Ipv4Addr::new(10, 244, 252, 7));
        let stranger = pool.lease_node(Some(Ipv4Addr::new(192, 168, 0, 1))).unwrap();
        assert_eq!(stranger.address(), NODE);
    }
}
