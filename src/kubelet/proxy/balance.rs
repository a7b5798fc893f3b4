//! Which endpoint gets the next connection: in turn, or the same one for the same client.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::services::{Name, Port, Services};

/// Clients remembered at most.
const REMEMBERED: usize = 4096;

#[derive(Debug, Default)]
struct Turns {
    next: usize,
    clients: HashMap<IpAddr, ((Ipv4Addr, u16), Instant)>,
}

impl Turns {
    /// The endpoints in the order in which to try them.
    fn order(
        &mut self,
        backends: &[(Ipv4Addr, u16)],
        client: IpAddr,
        affinity: Option<Duration>,
        now: Instant,
    ) -> Vec<(Ipv4Addr, u16)> {
        if backends.is_empty() {
            return Vec::new();
        }
        let known = affinity.and_then(|keep| {
            let (backend, at) = self.clients.get(&client)?;
            (now.duration_since(*at) < keep).then_some(*backend)
        });
        let start = known.and_then(|known| backends.iter().position(|b| *b == known)).unwrap_or_else(|| {
            let turn = self.next % backends.len();
            self.next = self.next.wrapping_add(1);
            turn
        });
        if affinity.is_some() {
            if self.clients.len() >= REMEMBERED {
                self.clients.clear();
            }
            self.clients.insert(client, (backends[start], now));
        }
        backends[start..].iter().chain(&backends[..start]).copied().collect()
    }
}

/// Chooses among the endpoints of one port of one service.
pub(super) struct Balance {
    services: Services,
    service: Name,
    port: Port,
    affinity: Option<Duration>,
    turns: Mutex<Turns>,
}

impl Balance {
    pub(super) fn new(services: Services, service: Name, port: Port, affinity: Option<Duration>) -> Self {
        Self { services, service, port, affinity, turns: Mutex::default() }
    }

    /// The endpoints to try for a client, in order; a choice that is to last is remembered.
    pub(super) fn order(&self, client: IpAddr) -> Vec<SocketAddrV4> {
        let backends = self.services.read().backends(&self.service, &self.port);
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let order = turns.order(&backends, client, self.affinity, Instant::now());
        order.into_iter().map(|(address, port)| SocketAddrV4::new(address, port)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_turn_or_faithful() {
        let backends = [(Ipv4Addr::new(10, 244, 0, 2), 1), (Ipv4Addr::new(10, 244, 0, 3), 1)];
        let client = |last| IpAddr::from([10, 244, 0, last]);
        let now = Instant::now();
        let mut turns = Turns::default();
        let first: Vec<_> = (0..3).map(|_| turns.order(&backends, client(9), None, now)[0].0.octets()[3]).collect();
        assert_eq!(first, [2, 3, 2]);
        let keep = Some(Duration::from_secs(10));
        let chosen = turns.order(&backends, client(9), keep, now)[0];
        assert_ne!(turns.order(&backends, client(8), keep, now)[0], chosen);
        assert_eq!(turns.order(&backends, client(9), keep, now)[0], chosen);
        let later = now + Duration::from_secs(11);
        assert_eq!(turns.order(&backends, client(9), keep, later).len(), 2);
        assert!(turns.order(&[], client(9), keep, now).is_empty());
    }
}
