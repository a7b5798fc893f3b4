//! The project's dashboards, from the files that Grafana loads, and what Prometheus answers to their panels. How a panel is drawn is
//! the page's affair.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::LazyLock;

use futures::StreamExt;
use futures::stream;
use jiff::Timestamp;
use kube::Client;
use serde_json::{Map, Value, json};
use tinderbox_client::error::chain;
use tinderbox_monitoring::dashboards::{
    AskError, Choice, Dashboard, PROMETHEUS, Panel, Prometheus, Window, fill, legend,
};

/// The files, in the order in which they are listed.
const FILES: [&str; 4] = [
    include_str!("../../manifests/platform/monitoring/dashboards/spark-applications.json"),
    include_str!("../../manifests/platform/monitoring/dashboards/spark-operator.json"),
    include_str!("../../manifests/platform/monitoring/dashboards/argo-workflow.json"),
    include_str!("../../manifests/platform/monitoring/dashboards/argocd.json"),
];
/// The place whose own command brings a Prometheus.
const EMBEDDED: &str = "embedded";
/// Panels that are asked for at a time.
const TOGETHER: usize = 8;
/// Most series of a panel.
const SERIES: usize = 50;
/// The seconds that may be shown, from a minute to a week, and what is shown when nothing is asked for.
const RANGES: RangeInclusive<i64> = 60..=604_800;
const RANGE: i64 = 1800;

/// What is to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wish {
    range: i64,
    wanted: BTreeMap<String, Vec<String>>,
}

impl Wish {
    /// Reads it from the query of a URL: `range` in seconds, and `var-NAME` for each value of a variable, as in links of Grafana.
    pub(crate) fn read(query: &str) -> Self {
        let mut wish = Self { range: RANGE, wanted: BTreeMap::new() };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if let Some(variable) = name.strip_prefix("var-") {
                wish.wanted.entry(variable.to_owned()).or_default().push(value.into_owned());
            } else if name == "range" {
                wish.range = value.parse().unwrap_or(RANGE).clamp(*RANGES.start(), *RANGES.end());
            }
        }
        wish
    }
}

/// The dashboards with their files, read once.
static ALL: LazyLock<Result<Vec<(Dashboard, &'static str)>, String>> = LazyLock::new(|| {
    let read = |text| Dashboard::read(text).map(|dashboard| (dashboard, text)).map_err(|error| error.to_string());
    FILES.into_iter().map(read).collect()
});

fn find(uid: &str) -> Option<&'static (Dashboard, &'static str)> {
    ALL.as_ref().ok()?.iter().find(|(dashboard, _)| dashboard.uid == uid)
}

/// All dashboards, by what they are called and what they are about.
pub(crate) fn list() -> Result<Value, String> {
    let told = |(one, _): &(Dashboard, _)| json!({"uid": one.uid, "title": one.title, "description": one.description});
    Ok(ALL.as_ref().map_err(Clone::clone)?.iter().map(told).collect())
}

/// The file of a dashboard.
pub(crate) fn text(uid: &str) -> Option<&'static str> {
    find(uid).map(|(_, text)| *text)
}

/// What the panels of a dashboard show: variables with what may be chosen, and of each panel its series or why it has none. Where
/// there is no Prometheus, why that is so.
pub(crate) async fn data(
    client: &Client,
    place: &str,
    uid: &str,
    wish: &Wish,
    now: Timestamp,
) -> Result<Value, String> {
    let (dashboard, _) = find(uid).ok_or_else(|| format!("there is no dashboard {uid}"))?;
    let prometheus = Prometheus::of(client.clone(), PROMETHEUS).ok_or("the Prometheus has no name")?;
    let window = Window::last(wish.range, now.as_second());
    let choice = match prometheus.choose(dashboard, &wish.wanted, window).await {
        Ok(choice) => choice,
        Err(AskError::Unreachable(error)) => return Ok(missing(&error, place)),
        Err(error) => return Err(error.to_string()),
    };
    let panels: Vec<Panel> = dashboard.all().filter(|panel| !panel.is_upstream_only()).cloned().collect();
    let asking = panels.into_iter().map(|panel| {
        let (prometheus, choice) = (prometheus.clone(), choice.clone());
        async move { (panel.id.to_string(), shown(&prometheus, &panel, &choice, window).await) }
    });
    let panels: Map<String, Value> = stream::iter(asking).buffer_unordered(TOGETHER).collect().await;
    let Window { start, end, step } = window;
    Ok(json!({"start": start, "end": end, "step": step, "variables": choice.offers, "panels": panels}))
}

/// Why there is no Prometheus to ask, and what brings one in this place.
fn missing(error: &kube::Error, place: &str) -> Value {
    let (absent, why) = match error {
        kube::Error::Api(status) => (status.code == 404, status.message.clone()),
        other => (false, chain(other)),
    };
    let brings = if place == EMBEDDED {
        "cargo xtask up --with monitoring"
    } else {
        "kubectl apply -k manifests/platform/monitoring"
    };
    json!({"missing": {"absent": absent, "service": PROMETHEUS, "why": why, "brings": brings}})
}

/// The series of a panel, at most so many, or what is wrong with one of its queries.
async fn shown(prometheus: &Prometheus, panel: &Panel, choice: &Choice, window: Window) -> Value {
    let mut series = Vec::new();
    for target in &panel.targets {
        match prometheus.range(&fill(&target.expr, &choice.values).text, window).await {
            Ok(found) => series.extend(
                found
                    .into_iter()
                    .map(|one| json!({"name": legend(&target.legend_format, &one.labels), "values": one.values})),
            ),
            Err(error) => return json!({"error": error.to_string()}),
        }
    }
    let more = series.len().saturating_sub(SERIES);
    series.truncate(SERIES);
    json!({"series": series, "more": more})
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_of_the_folder_is_a_dashboard_of_the_console() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests/platform/monitoring/dashboards");
        let paths = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
        let there = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
        let mut there: Vec<String> = there.map(|path| fs::read_to_string(path).unwrap()).collect();
        let mut files = FILES.map(str::to_owned).to_vec();
        there.sort();
        files.sort();
        assert_eq!(files, there);
        let listed = list().unwrap();
        assert_eq!(listed[3]["title"], "ArgoCD");
        assert!(listed.as_array().unwrap().iter().all(|one| text(one["uid"].as_str().unwrap()).is_some()));
        assert_eq!(text("none"), None);
    }

    #[test]
    fn a_wish_is_read_as_links_of_grafana_have_it() {
        let wish = Wish::read("range=900&var-ns=a&var-ns=b%2Fc&other=1");
        assert_eq!(wish.range, 900);
        assert_eq!(wish.wanted, [("ns".to_owned(), vec!["a".to_owned(), "b/c".to_owned()])].into());
        assert_eq!(Wish::read("range=99999999").range, *RANGES.end());
        assert_eq!(Wish::read("range=x"), Wish { range: RANGE, wanted: BTreeMap::new() });
    }
}
