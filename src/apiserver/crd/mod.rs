//! Custom resource definitions: what kinds they serve and how, whether they are well formed, and when their names are
//! accepted, and their rules in CEL. It must not know requests or the store.

mod approval;
mod kind;
mod names;
mod openapi;
mod rules;
mod schema;
mod structural;
mod validate;

pub use kind::{Column, Conversion, ConversionWebhook, CustomKind, CustomVersion, Scale, read};
pub use names::accept_names;
pub use rules::Rules;
#[cfg(test)]
pub(crate) use schema::root as root_schema;
pub use validate::{validate, validate_update};

#[cfg(test)]
mod tests;
