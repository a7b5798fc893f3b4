//! Frames of SPDY/3.1, read and written. It must not know what streams carry.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::headers::{Headers, Packer, Unpacker};

/// Control frames larger than this end the connection; data comes in pieces of at most this.
const PIECE: usize = 32 * 1024;
const LARGEST_CONTROL: usize = 256 * 1024;
/// Flags of data frames, replies and new streams: the sender says no more on this stream.
const FIN: u8 = 1;
/// The other side sends nothing on the stream.
const UNIDIRECTIONAL: u8 = 2;

/// Reason of a reset: the stream is not known.
pub(super) const INVALID_STREAM: u32 = 2;

/// One frame, or one piece of a data frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    /// A new stream.
    SynStream {
        /// Which.
        id: u32,
        /// Its headers.
        headers: Headers,
        /// Its opener sends nothing on it.
        fin: bool,
        /// The other side sends nothing on it.
        unidirectional: bool,
    },
    /// The stream is taken.
    SynReply(u32),
    /// The stream ends at once.
    Reset(u32, u32),
    /// Prove to be there.
    Ping(u32),
    /// No new streams after this one.
    GoAway(u32),
    /// More of what the stream carries.
    Data {
        /// Which.
        id: u32,
        /// The bytes.
        bytes: Bytes,
        /// The last ones.
        fin: bool,
    },
    /// What asks for nothing here: settings, window updates, later headers.
    Other,
}

/// Why reading ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    #[error("the connection ended")]
    Io(#[from] std::io::Error),
    #[error("not SPDY/3: {0}")]
    Protocol(&'static str),
}

/// Reads frames.
pub(super) struct Reader<R> {
    io: R,
    unpacker: Unpacker,
    /// Stream, bytes still to come, and end of the data frame that is being read.
    data: Option<(u32, usize, bool)>,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub(super) fn new(io: R) -> Self {
        Self { io, unpacker: Unpacker::new(), data: None }
    }

    /// The next frame, or the next piece of one; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        if let Some((id, left, fin)) = self.data {
            return self.piece(id, left, fin).await.map(Some);
        }
        let mut head = [0; 8];
        match self.io.read_exact(&mut head).await {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let word = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
        let flags = head[4];
        let length = usize::from(head[5]) << 16 | usize::from(head[6]) << 8 | usize::from(head[7]);
        if word & 0x8000_0000 == 0 {
            return self.piece(word, length, flags & FIN != 0).await.map(Some);
        }
        if (word >> 16) & 0x7fff != 3 {
            return Err(FrameError::Protocol("another version"));
        }
        if length > LARGEST_CONTROL {
            return Err(FrameError::Protocol("a control frame is too large"));
        }
        let mut payload = vec![0; length];
        self.io.read_exact(&mut payload).await?;
        self.control(word & 0xffff, flags, &payload).map(Some)
    }

    async fn piece(&mut self, id: u32, left: usize, fin: bool) -> Result<Frame, FrameError> {
        let size = left.min(PIECE);
        let mut bytes = BytesMut::zeroed(size);
        self.io.read_exact(&mut bytes).await?;
        let left = left - size;
        self.data = (left > 0).then_some((id, left, fin));
        Ok(Frame::Data { id, bytes: bytes.freeze(), fin: fin && left == 0 })
    }

    fn control(&mut self, kind: u32, flags: u8, mut payload: &[u8]) -> Result<Frame, FrameError> {
        const SHORT: FrameError = FrameError::Protocol("a control frame is too short");
        const HEADERS: FrameError = FrameError::Protocol("a header block is damaged or too large");
        let mut word = || payload.try_get_u32().map_err(|_| SHORT);
        match kind {
            1 => {
                let id = word()? & 0x7fff_ffff;
                // The stream it belongs to, its priority and slot.
                word()?;
                payload.try_get_u16().map_err(|_| SHORT)?;
                let headers = self.unpacker.unpack(payload).ok_or(HEADERS)?;
                Ok(Frame::SynStream { id, headers, fin: flags & FIN != 0, unidirectional: flags & UNIDIRECTIONAL != 0 })
            }
            2 | 8 => {
                let id = word()? & 0x7fff_ffff;
                // Every block must be read: they share one window.
                self.unpacker.unpack(payload).ok_or(HEADERS)?;
                Ok(match (kind, flags & FIN != 0) {
                    (2, false) => Frame::SynReply(id),
                    (_, true) => Frame::Data { id, bytes: Bytes::new(), fin: true },
                    _ => Frame::Other,
                })
            }
            3 => Ok(Frame::Reset(word()? & 0x7fff_ffff, word()?)),
            6 => Ok(Frame::Ping(word()?)),
            7 => Ok(Frame::GoAway(word()? & 0x7fff_ffff)),
            _ => Ok(Frame::Other),
        }
    }
}

