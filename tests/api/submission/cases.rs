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
    Case {
        name: "a class in a jar",
        app: || {
            spec(json!({"type": "Java", "mainClass": "org.example.Main", "mainApplicationFile": "local:///opt/app.jar",
                "proxyUser": "joe"}))
        },
    },
    Case {
        name: "a driver with a name and a master of its own",
        app: || {
            spec(json!({"driver": {"podName": "own-driver", "kubernetesMaster": "k8s://https://other.example:6443"}}))
        },
    },
    Case {
        name: "the name of the driver by configuration",
        app: || spec(json!({"sparkConf": {"spark.kubernetes.driver.pod.name": "conf-driver"}})),
    },
    Case {
        name: "a name for people",
        app: || spec(json!({"sparkConf": {"spark.app.name": "My Report (2026), v2.1!"}})),
    },
    Case {
        name: "letters of every kind",
        app: || {
            spec(json!({
                "arguments": ["a b", "$HOME", "\"quoted\"", "it's", "back\\slash", "grün", "日本", "a=b", "#x", "tab\there"],
                "sparkConf": {"spark.odd": "a=b:c#d!e \\ f\tg", "spark.unicode": "grün 日本 😀", "spark.spaces": "  two  "},
                "driver": {"envVars": {"ODD": "a $b \"c\" 'd' \\e", "UNICODE": "grün"}},
            }))
        },
    },
    Case {
        name: "memory in every unit",
        app: || {
            spec(json!({"driver": {"memory": "1536m", "memoryOverhead": "1g"}, "executor": {"memory": "2048000k"},
                "sparkConf": {"spark.memory.offHeap.enabled": "true", "spark.memory.offHeap.size": "512m"}}))
        },
    },
    Case {
        name: "amounts by configuration",
        app: || {
            spec(json!({"sparkConf": {
                "spark.driver.memory": "700m", "spark.executor.memory": "1100m", "spark.driver.cores": "2",
                "spark.executor.cores": "3", "spark.executor.instances": "4",
                "spark.driver.minMemoryOverhead": "500m", "spark.executor.memoryOverhead": "400m",
            }}))
        },
    },
    Case {
        name: "no overhead by share",
        app: || spec(json!({"memoryOverheadFactor": "0.0", "driver": {"memory": "8g"}})),
    },
    Case {
        name: "much overhead by share",
        app: || spec(json!({"memoryOverheadFactor": "0.75", "driver": {"memory": "8g"}})),
    },
    Case {
        name: "processor time",
        app: || {
            spec(json!({
                "driver": {"cores": 3, "coreRequest": "1500m", "coreLimit": "3"},
                "executor": {"cores": 2, "coreRequest": "0.5", "coreLimit": "2000m"},
            }))
        },
    },
    Case {
        name: "images by role",
        app: || {
            spec(json!({"image": null, "driver": {"image": "own/driver:2"}, "executor": {"image": "own/executor:3"}}))
        },
    },
    Case {
        name: "an image of the driver's and one for all",
        app: || {
            spec(json!({"imagePullPolicy": "Never", "imagePullSecrets": ["one"], "driver": {"image": "own/driver:2"}}))
        },
    },
    Case {
        name: "labels and annotations by configuration",
        app: || {
            spec(json!({"sparkConf": {
                "spark.kubernetes.driver.label.l": "1", "spark.kubernetes.driver.annotation.a/b": "x y",
                "spark.kubernetes.executor.label.l": "2", "spark.kubernetes.executor.annotation.c": "{{EXECUTOR_ID}}",
                "spark.kubernetes.driver.service.label.s": "3", "spark.kubernetes.driver.service.annotation.t": "4",
            }}))
        },
    },
    Case {
        name: "variables and secrets by configuration",
        app: || {
            spec(json!({"sparkConf": {
                "spark.kubernetes.driverEnv.FOO": "bar baz", "spark.executorEnv.FOO": "qux",
                "spark.kubernetes.driver.secretKeyRef.KEY": "sec:k", "spark.kubernetes.executor.secretKeyRef.KEY": "sec:k",
                "spark.kubernetes.driver.secrets.certificates": "/etc/certificates",
                "spark.kubernetes.executor.secrets.certificates": "/etc/certificates",
            }}))
        },
    },
    Case {
        name: "volumes by configuration",
        app: || {
            let key =
                |kind: &str, name: &str, rest: &str| format!("spark.kubernetes.driver.volumes.{kind}.{name}.{rest}");
            spec(json!({"sparkConf": {
                key("emptyDir", "cache", "mount.path"): "/cache", key("emptyDir", "cache", "options.sizeLimit"): "2Gi",
                key("hostPath", "host", "mount.path"): "/host", key("hostPath", "host", "options.path"): "/srv",
                key("hostPath", "host", "mount.readOnly"): "true",
                key("nfs", "share", "mount.path"): "/share", key("nfs", "share", "options.server"): "nfs.example",
                key("nfs", "share", "options.path"): "/export", key("nfs", "share", "mount.subPath"): "a/b",
                key("persistentVolumeClaim", "mine", "mount.path"): "/mine",
                key("persistentVolumeClaim", "mine", "options.claimName"): "mine",
                key("persistentVolumeClaim", "mine", "mount.readOnly"): "false",
            }}))
        },
    },
    Case {
        name: "claims for scratch space, made on demand",
        app: || {
            let key = |role: &str, rest: &str| {
                format!("spark.kubernetes.{role}.volumes.persistentVolumeClaim.spark-local-dir-1.{rest}")
            };
            spec(json!({"sparkConf": {
                key("driver", "options.claimName"): "OnDemand", key("driver", "options.sizeLimit"): "500Mi",
                key("driver", "mount.path"): "/scratch",
                key("executor", "options.claimName"): "OnDemand", key("executor", "options.sizeLimit"): "1Gi",
                key("executor", "options.storageClass"): "fast", key("executor", "mount.path"): "/scratch",
                "spark.kubernetes.driver.ownPersistentVolumeClaim": "true",
                "spark.kubernetes.driver.reusePersistentVolumeClaim": "true",
                "spark.shuffle.sort.io.plugin.class": "org.apache.spark.shuffle.KubernetesLocalDiskShuffleDataIO",
            }}))
        },
    },
    Case {
        name: "claims with labels and annotations",
        app: || {
            let key = |rest: &str| format!("spark.kubernetes.driver.volumes.persistentVolumeClaim.data.{rest}");
            spec(json!({"sparkConf": {
                key("options.claimName"): "OnDemand", key("options.sizeLimit"): "1Gi", key("mount.path"): "/data",
                key("label.team"): "a", key("annotation.owner"): "b", key("mount.subPath"): "sub",
            }}))
        },
    },
    Case {
        name: "scratch space on a share",
        app: || {
            let mounts = json!([{"name": "spark-local-dir-nfs", "mountPath": "/n", "readOnly": false}]);
            spec(json!({
                "volumes": [{"name": "spark-local-dir-nfs", "nfs": {"server": "nfs.example", "path": "/export"}}],
                "driver": {"volumeMounts": mounts}, "executor": {"volumeMounts": mounts},
            }))
        },
    },
    Case {
        name: "scratch folders by configuration",
        app: || spec(json!({"sparkConf": {"spark.local.dir": "/fast/a,/fast/b"}})),
    },
    Case {
        name: "selectors of nodes",
        app: || {
            spec(json!({
                "driver": {"nodeSelector": {"pool": "small"}}, "executor": {"nodeSelector": {"pool": "big"}},
                "sparkConf": {"spark.kubernetes.node.selector.zone": "a",
                    "spark.kubernetes.executor.node.selector.disk": "ssd"},
            }))
        },
    },
    Case {
        name: "schedulers",
        app: || {
            spec(json!({"sparkConf": {
                "spark.kubernetes.driver.scheduler.name": "one", "spark.kubernetes.executor.scheduler.name": "two",
            }}))
        },
    },
    Case {
        name: "a template whose container has another name",
        app: || {
            let template = json!({
                "metadata": {"labels": {"x": "y"}},
                "spec": {
                    "containers": [{"name": "first", "image": "template/image:1", "args": ["one"],
                        "resources": {"requests": {"cpu": "7", "memory": "7Gi"}, "limits": {"cpu": "8"}},
                        "ports": [{"containerPort": 9999, "name": "own"}]}],
                    "serviceAccountName": "from-template", "restartPolicy": "Always",
                    "terminationGracePeriodSeconds": 7, "dnsPolicy": "Default",
                },
            });
            spec(
                json!({"driver": {"template": template, "serviceAccount": "spark"}, "executor": {"template": template}}),
            )
        },
    },
    Case {
        name: "a template with everything else",
        app: || {
            let template = json!({
                "metadata": {"annotations": {"a": "b"}, "finalizers": ["example.org/f"]},
                "spec": {
                    "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                        {"matchExpressions": [{"key": "k", "operator": "Exists"}]}]}}},
                    "containers": [{"name": "spark-kubernetes-driver", "livenessProbe": {"exec": {"command": ["true"]}},
                        "lifecycle": {"preStop": {"exec": {"command": ["sleep", "1"]}}}, "envFrom": [{"configMapRef": {"name": "m"}}]}],
                    "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["h"]}], "imagePullSecrets": [{"name": "template"}],
                    "securityContext": {"fsGroup": 185, "runAsUser": 185}, "shareProcessNamespace": true,
                    "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}],
                },
            });
            spec(json!({"imagePullSecrets": ["application"], "driver": {"template": template}}))
        },
    },
    Case {
        name: "fixed allocation said twice",
        app: || {
            spec(json!({"dynamicAllocation": {"enabled": false, "maxExecutors": 9}, "executor": {"instances": 2},
                "sparkConf": {"spark.dynamicAllocation.enabled": "false"}}))
        },
    },
    Case {
        name: "dynamic allocation without tracking",
        app: || {
            spec(json!({"dynamicAllocation": {"enabled": true, "shuffleTrackingEnabled": false, "maxExecutors": 3},
                "sparkConf": {"spark.decommission.enabled": "true", "spark.storage.decommission.enabled": "true"}}))
        },
    },
    Case {
        name: "event logs and metrics",
        app: || {
            spec(json!({
                "sparkConf": {"spark.eventLog.enabled": "true", "spark.eventLog.dir": "file:///logs",
                    "spark.ui.prometheus.enabled": "true", "spark.metrics.conf.*.sink.x.class": "org.example.Sink",
                    "spark.metrics.namespace": "${spark.app.name}"},
                "hadoopConf": {"fs.defaultFS": "file:///", "dfs.replication": "1"},
            }))
        },
    },
    Case {
        name: "class paths and options of the JVM",
        app: || {
            spec(json!({
                "type": "Scala", "mainClass": "M", "mainApplicationFile": "local:///opt/app.jar",
                "sparkConf": {"spark.driver.extraClassPath": "/x/*", "spark.executor.extraClassPath": "/y/*",
                    "spark.driver.extraLibraryPath": "/lib/x", "spark.driver.defaultJavaOptions": "-Dd=1"},
                "driver": {"javaOptions": "-Da=\"b c\" -XX:+UseG1GC"}, "executor": {"javaOptions": "-XX:+UseG1GC"},
            }))
        },
    },
    Case {
        name: "the service of the driver",
        app: || {
            spec(json!({"sparkConf": {
                "spark.kubernetes.driver.service.ipFamilyPolicy": "SingleStack",
                "spark.kubernetes.driver.service.ipFamilies": "IPv4",
                "spark.kubernetes.driver.service.deleteOnTermination": "false",
                "spark.driver.blockManager.port": "7300", "spark.ui.port": "4041",
            }}))
        },
    },
    Case {
        name: "what concerns executors alone",
        app: || {
            spec(json!({
                "executor": {"instances": 5, "deleteOnTermination": true, "labels": {"a": "b"}, "annotations": {"c": "d"}},
                "sparkConf": {"spark.kubernetes.executor.podNamePrefix": "workers",
                    "spark.kubernetes.allocation.batch.size": "3", "spark.kubernetes.executor.request.cores": "0.3",
                    "spark.executor.resource.gpu.amount": "1", "spark.executor.resource.gpu.vendor": "amd.com",
                    "spark.task.resource.gpu.amount": "0.5"},
            }))
        },
    },
    Case {
        name: "accounts by configuration",
        app: || {
            spec(json!({"sparkConf": {
                "spark.kubernetes.authenticate.driver.serviceAccountName": "spark",
                "spark.kubernetes.authenticate.executor.serviceAccountName": "spark",
            }}))
        },
    },
    Case {
        name: "Python by configuration",
        app: || {
            spec(json!({"pythonVersion": "3", "sparkConf": {"spark.pyspark.python": "python3.12"},
                "deps": {"pyFiles": ["local:///opt/a.py", "local:///opt/b.egg"], "jars": ["local:///opt/c.jar"],
                    "archives": ["local:///opt/env.tar.gz#environment"]}}))
        },
    },
    Case {
        name: "web addresses of everything",
        app: || {
            spec(json!({"mainApplicationFile": "https://files.example/app.py",
                "deps": {"jars": ["https://files.example/a.jar"], "files": ["https://files.example/a.conf", "local:///b.conf"],
                    "pyFiles": ["https://files.example/a.zip"]}}))
        },
    },
    Case {
        name: "the limit of a name",
        app: || json!({"metadata": {"name": format!("a{}", "b".repeat(40))}, "spec": {"driver": {"labels": {"l": "x".repeat(63)}}}}),
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
