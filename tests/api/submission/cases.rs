//! The applications that are submitted both ways. A row is a name and what differs from a plain Python application.

use serde_json::{Value, json};

/// One application.
pub(super) struct Case {
    pub(super) name: &'static str,
    /// What is merged into the plain one.
    pub(super) app: fn() -> Value,
}

/// Puts the fields of one object into another, deep down.
pub(super) fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

fn spec(spec: Value) -> Value {
    json!({"spec": spec})
}

/// What both make the same of.
pub(super) const ACCEPTED: &[Case] = &[
    Case { name: "python", app: || spec(json!({"arguments": ["10"]})) },
    Case {
        name: "java with dependencies and amounts",
        app: || {
            spec(json!({
                "type": "Scala", "mainClass": "org.example.Main", "mainApplicationFile": "local:///opt/app.jar",
                "arguments": ["--x=1", "two words", ""],
                "deps": {"jars": ["local:///a.jar", "https://x.example/b.jar"], "files": ["https://x.example/f.txt"]},
                "driver": {"cores": 2, "coreRequest": "250m", "coreLimit": "1500m", "memory": "2g", "memoryOverhead": "700m",
                    "javaOptions": "-Da=b -Xlog:gc:c#!d"},
                "executor": {"instances": 3, "cores": 2, "memory": "1g", "javaOptions": "-De=f", "deleteOnTermination": false},
            }))
        },
    },
    Case {
        name: "labels, annotations, variables and secrets",
        app: || {
            json!({
                "metadata": {"labels": {"team": "a", "kueue.x-k8s.io/queue-name": "q"}},
                "spec": {
                    "imagePullSecrets": ["one", "two"], "imagePullPolicy": "Always",
                    "driver": {
                        "serviceAccount": "spark", "labels": {"team": "b"}, "annotations": {"id": "app-{{APP_ID}}"},
                        "serviceLabels": {"s": "1"}, "serviceAnnotations": {"t": "2"},
                        "envVars": {"FOO": "bar", "EMPTY": ""}, "envSecretKeyRefs": {"KEY": {"name": "sec", "key": "k"}},
                        "secrets": [
                            {"name": "plain", "path": "/mnt/plain", "secretType": "Generic"},
                            {"name": "gcp", "path": "/mnt/gcp/", "secretType": "GCPServiceAccount"},
                            {"name": "token", "path": "/mnt/token", "secretType": "HadoopDelegationToken"},
                        ],
                    },
                    "executor": {"serviceAccount": "spark", "envVars": {"E": "1"}, "labels": {"l": "1"}},
                },
            })
        },
    },
    Case {
        name: "scratch space on volumes",
        app: || {
            let mounts = json!([
                {"name": "spark-local-dir-1", "mountPath": "/l1"},
                {"name": "spark-local-dir-2", "mountPath": "/l2", "subPath": "s"},
                {"name": "spark-local-dir-3", "mountPath": "/l3"},
            ]);
            spec(json!({
                "volumes": [
                    {"name": "spark-local-dir-1", "emptyDir": {"sizeLimit": "1Gi", "medium": "Memory"}},
                    {"name": "spark-local-dir-2", "hostPath": {"path": "/x", "type": "Directory"}},
                    {"name": "spark-local-dir-3", "persistentVolumeClaim": {"claimName": "mine"}},
                ],
                "driver": {"volumeMounts": mounts}, "executor": {"volumeMounts": mounts},
            }))
        },
    },
    Case {
        name: "claims made on demand",
        app: || {
            let key = "spark.kubernetes.driver.volumes.persistentVolumeClaim.data";
            spec(json!({"sparkConf": {
                "spark.kubernetes.local.dirs.tmpfs": "true",
                format!("{key}.options.claimName"): "OnDemand", format!("{key}.options.storageClass"): "standard",
                format!("{key}.options.sizeLimit"): "1Gi", format!("{key}.mount.path"): "/data",
            }}))
        },
    },
    Case {
        name: "templates",
        app: || {
            let template = |name: &str| {
                json!({
                    "metadata": {"labels": {"from": "template"}, "annotations": {"a": "1"}},
                    "spec": {
                        "containers": [
                            {"name": "sidecar", "image": "busybox"},
                            {"name": name, "env": [{"name": "T", "value": "1"}], "resources": {"limits": {"x.y/z": "1"}},
                                "securityContext": {"runAsUser": 185}, "volumeMounts": [{"name": "v", "mountPath": "/v"}]},
                        ],
                        "initContainers": [{"name": "init", "image": "busybox"}],
                        "volumes": [{"name": "v", "emptyDir": {}}],
                        "tolerations": [{"operator": "Exists", "key": "k"}],
                        "nodeSelector": {"disk": "ssd"}, "priorityClassName": "", "hostNetwork": false,
                    },
                })
            };
            spec(json!({
                "driver": {"template": template("spark-kubernetes-driver"), "labels": {"l": "1"}},
                "executor": {"template": template("spark-kubernetes-executor")},
            }))
        },
    },
    Case {
        name: "R as another user",
        app: || spec(json!({"type": "R", "mainApplicationFile": "local:///opt/a.R", "proxyUser": "joe"})),
    },
    Case {
        name: "dynamic allocation, ports and Python's dependencies",
        app: || {
            spec(json!({
                "sparkConf": {"spark.ui.port": "4055", "spark.driver.port": "7100", "spark.blockManager.port": "7200",
                    "spark.pyspark.python": "/usr/bin/python3", "spark.pyspark.driver.python": "python3.11",
                    "spark.kubernetes.driver.node.selector.c": "d", "spark.kubernetes.scheduler.name": "other"},
                "hadoopConf": {"fs.s3a.endpoint": "http://s3:9000"}, "nodeSelector": {"a": "b"},
                "memoryOverheadFactor": "0.25", "pythonVersion": "3",
                "deps": {"pyFiles": ["local:///a.zip", "https://x.example/b.py"], "archives": ["https://x.example/e.tgz#env"]},
                "dynamicAllocation": {"enabled": true, "minExecutors": 1, "maxExecutors": 4, "initialExecutors": 2,
                    "shuffleTrackingTimeout": 60000},
            }))
        },
    },
    Case {
        name: "a name that is too long for a service",
        app: || json!({"metadata": {"name": format!("a{}", "b".repeat(50))}}),
    },
    Case {
        name: "resources of vendors",
        app: || {
            spec(json!({"sparkConf": {
                "spark.driver.resource.gpu.amount": "2", "spark.driver.resource.gpu.vendor": "nvidia.com",
                "spark.driver.memoryOverheadFactor": "0.5",
                "spark.driver.host": "said-in-vain",
            }}))
        },
    },
];

/// What both refuse.
pub(super) const REFUSED: &[Case] = &[
    Case { name: "no image", app: || spec(json!({"image": null})) },
    Case { name: "no main class", app: || spec(json!({"mainApplicationFile": "local:///opt/app.jar"})) },
    Case { name: "a label of Spark's own", app: || spec(json!({"driver": {"labels": {"spark-role": "x"}}})) },
    Case { name: "an address of the driver", app: || spec(json!({"sparkConf": {"spark.driver.bindAddress": "h"}})) },
    Case { name: "overhead that is none", app: || spec(json!({"driver": {"memoryOverhead": "some"}})) },
    Case { name: "no cores", app: || spec(json!({"sparkConf": {"spark.executor.cores": "none"}})) },
    Case { name: "an amount of memory that is none", app: || spec(json!({"driver": {"memory": "much"}})) },
    Case { name: "a file of the submitter", app: || spec(json!({"deps": {"files": ["/etc/hostname"]}})) },
];
