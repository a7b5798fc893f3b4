//! Prometheus' configuration from what the cluster says: which monitors a Prometheus selects, and what they mean. Pure.

mod access;
mod jobs;
mod output;
mod relabel;

use kube::ResourceExt;
use regex::Regex;
use std::sync::LazyLock;
use std::time::Duration;
use tinderbox_api::monitoring::{PodMonitor, Prometheus, ServiceMonitor};

pub use access::{CERTIFICATES, Held, Reference, files, references};

/// Where the files of rules are in Prometheus' container.
pub const RULES: &str = "/etc/prometheus/rules";

/// Where the files of targets are in Prometheus' container.
pub const TARGETS: &str = "/etc/prometheus/targets";

/// How a Prometheus finds its targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discovery {
    /// It asks the API itself.
    Kubernetes,
    /// From files that the controller writes: Debian's Prometheus is built without the part that asks the API.
    Files,
}

/// Name of the file with the targets of a monitor.
#[must_use]
pub fn target_file(kind: &str, namespace: &str, name: &str) -> String {
    format!("{kind}_{namespace}_{name}.json")
}

/// A configuration, and the monitors that are not in it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Configuration {
    /// The text of the file.
    pub text: String,
    /// Namespace and name of each monitor that is left out, and why.
    pub rejected: Vec<Rejected>,
}

/// A monitor that cannot be acted upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// `PodMonitor` or `ServiceMonitor`.
    pub kind: &'static str,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What is wrong with it.
    pub why: String,
}

/// The configuration of a Prometheus with these monitors, which it selects. `held` has what their Secrets hold.
///
/// # Errors
/// When the Prometheus itself says what cannot be.
pub fn configuration(
    prometheus: &Prometheus,
    pods: &[&PodMonitor],
    services: &[&ServiceMonitor],
    by: Discovery,
    held: &Held,
) -> Result<Configuration, String> {
    let spec = &prometheus.spec;
    let seconds = |given: &Option<String>| given.clone().unwrap_or_else(|| "30s".to_owned());
    let mut external = spec.external_labels.clone();
    external
        .entry("prometheus".to_owned())
        .or_insert_with(|| format!("{}/{}", prometheus.namespace().unwrap_or_default(), prometheus.name_any()));
    let global = output::Global {
        evaluation_interval: seconds(&spec.evaluation_interval),
        scrape_interval: seconds(&spec.scrape_interval),
        scrape_timeout: spec.scrape_timeout.clone(),
        external_labels: external,
    };
    for time in [Some(&global.evaluation_interval), Some(&global.scrape_interval), global.scrape_timeout.as_ref()] {
        time.map_or(Ok(Duration::ZERO), |time| duration(time))?;
    }
    let (mut jobs, mut rejected) = (Vec::new(), Vec::new());
    let mut reject = |kind, namespace: Option<String>, name: String, why| {
        rejected.push(Rejected { kind, namespace: namespace.unwrap_or_default(), name, why });
    };
    for monitor in pods {
        match jobs::of_pods(monitor, spec, by, held) {
            Ok(made) => jobs.extend(made),
            Err(why) => reject("PodMonitor", monitor.namespace(), monitor.name_any(), why),
        }
    }
    for monitor in services {
        match jobs::of_services(monitor, spec, by, held) {
            Ok(made) => jobs.extend(made),
            Err(why) => reject("ServiceMonitor", monitor.namespace(), monitor.name_any(), why),
        }
    }
    let file = output::File { global, rule_files: vec![format!("{RULES}/*.yaml")], scrape_configs: jobs };
    let text = serde_yaml::to_string(&file).map_err(|error| error.to_string())?;
    Ok(Configuration { text, rejected })
}

/// The role by which the targets of a ServiceMonitor are found.
pub(crate) fn role(monitor: &ServiceMonitor, prometheus: &Prometheus) -> Result<&'static str, String> {
    jobs::role(&monitor.spec, &prometheus.spec)
}

/// Reads a duration as Prometheus writes it: `30s`, `1m30s`, `500ms`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    static FORM: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"^(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?$").ok());
    let wrong = || format!("{text:?} is not a duration such as 30s or 1m30s");
    let found = FORM.as_ref().and_then(|form| form.captures(text)).filter(|_| !text.is_empty()).ok_or_else(wrong)?;
    let units = [604_800_000, 86_400_000, 3_600_000, 60_000, 1000, 1];
    let mut millis: u64 = 0;
    for (index, unit) in units.into_iter().enumerate() {
        if let Some(part) = found.get(index + 1) {
            let count: u64 = part.as_str().parse().map_err(|_| wrong())?;
            millis = count.checked_mul(unit).and_then(|more| millis.checked_add(more)).ok_or_else(wrong)?;
        }
    }
    if millis == 0 { Err(wrong()) } else { Ok(Duration::from_millis(millis)) }
}

#[cfg(test)]
mod tests;
