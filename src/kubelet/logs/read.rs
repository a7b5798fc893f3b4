//! Reading logs back: tail, since, timestamps, limit, and following as lines arrive.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use jiff::Timestamp;
use tinderbox_api::streams::{LogOptions, LogStream, StreamError};
use tokio::sync::mpsc;

use super::{Log, line, open};

/// Bytes that are handed on at once.
const BATCH: usize = 32 << 10;

/// What of a log is wanted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reading {
    pub(crate) tail: Option<u64>,
    pub(crate) since: Option<Timestamp>,
    pub(crate) timestamps: bool,
    pub(crate) limit: Option<u64>,
}

impl From<&LogOptions> for Reading {
    fn from(options: &LogOptions) -> Self {
        Self {
            tail: options.tail_lines,
            since: options.since.and_then(|time| Timestamp::try_from(time).ok()),
            timestamps: options.timestamps,
            limit: options.limit_bytes,
        }
    }
}

/// Turns raw lines into what the reader sees.
struct Printer {
    reading: Reading,
    /// The last byte given out ended a line.
    at_start: bool,
    left: Option<u64>,
}

impl Printer {
    fn new(reading: Reading) -> Self {
        let left = reading.limit;
        Self { reading, at_start: true, left }
    }

    fn is_full(&self) -> bool {
        self.left == Some(0)
    }

    fn print(&mut self, raw: &[u8], out: &mut Vec<u8>) {
        let Some(parsed) = line::parse(raw) else {
            return;
        };
        let late_enough =
            self.reading.since.is_none_or(|since| parsed.time.parse::<Timestamp>().is_ok_and(|time| time >= since));
        if !late_enough {
            return;
        }
        let start = out.len();
        if self.reading.timestamps && self.at_start {
            out.extend_from_slice(parsed.time.as_bytes());
            out.push(b' ');
        }
        out.extend_from_slice(parsed.text);
        if parsed.full {
            out.push(b'\n');
        }
        self.at_start = parsed.full;
        if let Some(left) = &mut self.left {
            let allowed = usize::try_from(*left).unwrap_or(usize::MAX);
            out.truncate(start.saturating_add(allowed).min(out.len()));
            *left -= (out.len() - start) as u64;
        }
    }
}

fn count_lines(files: &mut [File]) -> io::Result<u64> {
    let mut lines = 0;
    for file in files {
        let mut reader = BufReader::with_capacity(BATCH, &*file);
        loop {
            let buffer = reader.fill_buf()?;
            if buffer.is_empty() {
                break;
            }
            lines += buffer.iter().filter(|byte| **byte == b'\n').count() as u64;
            let length = buffer.len();
            reader.consume(length);
        }
        file.rewind()?;
    }
    Ok(lines)
}

/// Files that are read one after the other, line by line.
struct Lines {
    waiting: std::vec::IntoIter<File>,
    current: Option<BufReader<File>>,
    /// The beginning of a line whose end was not written yet.
    partial: Vec<u8>,
    skip: u64,
}

impl Lines {
    fn new(mut files: Vec<File>, tail: Option<u64>) -> io::Result<Self> {
        let skip = match tail {
            Some(tail) => count_lines(&mut files)?.saturating_sub(tail),
            None => 0,
        };
        Ok(Self { waiting: files.into_iter(), current: None, partial: Vec::new(), skip })
    }

    fn add(&mut self, file: File) {
        self.waiting = self.waiting.by_ref().chain([file]).collect::<Vec<_>>().into_iter();
    }

    /// The next whole line into `line`; false when there is none yet.
    fn next(&mut self, line: &mut Vec<u8>) -> io::Result<bool> {
        loop {
            if let Some(reader) = &mut self.current {
                reader.read_until(b'\n', &mut self.partial)?;
                if self.partial.last() == Some(&b'\n') {
                    self.partial.pop();
                    std::mem::swap(line, &mut self.partial);
                    self.partial.clear();
                    if self.skip > 0 {
                        self.skip -= 1;
                        continue;
                    }
                    return Ok(true);
                }
            }
            match self.waiting.next() {
                Some(file) => self.current = Some(BufReader::with_capacity(BATCH, file)),
                None => return Ok(false),
            }
        }
    }
}

/// The whole of a finished run's log at once.
pub(crate) fn read_to_end(path: &Path, reading: &Reading) -> io::Result<Vec<u8>> {
    let mut lines = Lines::new(open(path)?, reading.tail)?;
    let mut printer = Printer::new(reading.clone());
    let (mut line, mut out) = (Vec::new(), Vec::new());
    while !printer.is_full() && lines.next(&mut line)? {
        printer.print(&line, &mut out);
    }
    Ok(out)
}

fn failed(error: &io::Error) -> StreamError {
    StreamError::Internal(format!("cannot read the log: {error}"))
}

fn into_stream(receiver: mpsc::Receiver<Result<Bytes, StreamError>>) -> LogStream {
    futures::stream::unfold(receiver, async |mut receiver| receiver.recv().await.map(|item| (item, receiver))).boxed()
}

