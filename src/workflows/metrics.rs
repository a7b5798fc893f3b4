//! What the controllers tell Prometheus, by upstream's names since 3.6: workflows and their pods by phase, schedules, templates, the
//! work queues, and the requests to the API.
//! Upstream rules: `util/telemetry/metrics_list.go` and `workflow/metrics` of argoproj/argo-workflows.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use kube::{Client, ResourceExt};
use tinderbox_api::workflows::{CronWorkflow, Phase, Workflow, labels};
use tinderbox_client::metrics::{
    Histogram, HistogramVec, IntCounterVec, MetricFamily, QueueStyle, Registry, counted, counter, counter_vec,
    counters, gauge, gauges, histogram_vec, look, styled_queue,
};
use tinderbox_client::{Cache, Change, Clock, ObjectKey, Queue};

use crate::Config;

/// Buckets of requests and of the time that keys are worked on.
const SECONDS: [f64; 10] = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 180.0];
/// Buckets of the time that keys wait.
const WAITS: [f64; 5] = [1.0, 5.0, 20.0, 60.0, 180.0];
/// Buckets of an operation: six parts of the longest that upstream allows.
const OPERATIONS: [f64; 6] = [5.0, 10.0, 15.0, 20.0, 25.0, 30.0];
/// Buckets of workflows: those of OpenTelemetry.
const RUNS: [f64; 15] =
    [0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0, 2500.0, 5000.0, 7500.0, 10000.0];

const STYLE: QueueStyle = QueueStyle {
    adds: ("argo_workflows_queue_adds_count", "A counter of additions to the work queues inside the controller"),
    depth: ("argo_workflows_queue_depth_gauge", "A gauge of the current depth of the queues"),
    retries: (
        "argo_workflows_queue_retries",
        "A counter of the number of times a message has been retried in the queue",
    ),
    waited: (
        "argo_workflows_queue_latency",
        "A histogram of the time events in the queues are taking before they are processed",
    ),
    waited_buckets: &WAITS,
    worked: (
        "argo_workflows_queue_duration",
        "A histogram of the time events in the queues are taking to be processed",
    ),
    worked_buckets: &SECONDS,
    unfinished: (
        "argo_workflows_queue_unfinished_work",
        "A gauge of the number of queue items that have not been processed yet",
    ),
    longest: (
        "argo_workflows_queue_longest_running",
        "A gauge of the number of seconds that this queue's longest running processor has been running for",
    ),
};

/// The queue of workflows.
pub(crate) fn queue(config: &Config) -> Queue<ObjectKey> {
    let queue = styled_queue(&config.metrics, config.clock.clone(), &STYLE, &[("queue_name", "workflow_queue")]);
    busy(&config.metrics, "workflow_queue", &queue);
    queue
}

/// The queue of schedules.
pub(crate) fn cron_queue(config: &Config) -> Queue<ObjectKey> {
    let queue = styled_queue(&config.metrics, config.clock.clone(), &STYLE, &[("queue_name", "cron_wf_queue")]);
    busy(&config.metrics, "cron_wf_queue", &queue);
    queue
}

fn busy(registry: &Registry, name: &'static str, queue: &Queue<ObjectKey>) {
    let seen = queue.clone();
    look(registry, &format!("busy_{name}"), move || {
        let mut family = gauges("argo_workflows_workers_busy_count", "A gauge of queue workers that are busy");
        gauge(&mut family, &[("worker_type", name)], seen.numbers().busy as f64);
        vec![family]
    });
}

/// A client whose requests are counted.
pub(crate) fn client(client: &Client, registry: &Registry) -> Client {
    let labels = ["kind", "verb", "status_code"];
    let total = counter_vec(
        registry,
        "argo_workflows_k8s_request_total",
        "A counter of the number of API requests sent to the Kubernetes API",
        &labels,
    );
    let duration = histogram_vec(
        registry,
        "argo_workflows_k8s_request_duration",
        "A histogram recording the API requests sent to the Kubernetes API",
        &SECONDS,
        &labels,
    );
    counted(client, move |answer| {
        let ((verb, kind), code) = (answer.verb_and_kind(), answer.code.to_string());
        let values = [kind.as_str(), verb, code.as_str()];
        total.with_label_values(&values).inc();
        duration.with_label_values(&values).observe(answer.took.as_secs_f64());
    })
}

