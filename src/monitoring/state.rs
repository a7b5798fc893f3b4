//! The state of objects as kube-state-metrics tells it, for the kinds that dashboards and alerts ask for: pods, jobs, schedules and
//! nodes. Families are made from what caches hold; nothing is watched for it.
//! Upstream rule: `internal/store` of kubernetes/kube-state-metrics.

use std::sync::Arc;

use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::ResourceExt;
use tinderbox_client::Cache;
use tinderbox_client::metrics::{MetricFamily, Registry, counter, counters, gauge, gauges, look, sanitized};

/// The phases of pods.
const PHASES: [&str; 5] = ["Pending", "Succeeded", "Failed", "Unknown", "Running"];
/// Labels of pods that become labels of `kube_pod_labels`: those that tell parts of the platform and Spark's pods.
const LABELS: [&str; 6] = [
    "app.kubernetes.io/name",
    "spark-role",
    "spark-app-selector",
    "sparkoperator.k8s.io/app-name",
    "workflows.argoproj.io/workflow",
    "app",
];

/// What is told of.
#[derive(Clone)]
pub struct Told {
    /// Pods.
    pub pods: Cache<Pod>,
    /// Jobs.
    pub jobs: Cache<Job>,
    /// Schedules of jobs.
    pub cron_jobs: Cache<CronJob>,
    /// Nodes.
    pub nodes: Cache<Node>,
}

/// Has a registry tell the state of objects.
pub fn tell(registry: &Registry, told: Told) {
    look(registry, "kube_state", move || {
        let mut families = of_pods(&told.pods.list());
        families.extend(of_jobs(&told.jobs.list(), &told.cron_jobs.list()));
        families.extend(of_nodes(&told.nodes.list()));
        families
    });
}

fn flag(value: bool) -> f64 {
    f64::from(u8::from(value))
}

