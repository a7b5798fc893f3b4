//! `verify` on copies of this project's manifests: as they are they pass, and every fault that is planted is found where it stands.

use std::process::Command;

use serde_json::Value;

use crate::output::{compare, documented};
use crate::program::{Cluster, root};

/// A fault: the file below `manifests`, what is replaced, by what, the part of it that the fault is told at, the rule, and words of
/// the message.
type Planted = (&'static str, &'static str, &'static str, &'static str, &'static str, &'static str);

const SCHEDULE: &str = "apps/nightly-flights/schedule.yaml";
const NIGHTLY_RIGHTS: &str = "apps/nightly-flights/rbac.yaml";
const TEMPLATE_RIGHTS: &str = "apps/hello-argo-workflow-template/rbac.yaml";
const LOADER: &str = "apps/flights-report/base/loader.yaml";
const HISTORY: &str = "platform/history-server/server.yaml";
const OPERATOR_RIGHTS: &str = "platform/spark-operator/rbac.yaml";
const ADMISSION: &str = "platform/spark-operator/admission.yaml";
const MORE: &str = "clusters/production/apps/more.yaml";

/// Objects that are put behind those of the history server.
const APPENDED: &str = r#"
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: lost}
spec:
  rules:
    - http:
        paths:
          - path: /
            pathType: Prefix
            backend:
              service:
                name: nobody
                port: {name: http}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: power}
spec:
  selector: {matchLabels: {app: power}}
  template:
    metadata: {labels: {app: power}}
    spec:
      containers:
        - name: main
          image: busybox:1.37
          envFrom:
            - secretRef:
                name: no-secret
          env:
            - name: KEY
              valueFrom:
                secretKeyRef:
                  name: no-key
                  key: a
---
apiVersion: v1
kind: ConfigMap
metadata: {name: flights-report-code}
---
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata: {name: unknown}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: fast}
provisioner: example.com/fast
---
apiVersion: argoproj.io/v1alpha1
kind: CronWorkflow
metadata: {name: weekly}
spec:
  schedules:
    - "0 2 * * 1"
    - "61 * * * *"
  workflowSpec:
    workflowTemplateRef:
      name: no-template
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: hourly}
spec:
  schedule: "0 * * * *"
  concurrencyPolicy: Sometimes
  jobTemplate:
    spec:
      template:
        spec:
          priorityClassName: urgent
          restartPolicy: Never
          automountServiceAccountToken: false
          securityContext: {runAsNonRoot: true, runAsUser: 1000, seccompProfile: {type: RuntimeDefault}}
          containers:
            - name: main
              image: busybox:1.37
              securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
---
apiVersion: sparkoperator.k8s.io/v1beta2
kind: SparkApplication
metadata: {name: elsewhere}
spec:
  type: Scala
  sparkVersion: 4.0.1
  image: apache/spark:4.0.1
  mainClass: org.example.Main
  mainApplicationFile: local:///app.jar
  sparkConf:
    spark.kubernetes.namespace: other
  driver: {cores: 1}
  executor: {instances: 1}
"#;

