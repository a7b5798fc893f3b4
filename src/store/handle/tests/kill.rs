//! A process that writes and is killed, and a disk that is full: real processes, run from this test binary.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{options, pod, pods, text};
use crate::{OpenError, Store, WriteError};

const DIR: &str = "TINDERBOX_STORE_TEST_DIR";

/// Set in a child: where it is to work.
fn child_dir() -> Option<PathBuf> {
    env::var_os(DIR).map(PathBuf::from)
}

/// Lets a command run one test of this binary as a child.
fn child<'a>(command: &'a mut Command, test: &str, dir: &Path) -> &'a mut Command {
    command
        .arg(format!("handle::tests::kill::{test}"))
        .args(["--exact", "--nocapture", "--test-threads=1"])
        .env(DIR, dir)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().expect("a runtime")
}

/// Four tasks write numbers and print each one that was acknowledged.
async fn write_for_ever(store: Store) {
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..4 {
        let store = store.clone();
        tasks.spawn(async move {
            for number in 0u64.. {
                let name = format!("{task}-{}", number % 10);
                let value = text(&number.to_string());
                let written = match store.get(&pod(&name)) {
                    None => store.create(pod(&name), value).await,
                    Some(found) => store.update(&pod(&name), found.revision, value).await,
                };
                let revision = written.expect("written").revision;
                let line = format!("ack {name} {number} {revision}\n");
                let mut out = std::io::stdout();
                out.write_all(line.as_bytes()).expect("printed");
            }
        });
    }
    tasks.join_next().await;
}

/// Name, number and revision of an acknowledged write, if a line tells of one.
fn acknowledged(line: &str) -> Option<(String, u64, u64)> {
    let mut words = line.split(' ').skip_while(|word| *word != "ack").skip(1);
    let name = words.next()?.to_owned();
    Some((name, words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

#[test]
fn acknowledged_writes_survive_kill_9() {
    if let Some(dir) = child_dir() {
        let store = Store::open(options(&dir)).expect("opens");
        return runtime().block_on(write_for_ever(store));
    }
    let dir = tempfile::tempdir().expect("a folder");
    let mut newest: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for kill_after in [1, 40, 700] {
        let mut command = Command::new(env::current_exe().expect("this program"));
        let mut writer = child(&mut command, "acknowledged_writes_survive_kill_9", dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let out = writer.stdout.take().expect("a pipe");
        let mut count = 0;
        for line in BufReader::new(out).lines() {
            let Some((name, number, revision)) = acknowledged(&line.expect("text")) else {
                continue;
            };
            newest.insert(name, (revision, number));
            count += 1;
            if count == kill_after {
                let held = Store::open(options(dir.path())).map(|_| ());
                assert!(matches!(held, Err(OpenError::InUse { .. })));
                writer.kill().expect("killed");
            }
        }
        writer.wait().expect("ended");
        assert!(count >= kill_after);

        let store = Store::open(options(dir.path())).expect("opens after the kill");
        for (name, (revision, number)) in &newest {
            let object = store.get(&pod(name)).expect("was acknowledged");
            assert!(object.revision >= *revision, "{name}: {revision} is lost");
            let same = object.revision == *revision;
            assert!(!same || object.bytes == number.to_string());
        }
    }
}

/// Works on a disk of 3 MiB.
async fn fill_and_free(dir: PathBuf) {
    let filler = dir.join("filler");
    let store = Store::open(options(&dir.join("store"))).expect("opens");
    let before = store.create(pod("before"), text("1")).await;
    before.expect("there is space");
    let filled = fs::write(&filler, vec![0; 3 << 20]).expect_err("larger than the disk");
    assert_eq!(filled.kind(), ErrorKind::StorageFull);
    let mut watch = store.watch(&pods(), None, 2).expect("remembered");

    let large = text(&"x".repeat(100_000));
    let mut attempts = tokio::task::JoinSet::new();
    for number in 0..5 {
        let (store, large) = (store.clone(), large.clone());
        let key = pod(&format!("f{number}"));
        attempts.spawn(async move { store.create(key, large).await });
    }
    for attempt in attempts.join_all().await {
        let error = attempt.expect_err("no space");
        let WriteError::Io(cause) = &error else { panic!("{error:?}") };
        assert_eq!(cause.kind(), ErrorKind::StorageFull);
    }
    assert_eq!(store.revision(), 2);
    let listed = store.list(&pods(), None, None, 0).items;
    assert_eq!(listed.len(), 1, "reads go on, failed writes are not seen");
    assert_eq!(watch.try_next(), Ok(None));

    fs::remove_file(&filler).expect("freed");
    let after = store.create(pod("f1"), large.clone()).await;
    assert_eq!(after.expect("there is space again").revision, 3);
    assert_eq!(watch.next().await.expect("an event").revision, 3);

    // A log long enough for a snapshot, and no space for that: the writes that fit are done.
    fs::write(&filler, vec![0; 1_950_000]).expect("fits");
    let mut revision = 3;
    for _ in 0..10 {
        let written = store.update(&pod("f1"), revision, large.clone()).await;
        revision = written.expect("fits").revision;
    }
    let full = store.update(&pod("f1"), revision, large.clone()).await;
    assert!(matches!(full, Err(WriteError::Io(_))));
    let log = fs::metadata(dir.join("store/log-0000000000000000"));
    assert!(log.expect("goes on").len() > 1 << 20);
    fs::remove_file(&filler).expect("freed");
    let written = store.update(&pod("f1"), revision, large.clone()).await;
    assert_eq!(written.expect("there is space again").revision, 14);
    drop((store, watch));
    let store = Store::open(options(&dir.join("store"))).expect("opens again");
    assert_eq!(store.revision(), 14);
    assert_eq!(store.list(&pods(), None, None, 0).items.len(), 2);
    assert_eq!(store.get(&pod("f1")).expect("is there").bytes, large);
}

#[test]
fn a_full_disk_fails_the_write_and_nothing_else() {
    if let Some(dir) = child_dir() {
        return runtime().block_on(fill_and_free(dir));
    }
    let dir = tempfile::tempdir().expect("a folder");
    let script = r#"mount -t tmpfs -o size=3m tmpfs "$1" && shift && exec "$@""#;
    let is_root = rustix::process::geteuid().is_root();
    let mut command = Command::new("unshare");
    command
        .args([if is_root { "-m" } else { "-Urm" }, "sh", "-c", script, "sh"])
        .arg(dir.path())
        .arg(env::current_exe().expect("this program"));
    let output =
        child(&mut command, "a_full_disk_fails_the_write_and_nothing_else", dir.path()).output().expect("unshare runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    let passed = output.status.success() && said.contains("1 passed");
    assert!(passed, "{said}\n{complained}");
}
