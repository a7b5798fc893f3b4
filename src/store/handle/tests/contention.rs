//! Many writers at once: one wins, all revisions are told apart, and refusals speak of what can be read.

use super::{memory, options, pod, pods, text};
use crate::{Store, WriteError};

async fn one_of_many_wins(store: Store) {
    let mut revision = 0;
    for round in 0..20 {
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..16 {
            let store = store.clone();
            let value = text(&format!("{round} {writer}"));
            writers.spawn(async move {
                let result = match round {
                    0 => store.create(pod("one"), value).await,
                    _ => store.update(&pod("one"), revision, value).await,
                };
                if let Err(WriteError::Exists(newest) | WriteError::Conflict(newest)) = &result {
                    let read = store.get(&pod("one")).expect("is there");
                    assert!(read.revision >= newest.revision);
                }
                result
            });
        }
        let mut won = Vec::new();
        while let Some(result) = writers.join_next().await {
            match result.expect("ran") {
                Ok(object) => won.push(object),
                Err(WriteError::Exists(_) | WriteError::Conflict(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(won.len(), 1, "round {round}");
        assert_eq!(store.get(&pod("one")).as_ref(), won.first());
        revision = won[0].revision;
    }
    assert_eq!(store.revision(), 21);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_writers_of_one_key_exactly_one_wins() {
    let dir = tempfile::tempdir().expect("a folder");
    one_of_many_wins(Store::open(options(dir.path())).expect("opens")).await;
    one_of_many_wins(memory(10)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_of_many_keys_lose_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(options(dir.path())).expect("opens");
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let store = store.clone();
        writers.spawn(async move {
            for number in 0..50 {
                let key = pod(&format!("{writer}-{number}"));
                let made = store.create(key.clone(), text("1")).await.expect("created");
                assert_eq!(store.get(&key), Some(made.clone()), "acknowledged");
                let gone = store.delete(&key, made.revision).await.expect("deleted");
                assert!(gone.revision > made.revision && gone.bytes == made.bytes);
                assert_eq!(store.get(&key), None);
                store.create(key, text("2")).await.expect("created again");
            }
        });
    }
    writers.join_all().await;
    assert_eq!(store.revision(), 1 + 8 * 50 * 3);
    let before = store.list(&pods(), None, None, 0).items;
    drop(store);
    let store = Store::open(options(dir.path())).expect("opens again");
    assert_eq!(store.list(&pods(), None, None, 0).items, before);
}
