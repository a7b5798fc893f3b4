//! From a monitor to its scrape configurations, with the rules of relabelling in the order that users count on. Pure.
//! Upstream rule: `generatePodMonitorConfig` and `generateServiceMonitorConfig` in `pkg/prometheus/promcfg.go` of
//! prometheus-operator/prometheus-operator.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;
use serde_json::Value;
use tinderbox_api::monitoring::{
    Endpoint, NamespaceSelector, PodMonitor, PrometheusSpec, ServiceMonitor, ServiceMonitorSpec, text_of,
};
use tinderbox_client::metrics::sanitized;

use super::access::{self, Held};
use super::output::{self, Files, Job, Namespaces, Relabel};
use super::relabel::{copy, copy_some, drop, keep, of_target, selector, set, users};
use super::{Discovery, TARGETS, duration, target_file};

/// The limits of a monitor, which both kinds have.
macro_rules! limits {
    ($job:ident, $spec:ident) => {
        $job.sample_limit = $spec.sample_limit;
        $job.target_limit = $spec.target_limit;
        $job.label_limit = $spec.label_limit;
        $job.label_name_length_limit = $spec.label_name_length_limit;
        $job.label_value_length_limit = $spec.label_value_length_limit;
    };
}

const PORT_NAME: &str = "__meta_kubernetes_pod_container_port_name";
const PORT_NUMBER: &str = "__meta_kubernetes_pod_container_port_number";

/// The jobs of a PodMonitor.
pub(super) fn of_pods(
    monitor: &PodMonitor,
    prometheus: &PrometheusSpec,
    by: Discovery,
    held: &Held,
) -> Result<Vec<Job>, String> {
    let (namespace, name) = (monitor.namespace().unwrap_or_default(), monitor.name_any());
    let spec = &monitor.spec;
    let found = found(by, "podMonitor", "pod", &spec.namespace_selector, &namespace, &name);
    let mut jobs = Vec::new();
    for (index, endpoint) in spec.pod_metrics_endpoints.iter().enumerate() {
        let name_of_job = format!("podMonitor/{namespace}/{name}/{index}");
        let mut job = Job { job_name: name_of_job, ..begin(&found, endpoint, prometheus)? };
        access::write(&mut job, &namespace, endpoint, held)?;
        let rules = &mut job.relabel_configs;
        if endpoint.filter_running != Some(false) {
            rules.push(drop(&["__meta_kubernetes_pod_phase"], "(Failed|Succeeded)"));
        }
        rules.extend(selector(&spec.selector, "pod")?);
        match (&endpoint.port, endpoint.port_number, &endpoint.target_port) {
            (Some(port), _, _) => rules.push(keep(&[PORT_NAME], port)),
            (_, Some(number), _) => rules.push(of_container(&IntOrString::Int(number))),
            (_, _, Some(port)) => rules.push(of_container(port)),
            (None, None, None) => {}
        }
        rules.extend(["namespace", "pod_container_name", "pod_name"].map(place));
        rules.extend(target_labels(&spec.pod_target_labels, "pod"));
        rules.extend(target_labels(&prometheus.pod_target_labels, "pod"));
        rules.push(set("job", &format!("{namespace}/{name}")));
        rules.extend(spec.job_label.as_deref().map(|label| copy_some(&meta("pod", label), "job")));
        limits!(job, spec);
        jobs.push(end(job, endpoint)?);
    }
    unknown(&spec.other, &spec.pod_metrics_endpoints)?;
    Ok(jobs)
}

/// The jobs of a ServiceMonitor.
pub(super) fn of_services(
    monitor: &ServiceMonitor,
    prometheus: &PrometheusSpec,
    by: Discovery,
    held: &Held,
) -> Result<Vec<Job>, String> {
    let (namespace, name) = (monitor.namespace().unwrap_or_default(), monitor.name_any());
    let spec = &monitor.spec;
    let role = role(spec, prometheus)?;
    let address = if role == "endpoints" { "endpoint" } else { role };
    let found = found(by, "serviceMonitor", role, &spec.namespace_selector, &namespace, &name);
    let mut jobs = Vec::new();
    for (index, endpoint) in spec.endpoints.iter().enumerate() {
        let name_of_job = format!("serviceMonitor/{namespace}/{name}/{index}");
        let mut job = Job { job_name: name_of_job, ..begin(&found, endpoint, prometheus)? };
        access::write(&mut job, &namespace, endpoint, held)?;
        let rules = &mut job.relabel_configs;
        rules.extend(selector(&spec.selector, "service")?);
        match (&endpoint.port, &endpoint.target_port) {
            (Some(port), _) => rules.push(keep(&[&format!("__meta_kubernetes_{address}_port_name")], port)),
            (_, Some(port)) => rules.push(of_container(port)),
            (None, None) => {}
        }
        rules.push(of_target(address, "Node", "node"));
        rules.push(of_target(address, "Pod", "pod"));
        rules.extend(["namespace", "service_name", "pod_name", "pod_container_name"].map(place));
        if endpoint.filter_running != Some(false) {
            rules.push(drop(&["__meta_kubernetes_pod_phase"], "(Failed|Succeeded)"));
        }
        rules.extend(target_labels(&spec.target_labels, "service"));
        rules.extend(target_labels(&spec.pod_target_labels, "pod"));
        rules.extend(target_labels(&prometheus.pod_target_labels, "pod"));
        rules.push(copy_some("__meta_kubernetes_service_name", "job"));
        rules.extend(spec.job_label.as_deref().map(|label| copy_some(&meta("service", label), "job")));
        limits!(job, spec);
        jobs.push(end(job, endpoint)?);
    }
    unknown(&spec.other, &spec.endpoints)?;
    Ok(jobs)
}

