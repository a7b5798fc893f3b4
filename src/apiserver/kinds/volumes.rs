//! Volumes and claims: the phase that they begin in.

use serde_json::{Value, json};

pub(super) fn on_create(object: &mut Value) {
    object["status"] = json!({"phase": "Pending"});
}
