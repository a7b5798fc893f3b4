//! Files cut, broken, left over and foreign: what opens, with what in it, and what is refused.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::frame::{FORMAT, HEADER};
use super::{LOG_LEAST, frame, log_name, snapshot_name};
use crate::{Collection, Key, OpenError, Options, Store};

fn open(dir: &Path) -> Result<Store, OpenError> {
    Store::open(Options { dir: Some(dir.to_owned()), history: 100 })
}

fn key(name: &str) -> Key {
    Key {
        collection: Collection { group: "batch".into(), resource: "jobs".into() },
        namespace: "default".into(),
        name: name.into(),
    }
}

fn bytes(value: &str) -> Bytes {
    Bytes::copy_from_slice(value.as_bytes())
}

/// A folder with some records in its log: its path, and where the log ends after each revision.
async fn written(dir: &Path, count: u64) -> (PathBuf, Vec<u64>) {
    let store = open(dir).expect("opens");
    let log = dir.join(log_name(0));
    let length = || fs::metadata(&log).expect("is there").len();
    let mut ends = vec![length(), length()];
    for number in 0..count {
        let key = key(&format!("j{}", number % 3));
        match store.get(&key) {
            None => store.create(key, bytes(&format!("value {number}"))).await,
            Some(found) if number % 5 == 4 => store.delete(&key, found.revision).await,
            Some(found) => {
                let value = bytes(&format!("value {number}"));
                store.update(&key, found.revision, value).await
            }
        }
        .expect("written");
        ends.push(length());
    }
    (log, ends)
}

#[tokio::test]
async fn a_log_cut_anywhere_keeps_every_whole_record() {
    let dir = tempfile::tempdir().expect("a folder");
    let (log, ends) = written(dir.path(), 12).await;
    let whole = fs::read(&log).expect("read");
    for cut in HEADER..=whole.len() {
        fs::write(&log, &whole[..cut]).expect("cut");
        let store = open(dir.path()).unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
        let wanted = ends.iter().rposition(|end| *end <= cut as u64).expect("some") as u64;
        assert_eq!(store.revision(), wanted, "cut at {cut}");
        let created = store.create(key("new"), bytes("after")).await;
        assert_eq!(created.expect("writes go on").revision, wanted + 1);
        drop(store);
        let store = open(dir.path()).expect("opens again");
        assert_eq!(store.revision(), wanted + 1, "cut at {cut}");
    }
}

#[tokio::test]
async fn a_torn_end_may_hold_anything() {
    let dir = tempfile::tempdir().expect("a folder");
    let (log, ends) = written(dir.path(), 6).await;
    let whole = fs::read(&log).expect("read");
    for tail in [&[0u8; 4096][..], b"\xf7TB\xff\xff\xff\xff\xff\0\0\0\0", b"\xf7", b"garbage"] {
        fs::write(&log, [&whole, tail].concat()).expect("written");
        assert_eq!(open(dir.path()).expect("opens").revision(), 7);
        assert_eq!(fs::metadata(&log).expect("is there").len(), ends[7]);
    }
    let mut broken = whole.clone();
    let last = ends[6] as usize + 14;
    broken[last] ^= 1;
    fs::write(&log, &broken).expect("written");
    assert_eq!(open(dir.path()).expect("opens").revision(), 6);
}

#[tokio::test]
async fn a_break_in_the_middle_is_named_and_not_served() {
    let dir = tempfile::tempdir().expect("a folder");
    let (log, ends) = written(dir.path(), 6).await;
    let whole = fs::read(&log).expect("read");
    for at in HEADER..ends[6] as usize {
        let mut broken = whole.clone();
        broken[at] ^= 0x40;
        fs::write(&log, &broken).expect("written");
        let record = ends.iter().rfind(|end| **end <= at as u64).expect("some");
        match open(dir.path()) {
            Err(OpenError::Corrupt { path, offset, .. }) => {
                assert_eq!((path, offset), (log.clone(), *record));
            }
            other => panic!("broken at {at}: {:?}", other.map(|store| store.revision())),
        }
        assert_eq!(fs::read(&log).expect("read"), broken, "it is left as it was");
    }
    for at in 0..HEADER {
        let mut broken = whole.clone();
        broken[at] ^= 0x40;
        fs::write(&log, &broken).expect("written");
        let error = open(dir.path()).map(|_| ()).expect_err("a broken header");
        assert!(matches!(error, OpenError::Corrupt { offset: 0, .. } | OpenError::Newer { .. }));
    }
}

