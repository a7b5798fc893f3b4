//! What of others would go with an object of ours: objects of a kind with its definition, and what lies in a namespace with it.
//! It must not change anything.

use futures::stream::{self, StreamExt, TryStreamExt};
use kube::ResourceExt;
use kube::api::{Api, DynamicObject, ListParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::discovery::{Discovery, Scope};
use serde_json::Value;
use tinderbox_providers::OWNER;

use super::TOGETHER;
use crate::cluster::Cluster;
use crate::error::Error;

/// Kinds that a cluster keeps for itself in a namespace.
const KEPT: [&str; 4] = ["Endpoints", "EndpointSlice", "Event", "Lease"];

/// What there is of a kind that others have made. What an object of ours has made is not among it.
///
/// # Errors
/// When it cannot be listed.
pub(super) async fn of_kind(cluster: &Cluster, definition: &DynamicObject, owner: &str) -> Result<Vec<String>, Error> {
    let spec = &definition.data["spec"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut versions = spec["versions"].as_array().into_iter().flatten();
    let Some(version) = versions.find(|version| version["served"] == true) else {
        return Ok(Vec::new());
    };
    let kind = GroupVersionKind::gvk(&text(&spec["group"]), &text(&version["name"]), &text(&spec["names"]["kind"]));
    let resource = ApiResource::from_gvk_with_plural(&kind, &text(&spec["names"]["plural"]));
    let all = Api::all_with(cluster.client.clone(), &resource);
    listed(all, &resource, owner).await.map_err(Error::api(format!("list {}", resource.plural)))
}

/// What there is in a namespace that others have made, as far as this user may see it.
///
/// # Errors
/// When the API does not say what kinds there are, or fails.
pub(super) async fn within(cluster: &Cluster, namespace: &str, owner: &str) -> Result<Vec<String>, Error> {
    let all = Discovery::new(cluster.client.clone()).run().await.map_err(Error::api("ask what kinds there are"))?;
    let resources: Vec<ApiResource> = all
        .groups()
        .flat_map(|group| group.recommended_resources())
        // What cannot be deleted is not an object, as measurements are not.
        .filter(|(_, can)| {
            can.scope == Scope::Namespaced && can.supports_operation("list") && can.supports_operation("delete")
        })
        .map(|(resource, _)| resource)
        .filter(|resource| !KEPT.contains(&resource.kind.as_str()))
        .collect();
    let lists = resources.into_iter().map(|resource| async move {
        let api = Api::namespaced_with(cluster.client.clone(), namespace, &resource);
        match listed(api, &resource, owner).await {
            Err(kube::Error::Api(status)) if matches!(status.code, 403..=405) => Ok(Vec::new()),
            found => found.map_err(Error::api(format!("list {}", resource.plural))),
        }
    });
    let found: Vec<Vec<String>> = stream::iter(lists).buffer_unordered(TOGETHER).try_collect().await?;
    let mut found = found.concat();
    found.sort_unstable();
    Ok(found)
}

async fn listed(api: Api<DynamicObject>, resource: &ApiResource, owner: &str) -> kube::Result<Vec<String>> {
    let found = api.list(&ListParams::default()).await?;
    let others = found.into_iter().filter(|object| {
        object.owner_references().is_empty()
            && object.labels().get(OWNER).is_none_or(|value| value != owner)
            // Every namespace has them.
            && !matches!((&*resource.kind, &*object.name_any()), ("ServiceAccount", "default") | ("ConfigMap", "kube-root-ca.crt"))
    });
    let kind = resource.kind.to_lowercase();
    Ok(others
        .map(|object| {
            let namespace = object.namespace().map(|namespace| format!("{namespace}/")).unwrap_or_default();
            format!("{kind}/{namespace}{}", object.name_any())
        })
        .collect())
}
