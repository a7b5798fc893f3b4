//! OpenAPI documents of what the server serves at this moment, for `kubectl explain`, client-side checks and the merge keys
//! that `kubectl apply` needs. Version 3 has a document per group and version, version 2 one for all, both in JSON: kubectl
//! takes version 3 first and goes on without the protobuf form of version 2. Made per request; nothing is kept.

mod custom;
mod definitions;
mod paths;

use std::sync::Arc;

use ring::digest::{SHA256, digest};
use serde_json::{Map, Value, json};

use crate::registry::Snapshot;
use crate::resource::Resource;
use definitions::Dialect;

/// The versions of OpenAPI that are spoken.
const V3: &str = "3.0.0";

/// The index `/openapi/v3`: where the document of each group and version is. The hash in an address changes when the
/// document does.
#[must_use]
pub fn v3_index(resources: &Snapshot) -> Value {
    let mut index = Map::new();
    for (group, versions) in resources.groups() {
        for version in versions {
            let path = group_path(&group, &version);
            let address = format!("/openapi/v3/{path}?hash={}", tag(&resources.of(&group, &version)));
            index.insert(path, json!({"serverRelativeURL": address}));
        }
    }
    json!({ "paths": index })
}

/// The document of a group and version; `None` where nothing is served there.
#[must_use]
pub fn v3(resources: &Snapshot, group: &str, version: &str) -> Option<Value> {
    let all = resources.of(group, version);
    if all.is_empty() {
        return None;
    }
    let all: Vec<&Resource> = all.iter().map(AsRef::as_ref).collect();
    let mut paths = Map::new();
    for resource in &all {
        paths::add(resource, Dialect::V3, &mut paths);
    }
    Some(json!({
        "openapi": V3,
        "info": {"title": "Kubernetes", "version": crate::VERSION},
        "paths": paths,
        "components": {
            "schemas": definitions::of(&all, Dialect::V3),
            "securitySchemes": {"BearerToken": {"type": "apiKey", "in": "header", "name": "authorization"}},
        },
    }))
}

/// The one document of version 2.
#[must_use]
pub fn v2(resources: &Snapshot) -> Value {
    let all: Vec<&Resource> = resources.all().map(AsRef::as_ref).collect();
    let mut paths = Map::new();
    for resource in &all {
        paths::add(resource, Dialect::V2, &mut paths);
    }
    json!({
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": crate::VERSION},
        "paths": paths,
        "definitions": definitions::of(&all, Dialect::V2),
        "securityDefinitions": {"BearerToken": {"type": "apiKey", "in": "header", "name": "authorization"}},
    })
}

/// What tells the document of these resources from those of others, for `ETag`: it need not be made for that.
#[must_use]
pub fn tag<'a>(resources: impl IntoIterator<Item = &'a Arc<Resource>>) -> String {
    let seed = resources.into_iter().map(|resource| identity(resource)).collect::<Vec<_>>().join("\n");
    digest(&SHA256, seed.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02X}")).collect()
}

/// `api/v1` or `apis/GROUP/VERSION`.
fn group_path(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

/// All of a resource that its document tells.
fn identity(resource: &Resource) -> String {
    let schema = resource.schema.as_deref().map(|schema| custom::value(schema, Dialect::V3).to_string());
    format!(
        "{} {} {} {} {} {:?} {:?} {schema:?}",
        crate::VERSION,
        resource.api_version(),
        resource.plural,
        resource.kind,
        resource.namespaced,
        resource.verbs,
        resource.subresources
    )
}

#[cfg(test)]
mod tests;
