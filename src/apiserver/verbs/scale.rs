//! The scale subresource: how many, of any kind that says where its numbers are.

use bytes::Bytes;
use serde_json::{Value, json};
use tinderbox_api::selector::LabelSelector;

use super::patch;
use crate::admission::{self, Asked, Operation};
use crate::call::{Call, WriteOptions};
use crate::error::{ApiError, FieldError};
use crate::object::{at, meta, set_at};
use crate::resource::ScalePaths;
use crate::respond::Reply;
use crate::write::{self, Scope};

const GROUP: &str = "autoscaling";

fn paths(call: &Call) -> Result<ScalePaths, ApiError> {
    call.resource.scale.clone().ok_or_else(ApiError::no_such_path)
}

/// Answers with the scale of the object that the path names.
pub(crate) async fn get(call: &Call) -> Result<Reply, ApiError> {
    let stored = call.stored()?;
    Ok(Reply::ok(scale_of(&paths(call)?, &call.served(&stored).await?)))
}

/// Sets the scale that the body says.
pub(crate) async fn update(call: &Call, scale: Value) -> Result<Reply, ApiError> {
    let name = meta(&scale, "name");
    if !name.is_empty() && name != call.path.name {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            call.path.name
        )));
    }
    set(call, |_| Ok(scale.clone())).await
}

/// Changes the scale as a patch says.
pub(crate) async fn patch(call: &Call, content_type: &str, body: Bytes) -> Result<Reply, ApiError> {
    // A scale has no lists, so that a strategic merge is a merge.
    let content_type = if content_type == crate::patch::STRATEGIC { crate::patch::MERGE } else { content_type };
    let change = patch::language(call, content_type)?;
    let body = patch::read(&body)?;
    set(call, |scale| change(scale, &body)).await
}

async fn set(call: &Call, make: impl Fn(&Value) -> Result<Value, ApiError>) -> Result<Reply, ApiError> {
    let paths = paths(call)?;
    let options = WriteOptions::of(call)?;
    let asked = Asked::write(call, Operation::Update, &call.path.name, &options);
    let mut changed = None;
    if admission::intercepts(&asked) {
        let old = scale_of(&paths, &call.served(&call.stored()?).await?);
        let mut new = make(&old)?;
        if admission::review(&asked, Some(&mut new), Some(&old)).await? {
            changed = Some(new["spec"].take());
        }
    }
    let written = write::change(call, &options, Scope::Inner, |old| {
        let mut scale = make(&scale_of(&paths, old))?;
        if let Some(spec) = &changed {
            scale["spec"] = spec.clone();
        }
        let replicas = &scale["spec"]["replicas"];
        let wanted = match replicas {
            Value::Null => 0,
            other => other.as_i64().ok_or_else(|| {
                ApiError::bad_request(format!(
                    "json: cannot unmarshal {other} into Go struct field ScaleSpec.spec.replicas of type int32"
                ))
            })?,
        };
        if wanted < 0 {
            let error = FieldError::invalid("spec.replicas", replicas, "must be greater than or equal to 0");
            return Err(ApiError::invalid(GROUP, "Scale", &call.path.name, &[error]));
        }
        let version = meta(&scale, "resourceVersion");
        if !version.is_empty() && version != meta(old, "resourceVersion") {
            return Err(call.modified());
        }
        let mut new = old.clone();
        set_at(&mut new, &paths.spec_replicas, wanted.into());
        Ok(new)
    })
    .await?;
    Ok(Reply::Object(200, scale_of(&paths, &written.object), written.warnings))
}

fn scale_of(paths: &ScalePaths, object: &Value) -> Value {
    let mut metadata = json!({});
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = object["metadata"].get(field) {
            metadata[field] = value.clone();
        }
    }
    let number = |path: &str| at(object, path).as_i64().unwrap_or(0);
    let mut scale = json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata,
        "spec": {"replicas": number(&paths.spec_replicas)},
        "status": {"replicas": number(&paths.status_replicas)},
    });
    let selector = paths.selector.as_deref().map(|path| at(object, path));
    let text = match selector {
        Some(Value::String(text)) => text.clone(),
        Some(value @ Value::Object(map)) if map.contains_key("matchLabels") || map.contains_key("matchExpressions") => {
            LabelSelector::from_object(value).map(|selector| selector.to_string()).unwrap_or_default()
        }
        Some(Value::Object(map)) => {
            let pairs = map.iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
            pairs.collect::<Vec<_>>().join(",")
        }
        _ => String::new(),
    };
    if !text.is_empty() {
        scale["status"]["selector"] = text.into();
    }
    scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_says_what_its_object_says() {
        let paths = ScalePaths {
            spec_replicas: "spec.replicas".into(),
            status_replicas: "status.replicas".into(),
            selector: Some("spec.selector".into()),
        };
        let object = json!({"metadata": {"name": "d", "labels": {}}, "spec": {"replicas": 3, "selector": {"matchLabels": {"a": "b"},
            "matchExpressions": [{"key": "c", "operator": "NotIn", "values": ["d", "e"]}, {"key": "f", "operator": "Exists"}]}}});
        let scale = scale_of(&paths, &object);
        assert_eq!(scale["metadata"], json!({"name": "d"}));
        assert_eq!(scale["spec"]["replicas"], 3);
        assert_eq!(scale["status"], json!({"replicas": 0, "selector": "a=b,c notin (d,e),f"}));
    }
}
