//! The cluster's name server: UDP and TCP in the place, answers from the table of services, the rest from the machine's own
//! servers. It must not watch anything itself.

mod message;
mod names;

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use self::message::Reply;
use crate::runtime::Runtime;
use crate::sandbox::PlaceError;
use crate::services::Services;

/// Questions that are forwarded at once.
const FORWARDED: usize = 256;
const UPSTREAM: Duration = Duration::from_secs(3);
const IDLE: Duration = Duration::from_secs(10);
const LARGEST: usize = 4096;
const PORT: u16 = 53;

/// A name server that is bound.
pub(crate) struct Server {
    udp: UdpSocket,
    tcp: TcpListener,
    names: Names,
}

#[derive(Clone)]
struct Names {
    services: Services,
    upstreams: Arc<[SocketAddr]>,
    forwards: Arc<Semaphore>,
}

impl Server {
    /// Binds both sockets; `machine` is the machine's `/etc/resolv.conf`.
    pub(crate) async fn bind(
        place: &dyn Runtime,
        address: SocketAddrV4,
        services: Services,
        machine: &str,
    ) -> Result<Self, PlaceError> {
        let failed = |source: io::Error| PlaceError::Failed { attempted: format!("serve names on {address}"), source };
        let udp = UdpSocket::from_std(place.bind_udp(address).await?).map_err(failed)?;
        let tcp = TcpListener::from_std(place.listen_tcp(address).await?).map_err(failed)?;
        Ok(Self {
            udp,
            tcp,
            names: Names {
                services,
                upstreams: upstreams(machine).into(),
                forwards: Arc::new(Semaphore::new(FORWARDED)),
            },
        })
    }

    /// Serves until it is aborted.
    pub(crate) async fn run(self) {
        tokio::join!(serve_udp(self.udp, self.names.clone()), serve_tcp(self.tcp, self.names));
    }
}

fn upstreams(resolv_conf: &str) -> Vec<SocketAddr> {
    let lines = resolv_conf.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    let addresses = lines.filter_map(|rest| rest.trim().parse::<IpAddr>().ok());
    addresses.map(|address| SocketAddr::new(address, PORT)).collect()
}

async fn serve_udp(socket: UdpSocket, names: Names) {
    let socket = Arc::new(socket);
    let mut buffer = vec![0; LARGEST];
    loop {
        let (length, client) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            Err(error) => {
                // An answer that could not be delivered is reported here too.
                tracing::debug!(%error, "cannot receive a question");
                continue;
            }
        };
        let packet = &buffer[..length];
        let reply = message::reply(&names.services.read(), packet, true);
        match reply {
            Reply::Answer(answer) => send(&socket, &answer, client).await,
            Reply::Nothing => {}
            Reply::Forward => {
                let (socket, names, packet) = (socket.clone(), names.clone(), packet.to_vec());
                tokio::spawn(async move {
                    if let Some(answer) = names.forward(&packet, false).await {
                        send(&socket, &answer, client).await;
                    }
                });
            }
        }
    }
}

async fn send(socket: &UdpSocket, answer: &[u8], client: SocketAddr) {
    if let Err(error) = socket.send_to(answer, client).await {
        tracing::debug!(%error, %client, "cannot send an answer");
    }
}

async fn serve_tcp(listener: TcpListener, names: Names) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let names = names.clone();
                tokio::spawn(async move {
                    // A client that leaves in the middle has no answer to miss.
                    let _ = converse(stream, &names).await;
                });
            }
            Err(error) => {
                tracing::debug!(%error, "cannot accept a connection for names");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn converse(mut stream: TcpStream, names: &Names) -> io::Result<()> {
    loop {
        let length = timeout(IDLE, stream.read_u16()).await??;
        let mut packet = vec![0; usize::from(length)];
        timeout(IDLE, stream.read_exact(&mut packet)).await??;
        let reply = message::reply(&names.services.read(), &packet, false);
        let answer = match reply {
            Reply::Answer(answer) => Some(answer),
            Reply::Forward => names.forward(&packet, true).await,
            Reply::Nothing => None,
        };
        let Some(answer) = answer else { return Ok(()) };
        let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
        stream.write_u16(length).await?;
        stream.write_all(&answer).await?;
    }
}

impl Names {
    /// Asks the machine's servers, one after the other.
    async fn forward(&self, packet: &[u8], tcp: bool) -> Option<Vec<u8>> {
        let _permit = self.forwards.acquire().await.ok()?;
        for upstream in self.upstreams.iter() {
            let asking =
                async { if tcp { ask_tcp(*upstream, packet).await } else { ask_udp(*upstream, packet).await } };
            match timeout(UPSTREAM, asking).await {
                Ok(Ok(answer)) => return Some(answer),
                Ok(Err(error)) => tracing::debug!(%error, %upstream, "a name server does not answer"),
                Err(_) => tracing::debug!(%upstream, "a name server does not answer in time"),
            }
        }
        message::failure(packet)
    }
}

async fn ask_udp(upstream: SocketAddr, packet: &[u8]) -> io::Result<Vec<u8>> {
    let any = if upstream.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(upstream).await?;
    socket.send(packet).await?;
    let mut buffer = vec![0; LARGEST];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if buffer[..length].get(..2) == packet.get(..2) {
            buffer.truncate(length);
            return Ok(buffer);
        }
    }
}

async fn ask_tcp(upstream: SocketAddr, packet: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(upstream).await?;
    stream.write_u16(u16::try_from(packet.len()).map_err(io::Error::other)?).await?;
    stream.write_all(packet).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstreams_of_the_machine() {
        let text = "# x\nnameserver 192.0.2.1\nsearch a\nnameserver ::1\nnameserver junk\n";
        assert_eq!(upstreams(text), ["192.0.2.1:53".parse().unwrap(), "[::1]:53".parse().unwrap()]);
    }
}
