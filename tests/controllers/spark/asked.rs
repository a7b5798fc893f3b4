//! What an application asks for and its objects then say: volumes, sizes, a budget, metrics, and the runs of a schedule.

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;
use serde_json::{Value, json};
use tinderbox_api::spark::{ScheduledSparkApplication, SparkApplication, State, labels};

use super::{application, define, operate, state};
use crate::node::EXIT;
use crate::world::World;

/// The driver of an application that says this beside the usual.
async fn driver_of(spec: Value) -> (World, Value) {
    let world = World::new().await;
    define(&world).await;
    operate(&world);
    world.create::<SparkApplication>(application(spec)).await;
    world.until::<SparkApplication>("pi", |app| state(app) == State::Running).await;
    let driver = world.until::<Pod>("pi-driver", |_| true).await;
    (world, serde_json::to_value(driver).unwrap())
}

/// The entry of that name.
fn named<'a>(list: &'a Value, name: &str) -> &'a Value {
    list.as_array().unwrap().iter().find(|one| one["name"] == name).unwrap_or(&Value::Null)
}

/// The configuration of Spark that a driver was given.
async fn settings(world: &World, driver: &Value) -> String {
    let volume = named(&driver["spec"]["volumes"], "spark-conf-volume-driver");
    let map = world.until::<ConfigMap>(volume["configMap"]["name"].as_str().unwrap(), |_| true).await;
    map.data.unwrap()["spark.properties"].clone()
}

#[tokio::test]
async fn a_config_map_is_mounted() {
    let (_world, driver) =
        driver_of(json!({"driver": {"configMaps": [{"name": "test", "path": "/etc/config"}]}})).await;
    assert_eq!(named(&driver["spec"]["volumes"], "test-vol")["configMap"]["name"], "test");
    let container = &driver["spec"]["containers"][0];
    let mount = named(&container["volumeMounts"], "test-vol");
    assert_eq!(mount, &json!({"name": "test-vol", "mountPath": "/etc/config", "readOnly": true}));
}

