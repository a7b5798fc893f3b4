//! The service of Spark's web page. Pure.
//! Upstream rule: `web_ui.go` and `createDriverIngressService` in the operator's `driveringress.go`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;
use kube::core::ObjectMeta;
use tinderbox_api::spark::{SparkApplication, SparkApplicationStatus, labels};

use super::observed::Observed;
use crate::submission::{controller, short_name};

/// The port where Spark shows its page unless it is told another.
const PORT: i32 = 4040;

/// The name of the service.
pub(super) fn name(app: &SparkApplication) -> String {
    short_name(&app.name_any(), "ui-svc")
}

/// The service that the application is to have.
pub(super) fn wanted(observed: &Observed) -> Service {
    let (app, spec) = (&observed.app, &observed.spec);
    let options = spec.spark_ui_options.clone();
    let target = spec.spark_conf.get("spark.ui.port").and_then(|port| port.parse().ok()).unwrap_or(PORT);
    let port = options.as_ref().map_or(target, |options| options.service_port.unwrap_or(PORT));
    let options = options.unwrap_or_default();
    let mut marks = options.service_labels;
    if marks.is_empty() {
        marks.insert(labels::APP_NAME.to_owned(), app.name_any());
        marks.insert(labels::SUBMISSION.to_owned(), observed.status.submission_id.clone());
    }
    marks.insert(labels::CREATED.to_owned(), "true".to_owned());
    let selector =
        BTreeMap::from([(labels::APP_NAME.to_owned(), app.name_any()), (labels::ROLE.to_owned(), "driver".to_owned())]);
    Service {
        metadata: ObjectMeta {
            name: Some(name(app)),
            namespace: app.namespace(),
            labels: Some(marks),
            annotations: Some(options.service_annotations).filter(|annotations| !annotations.is_empty()),
            owner_references: Some(vec![controller(app)]),
            ..ObjectMeta::default()
        },
        spec: Some(ServiceSpec {
            type_: Some(options.service_type.unwrap_or_else(|| "ClusterIP".to_owned())),
            selector: Some(selector),
            ports: Some(vec![ServicePort {
                name: Some(options.service_port_name.unwrap_or_else(|| "spark-driver-ui-port".to_owned())),
                port,
                target_port: Some(IntOrString::Int(target)),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

/// Writes down where the page is.
pub(super) fn describe(service: &Service, status: &mut SparkApplicationStatus) {
    let spec = service.spec.as_ref();
    let port = spec.and_then(|spec| spec.ports.as_deref()).and_then(|ports| ports.first()).map_or(0, |port| port.port);
    let address = spec.and_then(|spec| spec.cluster_ip.clone()).unwrap_or_default();
    let info = &mut status.driver_info;
    info.web_ui_service_name = service.name_any();
    info.web_ui_port = port;
    info.web_ui_address = format!("{address}:{port}");
}
