//! What the controller tells Prometheus, by upstream's names: applications as they are, syncs and comparisons as they end, requests
//! that syncs make, the queue, and the one cluster that objects go to.
//! Upstream rules: `controller/metrics` of argoproj/argo-cd.

use std::sync::Arc;
use std::time::Duration;

use kube::{Client, ResourceExt};
use tinderbox_api::gitops::Application;
use tinderbox_client::metrics::{
    Answered, HistogramVec, IntCounterVec, MetricFamily, Registry, WORKQUEUE, counted, counter_vec, gauge, gauges,
    histogram_vec, look, styled_queue,
};
use tinderbox_client::{Cache, Change, Clock, ObjectKey, Queue};

use super::kinds::Kinds;
use super::{OWN_CLUSTER, project_of};
use crate::sync::Operation;

/// Buckets of the time that a comparison takes.
const COMPARISONS: [f64; 7] = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0];
/// What is said of an application that nothing is known of yet.
const UNKNOWN: &str = "Unknown";

tokio::task_local! {
    /// The application that requests are made for: namespace, name and project.
    static SYNCED: [String; 3];
}

/// Counters that are moved while the controller works.
#[derive(Clone)]
pub(super) struct Metrics {
    registry: Registry,
    syncs: IntCounterVec,
    comparisons: HistogramVec,
}

impl Metrics {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            registry: registry.clone(),
            syncs: counter_vec(
                registry,
                "argocd_app_sync_total",
                "Number of application syncs.",
                &["namespace", "name", "project", "dest_server", "phase", "dry_run"],
            ),
            comparisons: histogram_vec(
                registry,
                "argocd_app_reconcile",
                "Application reconciliation performance in seconds.",
                &COMPARISONS,
                &["namespace", "dest_server"],
            ),
        }
    }

    /// The queue of applications.
    pub(super) fn queue(&self, clock: Clock) -> Queue<ObjectKey> {
        styled_queue(&self.registry, clock, &WORKQUEUE, &[("name", "app_reconciliation_queue")])
    }

    /// Tells of applications as they are, and counts their syncs as they end.
    pub(super) fn follow(&self, apps: &Cache<Application>) {
        let syncs = self.syncs.clone();
        apps.subscribe(move |change| count_sync(&syncs, change));
        let apps = apps.clone();
        look(&self.registry, "applications", move || applications(&apps.list()).into());
    }

    /// Tells of the cluster, whose API has this version.
    pub(super) fn cluster(&self, kinds: &Kinds, version: String) {
        let kinds = kinds.clone();
        look(&self.registry, "cluster", move || cluster(&kinds, &version).into());
    }

    /// An application was compared with its source.
    pub(super) fn compared(&self, app: &Application, took: Duration) {
        let namespace = app.namespace().unwrap_or_default();
        self.comparisons.with_label_values(&[namespace.as_str(), server(app)]).observe(took.as_secs_f64());
    }
}

/// The client, with requests that are made within [`of_sync`] counted.
pub(super) fn client(client: &Client, registry: &Registry) -> Client {
    let requests = counter_vec(
        registry,
        "argocd_app_k8s_request_total",
        "Number of kubernetes requests executed during application reconciliation.",
        &[
            "namespace",
            "name",
            "project",
            "server",
            "response_code",
            "verb",
            "resource_kind",
            "resource_namespace",
            "dry_run",
        ],
    );
    counted(client, move |answered| {
        let _ = SYNCED.try_with(|app| count_request(&requests, app, answered));
    })
}

/// Does something for a sync of the application.
pub(super) async fn of_sync<T>(app: &Application, work: impl Future<Output = T>) -> T {
    SYNCED.scope([app.namespace().unwrap_or_default(), app.name_any(), project_of(app).to_owned()], work).await
}

fn count_request(requests: &IntCounterVec, [namespace, name, project]: &[String; 3], answered: &Answered) {
    let (verb, kind) = answered.verb_and_kind();
    let dry_run = answered.query.split('&').any(|pair| pair.starts_with("dryRun="));
    let labels = [
        namespace,
        name,
        project,
        OWN_CLUSTER[0],
        &answered.code.to_string(),
        verb,
        &kind,
        answered.namespace(),
        &dry_run.to_string(),
    ];
    requests.with_label_values(&labels).inc();
}

/// Counts a sync that has ended with this change; of one that was there before this process nothing is counted.
fn count_sync(syncs: &IntCounterVec, change: &Change<'_, Application>) {
    let (Some(old), Some(new)) = (change.old, change.new) else { return };
    let state = |app: &'_ Application| app.status.as_ref().and_then(|status| status.operation_state.clone());
    let Some(ended) = state(new).filter(|state| !Operation::is_open(&state.phase)) else { return };
    let known = state(old).is_some_and(|was| !Operation::is_open(&was.phase) && was.started_at == ended.started_at);
    if known {
        return;
    }
    let dry_run = ended.operation.sync.as_ref().and_then(|sync| sync.dry_run).unwrap_or_default().to_string();
    let [namespace, name] = [new.namespace().unwrap_or_default(), new.name_any()];
    syncs.with_label_values(&[&namespace, &name, project_of(new), server(new), &ended.phase, &dry_run]).inc();
}

/// The cluster that an application's objects go to.
fn server(app: &Application) -> &str {
    let to = &app.spec.destination;
    if to.server.is_empty() && to.name == OWN_CLUSTER[1] { OWN_CLUSTER[0] } else { &to.server }
}

