//! Ports on loopback, of the API and of Ingresses: one of the user's choice, or a free one that is kept. It says who holds a port
//! that is taken.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use super::process;
use crate::{Class, Error};

/// A listener, and what is to be told about it.
#[derive(Debug)]
pub(super) struct Bound {
    /// The listener on 127.0.0.1.
    pub(super) listener: TcpListener,
    /// Its port.
    pub(super) port: u16,
    /// Set when the port of the earlier start had to be given up.
    pub(super) note: Option<String>,
}

/// Binds the configured port, or the kept one, or a free one; `whose` port it is stands in the note.
///
/// # Errors
/// When the configured port is taken, or none can be had.
pub(super) fn bind(whose: &str, configured: u16, kept: Option<u16>) -> Result<Bound, Error> {
    if configured != 0 {
        return match listen(configured) {
            Ok(listener) => bound(listener, None),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                Err(Error::PortTaken { port: configured, holder: holder(configured) })
            }
            Err(source) => Err(refused(configured, source)),
        };
    }
    let mut note = None;
    if let Some(port) = kept {
        match listen(port) {
            Ok(listener) => return bound(listener, None),
            Err(_) => {
                let who = holder(port).map_or_else(String::new, |who| format!(" by {who}"));
                note = Some(format!("port {port} of the earlier start is taken{who}: {whose} has another one now"));
            }
        }
    }
    bound(listen(0).map_err(|source| refused(0, source))?, note)
}

fn listen(port: u16) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn bound(listener: TcpListener, note: Option<String>) -> Result<Bound, Error> {
    let port = listener.local_addr().map_err(|source| refused(0, source))?.port();
    Ok(Bound { listener, port, note })
}

fn refused(port: u16, source: io::Error) -> Error {
    let what = if port == 0 { "a free port".to_owned() } else { format!("port {port}") };
    Error::Compose {
        act: format!("listen on {what} of 127.0.0.1"),
        hint: (source.kind() == io::ErrorKind::PermissionDenied)
            .then(|| "ports below 1024 are the administrator's: set another `port` in tinderbox.yaml".to_owned()),
        source: Box::new(source),
        class: Class::Environment,
    }
}

/// The process that listens on a port of this machine, as far as this user may see it.
#[must_use]
pub fn holder(port: u16) -> Option<String> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .flat_map(|table| {
            table
                .lines()
                .skip(1)
                .filter_map(|line| {
                    let fields: Vec<&str> = line.split_whitespace().collect();
                    let local = fields.get(1)?.rsplit(':').next()?;
                    let listens = *fields.get(3)? == "0A";
                    (listens && u16::from_str_radix(local, 16).ok()? == port)
                        .then(|| fields.get(9).map(|inode| format!("socket:[{inode}]")))?
                })
                .collect::<Vec<_>>()
        })
        .collect();
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let fds = fs::read_dir(entry.path().join("fd")).ok()?;
        let holds = fds.flatten().any(|fd| {
            fs::read_link(fd.path()).is_ok_and(|link| inodes.iter().any(|inode| link.as_os_str() == inode.as_str()))
        });
        holds.then(|| format!("process {pid} ({})", process::command_line(pid).unwrap_or_default()))
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn names_the_holder_and_keeps_a_chosen_port() {
        let first = bind("the API", 0, None).expect("a free port");
        let own = format!("process {}", std::process::id());
        match bind("the API", first.port, None) {
            Err(Error::PortTaken { port, holder: Some(holder) }) => {
                assert_eq!(port, first.port);
                assert!(holder.starts_with(&own), "{holder}");
            }
            other => panic!("{other:?}"),
        }
        let other = bind("the API", 0, Some(first.port)).expect("another port");
        assert!(other.port != first.port && other.note.is_some_and(|note| note.contains(&own)));
        let kept = first.port;
        drop(first.listener);
        // A process that another test is just starting has it too, until it becomes its program.
        let end = Instant::now() + Duration::from_secs(10);
        while bind("the API", 0, Some(kept)).expect("a port").port != kept {
            assert!(Instant::now() < end, "the port is free again");
            std::thread::yield_now();
        }
    }
}
