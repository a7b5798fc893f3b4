//! Plain, gzip and zstd streams, told apart by how they begin.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::StreamingDecoder;

const BUFFER: usize = 256 << 10;

/// The content of a stream, whatever it is packed with.
///
/// # Errors
/// When its beginning cannot be read.
pub fn reader<'a>(mut stream: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    // A pipe may give less at first; the longest mark has four bytes.
    let mut start = Vec::new();
    stream.by_ref().take(4).read_to_end(&mut start)?;
    let mark = start.clone();
    let stream = BufReader::with_capacity(BUFFER, io::Cursor::new(start).chain(stream));
    if mark.starts_with(&[0x1f, 0x8b]) {
        return Ok(Box::new(MultiGzDecoder::new(stream)));
    }
    if mark.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        return Ok(Box::new(Frames { stream: Some(stream), frame: None }));
    }
    Ok(Box::new(stream))
}

/// What is wrong with an archive that could not be read.
pub(super) fn problem(error: &io::Error) -> String {
    let text = error.to_string();
    let is_cut = error.kind() == io::ErrorKind::UnexpectedEof || text.contains("unexpected EOF");
    if is_cut { "it is cut off".to_owned() } else { text }
}

/// One zstd frame after the other, as `zstd` itself reads them.
struct Frames<R: BufRead> {
    stream: Option<R>,
    frame: Option<Box<StreamingDecoder<R, ruzstd::decoding::FrameDecoder>>>,
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(frame) = &mut self.frame {
                let read = frame.read(buffer)?;
                if read > 0 || buffer.is_empty() {
                    return Ok(read);
                }
                self.stream = self.frame.take().map(|frame| frame.into_inner());
            }
            let Some(mut stream) = self.stream.take() else { return Ok(0) };
            if stream.fill_buf()?.is_empty() {
                return Ok(0);
            }
            let frame = StreamingDecoder::new(stream).map_err(io::Error::other)?;
            self.frame = Some(Box::new(frame));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn unpacked(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        reader(bytes).and_then(|mut reader| reader.read_to_end(&mut out)).expect("read");
        out
    }

    #[test]
    fn all_three_kinds() {
        let text = b"text ".repeat(100_000);
        assert_eq!(unpacked(&text), text);
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&text).expect("packed");
        assert_eq!(unpacked(&gz.finish().expect("packed")), text);
        let packed = |text: &[u8]| ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest);
        let two = [packed(&text), packed(b"end")].concat();
        assert_eq!(unpacked(&two), [text.as_slice(), b"end"].concat());
        assert_eq!(unpacked(b""), b"");
    }

    #[test]
    fn what_is_cut_off_is_an_error() {
        let text: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&text).expect("packed");
        let gz = gz.finish().expect("packed");
        let zstd = ruzstd::encoding::compress_to_vec(text.as_slice(), ruzstd::encoding::CompressionLevel::Fastest);
        for packed in [gz, zstd] {
            let cut = &packed[..packed.len() / 2];
            assert!(reader(cut).and_then(|mut reader| io::copy(&mut reader, &mut io::sink())).is_err());
        }
    }
}
