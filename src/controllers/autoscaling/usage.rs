//! What pods use, as `metrics.k8s.io` tells it. Reading only.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use kube::core::DynamicObject;
use serde_json::Value;
use tinderbox_api::quantity::Quantity;

/// What the containers of one pod use.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PodUsage {
    pub(super) pod: String,
    pub(super) at: Timestamp,
    pub(super) window: Duration,
    /// Containers and their `usage`.
    containers: Vec<(String, Value)>,
}

impl PodUsage {
    /// Reads a PodMetrics; what is none is nothing.
    pub(super) fn read(object: &DynamicObject) -> Option<Self> {
        let data = &object.data;
        let containers = data["containers"].as_array()?.iter();
        Some(Self {
            pod: object.name_any(),
            at: data["timestamp"].as_str()?.parse().ok()?,
            window: data["window"].as_str().and_then(seconds).unwrap_or_default(),
            containers: containers
                .map(|one| (one["name"].as_str().unwrap_or_default().to_owned(), one["usage"].clone()))
                .collect(),
        })
    }

    /// Thousandths of what its containers, or the one that is named, use of a resource; nothing where one does not say.
    pub(super) fn of(&self, resource: &str, container: Option<&str>) -> Option<i64> {
        let mut counted = self.containers.iter().filter(|(name, _)| container.is_none_or(|one| one == name)).peekable();
        counted.peek()?;
        counted.map(|(_, usage)| Some(usage[resource].as_str()?.parse::<Quantity>().ok()?.milli_value())).sum()
    }
}

/// A duration as Go writes it; ours are of seconds.
fn seconds(text: &str) -> Option<Duration> {
    text.strip_suffix('s')?.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}
