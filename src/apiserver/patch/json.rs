//! JSON patch (RFC 6902) as Kubernetes' library does it: negative indices count from the end, and a test for null holds
//! for a missing member.

use json_patch::{PatchErrorKind, PatchOperation, jsonptr::PointerBuf};
use serde_json::{Value, json};

use crate::error::ApiError;

/// More operations than this are refused.
const MOST: usize = 10_000;

/// The result of a JSON patch.
///
/// # Errors
/// BadRequest for what is not a patch; 422 when an operation does not apply.
pub fn json(current: &Value, patch: &Value) -> Result<Value, ApiError> {
    let mut operations: Vec<PatchOperation> = serde_json::from_value(patch.clone())
        .map_err(|error| ApiError::bad_request(format!("error decoding patch: {error}")))?;
    if operations.len() > MOST {
        return Err(ApiError::too_large(format!(
            "The allowed maximum operations in a JSON patch is {MOST}, got {}",
            operations.len()
        )));
    }
    let mut result = current.clone();
    for operation in &mut operations {
        resolve_indices(&result, operation);
        if let PatchOperation::Test(test) = operation
            && test.value.is_null()
            && result.pointer(test.path.as_str()).is_none()
        {
            continue;
        }
        json_patch::patch_unsafe(&mut result, std::slice::from_ref(operation))
            .map_err(|error| refused(&error.kind, operation))?;
    }
    Ok(result)
}

/// 422, without a word of its own in the message, as Kubernetes; the cause says which operation.
fn refused(kind: &PatchErrorKind, operation: &PatchOperation) -> ApiError {
    ApiError {
        code: 422,
        reason: "Invalid".into(),
        message: "the server rejected our request due to an error in our request".to_owned(),
        details: json!({"causes": [{
            "reason": "UnexpectedServerResponse",
            "field": "patch",
            "message": format!("{operation}: {kind}"),
        }]}),
        resume: None,
    }
}

fn resolve_indices(document: &Value, operation: &mut PatchOperation) {
    match operation {
        PatchOperation::Add(add) => resolve(document, &mut add.path, true),
        PatchOperation::Remove(remove) => resolve(document, &mut remove.path, false),
        PatchOperation::Replace(replace) => resolve(document, &mut replace.path, false),
        PatchOperation::Test(test) => resolve(document, &mut test.path, false),
        PatchOperation::Move(step) => {
            resolve(document, &mut step.from, false);
            resolve(document, &mut step.path, true);
        }
        PatchOperation::Copy(step) => {
            resolve(document, &mut step.from, false);
            resolve(document, &mut step.path, true);
        }
    }
}

/// Rewrites negative indices of lists. An index to insert at counts from the list as it is afterwards.
fn resolve(document: &Value, path: &mut PointerBuf, inserts: bool) {
    let text = path.as_str();
    if !text.contains("/-") {
        return;
    }
    let mut here = Some(document);
    let mut resolved = String::with_capacity(text.len());
    let mut tokens = text.split('/').skip(1).peekable();
    while let Some(token) = tokens.next() {
        let mut token = token.to_owned();
        if let Some(list) = here.and_then(Value::as_array)
            && let Ok(back @ i64::MIN..0) = token.parse::<i64>()
        {
            let length = list.len() + usize::from(inserts && tokens.peek().is_none());
            let index = i64::try_from(length).unwrap_or(i64::MAX) + back;
            if index >= 0 {
                token = index.to_string();
            }
        }
        resolved.push('/');
        resolved.push_str(&token);
        here = here.and_then(|value| value.pointer(&format!("/{token}")));
    }
    if let Ok(pointer) = PointerBuf::parse(resolved) {
        *path = pointer;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patched(patch: &Value) -> Result<Value, ApiError> {
        json(&json!({"metadata": {"labels": {"a": "1", "b/c": "2"}}, "list": [1, 2, 3]}), patch)
    }

    #[test]
    fn applies_operations_in_order() {
        let result = patched(&json!([
            {"op": "test", "path": "/metadata/labels/a", "value": "1"},
            {"op": "remove", "path": "/metadata/labels/b~1c"},
            {"op": "add", "path": "/list/-", "value": 4},
            {"op": "replace", "path": "/metadata/labels/a", "value": "x"},
            {"op": "move", "from": "/list/0", "path": "/first"},
            {"op": "copy", "from": "/first", "path": "/list/0"},
        ]));
        assert_eq!(result.unwrap(), json!({"metadata": {"labels": {"a": "x"}}, "list": [1, 2, 3, 4], "first": 1}));
    }

    #[test]
    fn counts_negative_indices_from_the_end() {
        let list = |patch: Value| patched(&patch).unwrap()["list"].clone();
        let last = list(json!([{"op": "remove", "path": "/list/-1"}]));
        assert_eq!(last, json!([1, 2]));
        let added = list(json!([{"op": "add", "path": "/list/-1", "value": 4}]));
        assert_eq!(added, json!([1, 2, 3, 4]));
        let replaced = list(json!([{"op": "replace", "path": "/list/-3", "value": 0}]));
        assert_eq!(replaced, json!([0, 2, 3]));
    }

    #[test]
    fn tests_null_for_what_is_missing() {
        let holds = json!([{"op": "test", "path": "/metadata/labels/none", "value": null}]);
        assert!(patched(&holds).is_ok());
    }

    #[test]
    fn refuses_what_does_not_apply() {
        for patch in [
            json!([{"op": "test", "path": "/list/0", "value": 2}]),
            json!([{"op": "remove", "path": "/none"}]),
            json!([{"op": "replace", "path": "/none", "value": 1}]),
            json!([{"op": "add", "path": "/none/child", "value": 1}]),
            json!([{"op": "remove", "path": "/list/-4"}]),
        ] {
            let error = patched(&patch).unwrap_err();
            assert_eq!((error.code, &*error.reason), (422, "Invalid"), "{patch}");
            assert_eq!(error.message, "the server rejected our request due to an error in our request");
        }
        for patch in [json!({}), json!([{"op": "jump", "path": "/a"}])] {
            assert_eq!(patched(&patch).unwrap_err().code, 400);
        }
    }
}
