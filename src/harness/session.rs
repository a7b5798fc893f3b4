//! One submission and what comes of it: apply, watch, follow, tell, explain, take away. `run` and scenarios stand on it; when it
//! is over is theirs to say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kube::ResourceExt;
use serde::Serialize;
use serde_json::Value;

use crate::apply::{self, Earlier};
use crate::cluster::{Cluster, Resource};
use crate::error::Error;
use crate::event::{Event, ObjectName, Talk};
use crate::explain::{self, Explanation};
use crate::follow::{self, Follower};
use crate::kin::{self, Entered, Kin, PodReport, phases, pod_report};
use crate::manifest::Object;
use crate::observe::{Observer, World};
use crate::parity::{self, Profiles};
use crate::pulse::Pulse;
use crate::tell::Teller;
use crate::timeline::{self, Timeline};

/// Kinds that are always watched.
const WATCHED: [(&str, &str); 4] =
    [("v1", "Pod"), ("batch/v1", "Job"), ("v1", "Event"), ("v1", "PersistentVolumeClaim")];
/// The namespace of objects that name none, as kubectl has it.
pub(crate) const NAMESPACE: &str = "default";
/// How long nothing happens when all has happened.
const QUIET: Duration = Duration::from_secs(2);
/// How long a log may still come after its container has ended.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// An object that was submitted.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Submitted {
    /// Kind, namespace and name.
    #[serde(flatten)]
    pub name: ObjectName,
    /// Its UID.
    pub uid: String,
    /// The phases it was seen in, where it has any.
    pub phases: Vec<Entered>,
}

/// A submission under observation.
#[derive(Debug)]
pub(crate) struct Session {
    /// The cluster.
    pub cluster: Cluster,
    /// When it began.
    pub began: Instant,
    /// What is seen.
    pub observer: Observer,
    /// What is said.
    pub follower: Follower,
    objects: Vec<Object>,
    submitted: Vec<(ObjectName, String)>,
    kin: Arc<Mutex<Kin>>,
    teller: Teller,
    _pulse: Pulse,
}

impl Session {
    /// Watches, applies the objects, and follows what they become. A finished run of the same name is replaced, one that still works is joined.
    ///
    /// # Errors
    /// When the API refuses a watch or rejects an object.
    pub(crate) async fn submit(
        cluster: &Cluster,
        mut objects: Vec<Object>,
        more: &[(String, String)],
        talk: &Talk,
    ) -> Result<Self, Error> {
        let began = Instant::now();
        apply::in_order(&mut objects);
        let mut earlier = Vec::new();
        for object in &objects {
            earlier.push(apply::clear_finished(cluster, object, NAMESPACE).await?);
        }
        let observer = Observer::start(cluster, watched(cluster, &objects, more).await?).await?;
        let kin = Arc::new(Mutex::new(Kin::new(&objects)));
        let follower = Follower::start(cluster.client.clone(), observer.view(), Arc::clone(&kin), talk.clone());
        let teller = Teller::start(observer.view(), Arc::clone(&kin), talk.clone(), began);
        let pulse = Pulse::start(cluster.client.clone(), talk.clone(), observer.give_up());
        let mut session = Self {
            cluster: cluster.clone(),
            began,
            observer,
            follower,
            objects,
            submitted: Vec::new(),
            kin,
            teller,
            _pulse: pulse,
        };
        for (object, earlier) in session.objects.clone().into_iter().zip(earlier) {
            let applied = match earlier {
                Earlier::Gone => apply::apply(cluster, std::slice::from_ref(&object), NAMESPACE, talk).await?.pop(),
                Earlier::Active => {
                    talk.tell(Event::Note(format!(
                        "{} still works from before: following it (delete it to start anew)",
                        object.name()
                    )));
                    let collection = cluster.collection_of(&object.value, NAMESPACE).await?;
                    let name = object.name();
                    Some(collection.get(&name.name).await.map_err(Error::api(format!("look at {name}")))?)
                }
            };
            if let Some(applied) = applied {
                let mut name = object.name();
                name.namespace = applied.namespace().unwrap_or_default();
                name.name = applied.name_any();
                let uid = applied.uid().unwrap_or_default();
                session.submitted.push((name, uid.clone()));
                session.kin.lock().unwrap_or_else(PoisonError::into_inner).uids.insert(uid);
                // All that will ever be seen of it may have been seen already.
                session.observer.look_again();
            }
        }
        Ok(session)
    }