/// Streams the log of a run that is over.
pub(crate) fn finished(path: &Path, reading: Reading) -> Result<LogStream, StreamError> {
    let files = open(path).map_err(|error| failed(&error))?;
    let (sender, receiver) = mpsc::channel(2);
    tokio::spawn(run(files, None, reading, sender));
    Ok(into_stream(receiver))
}

/// Streams the log of a live run; with `follow` until it is over.
pub(crate) fn live(log: Arc<Log>, follow: bool, reading: Reading) -> Result<LogStream, StreamError> {
    let (files, seen) = log.open().map_err(|error| failed(&error))?;
    let (sender, receiver) = mpsc::channel(2);
    let tail = follow.then_some((log, seen));
    tokio::spawn(run(files, tail, reading, sender));
    Ok(into_stream(receiver))
}

async fn run(
    files: Vec<File>,
    follow: Option<(Arc<Log>, super::Progress)>,
    reading: Reading,
    sender: mpsc::Sender<Result<Bytes, StreamError>>,
) {
    if let Err(error) = copy(files, follow, reading, &sender).await {
        let _ = sender.send(Err(failed(&error))).await;
    }
}

async fn copy(
    files: Vec<File>,
    mut follow: Option<(Arc<Log>, super::Progress)>,
    reading: Reading,
    sender: &mpsc::Sender<Result<Bytes, StreamError>>,
) -> io::Result<()> {
    let mut lines = Lines::new(files, reading.tail)?;
    let mut printer = Printer::new(reading);
    let mut progress = follow.as_ref().map(|(log, _)| log.follow());
    let mut line = Vec::new();
    loop {
        let mut out = Vec::new();
        let mut more = false;
        while !printer.is_full() && out.len() < BATCH {
            more = lines.next(&mut line)?;
            if !more {
                break;
            }
            printer.print(&line, &mut out);
        }
        if !out.is_empty() && sender.send(Ok(out.into())).await.is_err() {
            return Ok(());
        }
        if more && !printer.is_full() {
            continue;
        }
        let (Some((log, seen)), Some(progress)) = (&mut follow, &mut progress) else {
            return Ok(());
        };
        if printer.is_full() || seen.done {
            return Ok(());
        }
        let last = *seen;
        tokio::select! {
            changed = progress.wait_for(|now| *now != last) => match changed {
                Ok(now) => *seen = *now,
                Err(_) => seen.done = true,
            },
            () = sender.closed() => return Ok(()),
        }
        if seen.rotations != last.rotations {
            // Whatever was written to the file in hand is still read first.
            let (files, now) = log.open()?;
            let fresh = usize::try_from(now.rotations - last.rotations).unwrap_or(usize::MAX);
            let skip = files.len().saturating_sub(fresh);
            for file in files.into_iter().skip(skip) {
                lines.add(file);
            }
            *seen = super::Progress { done: seen.done, ..now };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::line::Source;

    fn sample(folder: &Path) -> (Arc<Log>, std::path::PathBuf) {
        let path = folder.join("0.log");
        let log = Log::create(&path).unwrap();
        for (second, text, full) in [(1, "one", true), (2, "two ", false), (2, "parts", true), (3, "three", true)] {
            let mut line = Vec::new();
            let at = Timestamp::from_second(second).unwrap();
            line::write(&mut line, at, Source::Out, text.as_bytes(), full);
            log.append(&line).unwrap();
        }
        (log, path)
    }

    #[test]
    fn options() {
        let folder = tempfile::tempdir().unwrap();
        let (_log, path) = sample(folder.path());
        let read = |reading: Reading| String::from_utf8(read_to_end(&path, &reading).unwrap()).unwrap();
        let all = Reading::default;
        assert_eq!(read(all()), "one\ntwo parts\nthree\n");
        assert_eq!(read(Reading { tail: Some(1), ..all() }), "three\n");
        assert_eq!(read(Reading { tail: Some(0), ..all() }), "");
        assert_eq!(read(Reading { limit: Some(5), ..all() }), "one\nt");
        let since = Timestamp::from_second(3).unwrap();
        assert_eq!(read(Reading { since: Some(since), ..all() }), "three\n");
        let timestamps = read(Reading { timestamps: true, ..all() });
        assert!(timestamps.contains("1970-01-01T00:00:02.000000000Z two parts\n"), "{timestamps}");
    }

    #[tokio::test]
    async fn following_ends_with_the_container() {
        let folder = tempfile::tempdir().unwrap();
        let (log, _) = sample(folder.path());
        let mut stream = live(log.clone(), true, Reading { tail: Some(1), ..Reading::default() }).unwrap();
        let first = stream.next().await.unwrap().unwrap();
        assert_eq!(first, "three\n");
        let mut line = Vec::new();
        line::write(&mut line, Timestamp::UNIX_EPOCH, Source::Out, b"four", true);
        log.append(&line).unwrap();
        assert_eq!(stream.next().await.unwrap().unwrap(), "four\n");
        log.finish();
        assert!(stream.next().await.is_none());
    }
}