/// Faults that leave all else as it is.
const FAULTS: [Planted; 26] = [
    (HISTORY, "image: apache/spark:4.0.1", "image: apache/spark", "image: apache/spark", "pinned", "has no tag"),
    (
        SCHEDULE,
        "image: apache/spark:4.0.1\n    main",
        "image: apache/spark:latest\n    main",
        "image: apache/spark:latest",
        "pinned",
        "name a version",
    ),
    (SCHEDULE, "schedule: \"0 2 * * *\"", "schedule: \"0 25 * * *\"", "schedule: \"0 25", "scheduled", "0 25 * * *"),
    (
        SCHEDULE,
        "timeZone: Etc/UTC",
        "timeZone: Etc/Nowhere",
        "timeZone: Etc",
        "scheduled",
        "no time zone \"Etc/Nowhere\"",
    ),
    (
        SCHEDULE,
        "claimName: flights-data",
        "claimName: flights-date",
        "claimName: flights-date",
        "resolved",
        "no PersistentVolumeClaim flights-date in spark-jobs",
    ),
    (
        SCHEDULE,
        "name: flights-report-code",
        "name: flights-code",
        "name: flights-code",
        "resolved",
        "no ConfigMap flights-code in spark-jobs",
    ),
    (
        SCHEDULE,
        "serviceAccount: nightly-flights-driver",
        "serviceAccount: nobody",
        "serviceAccount: nobody",
        "resolved",
        "no ServiceAccount nobody in spark-jobs",
    ),
    (LOADER, "backoffLimit: 2", "backofLimit: 2", "backofLimit", "accepted", "backofLimit"),
    (
        NIGHTLY_RIGHTS,
        "  kind: Role\n  name: nightly-flights-driver",
        "  kind: Role\n  name: nightly-role",
        "name: nightly-role",
        "resolved",
        "no Role nightly-role in spark-jobs",
    ),
    (
        NIGHTLY_RIGHTS,
        "    name: nightly-flights-driver\n    namespace",
        "    name: night-driver\n    namespace",
        "name: night-driver",
        "resolved",
        "no ServiceAccount night-driver in spark-jobs",
    ),
    (
        TEMPLATE_RIGHTS,
        "verbs: [create, get, list, watch, delete, deletecollection]",
        "verbs: [get, list, watch]",
        "",
        "allowed",
        "hello-argo-workflow-template in spark-jobs may not create pods, delete pods, deletecollection pods",
    ),
    (
        TEMPLATE_RIGHTS,
        "verbs: [get, create]",
        "verbs: [get]",
        "",
        "allowed",
        "may not create sparkapplications.sparkoperator.k8s.io",
    ),
    (
        OPERATOR_RIGHTS,
        "kind: ClusterRole\n  name: spark-operator",
        "kind: ClusterRole\n  name: operator",
        "name: operator",
        "resolved",
        "no ClusterRole operator",
    ),
    (
        ADMISSION,
        "policyName: spark-connect.",
        "policyName: sparkconnect.",
        "policyName: sparkconnect.",
        "resolved",
        "no ValidatingAdmissionPolicy sparkconnect.sparkoperator.k8s.io",
    ),
    (
        HISTORY,
        "                port:\n                  name: http",
        "                port:\n                  name: web",
        "name: web",
        "resolved",
        "the Service spark-history-server has no port web",
    ),
    (
        HISTORY,
        "  selector:\n    app.kubernetes.io/name: spark-history-server\n  ports",
        "  selector:\n    app.kubernetes.io/name: other\n  ports",
        "selector:\n    app.kubernetes.io/name: other",
        "resolved",
        "no pod that is made here",
    ),
    (
        MORE,
        "path: manifests/clusters/production/nightly-flights\n  destination:\n    namespace: spark-jobs",
        "path: manifests/clusters/production/nightly-flights\n  destination:\n    namespace: elsewhere",
        "namespace: elsewhere",
        "permitted",
        "elsewhere",
    ),
    (HISTORY, "", "", "name: nobody", "resolved", "no Service nobody in spark-jobs"),
    (
        HISTORY,
        "",
        "",
        "- name: main\n          image: busybox:1.37\n          envFrom",
        "secured",
        "would violate PodSecurity",
    ),
    (HISTORY, "", "", "name: no-secret", "resolved", "no Secret no-secret in spark-jobs"),
    (HISTORY, "", "", "name: no-key", "resolved", "no Secret no-key in spark-jobs"),
    (HISTORY, "", "", "metadata: {name: flights-report-code}", "owned", "also has it"),
    (HISTORY, "", "", "kind: PodMonitor", "accepted", "the API knows no kind PodMonitor"),
    (HISTORY, "", "", "kind: StorageClass", "permitted", "StorageClass"),
    (HISTORY, "", "", "- \"61 * * * *\"", "scheduled", "61 * * * *"),
    (HISTORY, "", "", "apiVersion: sparkoperator.k8s.io/v1beta2", "accepted", "must equal the application namespace"),
];

