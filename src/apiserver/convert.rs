//! Objects between the versions of their resource. Custom resources may have a webhook that converts them; all others are
//! converted by `view`. It must not store.
//! Upstream rule: k8s.io/apiextensions-apiserver `pkg/apiserver/conversion`, whose words errors have.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use tinderbox_store::Stored;

use crate::call::Call;
use crate::crd::Conversion;
use crate::error::ApiError;
use crate::object::{meta, text};
use crate::resource::{Resource, View};
use crate::{ApiServer, codec, view, webhook};

/// What of metadata a conversion may change.
const FREE: [&str; 2] = ["labels", "annotations"];

/// The stored object in the form that writes work on: that of the request's version for resources that a webhook converts,
/// and the stored one otherwise.
pub(crate) async fn working(call: &Call, stored: &Stored) -> Result<Value, ApiError> {
    let object = codec::decode(stored);
    if call.resource.view != View::Webhook {
        return Ok(object);
    }
    one(&call.api, &call.resource, &call.resource.api_version(), object).await
}

/// The bytes for the store of an object in the form that writes work on.
pub(crate) async fn bytes(call: &Call, object: &Value) -> Result<Bytes, ApiError> {
    let conversion = call.resource.conversion.as_ref().filter(|_| call.resource.view == View::Webhook);
    match conversion {
        None => Ok(codec::encode(object)),
        Some(conversion) => {
            let stored = one(&call.api, &call.resource, &conversion.storage, object.clone()).await?;
            Ok(codec::encode(&stored))
        }
    }
}

/// Stored objects as the request's version serves them; all that a webhook converts go to it together.
pub(crate) async fn served(call: &Call, stored: &[Arc<Stored>]) -> Result<Vec<Value>, ApiError> {
    if call.resource.view != View::Webhook {
        return Ok(stored.iter().map(|one| view::served(&call.resource, one)).collect());
    }
    let objects = stored.iter().map(|one| codec::decode(one)).collect();
    let mut objects = many(&call.api, &call.resource, &call.resource.api_version(), objects).await?;
    objects.iter_mut().for_each(|object| view::outward(&call.resource, object));
    Ok(objects)
}

/// An object that `from` serves, as `to` serves it: both are versions of one resource. What is no object of the resource, as
/// its scale, stays as it is.
pub(crate) async fn between(call: &Call, from: &Resource, to: &Resource, mut object: Value) -> Result<Value, ApiError> {
    if from.api_version() == to.api_version() || *from.kind != *text(&object, &["kind"]) {
        return Ok(object);
    }
    if to.view == View::Webhook {
        return one(&call.api, to, &to.api_version(), object).await;
    }
    view::inward(from, &mut object);
    view::outward(to, &mut object);
    Ok(object)
}

/// One object of a resource that a webhook converts, in another version.
async fn one(api: &ApiServer, resource: &Resource, api_version: &str, object: Value) -> Result<Value, ApiError> {
    let converted = many(api, resource, api_version, vec![object]).await?;
    converted.into_iter().next().ok_or_else(|| ApiError::internal("a conversion has lost its object"))
}

/// Objects of a resource that a webhook converts, in another version. Those that are in it are not sent.
async fn many(
    api: &ApiServer,
    resource: &Resource,
    api_version: &str,
    mut objects: Vec<Value>,
) -> Result<Vec<Value>, ApiError> {
    let Some(conversion) = &resource.conversion else {
        return Ok(objects);
    };
    let others: Vec<usize> = (0..objects.len())
        .filter(|index| objects.get(*index).is_some_and(|one| one["apiVersion"] != api_version))
        .collect();
    let Some(first) = others.first().and_then(|index| objects.get(*index)) else {
        return Ok(objects);
    };
    let what = format!("conversion webhook for {}, Kind={}", text(first, &["apiVersion"]), resource.kind);
    let failed = |why: String| ApiError { message: format!("{what} {why}"), ..unknown() };
    let sent: Vec<&Value> = others.iter().filter_map(|index| objects.get(*index)).collect();
    let answered = ask(api, conversion, api_version, &sent).await.map_err(|why| failed(format!("failed: {why}")))?;
    if answered.len() != sent.len() {
        let counts = format!("returned {} objects, expected {}", answered.len(), sent.len());
        return Err(failed(counts));
    }
    for (position, (index, mut converted)) in others.into_iter().zip(answered).enumerate() {
        let Some(original) = objects.get_mut(index) else { continue };
        check(original, &mut converted, api_version)
            .map_err(|why| failed(format!("returned invalid converted object at index {position}: {why}")))?;
        *original = converted;
    }
    Ok(objects)
}

