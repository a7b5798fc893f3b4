//! What the operator tells Prometheus, by upstream's names: applications and executors by what became of them, how long that took,
//! the work queues, and the requests to the API. As upstream's, a number is told once there is something to count.
//! Upstream rules: `internal/metrics` of kubeflow/spark-operator, and the metrics of controller-runtime.

use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::core::v1::Pod;
use kube::{Client, ResourceExt};
use tinderbox_api::spark::{ExecutorState, SparkApplication, State, labels};
use tinderbox_client::metrics::{
    HistogramVec, IntCounterVec, IntGaugeVec, Registry, controller_queue, counted, counter_vec, gauge_vec,
    histogram_vec, look, summary,
};
use tinderbox_client::{Cache, Change, Clock, ObjectKey, Queue};

use crate::Config;
use crate::controller::pods::executor_state;

/// Buckets of the time from creation to submission.
const SUBMIT: [f64; 10] = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
/// Buckets of the time from creation to the driver's start.
const START: [f64; 10] = [30.0, 60.0, 90.0, 120.0, 150.0, 180.0, 210.0, 240.0, 270.0, 300.0];

/// The queue of a controller.
pub(crate) fn queue(config: &Config, controller: &'static str, concurrency: usize) -> Queue<ObjectKey> {
    let labels: &'static [_] = match controller {
        "sparkapplication" => &[("controller", "sparkapplication"), ("name", "sparkapplication")],
        _ => &[("controller", "scheduledsparkapplication"), ("name", "scheduledsparkapplication")],
    };
    controller_queue(&config.metrics, config.clock.clone(), controller, labels, concurrency)
}

/// A client whose requests are counted as client-go counts them.
pub(crate) fn client(client: &Client, registry: &Registry) -> Client {
    let help = "Number of HTTP requests, partitioned by status code, method, and host.";
    let requests = counter_vec(registry, "rest_client_requests_total", help, &["code", "host", "method"]);
    counted(client, move |answer| {
        let code = answer.code.to_string();
        requests.with_label_values(&[code.as_str(), "kubernetes.default.svc", answer.method.as_str()]).inc();
    })
}

/// How many there were, and their sum; nothing until there is one.
type Sum = Arc<Mutex<(u64, f64)>>;

/// The numbers of applications and executors.
#[derive(Clone)]
pub(crate) struct Metrics {
    clock: Clock,
    total: IntCounterVec,
    submitted: IntCounterVec,
    unsubmitted: IntCounterVec,
    running: IntGaugeVec,
    succeeded: IntCounterVec,
    failed: IntCounterVec,
    executors_running: IntGaugeVec,
    executors_succeeded: IntCounterVec,
    executors_failed: IntCounterVec,
    submit_latency: HistogramVec,
    start_latency: HistogramVec,
    submit_sum: Sum,
    start_sum: Sum,
    success_sum: Sum,
    failure_sum: Sum,
}

impl Metrics {
    /// Numbers that the registry tells from now on.
    pub(crate) fn new(registry: &Registry, clock: Clock) -> Self {
        Self {
            clock,
            total: counter(registry, "spark_application_count", "Total number of SparkApplication"),
            submitted: counter(
                registry,
                "spark_application_submit_count",
                "Total number of submitted SparkApplication",
            ),
            unsubmitted: counter(
                registry,
                "spark_application_failed_submission_count",
                "Total number of failed SparkApplication submission",
            ),
            running: gauge(registry, "spark_application_running_count", "Total number of running SparkApplication"),
            succeeded: counter(
                registry,
                "spark_application_success_count",
                "Total number of successful SparkApplication",
            ),
            failed: counter(registry, "spark_application_failure_count", "Total number of failed SparkApplication"),
            executors_running: gauge(
                registry,
                "spark_executor_running_count",
                "Total number of running Spark executors",
            ),
            executors_succeeded: counter(
                registry,
                "spark_executor_success_count",
                "Total number of successful Spark executors",
            ),
            executors_failed: counter(
                registry,
                "spark_executor_failure_count",
                "Total number of failed Spark executors",
            ),
            submit_latency: histogram(
                registry,
                "spark_application_submit_latency_seconds_histogram",
                "Spark App Submit Latency counts in buckets from creation to submitted state",
                &SUBMIT,
            ),
            start_latency: histogram(
                registry,
                "spark_application_start_latency_seconds_histogram",
                "Spark App Start Latency counts in buckets via the Operator",
                &START,
            ),
            submit_sum: sum(
                registry,
                "spark_application_submit_latency_seconds",
                "Spark App Submit Latency from creation to submitted state",
            ),
            start_sum: sum(
                registry,
                "spark_application_start_latency_seconds",
                "Spark App Start Latency via the Operator",
            ),
            success_sum: sum(registry, "spark_application_success_execution_time_seconds", ""),
            failure_sum: sum(registry, "spark_application_failure_execution_time_seconds", ""),
        }
    }

