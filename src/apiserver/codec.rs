//! How an object lies in the store: JSON with `metadata` first and without its resourceVersion, so that the revision can be
//! put in by copying bytes. Equal objects have equal bytes. It must not know what an object means.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};
use tinderbox_store::Stored;

const HEAD: &[u8] = b"{\"metadata\":{";

/// The bytes of an object for the store.
pub(crate) fn encode(object: &Value) -> Bytes {
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(HEAD);
    let empty = Map::new();
    let metadata = object["metadata"].as_object().unwrap_or(&empty);
    fields(&mut out, metadata, "resourceVersion", true);
    out.push(b'}');
    fields(&mut out, object.as_object().unwrap_or(&empty), "metadata", false);
    out.push(b'}');
    out.into()
}

fn fields(out: &mut Vec<u8>, map: &Map<String, Value>, without: &str, mut first: bool) {
    for (key, value) in map.iter().filter(|(key, _)| *key != without) {
        if !first {
            out.push(b',');
        }
        first = false;
        write(out, key);
        out.push(b':');
        write(out, value);
    }
}

/// Appends the JSON of a value. A vector takes all bytes, and a `Value` has only text keys, so that it cannot fail.
pub(crate) fn write(out: &mut Vec<u8>, value: &impl serde::Serialize) {
    if let Err(error) = serde_json::to_writer(&mut *out, value) {
        tracing::error!(%error, "a value did not encode");
    }
}

/// Appends an object with `revision` as its resourceVersion.
pub(crate) fn splice(out: &mut Vec<u8>, stored: &Stored, revision: u64) {
    out.extend_from_slice(HEAD);
    out.extend_from_slice(b"\"resourceVersion\":\"");
    out.extend_from_slice(revision.to_string().as_bytes());
    out.extend_from_slice(b"\",");
    out.extend_from_slice(stored.bytes.get(HEAD.len()..).unwrap_or_default());
}

/// The object, with its resourceVersion.
pub(crate) fn decode(stored: &Stored) -> Value {
    decode_at(stored, stored.revision)
}

/// The object, with `revision` as its resourceVersion.
pub(crate) fn decode_at(stored: &Stored, revision: u64) -> Value {
    let mut object: Value = serde_json::from_slice(&stored.bytes).unwrap_or_else(|error| {
        tracing::error!(%error, key = ?stored.key, "a stored object does not decode");
        Value::Null
    });
    object["metadata"]["resourceVersion"] = revision.to_string().into();
    object
}

/// The labels and annotations of an object and little else, read without building the rest.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Head {
    #[serde(default)]
    metadata: HeadMeta,
}

#[derive(Debug, Default, Deserialize)]
struct HeadMeta {
    #[serde(default)]
    labels: Option<std::collections::BTreeMap<String, String>>,
}

impl Head {
    /// Reads the head of a stored object.
    pub(crate) fn of(stored: &Stored) -> Self {
        serde_json::from_slice(&stored.bytes).unwrap_or_default()
    }

    /// A label's value.
    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        self.metadata.labels.as_ref()?.get(key).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tinderbox_store::{Collection, Key};

    fn stored(object: &Value) -> Stored {
        Stored {
            key: Key {
                collection: Collection { group: "".into(), resource: "pods".into() },
                namespace: "a".into(),
                name: "b".into(),
            },
            revision: 7,
            bytes: encode(object),
        }
    }

    #[test]
    fn goes_both_ways_with_the_revision_put_in() {
        let object = json!({"apiVersion": "v1", "kind": "Pod", "data": {"metadata": {"x": 1}},
            "metadata": {"name": "b", "resourceVersion": "3", "labels": {"l": "v"}}});
        let stored = stored(&object);
        let mut wanted = object;
        wanted["metadata"]["resourceVersion"] = "7".into();
        assert_eq!(decode(&stored), wanted);
        let mut out = Vec::new();
        splice(&mut out, &stored, 9);
        wanted["metadata"]["resourceVersion"] = "9".into();
        assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), wanted);
        assert_eq!(Head::of(&stored).label("l"), Some("v"));
        assert!(!String::from_utf8_lossy(&stored.bytes).contains("resourceVersion"));
    }
}