/// Writes frames.
pub(super) struct Writer {
    packer: Packer,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self { packer: Packer::new() }
    }

    /// Appends the frame; `None` when it cannot be written any more.
    pub(super) fn put(&mut self, frame: &Frame, out: &mut Vec<u8>) -> Option<()> {
        match frame {
            Frame::SynStream { id, headers, fin, unidirectional } => {
                let block = self.packer.pack(headers)?;
                let flags = u8::from(*fin) * FIN + u8::from(*unidirectional) * UNIDIRECTIONAL;
                control(out, 1, flags, block.len() + 10)?;
                out.put_u32(*id);
                out.put_u32(0);
                out.put_u16(0);
                out.extend_from_slice(&block);
            }
            Frame::SynReply(id) => {
                let block = self.packer.pack(&Headers::new())?;
                control(out, 2, 0, block.len() + 4)?;
                out.put_u32(*id);
                out.extend_from_slice(&block);
            }
            Frame::Reset(id, status) => {
                control(out, 3, 0, 8)?;
                out.put_u32(*id);
                out.put_u32(*status);
            }
            Frame::Ping(id) => {
                control(out, 6, 0, 4)?;
                out.put_u32(*id);
            }
            Frame::GoAway(last) => {
                control(out, 7, 0, 8)?;
                out.put_u32(*last);
                out.put_u32(0);
            }
            Frame::Data { id, bytes, fin } => {
                let length = u32::try_from(bytes.len()).ok().filter(|length| length >> 24 == 0)?;
                out.put_u32(*id);
                out.put_u32(u32::from(u8::from(*fin) * FIN) << 24 | length);
                out.extend_from_slice(bytes);
            }
            Frame::Other => {}
        }
        Some(())
    }
}

fn control(out: &mut Vec<u8>, kind: u32, flags: u8, length: usize) -> Option<()> {
    let length = u32::try_from(length).ok().filter(|length| length >> 24 == 0)?;
    out.put_u32(0x8003_0000 | kind);
    out.put_u32(u32::from(flags) << 24 | length);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn round(frames: &[Frame]) -> Vec<Frame> {
        let (mut writer, mut bytes) = (Writer::new(), Vec::new());
        for frame in frames {
            writer.put(frame, &mut bytes).unwrap();
        }
        let mut reader = Reader::new(bytes.as_slice());
        let mut read = Vec::new();
        while let Some(frame) = reader.next().await.unwrap() {
            read.push(frame);
        }
        read
    }

    #[tokio::test]
    async fn reads_what_it_writes() {
        let headers: Headers = [("streamtype".to_owned(), "data".to_owned())].into();
        let frames = [
            Frame::SynStream { id: 1, headers: headers.clone(), fin: false, unidirectional: false },
            Frame::SynReply(1),
            Frame::Data { id: 1, bytes: Bytes::from_static(b"hello"), fin: false },
            Frame::SynStream { id: 3, headers, fin: true, unidirectional: true },
            Frame::Data { id: 1, bytes: Bytes::new(), fin: true },
            Frame::Reset(3, INVALID_STREAM),
            Frame::Ping(7),
            Frame::GoAway(3),
        ];
        assert_eq!(round(&frames).await, frames);
    }

    #[tokio::test]
    async fn large_data_comes_in_pieces() {
        let bytes = Bytes::from(vec![7; 100_000]);
        let frames = [Frame::Data { id: 5, bytes, fin: true }, Frame::Ping(1)];
        let read = round(&frames).await;
        let sizes: Vec<(usize, bool)> = read
            .iter()
            .filter_map(|frame| match frame {
                Frame::Data { bytes, fin, .. } => Some((bytes.len(), *fin)),
                _ => None,
            })
            .collect();
        assert_eq!(sizes, [(32768, false), (32768, false), (32768, false), (1696, true)]);
        assert_eq!(read.last(), Some(&Frame::Ping(1)));
    }

    #[tokio::test]
    async fn passes_over_settings_and_window_updates() {
        let bytes: &[u8] = &[
            0x80, 3, 0, 4, 0, 0, 0, 4, 0, 0, 0, 0, // settings, none
            0x80, 3, 0, 9, 0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 1, 0, // window update
            0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 9, // ping 9
        ];
        let mut reader = Reader::new(bytes);
        let mut read = Vec::new();
        while let Some(frame) = reader.next().await.unwrap() {
            read.push(frame);
        }
        assert_eq!(read, [Frame::Other, Frame::Other, Frame::Ping(9)]);
    }

    #[tokio::test]
    async fn refuses_other_things() {
        for bytes in [
            &[0x80, 2, 0, 6, 0, 0, 0, 4, 0, 0, 0, 9][..],
            &[0x80, 3, 0, 1, 0xff, 0xff, 0xff, 0xff][..],
            &[0x80, 3, 0, 6, 0, 0, 0, 2, 0, 0][..],
            &[0x80, 3, 0, 1, 0, 0, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 2][..],
        ] {
            assert!(Reader::new(bytes).next().await.is_err(), "{bytes:?}");
        }
        assert!(matches!(Reader::new(&b"GET"[..]).next().await, Ok(None)));
    }
}
