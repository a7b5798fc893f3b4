//! What ReplicaSets and ReplicationControllers have in common: how many pods of which template, and a status of the same
//! fields. It must not decide anything.

use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus};
use k8s_openapi::api::core::v1::{PodTemplateSpec, ReplicationController};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{Resource, ResourceExt};
use tinderbox_client::cache::Cached;
use tinderbox_client::{Error, Result};

/// What is asked for.
pub(crate) struct Wish<'a> {
    /// How many pods.
    pub(super) replicas: i32,
    /// Whose pods they are.
    pub(super) selector: LabelSelector,
    /// What a new one is like.
    pub(super) template: Option<&'a PodTemplateSpec>,
    /// Seconds that a pod is ready before it counts as available.
    pub(super) min_ready: i32,
}

/// A kind that keeps a number of pods.
pub(crate) trait Keeper: Cached + Resource<DynamicType = ()> {
    /// The name of its controller, in logs.
    const NAME: &'static str;
    /// The name of its controller, in events.
    const COMPONENT: &'static str;

    /// What it asks for.
    ///
    /// # Errors
    /// When it has no spec.
    fn wish(&self) -> Result<Wish<'_>>;

    /// Its status, in the fields that both kinds share.
    fn status(&self) -> Option<ReplicaSetStatus>;
}

fn without_spec(name: String) -> Error {
    Error::Invalid(format!("{name} has no spec"))
}

impl Keeper for ReplicaSet {
    const NAME: &'static str = "replicasets";
    const COMPONENT: &'static str = "replicaset-controller";

    fn wish(&self) -> Result<Wish<'_>> {
        let spec = self.spec.as_ref().ok_or_else(|| without_spec(self.name_any()))?;
        Ok(Wish {
            replicas: spec.replicas.unwrap_or(1),
            selector: spec.selector.clone(),
            template: spec.template.as_ref(),
            min_ready: spec.min_ready_seconds.unwrap_or_default(),
        })
    }

    fn status(&self) -> Option<ReplicaSetStatus> {
        self.status.clone()
    }
}

impl Keeper for ReplicationController {
    const NAME: &'static str = "replicationcontrollers";
    const COMPONENT: &'static str = "replication-controller";

    fn wish(&self) -> Result<Wish<'_>> {
        let spec = self.spec.as_ref().ok_or_else(|| without_spec(self.name_any()))?;
        Ok(Wish {
            replicas: spec.replicas.unwrap_or(1),
            selector: LabelSelector { match_labels: spec.selector.clone(), match_expressions: None },
            template: spec.template.as_ref(),
            min_ready: spec.min_ready_seconds.unwrap_or_default(),
        })
    }

    fn status(&self) -> Option<ReplicaSetStatus> {
        let status = self.status.as_ref()?;
        let conditions = status.conditions.as_ref().map(|conditions| {
            let same = conditions.iter().cloned().map(|one| ReplicaSetCondition {
                last_transition_time: one.last_transition_time,
                message: one.message,
                reason: one.reason,
                status: one.status,
                type_: one.type_,
            });
            same.collect()
        });
        Some(ReplicaSetStatus {
            available_replicas: status.available_replicas,
            conditions,
            fully_labeled_replicas: status.fully_labeled_replicas,
            observed_generation: status.observed_generation,
            ready_replicas: status.ready_replicas,
            replicas: status.replicas,
            terminating_replicas: None,
        })
    }
}
