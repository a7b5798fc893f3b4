//! `metadata.managedFields`: read, written and kept short. It must not decide who owns a field.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::fields::FieldSet;

/// More managers by update than this are put together.
const MOST_UPDATERS: usize = 10;
/// Under this name.
const ANCIENT: &str = "ancient-changes";

/// Who owns fields: a name, what it did, in which version, through which subresource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Manager {
    pub(super) applies: bool,
    pub(super) name: String,
    pub(super) api_version: String,
    pub(super) subresource: String,
}

impl Manager {
    fn operation(&self) -> &'static str {
        if self.applies { "Apply" } else { "Update" }
    }

    /// The manager as a conflict names it.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{:?}", self.name);
        if !self.subresource.is_empty() {
            text = format!("{text} with subresource {:?}", self.subresource);
        }
        if !self.applies {
            text = format!("{text} using {}", self.api_version);
        }
        text
    }
}

/// What a manager owns, since when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Owned {
    pub(super) fields: FieldSet,
    /// RFC 3339 with seconds; empty when unknown. Sorts as text.
    pub(super) time: String,
}

/// Every manager of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Managers(pub(super) BTreeMap<Manager, Owned>);

impl Managers {
    /// Reads `managedFields`; `None` when an entry is none.
    pub(super) fn decode(list: &Value) -> Option<Self> {
        let mut all = Self::default();
        for entry in list.as_array().map(Vec::as_slice).unwrap_or_default() {
            let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
            if entry["fieldsType"] != "FieldsV1" {
                return None;
            }
            let manager = Manager {
                applies: match entry["operation"].as_str()? {
                    "Apply" => true,
                    "Update" => false,
                    _ => return None,
                },
                name: text("manager"),
                api_version: text("apiVersion"),
                subresource: text("subresource"),
            };
            let fields = match &entry["fieldsV1"] {
                Value::Null => FieldSet::default(),
                fields => FieldSet::decode(fields)?,
            };
            let time = text("time");
            all.0.insert(manager, Owned { fields, time });
        }
        Some(all)
    }

    /// Writes `managedFields`; null without managers.
    pub(super) fn encode(&self) -> Value {
        if self.0.is_empty() {
            return Value::Null;
        }
        let mut sorted: Vec<(&Manager, &Owned)> = self.0.iter().collect();
        sorted.sort_by_key(|(manager, owned)| {
            let Manager { name, api_version, subresource, .. } = manager;
            (!manager.applies, &owned.time, name, api_version, subresource)
        });
        let entries = sorted.into_iter().map(|(manager, owned)| {
            let mut entry = json!({
                "manager": manager.name,
                "operation": manager.operation(),
                "apiVersion": manager.api_version,
                "fieldsType": "FieldsV1",
                "fieldsV1": owned.fields.encode(),
            });
            for (field, text) in [("time", &owned.time), ("subresource", &manager.subresource)] {
                if !text.is_empty() {
                    entry[field] = json!(text);
                }
            }
            entry
        });
        entries.collect()
    }

    /// Drops managers that own nothing.
    pub(super) fn drop_empty(&mut self) {
        self.0.retain(|_, owned| !owned.fields.is_empty());
    }

    /// Puts the oldest managers by update together, per version, until there are few enough.
    pub(super) fn cap(&mut self) {
        let mut updaters: Vec<(String, Manager)> = self
            .0
            .iter()
            .filter(|(manager, _)| !manager.applies)
            .map(|(manager, owned)| (owned.time.clone(), manager.clone()))
            .collect();
        let mut count = updaters.len();
        updaters.sort();
        let mut firsts: BTreeMap<String, Manager> = BTreeMap::new();
        for (_, manager) in updaters {
            if count <= MOST_UPDATERS {
                return;
            }
            let Some(first) = firsts.get(&manager.api_version) else {
                firsts.insert(manager.api_version.clone(), manager);
                continue;
            };
            let bucket = Manager {
                applies: false,
                name: ANCIENT.to_owned(),
                api_version: manager.api_version.clone(),
                subresource: String::new(),
            };
            if !self.0.contains_key(&bucket)
                && let Some(owned) = self.0.remove(first)
            {
                self.0.insert(bucket.clone(), owned);
            }
            if manager != bucket
                && let Some(owned) = self.0.remove(&manager)
            {
                let into = self.0.entry(bucket).or_default();
                into.fields = std::mem::take(&mut into.fields).union(&owned.fields);
                into.time = owned.time;
                count -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(index: usize, operation: &str) -> Value {
        json!({
            "manager": format!("m{index}"), "operation": operation, "apiVersion": "v1",
            "fieldsType": "FieldsV1", "fieldsV1": {format!("f:f{index}"): {}},
            "time": format!("2026-01-01T00:00:{index:02}Z"),
        })
    }

    #[test]
    fn sorts_applies_first_then_by_time() {
        let list = json!([entry(3, "Update"), entry(1, "Update"), entry(9, "Apply")]);
        let sorted = Managers::decode(&list).unwrap().encode();
        assert_eq!(sorted, json!([entry(9, "Apply"), entry(1, "Update"), entry(3, "Update")]));
        assert_eq!(Managers::decode(&json!([{"manager": "x"}])), None);
        assert_eq!(Managers::decode(&Value::Null).unwrap().encode(), Value::Null);
    }

    #[test]
    fn puts_ancient_updates_together() {
        let entries: Vec<Value> = (0..12).map(|index| entry(index, "Update")).collect();
        let mut all = Managers::decode(&json!(entries)).unwrap();
        all.cap();
        let list = all.encode();
        let list = list.as_array().unwrap();
        assert_eq!(list.len(), 10);
        assert_eq!(list[0]["manager"], "ancient-changes");
        assert_eq!(list[0]["time"], "2026-01-01T00:00:02Z");
        assert_eq!(list[0]["fieldsV1"], json!({"f:f0": {}, "f:f1": {}, "f:f2": {}}));
        assert_eq!(list[1]["manager"], "m3");
    }
}
