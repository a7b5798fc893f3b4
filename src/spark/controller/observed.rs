//! What there is of one application. It looks, and decides nothing.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, Service};
use kube::ResourceExt;
use tinderbox_api::spark::{SparkApplication, SparkApplicationSpec, SparkApplicationStatus, State, labels};
use tinderbox_client::ObjectKey;
use tinderbox_client::cache::controller_uid;

use super::{View, ui};
use crate::defaults::with_defaults;
use crate::submission::driver_pod_name;

/// An application, its pods and its service.
#[derive(Debug, Clone)]
pub(super) struct Observed {
    pub(super) app: Arc<SparkApplication>,
    /// The spec with its defaults.
    pub(super) spec: SparkApplicationSpec,
    /// The status; an empty one when there is none.
    pub(super) status: SparkApplicationStatus,
    /// The pod of the driver's name, whoever it belongs to.
    pub(super) driver: Option<Arc<Pod>>,
    /// The executors of the submission.
    pub(super) executors: Vec<Arc<Pod>>,
    /// The service of the web page.
    pub(super) service: Option<Arc<Service>>,
}

impl Observed {
    /// Looks at the application of that key.
    pub(super) fn of(key: &ObjectKey, view: &View) -> Option<Self> {
        let app = view.apps.get(key)?;
        let status = app.status.clone().unwrap_or_default();
        let named = Some(status.driver_info.pod_name.clone()).filter(|name| !name.is_empty());
        let name = named.unwrap_or_else(|| driver_pod_name(&app));
        let driver = view.pods.get(&ObjectKey::new(key.namespace.as_str(), name));
        let pods = view.members.of(key).into_iter().filter_map(|pod| view.pods.get(&pod));
        let executors = pods.filter(|pod| {
            let labelled = |label: &str, value: &str| pod.labels().get(label).is_some_and(|have| have == value);
            labelled(labels::ROLE, "executor") && labelled(labels::SUBMISSION, &status.submission_id)
        });
        let executors = executors.collect();
        let service = view.services.get(&ObjectKey::new(key.namespace.as_str(), ui::name(&app)));
        Some(Self { spec: with_defaults(&app.spec), app, status, driver, executors, service })
    }

    /// The state that is written down.
    pub(super) fn state(&self) -> State {
        self.status.application_state.state
    }

    /// The pod of the driver's name, if it is the application's.
    pub(super) fn own_pod(&self) -> Option<&Arc<Pod>> {
        self.driver
            .as_ref()
            .filter(|pod| controller_uid(&***pod).is_some_and(|uid| Some(uid) == self.app.metadata.uid.as_deref()))
    }

    /// The driver of the submission that is written down.
    pub(super) fn driver(&self) -> Option<&Arc<Pod>> {
        let submission = &self.status.submission_id;
        self.own_pod().filter(|pod| pod.labels().get(labels::SUBMISSION) == Some(submission))
    }

    /// The service of the web page, if it is the application's.
    pub(super) fn own_service(&self) -> Option<&Arc<Service>> {
        self.service.as_ref().filter(|service| {
            controller_uid(&***service).is_some_and(|uid| Some(uid) == self.app.metadata.uid.as_deref())
        })
    }

    /// Nothing is left that a new submission would stumble over.
    pub(super) fn is_cleared(&self) -> bool {
        self.own_pod().is_none() && self.own_service().is_none()
    }
}
