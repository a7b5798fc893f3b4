//! `TokenRequest` (the subresource `serviceaccounts/NAME/token`) and `TokenReview`: objects in, objects out. It must not
//! decide who may ask; the caller has asked RBAC before.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::token::{Bound, ISSUER, Reference, Tokens, claims};
use super::{ObjectLookup, User};
use crate::error::{ApiError, FieldError};

const DEFAULT_LIFETIME: i64 = 3600;
const GROUP: &str = "authentication.k8s.io";

/// Answers a `TokenRequest` for the service account `name` of `namespace`.
///
/// # Errors
/// NotFound for the account or the bound object, Conflict for another uid, Invalid for a lifetime out of bounds.
pub fn request(
    tokens: &Tokens,
    objects: &dyn ObjectLookup,
    (namespace, name): (&str, &str),
    mut body: Value,
    now: SystemTime,
) -> Result<Value, ApiError> {
    if !body.is_object() {
        return Err(ApiError::bad_request("the body is not a TokenRequest"));
    }
    for (field, value) in [("name", name), ("namespace", namespace)] {
        let given = &body["metadata"][field];
        if !empty(given) && given != value {
            let detail = format!("must match the service account {field} if specified");
            let error = FieldError::invalid(format!("metadata.{field}"), given, &detail);
            return Err(ApiError::invalid(GROUP, "TokenRequest", name, &[error]));
        }
    }
    let account = objects
        .object("serviceaccounts", namespace, name)
        .ok_or_else(|| ApiError::not_found("", "serviceaccounts", name))?;
    let account_uid = text(&account["metadata"]["uid"]);
    let wanted_uid = text(&body["metadata"]["uid"]);
    if !wanted_uid.is_empty() && wanted_uid != account_uid {
        let message = format!(
            "the UID in the token request ({wanted_uid}) does not match the UID of the service account ({account_uid})"
        );
        return Err(ApiError::conflict(GROUP, "TokenRequest", name, &message));
    }
    let lifetime = lifetime(&body["spec"]["expirationSeconds"])?;
    let audiences = texts(&body["spec"]["audiences"]);
    let audiences = if audiences.is_empty() { vec![ISSUER.to_owned()] } else { audiences };
    let mut bound = Bound {
        namespace: namespace.to_owned(),
        serviceaccount: Reference { name: name.to_owned(), uid: account_uid.clone() },
        ..Bound::default()
    };
    let wanted = &body["spec"]["boundObjectRef"];
    if wanted.is_object() {
        bind(&mut bound, wanted, objects)?;
    }
    let claims = claims(bound, audiences.clone(), lifetime, now);
    let token =
        tokens.issue(&claims).map_err(|error| ApiError::internal(format!("failed to generate token: {error}")))?;

    body["apiVersion"] = json!("authentication.k8s.io/v1");
    body["kind"] = json!("TokenRequest");
    body["metadata"]["name"] = json!(name);
    body["metadata"]["namespace"] = json!(namespace);
    body["metadata"]["uid"] = json!(account_uid);
    body["metadata"]["creationTimestamp"] = json!(stamp(now));
    body["spec"]["audiences"] = json!(audiences);
    body["spec"]["expirationSeconds"] = json!(lifetime.as_secs());
    if !wanted_is_object(&body) {
        body["spec"]["boundObjectRef"] = Value::Null;
    }
    body["status"] = json!({"token": token, "expirationTimestamp": stamp(now + lifetime)});
    Ok(body)
}

/// Answers a `TokenReview`.
///
/// # Errors
/// BadRequest without a token.
pub fn review(
    tokens: &Tokens,
    objects: &dyn ObjectLookup,
    mut body: Value,
    now: SystemTime,
) -> Result<Value, ApiError> {
    let token = text(&body["spec"]["token"]);
    if token.is_empty() {
        return Err(ApiError::bad_request("token is required for TokenReview in authentication"));
    }
    let asked = texts(&body["spec"]["audiences"]);
    let audiences = if asked.is_empty() { vec![ISSUER.to_owned()] } else { asked };
    body["status"] = match tokens.verify(&token, &audiences, objects, now) {
        Ok(verified) => json!({
            "authenticated": true,
            "user": user_info(&verified.user),
            "audiences": verified.audiences,
        }),
        Err(error) => json!({"user": {}, "error": error.to_string()}),
    };
    Ok(super::reviews::dressed(body, "authentication.k8s.io/v1", "TokenReview"))
}

/// A user as `authentication.k8s.io/v1` `UserInfo`.
#[must_use]
pub fn user_info(user: &User) -> Value {
    let mut info = json!({"username": user.name});
    if !user.uid.is_empty() {
        info["uid"] = json!(user.uid);
    }
    if !user.groups.is_empty() {
        info["groups"] = json!(user.groups);
    }
    if !user.extra.is_empty() {
        info["extra"] = json!(user.extra);
    }
    info
}

fn wanted_is_object(body: &Value) -> bool {
    body["spec"]["boundObjectRef"].is_object()
}

