//! Groups, versions and resources as documents: plain, and aggregated (`apidiscovery.k8s.io/v2`).
//! Upstream rule: k8s.io/apiserver `pkg/endpoints/discovery`.

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Response};
use serde_json::{Value, json};

use crate::Config;
use crate::error::ApiError;
use crate::registry::Snapshot;
use crate::resource::Resource;
use crate::respond;

/// Whether the client takes the aggregated form before the plain one.
pub(super) fn wants_aggregated(headers: &HeaderMap, accept: HeaderName) -> bool {
    headers
        .get_all(accept)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|range| range.replace(' ', ""))
        .find(|range| range.starts_with("application/json"))
        .is_some_and(|range| {
            range.contains("as=APIGroupDiscoveryList")
                && range.contains("g=apidiscovery.k8s.io")
                && range.contains("v=v2;") | range.ends_with("v=v2")
        })
}

/// Every path, as at `/`.
pub(super) fn paths(resources: &Snapshot) -> Value {
    let mut paths = vec!["/api".to_owned(), "/api/v1".to_owned(), "/apis".to_owned()];
    for (group, versions) in named(resources) {
        paths.push(format!("/apis/{group}"));
        paths.extend(versions.iter().map(|version| format!("/apis/{group}/{version}")));
    }
    paths.extend(
        ["/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3", "/readyz", "/version"].map(str::to_owned),
    );
    json!({"paths": paths})
}

/// `APIVersions` of `/api`.
pub(super) fn core_versions(config: &Config) -> Value {
    let address = config.advertised.first().map(ToString::to_string);
    json!({"kind": "APIVersions", "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address.unwrap_or_default()}]})
}

/// `APIGroupList` of `/apis`.
pub(super) fn group_list(resources: &Snapshot) -> Value {
    let groups: Vec<Value> = named(resources).map(|(group, versions)| group_document(&group, &versions)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `APIGroup` of one group.
pub(super) fn group(resources: &Snapshot, wanted: &str) -> Result<Value, ApiError> {
    let (group, versions) = named(resources).find(|(group, _)| group == wanted).ok_or_else(ApiError::no_such_path)?;
    let mut document = group_document(&group, &versions);
    document["kind"] = "APIGroup".into();
    document["apiVersion"] = "v1".into();
    Ok(document)
}

fn named(resources: &Snapshot) -> impl Iterator<Item = (String, Vec<String>)> {
    let text = |versions: Vec<std::sync::Arc<str>>| versions.iter().map(|v| v.to_string()).collect();
    resources
        .groups()
        .into_iter()
        .filter(|(group, _)| !group.is_empty())
        .map(move |(group, versions)| (group.to_string(), text(versions)))
}

fn group_document(group: &str, versions: &[String]) -> Value {
    let versions: Vec<Value> = versions
        .iter()
        .map(|version| json!({"groupVersion": format!("{group}/{version}"), "version": version}))
        .collect();
    json!({"name": group, "versions": versions, "preferredVersion": versions.first()})
}

/// `APIResourceList` of one version.
pub(super) fn resource_list(resources: &Snapshot, group: &str, version: &str) -> Result<Value, ApiError> {
    let found = resources.of(group, version);
    let first = found.first().ok_or_else(ApiError::no_such_path)?;
    let documents: Vec<Value> = found.iter().flat_map(|one| plain(one)).collect();
    Ok(
        json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": first.api_version(), "resources": documents}),
    )
}

fn plain(resource: &Resource) -> Vec<Value> {
    let hash = format!("{}/{}", resource.api_version(), resource.plural);
    let mut main = json!({
        "name": *resource.plural, "singularName": *resource.singular, "namespaced": resource.namespaced,
        "kind": *resource.kind, "verbs": resource.verbs,
    });
    if resource.verbs.contains(&"list") {
        main["storageVersionHash"] = storage_hash(&hash).into();
    }
    if !resource.short_names.is_empty() {
        main["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        main["categories"] = json!(resource.categories);
    }
    let mut all = vec![main];
    for sub in &resource.subresources {
        let mut document = json!({
            "name": format!("{}/{}", resource.plural, sub.name), "singularName": "", "namespaced": resource.namespaced,
            "kind": *sub.kind, "verbs": sub.verbs,
        });
        if let Some((group, version)) = sub.group_version.filter(|(group, _)| !group.is_empty()) {
            document["group"] = group.into();
            document["version"] = version.into();
        }
        all.push(document);
    }
    all
}

/// Eight bytes that name a stored form.
fn storage_hash(text: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    STANDARD.encode(digest.as_ref().get(..8).unwrap_or_default())
}

/// `APIGroupDiscoveryList` of core or of all other groups.
pub(super) fn aggregated(resources: &Snapshot, core: bool) -> Response<Body> {
    let items: Vec<Value> = resources
        .groups()
        .into_iter()
        .filter(|(group, _)| group.is_empty() == core)
        .map(|(group, versions)| {
            let versions: Vec<Value> = versions
                .iter()
                .map(|version| {
                    let found: Vec<Value> = resources.of(&group, version).iter().map(|one| discovered(one)).collect();
                    json!({"version": **version, "freshness": "Current", "resources": found})
                })
                .collect();
            let mut metadata = json!({"creationTimestamp": null});
            if !core {
                metadata["name"] = (*group).into();
            }
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    let document = json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items});
    let mut out = Vec::new();
    crate::codec::write(&mut out, &document);
    respond::respond(200, "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", Bytes::from(out))
}

fn discovered(resource: &Resource) -> Value {
    let scope = if resource.namespaced { "Namespaced" } else { "Cluster" };
    let kind = |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
    let (group, version) = (&*resource.group, &*resource.version);
    let subresources: Vec<Value> = resource
        .subresources
        .iter()
        .map(|sub| {
            let (group, version) = sub.group_version.unwrap_or((group, version));
            json!({"subresource": sub.name, "responseKind": kind(group, version, &sub.kind), "verbs": sub.verbs})
        })
        .collect();
    let mut document = json!({
        "resource": *resource.plural, "responseKind": kind(group, version, &resource.kind), "scope": scope,
        "singularResource": *resource.singular, "verbs": resource.verbs,
    });
    for (field, list) in [
        ("shortNames", json!(resource.short_names)),
        ("categories", json!(resource.categories)),
        ("subresources", json!(subresources)),
    ] {
        if list.as_array().is_some_and(|list| !list.is_empty()) {
            document[field] = list;
        }
    }
    document
}
