//! Persistent volumes: claims get volumes, volumes made here are folders, and both go when they are wanted no more. The loop;
//! what to do is decided in `claim` and `volume`.

mod claim;
mod class;
mod folders;
mod volume;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::{Api, Client, ResourceExt};
use tinderbox_client::error::Doing;
use tinderbox_client::{Applier, Cache, Change, ObjectKey, Queue, Result, Runner, Step, runner::Action};

use self::folders::Folders;
use crate::context::Context;
use crate::meta::is_deleting;
use crate::scheduler::claims::names;

const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";
const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
const CLAIM_PROTECTION: &str = "kubernetes.io/pvc-protection";
const VOLUME_PROTECTION: &str = "kubernetes.io/pv-protection";

/// What is worked on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Work {
    Claim(ObjectKey),
    Volume(String),
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Claim(key) => write!(f, "claim {key}"),
            Self::Volume(name) => write!(f, "volume {name}"),
        }
    }
}

#[derive(Clone)]
struct World {
    claims: Cache<PersistentVolumeClaim>,
    volumes: Cache<PersistentVolume>,
    classes: Cache<StorageClass>,
    pods: Cache<Pod>,
    folders: Folders,
    root: PathBuf,
    client: Client,
    applier: Arc<Applier>,
}

/// Runs the controller.
pub(crate) fn run(context: Context) -> BoxFuture<'static, Result<()>> {
    async move {
        let root = context.config.volumes_dir.clone();
        let world = World {
            claims: context.caches.get(),
            volumes: context.caches.get(),
            classes: context.caches.get(),
            pods: context.caches.get(),
            folders: Folders::new(root.clone()),
            root,
            client: context.client.clone(),
            applier: context.applier("kube-controller-manager", "persistentvolume-controller"),
        };
        let queue = Queue::new(context.clock.clone());
        subscribe(&world, &queue);
        world.claims.synced().await?;
        world.volumes.synced().await?;
        world.classes.synced().await?;
        world.pods.synced().await?;
        if let Err(error) = world.applier.step(Step::create(&class::standard())).await
            && !error.is_already_exists()
        {
            return Err(error);
        }
        let clock = context.clock.clone();
        let runner = Runner { name: "volumes", queue, concurrency: 1, token: context.token.clone() };
        runner.run(move |work| reconcile(world.clone(), work, clock.now())).await;
        Ok(())
    }
    .boxed()
}

fn subscribe(world: &World, queue: &Queue<Work>) {
    world.claims.subscribe({
        let queue = queue.clone();
        move |change| {
            queue.add(Work::Claim(change.key()));
            let name = change.latest().and_then(|claim| claim.spec.as_ref()?.volume_name.clone());
            if let Some(name) = name {
                queue.add(Work::Volume(name));
            }
        }
    });
    world.volumes.subscribe({
        let (queue, claims) = (queue.clone(), world.claims.clone());
        move |change| {
            queue.add(Work::Volume(change.key().name));
            let reference = change.latest().and_then(claim::reference_of);
            if let Some(reference) = reference {
                let text = |text: &Option<String>| text.clone().unwrap_or_default();
                queue.add(Work::Claim(ObjectKey::new(text(&reference.namespace), text(&reference.name))));
            } else {
                unbound(&claims).into_iter().for_each(|key| queue.add(Work::Claim(key)));
            }
        }
    });
    world.classes.subscribe({
        let (queue, claims) = (queue.clone(), world.claims.clone());
        move |_| unbound(&claims).into_iter().for_each(|key| queue.add(Work::Claim(key)))
    });
    // A claim on its way out stays as long as a pod uses it.
    world.pods.subscribe({
        let (queue, claims) = (queue.clone(), world.claims.clone());
        move |change: &Change<'_, Pod>| {
            let pod = change.latest().filter(|_| change.new.is_none());
            for name in pod.map(names).unwrap_or_default() {
                let key = ObjectKey::new(change.key().namespace, name);
                if claims.get(&key).is_some_and(|claim| is_deleting(&*claim)) {
                    queue.add(Work::Claim(key));
                }
            }
        }
    });
}

fn unbound(claims: &Cache<PersistentVolumeClaim>) -> Vec<ObjectKey> {
    let claims = claims.list();
    let unbound = claims.iter().filter(|claim| claim.spec.as_ref().is_some_and(|spec| spec.volume_name.is_none()));
    unbound.map(|claim| ObjectKey::of(&**claim)).collect()
}

async fn reconcile(world: World, work: Work, now: Timestamp) -> Result<Action> {
    match work {
        Work::Claim(key) => {
            let Some(claim) = world.claims.get(&key) else {
                return Ok(Action::Done);
            };
            let wish = claim::plan(&claim::View {
                claim: &claim,
                volumes: &world.volumes.list(),
                classes: &world.classes.list(),
                pods: &world.pods.in_namespace(&key.namespace),
                root: &world.root,
            });
            if let Some(folder) = wish.folder {
                world.folders.make(&folder).await?;
            }
            Ok(world.applier.apply(wish.plan).await?.into())
        }
        Work::Volume(name) => {
            let Some(volume) = world.volumes.get(&ObjectKey::cluster(&*name)) else {
                return Ok(Action::Done);
            };
            let claim = claim_of(&world, &volume).await?;
            let wish = volume::plan(&volume, claim.as_deref(), now);
            if wish.remove_folder {
                world.folders.remove(&volume.name_any()).await?;
            }
            Ok(world.applier.apply(wish.plan).await?.into())
        }
    }
}

/// The claim that a volume refers to. Data hangs on it: what the cache does not have is asked for.
async fn claim_of(world: &World, volume: &PersistentVolume) -> Result<Option<Arc<PersistentVolumeClaim>>> {
    let reference = claim::reference_of(volume);
    let key = reference.and_then(|one| Some(ObjectKey::new(one.namespace.as_deref()?, one.name.as_deref()?)));
    let Some(key) = key else {
        return Ok(None);
    };
    if let Some(claim) = world.claims.get(&key) {
        return Ok(Some(claim));
    }
    let api: Api<PersistentVolumeClaim> = Api::namespaced(world.client.clone(), &key.namespace);
    let claim = api.get_opt(&key.name).await;
    Ok(claim.doing(|| format!("get persistentvolumeclaims {key}"))?.map(Arc::new))
}

#[cfg(test)]
mod tests;
