//! Service account tokens of a pod, asked for through the TokenRequest API and renewed well before they expire.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{ServiceAccount, ServiceAccountTokenProjection};
use kube::Api;
use kube::api::PostParams;

use super::Setting;

const DEFAULT_SECONDS: i64 = 3600;
/// No token is used for longer.
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Wish {
    audience: Option<String>,
    seconds: i64,
}

impl Wish {
    fn of(source: &ServiceAccountTokenProjection) -> Self {
        Self {
            audience: source.audience.clone().filter(|a| !a.is_empty()),
            seconds: source.expiration_seconds.unwrap_or(DEFAULT_SECONDS),
        }
    }
}

#[derive(Debug)]
struct Token {
    content: Bytes,
    refresh_at: Timestamp,
}

/// The tokens of one pod.
#[derive(Debug, Default)]
pub(crate) struct Tokens(BTreeMap<Wish, Token>);

impl Tokens {
    /// The token for a source, if it has been asked for.
    pub(super) fn get(&self, source: &ServiceAccountTokenProjection) -> Option<&Bytes> {
        self.0.get(&Wish::of(source)).map(|token| &token.content)
    }

    /// When the first one is due.
    pub(super) fn refresh_at(&self) -> Option<Timestamp> {
        self.0.values().map(|token| token.refresh_at).min()
    }

    /// Asks for a token unless a fresh one is there.
    pub(super) async fn ensure(
        &mut self,
        setting: &Setting<'_>,
        source: &ServiceAccountTokenProjection,
    ) -> Result<(), String> {
        let wish = Wish::of(source);
        if self.0.get(&wish).is_some_and(|token| setting.now < token.refresh_at) {
            return Ok(());
        }
        let pod = setting.facts.pod;
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let account = pod.spec.as_ref().and_then(|s| s.service_account_name.as_deref());
        let account = account.filter(|name| !name.is_empty()).unwrap_or("default");
        let request = TokenRequest {
            spec: TokenRequestSpec {
                audiences: wish.audience.clone().into_iter().collect(),
                expiration_seconds: Some(wish.seconds),
                bound_object_ref: Some(BoundObjectReference {
                    api_version: Some("v1".into()),
                    kind: Some("Pod".into()),
                    name: pod.metadata.name.clone(),
                    uid: pod.metadata.uid.clone(),
                }),
            },
            ..TokenRequest::default()
        };
        let api: Api<ServiceAccount> = Api::namespaced(setting.client.clone(), namespace);
        let answer = api
            .create_token_request(account, &PostParams::default(), &request)
            .await
            .map_err(|error| format!("failed to fetch token: {error}"))?;
        let status = answer.status.ok_or("failed to fetch token: the answer has no status")?;
        let life = status.expiration_timestamp.0.duration_since(setting.now);
        let refresh = (life * 4 / 5).min(LONGEST);
        let token = Token {
            content: status.token.into(),
            refresh_at: setting.now.saturating_add(refresh).unwrap_or(setting.now),
        };
        self.0.insert(wish, token);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
