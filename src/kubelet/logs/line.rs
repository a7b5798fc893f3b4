//! One line of a log in the CRI form: `RFC3339Nano stream F|P text`. Pure.

use bytes::{Buf, BytesMut};
use jiff::Timestamp;

/// Which stream a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Out,
    Err,
}

impl Source {
    fn word(self) -> &'static str {
        match self {
            Self::Out => "stdout",
            Self::Err => "stderr",
        }
    }
}

/// Takes whole lines (and, at the end or when too long, parts) off the front of `rest`.
pub(crate) fn cut(rest: &mut BytesMut, longest: usize, ended: bool, mut emit: impl FnMut(&[u8], bool)) {
    loop {
        let newline = rest.iter().take(longest + 1).position(|byte| *byte == b'\n');
        match newline {
            Some(at) => {
                emit(&rest[..at], true);
                rest.advance(at + 1);
            }
            None if rest.len() > longest => {
                emit(&rest[..longest], false);
                rest.advance(longest);
            }
            None if ended && !rest.is_empty() => {
                emit(rest, false);
                rest.clear();
            }
            None => return,
        }
    }
}

/// Appends one line.
pub(crate) fn write(out: &mut Vec<u8>, at: Timestamp, source: Source, text: &[u8], full: bool) {
    let tag = if full { 'F' } else { 'P' };
    out.extend_from_slice(format!("{at:.9} {} {tag} ", source.word()).as_bytes());
    out.extend_from_slice(text);
    out.push(b'\n');
}

/// A line taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parsed<'a> {
    pub(crate) time: &'a str,
    pub(crate) full: bool,
    pub(crate) text: &'a [u8],
}

/// Reads a line without its newline; `None` for what is none (a torn write).
pub(crate) fn parse(line: &[u8]) -> Option<Parsed<'_>> {
    let mut parts = line.splitn(4, |byte| *byte == b' ');
    let time = std::str::from_utf8(parts.next()?).ok()?;
    let _source = parts.next()?;
    let tag = parts.next()?;
    Some(Parsed { time, full: tag == b"F", text: parts.next()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_and_joins() {
        let mut rest = BytesMut::from("ab\n\nlonger\nx".as_bytes());
        let mut seen = Vec::new();
        cut(&mut rest, 4, true, |text, full| {
            seen.push((String::from_utf8_lossy(text).into_owned(), full));
        });
        let wanted = [("ab", true), ("", true), ("long", false), ("er", true), ("x", false)];
        assert_eq!(seen, wanted.map(|(text, full)| (text.to_owned(), full)));
    }

    #[test]
    fn form() {
        let mut out = Vec::new();
        let at = Timestamp::new(1_700_000_000, 5).unwrap();
        write(&mut out, at, Source::Err, b"hello world", true);
        assert_eq!(out, b"2023-11-14T22:13:20.000000005Z stderr F hello world\n");
        let parsed = parse(&out[..out.len() - 1]).unwrap();
        assert_eq!(
            (parsed.time, parsed.full, parsed.text),
            ("2023-11-14T22:13:20.000000005Z", true, &b"hello world"[..])
        );
        assert_eq!(parse(b"torn"), None);
    }
}
