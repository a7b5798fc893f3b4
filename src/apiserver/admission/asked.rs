//! A request as admission sees it: who wants to do what with which kind, and with which options. Data only.

use serde_json::{Value, json};

use crate::call::{Call, WriteOptions};
use crate::verbs::delete::DeleteOptions;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// A new object, or something created below one.
    Create,
    /// A new version of an object, or of a part of it.
    Update,
    /// The end of an object.
    Delete,
    /// A stream, or a proxied request.
    Connect,
}

impl Operation {
    /// Its name in rules and reviews.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
        }
    }
}

/// One request.
pub(crate) struct Asked<'a> {
    /// The request itself, with its user and path.
    pub(crate) call: &'a Call,
    /// What is done.
    pub(crate) operation: Operation,
    /// The name of the object; empty while it has none.
    pub(crate) name: String,
    /// `CreateOptions` and so on; null where a stream is asked for.
    pub(crate) options: Value,
    /// Whether nothing is written.
    pub(crate) dry_run: bool,
}

impl<'a> Asked<'a> {
    /// A write.
    pub(crate) fn write(call: &'a Call, operation: Operation, name: &str, options: &WriteOptions) -> Self {
        let kind = if operation == Operation::Create { "CreateOptions" } else { "UpdateOptions" };
        let mut told = json!({"kind": kind, "apiVersion": "meta.k8s.io/v1"});
        for field in ["fieldManager", "fieldValidation"] {
            if let Some(value) = call.params.get(field) {
                told[field] = value.into();
            }
        }
        if options.dry_run {
            told["dryRun"] = json!(["All"]);
        }
        Self { call, operation, name: name.to_owned(), options: told, dry_run: options.dry_run }
    }

    /// A delete.
    pub(crate) fn delete(call: &'a Call, name: &str, options: &DeleteOptions) -> Self {
        let operation = Operation::Delete;
        Self { call, operation, name: name.to_owned(), options: options.told.clone(), dry_run: options.dry_run }
    }

    /// A stream, or a proxied request.
    pub(crate) fn connect(call: &'a Call) -> Self {
        let name = call.path.name.clone();
        Self { call, operation: Operation::Connect, name, options: Value::Null, dry_run: false }
    }

    /// Group, version and kind of what is written: that of the subresource, where it has one of its own.
    pub(crate) fn kind(&self) -> [String; 3] {
        kind(&self.call.resource, &self.call.path.subresource)
    }
}

/// Group, version and kind of a resource or of its subresource.
pub(crate) fn kind(resource: &crate::resource::Resource, subresource: &str) -> [String; 3] {
    let own = || (resource.group.to_string(), resource.version.to_string());
    match resource.subresource(subresource) {
        None => {
            let (group, version) = own();
            [group, version, resource.kind.to_string()]
        }
        Some(sub) => {
            let foreign = sub.group_version.map(|(group, version)| (group.to_owned(), version.to_owned()));
            let (group, version) = foreign.unwrap_or_else(own);
            [group, version, sub.kind.to_string()]
        }
    }
}
