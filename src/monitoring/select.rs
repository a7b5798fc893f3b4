//! Which objects a Prometheus selects: by their labels and by those of their namespaces. Pure.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector as Given;
use kube::ResourceExt;
use tinderbox_api::selector::LabelSelector;

/// The labels of each namespace.
pub(crate) type Namespaces = BTreeMap<String, BTreeMap<String, String>>;

/// A selector of objects, and one of their namespaces.
pub(crate) struct Selection<'a> {
    pub(crate) objects: &'a Option<Given>,
    pub(crate) namespaces: &'a Option<Given>,
    /// The namespace of the one that selects.
    pub(crate) own: &'a str,
}

impl Selection<'_> {
    /// Those of `all` that are selected, by namespace and name.
    ///
    /// # Errors
    /// When a selector cannot be read.
    pub(crate) fn of<'k, K: ResourceExt>(&self, all: &'k [K], known: &Namespaces) -> Result<Vec<&'k K>, String> {
        let read = |given: &Option<Given>| given.as_ref().map(LabelSelector::from_typed).transpose();
        let Some(objects) = read(self.objects).map_err(|error| error.to_string())? else { return Ok(Vec::new()) };
        let namespaces = read(self.namespaces).map_err(|error| error.to_string())?;
        let mut chosen: Vec<&K> = all
            .iter()
            .filter(|object| {
                let namespace = object.namespace().unwrap_or_default();
                let there = match &namespaces {
                    Some(selector) => selector.matches_map(known.get(&namespace)),
                    None => namespace == self.own,
                };
                there && objects.matches_map(Some(object.labels()))
            })
            .collect();
        chosen.sort_by_key(|object| (object.namespace(), object.name_any()));
        Ok(chosen)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tinderbox_api::monitoring::PodMonitor;

    use super::*;

    fn names(objects: Value, namespaces: Value) -> Vec<String> {
        let monitor = |namespace: &str, label: &str| -> PodMonitor {
            let object = json!({"metadata": {"name": label, "namespace": namespace, "labels": {"release": label}}});
            serde_json::from_value(object).unwrap()
        };
        let all = [monitor("jobs", "b"), monitor("monitoring", "a"), monitor("jobs", "a")];
        let labels = |name: &str| BTreeMap::from([("kubernetes.io/metadata.name".to_owned(), name.to_owned())]);
        let known = ["jobs", "monitoring"].map(|name| (name.to_owned(), labels(name))).into();
        let (objects, namespaces) =
            (serde_json::from_value(objects).unwrap(), serde_json::from_value(namespaces).unwrap());
        let selection = Selection { objects: &objects, namespaces: &namespaces, own: "monitoring" };
        let chosen = selection.of(&all, &known).unwrap();
        chosen.iter().map(|one| format!("{}/{}", one.namespace().unwrap(), one.name_any())).collect()
    }

    #[test]
    fn nothing_is_nothing_and_empty_is_everything() {
        assert_eq!(names(Value::Null, json!({})), Vec::<String>::new());
        assert_eq!(names(json!({}), Value::Null), ["monitoring/a"]);
        assert_eq!(names(json!({}), json!({})), ["jobs/a", "jobs/b", "monitoring/a"]);
        let jobs = json!({"matchLabels": {"kubernetes.io/metadata.name": "jobs"}});
        assert_eq!(names(json!({"matchLabels": {"release": "a"}}), jobs), ["jobs/a"]);
    }
}
