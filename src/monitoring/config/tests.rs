//! Monitors and the configurations that they mean, as golden files.

use serde_json::{Value, json};

use super::*;

fn object<K: serde::de::DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

fn prometheus() -> Prometheus {
    object(json!({
        "metadata": {"name": "k8s", "namespace": "monitoring"},
        "spec": {"scrapeInterval": "10s", "evaluationInterval": "10s", "podTargetLabels": ["team"], "serviceDiscoveryRole": "EndpointSlice"},
    }))
}

/// A namespace, one PodMonitor with everything that is acted upon, and one ServiceMonitor likewise.
fn monitors() -> (PodMonitor, ServiceMonitor, Held) {
    let pods = object(json!({
        "metadata": {"name": "spark", "namespace": "jobs"},
        "spec": {
            "jobLabel": "spark-app-name",
            "podTargetLabels": ["sparkoperator.k8s.io/app-name"],
            "sampleLimit": 1000,
            "namespaceSelector": {"matchNames": ["jobs", "more"]},
            "selector": {
                "matchLabels": {"spark-role": "driver"},
                "matchExpressions": [
                    {"key": "tier", "operator": "In", "values": ["a", "b"]},
                    {"key": "tier", "operator": "NotIn", "values": ["c"]},
                    {"key": "app", "operator": "Exists"},
                    {"key": "secret", "operator": "DoesNotExist"},
                ],
            },
            "podMetricsEndpoints": [
                {
                    "port": "spark-ui", "path": "/metrics/executors/prometheus/", "interval": "5s", "scrapeTimeout": "4s",
                    "honorLabels": true, "params": {"a": ["b"]},
                    "relabelings": [{"action": "Replace", "sourceLabels": ["__meta_kubernetes_pod_ip"], "regex": "(.*)", "replacement": "$1:8090", "targetLabel": "__address__"}],
                    "metricRelabelings": [{"action": "drop", "sourceLabels": ["__name__"], "regex": "go_.*"}],
                    "basicAuth": {"username": {"name": "login", "key": "user"}, "password": {"name": "login", "key": "word"}},
                },
                {"portNumber": 8090, "filterRunning": false},
            ],
        },
    }));
    let services = object(json!({
        "metadata": {"name": "api", "namespace": "default"},
        "spec": {
            "jobLabel": "component", "targetLabels": ["provider"], "podTargetLabels": ["app"],
            "selector": {"matchLabels": {"component": "apiserver"}}, "namespaceSelector": {"any": true},
            "endpoints": [
                {
                    "port": "https", "scheme": "https", "bearerTokenFile": "/var/run/secrets/kubernetes.io/serviceaccount/token",
                    "tlsConfig": {"caFile": "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt", "serverName": "kubernetes"},
                },
                {
                    "targetPort": 8443, "scheme": "https",
                    "authorization": {"credentials": {"name": "token", "key": "token"}},
                    "tlsConfig": {"ca": {"configMap": {"name": "ca", "key": "ca.crt"}}, "insecureSkipVerify": false},
                },
            ],
        },
    }));
    let key = |secret, namespace: &str, name: &str, key: &str| Reference {
        secret,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        key: key.to_owned(),
    };
    let held = [
        (key(true, "jobs", "login", "user"), "me"),
        (key(true, "jobs", "login", "word"), "pass"),
        (key(true, "default", "token", "token"), "abc"),
        (key(false, "default", "ca", "ca.crt"), "PEM"),
    ];
    (pods, services, held.map(|(reference, value)| (reference, value.to_owned())).into())
}

#[test]
fn monitors_become_jobs_with_their_rules_in_order() {
    let (pods, services, held) = monitors();
    let made = configuration(&prometheus(), &[&pods], &[&services], Discovery::Kubernetes, &held).unwrap();
    assert_eq!(made.rejected, []);
    insta::assert_snapshot!(made.text);
}

/// Prometheus' own judge. Debian's knows no kubernetes_sd_configs: what it is shown are the files that stand for them.
#[test]
fn promtool_reads_what_is_written() {
    let (pods, services, held) = monitors();
    let made = configuration(&prometheus(), &[&pods], &[&services], Discovery::Files, &held).unwrap();
    assert!(made.text.contains("- /etc/prometheus/targets/podMonitor_jobs_spark.json"), "{}", made.text);
    let dir = std::env::temp_dir().join(format!("tinderbox-promtool-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("prometheus.yaml");
    std::fs::write(&path, &made.text).unwrap();
    let judged = std::process::Command::new("promtool").args(["check", "config", "--syntax-only"]).arg(&path).output();
    std::fs::remove_dir_all(&dir).unwrap();
    let judged = judged.expect("promtool, of Debian's package prometheus, is one of the tests' judges");
    let said = format!("{}{}", String::from_utf8_lossy(&judged.stdout), String::from_utf8_lossy(&judged.stderr));
    assert!(judged.status.success(), "{said}\n{}", made.text);
}

#[test]
fn what_cannot_be_keeps_one_monitor_out_and_not_the_others() {
    let monitor = |name: &str, endpoint: Value| -> PodMonitor {
        object(json!({
            "metadata": {"name": name, "namespace": "n"},
            "spec": {"selector": {}, "podMetricsEndpoints": [endpoint]},
        }))
    };
    let all = [
        monitor("right", json!({"port": "metrics"})),
        monitor("timeout", json!({"interval": "5s", "scrapeTimeout": "6s"})),
        monitor("default-timeout", json!({"scrapeTimeout": "11s"})),
        monitor("interval", json!({"interval": "soon"})),
        monitor("action", json!({"relabelings": [{"action": "mend"}]})),
        monitor("regex", json!({"relabelings": [{"regex": "(", "targetLabel": "a"}]})),
        monitor("target", json!({"metricRelabelings": [{"regex": "a"}]})),
        monitor("secret", json!({"basicAuth": {"username": {"name": "gone", "key": "k"}}})),
        monitor("scheme", json!({"scheme": "ftp"})),
        monitor("other", json!({"oauth2": {}})),
    ];
    let refs: Vec<&PodMonitor> = all.iter().collect();
    let made = configuration(&prometheus(), &refs, &[], Discovery::Kubernetes, &Held::new()).unwrap();
    assert_eq!(made.text.matches("job_name: podMonitor/").count(), 1);
    let told: Vec<String> = made.rejected.iter().map(|one| format!("{}: {}", one.name, one.why)).collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn durations_are_prometheus_own() {
    for (text, millis) in [("30s", 30_000), ("1m30s", 90_000), ("500ms", 500), ("1d", 86_400_000)] {
        assert_eq!(duration(text).unwrap(), Duration::from_millis(millis));
    }
    for wrong in ["", "0s", "5", "1s1m", "-1s", "1.5s"] {
        assert!(duration(wrong).is_err(), "{wrong}");
    }
}
