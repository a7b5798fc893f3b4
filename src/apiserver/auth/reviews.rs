//! The reviews of `authorization.k8s.io` and `SelfSubjectReview`: may somebody do something, what may I do, who am I.
//! Objects in, objects out; it must not decide who may ask.

use serde_json::{Map, Value, json};

use super::rbac::{Rbac, Rule};
use super::token_reviews::user_info;
use super::{Attributes, Decision, User};
use crate::error::{ApiError, FieldError};

const AUTHORIZATION: &str = "authorization.k8s.io/v1";

/// `SelfSubjectAccessReview`: may `user` do what the body says?
///
/// # Errors
/// Invalid when the body asks for nothing, or for two things at once.
pub fn self_subject_access(rbac: &Rbac, user: &User, body: Value) -> Result<Value, ApiError> {
    let asked = attributes(&body, user.clone(), "SelfSubjectAccessReview")?;
    let body = with_status(rbac, body, &asked);
    Ok(dressed(body, AUTHORIZATION, "SelfSubjectAccessReview"))
}

/// `SubjectAccessReview`: may the user in the body do what the body says?
///
/// # Errors
/// As [`self_subject_access`]; Invalid also without a user.
pub fn subject_access(rbac: &Rbac, body: Value) -> Result<Value, ApiError> {
    let user = subject(&body, "SubjectAccessReview")?;
    let asked = attributes(&body, user, "SubjectAccessReview")?;
    let body = with_status(rbac, body, &asked);
    Ok(dressed(body, AUTHORIZATION, "SubjectAccessReview"))
}

/// `LocalSubjectAccessReview`: the same inside `namespace`.
///
/// # Errors
/// As [`subject_access`]; BadRequest for another namespace.
pub fn local_subject_access(rbac: &Rbac, namespace: &str, body: Value) -> Result<Value, ApiError> {
    let user = subject(&body, "LocalSubjectAccessReview")?;
    let asked = attributes(&body, user, "LocalSubjectAccessReview")?;
    if asked.namespace != namespace {
        return Err(ApiError::bad_request(format!(
            "spec.resourceAttributes.namespace must match namespace: {namespace}"
        )));
    }
    let body = with_status(rbac, body, &asked);
    Ok(dressed(body, AUTHORIZATION, "LocalSubjectAccessReview"))
}

/// `SelfSubjectRulesReview`: what may `user` do in the namespace that the body names?
///
/// # Errors
/// BadRequest without a namespace.
pub fn self_subject_rules(rbac: &Rbac, user: &User, mut body: Value) -> Result<Value, ApiError> {
    let namespace = text(&body["spec"]["namespace"]);
    if namespace.is_empty() {
        return Err(ApiError::bad_request("no namespace on request"));
    }
    let (rules, missing) = rbac.rules_for(user, &namespace);
    let of = |pick: fn(&Rule) -> bool| -> Vec<&Rule> { rules.iter().filter(|one| pick(one)).collect() };
    let mut status = json!({
        "resourceRules": of(|rule| !rule.resources.is_empty()),
        "nonResourceRules": of(|rule| !rule.non_resource_urls.is_empty()),
        "incomplete": !missing.is_empty(),
    });
    if !missing.is_empty() {
        status["evaluationError"] = json!(missing.join(", "));
    }
    if !body.is_object() {
        body = json!({});
    }
    body["status"] = status;
    Ok(dressed(body, AUTHORIZATION, "SelfSubjectRulesReview"))
}

/// `SelfSubjectReview`: who is `user`?
#[must_use]
pub fn self_subject(user: &User, now: &str) -> Value {
    json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "SelfSubjectReview",
        "metadata": {"creationTimestamp": now},
        "status": {"userInfo": user_info(user)},
    })
}

/// The object with its version, kind and the metadata that a review has.
pub(super) fn dressed(mut body: Value, version: &str, kind: &str) -> Value {
    body["apiVersion"] = json!(version);
    body["kind"] = json!(kind);
    if !body["metadata"].is_object() {
        body["metadata"] = json!({"creationTimestamp": null});
    }
    body
}

fn with_status(rbac: &Rbac, mut body: Value, asked: &Attributes) -> Value {
    let (allowed, reason) = match rbac.authorize(asked) {
        Decision::Allow(reason) => (true, reason),
        Decision::Deny(reason) => (false, reason),
    };
    let mut status = json!({"allowed": allowed});
    if !reason.is_empty() {
        status["reason"] = json!(reason);
    }
    body["status"] = status;
    body
}

