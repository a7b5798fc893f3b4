//! The pods that Spark begins with: the user's templates, or empty ones, each owned by the application. What the operator's
//! webhook would do to an executor pod stands in its template already, since nothing changes the pod later.
//! Upstream rule: `buildDriverPodTemplate` and `buildExecutorPodTemplate` in the operator's `submission.go`.

use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt;
use serde_json::Value;
use tinderbox_api::spark::{PodOptions, SparkApplication, SparkApplicationSpec};

use super::patch::{Role, patch};
use super::{DRIVER_CONTAINER, EXECUTOR_CONTAINER, Refusal};

/// The reference by which an application controls what is made for it.
pub(crate) fn controller(app: &SparkApplication) -> OwnerReference {
    OwnerReference { controller: Some(true), block_owner_deletion: Some(true), ..owner(app) }
}

fn owner(app: &SparkApplication) -> OwnerReference {
    OwnerReference {
        api_version: format!("{}/{}", tinderbox_api::spark::GROUP, tinderbox_api::spark::VERSION),
        kind: "SparkApplication".to_owned(),
        name: app.name_any(),
        uid: app.uid().unwrap_or_default(),
        controller: None,
        block_owner_deletion: None,
    }
}

fn begin(role: &str, options: &PodOptions, container: &str) -> Result<Pod, Refusal> {
    let Some(template) = &options.template else {
        let mut pod = Pod::default();
        let container = Container { name: container.to_owned(), ..Container::default() };
        pod.spec.get_or_insert_default().containers.push(container);
        return Ok(pod);
    };
    let mut fields = template.clone();
    if let Some(fields) = fields.as_object_mut() {
        fields.retain(|key, _| key == "metadata" || key == "spec");
    }
    serde_json::from_value(fields)
        .map_err(|error| Refusal(format!("Could not load pod from template file. ({role}.template: {error})")))
}

/// The template of the driver.
///
/// # Errors
/// When the user's template is no pod.
pub fn driver(app: &SparkApplication, spec: &SparkApplicationSpec) -> Result<Pod, Refusal> {
    let mut pod = begin("driver", &spec.driver.pod, DRIVER_CONTAINER)?;
    pod.owner_references_mut().push(controller(app));
    Ok(pod)
}

/// The template of executors.
///
/// # Errors
/// When the user's template is no pod, or when it cannot say what the application wants.
pub(super) fn executor(app: &SparkApplication, spec: &SparkApplicationSpec) -> Result<Pod, Refusal> {
    let mut pod = begin("executor", &spec.executor.pod, EXECUTOR_CONTAINER)?;
    pod.owner_references_mut().push(owner(app));
    patch(Role::Executor, spec, &mut pod)?;
    Ok(pod)
}

/// A template as a file. A container without a name has none in the file either: Spark gives it one.
///
/// # Errors
/// When it cannot be written as text.
pub fn text(pod: &Pod) -> Result<String, Refusal> {
    let mut value = serde_json::to_value(pod).map_err(|error| Refusal(error.to_string()))?;
    for field in ["containers", "initContainers"] {
        for container in value["spec"][field].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
            container.retain(|key, value| key != "name" || value != "");
        }
    }
    if let Some(fields) = value["spec"].as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    serde_yaml::to_string(&value).map_err(|error| Refusal(error.to_string()))
}
