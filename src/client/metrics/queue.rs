//! The numbers of a work queue, under the names that a style gives them: controller-runtime's, or any other.
//! Upstream rules: `pkg/internal/metrics/workqueue.go` and `pkg/internal/controller/metrics/metrics.go` of
//! kubernetes-sigs/controller-runtime.

use prometheus::proto::MetricFamily;
use prometheus::{Histogram, HistogramOpts, Registry};

use super::{Labels, counter, counters, gauge, gauges, look, register};
use crate::queue::{Item, Numbers, Times};
use crate::{Clock, Queue};

/// A name and what it means.
type Told = (&'static str, &'static str);

/// How the numbers of a queue are called.
#[derive(Debug, Clone, Copy)]
pub struct QueueStyle {
    /// Counter of additions.
    pub adds: Told,
    /// Gauge of the keys that wait.
    pub depth: Told,
    /// Counter of keys that come again.
    pub retries: Told,
    /// Histogram of the time that a key waits.
    pub waited: Told,
    /// Its buckets.
    pub waited_buckets: &'static [f64],
    /// Histogram of the time that a key is worked on.
    pub worked: Told,
    /// Its buckets.
    pub worked_buckets: &'static [f64],
    /// Gauge of the seconds that keys have been worked on which are not done.
    pub unfinished: Told,
    /// Gauge of the longest of these.
    pub longest: Told,
}

/// Ten to the powers of -8 to 3.
const POWERS: [f64; 12] = [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0, 1000.0];

/// As client-go tells it, and controller-runtime with it.
pub const WORKQUEUE: QueueStyle = QueueStyle {
    adds: ("workqueue_adds_total", "Total number of adds handled by workqueue"),
    depth: ("workqueue_depth", "Current depth of workqueue by workqueue and priority"),
    retries: ("workqueue_retries_total", "Total number of retries handled by workqueue"),
    waited: (
        "workqueue_queue_duration_seconds",
        "How long in seconds an item stays in workqueue before being requested",
    ),
    waited_buckets: &POWERS,
    worked: ("workqueue_work_duration_seconds", "How long in seconds processing an item from workqueue takes."),
    worked_buckets: &POWERS,
    unfinished: (
        "workqueue_unfinished_work_seconds",
        "How many seconds of work has been done that is in progress and hasn't been observed by work_duration.",
    ),
    longest: (
        "workqueue_longest_running_processor_seconds",
        "How many seconds has the longest running processor for workqueue been running.",
    ),
};

/// Buckets of the time that a reconciliation takes.
const RECONCILE: [f64; 40] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.25, 1.5,
    1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0,
];

/// A queue whose numbers are told in a style, with these labels.
#[must_use]
pub fn styled_queue<T: Item>(
    registry: &Registry,
    clock: Clock,
    style: &'static QueueStyle,
    labels: Labels<'static>,
) -> Queue<T> {
    let times = Times {
        waited: histogram(registry, style.waited, style.waited_buckets, labels),
        worked: histogram(registry, style.worked, style.worked_buckets, labels).into_iter().collect(),
    };
    observed(registry, clock, times, style, labels)
}

/// A queue of a controller whose numbers are told as controller-runtime tells them.
#[must_use]
pub fn controller_queue<T: Item>(
    registry: &Registry,
    clock: Clock,
    controller: &'static str,
    labels: Labels<'static>,
    concurrency: usize,
) -> Queue<T> {
    let style = &WORKQUEUE;
    let told = ("controller_runtime_reconcile_time_seconds", "Length of time per reconciliation per controller");
    let reconcile = histogram(registry, told, &RECONCILE, &labels[..1]);
    let worked = histogram(registry, style.worked, style.worked_buckets, labels);
    let times = Times {
        waited: histogram(registry, style.waited, style.waited_buckets, labels),
        worked: worked.into_iter().chain(reconcile).collect(),
    };
    let queue = observed(registry, clock, times, style, labels);
    let seen = queue.clone();
    look(registry, &format!("reconciles_{controller}"), move || {
        outcomes(&seen.numbers(), controller, concurrency).into()
    });
    queue
}

fn observed<T: Item>(
    registry: &Registry,
    clock: Clock,
    times: Times,
    style: &'static QueueStyle,
    labels: Labels<'static>,
) -> Queue<T> {
    let queue = Queue::observed(clock, times);
    let seen = queue.clone();
    let name = labels.first().map_or("queue", |(_, value)| value);
    look(registry, &format!("queue_{name}"), move || families(&seen.numbers(), style, labels).into());
    queue
}