/// Where it is written down how long each look at a workflow takes.
pub(crate) fn operations(registry: &Registry) -> Histogram {
    let name = "argo_workflows_operation_duration_seconds";
    histogram_vec(registry, name, "A histogram of durations of operations", &OPERATIONS, &[])
        .with_label_values::<&str>(&[])
}

/// Tells of workflows and pods what the watches show.
pub(crate) fn follow(config: &Config, workflows: &Cache<Workflow>, pods: &Cache<Pod>) {
    let counts = Counts::new(config);
    let seen = counts.clone();
    workflows.subscribe(move |change| seen.workflow(change));
    pods.subscribe(move |change| counts.pod(change));
    let (workflows, pods) = (workflows.clone(), pods.clone());
    look(&config.metrics, "workflow_phases", move || phases(&workflows.list(), &pods.list()));
}

/// Counts the workflows that schedules start, and what keeps schedules from it.
pub(crate) fn follow_schedules(registry: &Registry, crons: &Cache<CronWorkflow>, workflows: &Cache<Workflow>) {
    let triggered = counter_vec(
        registry,
        "argo_workflows_cronworkflows_triggered_total",
        "A counter of the total number of times a CronWorkflow has been triggered",
        &["name", "namespace"],
    );
    workflows.subscribe(move |change| {
        if let (None, Some(workflow)) = (change.old, change.new)
            && phase(workflow) == Phase::default()
            && let Some(name) = workflow.labels().get(labels::CRON_WORKFLOW)
        {
            triggered.with_label_values(&[name.as_str(), &workflow.namespace().unwrap_or_default()]).inc();
        }
    });
    let errors = counter_vec(
        registry,
        "argo_workflows_error_count",
        "A counter of certain errors incurred by the controller by cause",
        &["cause"],
    );
    let causes = [("SubmissionError", "CronWorkflowSubmissionError"), ("SpecError", "CronWorkflowSpecError")];
    // As upstream's they begin at zero. A panic here is told by the queue, as work that comes again.
    for cause in ["OperationPanic", causes[0].1, causes[1].1] {
        errors.with_label_values(&[cause]).inc_by(0);
    }
    crons.subscribe(move |change| {
        let has = |cron: Option<&Arc<CronWorkflow>>, kind: &str| {
            let status = cron.and_then(|cron| cron.status.as_ref());
            status.is_some_and(|status| status.conditions.iter().any(|one| one.r#type == kind && one.status == "True"))
        };
        for (kind, cause) in causes {
            if has(change.new, kind) && !has(change.old, kind) {
                errors.with_label_values(&[cause]).inc();
            }
        }
    });
}

/// Counters of what workflows and their pods went through.
#[derive(Clone)]
struct Counts {
    clock: Clock,
    workflows: IntCounterVec,
    pods: IntCounterVec,
    templates: IntCounterVec,
    runtimes: HistogramVec,
}

impl Counts {
    fn new(config: &Config) -> Self {
        let registry = &config.metrics;
        let template = ["name", "namespace", "cluster_scope"];
        Self {
            clock: config.clock.clone(),
            workflows: counter_vec(
                registry,
                "argo_workflows_total_count",
                "A counter of workflows that have entered each phase for tracking them through their life-cycle, by namespace",
                &["phase", "namespace"],
            ),
            pods: counter_vec(
                registry,
                "argo_workflows_pods_total_count",
                "Total number of pods that have entered each phase",
                &["phase", "namespace"],
            ),
            templates: counter_vec(
                registry,
                "argo_workflows_workflowtemplate_triggered_total",
                "A counter of workflows using `workflowTemplateRef` only, as they enter each phase",
                &["name", "namespace", "cluster_scope", "phase"],
            ),
            runtimes: histogram_vec(
                registry,
                "argo_workflows_workflowtemplate_runtime",
                "A histogram of the runtime of workflows using `workflowTemplateRef` only",
                &RUNS,
                &template,
            ),
        }
    }

    fn workflow(&self, change: &Change<'_, Workflow>) {
        let Some(workflow) = change.new else { return };
        let (old, new) = (change.old.map(|old| phase(old)), phase(workflow));
        // Of one that was there before this process it is not known what it went through.
        let entered = if old.is_none() { new == Phase::default() } else { old != Some(new) };
        if !entered {
            return;
        }
        let namespace = workflow.namespace().unwrap_or_default();
        let text = if new == Phase::default() { "New".to_owned() } else { new.to_string() };
        if text != "New" {
            self.workflows.with_label_values(&[text.as_str(), namespace.as_str()]).inc();
        }
        let Some(template) = &workflow.spec.workflow_template_ref else { return };
        let scope = if template.cluster_scope == Some(true) { "true" } else { "false" };
        let name = template.name.as_str();
        self.templates.with_label_values(&[name, namespace.as_str(), scope, text.as_str()]).inc();
        let began = workflow.status.as_ref().and_then(|status| status.started_at.as_ref());
        if let (true, Some(began)) = (new.is_completed(), began) {
            let took = self.clock.now().duration_since(began.0).as_secs_f64();
            self.runtimes.with_label_values(&[name, namespace.as_str(), scope]).observe(took);
        }
    }

    fn pod(&self, change: &Change<'_, Pod>) {
        let Some(pod) = change.new.filter(|pod| pod.labels().contains_key(labels::WORKFLOW)) else { return };
        let (old, new) = (change.old.map(|pod| pod_phase(pod)), pod_phase(pod));
        let entered = if old.is_none() { new == "Pending" } else { old != Some(new) };
        if entered {
            self.pods.with_label_values(&[new, &pod.namespace().unwrap_or_default()]).inc();
        }
    }
}

fn phase(workflow: &Workflow) -> Phase {
    workflow.status.as_ref().map(|status| status.phase).unwrap_or_default()
}

fn pod_phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Pending")
}

/// How many there are now of each phase, and what stands still.
fn phases(workflows: &[Arc<Workflow>], pods: &[Arc<Pod>]) -> Vec<MetricFamily> {
    let mut family =
        gauges("argo_workflows_gauge", "A gauge of the number of workflows currently in the cluster in each phase");
    for name in Phase::ALL.iter().filter(|name| **name != Phase::default()) {
        let count = workflows.iter().filter(|workflow| phase(workflow) == *name).count();
        gauge(&mut family, &[("phase", &name.to_string())], count as f64);
    }
    let mut of_pods = gauges(
        "argo_workflows_pods_gauge",
        "A gauge of the number of workflow created pods currently in the cluster in each phase",
    );
    for name in ["Running", "Pending"] {
        let ours = pods.iter().filter(|pod| pod.labels().contains_key(labels::WORKFLOW));
        gauge(&mut of_pods, &[("phase", name)], ours.filter(|pod| pod_phase(pod) == name).count() as f64);
    }
    let mut conditions =
        gauges("argo_workflows_workflow_condition", "A gauge of the number of workflows with different conditions");
    for status in ["True", "False"] {
        let has = |workflow: &&Arc<Workflow>| {
            let status_of = workflow.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
            status_of.iter().any(|one| one.r#type == "PodRunning" && one.status == status)
        };
        let count = workflows.iter().filter(has).count();
        gauge(&mut conditions, &[("type", "PodRunning"), ("status", status)], count as f64);
    }
    let mut leader =
        gauges("argo_workflows_is_leader", "Emits 1 if leader, 0 otherwise. Always 1 if leader election is disabled");
    gauge(&mut leader, &[], 1.0);
    let mut version = counters("argo_workflows_version", "Build metadata for this Controller");
    counter(&mut version, &[("version", concat!("tinderbox-", env!("CARGO_PKG_VERSION")))], 1.0);
    vec![family, of_pods, conditions, leader, version]
}

#[cfg(test)]
mod tests;
