//! Secrets of the type `kubernetes.io/service-account-token`: filled with a token of their account that lasts as long as they do,
//! and removed with it.
//! Upstream rule: k8s.io/kubernetes `pkg/controller/serviceaccount/tokens_controller.go`. Their token is one of the present form,
//! bound to the secret, so that no controller needs the key that signs.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::ByteString;
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::api::PostParams;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt};
use tinderbox_client::error::Doing;
use tinderbox_client::{Applier, Cache, ObjectKey, Plan, Queue, Result, Runner, Step, runner::Action};

use crate::context::Context;
use crate::meta::is_deleting;

const TYPE: &str = "kubernetes.io/service-account-token";
const NAME: &str = "kubernetes.io/service-account.name";
const UID: &str = "kubernetes.io/service-account.uid";
const TOKEN: &str = "token";
/// As long as a token can last.
const LIFETIME: i64 = 1 << 32;

type Account = PartialObjectMeta<ServiceAccount>;

/// Runs the controller.
pub(crate) fn run(context: Context) -> BoxFuture<'static, Result<()>> {
    async move {
        // Those alone: nobody needs all secrets in memory.
        let secrets: Cache<Secret> = Cache::new(|_| ());
        let accounts = context.caches.get::<Account>();
        let queue = Queue::new(context.clock.clone());
        secrets.subscribe({
            let queue = queue.clone();
            move |change| queue.add(change.key())
        });
        accounts.subscribe({
            let (queue, secrets) = (queue.clone(), secrets.clone());
            move |change| {
                let account = change.key();
                let own = secrets.in_namespace(&account.namespace).into_iter();
                own.filter(|secret| account_of(secret) == account.name)
                    .for_each(|secret| queue.add(ObjectKey::of(&*secret)));
            }
        });
        let watching = {
            let (secrets, api, token) = (secrets.clone(), Api::all(context.client.clone()), context.token.clone());
            async move { secrets.run(api, watcher::Config::default().fields(&format!("type={TYPE}")), token).await }
        };
        context.tracker.spawn(watching);
        secrets.synced().await?;
        accounts.synced().await?;
        let world = World {
            secrets,
            accounts,
            client: context.client.clone(),
            ca: context.config.ca.clone(),
            applier: context.applier("kube-controller-manager", "serviceaccount-controller"),
        };
        let runner = Runner { name: "tokens", queue, concurrency: 2, token: context.token.clone() };
        runner.run(move |key| reconcile(world.clone(), key)).await;
        Ok(())
    }
    .boxed()
}

#[derive(Clone)]
struct World {
    secrets: Cache<Secret>,
    accounts: Cache<Account>,
    client: Client,
    ca: String,
    applier: Arc<Applier>,
}

async fn reconcile(world: World, key: ObjectKey) -> Result<Action> {
    let Some(secret) = world.secrets.get(&key) else {
        return Ok(Action::Done);
    };
    let name = account_of(&secret);
    let accounts: Api<ServiceAccount> = Api::namespaced(world.client.clone(), &key.namespace);
    let mut uid = world.accounts.get(&ObjectKey::new(&*key.namespace, name)).and_then(|account| account.uid());
    if uid.is_none() {
        // Before anything is removed, the one who knows is asked.
        let found = accounts.get_opt(name).await.doing(|| format!("get serviceaccounts {}/{name}", key.namespace))?;
        uid = found.and_then(|account| account.uid());
    }
    let plan = match plan(&secret, uid.as_deref(), &world.ca) {
        Wish::Nothing => return Ok(Action::Done),
        Wish::Remove => [Step::delete(&*secret)].into_iter().fold(Plan::default(), with),
        Wish::Fill { mut data, needs_token } => {
            if needs_token {
                let answer = accounts.create_token_request(name, &PostParams::default(), &request(&secret)).await;
                let answer = answer.doing(|| format!("request a token for the secret {key}"))?;
                let token = answer.status.map(|status| status.token).unwrap_or_default();
                data.insert(TOKEN.to_owned(), ByteString(token.into_bytes()));
            }
            let mut new = (*secret).clone();
            new.data.get_or_insert_default().extend(data);
            new.metadata.annotations.get_or_insert_default().insert(UID.to_owned(), uid.unwrap_or_default());
            Step::update(&*secret, &new).into_iter().fold(Plan::default(), with)
        }
    };
    Ok(world.applier.apply(plan).await?.into())
}

fn with(mut plan: Plan, step: Step) -> Plan {
    plan.push(step);
    plan
}

fn request(secret: &Secret) -> TokenRequest {
    let bound = BoundObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Secret".to_owned()),
        name: secret.metadata.name.clone(),
        uid: secret.metadata.uid.clone(),
    };
    let spec =
        TokenRequestSpec { audiences: Vec::new(), bound_object_ref: Some(bound), expiration_seconds: Some(LIFETIME) };
    TokenRequest { spec, ..TokenRequest::default() }
}

fn account_of(secret: &Secret) -> &str {
    secret.annotations().get(NAME).map_or("", String::as_str)
}

/// What becomes of a secret.
#[derive(Debug, PartialEq)]
enum Wish {
    Nothing,
    /// Its account is gone, or another one has its name.
    Remove,
    Fill {
        data: BTreeMap<String, ByteString>,
        needs_token: bool,
    },
}

/// What a secret wants, given the uid of its account. Pure.
fn plan(secret: &Secret, uid: Option<&str>, ca: &str) -> Wish {
    if is_deleting(secret) || account_of(secret).is_empty() {
        return Wish::Nothing;
    }
    let known = secret.annotations().get(UID).map(String::as_str).filter(|known| !known.is_empty());
    let Some(uid) = uid.filter(|uid| known.is_none_or(|known| known == *uid)) else {
        return Wish::Remove;
    };
    let has = |key: &str| secret.data.as_ref().and_then(|data| data.get(key)).map(|value| value.0.as_slice());
    let namespace = secret.namespace().unwrap_or_default();
    let data: BTreeMap<String, ByteString> = [("ca.crt", ca), ("namespace", namespace.as_str())]
        .into_iter()
        .filter(|(key, value)| has(key) != Some(value.as_bytes()))
        .map(|(key, value)| (key.to_owned(), ByteString(value.as_bytes().to_vec())))
        .collect();
    let needs_token = has(TOKEN).is_none_or(<[u8]>::is_empty);
    if data.is_empty() && !needs_token && known == Some(uid) { Wish::Nothing } else { Wish::Fill { data, needs_token } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_secret_is_filled_once_and_goes_with_its_account() {
        let mut secret: Secret = serde_json::from_value(json!({"metadata": {"name": "s", "namespace": "n",
            "annotations": {NAME: "robot"}}, "type": TYPE}))
        .expect("a secret");
        let Wish::Fill { data, needs_token: true } = plan(&secret, Some("1"), "CA") else { panic!("it is empty") };
        assert_eq!(data.keys().collect::<Vec<_>>(), ["ca.crt", "namespace"]);
        assert_eq!(plan(&secret, None, "CA"), Wish::Remove);
        secret.data = Some(data);
        secret.data.get_or_insert_default().insert(TOKEN.to_owned(), ByteString(b"x".to_vec()));
        secret.metadata.annotations.get_or_insert_default().insert(UID.to_owned(), "1".to_owned());
        assert_eq!(plan(&secret, Some("1"), "CA"), Wish::Nothing);
        assert!(matches!(plan(&secret, Some("1"), "NEW"), Wish::Fill { needs_token: false, .. }));
        assert_eq!(plan(&secret, Some("2"), "CA"), Wish::Remove);
    }
}
