//! One request about a resource, read and allowed, on its way to a verb; and what its query says about writing.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tinderbox_store::{Key, Stored};

use crate::ApiServer;
use crate::auth::User;
use crate::error::ApiError;
use crate::object;
use crate::path::{Params, ResourcePath};
use crate::resource::Resource;
use crate::respond::Form;

/// One request about a resource.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) api: ApiServer,
    pub(crate) user: User,
    pub(crate) resource: Arc<Resource>,
    pub(crate) path: ResourcePath,
    pub(crate) params: Params,
    pub(crate) form: Form,
    /// The first word of `User-Agent`, which names the field manager where nothing else does.
    pub(crate) agent: String,
    /// Words for the client, whatever comes of the request.
    pub(crate) warnings: Arc<Mutex<Vec<String>>>,
    /// Fields that the body has more than once.
    pub(crate) duplicates: Vec<String>,
}

impl Call {
    /// The same call about another namespace.
    pub(crate) fn in_namespace(&self, namespace: &str) -> Self {
        let mut call = self.clone();
        call.path.namespace = namespace.to_owned();
        call
    }

    /// The same call with a body that has these fields more than once.
    pub(crate) fn with_duplicates(&self, duplicates: Vec<String>) -> Self {
        Self { duplicates, ..self.clone() }
    }

    /// The same call about the object itself, where this one is about a subresource.
    pub(crate) fn of_object(&self) -> Self {
        let mut call = self.clone();
        call.path.subresource = String::new();
        call
    }

    /// The same call about the pod that a binding names.
    pub(crate) fn of_pod(&self, binding: &Value) -> Result<Self, ApiError> {
        let mut call = self.clone();
        call.resource = self.api.registry().find("", "v1", "pods").ok_or_else(ApiError::no_such_path)?;
        call.path.subresource = "binding".to_owned();
        call.path.name = object::meta(binding, "name").to_owned();
        Ok(call)
    }

    /// Where the object of this name lives.
    pub(crate) fn key_of(&self, name: &str) -> Key {
        let namespace = if self.resource.namespaced { self.path.namespace.as_str() } else { "" };
        Key { collection: self.resource.collection.clone(), namespace: namespace.into(), name: name.into() }
    }

    /// Where the object that the path names lives.
    pub(crate) fn key(&self) -> Key {
        self.key_of(&self.path.name)
    }

    /// The namespace that a list or watch is limited to.
    pub(crate) fn scope(&self) -> Option<&str> {
        (self.resource.namespaced && !self.path.namespace.is_empty()).then_some(self.path.namespace.as_str())
    }

    /// The stored object that the path names.
    pub(crate) fn stored(&self) -> Result<Arc<Stored>, ApiError> {
        self.api.store().get(&self.key()).ok_or_else(|| self.not_found())
    }

    /// 404 for the object that the path names.
    pub(crate) fn not_found(&self) -> ApiError {
        ApiError::not_found(&self.resource.group, &self.resource.plural, &self.path.name)
    }

    /// 409 for an outdated version of the object that the path names.
    pub(crate) fn modified(&self) -> ApiError {
        ApiError::modified(&self.resource.group, &self.resource.plural, &self.path.name)
    }

    /// 409 with other words.
    pub(crate) fn conflict(&self, message: &str) -> ApiError {
        ApiError::conflict(&self.resource.group, &self.resource.plural, &self.path.name, message)
    }

    /// A stored object as the request's version serves it.
    pub(crate) async fn served(&self, stored: &Arc<Stored>) -> Result<Value, ApiError> {
        let mut objects = crate::convert::served(self, std::slice::from_ref(stored)).await?;
        objects.pop().ok_or_else(|| self.not_found())
    }

    /// Tells the client something, each thing once.
    pub(crate) fn warn(&self, texts: Vec<String>) {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        for text in texts {
            if !warnings.contains(&text) {
                warnings.push(text);
            }
        }
    }
}

/// How strictly unknown and doubled fields are treated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Strictness {
    /// Dropped without a word.
    Ignore,
    /// Dropped with a warning.
    #[default]
    Warn,
    /// Refused.
    Strict,
}

/// What a query says about writing.
#[derive(Debug, Clone, Default)]
pub(crate) struct WriteOptions {
    /// Do everything but the write.
    pub(crate) dry_run: bool,
    /// Who owns the fields that are written.
    pub(crate) manager: String,
    /// Unknown fields.
    pub(crate) strictness: Strictness,
    /// Take fields over from other managers (apply alone).
    pub(crate) force: bool,
    /// Managed fields are worked out already (apply alone).
    pub(crate) applied: bool,
}

impl WriteOptions {
    /// Reads the query of a writing request.
    pub(crate) fn of(call: &Call) -> Result<Self, ApiError> {
        let params = &call.params;
        let manager = params.get("fieldManager").unwrap_or(&call.agent);
        if manager.len() > 128 {
            return Err(ApiError::bad_request("fieldManager: Too long: may not be more than 128 bytes"));
        }
        let strictness = match params.get("fieldValidation") {
            None | Some("Warn") => Strictness::Warn,
            Some("Ignore") => Strictness::Ignore,
            Some("Strict") => Strictness::Strict,
            Some(other) => {
                return Err(ApiError::bad_request(format!(
                    "fieldValidation: Unsupported value: \"{other}\": supported values: \"Ignore\", \"Strict\", \"Warn\""
                )));
            }
        };
        Ok(Self {
            dry_run: dry_run(params.all("dryRun"))?,
            manager: manager.to_owned(),
            strictness,
            force: params.flag("force"),
            applied: false,
        })
    }
}

/// Whether nothing may be written; `All` is the only value there is.
pub(crate) fn dry_run<'a>(values: impl Iterator<Item = &'a str>) -> Result<bool, ApiError> {
    let mut dry = false;
    for value in values {
        if value != "All" {
            return Err(ApiError::bad_request(format!(
                "dryRun: Unsupported value: \"{value}\": supported values: \"All\""
            )));
        }
        dry = true;
    }
    Ok(dry)
}
