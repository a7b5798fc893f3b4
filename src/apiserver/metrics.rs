//! What the server counts of itself, under upstream's names and in Prometheus' text form.
//! Upstream rule: k8s.io/apiserver `pkg/endpoints/metrics/metrics.go`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tinderbox_store::Store;

use crate::registry::Snapshot;

/// Upper bounds of durations, in seconds.
const BUCKETS: [f64; 8] = [0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 1.0, 5.0];

/// What a request was about.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kind {
    pub(crate) verb: String,
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) resource: String,
    pub(crate) subresource: String,
    pub(crate) scope: &'static str,
}

#[derive(Debug, Default)]
struct Durations {
    buckets: [u64; BUCKETS.len()],
    count: u64,
    sum: f64,
}

/// The counters.
#[derive(Debug)]
pub(crate) struct Metrics {
    started: SystemTime,
    requests: Mutex<BTreeMap<(Kind, u16), u64>>,
    durations: Mutex<BTreeMap<Kind, Durations>>,
    inflight: Arc<AtomicI64>,
    watches: Arc<AtomicI64>,
}

/// One of a number that is counted while it lasts.
#[derive(Debug)]
pub(crate) struct Lasting(Arc<AtomicI64>);

impl Drop for Lasting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Lasting {
    fn new(number: &Arc<AtomicI64>) -> Self {
        number.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(number))
    }
}

impl Metrics {
    pub(crate) fn new(started: SystemTime) -> Self {
        Self {
            started,
            requests: Mutex::default(),
            durations: Mutex::default(),
            inflight: Arc::default(),
            watches: Arc::default(),
        }
    }

    /// A request that is being answered.
    pub(crate) fn request(&self) -> Lasting {
        Lasting::new(&self.inflight)
    }

    /// A watch that is open.
    pub(crate) fn watch(&self) -> Lasting {
        Lasting::new(&self.watches)
    }

    /// Counts a request that has been answered.
    pub(crate) fn answered(&self, kind: Kind, code: u16, took: Duration) {
        {
            let mut durations = self.durations.lock().unwrap_or_else(PoisonError::into_inner);
            let all = durations.entry(kind.clone()).or_default();
            let seconds = took.as_secs_f64();
            for (bucket, bound) in all.buckets.iter_mut().zip(BUCKETS) {
                *bucket += u64::from(seconds <= bound);
            }
            all.count += 1;
            all.sum += seconds;
        }
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry((kind, code)).or_default() += 1;
    }

    /// The text of all metrics.
    pub(crate) fn text(&self, resources: &Snapshot, store: &Store) -> String {
        let mut text = String::new();
        self.write(&mut text, resources, store);
        text
    }

    // Writing to a String cannot fail.
    fn write(&self, out: &mut String, resources: &Snapshot, store: &Store) {
        head(
            out,
            "apiserver_request_total",
            "counter",
            "Counter of apiserver requests broken out for each verb, group, version, resource, scope, component, and HTTP response code.",
        );
        for ((kind, code), count) in &*self.requests.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = writeln!(out, "apiserver_request_total{{code=\"{code}\",{}}} {count}", labels(kind));
        }
        head(
            out,
            "apiserver_request_duration_seconds",
            "histogram",
            "Response latency distribution in seconds for each verb, group, version, resource, subresource, scope and component.",
        );
        for (kind, all) in &*self.durations.lock().unwrap_or_else(PoisonError::into_inner) {
            let labels = labels(kind);
            for (bucket, bound) in all.buckets.iter().zip(BUCKETS) {
                let _ = writeln!(out, "apiserver_request_duration_seconds_bucket{{{labels},le=\"{bound}\"}} {bucket}");
            }
            let _ = writeln!(out, "apiserver_request_duration_seconds_bucket{{{labels},le=\"+Inf\"}} {}", all.count);
            let _ = writeln!(out, "apiserver_request_duration_seconds_sum{{{labels}}} {}", all.sum);
            let _ = writeln!(out, "apiserver_request_duration_seconds_count{{{labels}}} {}", all.count);
        }
        head(
            out,
            "apiserver_current_inflight_requests",
            "gauge",
            "Number of requests that are being answered, watches left out.",
        );
        let _ = writeln!(out, "apiserver_current_inflight_requests {}", self.inflight.load(Ordering::Relaxed));
        head(out, "apiserver_longrunning_requests", "gauge", "Number of open watches.");
        let _ =
            writeln!(out, "apiserver_longrunning_requests{{verb=\"WATCH\"}} {}", self.watches.load(Ordering::Relaxed));
        head(out, "apiserver_storage_objects", "gauge", "Number of stored objects by resource.");
        let mut seen = Vec::new();
        for resource in resources.all().filter(|one| one.verbs.contains(&"list")) {
            if seen.contains(&&resource.collection) {
                continue;
            }
            seen.push(&resource.collection);
            let list = store.list(&resource.collection, None, None, 1);
            let dot = if resource.group.is_empty() { "" } else { "." };
            let count = list.items.len() + list.remaining;
            let _ = writeln!(
                out,
                "apiserver_storage_objects{{resource=\"{}{dot}{}\"}} {count}",
                resource.plural, resource.group
            );
        }
        head(out, "process_start_time_seconds", "gauge", "Start time of the server since the epoch in seconds.");
        let started = self.started.duration_since(UNIX_EPOCH).unwrap_or_default();
        let _ = writeln!(out, "process_start_time_seconds {}", started.as_secs_f64());
    }
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn labels(kind: &Kind) -> String {
    format!(
        "component=\"apiserver\",dry_run=\"\",group=\"{}\",resource=\"{}\",scope=\"{}\",subresource=\"{}\",verb=\"{}\",version=\"{}\"",
        kind.group, kind.resource, kind.scope, kind.subresource, kind.verb, kind.version
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_kind_and_code() {
        let metrics = Metrics::new(UNIX_EPOCH);
        let kind = Kind { verb: "LIST".into(), version: "v1".into(), resource: "pods".into(), ..Kind::default() };
        metrics.answered(kind.clone(), 200, Duration::from_millis(30));
        metrics.answered(kind, 200, Duration::from_secs(9));
        let open = metrics.watch();
        let store = Store::open(tinderbox_store::Options { dir: None, history: 8 }).unwrap();
        let text = metrics.text(&Snapshot::default(), &store);
        assert!(
            text.contains("resource=\"pods\",scope=\"\",subresource=\"\",verb=\"LIST\",version=\"v1\"} 2\n"),
            "{text}"
        );
        assert!(text.contains("le=\"0.05\"} 1\n") && text.contains("le=\"+Inf\"} 2\n"), "{text}");
        assert!(text.contains("apiserver_longrunning_requests{verb=\"WATCH\"} 1\n"), "{text}");
        drop(open);
        assert_eq!(metrics.watches.load(Ordering::Relaxed), 0);
    }
}
