//! Secrets: text that the client could not be asked to encode.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::object;

/// Moves `stringData` into `data`.
pub(super) fn on_write(object: &mut Value) {
    if let Value::Object(texts) = object["stringData"].take() {
        if !object["data"].is_object() {
            object["data"] = Value::Object(Map::new());
        }
        for (key, text) in texts {
            let encoded = STANDARD.encode(text.as_str().unwrap_or_default());
            object["data"][key] = encoded.into();
        }
    }
    object::remove(object, "stringData");
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn text_becomes_data() {
        let mut secret = json!({"data": {"a": "eA=="}, "stringData": {"b": "y"}});
        on_write(&mut secret);
        assert_eq!(secret, json!({"data": {"a": "eA==", "b": "eQ=="}}));
    }
}