fn lifetime(wanted: &Value) -> Result<Duration, ApiError> {
    let seconds = match wanted {
        Value::Null => DEFAULT_LIFETIME,
        other => other
            .as_i64()
            .ok_or_else(|| ApiError::bad_request("spec.expirationSeconds of a TokenRequest is a whole number"))?,
    };
    let detail = if seconds < 600 {
        "may not specify a duration less than 10 minutes"
    } else if seconds > 1 << 32 {
        "may not specify a duration larger than 2^32 seconds"
    } else {
        return Ok(Duration::from_secs(seconds.unsigned_abs()));
    };
    let error = FieldError::invalid("spec.expirationSeconds", &json!(seconds), detail);
    Err(ApiError::invalid(GROUP, "TokenRequest", "", &[error]))
}

fn bind(bound: &mut Bound, wanted: &Value, objects: &dyn ObjectLookup) -> Result<(), ApiError> {
    let (kind, name) = (text(&wanted["kind"]), text(&wanted["name"]));
    let version = text(&wanted["apiVersion"]);
    let (resource, namespace) = match (version.as_str(), kind.as_str()) {
        ("v1" | "", "Pod") => ("pods", bound.namespace.as_str()),
        ("v1" | "", "Secret") => ("secrets", bound.namespace.as_str()),
        ("v1" | "", "Node") => ("nodes", ""),
        _ => {
            return Err(ApiError::bad_request(format!("cannot bind token to object of type {version}, Kind={kind}")));
        }
    };
    let object = objects.object(resource, namespace, &name).ok_or_else(|| ApiError::not_found("", resource, &name))?;
    let uid = text(&object["metadata"]["uid"]);
    let account = &bound.serviceaccount.name;
    if resource == "pods" && object["spec"]["serviceAccountName"] != account.as_str() {
        return Err(ApiError::bad_request(format!(
            "cannot bind token for serviceaccount {account:?} to pod running with different serviceaccount name."
        )));
    }
    let wanted_uid = text(&wanted["uid"]);
    if !wanted_uid.is_empty() && wanted_uid != uid {
        let message = format!(
            "the UID in the bound object reference ({wanted_uid}) does not match the UID in record. The object might have been deleted and then recreated"
        );
        return Err(ApiError::conflict("", &kind, &name, &message));
    }
    let reference = Some(Reference { name, uid });
    match resource {
        "pods" => {
            let node = text(&object["spec"]["nodeName"]);
            if !node.is_empty() {
                let uid =
                    objects.object("nodes", "", &node).map(|node| text(&node["metadata"]["uid"])).unwrap_or_default();
                bound.node = Some(Reference { name: node, uid });
            }
            bound.pod = reference;
        }
        "secrets" => bound.secret = reference,
        _ => bound.node = reference,
    }
    Ok(())
}

fn stamp(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).unwrap_or(jiff::Timestamp::MIN).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn empty(value: &Value) -> bool {
    value.is_null() || value == ""
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::super::token::tests::{objects, tokens};
    use super::*;

    fn ask(body: Value) -> Result<Value, ApiError> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        request(&tokens(), &objects, ("spark-jobs", "spark"), body, now)
    }

    #[test]
    fn issues_a_token_bound_to_a_pod() {
        let (tokens, now) = (tokens(), SystemTime::now());
        let body = json!({"spec": {
            "expirationSeconds": 3607,
            "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "driver", "uid": "pod-1"},
        }});
        let answer = request(&tokens, &objects, ("spark-jobs", "spark"), body, now).unwrap();
        assert_eq!(answer["spec"]["audiences"], json!([ISSUER]));
        assert_eq!(answer["spec"]["expirationSeconds"], 3607);
        let token = answer["status"]["token"].as_str().unwrap();
        let review = review(&tokens, &objects, json!({"spec": {"token": token}}), now).unwrap();
        assert_eq!(review["status"]["authenticated"], true);
        let user = &review["status"]["user"];
        assert_eq!(user["username"], "system:serviceaccount:spark-jobs:spark");
        assert_eq!(user["extra"]["authentication.kubernetes.io/node-uid"], json!(["node-1"]));
    }

    #[test]
    fn keeps_lifetimes_in_bounds() {
        let answer = ask(json!({})).unwrap();
        assert_eq!(answer["status"]["expirationTimestamp"], "2023-11-14T23:13:20Z");
        let error = ask(json!({"spec": {"expirationSeconds": 599}})).unwrap_err();
        assert_eq!((error.code, &*error.reason), (422, "Invalid"));
        assert_eq!(
            error.message,
            "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes"
        );
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let bound = |kind: &str, name: &str, uid: &str| {
            ask(json!({"spec": {"boundObjectRef":
                {"apiVersion": "v1", "kind": kind, "name": name, "uid": uid}}}))
            .unwrap_err()
        };
        assert_eq!(bound("Pod", "gone", "").code, 404);
        assert_eq!(bound("Pod", "driver", "pod-0").code, 409);
        assert_eq!(bound("Service", "a", "").code, 400);
        let uid = ask(json!({"metadata": {"uid": "sa-0"}})).unwrap_err();
        assert_eq!(uid.code, 409);
        let name = ask(json!({"metadata": {"name": "other"}})).unwrap_err();
        assert_eq!(name.code, 422);
    }

    #[test]
    fn reviews_a_foreign_token() {
        let body = json!({"spec": {"token": "x.y.z"}});
        let review = review(&tokens(), &objects, body, SystemTime::now()).unwrap();
        assert_eq!(review["status"]["error"], "invalid bearer token");
        assert!(review["status"]["authenticated"].is_null());
    }
}
