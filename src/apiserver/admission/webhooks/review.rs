//! `AdmissionReview`: what a webhook is asked, and what its answer means. Pure.
//! Upstream rule: k8s.io/apiserver `pkg/admission/plugin/webhook/request/admissionreview.go` and `errors/statuserror.go`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Objects;
use super::hooks::Invocation;
use crate::admission::asked::Asked;
use crate::auth::token_reviews::user_info;
use crate::error::ApiError;

/// What a webhook said.
#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    /// Words for the client.
    pub(super) warnings: Vec<String>,
    /// A JSON patch, or nothing, or the refusal.
    pub(super) verdict: Result<Option<Value>, ApiError>,
}

/// The version of the review that both sides speak.
pub(super) fn version(hook: &Invocation) -> Result<&'static str, String> {
    let wanted = hook.raw["admissionReviewVersions"].as_array().into_iter().flatten();
    wanted.filter_map(|one| ["v1", "v1beta1"].into_iter().find(|known| one == *known)).next().ok_or_else(|| {
        "could not create admission objects: webhook does not accept known AdmissionReview versions (v1, v1beta1)"
            .to_owned()
    })
}

/// The question.
pub(super) fn request(
    asked: &Asked<'_>,
    hook: &Invocation,
    objects: Objects<'_>,
    (version, uid): (&str, &str),
) -> Value {
    let call = asked.call;
    let subresource = call.path.subresource.as_str();
    let of_kind = |[group, version, kind]: [String; 3]| json!({"group": group, "version": version, "kind": kind});
    let of_resource = |one: &crate::resource::Resource| json!({"group": *one.group, "version": *one.version, "resource": *one.plural});
    let mut request = json!({
        "uid": uid,
        "kind": of_kind(hook.kind(subresource)),
        "resource": of_resource(&hook.resource),
        "requestKind": of_kind(asked.kind()),
        "requestResource": of_resource(&call.resource),
        "operation": asked.operation.as_str(),
        "userInfo": user_info(&call.user),
        "object": objects.object,
        "oldObject": objects.old,
        "dryRun": asked.dry_run,
        "options": asked.options,
    });
    // A namespace is in itself, as rights have it.
    let namespace = if call.resource.is("", "namespaces") { &asked.name } else { &call.path.namespace };
    for (field, value) in [
        ("subResource", subresource),
        ("requestSubResource", subresource),
        ("name", asked.name.as_str()),
        ("namespace", namespace),
    ] {
        if !value.is_empty() {
            request[field] = value.into();
        }
    }
    json!({"kind": "AdmissionReview", "apiVersion": format!("admission.k8s.io/{version}"), "request": request})
}