    /// Counts what the watches show from now on.
    pub(crate) fn follow(&self, apps: &Cache<SparkApplication>, pods: &Cache<Pod>) {
        let counts = self.clone();
        apps.subscribe(move |change| counts.application(change));
        let counts = self.clone();
        pods.subscribe(move |change| counts.executor(change));
    }

    fn application(&self, change: &Change<'_, SparkApplication>) {
        let state =
            |app: &SparkApplication| app.status.as_ref().map_or(State::New, |status| status.application_state.state);
        let (old, new) = (change.old.map(|app| state(app)), change.new.map(|app| state(app)));
        if old == new {
            return;
        }
        if old == Some(State::Running) {
            self.running.with_label_values::<&str>(&[]).dec();
        }
        // One that was there before this process counts, but how long it took is not known any more.
        let seen = old.is_some();
        let (Some(app), Some(new)) = (change.new, new) else { return };
        match new {
            State::New => self.total.with_label_values::<&str>(&[]).inc(),
            State::Submitted => {
                self.submitted.with_label_values::<&str>(&[]).inc();
                let first = app.status.as_ref().is_some_and(|status| status.submission_attempts == 1);
                if seen && first {
                    self.since_creation(app, &self.submit_latency, &self.submit_sum);
                }
            }
            State::SubmissionFailed => self.unsubmitted.with_label_values::<&str>(&[]).inc(),
            State::Running => {
                self.running.with_label_values::<&str>(&[]).inc();
                let first = app.status.as_ref().is_some_and(|status| status.execution_attempts == 1);
                if seen && first {
                    self.since_creation(app, &self.start_latency, &self.start_sum);
                }
            }
            State::Completed => {
                self.succeeded.with_label_values::<&str>(&[]).inc();
                if seen {
                    ran(app, &self.success_sum);
                }
            }
            State::Failed => {
                self.failed.with_label_values::<&str>(&[]).inc();
                if seen {
                    ran(app, &self.failure_sum);
                }
            }
            _ => {}
        }
    }

    fn executor(&self, change: &Change<'_, Pod>) {
        let state = |pod: &Pod| {
            let is_executor = pod.labels().get(labels::ROLE).is_some_and(|role| role == "executor");
            let ours = pod.labels().contains_key(labels::APP_NAME);
            (is_executor && ours).then(|| executor_state(pod))
        };
        let (old, new) = (change.old.and_then(|pod| state(pod)), change.new.and_then(|pod| state(pod)));
        if old == new {
            return;
        }
        if old == Some(ExecutorState::Running) {
            self.executors_running.with_label_values::<&str>(&[]).dec();
        }
        match new {
            Some(ExecutorState::Running) => self.executors_running.with_label_values::<&str>(&[]).inc(),
            Some(ExecutorState::Completed) if old.is_some() => {
                self.executors_succeeded.with_label_values::<&str>(&[]).inc();
            }
            Some(ExecutorState::Failed) if old.is_some() => {
                self.executors_failed.with_label_values::<&str>(&[]).inc();
            }
            _ => {}
        }
    }

    fn since_creation(&self, app: &SparkApplication, histogram: &HistogramVec, sum: &Sum) {
        let Some(created) = &app.metadata.creation_timestamp else { return };
        let took = self.clock.now().duration_since(created.0).as_secs_f64().max(0.0);
        histogram.with_label_values::<&str>(&[]).observe(took);
        add(sum, took);
    }
}

/// Adds how long an application ran.
fn ran(app: &SparkApplication, sum: &Sum) {
    let Some(status) = &app.status else { return };
    if let (Some(began), Some(ended)) = (&status.last_submission_attempt_time, &status.termination_time) {
        add(sum, ended.0.duration_since(began.0).as_secs_f64());
    }
}

fn add(sum: &Sum, value: f64) {
    let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
    sum.0 += 1;
    sum.1 += value;
}

fn sum(registry: &Registry, name: &'static str, help: &'static str) -> Sum {
    let sum = Sum::default();
    let seen = sum.clone();
    look(registry, name, move || {
        let (count, total) = *seen.lock().unwrap_or_else(PoisonError::into_inner);
        if count == 0 { Vec::new() } else { vec![summary(name, help, count, total)] }
    });
    sum
}

fn counter(registry: &Registry, name: &str, help: &str) -> IntCounterVec {
    counter_vec(registry, name, help, &[])
}

fn gauge(registry: &Registry, name: &str, help: &str) -> IntGaugeVec {
    gauge_vec(registry, name, help, &[])
}

fn histogram(registry: &Registry, name: &str, help: &str, buckets: &[f64]) -> HistogramVec {
    histogram_vec(registry, name, help, buckets, &[])
}

#[cfg(test)]
mod tests;
