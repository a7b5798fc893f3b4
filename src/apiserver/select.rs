//! Selection of objects by the label and field selectors of a query. It must not list or watch.

use serde_json::Value;
use tinderbox_api::selector::{FieldSelector, LabelSelector};
use tinderbox_store::Stored;

use crate::codec::{self, Head};
use crate::error::ApiError;
use crate::object;
use crate::path::Params;
use crate::resource::{Resource, Selectable, View};

/// Which objects of a collection are meant.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selection {
    labels: LabelSelector,
    fields: FieldSelector,
    name: Option<String>,
    view: Option<View>,
    /// The fields asked about, besides name and namespace.
    known: Vec<Selectable>,
}

impl Selection {
    /// Reads the selectors of a query; a single object may be named by the path as well.
    pub(crate) fn of(resource: &Resource, params: &Params, name: &str) -> Result<Self, ApiError> {
        let labels = params.get("labelSelector").unwrap_or_default();
        let fields = params.get("fieldSelector").unwrap_or_default();
        let bad = |error: &dyn std::fmt::Display| ApiError::bad_request(error.to_string());
        let label_selector = LabelSelector::parse(labels).map_err(|error| bad(&error))?;
        let field_selector = FieldSelector::parse(fields).map_err(|error| bad(&error))?;
        for path in field_selector.paths() {
            let known = path == "metadata.name"
                || (path == "metadata.namespace" && resource.namespaced)
                || resource.fields.iter().any(|field| field.path == path);
            if !known {
                return Err(bad(&format!("field label not supported: {path}")));
            }
        }
        let paths = || field_selector.paths();
        let known = resource.fields.iter().filter(|field| paths().any(|path| path == field.path)).cloned().collect();
        let asked = field_selector.required("metadata.name").map(str::to_owned);
        let named = (!name.is_empty()).then(|| name.to_owned());
        Ok(Self {
            name: named.or(asked),
            labels: label_selector,
            fields: field_selector,
            view: (resource.view == View::Events).then_some(View::Events),
            known,
        })
    }

    /// Whether everything is meant.
    pub(crate) fn is_all(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty() && self.name.is_none()
    }

    /// Whether an object is meant.
    pub(crate) fn matches(&self, stored: &Stored) -> bool {
        if self.name.as_deref().is_some_and(|name| *name != *stored.key.name) {
            return false;
        }
        if !self.labels.is_empty() {
            let head = Head::of(stored);
            if !self.labels.matches(|key| head.label(key)) {
                return false;
            }
        }
        if self.fields.is_empty() {
            return true;
        }
        let mut object = codec::decode(stored);
        if self.view.is_some() {
            crate::view::events_out(&mut object);
        }
        self.fields.matches(|path| {
            let (from, absent) = self
                .known
                .iter()
                .find(|field| field.path == path)
                .map_or((path, ""), |field| (&field.from, field.absent));
            match object::at(&object, from) {
                Value::Null => absent.to_owned(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            }
        })
    }
}
