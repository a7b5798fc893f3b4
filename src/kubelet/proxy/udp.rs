//! Datagrams to services: one socket per client towards its endpoint, forgotten when it has been quiet for a while.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::balance::Balance;
use crate::runtime::Runtime;

const QUIET: Duration = Duration::from_secs(60);
const LARGEST: usize = 65_535;
/// Clients at once.
const CLIENTS: usize = 1024;

type Sessions = Arc<Mutex<HashMap<SocketAddr, Arc<UdpSocket>>>>;

/// Forwards until it is aborted.
pub(super) async fn serve(place: Arc<dyn Runtime>, socket: UdpSocket, balance: Balance) {
    let socket = Arc::new(socket);
    let sessions = Sessions::default();
    let mut buffer = vec![0; LARGEST];
    loop {
        let (length, client) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            Err(error) => {
                // An answer that could not be delivered is reported here too.
                tracing::debug!(%error, "cannot receive for a service");
                continue;
            }
        };
        let known = lock(&sessions).get(&client).cloned();
        let session = match known {
            Some(session) => Some(session),
            None => open(&*place, &socket, &sessions, &balance, client).await,
        };
        if let Some(session) = session {
            // A datagram may be lost: that is what they are like.
            let _ = session.send(&buffer[..length]).await;
        }
    }
}

fn lock(sessions: &Sessions) -> std::sync::MutexGuard<'_, HashMap<SocketAddr, Arc<UdpSocket>>> {
    sessions.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn open(
    place: &dyn Runtime,
    front: &Arc<UdpSocket>,
    sessions: &Sessions,
    balance: &Balance,
    client: SocketAddr,
) -> Option<Arc<UdpSocket>> {
    if lock(sessions).len() >= CLIENTS {
        return None;
    }
    let endpoint = *balance.order(client.ip()).first()?;
    let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
    let made = place.bind_udp(any).await.ok()?;
    let session = Arc::new(UdpSocket::from_std(made).ok()?);
    session.connect(endpoint).await.ok()?;
    lock(sessions).insert(client, session.clone());
    let (front, sessions, back) = (front.clone(), sessions.clone(), session.clone());
    tokio::spawn(async move {
        let mut buffer = vec![0; LARGEST];
        while let Ok(Ok(length)) = timeout(QUIET, back.recv(&mut buffer)).await {
            // A datagram may be lost: that is what they are like.
            let _ = front.send_to(&buffer[..length], client).await;
        }
        lock(&sessions).remove(&client);
    });
    Some(session)
}
