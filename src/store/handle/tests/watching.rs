//! Watches: order, resuming, selection, expiry, bookmarks; across a restart too.

use std::pin::{Pin, pin};
use std::task::Poll;

use super::{key, memory, nodes, options, pod, pods, text};
use crate::{Change, Event, Store, Watch};

async fn put(store: &Store, name: &str, value: &str) -> u64 {
    let written = match store.get(&pod(name)) {
        None => store.create(pod(name), text(value)).await,
        Some(found) => store.update(&pod(name), found.revision, text(value)).await,
    };
    written.expect("written").revision
}

fn watch(store: &Store, after: u64) -> Watch {
    store.watch(&pods(), None, after).expect("remembered")
}

async fn next_revision(watch: &mut Watch) -> u64 {
    watch.next().await.expect("an event").revision
}

#[tokio::test]
async fn events_tell_both_versions() {
    let store = memory(100);
    let mut watch = watch(&store, 1);
    put(&store, "a", "1").await;
    put(&store, "a", "2").await;
    let last = store.delete(&pod("a"), 3).await.expect("deleted");
    assert_eq!((last.revision, &last.bytes[..]), (4, &b"2"[..]));

    let created = watch.next().await.expect("an event");
    let Change::Created(first) = &created.change else { panic!("{created:?}") };
    assert_eq!((created.revision, first.revision), (2, 2));
    assert_eq!(first.bytes, "1");

    let updated = watch.next().await.expect("an event");
    let Change::Updated { current, previous } = &updated.change else { panic!("{updated:?}") };
    assert_eq!((previous, current.revision), (first, 3));
    assert_eq!(current.bytes, "2");

    let deleted = Event { revision: 4, change: Change::Deleted(last) };
    assert_eq!(watch.next().await, Ok(deleted));
    assert_eq!(watch.try_next(), Ok(None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_watches_see_everything_in_order() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(options(dir.path())).expect("opens");
    let mut watchers = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let mut watch = watch(&store, 1);
        watchers.spawn(async move {
            let mut seen = Vec::new();
            while seen.len() < 200 {
                seen.push(next_revision(&mut watch).await);
            }
            seen
        });
    }
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..4 {
        let store = store.clone();
        writers.spawn(async move {
            for _ in 0..50 {
                put(&store, &format!("w{writer}"), "x").await;
            }
        });
    }
    writers.join_all().await;
    for seen in watchers.join_all().await {
        assert_eq!(seen, (2..=201).collect::<Vec<u64>>());
    }
}

#[tokio::test]
async fn a_watch_resumes_where_it_was() {
    let store = memory(100);
    for value in ["1", "2", "3"] {
        put(&store, "a", value).await;
    }
    let mut first = watch(&store, 1);
    let seen = next_revision(&mut first).await;
    drop(first);
    let mut second = watch(&store, seen);
    assert_eq!(next_revision(&mut second).await, seen + 1);
}

#[tokio::test]
async fn a_watch_sees_its_collection_and_namespace_alone() {
    let store = memory(100);
    let mut watch = store.watch(&pods(), Some("b"), 1).expect("remembered");
    for key in [key(nodes(), "", "n"), key(pods(), "a", "p"), key(pods(), "b", "p")] {
        store.create(key, text("")).await.expect("created");
    }
    assert_eq!(watch.revision(), 1, "an event waits");
    let event = watch.next().await.expect("an event");
    assert_eq!(event.object().key, key(pods(), "b", "p"));
    assert_eq!(watch.revision(), 4);
    let created = store.create(key(nodes(), "", "m"), text("")).await;
    created.expect("created");
    assert_eq!(watch.revision(), 5, "nothing here, so all of it is seen");
}

#[tokio::test]
async fn what_is_forgotten_is_expired() {
    let store = memory(10);
    let mut slow = watch(&store, 1);
    for number in 0..12 {
        put(&store, &format!("p{number}"), "").await;
    }
    let expired = slow.next().await.expect_err("too far behind");
    assert_eq!((expired.requested, expired.oldest), (1, 3));
    assert!(store.watch(&pods(), None, 2).is_err());
    let mut resumed = watch(&store, 3);
    assert_eq!(next_revision(&mut resumed).await, 4);
    store.compact_history();
    assert!(store.watch(&pods(), None, 12).is_err());
    assert!(resumed.next().await.is_err());
    let mut fresh = watch(&store, 13);
    put(&store, "p0", "again").await;
    assert_eq!(next_revision(&mut fresh).await, 14);
}

#[tokio::test]
async fn a_quiet_collection_does_not_expire_its_watch() {
    let store = memory(10);
    let mut quiet = store.watch(&nodes(), None, 1).expect("remembered");
    for number in 0..30 {
        put(&store, &format!("p{number}"), "").await;
    }
    store.compact_history();
    let created = store.create(key(nodes(), "", "n"), text("")).await;
    created.expect("created");
    assert_eq!(next_revision(&mut quiet).await, 32);
}

#[tokio::test]
async fn large_objects_shorten_the_history() {
    let store = memory(100_000);
    let mut slow = watch(&store, 1);
    let large = "x".repeat(1 << 20);
    for _ in 0..100 {
        put(&store, "large", &large).await;
    }
    let expired = slow.next().await.expect_err("too far behind");
    assert_eq!(expired.oldest, 101 - 64);
}

#[tokio::test]
async fn a_dropped_wait_loses_nothing() {
    let store = memory(10);
    let mut watch = watch(&store, 1);
    {
        let mut waiting = pin!(watch.next());
        assert!(waits(waiting.as_mut()).await);
        put(&store, "a", "").await;
    }
    assert_eq!(next_revision(&mut watch).await, 2);
}

async fn waits<F: Future>(mut future: Pin<&mut F>) -> bool {
    std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
}

#[tokio::test]
async fn the_log_lets_watches_resume_after_a_restart() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(options(dir.path())).expect("opens");
    for value in ["1", "2", "3"] {
        put(&store, "a", value).await;
    }
    drop(store);
    let store = Store::open(options(dir.path())).expect("opens again");
    let mut resumed = watch(&store, 2);
    let event = resumed.next().await.expect("an event");
    assert!(matches!(&event.change, Change::Updated { previous, .. } if previous.revision == 2));
    store.close().await;
    let store = Store::open(options(dir.path())).expect("opens again");
    assert_eq!(store.revision(), 4);
    let gone = store.watch(&pods(), None, 3);
    assert!(gone.is_err(), "a snapshot has no history");
    assert!(store.watch(&pods(), None, 4).is_ok());
    assert_eq!(store.get(&pod("a")).expect("is there").revision, 4);
}
