//! What differs between two sets of objects, object by object, as text that people read. Pure.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use similar::TextDiff;
use tinderbox_gitops::sync::Key;

use super::place::Plan;
use crate::event::ObjectName;
use crate::manifest::Object;

/// Lines around a difference.
const CONTEXT: usize = 3;

/// How an object differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It is on the second side alone.
    Added,
    /// It is on the first side alone.
    Removed,
    /// It is on both, and not the same.
    Changed,
}

/// An object that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// The application that it belongs to; empty for what is applied by hand.
    pub application: String,
    /// Which object.
    #[serde(flatten)]
    pub object: ObjectName,
    /// How it differs.
    pub change: Change,
    /// Where it stands on the first side, as `FILE:LINE:COLUMN`.
    pub from: Option<String>,
    /// Where it stands on the second side.
    pub to: Option<String>,
    /// The difference, line by line.
    pub diff: String,
}

/// One side of a comparison: an object, and where it stands in a file, if it does.
#[derive(Debug, Clone)]
pub(crate) struct Side {
    /// The object.
    pub(crate) value: Value,
    /// `FILE:LINE:COLUMN`.
    pub(crate) place: Option<String>,
}

impl Side {
    /// An object of a file.
    pub(crate) fn of(object: &Object) -> Self {
        Self { value: object.value.clone(), place: Some(object.place_of("")) }
    }
}

/// What tells objects apart: the application, and then the object's key.
pub(crate) type Id = (String, Key);

/// The id of an object.
pub(crate) fn id(application: &str, value: &Value) -> Id {
    (application.to_owned(), Key::of(value))
}

/// All objects of a place.
pub(crate) fn sides(plan: &Plan) -> BTreeMap<Id, Side> {
    plan.all().map(|(app, object)| (id(app, &object.value), Side::of(object))).collect()
}

/// What differs. The sides are called `names`.
pub(crate) fn differences(names: [&str; 2], from: &BTreeMap<Id, Side>, to: &BTreeMap<Id, Side>) -> Vec<Difference> {
    let ids: std::collections::BTreeSet<&Id> = from.keys().chain(to.keys()).collect();
    let mut found = Vec::new();
    for id in ids {
        let (one, two) = (from.get(id), to.get(id));
        let change = match (one, two) {
            (Some(one), Some(two)) if one.value == two.value => continue,
            (Some(_), Some(_)) => Change::Changed,
            (Some(_), None) => Change::Removed,
            _ => Change::Added,
        };
        let text = |side: Option<&Side>| side.map(|side| yaml(&side.value)).unwrap_or_default();
        let (before, after) = (text(one), text(two));
        let (application, Key { kind, namespace, name, .. }) = id.clone();
        found.push(Difference {
            application,
            object: ObjectName { kind, namespace, name },
            change,
            from: one.and_then(|side| side.place.clone()),
            to: two.and_then(|side| side.place.clone()),
            diff: TextDiff::from_lines(&before, &after)
                .unified_diff()
                .context_radius(CONTEXT)
                .header(names[0], names[1])
                .to_string(),
        });
    }
    found
}

/// An object as YAML: what tells it apart first, the rest in the order of the alphabet.
pub(crate) fn yaml(value: &Value) -> String {
    let mut ordered = serde_yaml::Mapping::new();
    let fields = value.as_object().into_iter().flatten();
    let rank = |key: &str| ["apiVersion", "kind", "metadata"].iter().position(|first| *first == key).unwrap_or(3);
    let mut fields: Vec<(&String, &Value)> = fields.collect();
    fields.sort_by_key(|(key, _)| (rank(key), (*key).clone()));
    for (key, value) in fields {
        // What is JSON is YAML.
        ordered.insert(key.clone().into(), serde_yaml::to_value(value).unwrap_or_default());
    }
    serde_yaml::to_string(&ordered).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn side(value: u32) -> Side {
        Side {
            value: json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "m", "namespace": "n"}, "data": {"k": value}}),
            place: Some(format!("a.yaml:{value}:1")),
        }
    }

    #[test]
    fn objects_are_compared_one_by_one() {
        let key = |name: &str| id("app", &json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name}}));
        let from = BTreeMap::from([(key("a"), side(1)), (key("b"), side(1)), (key("c"), side(1))]);
        let to = BTreeMap::from([(key("b"), side(2)), (key("c"), side(1)), (key("d"), side(3))]);
        let found = differences(["one", "two"], &from, &to);
        let short: Vec<_> = found
            .iter()
            .map(|one| (one.object.name.as_str(), one.change, one.from.as_deref(), one.to.as_deref()))
            .collect();
        assert_eq!(
            short,
            [
                ("a", Change::Removed, Some("a.yaml:1:1"), None),
                ("b", Change::Changed, Some("a.yaml:1:1"), Some("a.yaml:2:1")),
                ("d", Change::Added, None, Some("a.yaml:3:1")),
            ]
        );
        assert_eq!(
            found[1].diff,
            "--- one\n+++ two\n@@ -4,4 +4,4 @@\n   name: m\n   namespace: n\n data:\n-  k: 1\n+  k: 2\n"
        );
    }
}
