//! CEL as Kubernetes speaks it: expressions are parsed, checked against the types of their variables, estimated in cost, and
//! evaluated over JSON within a limit. The grammar is the crate `cel`'s; its evaluator knows no types and no limit, so types,
//! functions and evaluation are ours. It must not know requests, definitions or policies.
//! Upstream rules: k8s.io/apiserver `pkg/cel`, github.com/google/cel-go 0.26.

mod check;
mod cost;
mod decl;
mod error;
mod evaluate;
mod json;
mod library;
mod node;
mod parse;
mod program;
mod rights;
mod text;
mod types;
mod value;

pub use decl::{Decl, DeclKind, Field, ListKind, Object, escape, is_identifier};
pub use error::Error;
pub use json::view;
pub use program::{Environment, Issues, Program, Run};
pub use rights::{Attributes, Decision, Rights};
pub use types::Type;
pub use value::{Fields, Key, List, Map, Text, Value};

#[cfg(test)]
mod tests;
