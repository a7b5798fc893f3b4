//! Frames between the node process and the place process: a length, JSON, and file descriptors beside it.
//! Blocking and ignorant of what the messages mean.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The kernel passes at most 253 descriptors at once.
pub(super) const MOST_DESCRIPTORS: usize = 250;
/// No honest message is longer.
const LONGEST: usize = 64 << 20;
const HEADER: usize = 4;

/// Sends one message. The descriptors stay open on this side.
pub(super) fn send<T: Serialize>(
    socket: BorrowedFd<'_>,
    message: &T,
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let body = serde_json::to_vec(message)?;
    let length = u32::try_from(body.len()).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    let mut frame = Vec::with_capacity(HEADER + body.len());
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(&body);
    let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let mut control: &[ControlMessage<'_>] = if raw.is_empty() { &[] } else { &rights };
    let mut rest = frame.as_slice();
    while !rest.is_empty() {
        match sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(rest)], control, MsgFlags::MSG_NOSIGNAL, None) {
            Ok(sent) => {
                rest = &rest[sent..];
                control = &[];
            }
            Err(nix::Error::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Receives one message and the descriptors that came with it; `None` when the other side is gone.
pub(super) fn receive<T: DeserializeOwned>(socket: BorrowedFd<'_>) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut descriptors = Vec::new();
    let mut header = [0; HEADER];
    if !fill(socket, &mut header, &mut descriptors)? {
        return Ok(None);
    }
    let length = u32::from_le_bytes(header) as usize;
    if length > LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame of impossible length"));
    }
    let mut body = vec![0; length];
    if !fill(socket, &mut body, &mut descriptors)? {
        return Ok(None);
    }
    Ok(Some((serde_json::from_slice(&body)?, descriptors)))
}

fn fill(socket: BorrowedFd<'_>, buffer: &mut [u8], descriptors: &mut Vec<OwnedFd>) -> io::Result<bool> {
    let mut filled = 0;
    while filled < buffer.len() {
        let mut control = nix::cmsg_space!([RawFd; MOST_DESCRIPTORS]);
        let mut parts = [IoSliceMut::new(&mut buffer[filled..])];
        let received = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::MSG_CMSG_CLOEXEC);
        let message = match received {
            Ok(message) => message,
            Err(nix::Error::EINTR) => continue,
            Err(nix::Error::ECONNRESET) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        for part in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(raw) = part {
                // SAFETY: the kernel has just made these descriptors for this process; nobody else owns them.
                descriptors.extend(raw.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
            }
        }
        if message.bytes == 0 {
            return Ok(false);
        }
        filled += message.bytes;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn long_messages_and_descriptors_arrive_whole_and_in_order() -> io::Result<()> {
        let (here, there) = UnixStream::pair()?;
        let (mut reader, writer) = io::pipe()?;
        let long = "x".repeat(3 << 20);
        let sender = std::thread::spawn(move || {
            send(here.as_fd(), &"first", &[])?;
            send(here.as_fd(), &long, &[writer.as_fd(), writer.as_fd()])?;
            send(here.as_fd(), &"last", &[])
        });
        let first = receive::<String>(there.as_fd())?;
        assert_eq!(first.map(|(text, fds)| (text, fds.len())), Some(("first".to_owned(), 0)));
        let (text, descriptors) = receive::<String>(there.as_fd())?.ok_or(io::ErrorKind::UnexpectedEof)?;
        assert_eq!((text.len(), descriptors.len()), (3 << 20, 2));
        let last = receive::<String>(there.as_fd())?;
        assert_eq!(last.map(|(text, fds)| (text, fds.len())), Some(("last".to_owned(), 0)));
        assert!(sender.join().is_ok_and(|sent| sent.is_ok()));
        assert!(receive::<String>(there.as_fd())?.is_none());
        for descriptor in descriptors {
            std::fs::File::from(descriptor).write_all(b"hi")?;
        }
        let mut text = String::new();
        reader.read_to_string(&mut text)?;
        assert_eq!(text, "hihi");
        Ok(())
    }

    #[test]
    fn an_impossible_length_is_refused() -> io::Result<()> {
        let (mut here, there) = UnixStream::pair()?;
        here.write_all(&u32::MAX.to_le_bytes())?;
        assert!(receive::<String>(there.as_fd()).is_err());
        Ok(())
    }
}