/// Faults of the same objects, which are told beside the others.
const MORE_FAULTS: [Planted; 3] = [
    (HISTORY, "", "", "name: no-template", "resolved", "no WorkflowTemplate no-template in spark-jobs"),
    (HISTORY, "", "", "priorityClassName: urgent", "resolved", "no PriorityClass urgent"),
    (HISTORY, "", "", "concurrencyPolicy: Sometimes", "accepted", "Unsupported value"),
];

/// Faults for which nothing can be rendered.
const BROKEN: [Planted; 4] = [
    (SCHEDULE, "spec:\n  schedule", "spec:\n schedule", "", "rendered", ""),
    (
        "platform/namespaces/kustomization.yaml",
        "resources:",
        "resorces:",
        "resorces:",
        "rendered",
        "unknown field `resorces`",
    ),
    (
        "platform/namespaces/kustomization.yaml",
        "- namespaces.yaml",
        "- namespace.yaml",
        "",
        "rendered",
        "namespace.yaml",
    ),
    (
        MORE,
        "path: manifests/clusters/production/history-server",
        "path: manifests/clusters/production/apps",
        "source:\n    path: manifests/clusters/production/apps",
        "rendered",
        "the application history-server is part of itself",
    ),
];

/// A copy of this project's manifests.
struct Copy(Cluster);

impl Copy {
    fn new(purpose: &str) -> Self {
        let copy = Self(Cluster::of_own_project(purpose));
        copy.restore();
        copy
    }

    fn restore(&self) {
        let to = self.0.files();
        let copied = Command::new("cp").arg("-r").arg(root().join("manifests")).arg(to).status().expect("cp runs");
        assert!(copied.success());
    }

    fn text(&self, file: &str) -> String {
        std::fs::read_to_string(self.0.files().join("manifests").join(file)).expect("it is there")
    }

    fn plant(&self, (file, old, new, ..): Planted) {
        let text = self.text(file);
        assert!(text.contains(old), "{file} has no {old:?}");
        if !old.is_empty() {
            self.0.write(&format!("manifests/{file}"), &text.replacen(old, new, 1));
        }
    }

    /// The faults, each as its rule, place and message.
    fn faults(&self) -> Vec<(String, String, String)> {
        let report = self.0.run(&["verify", "production", "-o", "json"]).json(1);
        compare("verify", &documented()["verify"], &report);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let faults = report["faults"].as_array().expect("a list").iter();
        faults.map(|fault| (text(&fault["rule"]), text(&fault["origin"]), text(&fault["message"]))).collect()
    }

    /// Whether a fault is among those that were found, in its file and at its line.
    fn is_found(&self, (file, _, _, at, rule, words): Planted, found: &[(String, String, String)]) -> bool {
        let place = if at.is_empty() {
            // Rights are told where they are needed.
            if rule == "allowed" { "manifests/".to_owned() } else { format!("manifests/{file}") }
        } else {
            let text = self.text(file);
            let before = text.find(at).unwrap_or_else(|| panic!("{file} has no {at:?}"));
            format!(
                "manifests/{file}:{}:",
                text[..before].lines().count() + usize::from(text[..before].ends_with('\n'))
            )
        };
        found.iter().any(|(of, origin, message)| {
            of == rule && origin.starts_with(&place) && (message.contains(words) || origin.contains(words))
        })
    }
}

#[test]
fn every_place_passes_as_it_is() {
    let cluster = Cluster::new("verify");
    for place in ["local", "kind", "production", "eks", "gke", "aks"] {
        let said = cluster.run(&["verify", place]).succeeded();
        assert!(said.starts_with(&format!("{place}: ")) && said.contains(" objects, nothing wrong"), "{said}");
    }
    cluster.assert_gone();
}

