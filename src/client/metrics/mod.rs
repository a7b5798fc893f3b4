//! What controllers tell of themselves to Prometheus: registries, families that are made when somebody asks, and the numbers of work
//! queues and of requests. Names are upstream's; which ones, each room says itself.

mod queue;
mod requests;

use prometheus::core::{Collector, Desc};
pub use prometheus::proto::MetricFamily;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricType, Summary};
pub use prometheus::{Histogram, HistogramVec, IntCounterVec, IntGaugeVec, Registry};
use prometheus::{HistogramOpts, Opts};

pub use queue::{QueueStyle, WORKQUEUE, controller_queue, styled_queue};
pub use requests::{Answered, counted};

/// The text that Prometheus reads, of everything in a registry.
#[must_use]
pub fn text(registry: &Registry) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail, and a family that cannot be written is a mistake of ours.
    if let Err(error) = prometheus::TextEncoder::new().encode_utf8(&registry.gather(), &mut text) {
        tracing::error!(%error, "metrics cannot be written");
    }
    text
}

/// Adds a collector. One that is there already stays: what a process tells once, it does not tell twice.
pub fn register(registry: &Registry, collector: impl Collector + 'static) {
    if let Err(error) = registry.register(Box::new(collector)) {
        tracing::debug!(%error, "a metric is not added");
    }
}

/// A counter with these labels, in the registry.
///
/// # Panics
/// When a name is none: names are constants.
#[must_use]
pub fn counter_vec(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    added(registry, IntCounterVec::new(Opts::new(name, help), labels))
}

/// A gauge with these labels, in the registry.
///
/// # Panics
/// When a name is none: names are constants.
#[must_use]
pub fn gauge_vec(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    added(registry, IntGaugeVec::new(Opts::new(name, help), labels))
}

/// A histogram with these buckets and labels, in the registry.
///
/// # Panics
/// When a name is none, or the buckets are not in order: they are constants.
#[must_use]
pub fn histogram_vec(registry: &Registry, name: &str, help: &str, buckets: &[f64], labels: &[&str]) -> HistogramVec {
    added(registry, HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels))
}

fn added<C: Collector + Clone + 'static>(registry: &Registry, made: prometheus::Result<C>) -> C {
    let made = made.unwrap_or_else(|error| panic!("a metric that cannot be: {error}"));
    register(registry, made.clone());
    made
}

/// A text as the name of a metric or label may be.
#[must_use]
pub fn sanitized(text: &str) -> String {
    text.chars().map(|one| if one.is_ascii_alphanumeric() { one } else { '_' }).collect()
}

/// Families that are made when they are asked for. `name` tells this one from others of the registry.
pub fn look(registry: &Registry, name: &str, make: impl Fn() -> Vec<MetricFamily> + Send + Sync + 'static) {
    match Desc::new(sanitized(name), "made when asked for".to_owned(), Vec::new(), Default::default()) {
        Ok(desc) => register(registry, Look { desc, make }),
        Err(error) => tracing::error!(%error, "a metric is not added"),
    }
}

struct Look<F> {
    desc: Desc,
    make: F,
}

impl<F: Fn() -> Vec<MetricFamily> + Send + Sync> Collector for Look<F> {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        (self.make)()
    }
}

/// Labels of a sample: names and values.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

/// A sample with these labels.
fn metric(labels: Labels<'_>) -> Metric {
    let pairs = labels.iter().map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    });
    Metric::from_label(pairs.collect())
}

fn family(name: &str, help: &str, kind: MetricType) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family
}

/// A family of gauges; samples are added with [`gauge`].
#[must_use]
pub fn gauges(name: &str, help: &str) -> MetricFamily {
    family(name, help, MetricType::GAUGE)
}

/// A family of counters; samples are added with [`counter`].
#[must_use]
pub fn counters(name: &str, help: &str) -> MetricFamily {
    family(name, help, MetricType::COUNTER)
}

/// Adds a sample to a family of gauges.
pub fn gauge(family: &mut MetricFamily, labels: Labels<'_>, value: f64) {
    let mut sample = metric(labels);
    let mut gauge = Gauge::default();
    gauge.set_value(value);
    sample.set_gauge(gauge);
    family.mut_metric().push(sample);
}

/// Adds a sample to a family of counters.
pub fn counter(family: &mut MetricFamily, labels: Labels<'_>, value: f64) {
    let mut sample = metric(labels);
    let mut counter = Counter::default();
    counter.set_value(value);
    sample.set_counter(counter);
    family.mut_metric().push(sample);
}

/// A summary without quantiles: how many, and their sum.
#[must_use]
pub fn summary(name: &str, help: &str, count: u64, sum: f64) -> MetricFamily {
    let mut family = family(name, help, MetricType::SUMMARY);
    let mut sample = metric(&[]);
    let mut summary = Summary::default();
    summary.set_sample_count(count);
    summary.set_sample_sum(sum);
    sample.set_summary(summary);
    family.mut_metric().push(sample);
    family
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_made_when_asked_for_and_told_once() {
        let registry = Registry::new();
        for _ in 0..2 {
            look(&registry, "pods", || {
                let mut family = gauges("pods", "Pods.");
                gauge(&mut family, &[("name", "a\"b")], 2.0);
                vec![family, summary("took_seconds", "Took.", 2, 0.5)]
            });
        }
        let wanted = "# HELP pods Pods.\n# TYPE pods gauge\npods{name=\"a\\\"b\"} 2\n\
            # HELP took_seconds Took.\n# TYPE took_seconds summary\ntook_seconds_sum 0.5\ntook_seconds_count 2\n";
        assert_eq!(text(&registry), wanted);
    }
}
