//! The objects that every cluster has before anyone asks. It must not decide rights.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::ApiServer;
use crate::auth::rbac::GROUP;
use crate::auth::{MASTERS, User, bootstrap};
use crate::call::{Call, WriteOptions};
use crate::error::ApiError;
use crate::own_service;
use crate::path::{Params, ResourcePath};
use crate::resource::Resource;
use crate::respond::Form;
use crate::write::{self, Scope};

/// The field manager of what the server writes itself.
pub(crate) const INTERNAL: &str = "kube-apiserver";
/// The user as whom the server does it.
pub(crate) const INTERNAL_USER: &str = "system:apiserver";
/// Namespaces that are always there.
const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// Classes of priority that are always there.
const CLASSES: [(&str, i64, &str); 2] = [
    (
        "system-cluster-critical",
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
    (
        "system-node-critical",
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
];

/// Why a server did not start: an object that every cluster has could not be written.
#[derive(Debug, thiserror::Error)]
#[error("could not write {what}")]
pub struct StartError {
    /// Which object.
    what: String,
    /// Why not.
    source: ApiError,
}

/// Writes what is missing or different.
pub(crate) async fn prepare(server: &ApiServer) -> Result<(), StartError> {
    for name in NAMESPACES {
        let object = json!({"metadata": {"name": name}});
        server.ensure(("", "v1", "namespaces"), "", object, false).await?;
    }
    server.ensure(("", "v1", "serviceaccounts"), "default", json!({"metadata": {"name": "default"}}), false).await?;
    for (name, value, text) in CLASSES {
        let class = json!({"metadata": {"name": name}, "value": value, "description": text});
        server.ensure(("scheduling.k8s.io", "v1", "priorityclasses"), "", class, false).await?;
    }
    let rights = bootstrap::objects().map(|object| async move {
        let plural = format!("{}s", object["kind"].as_str().unwrap_or_default().to_ascii_lowercase());
        server.ensure((GROUP, "v1", &plural), "", object, true).await
    });
    // Together, so that they share a flush of the log.
    futures::future::try_join_all(rights).await?;
    own_service::ensure(server).await
}

impl ApiServer {
    /// A call of the server to itself.
    pub(crate) fn internal(&self, resource: Arc<Resource>, namespace: &str, name: &str) -> Call {
        Call {
            api: self.clone(),
            user: User::authenticated(INTERNAL_USER, &[MASTERS]),
            path: ResourcePath {
                group: resource.group.to_string(),
                version: resource.version.to_string(),
                resource: resource.plural.to_string(),
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                ..ResourcePath::default()
            },
            resource,
            params: Params::default(),
            form: Form::Json,
            agent: INTERNAL.to_owned(),
            warnings: Arc::default(),
            duplicates: Vec::new(),
        }
    }

    /// Creates an object that is missing; makes one that is there say the same, where `keep` asks for it.
    pub(crate) async fn ensure(
        &self,
        (group, version, plural): (&str, &str, &str),
        namespace: &str,
        object: Value,
        keep: bool,
    ) -> Result<(), StartError> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let failed = |source| StartError { what: format!("{plural} {name:?}"), source };
        let resource = self.registry().find(group, version, plural).ok_or_else(|| failed(ApiError::no_such_path()))?;
        let call = self.internal(resource, namespace, &name);
        let options = WriteOptions { manager: call.agent.clone(), ..WriteOptions::default() };
        if self.store().get(&call.key()).is_none() {
            match write::insert(&call, object, &options).await {
                Err(error) if error.reason != "AlreadyExists" => return Err(failed(error)),
                _ => return Ok(()),
            }
        }
        if !keep {
            return Ok(());
        }
        write::change(&call, &options, Scope::Main, |old| {
            let mut new = old.clone();
            json_patch::merge(&mut new, &object);
            Ok(new)
        })
        .await
        .map_err(failed)?;
        Ok(())
    }
}
