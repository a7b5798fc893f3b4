//! How requests for certificates are printed.

use serde_json::Value;

use super::{Columns, Printer, age, items, or_none, text};
use crate::object::{meta, text as text_at};

pub(crate) const REQUESTS: Columns = Columns::Builtin(&Printer {
    columns: &[
        text("Name"),
        text("Age"),
        text("SignerName"),
        text("Requestor"),
        text("RequestedDuration"),
        text("Condition"),
    ],
    cells: |object, now| {
        let spec = &object["spec"];
        let lasts = spec["expirationSeconds"].as_i64().map(age::human).unwrap_or_default();
        vec![
            meta(object, "name").into(),
            age::of(object, now),
            or_none(text_at(spec, &["signerName"])),
            text_at(spec, &["username"]).into(),
            or_none(&lasts),
            condition(&object["status"]).into(),
        ]
    },
});

/// What has become of a request; a denial is stronger than an approval.
fn condition(status: &Value) -> String {
    let has = |kind: &str| items(&status["conditions"]).any(|one| one["type"] == kind);
    let mut words = vec![match (has("Denied"), has("Approved")) {
        (true, _) => "Denied",
        (false, true) => "Approved",
        (false, false) => "Pending",
    }];
    words.extend(has("Failed").then_some("Failed"));
    words.extend((!text_at(status, &["certificate"]).is_empty()).then_some("Issued"));
    words.join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::condition;

    #[test]
    fn a_condition_in_words() {
        let approved = json!([{"type": "Approved"}]);
        for (status, words) in [
            (json!({}), "Pending"),
            (json!({"conditions": approved}), "Approved"),
            (json!({"conditions": approved, "certificate": "QQ=="}), "Approved,Issued"),
            (json!({"conditions": [{"type": "Approved"}, {"type": "Denied"}, {"type": "Failed"}]}), "Denied,Failed"),
        ] {
            assert_eq!(condition(&status), words);
        }
    }
}