/// 500 of which no more is known.
fn unknown() -> ApiError {
    ApiError { code: 500, reason: "".into(), message: String::new(), details: Value::Null, resume: None }
}

async fn ask(
    api: &ApiServer,
    conversion: &Conversion,
    api_version: &str,
    objects: &[&Value],
) -> Result<Vec<Value>, String> {
    let Some(client) = &conversion.webhook else {
        return Err("it has none".to_owned());
    };
    let known = client.versions.iter().find(|version| matches!(version.as_str(), "v1" | "v1beta1"));
    let version = known.ok_or_else(|| "no supported conversion review versions".to_owned())?;
    let (uid, kind) = (uuid::Uuid::new_v4().to_string(), format!("apiextensions.k8s.io/{version}"));
    let request = json!({
        "kind": "ConversionReview", "apiVersion": kind,
        "request": {"uid": uid, "desiredAPIVersion": api_version, "objects": objects},
    });
    let mut review = webhook::post(api, &client.config, webhook::TIMEOUT, &request).await?;
    if version == "v1" && (review["apiVersion"] != kind.as_str() || review["kind"] != "ConversionReview") {
        let got = format!("{}, Kind={}", text(&review, &["apiVersion"]), text(&review, &["kind"]));
        return Err(format!("expected webhook response of {kind}, Kind=ConversionReview, got {got}"));
    }
    let response = &mut review["response"];
    if !response.is_object() {
        return Err("no response provided".to_owned());
    }
    let told = text(response, &["uid"]);
    if version == "v1" && told != uid {
        return Err(format!("expected response.uid={uid:?}, got {told:?}"));
    }
    let result = &response["result"];
    let (status, message) = (text(result, &["status"]), text(result, &["message"]));
    if status != "Success" {
        let words = format!("response.result.status was '{status}', not 'Success'");
        return Err(if message.is_empty() { words } else { message.to_owned() });
    }
    match response["convertedObjects"].take() {
        Value::Array(objects) => Ok(objects),
        _ => Ok(Vec::new()),
    }
}

/// Holds a converted object to what it was, and gives it back the metadata that no conversion may change.
fn check(original: &Value, converted: &mut Value, api_version: &str) -> Result<(), String> {
    let got = text(converted, &["apiVersion"]);
    if got != api_version {
        return Err(format!("invalid groupVersion (expected {api_version}, received {got})"));
    }
    let (kind, got) = (text(original, &["kind"]), text(converted, &["kind"]));
    if kind != got {
        return Err(format!("invalid kind (expected {kind}, received {got})"));
    }
    for (field, word) in [("name", "name"), ("namespace", "namespace"), ("uid", "UID")] {
        let (was, is) = (meta(original, field), meta(converted, field));
        if was != is {
            return Err(format!("must have the same {word}: {was} != {is}"));
        }
    }
    let Value::Object(told) = converted["metadata"].take() else {
        return Err("missing metadata in converted object".to_owned());
    };
    let mut kept = original["metadata"].clone();
    if let Some(kept) = kept.as_object_mut() {
        for field in FREE {
            match told.get(field) {
                Some(value) => kept.insert(field.to_owned(), value.clone()),
                None => kept.remove(field),
            };
        }
    }
    converted["metadata"] = kept;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversion_keeps_metadata_but_labels_and_annotations() {
        let original = json!({"apiVersion": "a/v1", "kind": "K", "metadata": {"name": "n", "uid": "u", "generation": 3,
            "labels": {"a": "1"}, "finalizers": ["x/y"]}, "spec": {"old": 1}});
        let mut converted = json!({"apiVersion": "a/v2", "kind": "K", "metadata": {"name": "n", "uid": "u", "generation": 9,
            "annotations": {"b": "2"}}, "spec": {"new": 1}});
        check(&original, &mut converted, "a/v2").unwrap();
        let metadata =
            json!({"name": "n", "uid": "u", "generation": 3, "annotations": {"b": "2"}, "finalizers": ["x/y"]});
        assert_eq!(converted["metadata"], metadata);
        for (change, text) in [
            (json!({"apiVersion": "a/v3"}), "invalid groupVersion (expected a/v2, received a/v3)"),
            (json!({"kind": "L"}), "invalid kind (expected K, received L)"),
            (json!({"metadata": {"name": "m"}}), "must have the same name: n != m"),
            (json!({"metadata": null}), "must have the same name: n != "),
        ] {
            let mut other = converted.clone();
            json_patch::merge(&mut other, &change);
            assert_eq!(check(&original, &mut other, "a/v2"), Err(text.to_owned()));
        }
    }
}
