//! What stands beside a driver when the application asks for it: services and ingresses to its ports, a budget that keeps it from
//! being evicted, and what Prometheus' exporter reads. The application owns them. Pure.
//! Upstream rules: `driveringress.go` and `driver_pdb.go` in `internal/controller/sparkapplication` of kubeflow/spark-operator.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule, IngressServiceBackend, IngressSpec,
    ServiceBackendPort,
};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;
use kube::core::ObjectMeta;
use tinderbox_api::spark::{DriverIngress, SparkApplication, labels};
use tinderbox_client::Step;

use super::observed::Observed;
use crate::submission::{controller, driver_pod_name, monitoring_map};

/// The writes that make everything that is asked for; `id` is Spark's id of the run.
pub(super) fn wanted(observed: &Observed, id: &str) -> Vec<Step> {
    let app = &observed.app;
    let marks = marks(app, &observed.status.submission_id);
    let mut steps = Vec::new();
    steps.extend(monitoring_map(app, &observed.spec).as_ref().map(Step::apply));
    for option in &observed.spec.driver_ingress_options {
        let Some(port) = option.service_port else { continue };
        let service = service(app, option, port, &marks);
        steps.push(Step::apply(&service));
        if let Some(format) = option.ingress_url_format.as_deref().filter(|format| !format.is_empty()) {
            let url = fill(format, app, id);
            steps.push(Step::apply(&ingress(app, option, (&service.name_any(), port), &url, &marks)));
        }
    }
    if observed.spec.driver_pod_disruption_budget == Some(true) {
        steps.push(Step::apply(&budget(app, &marks)));
    }
    steps
}

/// The deletes that take all of it away, whether it is there or not.
pub(super) fn gone(observed: &Observed) -> Vec<Step> {
    let app = &observed.app;
    let none = BTreeMap::new();
    let mut steps = Vec::new();
    for option in &observed.spec.driver_ingress_options {
        let Some(port) = option.service_port else { continue };
        let service = service(app, option, port, &none);
        steps.push(Step::delete(&ingress(app, option, (&service.name_any(), port), "", &none)));
        steps.push(Step::delete(&service));
    }
    if observed.spec.driver_pod_disruption_budget == Some(true) {
        steps.push(Step::delete(&budget(app, &none)));
    }
    steps
}

fn marks(app: &SparkApplication, submission: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        (labels::APP_NAME.to_owned(), app.name_any()),
        (labels::SUBMISSION.to_owned(), submission.to_owned()),
    ])
}

fn driver(app: &SparkApplication) -> BTreeMap<String, String> {
    BTreeMap::from([(labels::APP_NAME.to_owned(), app.name_any()), (labels::ROLE.to_owned(), "driver".to_owned())])
}

fn metadata(app: &SparkApplication, name: String, marks: &BTreeMap<String, String>) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: app.namespace(),
        labels: Some(marks.clone()),
        owner_references: Some(vec![controller(app)]),
        ..ObjectMeta::default()
    }
}

fn some(map: &BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    Some(map.clone()).filter(|map| !map.is_empty())
}

