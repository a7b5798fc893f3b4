//! Who sends a request: a client certificate, a bearer token, or nobody; then whom they act as. It must not decide
//! what they may, save whom they may impersonate.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use http::HeaderMap;
use http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};

use super::token::{ISSUER, Tokens};
use super::{
    ANONYMOUS, AUTHENTICATED, Attributes, Decision, ObjectLookup, Rbac, UNAUTHENTICATED, User, service_account_groups,
    split_service_account,
};
use crate::error::ApiError;

/// A browser cannot send headers with a websocket: the token may come as a subprotocol of this beginning.
pub const BEARER_SUBPROTOCOL: &str = "base64url.bearer.authorization.k8s.io.";

/// Finds out who sends a request.
pub struct Authenticator {
    tokens: Arc<Tokens>,
    objects: Arc<dyn ObjectLookup>,
    audiences: Vec<String>,
}

impl Authenticator {
    /// Verifies tokens by `tokens`, against the objects that they are bound to.
    #[must_use]
    pub fn new(tokens: Arc<Tokens>, objects: Arc<dyn ObjectLookup>) -> Self {
        Self { tokens, objects, audiences: vec![ISSUER.to_owned()] }
    }

    /// The sender: `peer` is the user of the connection's certificate ([`super::pki::user_of_certificate`]).
    ///
    /// # Errors
    /// Unauthorized for a token that is not taken. Without any credentials it is `system:anonymous`.
    pub fn sender(&self, peer: Option<&User>, headers: &HeaderMap, now: SystemTime) -> Result<User, ApiError> {
        if let Some(user) = peer {
            return Ok(user.clone());
        }
        let Some(token) = bearer(headers) else {
            return Ok(User::anonymous());
        };
        self.tokens.verify(&token, &self.audiences, self.objects.as_ref(), now).map(|verified| verified.user).map_err(
            |error| {
                tracing::debug!(%error, "refused a bearer token");
                ApiError::unauthorized()
            },
        )
    }
}

/// Whom `user` acts as by the headers `Impersonate-…`; `user` itself without them.
///
/// # Errors
/// Forbidden when `user` may not act as them.
pub fn impersonated(rbac: &Rbac, user: User, headers: &HeaderMap) -> Result<User, ApiError> {
    let texts = |name: &str| -> Vec<String> {
        let values = headers.get_all(name).iter();
        values.filter_map(|value| value.to_str().ok()).map(str::to_owned).collect()
    };
    let name = texts("impersonate-user").into_iter().next();
    let uid = texts("impersonate-uid").into_iter().next();
    let mut groups = texts("impersonate-group");
    let extra = extra_of(headers);
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        if uid.is_some() || !groups.is_empty() || !extra.is_empty() {
            return Err(ApiError::internal("groups, uid or extra were asked for without impersonating a user"));
        }
        return Ok(user);
    };

    let check = |group: &str, resource: &str, subresource: &str, namespace: &str, name: &str| {
        let asked = Attributes {
            user: user.clone(),
            verb: "impersonate".to_owned(),
            group: group.to_owned(),
            version: "v1".to_owned(),
            resource: resource.to_owned(),
            subresource: subresource.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            path: String::new(),
        };
        match rbac.authorize(&asked) {
            Decision::Allow(_) => Ok(()),
            Decision::Deny(reason) => Err(Rbac::forbidden(&asked, &reason)),
        }
    };
    let account = split_service_account(&name);
    match account {
        Some((namespace, name)) => check("", "serviceaccounts", "", namespace, name)?,
        None => check("", "users", "", "", &name)?,
    }
    for group in &groups {
        check("", "groups", "", "", group)?;
    }
    if let Some(uid) = &uid {
        check("authentication.k8s.io", "uids", "", "", uid)?;
    }
    for (key, values) in &extra {
        for value in values {
            check("authentication.k8s.io", "userextras", key, "", value)?;
        }
    }

    if let Some((namespace, _)) = account
        && groups.is_empty()
    {
        groups.extend(service_account_groups(namespace));
    }
    let implied = if name == ANONYMOUS { UNAUTHENTICATED } else { AUTHENTICATED };
    let named = |one: &String| one == AUTHENTICATED || one == UNAUTHENTICATED;
    if !groups.iter().any(named) {
        groups.push(implied.to_owned());
    }
    Ok(User { name, uid: uid.unwrap_or_default(), groups, extra })
}

/// The values of the headers `Impersonate-Extra-KEY`; keys are lower case and percent-encoded.
fn extra_of(headers: &HeaderMap) -> BTreeMap<String, Vec<String>> {
    let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in headers {
        let Some(key) = name.as_str().strip_prefix("impersonate-extra-") else {
            continue;
        };
        if let Ok(value) = value.to_str() {
            let values = extra.entry(unescape(key)).or_default();
            values.push(value.to_owned());
        }
    }
    extra
}

fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = (*first == b'%')
            .then(|| tail.get(..2))
            .flatten()
            .and_then(|two| std::str::from_utf8(two).ok())
            .and_then(|two| u8::from_str_radix(two, 16).ok());
        match hex {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    if let Some(value) = headers.get(AUTHORIZATION) {
        let (scheme, token) = value.to_str().ok()?.trim().split_once(' ')?;
        let token = token.trim();
        let given = scheme.eq_ignore_ascii_case("bearer") && !token.is_empty();
        return given.then(|| token.to_owned());
    }
    let protocols = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    protocols.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).find_map(|one| {
        let encoded = one.trim().strip_prefix(BEARER_SUBPROTOCOL)?;
        let decoded = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(encoded.trim_end_matches('=')).ok()?;
        String::from_utf8(decoded).ok()
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderValue;
    use serde_json::json;

    use super::super::token::tests::{objects, tokens};
    use super::super::token::{Bound, Reference, claims};
    use super::super::{MASTERS, Roles};
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        map
    }

    #[test]
    fn takes_certificate_then_token_then_nobody() {
        let (tokens, now) = (Arc::new(tokens()), SystemTime::now());
        let authenticator = Authenticator::new(tokens.clone(), Arc::new(objects));
        let bound = Bound {
            namespace: "spark-jobs".into(),
            serviceaccount: Reference { name: "spark".into(), uid: "sa-1".into() },
            ..Bound::default()
        };
        let claims = claims(bound, vec![ISSUER.into()], Duration::from_secs(600), now);
        let token = tokens.issue(&claims).unwrap();
        let with = headers(&[("authorization", &format!("Bearer {token}"))]);
        let user = authenticator.sender(None, &with, now).unwrap();
        assert_eq!(user.name, "system:serviceaccount:spark-jobs:spark");
        let encoded = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&token);
        let protocols = format!("v4.channel.k8s.io, {BEARER_SUBPROTOCOL}{encoded}");
        let with_protocol = headers(&[("sec-websocket-protocol", &protocols)]);
        let user = authenticator.sender(None, &with_protocol, now).unwrap();
        assert_eq!(user.uid, "sa-1");
        let admin = User::authenticated("kubernetes-admin", &[MASTERS]);
        let user = authenticator.sender(Some(&admin), &with, now).unwrap();
        assert_eq!(user, admin);
        let user = authenticator.sender(None, &HeaderMap::new(), now).unwrap();
        assert_eq!(user, User::anonymous());
        let wrong = headers(&[("authorization", "Bearer nonsense")]);
        let error = authenticator.sender(None, &wrong, now).unwrap_err();
        assert_eq!(error.code, 401);
    }

    #[test]
    fn impersonates_with_the_right_to() {
        let rbac = Rbac::new(Arc::new(Arc::new(Roles::default())));
        let admin = User::authenticated("kubernetes-admin", &[MASTERS]);
        let wanted = headers(&[
            ("impersonate-user", "system:serviceaccount:spark-jobs:spark"),
            ("impersonate-extra-acme%2fteam", "data"),
        ]);
        let user = impersonated(&rbac, admin.clone(), &wanted).unwrap();
        assert_eq!(user.groups, User::service_account("spark-jobs", "spark").groups);
        assert_eq!(user.extra["acme/team"], ["data"]);
        let alone = headers(&[("impersonate-group", "a")]);
        assert_eq!(impersonated(&rbac, admin, &alone).unwrap_err().code, 500);
    }

    #[test]
    fn refuses_to_impersonate_without_it() {
        let role = json!({"kind": "ClusterRole", "metadata": {"name": "act-as-jane"},
            "rules": [{"apiGroups": [""], "resources": ["users"], "resourceNames": ["jane"], "verbs": ["impersonate"]}]});
        let binding = json!({"kind": "ClusterRoleBinding", "metadata": {"name": "act-as-jane"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "act-as-jane"},
            "subjects": [{"kind": "User", "name": "bob"}]});
        let rbac = Rbac::new(Arc::new(Arc::new(Roles::from_objects([&role, &binding]))));
        let bob = User::authenticated("bob", &[]);
        let jane = headers(&[("impersonate-user", "jane")]);
        assert_eq!(impersonated(&rbac, bob.clone(), &jane).unwrap().name, "jane");
        let more = headers(&[("impersonate-user", "jane"), ("impersonate-group", MASTERS)]);
        let error = impersonated(&rbac, bob, &more).unwrap_err();
        assert_eq!(
            error.message,
            "groups \"system:masters\" is forbidden: User \"bob\" cannot impersonate resource \"groups\" in API group \"\" at the cluster scope"
        );
    }
}
