//! Custom resource definitions: what kinds they serve and how, whether they are well formed, and when their names are
//! accepted. CEL rules (`x-kubernetes-validations`) are kept in [`Schema::rules`] and not evaluated. It must not know
//! requests or the store.

mod kind;
mod names;
mod openapi;
mod schema;
mod structural;
mod validate;

pub use kind::{Column, CustomKind, CustomVersion, Scale, read};
pub use names::accept_names;
#[cfg(test)]
pub(crate) use schema::root as root_schema;
pub use validate::{validate, validate_update};

#[cfg(doc)]
use crate::schema::Schema;

#[cfg(test)]
mod tests;
