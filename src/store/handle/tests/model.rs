//! Random operations against a plain map that says what must be there, with the store closed, dropped and opened again.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Numbers, key, memory, nodes, options, pod, pods, text};
use crate::{Key, List, Store, WriteError};

type At = (bool, Arc<str>, Arc<str>);
type Model = BTreeMap<At, (u64, String)>;

fn compare(store: &Store, model: &Model, revision: u64) {
    assert_eq!(store.revision(), revision);
    for (is_pod, collection) in [(true, pods()), (false, nodes())] {
        let listed = store.list(&collection, None, None, 0).items;
        let found: Vec<_> = listed
            .iter()
            .map(|object| {
                let key = &object.key;
                let value = String::from_utf8_lossy(&object.bytes).into_owned();
                let at = (is_pod, key.namespace.clone(), key.name.clone());
                (at, (object.revision, value))
            })
            .collect();
        let wanted = model.iter().filter(|(at, _)| at.0 == is_pod);
        let wanted: Vec<_> = wanted.map(|(at, value)| (at.clone(), value.clone())).collect();
        assert_eq!(found, wanted);
    }
}

fn random_key(numbers: &mut Numbers) -> (Key, At) {
    let name = format!("n{}", numbers.below(20));
    let is_pod = numbers.below(4) > 0;
    let key = if is_pod {
        let namespace = ["a", "b", "b-c"][numbers.below(3) as usize];
        key(pods(), namespace, &name)
    } else {
        key(nodes(), "", &name)
    };
    let at = (is_pod, key.namespace.clone(), key.name.clone());
    (key, at)
}

/// One random operation; the store must answer as the model does.
async fn step(store: &Store, model: &mut Model, revision: &mut u64, numbers: &mut Numbers) {
    let (key, at) = random_key(numbers);
    let value = "x".repeat(numbers.below(200) as usize) + &revision.to_string();
    let known = model.get(&at).map(|(revision, _)| *revision);
    let expected = match known {
        Some(known) if numbers.below(5) > 0 => known,
        _ => numbers.below(9),
    };
    let operation = numbers.below(3);
    let result = match operation {
        0 => store.create(key, text(&value)).await,
        1 => store.update(&key, expected, text(&value)).await,
        _ => store.delete(&key, expected).await,
    };
    let wanted = match (operation, known) {
        (0, None) => Ok(()),
        (0, Some(_)) => Err("exists"),
        (_, None) => Err("missing"),
        (_, Some(known)) if known == expected => Ok(()),
        _ => Err("conflict"),
    };
    match (result, wanted) {
        (Ok(object), Ok(())) => {
            *revision += 1;
            assert_eq!(object.revision, *revision);
            if operation == 2 {
                model.remove(&at);
            } else {
                model.insert(at, (*revision, value));
            }
        }
        (Err(WriteError::Exists(object)), Err("exists")) | (Err(WriteError::Conflict(object)), Err("conflict")) => {
            assert_eq!(Some(object.revision), known);
        }
        (Err(WriteError::Missing), Err("missing")) => {}
        (found, wanted) => panic!("found {found:?}, wanted {wanted:?}"),
    }
}

#[tokio::test]
async fn random_operations_survive_reopening() {
    for seed in 1..=6 {
        let dir = tempfile::tempdir().expect("a folder");
        let mut numbers = Numbers(seed);
        let mut model = Model::new();
        let mut revision = 1;
        let mut store = Store::open(options(dir.path())).expect("opens");
        for _ in 0..4 {
            for _ in 0..100 {
                step(&store, &mut model, &mut revision, &mut numbers).await;
            }
            compare(&store, &model, revision);
            if numbers.below(2) == 0 {
                store.close().await;
                compare(&store, &model, revision);
                let refused = store.create(pod("late"), text("")).await;
                assert!(matches!(refused, Err(WriteError::Closed)));
            }
            drop(store);
            store = Store::open(options(dir.path())).expect("opens again");
            compare(&store, &model, revision);
        }
    }
}

#[tokio::test]
async fn an_earlier_revision_is_listed_as_it_was() {
    let store = memory(10_000);
    let mut numbers = Numbers(7);
    let mut model = Model::new();
    let mut revision = 1;
    let mut pasts: Vec<List> = Vec::new();
    for _ in 0..300 {
        step(&store, &mut model, &mut revision, &mut numbers).await;
        pasts.push(store.list(&pods(), None, None, 0));
    }
    for past in &pasts {
        let again = store.list_at(&pods(), None, None, 0, past.revision).expect("remembered");
        assert_eq!(again.items, past.items);
        assert_eq!(again.revision, past.revision);
        let mut from = None;
        let mut paged = Vec::new();
        loop {
            let page = store.list_at(&pods(), Some("b"), from.as_ref(), 3, past.revision).expect("remembered");
            let last = page.items.last().map(|object| object.key.clone());
            from = last.map(|key| (key.namespace, key.name));
            paged.extend(page.items);
            if page.remaining == 0 {
                break;
            }
        }
        let mut wanted = past.items.clone();
        wanted.retain(|object| &*object.key.namespace == "b");
        assert_eq!(paged, wanted);
    }
    store.compact_history();
    let expired = store.list_at(&pods(), None, None, 0, revision - 1);
    assert_eq!(expired.expect_err("forgotten").oldest, revision);
}
