//! Service-account tokens: claims as Kubernetes writes them, signed by the cluster's key, valid as long as the account
//! and the object that they are bound to exist. It must not know HTTP.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::jws::Signer;
use super::{ObjectLookup, User, split_service_account};

/// Who issues tokens, and the API server's own audience.
pub const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
/// Where the key set lies, below the issuer.
pub const JWKS_PATH: &str = "/openid/v1/jwks";
/// Clocks differ by this much.
const LEEWAY: u64 = 60;

/// The claims of a service-account token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// For whom.
    #[serde(deserialize_with = "one_or_many")]
    pub aud: Vec<String>,
    /// Invalid from this second on.
    pub exp: u64,
    /// Issued in this second.
    pub iat: u64,
    /// By whom.
    pub iss: String,
    /// Identifies the token.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub jti: String,
    /// The account, and what the token is bound to.
    #[serde(rename = "kubernetes.io")]
    pub kubernetes: Bound,
    /// Valid from this second on.
    pub nbf: u64,
    /// `system:serviceaccount:NAMESPACE:NAME`.
    pub sub: String,
}

/// The part of the claims that is Kubernetes' own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// Namespace of the account.
    pub namespace: String,
    /// The node of the pod, or the node that the token is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Reference>,
    /// The pod that the token is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<Reference>,
    /// The secret that the token is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Reference>,
    /// The account.
    pub serviceaccount: Reference,
}

/// An object by name and uid.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// Name.
    pub name: String,
    /// UID.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
}

/// Why a token is not taken, or could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a token of this cluster.
    #[error("invalid bearer token")]
    Foreign,
    /// For somebody else.
    #[error("token audiences {0:?} is invalid for the target audiences {1:?}")]
    Audience(Vec<String>, Vec<String>),
    /// Past its end.
    #[error("service account token has expired")]
    Expired,
    /// Before its begin.
    #[error("service account token is not valid yet")]
    Early,
    /// The account or the object that it is bound to is gone, or another one has its name.
    #[error("{0}")]
    Invalidated(String),
    /// The signing key is unusable.
    #[error("the key that signs service-account tokens is not an ECDSA P-256 key")]
    Key,
    /// The system gave no randomness.
    #[error("cannot sign a service-account token")]
    Sign,
}

/// Issues and verifies tokens with the cluster's key.
pub struct Tokens {
    signer: Signer,
}

/// A token that was found good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Whom it names.
    pub user: User,
    /// Which of the wanted audiences it is for.
    pub audiences: Vec<String>,
}

impl Tokens {
    /// With that key: see [`super::pki::Pki::token_key`].
    ///
    /// # Errors
    /// When it is not a P-256 key.
    pub fn from_pem(pem: &str) -> Result<Self, TokenError> {
        let signer = Signer::from_pem(pem).ok_or(TokenError::Key)?;
        Ok(Self { signer })
    }

    /// A signed token.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn issue(&self, claims: &Claims) -> Result<String, TokenError> {
        let payload = serde_json::to_vec(claims).map_err(|_| TokenError::Sign)?;
        self.signer.sign(&payload).ok_or(TokenError::Sign)
    }

    /// Who the token is, if it is ours, in time, for one of `audiences`, and all that it is bound to still exists.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn verify(
        &self,
        token: &str,
        audiences: &[String],
        objects: &dyn ObjectLookup,
        now: SystemTime,
    ) -> Result<Verified, TokenError> {
        let payload = self.signer.verify(token).ok_or(TokenError::Foreign)?;
        let claims: Claims = serde_json::from_slice(&payload).map_err(|_| TokenError::Foreign)?;
        let bound = &claims.kubernetes;
        let subject = split_service_account(&claims.sub);
        if claims.iss != ISSUER || subject != Some((&bound.namespace, &bound.serviceaccount.name)) {
            return Err(TokenError::Foreign);
        }
        let matching: Vec<String> = audiences.iter().filter(|&one| claims.aud.contains(one)).cloned().collect();
        if matching.is_empty() {
            return Err(TokenError::Audience(claims.aud.clone(), audiences.to_vec()));
        }
        let now = seconds(now);
        if claims.exp.saturating_add(LEEWAY) < now {
            return Err(TokenError::Expired);
        }
        if claims.nbf > now + LEEWAY || claims.iat > now + LEEWAY {
            return Err(TokenError::Early);
        }
        check_bound(bound, objects)?;
        Ok(Verified { user: user_of(&claims), audiences: matching })
    }

    /// The document at [`JWKS_PATH`].
    #[must_use]
    pub fn key_set(&self) -> Value {
        self.signer.key_set()
    }

    /// The document at `/.well-known/openid-configuration`.
    #[must_use]
    pub fn openid_configuration(&self) -> Value {
        json!({
            "issuer": ISSUER,
            "jwks_uri": format!("{ISSUER}{JWKS_PATH}"),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        })
    }
}

