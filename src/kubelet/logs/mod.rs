//! Logs of containers: files of CRI lines, written as output arrives, rotated, read back. It must not know pods.

pub(crate) mod line;
pub(crate) mod read;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use tokio::io::AsyncReadExt;
use tokio::sync::{broadcast, watch};

use self::line::Source;
use crate::fd::Stream;

/// A file that has grown past this is put aside.
const LARGEST: u64 = 10 << 20;
/// Files kept for one run, the current one included.
pub(crate) const KEPT: usize = 5;
/// Lines are cut into parts of this length.
const LONGEST_LINE: usize = 16 << 10;
const CHUNK: usize = 16 << 10;

/// How far a log has come; readers that follow wait for it to change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) written: u64,
    pub(crate) rotations: u64,
    /// Nothing more will come.
    pub(crate) done: bool,
}

#[derive(Debug)]
struct Inner {
    file: File,
    size: u64,
}

/// The log of one run of one container.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    inner: Mutex<Inner>,
    progress: watch::Sender<Progress>,
}

impl Log {
    /// Makes the file and the folders above it.
    pub(crate) fn create(path: &Path) -> io::Result<Arc<Self>> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let size = file.metadata()?.len();
        Ok(Arc::new(Self {
            path: path.to_owned(),
            inner: Mutex::new(Inner { file, size }),
            progress: watch::Sender::new(Progress::default()),
        }))
    }

    /// Tells of what is written from now on.
    pub(crate) fn follow(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// No more output: the container and its streams are over.
    pub(crate) fn finish(&self) {
        self.progress.send_modify(|progress| progress.done = true);
    }

    /// Opens all files of this run, oldest first, with the progress that they stand for.
    pub(crate) fn open(&self) -> io::Result<(Vec<File>, Progress)> {
        let _held = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        Ok((open(&self.path)?, *self.progress.borrow()))
    }

    fn append(&self, lines: &[u8]) -> io::Result<()> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let rotate = inner.size >= LARGEST;
        if rotate {
            for age in (1..KEPT - 1).rev() {
                let _ = std::fs::rename(aside(&self.path, age), aside(&self.path, age + 1));
            }
            std::fs::rename(&self.path, aside(&self.path, 1))?;
            inner.file = OpenOptions::new().create(true).append(true).open(&self.path)?;
            inner.size = 0;
        }
        inner.file.write_all(lines)?;
        inner.size += lines.len() as u64;
        self.progress.send_modify(|progress| {
            progress.written += lines.len() as u64;
            progress.rotations += u64::from(rotate);
        });
        Ok(())
    }
}

fn aside(path: &Path, age: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{age}"));
    name.into()
}

/// Opens the files of a run that is over, oldest first.
pub(crate) fn open(path: &Path) -> io::Result<Vec<File>> {
    let old = (1..KEPT).rev().filter_map(|age| File::open(aside(path, age)).ok());
    Ok(old.chain([File::open(path)?]).collect())
}

/// One chunk of output, for whoever is attached.
pub(crate) type Tap = broadcast::Sender<(Source, Bytes)>;

/// Copies a stream into the log until it ends.
pub(crate) async fn pump(mut stream: Stream, source: Source, log: Arc<Log>, tap: Tap) {
    let mut rest = BytesMut::new();
    let mut out = Vec::new();
    loop {
        let mut chunk = BytesMut::with_capacity(CHUNK);
        let ended = match stream.read_buf(&mut chunk).await {
            Ok(0) => true,
            Ok(_) => false,
            Err(error) => {
                tracing::debug!(%error, "cannot read a container's output");
                true
            }
        };
        let now = Timestamp::now();
        if tap.receiver_count() > 0 && !chunk.is_empty() {
            // Nobody attached any more: that is fine.
            let _ = tap.send((source, chunk.clone().freeze()));
        }
        rest.extend_from_slice(&chunk);
        out.clear();
        line::cut(&mut rest, LONGEST_LINE, ended, |part, full| {
            line::write(&mut out, now, source, part, full);
        });
        if !out.is_empty()
            && let Err(error) = log.append(&out)
        {
            tracing::warn!(%error, path = %log.path.display(), "cannot write a container's log");
        }
        if ended {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::read::{Reading, read_to_end};

    #[test]
    fn rotates_and_keeps_five_files() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::create(&folder.path().join("c/0.log")).unwrap();
        let line = {
            let mut line = Vec::new();
            line::write(&mut line, Timestamp::UNIX_EPOCH, Source::Out, &[b'x'; 1 << 14], true);
            line
        };
        let lines = 7 * LARGEST / line.len() as u64;
        for _ in 0..lines {
            log.append(&line).unwrap();
        }
        let (files, progress) = log.open().unwrap();
        assert_eq!(files.len(), KEPT);
        assert!(progress.rotations >= 6);
        assert!(files.iter().all(|f| f.metadata().unwrap().len() < LARGEST + line.len() as u64));
    }

    #[tokio::test]
    async fn output_comes_back_byte_for_byte() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.log");
        let log = Log::create(&path).unwrap();
        let (reader, mut writer) = io::pipe().unwrap();
        let text = format!("one\n\ntwo {}\nno newline", "long".repeat(10_000));
        let copy = text.clone();
        let write = std::thread::spawn(move || writer.write_all(copy.as_bytes()));
        let (tap, _) = broadcast::channel(4);
        pump(Stream::new(reader.into()).unwrap(), Source::Out, log.clone(), tap).await;
        write.join().unwrap().unwrap();
        log.finish();
        let back = read_to_end(&path, &Reading::default()).unwrap();
        assert_eq!(String::from_utf8(back).unwrap(), text);
    }
}