fn service(app: &SparkApplication, option: &DriverIngress, port: i32, marks: &BTreeMap<String, String>) -> Service {
    let own = some(&option.service_labels);
    let mut metadata = metadata(app, format!("{}-driver-{port}", app.name_any()), own.as_ref().unwrap_or(marks));
    metadata.annotations = some(&option.service_annotations);
    let name = option.service_port_name.clone().unwrap_or_else(|| format!("driver-ing-{port}"));
    Service {
        metadata,
        spec: Some(ServiceSpec {
            type_: Some(option.service_type.clone().unwrap_or_else(|| "ClusterIP".to_owned())),
            selector: Some(driver(app)),
            ports: Some(vec![ServicePort {
                name: Some(name),
                port,
                target_port: Some(IntOrString::Int(port)),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

/// A URL with the application's name, namespace and id in their places.
fn fill(format: &str, app: &SparkApplication, id: &str) -> String {
    let (name, namespace) = (app.name_any(), app.namespace().unwrap_or_default());
    let mut url = String::new();
    let mut rest = format;
    while let Some((before, after)) = rest.split_once("{{") {
        url.push_str(before);
        let Some((inside, after)) = after.split_once("}}") else {
            return format!("{url}{{{{{after}");
        };
        match inside.trim() {
            "$appName" => url.push_str(&name),
            "$appNamespace" => url.push_str(&namespace),
            "$appId" => url.push_str(id),
            _ => url.push_str(&format!("{{{{{inside}}}}}")),
        }
        rest = after;
    }
    url + rest
}

/// Host and path of a URL, whose scheme may be missing.
fn host_and_path(url: &str) -> (&str, &str) {
    let url = url.split_once("://").map_or(url, |(_, rest)| rest);
    url.find('/').map_or((url, ""), |at| url.split_at(at))
}

fn ingress(
    app: &SparkApplication,
    option: &DriverIngress,
    (service, port): (&str, i32),
    url: &str,
    marks: &BTreeMap<String, String>,
) -> Ingress {
    let (host, path) = host_and_path(url);
    let mut metadata = metadata(app, format!("{}-ing-{port}", app.name_any()), marks);
    let mut annotations = option.ingress_annotations.clone();
    let below = path.len() > 1;
    if below {
        annotations.insert("nginx.ingress.kubernetes.io/rewrite-target".to_owned(), "/$2".to_owned());
    }
    metadata.annotations = some(&annotations);
    let backend = IngressServiceBackend {
        name: service.to_owned(),
        port: Some(ServiceBackendPort { name: None, number: Some(port) }),
    };
    let path = HTTPIngressPath {
        backend: IngressBackend { resource: None, service: Some(backend) },
        path: Some(if below { format!("{path}(/|$)(.*)") } else { path.to_owned() }).filter(|path| !path.is_empty()),
        path_type: "ImplementationSpecific".to_owned(),
    };
    let rule = IngressRule {
        host: Some(host.to_owned()).filter(|host| !host.is_empty()),
        http: Some(HTTPIngressRuleValue { paths: vec![path] }),
    };
    let tls = Some(option.ingress_tls.clone()).filter(|tls| !tls.is_empty());
    Ingress {
        metadata,
        spec: Some(IngressSpec { rules: Some(vec![rule]), tls, ..IngressSpec::default() }),
        status: None,
    }
}

fn budget(app: &SparkApplication, marks: &BTreeMap<String, String>) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: metadata(app, driver_pod_name(app), marks),
        spec: Some(PodDisruptionBudgetSpec {
            min_available: Some(IntOrString::Int(1)),
            selector: Some(LabelSelector { match_labels: Some(driver(app)), match_expressions: None }),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;
    use tinderbox_api::spark::SparkApplicationStatus;

    use super::*;

    fn observed() -> Observed {
        let app: SparkApplication = serde_json::from_value(json!({
            "metadata": {"name": "pi", "namespace": "n", "uid": "u"},
            "spec": {
                "driverPodDisruptionBudget": true,
                "driverIngressOptions": [
                    {"servicePort": 8080, "servicePortName": "api", "ingressURLFormat": "{{$appName}}.{{ $appNamespace }}.localhost"},
                    {"servicePort": 9090, "servicePortName": "more", "serviceType": "NodePort",
                        "ingressURLFormat": "https://h.example/{{$appId}}", "ingressTLS": [{"hosts": ["h.example"], "secretName": "t"}]},
                ],
            },
        }))
        .unwrap();
        Observed {
            spec: app.spec.clone(),
            status: SparkApplicationStatus { submission_id: "s".to_owned(), ..SparkApplicationStatus::default() },
            app: Arc::new(app),
            driver: None,
            executors: Vec::new(),
            service: None,
        }
    }

    #[test]
    fn all_that_is_asked_for_is_made_and_taken_away() {
        let seen = observed();
        let words = |steps: &[Step]| steps.iter().map(Step::describe).collect::<Vec<_>>();
        let steps = wanted(&seen, "spark-7");
        let made = [
            "apply services n/pi-driver-8080",
            "apply ingresses n/pi-ing-8080",
            "apply services n/pi-driver-9090",
            "apply ingresses n/pi-ing-9090",
            "apply poddisruptionbudgets n/pi-driver",
        ];
        assert_eq!(words(&steps), made);
        let owner = &steps[0].body()["metadata"]["ownerReferences"][0];
        assert_eq!((&owner["kind"], &owner["uid"]), (&json!("SparkApplication"), &json!("u")));
        assert_eq!(
            steps[1].body()["spec"],
            json!({"rules": [{"host": "pi.n.localhost", "http": {"paths": [{"pathType": "ImplementationSpecific",
                "backend": {"service": {"name": "pi-driver-8080", "port": {"number": 8080}}}}]}}]})
        );
        let below = steps[3].body();
        assert_eq!(below["spec"]["rules"][0]["http"]["paths"][0]["path"], "/spark-7(/|$)(.*)");
        assert_eq!(below["metadata"]["annotations"]["nginx.ingress.kubernetes.io/rewrite-target"], "/$2");
        assert_eq!(below["spec"]["tls"], json!([{"hosts": ["h.example"], "secretName": "t"}]));
        assert_eq!(
            steps[4].body()["spec"],
            json!({"minAvailable": 1, "selector": {"matchLabels": {labels::APP_NAME: "pi", labels::ROLE: "driver"}}})
        );
        let mut taken: Vec<String> = words(&gone(&seen)).iter().map(|step| step.replace("delete", "apply")).collect();
        taken.sort();
        let mut made = made.map(str::to_owned);
        made.sort();
        assert_eq!(taken, made);
    }

    #[test]
    fn urls_are_filled_in_and_split() {
        let app = observed().app;
        assert_eq!(fill("a-{{$appName}}/{{ $appId }}/{{other}}/{{", &app, "7"), "a-pi/7/{{other}}/{{");
        for (url, wanted) in
            [("h", ("h", "")), ("h/", ("h", "/")), ("https://h/p/q", ("h", "/p/q")), ("/p", ("", "/p"))]
        {
            assert_eq!(host_and_path(url), wanted, "{url}");
        }
    }
}