#[tokio::test]
async fn records_out_of_order_are_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let (log, ends) = written(dir.path(), 3).await;
    let mut data = fs::read(&log).expect("read");
    data.drain(ends[1] as usize..ends[2] as usize);
    fs::write(&log, &data).expect("written");
    let error = open(dir.path()).map(|_| ()).expect_err("a gap");
    assert!(error.to_string().contains("out of order"), "{error}");
}

#[tokio::test]
async fn a_newer_format_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let (log, _) = written(dir.path(), 1).await;
    let mut data = fs::read(&log).expect("read");
    data[8..12].copy_from_slice(&(FORMAT + 1).to_le_bytes());
    fs::write(&log, &data).expect("written");
    let error = open(dir.path()).map(|_| ()).expect_err("newer");
    assert!(matches!(error, OpenError::Newer { found, known, .. } if (found, known) == (FORMAT + 1, FORMAT)));
    assert!(error.hint().contains("newer program"));
}

#[tokio::test]
async fn a_folder_is_opened_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path()).expect("opens");
    let second = open(dir.path()).map(|_| ()).expect_err("in use");
    assert!(matches!(&second, OpenError::InUse { .. }), "{second}");
    store.close().await;
    open(dir.path()).expect("free after close, even while the handle lives");
}

#[tokio::test]
async fn a_long_log_becomes_a_snapshot() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path()).expect("opens");
    let value = bytes(&"x".repeat(100_000));
    let mut object = store.create(key("large"), value.clone()).await.expect("created");
    store.create(key("small"), bytes("1")).await.expect("created");
    for _ in 0..15 {
        let written = store.update(&key("large"), object.revision, value.clone()).await;
        object = written.expect("written");
    }
    let deleted = store.delete(&key("small"), 3).await.expect("deleted");
    drop(store);
    let names = || -> Vec<String> {
        let entries = fs::read_dir(dir.path()).expect("read");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("read").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(names(), ["lock", &log_name(1), &snapshot_name(1)]);
    let length = fs::metadata(dir.path().join(log_name(1))).expect("is there").len();
    assert!(length < LOG_LEAST);

    let store = open(dir.path()).expect("opens again");
    assert_eq!(store.revision(), deleted.revision);
    assert_eq!(store.get(&key("large")), Some(object));
    assert_eq!(store.get(&key("small")), None);
}

#[tokio::test]
async fn a_crash_during_a_snapshot_leaves_one_whole_generation() {
    let dir = tempfile::tempdir().expect("a folder");
    let (log, _) = written(dir.path(), 5).await;
    // Before the new snapshot has its name: the old generation counts.
    let temporary = dir.path().join(format!("{}.new", snapshot_name(1)));
    fs::write(&temporary, b"half").expect("written");
    fs::write(dir.path().join(log_name(1)), frame::header(frame::Kind::Log, 6)).expect("written");
    assert_eq!(open(dir.path()).expect("opens").revision(), 6);
    assert!(!temporary.exists() && !dir.path().join(log_name(1)).exists());
    // After that: the new one, whatever is left of the old.
    let old = fs::read(&log).expect("read");
    open(dir.path()).expect("opens").close().await;
    fs::write(&log, &old[..old.len() - 3]).expect("written");
    let store = open(dir.path()).expect("opens");
    assert_eq!((store.revision(), log.exists()), (6, false));
    // A first log that was never finished.
    let fresh = tempfile::tempdir().expect("a folder");
    fs::write(fresh.path().join(log_name(0) + ".new"), b"TN").expect("written");
    assert_eq!(open(fresh.path()).expect("opens").revision(), 1);
}

#[tokio::test]
async fn a_broken_or_missing_snapshot_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    written(dir.path(), 5).await;
    open(dir.path()).expect("opens").close().await;
    let path = dir.path().join(snapshot_name(1));
    let whole = fs::read(&path).expect("read");
    for at in 0..whole.len() {
        let mut broken = whole.clone();
        broken[at] ^= 0x40;
        for broken in [&broken[..], &whole[..at]] {
            fs::write(&path, broken).expect("written");
            match open(dir.path()) {
                Err(OpenError::Corrupt { path: named, .. } | OpenError::Newer { path: named, .. }) => {
                    assert_eq!(named, path);
                }
                other => panic!("at {at}: {:?}", other.map(|store| store.revision())),
            }
        }
    }
    fs::remove_file(&path).expect("removed");
    let error = open(dir.path()).map(|_| ()).expect_err("its log alone");
    assert!(error.to_string().contains("its snapshot is missing"), "{error}");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let error = open(&file.path().join("store")).map(|_| ()).expect_err("below a file");
    assert!(error.to_string().starts_with("could not create "), "{error}");
}