    /// The UIDs of the submitted Jobs, SparkApplications, Workflows and Pods: what a run is made of.
    #[must_use]
    pub(crate) fn work(&self) -> Vec<(ObjectName, String)> {
        self.submitted.iter().filter(|(name, _)| kin::is_work(&name.kind)).cloned().collect()
    }

    /// The UIDs of the pods that belong to the submission.
    #[must_use]
    pub(crate) fn pod_uids(&self, world: &World) -> Vec<String> {
        self.kin.lock().unwrap_or_else(PoisonError::into_inner).pods(world)
    }

    /// What the pods came to.
    #[must_use]
    pub(crate) fn pods(&self) -> Vec<PodReport> {
        self.observer.look(|world| {
            let uids = self.pod_uids(world);
            uids.iter().map(|uid| pod_report(&world.records[uid], self.began)).collect()
        })
    }

    /// The Spark applications of the submission, as they are now, those that it has started included.
    #[must_use]
    pub(crate) fn applications(&self) -> Vec<Value> {
        let kin = self.kin.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.observer.look(|world| {
            let all = kin.all(world);
            let found = world.of_kind("SparkApplication").filter(|(uid, _)| all.contains(*uid));
            found.map(|(_, record)| record.object().clone()).collect()
        })
    }

    /// How far its Spark applications came, and when.
    #[must_use]
    pub(crate) fn timelines(&self) -> Vec<Timeline> {
        self.observer.look(|world| {
            let pods = self.pod_uids(world);
            self.follower.look(|texts| timeline::timelines(world, &pods, texts, self.began))
        })
    }

    /// The states that each object of the submission went through, and each that came of it.
    #[must_use]
    pub(crate) fn histories(&self) -> BTreeMap<String, Vec<String>> {
        let kin = self.kin.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.observer.look(|world| {
            let records = kin.all(world).into_iter().filter_map(|uid| world.records.get(&uid));
            let states = |record| phases(record, self.began).into_iter().map(|entered| entered.phase).collect();
            records.map(|record| (record.name.to_string(), states(record))).collect()
        })
    }

    /// Waits until nothing has happened for a while, at most until `deadline`.
    pub(crate) async fn quiet(&self, deadline: Instant) {
        let mut view = self.observer.view();
        while Instant::now() < deadline {
            match tokio::time::timeout(QUIET, view.change()).await {
                Ok(true) => (),
                Ok(false) | Err(_) => return,
            }
        }
    }

    /// What the objects of the submission did, without what differs from run to run.
    #[must_use]
    pub(crate) fn profiles(&self) -> Profiles {
        let kin = self.kin.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.observer.look(|world| parity::profiles(world, &kin.all(world)))
    }

    /// What the submitted objects came to.
    #[must_use]
    pub(crate) fn submitted(&self) -> Vec<Submitted> {
        self.observer.look(|world| {
            self.submitted
                .iter()
                .map(|(name, uid)| Submitted {
                    name: name.clone(),
                    uid: uid.clone(),
                    phases: world.records.get(uid).map_or_else(Vec::new, |record| phases(record, self.began)),
                })
                .collect()
        })
    }

    /// A reason why the submission cannot succeed any more, though nothing has failed yet: an API that is gone, or an image that cannot
    /// be had.
    #[must_use]
    pub(crate) fn hopeless(&self, world: &World) -> Option<String> {
        if world.lost.is_some() {
            return world.lost.clone();
        }
        let uids = self.pod_uids(world);
        uids.iter().find_map(|uid| {
            let record = &world.records[uid];
            let status = &record.object()["status"];
            ["initContainerStatuses", "containerStatuses"]
                .iter()
                .filter_map(|field| status[*field].as_array())
                .flatten()
                .find_map(|container| {
                    let waiting = &container["state"]["waiting"];
                    matches!(
                        waiting["reason"].as_str(),
                        Some("ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull")
                    )
                    .then(|| {
                        let image = container["image"].as_str().unwrap_or_default();
                        let why = waiting["message"].as_str().unwrap_or_default();
                        format!("{}: the image {image:?} cannot be had: {why}", record.name)
                    })
                })
        })
    }

