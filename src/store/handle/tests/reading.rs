//! Lists and what they share.

use std::sync::Arc;

use super::{key, memory, nodes, pod, pods, text};
use crate::List;

#[tokio::test]
async fn pages_are_ordered_and_count_what_follows() {
    let store = memory(100);
    for (namespace, name) in [("b", "1"), ("a", "2"), ("a-b", "1"), ("a", "1"), ("b", "0")] {
        let created = store.create(key(pods(), namespace, name), text("")).await;
        created.expect("created");
    }
    let names = |list: &List| -> Vec<String> {
        let keys = list.items.iter().map(|object| &object.key);
        keys.map(|key| format!("{}/{}", key.namespace, key.name)).collect()
    };
    let first = store.list(&pods(), None, None, 2);
    assert_eq!(names(&first), ["a/1", "a/2"]);
    assert_eq!((first.remaining, first.revision), (3, 6));
    let from = (Arc::from("a"), Arc::from("2"));
    let rest = store.list(&pods(), None, Some(&from), 0);
    assert_eq!(names(&rest), ["a-b/1", "b/0", "b/1"]);
    let within = store.list(&pods(), Some("b"), Some(&from), 1);
    assert_eq!((names(&within), within.remaining), (vec!["b/0".into()], 1));
    let beyond = (Arc::from("c"), Arc::from(""));
    let nothing = store.list(&pods(), Some("b"), Some(&beyond), 0);
    assert!(nothing.items.is_empty());
    assert!(store.list(&nodes(), None, None, 0).items.is_empty());
}

#[tokio::test]
async fn keys_share_their_strings() {
    let store = memory(10);
    let first = store.create(pod("a"), text("")).await.expect("created");
    let second = store.create(pod("b"), text("")).await.expect("created");
    let (first, second) = (&first.key, &second.key);
    assert!(Arc::ptr_eq(&first.namespace, &second.namespace));
    assert!(Arc::ptr_eq(&first.collection.resource, &second.collection.resource));
}
