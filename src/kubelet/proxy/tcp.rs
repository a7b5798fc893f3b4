//! TCP connections of services: accepted in the place, connected to an endpoint there, copied both ways.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::balance::Balance;
use crate::runtime::Runtime;

const CONNECT: Duration = Duration::from_secs(5);
/// After a failed accept (no descriptors left …).
const PAUSE: Duration = Duration::from_millis(50);

/// Accepts until it is aborted; connections live on.
pub(super) async fn serve(place: Arc<dyn Runtime>, listener: TcpListener, balance: Balance) {
    let balance = Arc::new(balance);
    loop {
        match listener.accept().await {
            Ok((client, from)) => {
                let (place, balance) = (place.clone(), balance.clone());
                tokio::spawn(async move {
                    let order = balance.order(from.ip());
                    forward(&*place, client, order).await;
                });
            }
            Err(error) => {
                tracing::debug!(%error, "cannot accept a connection to a service");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn forward(place: &dyn Runtime, mut client: TcpStream, order: Vec<std::net::SocketAddrV4>) {
    for address in order {
        let connected = match timeout(CONNECT, place.connect_tcp(None, address)).await {
            Ok(Ok(stream)) => TcpStream::from_std(stream),
            Ok(Err(error)) => {
                tracing::debug!(%error, "an endpoint does not answer");
                continue;
            }
            Err(_) => continue,
        };
        let Ok(mut server) = connected else { return };
        // Only latency is lost without it.
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        // Either side may end the connection in any way.
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        return;
    }
    // Nobody answers: let the client see a reset, not an orderly end.
    let _ = client.set_zero_linger();
}