/// The states that a condition may be in, and whether it is.
fn states(status: &str) -> [(&'static str, f64); 3] {
    ["true", "false", "unknown"].map(|state| (state, flag(status.eq_ignore_ascii_case(state))))
}

fn of_pods(pods: &[Arc<Pod>]) -> Vec<MetricFamily> {
    let mut info = gauges("kube_pod_info", "Information about pod.");
    let mut phase = gauges("kube_pod_status_phase", "The pods current phase.");
    let mut labels = gauges("kube_pod_labels", "Kubernetes labels converted to Prometheus labels.");
    let mut restarts =
        counters("kube_pod_container_status_restarts_total", "The number of container restarts per container.");
    let mut ready = gauges("kube_pod_status_ready", "Describes whether the pod is ready to serve requests.");
    for pod in pods {
        let (namespace, name, uid) =
            (pod.namespace().unwrap_or_default(), pod.name_any(), pod.uid().unwrap_or_default());
        let own: &[(&str, &str)] = &[("namespace", &namespace), ("pod", &name), ("uid", &uid)];
        let with = |more: &[(&'static str, &str)]| -> Vec<(String, String)> {
            let all = own.iter().chain(more);
            all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let (spec, status) = (pod.spec.as_ref(), pod.status.as_ref());
        let ip = status.and_then(|status| status.pod_ip.as_deref()).unwrap_or_default();
        let node = spec.and_then(|spec| spec.node_name.as_deref()).unwrap_or_default();
        let owner = pod.owner_references().iter().find(|owner| owner.controller == Some(true));
        let owner = owner.map_or(("", ""), |owner| (owner.kind.as_str(), owner.name.as_str()));
        add(
            &mut info,
            &with(&[
                ("created_by_kind", owner.0),
                ("created_by_name", owner.1),
                ("host_ip", status.and_then(|status| status.host_ip.as_deref()).unwrap_or_default()),
                ("node", node),
                ("pod_ip", ip),
            ]),
            1.0,
        );
        let now = status.and_then(|status| status.phase.as_deref()).unwrap_or("Pending");
        for one in PHASES {
            add(&mut phase, &with(&[("phase", one)]), flag(one == now));
        }
        let mut shown = with(&[]);
        for label in LABELS {
            if let Some(value) = pod.labels().get(label) {
                shown.push((format!("label_{}", sanitized(label)), value.clone()));
            }
        }
        add(&mut labels, &shown, 1.0);
        let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
        let is =
            conditions.iter().find(|one| one.type_ == "Ready").map_or("unknown", |one| match one.status.as_str() {
                "True" => "true",
                "False" => "false",
                _ => "unknown",
            });
        for (one, value) in states(is) {
            add(&mut ready, &with(&[("condition", one)]), value);
        }
        let containers = status.and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
        for container in containers {
            let labels = with(&[("container", &container.name)]);
            counter(&mut restarts, &borrowed(&labels), f64::from(container.restart_count));
        }
    }
    vec![info, phase, labels, restarts, ready]
}

fn borrowed(labels: &[(String, String)]) -> Vec<(&str, &str)> {
    labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

fn add(family: &mut MetricFamily, labels: &[(String, String)], value: f64) {
    gauge(family, &borrowed(labels), value);
}

fn of_jobs(jobs: &[Arc<Job>], schedules: &[Arc<CronJob>]) -> Vec<MetricFamily> {
    let mut active = gauges("kube_job_status_active", "The number of actively running pods.");
    let mut succeeded = gauges("kube_job_status_succeeded", "The number of pods which reached Phase Succeeded.");
    let mut failed =
        gauges("kube_job_status_failed", "The number of pods which reached Phase Failed and the reason for failure.");
    let mut ended = gauges("kube_job_failed", "The job has failed its execution.");
    for job in jobs {
        let (namespace, name) = (job.namespace().unwrap_or_default(), job.name_any());
        let own: &[(&str, &str)] = &[("job_name", &name), ("namespace", &namespace)];
        let status = job.status.as_ref();
        let number = |of: Option<i32>| f64::from(of.unwrap_or_default());
        gauge(&mut active, own, number(status.and_then(|status| status.active)));
        gauge(&mut succeeded, own, number(status.and_then(|status| status.succeeded)));
        gauge(&mut failed, own, number(status.and_then(|status| status.failed)));
        let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
        if let Some(condition) = conditions.iter().find(|one| one.type_ == "Failed") {
            for (one, value) in states(&condition.status) {
                let labels: &[(&str, &str)] = &[("condition", one), ("job_name", &name), ("namespace", &namespace)];
                gauge(&mut ended, labels, value);
            }
        }
    }
    let mut last = gauges(
        "kube_cronjob_status_last_schedule_time",
        "LastScheduleTime keeps information of when was the last time the job was successfully scheduled.",
    );
    let mut suspended =
        gauges("kube_cronjob_spec_suspend", "Suspend flag tells the controller to suspend subsequent executions.");
    for schedule in schedules {
        let (namespace, name) = (schedule.namespace().unwrap_or_default(), schedule.name_any());
        let own: &[(&str, &str)] = &[("cronjob", &name), ("namespace", &namespace)];
        let time = schedule.status.as_ref().and_then(|status| status.last_schedule_time.as_ref());
        if let Some(time) = time {
            gauge(&mut last, own, time.0.as_second() as f64);
        }
        gauge(&mut suspended, own, flag(schedule.spec.as_ref().is_some_and(|spec| spec.suspend == Some(true))));
    }
    vec![active, succeeded, failed, ended, last, suspended]
}

fn of_nodes(nodes: &[Arc<Node>]) -> Vec<MetricFamily> {
    let mut info = gauges("kube_node_info", "Information about a cluster node.");
    let mut conditions = gauges("kube_node_status_condition", "The condition of a cluster node.");
    for node in nodes {
        let name = node.name_any();
        let status = node.status.as_ref();
        let about = status.and_then(|status| status.node_info.as_ref());
        let text = |get: fn(&k8s_openapi::api::core::v1::NodeSystemInfo) -> &String| {
            about.map_or("", |about| get(about).as_str())
        };
        gauge(
            &mut info,
            &[
                ("container_runtime_version", text(|about| &about.container_runtime_version)),
                ("kernel_version", text(|about| &about.kernel_version)),
                ("kubelet_version", text(|about| &about.kubelet_version)),
                ("node", &name),
                ("os_image", text(|about| &about.os_image)),
            ],
            1.0,
        );
        for one in status.and_then(|status| status.conditions.as_deref()).unwrap_or_default() {
            for (state, value) in states(&one.status) {
                let labels: &[(&str, &str)] = &[("condition", &one.type_), ("node", &name), ("status", state)];
                gauge(&mut conditions, labels, value);
            }
        }
    }
    vec![info, conditions]
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tinderbox_client::metrics::text;

    use super::*;

    fn object<K: serde::de::DeserializeOwned>(value: Value) -> Arc<K> {
        Arc::new(serde_json::from_value(value).unwrap())
    }

    #[test]
    fn objects_are_told_as_kube_state_metrics_tells_them() {
        let registry = Registry::new();
        look(&registry, "kube_state", || {
            let pod = object(json!({
                "metadata": {"name": "pi-driver", "namespace": "n", "uid": "u",
                    "labels": {"spark-role": "driver", "app.kubernetes.io/name": "pi", "other": "x"},
                    "ownerReferences": [{"apiVersion": "v1", "kind": "SparkApplication", "name": "pi", "uid": "o", "controller": true}]},
                "spec": {"nodeName": "local-0", "containers": []},
                "status": {"phase": "Running", "podIP": "10.244.0.5", "hostIP": "10.244.0.1",
                    "conditions": [{"type": "Ready", "status": "True"}],
                    "containerStatuses": [{"name": "c", "ready": true, "restartCount": 2, "image": "", "imageID": ""}]},
            }));
            let job = object(json!({"metadata": {"name": "j", "namespace": "n"},
                "status": {"failed": 3, "conditions": [{"type": "Failed", "status": "True"}]}}));
            let schedule = object(json!({"metadata": {"name": "c", "namespace": "n"},
                "spec": {"schedule": "* * * * *", "jobTemplate": {}}, "status": {"lastScheduleTime": "1970-01-01T00:01:00Z"}}));
            let node = object(
                json!({"metadata": {"name": "local-0"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}),
            );
            let mut families = of_pods(&[pod]);
            families.extend(of_jobs(&[job], &[schedule]));
            families.extend(of_nodes(&[node]));
            families
        });
        insta::assert_snapshot!(text(&registry));
    }
}
