//! Kinds that are only asked: reviews of tokens, of the asker and of rights, and tokens for service accounts.
//! The answers are `auth`'s.

use std::time::SystemTime;

use serde_json::Value;

use crate::auth::{reviews, token_reviews};
use crate::call::Call;
use crate::error::ApiError;
use crate::object;
use crate::respond::Reply;

/// Whether a kind is only asked.
pub(crate) fn is_review(call: &Call) -> bool {
    matches!(&*call.resource.group, "authentication.k8s.io" | "authorization.k8s.io")
}

/// Answers a review.
pub(crate) fn review(call: &Call, body: Value) -> Result<Reply, ApiError> {
    let access = call.api.access();
    let (rbac, user) = (&access.rbac, &call.user);
    let answer = match (&*call.resource.group, &*call.resource.plural) {
        ("authentication.k8s.io", "selfsubjectreviews") => {
            let now = object::seconds(call.api.now());
            Ok(reviews::self_subject(user, now.as_str().unwrap_or_default()))
        }
        ("authentication.k8s.io", "tokenreviews") => {
            token_reviews::review(&access.tokens, &*access.objects, body, SystemTime::now())
        }
        ("authorization.k8s.io", "selfsubjectaccessreviews") => reviews::self_subject_access(rbac, user, body),
        ("authorization.k8s.io", "selfsubjectrulesreviews") => reviews::self_subject_rules(rbac, user, body),
        ("authorization.k8s.io", "subjectaccessreviews") => reviews::subject_access(rbac, body),
        ("authorization.k8s.io", "localsubjectaccessreviews") => {
            reviews::local_subject_access(rbac, &call.path.namespace, body)
        }
        _ => Err(ApiError::method_not_allowed()),
    };
    Ok(Reply::Object(201, answer?, Vec::new()))
}

/// Issues a token for the service account that the path names.
pub(crate) fn token(call: &Call, body: Value) -> Result<Reply, ApiError> {
    let access = call.api.access();
    let account = (call.path.namespace.as_str(), call.path.name.as_str());
    let object = token_reviews::request(&access.tokens, &*access.objects, account, body, SystemTime::now())?;
    Ok(Reply::Object(201, object, Vec::new()))
}
