//! Addresses: pods among each other, from the place, and services' addresses.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddrV4};

use super::kit::{Kit, Outcome, address, sandbox, shell, within};
use crate::sandbox::{ContainerSpec, PlaceError};

/// Answers every connection to port 80 of all addresses with its pod's name, after saying that it listens.
fn server(pod: &str, id: &str) -> ContainerSpec {
    let program = "
import socket
listener = socket.create_server(('0.0.0.0', 80))
print('ready', flush=True)
while True:
    peer, _ = listener.accept()
    peer.sendall((socket.gethostname() + '\\n').encode())
    peer.close()";
    let mut spec = shell(pod, id, "");
    spec.argv = ["python3", "-c", program].map(str::to_owned).to_vec();
    (spec.uid, spec.gid) = (185, 185);
    spec
}

async fn serve(kit: &Kit, number: u8) -> Result<String, Box<dyn std::error::Error>> {
    let pod = kit.pod(number).await?;
    let started = kit.place.start_container(server(&pod, &format!("server-{number}"))).await?;
    let mut output = std::fs::File::from(started.stdout);
    let line = tokio::task::spawn_blocking(move || {
        let mut line = [0; 6];
        output.read_exact(&mut line).map(|()| line)
    });
    assert_eq!(&within(line).await???, b"ready\n");
    Ok(pod)
}