#[tokio::test]
async fn memory_can_be_a_volume() {
    let volume = json!({"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}});
    let mounts = json!([{"name": "shm", "mountPath": "/dev/shm"}]);
    let (_world, driver) = driver_of(json!({"volumes": [volume], "driver": {"volumeMounts": mounts}})).await;
    assert_eq!(named(&driver["spec"]["volumes"], "shm"), &volume);
    assert_eq!(named(&driver["spec"]["containers"][0]["volumeMounts"], "shm")["mountPath"], "/dev/shm");
}

#[tokio::test]
async fn sizes_are_as_asked() {
    let driver =
        json!({"cores": 1, "coreRequest": "50m", "coreLimit": "1200m", "memory": "512m", "memoryOverhead": "128m"});
    let executor = json!({"instances": 1, "cores": 1, "coreRequest": "60m", "coreLimit": "1500m", "memory": "768m"});
    let (world, driver) = driver_of(json!({"driver": driver, "executor": executor})).await;
    let wanted = json!({"requests": {"cpu": "50m", "memory": "640Mi"}, "limits": {"cpu": "1200m", "memory": "640Mi"}});
    assert_eq!(driver["spec"]["containers"][0]["resources"], wanted);
    // Executors are the driver's to make.
    let settings = settings(&world, &driver).await;
    for said in [
        "spark.kubernetes.executor.request.cores=60m",
        "spark.kubernetes.executor.limit.cores=1500m",
        "spark.executor.memory=768m",
        "spark.executor.cores=1",
    ] {
        assert!(settings.lines().any(|line| line == said), "{said} is not in\n{settings}");
    }
}

#[tokio::test]
async fn a_driver_is_kept_from_eviction_as_long_as_its_application_is_there() {
    let (world, driver) = driver_of(json!({"driverPodDisruptionBudget": true})).await;
    let budget = world.until::<PodDisruptionBudget>("pi-driver", |_| true).await;
    assert_eq!(budget.owner_references()[0].name, "pi");
    let spec = serde_json::to_value(budget.spec.unwrap()).unwrap();
    assert_eq!(
        spec,
        json!({"minAvailable": 1, "selector": {"matchLabels": {labels::APP_NAME: "pi", labels::ROLE: "driver"}}})
    );
    assert_eq!(driver["metadata"]["labels"][labels::ROLE], "driver");
    world.api::<SparkApplication>().delete("pi", &Default::default()).await.unwrap();
    world.gone::<PodDisruptionBudget>("pi-driver").await;
    world.gone::<Pod>("pi-driver").await;
}

#[tokio::test]
async fn who_asks_for_no_budget_has_none() {
    let (world, _) = driver_of(json!({})).await;
    assert!(world.api::<PodDisruptionBudget>().list(&Default::default()).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn metrics_are_shown_by_prometheus_exporter() {
    let prometheus = json!({"jmxExporterJar": "/prometheus/exporter.jar"});
    let monitoring = json!({"exposeDriverMetrics": true, "exposeExecutorMetrics": true, "prometheus": prometheus});
    let (world, driver) = driver_of(json!({"monitoring": monitoring})).await;
    let map = world.until::<ConfigMap>("pi-prom-conf", |_| true).await;
    assert_eq!(map.owner_references()[0].kind, "SparkApplication");
    let container = &driver["spec"]["containers"][0];
    let port = json!({"name": "jmx-exporter", "containerPort": 8090, "protocol": "TCP"});
    assert_eq!(named(&container["ports"], "jmx-exporter"), &port);
    assert_eq!(named(&container["volumeMounts"], "pi-prom-conf-vol")["mountPath"], "/etc/metrics/conf");
    let annotations = &driver["metadata"]["annotations"];
    assert_eq!(annotations["prometheus.io/scrape"], "true");
    assert_eq!(
        (&annotations["prometheus.io/port"], &annotations["prometheus.io/path"]),
        (&json!("8090"), &json!("/metrics"))
    );
    let settings = settings(&world, &driver).await;
    let agent = "-javaagent\\:/prometheus/exporter.jar\\=8090\\:/etc/metrics/conf/prometheus.yaml";
    for said in [
        "spark.metrics.namespace=default.pi",
        "spark.metrics.conf=/etc/metrics/conf/metrics.properties",
        &format!("spark.driver.extraJavaOptions={agent}"),
        &format!("spark.executor.extraJavaOptions={agent}"),
        "spark.kubernetes.executor.annotation.prometheus.io/port=8090",
    ] {
        assert!(settings.lines().any(|line| line == said), "{said} is not in\n{settings}");
    }
}

#[tokio::test]
async fn a_schedule_tells_its_next_run_and_owns_what_it_starts() {
    let world = World::with_manual_clock().await;
    define(&world).await;
    operate(&world);
    let template = application(json!({"driver": {"annotations": {EXIT: "0"}}}))["spec"].clone();
    let spec = json!({"schedule": "@every 60s", "concurrencyPolicy": "Allow", "template": template});
    let schedule = json!({"metadata": {"name": "often"}, "spec": spec});
    let made = world.create::<ScheduledSparkApplication>(schedule).await;
    let planned = |schedule: &ScheduledSparkApplication| {
        schedule.status.as_ref().is_some_and(|status| status.schedule_state == "Scheduled" && status.next_run.is_some())
    };
    world.until::<ScheduledSparkApplication>("often", planned).await;
    world.advance(std::time::Duration::from_secs(60));
    let done = world.until_all::<SparkApplication>(|apps| apps.iter().any(|app| state(app) == State::Completed)).await;
    let run = &done[0];
    assert_eq!(run.labels()[labels::SCHEDULED_APP_NAME], "often");
    let owner = &run.owner_references()[0];
    assert_eq!((owner.kind.as_str(), &owner.uid), ("ScheduledSparkApplication", &made.uid().unwrap()));
    assert_eq!(owner.block_owner_deletion, Some(true));
    let name = run.name_any();
    let kept = |schedule: &ScheduledSparkApplication| {
        schedule.status.as_ref().is_some_and(|status| status.past_successful_run_names == [name.clone()])
    };
    world.until::<ScheduledSparkApplication>("often", kept).await;
}