#[test]
fn planted_faults_are_found_with_file_and_line() {
    let copy = Copy::new("faults");
    FAULTS.into_iter().chain(MORE_FAULTS).for_each(|fault| copy.plant(fault));
    copy.0.write(&format!("manifests/{HISTORY}"), &(copy.text(HISTORY) + APPENDED));
    let found = copy.faults();
    let missed: Vec<Planted> =
        FAULTS.into_iter().chain(MORE_FAULTS).filter(|fault| !copy.is_found(*fault, &found)).collect();
    assert!(missed.is_empty(), "missed: {missed:#?}\nfound: {found:#?}");
    for fault in BROKEN {
        copy.restore();
        copy.plant(fault);
        let found = copy.faults();
        assert!(found.len() == 1 && copy.is_found(fault, &found), "{fault:?}: {found:?}");
    }
    let near = copy.0.run(&["verify", "produktion"]).failed(2);
    assert!(near.contains("did you mean \"production\"?"), "{near}");
    copy.0.assert_gone();
}

#[test]
fn local_and_production_differ_in_what_overlays_say() {
    let cluster = Cluster::new("overlays");
    let report = cluster.run(&["diff", "local", "production", "-o", "json"]).json(1);
    let lines: Vec<String> = report["differences"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| {
            let text = |field: &str| one[field].as_str().unwrap_or_default();
            let by = match text("application") {
                "" => "by hand".to_owned(),
                name => format!("of {name}"),
            };
            let changed: Vec<&str> = text("diff")
                .lines()
                .filter(|line| line.starts_with(['+', '-']) && !line.starts_with("+++") && !line.starts_with("---"))
                .collect();
            let what =
                if text("change") == "changed" { format!("\n    {}", changed.join("\n    ")) } else { String::new() };
            format!("{} {}/{} {by}{what}", text("change"), text("kind"), text("name"))
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    removed ConfigMap/argocd-cm by hand
    removed Namespace/argocd by hand
    removed ServiceAccount/argocd-application-controller by hand
    removed CustomResourceDefinition/applications.argoproj.io by hand
    removed CustomResourceDefinition/applicationsets.argoproj.io by hand
    removed CustomResourceDefinition/appprojects.argoproj.io by hand
    changed Application/spark-platform by hand
        -    path: manifests/clusters/local/apps
        +    path: manifests/clusters/production/apps
        -    targetRevision: HEAD
        +    targetRevision: production
    removed ClusterRole/argocd-application-controller by hand
    removed ClusterRoleBinding/argocd-application-controller by hand
    added ConfigMap/flights-nightly-code of flights-nightly
    added PersistentVolumeClaim/flights-nightly of flights-nightly
    added ServiceAccount/flights-nightly of flights-nightly
    added CronWorkflow/flights-nightly of flights-nightly
    added WorkflowTemplate/flights-nightly of flights-nightly
    added Role/flights-nightly of flights-nightly
    added RoleBinding/flights-nightly of flights-nightly
    added PersistentVolumeClaim/spark-events of history-server
    added Service/spark-history-server of history-server
    added Deployment/spark-history-server of history-server
    added Ingress/spark-history-server of history-server
    added ConfigMap/flights-report-code of nightly-flights
    added ConfigMap/flights-report-loader-f2d869f9f8 of nightly-flights
    added PersistentVolumeClaim/flights-data of nightly-flights
    added PersistentVolumeClaim/nightly-flights of nightly-flights
    added ServiceAccount/nightly-flights-driver of nightly-flights
    added Job/flights-report-loader of nightly-flights
    added Role/nightly-flights-driver of nightly-flights
    added RoleBinding/nightly-flights-driver of nightly-flights
    added ScheduledSparkApplication/nightly-flights of nightly-flights
    changed Application/argo-workflows of spark-platform
        -    targetRevision: HEAD
        +    targetRevision: production
    added Application/flights-nightly of spark-platform
    changed Application/hello-argo-workflow-template of spark-platform
        -    targetRevision: HEAD
        +    targetRevision: production
    added Application/history-server of spark-platform
    changed Application/namespaces of spark-platform
        -    targetRevision: HEAD
        +    targetRevision: production
    added Application/nightly-flights of spark-platform
    changed Application/spark-operator of spark-platform
        -    targetRevision: HEAD
        +    targetRevision: production
    ");
}
