//! Schemas of the built-in kinds, made from k8s-openapi's types on first use and shared by definition. Descriptions are
//! left out of what is kept, so that an idle server stays small; OpenAPI documents take them from the types again.

mod convert;
pub(crate) mod kinds;
pub(crate) mod merge;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::Schema;
use kinds::BuiltinKind;

/// Schemas by the name of their definition.
type Definitions = HashMap<String, Arc<Schema>>;

static KNOWN: LazyLock<Mutex<Definitions>> = LazyLock::new(Mutex::default);

/// The schema of a built-in kind; `None` for a kind that is not built in.
#[must_use]
pub fn schema(group: &str, version: &str, kind: &str) -> Option<Arc<Schema>> {
    let entry = kinds::find(group, version, kind)?;
    let name = (entry.definition)();
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(schema) = known.get(name.as_ref()) {
        return Some(Arc::clone(schema));
    }
    let raw = definitions(std::slice::from_ref(&entry));
    convert::definition(&name, &raw, &mut known)
}

/// The definitions of some kinds and of all that they refer to, and of the metadata of lists, as written by their types: references are
/// `#/definitions/NAME`, descriptions are there, merge facts are not.
pub(crate) fn definitions(entries: &[&BuiltinKind]) -> Map<String, Value> {
    let settings = SchemaSettings::draft07().with(|settings| settings.meta_schema = None);
    let mut generator = settings.into_generator();
    for entry in entries {
        (entry.generate)(&mut generator);
    }
    generator.subschema_for::<ListMeta>();
    generator.take_definitions(false)
}

#[cfg(test)]
mod tests;
