//! Header blocks of SPDY/3.1: names and values with their lengths, compressed by zlib with a dictionary and one window
//! for all blocks of a connection and direction. It must not know frames.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// Headers of a stream; names in lower case, several values of a name joined by a zero byte.
pub(crate) type Headers = BTreeMap<String, String>;

/// A block that says it is larger is refused.
const LARGEST: usize = 64 * 1024;

const WORDS: &str = "options head post put delete trace accept accept-charset accept-encoding accept-language \
accept-ranges age allow authorization cache-control connection content-base content-encoding content-language \
content-length content-location content-md5 content-range content-type date etag expect expires from host if-match \
if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma \
proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade \
user-agent vary via warning www-authenticate method get status 200+OK version HTTP/1.1 url public set-cookie \
keep-alive origin";
const TAIL: &str = "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505\
203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden\
404 Not Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept \
Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,\
application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdch\
charset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

/// The dictionary that the specification gives: words with their lengths, then plain text.
static DICTIONARY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut bytes = Vec::new();
    for word in WORDS.split(' ') {
        put_text(&mut bytes, &word.replace('+', " "));
    }
    bytes.extend_from_slice(TAIL.as_bytes());
    bytes
});

/// Compresses the header blocks of one direction.
pub(super) struct Packer(Option<Compress>);

impl Packer {
    pub(super) fn new() -> Self {
        Self(None)
    }

    /// A block of these headers; `None` when zlib fails, after which the connection is of no more use.
    pub(super) fn pack(&mut self, headers: &Headers) -> Option<Vec<u8>> {
        let mut plain = Vec::new();
        put_length(&mut plain, headers.len());
        for (name, value) in headers {
            put_text(&mut plain, name);
            put_text(&mut plain, value);
        }
        if self.0.is_none() {
            let mut fresh = Compress::new(Compression::fast(), true);
            fresh.set_dictionary(&DICTIONARY).ok()?;
            self.0 = Some(fresh);
        }
        let zlib = self.0.as_mut()?;
        let start = zlib.total_in();
        let mut out = Vec::with_capacity(plain.len() + 64);
        loop {
            let done = usize::try_from(zlib.total_in() - start).ok()?;
            zlib.compress_vec(plain.get(done..)?, &mut out, FlushCompress::Sync).ok()?;
            if out.len() < out.capacity() {
                return Some(out);
            }
            out.reserve(256);
        }
    }
}

/// Reads the header blocks of one direction.
pub(super) struct Unpacker(Decompress);

impl Unpacker {
    pub(super) fn new() -> Self {
        Self(Decompress::new(true))
    }

    /// The headers in a block; `None` when it is damaged or too large.
    pub(super) fn unpack(&mut self, block: &[u8]) -> Option<Headers> {
        let mut plain = Vec::with_capacity(block.len() * 4 + 256);
        let start = self.0.total_in();
        loop {
            let done = usize::try_from(self.0.total_in() - start).ok()?;
            let rest = block.get(done..)?;
            match self.0.decompress_vec(rest, &mut plain, FlushDecompress::Sync) {
                Ok(Status::StreamEnd) => break,
                Ok(_) if plain.len() == plain.capacity() => {
                    if plain.len() > LARGEST {
                        return None;
                    }
                    plain.reserve(plain.len());
                }
                Ok(_) => break,
                Err(error) => {
                    error.needs_dictionary()?;
                    self.0.set_dictionary(&DICTIONARY).ok()?;
                }
            }
        }
        parse(&plain)
    }
}

fn parse(mut plain: &[u8]) -> Option<Headers> {
    let length = |plain: &mut &[u8]| -> Option<usize> {
        let (first, rest) = plain.split_first_chunk::<4>()?;
        *plain = rest;
        usize::try_from(u32::from_be_bytes(*first)).ok()
    };
    let text = |plain: &mut &[u8]| -> Option<String> {
        let length = length(plain)?;
        let (text, rest) = plain.split_at_checked(length)?;
        *plain = rest;
        Some(String::from_utf8_lossy(text).into_owned())
    };
    let (count, rest) = plain.split_first_chunk::<4>()?;
    plain = rest;
    let mut headers = Headers::new();
    for _ in 0..u32::from_be_bytes(*count) {
        let name = text(&mut plain)?;
        headers.insert(name.to_ascii_lowercase(), text(&mut plain)?);
    }
    Some(headers)
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_length(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> Headers {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_dictionary_is_the_specified_one() {
        assert_eq!(DICTIONARY.len(), 1423);
        let (mut a, mut b) = (1_u32, 0_u32);
        for byte in DICTIONARY.iter() {
            a = (a + u32::from(*byte)) % 65521;
            b = (b + a) % 65521;
        }
        assert_eq!((b << 16) | a, 0xe3c6_a7c2);
    }

    #[test]
    fn blocks_share_one_window() {
        let (mut packer, mut unpacker) = (Packer::new(), Unpacker::new());
        let first = headers(&[("streamtype", "error"), ("port", "8080"), ("requestid", "0")]);
        let one = packer.pack(&first).unwrap();
        assert_eq!(unpacker.unpack(&one), Some(first.clone()));
        let again = packer.pack(&first).unwrap();
        assert!(again.len() < one.len(), "{} {}", again.len(), one.len());
        assert_eq!(unpacker.unpack(&again), Some(first));
        assert_eq!(unpacker.unpack(&packer.pack(&Headers::new()).unwrap()), Some(Headers::new()));
    }

    #[test]
    fn large_blocks_pass() {
        let long = headers(&[("a", &"x".repeat(20_000)), ("b", "y")]);
        let block = Packer::new().pack(&long).unwrap();
        assert_eq!(Unpacker::new().unpack(&block), Some(long));
    }

    #[test]
    fn refuses_damage_and_bombs() {
        assert_eq!(Unpacker::new().unpack(b"nonsense"), None);
        let bomb = headers(&[("a", &"x".repeat(1 << 20))]);
        let block = Packer::new().pack(&bomb).unwrap();
        assert!(block.len() < LARGEST);
        assert_eq!(Unpacker::new().unpack(&block), None);
    }
}
