//! What a server does to a body before it looks at what the object means: unknown fields go, types are checked, custom
//! resources get their defaults and are held to their definition. Rules of single built-in kinds are not here.

mod combine;
mod default;
mod format;
mod lists;
mod native;
mod path;
mod prune;
mod ratchet;
mod rules;
mod validate;

use serde_json::Value;

use super::Schema;
use crate::error::FieldError;
pub use default::default;
pub(crate) use path::Path;
pub use prune::prune;
pub(crate) use ratchet::ratchet;

/// What happens to fields that a schema does not know (`fieldValidation` of a request). They are dropped in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// Dropped in silence.
    Ignore,
    /// Reported in [`Checked::unknown`]; the request goes on with warnings.
    Warn,
    /// Reported in [`Checked::unknown`]; the request is refused if there are any.
    Strict,
}

/// What was found in a body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// `unknown field "spec.containers[0].foo"`, in order of the paths; empty under [`Unknown::Ignore`].
    pub unknown: Vec<String>,
    /// A value that cannot be read into its type, in Kubernetes' words: the body is a bad request.
    pub undecodable: Option<String>,
    /// Values that break the rules of a custom resource's definition.
    pub errors: Vec<FieldError>,
}

/// Checks a whole object and brings it into the form that Kubernetes would store.
///
/// Built-in kinds: nulls and empty optional lists and maps go, quantities and times become canonical. Custom resources:
/// unknown fields and stray nulls go, defaults come in, then every rule of the definition is checked.
pub fn check(schema: &Schema, value: &mut Value, unknown: Unknown) -> Checked {
    let mut checked = Checked::default();
    if schema.definition.is_some() {
        native::decode(schema, value, &mut checked);
    } else {
        checked.unknown = prune::prune_reporting(schema, value);
        prune::embedded_metadata(schema, value, &mut checked);
        default::prune_nulls(schema, value);
        default(schema, value);
        checked.errors = validate::validate(schema, value);
        checked.errors.extend(lists::check(schema, value));
    }
    checked.unknown.sort();
    if unknown == Unknown::Ignore {
        checked.unknown.clear();
    }
    checked
}

#[cfg(test)]
mod tests;