/// A job that says no more than how the targets of a monitor are found.
fn found(by: Discovery, kind: &str, role: &'static str, selector: &NamespaceSelector, own: &str, name: &str) -> Job {
    let mut job = Job::default();
    match by {
        Discovery::Kubernetes => {
            let namespaces = selector.names(own).map(|names| Namespaces { names });
            job.kubernetes_sd_configs = vec![output::Discovery { role, namespaces }];
        }
        Discovery::Files => {
            job.file_sd_configs = vec![Files { files: vec![format!("{TARGETS}/{}", target_file(kind, own, name))] }];
        }
    }
    job
}

/// The job of an endpoint as far as it needs no rules but the first.
fn begin(found: &Job, endpoint: &Endpoint, prometheus: &PrometheusSpec) -> Result<Job, String> {
    let interval = endpoint.interval.as_ref().or(prometheus.scrape_interval.as_ref());
    let interval = duration(interval.map_or("30s", String::as_str))?;
    if let Some(timeout) = &endpoint.scrape_timeout
        && duration(timeout)? > interval
    {
        return Err(format!("the scrapeTimeout {timeout} is longer than the interval"));
    }
    if let Some(scheme) = endpoint.scheme.as_deref().filter(|scheme| !matches!(*scheme, "http" | "https")) {
        return Err(format!("the scheme {scheme:?} is neither http nor https"));
    }
    Ok(Job {
        honor_labels: endpoint.honor_labels.unwrap_or_default(),
        honor_timestamps: endpoint.honor_timestamps,
        scrape_interval: endpoint.interval.clone(),
        scrape_timeout: endpoint.scrape_timeout.clone(),
        metrics_path: endpoint.path.clone(),
        params: endpoint.params.clone(),
        scheme: endpoint.scheme.clone(),
        follow_redirects: endpoint.follow_redirects,
        enable_http2: endpoint.enable_http2,
        relabel_configs: vec![copy("job", "__tmp_prometheus_job_name")],
        ..found.clone()
    })
}

/// A job with the rules that come last: the endpoint's name, and what users write.
fn end(mut job: Job, endpoint: &Endpoint) -> Result<Job, String> {
    let port = endpoint.port.clone().or_else(|| endpoint.target_port.as_ref().map(text_of));
    job.relabel_configs.extend(port.map(|port| set("endpoint", &port)));
    job.relabel_configs.extend(users(&endpoint.relabelings)?);
    job.metric_relabel_configs = users(&endpoint.metric_relabelings)?;
    Ok(job)
}

/// The role by which Prometheus finds the targets of a ServiceMonitor.
pub(super) fn role(spec: &ServiceMonitorSpec, prometheus: &PrometheusSpec) -> Result<&'static str, String> {
    let role = spec.service_discovery_role.as_ref().or(prometheus.service_discovery_role.as_ref());
    match role.map(String::as_str) {
        Some("EndpointSlice") => Ok("endpointslice"),
        Some("Endpoints") | None => Ok("endpoints"),
        Some(other) => Err(format!("the serviceDiscoveryRole {other:?} is neither Endpoints nor EndpointSlice")),
    }
}

fn meta(object: &str, label: &str) -> String {
    format!("__meta_kubernetes_{object}_label_{}", sanitized(label))
}

/// The label of a place that each sample gets.
fn place(part: &str) -> Relabel {
    let label = match part {
        "pod_container_name" => "container",
        "pod_name" => "pod",
        "service_name" => "service",
        part => part,
    };
    copy(&format!("__meta_kubernetes_{part}"), label)
}

fn target_labels(labels: &[String], object: &str) -> impl Iterator<Item = Relabel> {
    labels.iter().map(move |label| copy_some(&meta(object, label), &sanitized(label)))
}

fn of_container(port: &IntOrString) -> Relabel {
    match port {
        IntOrString::Int(number) => keep(&[PORT_NUMBER], &number.to_string()),
        IntOrString::String(name) => keep(&[PORT_NAME], name),
    }
}

/// What is not acted upon is a reason not to take the monitor: it would be scraped otherwise than it says.
fn unknown(other: &BTreeMap<String, Value>, endpoints: &[Endpoint]) -> Result<(), String> {
    let names = other.keys().chain(endpoints.iter().flat_map(|endpoint| endpoint.other.keys()));
    let names: Vec<&str> = names.map(String::as_str).collect();
    if names.is_empty() { Ok(()) } else { Err(format!("not acted upon here: {}", names.join(", "))) }
}