    /// Waits for the rest of the logs of containers that have ended, and tells what has not been told yet.
    pub(crate) async fn last_words(&self) {
        let over = self.observer.look(|world| follow::over(world, &self.pod_uids(world)));
        let all = self
            .follower
            .until(|texts| over.iter().all(|run| texts.get(run).is_some_and(|text| text.ended)).then_some(()));
        // What has not come by then does not come.
        let _ = tokio::time::timeout(LAST_WORDS, all).await;
        self.teller.catch_up();
    }

    /// Explains a failure by what the submitted objects and their pods say.
    #[must_use]
    pub(crate) fn explain(&self, summary: String) -> Explanation {
        self.observer.look(|world| {
            let mut concerned = self.pod_uids(world);
            concerned.extend(self.submitted.iter().map(|(_, uid)| uid.clone()));
            self.follower.look(|texts| explain::explain(summary, world, &concerned, texts))
        })
    }

    /// Takes away what was submitted, namespaces excepted, and the pods that came of it.
    ///
    /// # Errors
    /// When something stays.
    pub(crate) async fn clean(&self) -> Result<(), Error> {
        // A claim stays as long as there is a pod with it.
        self.clean_of(|kind| !matches!(kind, "Namespace" | "PersistentVolumeClaim")).await?;
        self.clean_of_pods().await?;
        self.clean_of(|kind| kind == "PersistentVolumeClaim").await
    }

    async fn clean_of(&self, wanted: impl Fn(&str) -> bool) -> Result<(), Error> {
        for (object, (name, uid)) in self.objects.iter().zip(&self.submitted).rev() {
            if !wanted(&name.kind) {
                continue;
            }
            let collection = self.cluster.collection_of(&object.value, NAMESPACE).await?;
            let found = collection.get_opt(&name.name).await.map_err(Error::api(format!("look at {name}")))?;
            if let Some(found) = found.filter(|found| found.uid().as_ref() == Some(uid)) {
                apply::remove(&self.cluster, &found, &object.value, NAMESPACE).await?;
            }
        }
        Ok(())
    }

    async fn clean_of_pods(&self) -> Result<(), Error> {
        let pods: Vec<ObjectName> = self.observer.look(|world| {
            let uids = self.pod_uids(world);
            uids.iter()
                .map(|uid| &world.records[uid])
                .filter(|record| record.gone.is_none())
                .map(|record| record.name.clone())
                .collect()
        });
        let typed = serde_json::json!({"apiVersion": "v1", "kind": "Pod"});
        for pod in pods {
            let collection = self.cluster.collection_of(&typed, &pod.namespace).await?;
            let found = collection.get_opt(&pod.name).await.map_err(Error::api(format!("look at {pod}")))?;
            if let Some(found) = found {
                apply::remove(&self.cluster, &found, &typed, &pod.namespace).await?;
            }
        }
        Ok(())
    }
}

/// What to watch: the usual kinds, those that the objects are of if they come to an end, and those asked for, in every namespace that the objects live in.
async fn watched(
    cluster: &Cluster,
    objects: &[Object],
    more: &[(String, String)],
) -> Result<Vec<(Resource, String)>, Error> {
    let mut namespaces: BTreeSet<String> = BTreeSet::new();
    for object in objects {
        let name = object.name();
        if name.kind != "Namespace" {
            namespaces.insert(if name.namespace.is_empty() { NAMESPACE.to_owned() } else { name.namespace });
        }
    }
    let own = objects.iter().filter_map(|object| {
        let (version, kind) = (object.value["apiVersion"].as_str()?, object.value["kind"].as_str()?);
        kin::is_work(kind).then_some((version, kind))
    });
    // Of what a workflow makes this alone has parts of its own.
    let made = ("sparkoperator.k8s.io/v1beta2", "SparkApplication");
    let makes = objects.iter().any(|object| object.value["kind"] == "Workflow");
    let made = (makes && cluster.resource(made.0, made.1).await.is_ok()).then_some(made);
    let more = more.iter().map(|(version, kind)| (version.as_str(), kind.as_str()));
    let kinds: BTreeSet<(&str, &str)> = WATCHED.into_iter().chain(own).chain(made).chain(more).collect();
    let mut watched = Vec::new();
    for (version, kind) in kinds {
        let resource = cluster.resource(version, kind).await?;
        if resource.namespaced {
            watched.extend(namespaces.iter().map(|namespace| (resource.clone(), namespace.clone())));
        } else {
            watched.push((resource, String::new()));
        }
    }
    Ok(watched)
}
