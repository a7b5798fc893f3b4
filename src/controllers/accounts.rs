//! What every namespace is born with: the `default` ServiceAccount, and the config map with the cluster's certificate
//! authority that token volumes project. Nothing else about namespaces.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use kube::core::{ObjectMeta, PartialObjectMeta};
use kube::{Api, ResourceExt};
use serde_json::json;
use tinderbox_client::error::Doing;
use tinderbox_client::{Applier, Cache, ObjectKey, Plan, Queue, Result, Runner, Step, runner::Action};

use crate::context::{Config, Context};
use crate::meta::is_deleting;

const ACCOUNT: &str = "default";
const ROOT_CA: &str = "kube-root-ca.crt";
const CA_KEY: &str = "ca.crt";
const DESCRIPTION: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.";

type Meta<K> = PartialObjectMeta<K>;

/// Runs the controller.
pub(crate) fn run(context: Context) -> BoxFuture<'static, Result<()>> {
    async move {
        let namespaces = context.caches.get::<Namespace>();
        let accounts = context.caches.get::<Meta<ServiceAccount>>();
        let maps = context.caches.get::<Meta<ConfigMap>>();
        let queue = Queue::new(context.clock.clone());
        namespaces.subscribe({
            let queue = queue.clone();
            move |change| queue.add(change.key().name)
        });
        accounts.subscribe({
            let queue = queue.clone();
            move |change| {
                let key = change.key();
                if key.name == ACCOUNT && change.new.is_none() {
                    queue.add(key.namespace);
                }
            }
        });
        maps.subscribe({
            let queue = queue.clone();
            move |change| {
                let key = change.key();
                if key.name == ROOT_CA {
                    queue.add(key.namespace);
                }
            }
        });
        namespaces.synced().await?;
        accounts.synced().await?;
        maps.synced().await?;
        let applier = context.applier("kube-controller-manager", "serviceaccount-controller");
        let world = World { namespaces, accounts, maps, applier, config: context.config.clone() };
        let client = context.client.clone();
        let runner = Runner { name: "accounts", queue, concurrency: 4, token: context.token.clone() };
        runner.run(move |name| reconcile(world.clone(), client.clone(), name)).await;
        Ok(())
    }
    .boxed()
}

#[derive(Clone)]
struct World {
    namespaces: Cache<Namespace>,
    accounts: Cache<Meta<ServiceAccount>>,
    maps: Cache<Meta<ConfigMap>>,
    applier: Arc<Applier>,
    config: Arc<Config>,
}

async fn reconcile(world: World, client: kube::Client, name: String) -> Result<Action> {
    let Some(namespace) = world.namespaces.get(&ObjectKey::cluster(&*name)) else {
        return Ok(Action::Done);
    };
    let account = world.accounts.get(&ObjectKey::new(&*name, ACCOUNT));
    let map = match world.maps.get(&ObjectKey::new(&*name, ROOT_CA)) {
        None => None,
        Some(_) => {
            let api: Api<ConfigMap> = Api::namespaced(client, &name);
            let map = api.get_opt(ROOT_CA).await;
            map.doing(|| format!("get configmaps {name}/{ROOT_CA}"))?
        }
    };
    let plan = plan(&namespace, account.is_some(), map.as_ref(), &world.config.ca);
    match world.applier.apply(plan).await {
        Err(error) if error.is_already_exists() || error.is_namespace_terminating() => Ok(Action::Done),
        outcome => Ok(outcome?.into()),
    }
}

/// What a namespace lacks of the two. Pure.
fn plan(namespace: &Namespace, has_account: bool, map: Option<&ConfigMap>, ca: &str) -> Plan {
    let mut plan = Plan::default();
    if is_deleting(namespace) {
        return plan;
    }
    let meta = |name: &str| ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(namespace.name_any()),
        ..ObjectMeta::default()
    };
    if !has_account {
        plan.push(Step::create(&ServiceAccount { metadata: meta(ACCOUNT), ..ServiceAccount::default() }));
    }
    let data = BTreeMap::from([(CA_KEY.to_owned(), ca.to_owned())]);
    match map {
        None => {
            let mut metadata = meta(ROOT_CA);
            let text = DESCRIPTION.to_owned();
            metadata.annotations = Some(BTreeMap::from([("kubernetes.io/description".to_owned(), text)]));
            plan.push(Step::create(&ConfigMap { metadata, data: Some(data), ..ConfigMap::default() }));
        }
        Some(map) if map.data.as_ref() != Some(&data) => {
            let mut wanted = json!({CA_KEY: ca});
            for other in map.data.iter().flatten().map(|(key, _)| key).filter(|key| *key != CA_KEY) {
                wanted[other] = serde_json::Value::Null;
            }
            plan.push(Step::merge(map, json!({"data": wanted})));
        }
        Some(_) => (),
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespace() -> Namespace {
        Namespace {
            metadata: ObjectMeta { name: Some("spark-jobs".to_owned()), ..ObjectMeta::default() },
            ..Namespace::default()
        }
    }

    fn words(plan: &Plan) -> Vec<String> {
        plan.steps().map(Step::describe).collect()
    }

    #[test]
    fn a_namespace_gets_what_it_lacks() {
        let first = plan(&namespace(), false, None, "PEM");
        assert_eq!(
            words(&first),
            ["create serviceaccounts spark-jobs/default", "create configmaps spark-jobs/kube-root-ca.crt"]
        );
        let mut map: ConfigMap =
            first.steps().nth(1).and_then(|step| serde_json::from_value(step.body().clone()).ok()).unwrap_or_default();
        assert!(plan(&namespace(), true, Some(&map), "PEM").is_quiet());
        map.data.get_or_insert_default().insert("more".to_owned(), "x".to_owned());
        let mended = plan(&namespace(), true, Some(&map), "NEW");
        let bodies: Vec<_> = mended.steps().map(|step| step.body().clone()).collect();
        assert_eq!(bodies, [json!({"data": {"ca.crt": "NEW", "more": null}})]);
    }

    #[test]
    fn a_namespace_on_its_way_out_gets_nothing() {
        let mut namespace = namespace();
        namespace.metadata.deletion_timestamp =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::UNIX_EPOCH));
        assert!(plan(&namespace, false, None, "PEM").is_quiet());
    }
}