async fn ask(kit: &Kit, pod: Option<&str>, host: Ipv4Addr) -> Result<String, Box<dyn std::error::Error>> {
    let stream = within(kit.place.connect_tcp(pod, SocketAddrV4::new(host, 80))).await??;
    let mut answer = String::new();
    let mut stream = tokio::net::TcpStream::from_std(stream)?;
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn two_pods_serve_the_same_port_for_a_third_and_for_the_place() -> Outcome {
    let mut kit = Kit::start()?;
    let (first, _) = (serve(&kit, 1).await?, serve(&kit, 2).await?);
    assert_eq!(ask(&kit, None, address(1)).await?, "pod-1\n");
    assert_eq!(ask(&kit, None, address(2)).await?, "pod-2\n");
    assert_eq!(ask(&kit, Some(&first), Ipv4Addr::LOCALHOST).await?, "pod-1\n");
    assert_eq!(ask(&kit, Some(&first), address(2)).await?, "pod-2\n");
    let third = kit.pod(3).await?;
    let script = "import socket
for last in (1, 2):
    print(socket.create_connection(('10.244.1.%d' % last, 80)).makefile().read(), end='')";
    let mut spec = shell(&third, "client", "");
    spec.argv = ["python3", "-c", script].map(str::to_owned).to_vec();
    assert_eq!(kit.run(spec).await?, ("pod-1\npod-2\n".to_owned(), 0));
    assert!(matches!(ask(&kit, Some("nobody"), address(1)).await, Err(error) if error.to_string().contains("nobody")));
    let refused = kit.place.connect_tcp(Some(&third), SocketAddrV4::new(Ipv4Addr::LOCALHOST, 80)).await;
    assert!(
        matches!(refused, Err(PlaceError::Failed { source, .. }) if source.kind() == std::io::ErrorKind::ConnectionRefused)
    );
    Ok(())
}

#[tokio::test]
async fn service_addresses_are_listened_on_here_and_reached_from_pods() -> Outcome {
    let mut kit = Kit::start()?;
    let pod = kit.pod(1).await?;
    let listener = kit.place.listen_tcp(SocketAddrV4::new(Ipv4Addr::new(10, 96, 0, 1), 443)).await?;
    let node = kit.place.listen_tcp(SocketAddrV4::new(Ipv4Addr::new(10, 244, 0, 1), 443)).await?;
    let names = kit.place.bind_udp(SocketAddrV4::new(Ipv4Addr::new(10, 96, 0, 10), 53)).await?;
    let names = tokio::net::UdpSocket::from_std(names)?;
    let answers = tokio::spawn(async move {
        for listener in [listener, node] {
            let (mut peer, from) = tokio::net::TcpListener::from_std(listener)?.accept().await?;
            tokio::io::AsyncWriteExt::write_all(&mut peer, format!("hello {}\n", from.ip()).as_bytes()).await?;
        }
        let mut question = [0; 16];
        let (length, from) = names.recv_from(&mut question).await?;
        names.send_to(&question[..length], from).await
    });
    let script = "import socket
for host in ('10.96.0.1', '10.244.0.1'):
    print(socket.create_connection((host, 443)).makefile().read(), end='')
names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
names.connect(('10.96.0.10', 53))
names.send(b'echo')
print(names.recv(16))";
    let mut spec = shell(&pod, "client", "");
    spec.argv = ["python3", "-c", script].map(str::to_owned).to_vec();
    let ran = within(kit.run(spec)).await??;
    assert_eq!(ran, ("hello 10.244.1.1\nhello 10.244.1.1\nb'echo'\n".to_owned(), 0));
    assert_eq!(answers.await??, 4);
    Ok(())
}

#[tokio::test]
async fn who_talks_to_the_node_hears_nothing_of_pods_that_come_and_go() -> Outcome {
    let mut kit = Kit::start()?;
    let pod = kit.pod(1).await?;
    let node = kit.place.listen_tcp(SocketAddrV4::new(Ipv4Addr::new(10, 244, 0, 1), 443)).await?;
    let node = tokio::net::TcpListener::from_std(node)?;
    let script = "read line < /dev/tcp/10.244.0.1/443; echo $line; cat /proc/net/arp /sys/class/net/eth0/address";
    let client = |name: &str| {
        let mut spec = shell(&pod, name, "");
        spec.argv = ["bash", "-c", script].map(str::to_owned).to_vec();
        spec
    };
    let talk = async |kit: &mut Kit, name: &str| {
        let greet = async {
            let (mut peer, _) = node.accept().await?;
            tokio::io::AsyncWriteExt::write_all(&mut peer, b"hello\n").await
        };
        let (greeted, ran) = within(async { tokio::join!(greet, kit.run(client(name))) }).await?;
        greeted?;
        ran
    };
    let (before, _) = talk(&mut kit, "before").await?;
    assert!(before.starts_with("hello\n") && before.ends_with("0a:58:0a:f4:01:01\n"), "{before}");
    assert!(before.contains("0a:58:0a:f4:00:01"), "{before}");
    for number in 2..10 {
        kit.pod(number).await?;
    }
    // Its neighbour is where it was, and at its next word answers at once.
    assert_eq!(talk(&mut kit, "among many").await?.0, before);
    for number in 2..10 {
        kit.place.remove_pod(&format!("p{number}")).await?;
    }
    assert_eq!(talk(&mut kit, "alone again").await?.0, before);
    Ok(())
}

#[tokio::test]
async fn a_pod_on_the_hosts_network_has_the_places() -> Outcome {
    let mut kit = Kit::start()?;
    let mut spec = sandbox(1);
    spec.address = None;
    kit.place.create_pod(spec).await?;
    let (output, _) = kit.run(shell("p1", "c", "ls /sys/class/net | tr '\\n' ' '; hostname")).await?;
    assert!(output.contains("lo tb0") && output.ends_with("pod-1\n"), "{output}");
    kit.place.remove_pod("p1").await?;
    Ok(())
}

#[tokio::test]
async fn an_address_that_is_taken_is_refused_with_its_name() -> Outcome {
    let kit = Kit::start()?;
    let address = SocketAddrV4::new(Ipv4Addr::new(10, 96, 0, 1), 443);
    let _first = kit.place.listen_tcp(address).await?;
    let second = kit.place.listen_tcp(address).await.map_err(|error| error.to_string());
    assert!(second.is_err_and(|text| text.contains("10.96.0.1:443")));
    Ok(())
}