fn histogram(registry: &Registry, told: Told, buckets: &[f64], labels: Labels<'_>) -> Option<Histogram> {
    let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let options = HistogramOpts::new(told.0, told.1).buckets(buckets.to_vec()).const_labels(labels.collect());
    match Histogram::with_opts(options) {
        Ok(histogram) => {
            register(registry, histogram.clone());
            Some(histogram)
        }
        Err(error) => {
            tracing::error!(%error, name = told.0, "a metric is not made");
            None
        }
    }
}

fn families(numbers: &Numbers, style: &QueueStyle, labels: Labels<'_>) -> [MetricFamily; 5] {
    let count = |(name, help): Told, value: u64| {
        let mut family = counters(name, help);
        counter(&mut family, labels, value as f64);
        family
    };
    let state = |(name, help): Told, value: f64| {
        let mut family = gauges(name, help);
        gauge(&mut family, labels, value);
        family
    };
    [
        count(style.adds, numbers.adds),
        state(style.depth, numbers.depth as f64),
        count(style.retries, numbers.retries),
        state(style.unfinished, numbers.unfinished.as_secs_f64()),
        state(style.longest, numbers.longest.as_secs_f64()),
    ]
}

fn outcomes(numbers: &Numbers, controller: &str, concurrency: usize) -> [MetricFamily; 4] {
    let mut total = counters("controller_runtime_reconcile_total", "Total number of reconciliations per controller");
    let mut errors =
        counters("controller_runtime_reconcile_errors_total", "Total number of reconciliation errors per controller");
    let mut most = gauges(
        "controller_runtime_max_concurrent_reconciles",
        "Maximum number of concurrent reconciles per controller",
    );
    let mut busy = gauges("controller_runtime_active_workers", "Number of currently used workers per controller");
    for (result, count) in
        [("error", numbers.failed), ("requeue", 0), ("requeue_after", numbers.appointed), ("success", numbers.done)]
    {
        counter(&mut total, &[("controller", controller), ("result", result)], count as f64);
    }
    let labels: Labels<'_> = &[("controller", controller)];
    counter(&mut errors, labels, numbers.failed as f64);
    gauge(&mut most, labels, concurrency as f64);
    gauge(&mut busy, labels, numbers.busy as f64);
    [total, errors, most, busy]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;

    #[tokio::test]
    async fn a_queue_tells_what_it_has_seen() {
        let (registry, (clock, hand)) = (Registry::new(), Clock::manual(Timestamp::UNIX_EPOCH));
        let labels: Labels<'static> = &[("controller", "app-controller"), ("name", "app-controller")];
        let queue = controller_queue::<&str>(&registry, clock, "app-controller", labels, 4);
        queue.add("a");
        queue.add("a");
        queue.add("b");
        hand.advance(Duration::from_secs(2));
        let first = queue.next().await;
        hand.advance(Duration::from_secs(5));
        queue.fail(&first);
        let second = queue.next().await;
        hand.advance(Duration::from_secs(1));
        let text = super::super::text(&registry);
        for line in [
            "workqueue_adds_total{controller=\"app-controller\",name=\"app-controller\"} 2",
            "workqueue_depth{controller=\"app-controller\",name=\"app-controller\"} 0",
            "workqueue_retries_total{controller=\"app-controller\",name=\"app-controller\"} 1",
            "workqueue_unfinished_work_seconds{controller=\"app-controller\",name=\"app-controller\"} 1",
            "workqueue_longest_running_processor_seconds{controller=\"app-controller\",name=\"app-controller\"} 1",
            "workqueue_queue_duration_seconds_sum{controller=\"app-controller\",name=\"app-controller\"} 9",
            "workqueue_work_duration_seconds_sum{controller=\"app-controller\",name=\"app-controller\"} 5",
            "controller_runtime_reconcile_time_seconds_count{controller=\"app-controller\"} 1",
            "controller_runtime_reconcile_total{controller=\"app-controller\",result=\"error\"} 1",
            "controller_runtime_reconcile_total{controller=\"app-controller\",result=\"success\"} 0",
            "controller_runtime_active_workers{controller=\"app-controller\"} 1",
            "controller_runtime_max_concurrent_reconciles{controller=\"app-controller\"} 4",
        ] {
            assert!(text.lines().any(|have| have == line), "{line}\n{text}");
        }
        queue.finish(&second, None);
        assert_eq!(queue.numbers().done, 1);
    }
}