/// Claims valid for `lifetime` from `now`.
#[must_use]
pub fn claims(bound: Bound, audiences: Vec<String>, lifetime: Duration, now: SystemTime) -> Claims {
    let now = seconds(now);
    Claims {
        aud: audiences,
        exp: now + lifetime.as_secs(),
        iat: now,
        nbf: now,
        iss: ISSUER.to_owned(),
        jti: uuid::Uuid::new_v4().to_string(),
        sub: super::service_account_name(&bound.namespace, &bound.serviceaccount.name),
        kubernetes: bound,
    }
}

fn check_bound(bound: &Bound, objects: &dyn ObjectLookup) -> Result<(), TokenError> {
    let gone = |text: String| Err(TokenError::Invalidated(text));
    let uid_of = |resource: &str, namespace: &str, name: &str| {
        let object = objects.object(resource, namespace, name)?;
        Some(object["metadata"]["uid"].as_str()?.to_owned())
    };
    let account = &bound.serviceaccount;
    match uid_of("serviceaccounts", &bound.namespace, &account.name) {
        None => return gone(format!("serviceaccounts {:?} not found", account.name)),
        Some(uid) if uid != account.uid => {
            return gone(format!("service account UID ({uid}) does not match claim ({})", account.uid));
        }
        Some(_) => {}
    }
    // A node beside a pod only says where the pod runs.
    let node = bound.node.as_ref().filter(|_| bound.pod.is_none());
    let others = [
        ("pod", "pods", bound.namespace.as_str(), bound.pod.as_ref()),
        ("secret", "secrets", &bound.namespace, bound.secret.as_ref()),
        ("node", "nodes", "", node),
    ];
    for (what, resource, namespace, reference) in others {
        let Some(reference) = reference else { continue };
        match uid_of(resource, namespace, &reference.name) {
            None => return gone("service account token has been invalidated".to_owned()),
            Some(uid) if uid != reference.uid => {
                return gone(format!(
                    "{what} UID ({uid}) does not match service account {what} ref claim ({})",
                    reference.uid
                ));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn user_of(claims: &Claims) -> User {
    let bound = &claims.kubernetes;
    let mut user = User::service_account(&bound.namespace, &bound.serviceaccount.name);
    user.uid = bound.serviceaccount.uid.clone();
    let mut tell = |key: &str, value: String| {
        if !value.is_empty() {
            let key = format!("authentication.kubernetes.io/{key}");
            user.extra.insert(key, vec![value]);
        }
    };
    if !claims.jti.is_empty() {
        tell("credential-id", format!("JTI={}", claims.jti));
    }
    for (what, reference) in [("node", &bound.node), ("pod", &bound.pod)] {
        if let Some(reference) = reference {
            tell(&format!("{what}-name"), reference.name.clone());
            tell(&format!("{what}-uid"), reference.uid.clone());
        }
    }
    user
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// `aud` is a text or a list of texts.
fn one_or_many<'de, D>(input: D) -> Result<Vec<String>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Audience {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Audience::deserialize(input)? {
        Audience::One(one) => vec![one],
        Audience::Many(many) => many,
    })
}

#[cfg(test)]
pub(super) mod tests;
