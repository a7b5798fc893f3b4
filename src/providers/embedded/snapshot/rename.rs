//! Objects of a cluster under another name: its nodes are named after it, and its volumes lie in its folder. Nothing else in them
//! is changed.

use std::path::Path;

use bytes::Bytes;
use tinderbox_store::{Collection, Key, Options, Store, Stored};

use crate::folder::Folder;

/// Kinds that name nodes or folders of volumes.
const NAMING: [(&str, &str); 5] = [
    ("", "nodes"),
    ("", "pods"),
    ("", "persistentvolumes"),
    ("", "persistentvolumeclaims"),
    ("coordination.k8s.io", "leases"),
];

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Gives the objects in a folder's store the names that fit it; `from` is the cluster that they are of, and its volumes' folder.
pub(super) async fn objects(folder: &Folder, from: (&str, &Path)) -> Result<(), Failure> {
    let (to, volumes) = (folder.name(), folder.of_pods()[1].clone());
    if from == (to, volumes.as_path()) {
        return Ok(());
    }
    let dir = folder.store();
    let store = tokio::task::spawn_blocking(move || Store::open(Options { dir: Some(dir), history: 0 })).await??;
    let all = NAMING.map(|(group, resource)| {
        let collection = Collection { group: group.into(), resource: resource.into() };
        store.list(&collection, None, None, 0).items
    });
    let nodes: Vec<(String, String)> =
        all[0].iter().map(|node| (node.key.name.to_string(), renamed(&node.key.name, from.0, to))).collect();
    let mut words: Vec<(String, String)> = nodes.iter().map(|(old, new)| (quoted(old), quoted(new))).collect();
    words.push((inside(from.1)? + "/", inside(&volumes)? + "/"));
    for object in all.iter().flatten() {
        change(&store, object, &nodes, &words).await?;
    }
    store.close().await;
    Ok(())
}

/// The name of a node of another cluster: nodes are called `CLUSTER-…`.
fn renamed(node: &str, from: &str, to: &str) -> String {
    match node.strip_prefix(from).filter(|rest| rest.starts_with('-')) {
        Some(rest) => format!("{to}{rest}"),
        None => node.to_owned(),
    }
}

async fn change(
    store: &Store,
    object: &Stored,
    nodes: &[(String, String)],
    words: &[(String, String)],
) -> Result<(), Failure> {
    let old = std::str::from_utf8(&object.bytes)?;
    let new = words.iter().fold(old.to_owned(), |text, (from, to)| text.replace(from, to));
    if new == old {
        return Ok(());
    }
    let bytes = Bytes::from(new);
    let named = matches!(&*object.key.collection.resource, "nodes" | "leases");
    match nodes.iter().find(|(old, new)| named && **old == *object.key.name && old != new) {
        Some((_, name)) => {
            store.create(Key { name: name.as_str().into(), ..object.key.clone() }, bytes).await?;
            store.delete(&object.key, object.revision).await?;
        }
        None => drop(store.update(&object.key, object.revision, bytes).await?),
    }
    Ok(())
}

/// A whole string in JSON.
fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

/// The beginning of a string in JSON.
fn inside(path: &Path) -> Result<String, Failure> {
    let mut text = serde_json::to_string(path)?;
    text.pop();
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nodes_and_folders_get_the_names_of_the_cluster() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = Folder::new(dir.path(), "other").expect("a name");
        folder.create().expect("made");
        let open = || Store::open(Options { dir: Some(folder.store()), history: 0 }).expect("a store");
        let key = |resource: &str, name: &str| Key {
            collection: Collection { group: "".into(), resource: resource.into() },
            namespace: "".into(),
            name: name.into(),
        };
        let store = open();
        for (key, text) in [
            (
                key("nodes", "local-0"),
                r#"{"metadata":{"labels":{"kubernetes.io/hostname":"local-0"},"name":"local-0"}}"#,
            ),
            (key("pods", "a"), r#"{"metadata":{"name":"local-0x"},"spec":{"nodeName":"local-0"}}"#),
            (
                key("persistentvolumes", "v"),
                r#"{"metadata":{"name":"v"},"spec":{"hostPath":{"path":"/home/local/volumes/v"}}}"#,
            ),
            (key("configmaps", "c"), r#"{"metadata":{"name":"c"},"data":{"a":"local-0"}}"#),
        ] {
            store.create(key, Bytes::from(text)).await.expect("stored");
        }
        store.close().await;
        drop(store);
        objects(&folder, ("local", Path::new("/home/local/volumes"))).await.expect("renamed");
        let store = open();
        let text = |key: Key| store.get(&key).map(|object| String::from_utf8(object.bytes.to_vec()).expect("text"));
        let node = r#"{"metadata":{"labels":{"kubernetes.io/hostname":"other-0"},"name":"other-0"}}"#;
        assert_eq!(text(key("nodes", "other-0")).as_deref(), Some(node));
        assert_eq!(text(key("nodes", "local-0")), None);
        let pod = r#"{"metadata":{"name":"local-0x"},"spec":{"nodeName":"other-0"}}"#;
        assert_eq!(text(key("pods", "a")).as_deref(), Some(pod));
        let path = serde_json::to_string(&folder.of_pods()[1].join("v")).expect("JSON");
        let volume = format!(r#"{{"metadata":{{"name":"v"}},"spec":{{"hostPath":{{"path":{path}}}}}}}"#);
        assert_eq!(text(key("persistentvolumes", "v")), Some(volume));
        assert!(text(key("configmaps", "c")).is_some_and(|text| text.contains("local-0")));
    }
}