fn subject(body: &Value, kind: &str) -> Result<User, ApiError> {
    let spec = &body["spec"];
    let list = |value: &Value| -> Vec<String> {
        let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
        list.iter().map(text).collect()
    };
    let user = User {
        name: text(&spec["user"]),
        uid: text(&spec["uid"]),
        groups: list(&spec["groups"]),
        extra: spec["extra"]
            .as_object()
            .unwrap_or(&Map::new())
            .iter()
            .map(|(key, values)| (key.clone(), list(values)))
            .collect(),
    };
    if user.name.is_empty() && user.groups.is_empty() {
        let detail = "at least one of user or group must be specified";
        let error = FieldError::invalid("spec.user", &json!(""), detail);
        return Err(ApiError::invalid("authorization.k8s.io", kind, "", &[error]));
    }
    Ok(user)
}

fn attributes(body: &Value, user: User, kind: &str) -> Result<Attributes, ApiError> {
    let spec = &body["spec"];
    let (resource, path) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
    match (resource.is_object(), path.is_object()) {
        (true, false) => Ok(Attributes {
            user,
            verb: text(&resource["verb"]),
            group: text(&resource["group"]),
            version: text(&resource["version"]),
            resource: match text(&resource["resource"]) {
                // Only a rule for `*` allows what names no resource.
                empty if empty.is_empty() => "*".to_owned(),
                given => given,
            },
            subresource: text(&resource["subresource"]),
            namespace: text(&resource["namespace"]),
            name: text(&resource["name"]),
            path: String::new(),
        }),
        (false, true) => {
            Ok(Attributes { user, verb: text(&path["verb"]), path: text(&path["path"]), ..Attributes::default() })
        }
        (both, _) => {
            let detail = if both {
                "cannot be specified in combination with resourceAttributes"
            } else {
                "exactly one of nonResourceAttributes or resourceAttributes must be specified"
            };
            let field = if both { "spec.nonResourceAttributes" } else { "spec.resourceAttributes" };
            let error = FieldError::invalid(field, path, detail);
            Err(ApiError::invalid("authorization.k8s.io", kind, "", &[error]))
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{MASTERS, Roles};
    use super::*;

    fn rbac() -> Rbac {
        let objects = super::super::bootstrap::objects();
        let mut objects: Vec<Value> = objects.collect();
        objects.push(json!({"kind": "RoleBinding", "metadata": {"name": "jane", "namespace": "team"},
            "roleRef": {"kind": "ClusterRole", "name": "view"}, "subjects": [{"kind": "User", "name": "jane"}]}));
        Rbac::new(Arc::new(Arc::new(Roles::from_objects(&objects))))
    }

    fn asks(verb: &str, resource: &str) -> Value {
        json!({"spec": {"resourceAttributes": {"namespace": "team", "verb": verb, "resource": resource}}})
    }

    #[test]
    fn answers_for_oneself_and_for_others() {
        let rbac = rbac();
        let jane = User::authenticated("jane", &[]);
        let answer = self_subject_access(&rbac, &jane, asks("get", "pods")).unwrap();
        assert_eq!(answer["status"]["allowed"], true);
        assert_eq!(answer["kind"], "SelfSubjectAccessReview");
        let answer = self_subject_access(&rbac, &jane, asks("get", "secrets")).unwrap();
        assert_eq!(answer["status"], json!({"allowed": false}));
        let mut body = asks("list", "pods");
        body["spec"]["user"] = json!("jane");
        let answer = subject_access(&rbac, body.clone()).unwrap();
        assert_eq!(answer["status"]["allowed"], true);
        let answer = local_subject_access(&rbac, "team", body.clone()).unwrap();
        assert_eq!(answer["status"]["allowed"], true);
        assert_eq!(local_subject_access(&rbac, "other", body).unwrap_err().code, 400);
        assert_eq!(subject_access(&rbac, asks("get", "pods")).unwrap_err().code, 422);
        let nothing = self_subject_access(&rbac, &jane, json!({"spec": {}}));
        assert_eq!(nothing.unwrap_err().code, 422);
    }

    #[test]
    fn lists_rules_and_names_oneself() {
        let rbac = rbac();
        let jane = User::authenticated("jane", &[]);
        let body = json!({"spec": {"namespace": "team"}});
        let answer = self_subject_rules(&rbac, &jane, body.clone()).unwrap();
        let rules = answer["status"]["resourceRules"].as_array().unwrap();
        assert!(rules.iter().any(|rule| rule["resources"][0] == "selfsubjectaccessreviews"));
        assert!(rules.iter().any(|rule| { rule["resources"].as_array().unwrap().contains(&json!("pods/log")) }));
        assert_eq!(answer["status"]["incomplete"], false);
        let admin = User::authenticated("root", &[MASTERS]);
        let answer = self_subject_rules(&rbac, &admin, body).unwrap();
        assert_eq!(
            answer["status"]["resourceRules"][0],
            json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]})
        );
        assert_eq!(
            self_subject(&jane, "2026-01-01T00:00:00Z")["status"]["userInfo"],
            json!({"username": "jane", "groups": ["system:authenticated"]})
        );
    }
}