fn applications(apps: &[Arc<Application>]) -> [MetricFamily; 2] {
    let mut info = gauges("argocd_app_info", "Information about application.");
    let mut conditions = gauges("argocd_app_condition", "Report application conditions.");
    for app in apps {
        let [namespace, name] = [app.namespace().unwrap_or_default(), app.name_any()];
        let own = [("namespace", namespace.as_str()), ("name", name.as_str()), ("project", project_of(app))];
        let status = app.status.clone().unwrap_or_default();
        let known = |text: &str| if text.is_empty() { UNKNOWN.to_owned() } else { text.to_owned() };
        let source = app.spec.sources.first().or(app.spec.source.as_ref());
        let labels = [
            ("autosync_enabled", if app.automated().is_some() { "true" } else { "false" }),
            ("repo", source.map_or("", |source| source.repo_url.as_str())),
            ("dest_server", server(app)),
            ("dest_namespace", app.spec.destination.namespace.as_str()),
            ("sync_status", &known(&status.sync.status)),
            ("health_status", &known(&status.health.status)),
            ("operation", operation(app)),
        ];
        gauge(&mut info, &[&own[..], &labels].concat(), 1.0);
        let mut types: Vec<&str> = status.conditions.iter().map(|one| one.r#type.as_str()).collect();
        types.sort_unstable();
        for of in types.chunk_by(|one, other| one == other) {
            gauge(&mut conditions, &[&own[..], &[("condition", of[0])]].concat(), of.len() as f64);
        }
    }
    [info, conditions]
}

/// What is done with an application. Upstream leaves an operation in its field until it has ended; here it moves to the status when
/// it begins.
fn operation(app: &Application) -> &'static str {
    let state = app.status.as_ref().and_then(|status| status.operation_state.as_ref());
    if app.metadata.deletion_timestamp.is_some() {
        "delete"
    } else if app.operation.is_some() || state.is_some_and(|state| Operation::is_open(&state.phase)) {
        "sync"
    } else {
        ""
    }
}

fn cluster(kinds: &Kinds, version: &str) -> [MetricFamily; 3] {
    let [server, name] = OWN_CLUSTER;
    let mut info = gauges("argocd_cluster_info", "Information about cluster.");
    gauge(&mut info, &[("server", server), ("k8s_version", version), ("name", name)], 1.0);
    let all = kinds.all();
    let mut watched = gauges("argocd_cluster_api_resources", "Number of monitored kubernetes API resources.");
    gauge(&mut watched, &[("server", server)], all.len() as f64);
    let mut objects = gauges("argocd_cluster_api_resource_objects", "Number of k8s resource objects in the cache.");
    let count: usize = all.iter().map(|kind| kind.cache.list().len()).sum();
    gauge(&mut objects, &[("server", server)], count as f64);
    [info, watched, objects]
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tinderbox_client::metrics::text;

    use super::*;

    fn app(status: &Value) -> Arc<Application> {
        let value = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": {"name": "shop", "namespace": "argocd"},
            "spec": {"project": "", "source": {"repoURL": "https://git.example/repo", "path": "shop"},
                "destination": {"name": "in-cluster", "namespace": "default"}, "syncPolicy": {"automated": {}}},
            "status": status,
        });
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn an_application_is_told_as_it_is() {
        let registry = Registry::new();
        let condition = |of: &str| json!({"type": of, "message": of});
        let told = app(&json!({
            "sync": {"status": "OutOfSync"}, "operationState": {"phase": "Running", "operation": {}},
            "conditions": [condition("SyncError"), condition("ComparisonError"), condition("SyncError")],
        }));
        look(&registry, "applications", move || applications(std::slice::from_ref(&told)).into());
        let own = "name=\"shop\",namespace=\"argocd\"";
        let text = text(&registry);
        for line in [
            "argocd_app_info{autosync_enabled=\"true\",dest_namespace=\"default\",dest_server=\"https://kubernetes.default.svc\",\
             health_status=\"Unknown\",name=\"shop\",namespace=\"argocd\",operation=\"sync\",project=\"default\",\
             repo=\"https://git.example/repo\",sync_status=\"OutOfSync\"} 1"
                .to_owned(),
            format!("argocd_app_condition{{condition=\"SyncError\",{own},project=\"default\"}} 2"),
            format!("argocd_app_condition{{condition=\"ComparisonError\",{own},project=\"default\"}} 1"),
        ] {
            let line = sorted(&line);
            assert!(text.lines().any(|one| sorted(one) == line), "{line}\n{text}");
        }
    }

    /// A line with its labels in order.
    fn sorted(line: &str) -> String {
        let Some((name, rest)) = line.split_once('{') else { return line.to_owned() };
        let (labels, value) = rest.rsplit_once('}').unwrap();
        let mut labels: Vec<&str> = labels.split("\",").map(|label| label.trim_end_matches('"')).collect();
        labels.sort_unstable();
        format!("{name}{labels:?}{value}")
    }

    #[test]
    fn a_sync_is_counted_once_when_it_has_ended() {
        let syncs = Metrics::new(&Registry::new()).syncs;
        let at = |phase: &str, second: u8| {
            let started = format!("2026-01-01T00:00:0{second}Z");
            app(&json!({"operationState": {"phase": phase, "startedAt": started, "operation": {"sync": {}}}}))
        };
        let steps = [at("Running", 1), at("Failed", 1), at("Failed", 1), at("Running", 2), at("Succeeded", 3)];
        count_sync(&syncs, &Change { old: None, new: Some(&steps[1]) });
        for pair in steps.windows(2) {
            count_sync(&syncs, &Change { old: Some(&pair[0]), new: Some(&pair[1]) });
        }
        let own = ["argocd", "shop", "default", OWN_CLUSTER[0]];
        let count = |phase: &str| syncs.with_label_values(&[&own[..], &[phase, "false"]].concat()).get();
        assert_eq!((count("Failed"), count("Succeeded"), count("Running")), (1, 1, 0));
    }
}