/// What an answer means; the error says why it is none.
pub(super) fn answer(name: &str, mutating: bool, asked: (&str, &str), review: &Value) -> Result<Answer, String> {
    verify(mutating, asked, review).map_err(|error| format!("received invalid webhook response: {error}"))?;
    let response = &review["response"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (patch, patch_type) = (text(&response["patch"]), &response["patchType"]);
    let warnings = response["warnings"].as_array().into_iter().flatten().map(text).collect();
    if response["allowed"] != true {
        let refusal = refusal(name, &response["status"]);
        return Ok(Answer { warnings, verdict: Err(refusal) });
    }
    if !mutating || patch.is_empty() {
        return Ok(Answer { warnings, verdict: Ok(None) });
    }
    if asked.0 == "v1" && patch_type != "JSONPatch" {
        return Err(format!("unsupported patch type {:?}", text(patch_type)));
    }
    let undecodable =
        |error: &dyn std::fmt::Display| format!("received undecodable patch in webhook response: {error}");
    let patch = STANDARD.decode(patch).map_err(|error| undecodable(&error))?;
    let patch: Value = serde_json::from_slice(&patch).map_err(|error| undecodable(&error))?;
    let patch = Some(patch).filter(|patch| patch.as_array().is_none_or(|steps| !steps.is_empty()));
    Ok(Answer { warnings, verdict: Ok(patch) })
}

/// Whether an answer is one to the question; the error says why not.
fn verify(mutating: bool, (version, uid): (&str, &str), review: &Value) -> Result<(), String> {
    let response = &review["response"];
    if !response.is_object() {
        return Err("webhook response was absent".to_owned());
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (patch, patch_type) = (text(&response["patch"]), &response["patchType"]);
    if version == "v1" {
        let told = text(&response["uid"]);
        if told != uid {
            return Err(format!("expected response.uid={uid:?}, got {told:?}"));
        }
        let wanted = "admission.k8s.io/v1, Kind=AdmissionReview";
        let got = format!("{}, Kind={}", text(&review["apiVersion"]), text(&review["kind"]));
        if got != wanted {
            return Err(format!("expected webhook response of {wanted}, got {got}"));
        }
        let trouble = match (mutating, patch.is_empty(), patch_type.is_null()) {
            (true, false, true) => "webhook returned response.patch but not response.patchType",
            (true, true, false) => "webhook returned response.patchType but not response.patch",
            (false, false, _) => "validating webhook may not return response.patch",
            (false, _, false) => "validating webhook may not return response.patchType",
            _ => "",
        };
        if !trouble.is_empty() {
            return Err(trouble.to_owned());
        }
        if !patch_type.is_null() && patch_type == "" {
            return Err("webhook returned invalid response.patchType of \"\"".to_owned());
        }
    }
    Ok(())
}

/// A refusal as the client gets it.
fn refusal(name: &str, status: &Value) -> ApiError {
    let denied = format!("admission webhook {name:?} denied the request");
    let text = |field: &str| status[field].as_str().unwrap_or_default();
    let message = match (text("message"), text("reason")) {
        ("", "") => format!("{denied} without explanation"),
        ("", reason) => format!("{denied}: {reason}"),
        (message, _) => format!("{denied}: {message}"),
    };
    let code = status["code"].as_u64().and_then(|code| u16::try_from(code).ok()).unwrap_or(0).max(400);
    ApiError {
        code,
        reason: text("reason").to_owned().into(),
        message,
        details: status["details"].clone(),
        resume: None,
    }
}

/// The refusal of a dry run by a webhook that cannot do one; nothing where it can.
pub(super) fn dry_run(asked: &Asked<'_>, hook: &Invocation) -> Option<ApiError> {
    let harmless = hook.raw["sideEffects"] == "None" || hook.raw["sideEffects"] == "NoneOnDryRun";
    let text = format!("admission webhook {:?} does not support dry run", hook.name);
    (asked.dry_run && !harmless).then(|| ApiError::bad_request(text))
}

/// The refusal of a patch where there is nothing to change, as at a delete.
pub(super) fn nothing_to_change(hook: &Invocation) -> ApiError {
    let text = "attempted to modify the object, which is not supported for this operation";
    ApiError::internal(format!("admission webhook {:?} {text}", hook.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(mutating: bool, response: Value) -> Result<Answer, String> {
        let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response});
        answer("a.b.c", mutating, ("v1", "7"), &review)
    }

    #[test]
    fn refusals_have_the_webhooks_words() {
        for (status, code, message) in [
            (json!(null), 400, "admission webhook \"a.b.c\" denied the request without explanation"),
            (json!({"reason": "Why"}), 400, "admission webhook \"a.b.c\" denied the request: Why"),
            (json!({"message": "no", "code": 403}), 403, "admission webhook \"a.b.c\" denied the request: no"),
            (json!({"message": "no", "code": 200}), 400, "admission webhook \"a.b.c\" denied the request: no"),
        ] {
            let response = json!({"uid": "7", "allowed": false, "status": status, "warnings": ["w"]});
            let Answer { warnings, verdict } = answered(false, response).unwrap();
            let error = verdict.unwrap_err();
            assert_eq!((warnings, error.code, error.message.as_str()), (vec!["w".to_owned()], code, message));
        }
    }

    #[test]
    fn what_is_no_answer_is_told() {
        for (mutating, response, text) in [
            (true, json!(null), "webhook response was absent"),
            (true, json!({"uid": "8"}), "expected response.uid=\"7\", got \"8\""),
            (true, json!({"uid": "7", "patch": "W10="}), "webhook returned response.patch but not response.patchType"),
            (false, json!({"uid": "7", "patch": "W10="}), "validating webhook may not return response.patch"),
            (
                true,
                json!({"uid": "7", "allowed": true, "patch": "W10=", "patchType": "Other"}),
                "unsupported patch type \"Other\"",
            ),
        ] {
            let error = answered(mutating, response).unwrap_err();
            assert_eq!(error.strip_prefix("received invalid webhook response: ").unwrap_or(&error), text);
        }
        let other = json!({"apiVersion": "v1", "kind": "Pod", "response": {"uid": "7"}});
        let error = answer("a", true, ("v1", "7"), &other).unwrap_err();
        let wanted = "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got v1, Kind=Pod";
        assert_eq!(error, format!("received invalid webhook response: {wanted}"));
    }

    #[test]
    fn patches_are_read() {
        let patch = STANDARD.encode(r#"[{"op":"add","path":"/a","value":1}]"#);
        let response = json!({"uid": "7", "allowed": true, "patch": patch, "patchType": "JSONPatch"});
        let wanted = json!([{"op": "add", "path": "/a", "value": 1}]);
        assert_eq!(answered(true, response).unwrap().verdict, Ok(Some(wanted)));
        let empty = json!({"uid": "7", "allowed": true, "patch": STANDARD.encode("[]"), "patchType": "JSONPatch"});
        assert_eq!(answered(true, empty).unwrap().verdict, Ok(None));
    }
}
