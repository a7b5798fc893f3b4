//! Where pods are described in objects of every kind: templates of workloads, drivers and executors, steps of workflows. Pure.

use serde_json::Value;

/// Something that becomes a pod, or many.
#[derive(Debug, Clone)]
pub(super) struct Description<'a> {
    /// The path of its fields, as in `spec.template.spec`.
    pub(super) path: String,
    /// The fields: of a pod, of a driver or executor, or of a step.
    pub(super) fields: &'a Value,
    /// The volumes that it can mount, and their path.
    pub(super) volumes: (String, &'a Value),
    /// The account that it acts as, and its path.
    pub(super) account: Option<(String, &'a str)>,
}

impl<'a> Description<'a> {
    /// Its containers, each with its path.
    pub(super) fn containers(&self) -> Vec<(String, &'a Value)> {
        let fields = self.fields;
        let lists = ["containers", "initContainers", "sidecars"].into_iter().flat_map(|field| {
            let all = fields[field].as_array().into_iter().flatten().enumerate();
            all.map(move |(index, one)| (format!("{}.{field}[{index}]", self.path), one))
        });
        let single = ["container", "script"].into_iter();
        let single = single.filter(|field| fields[*field].is_object());
        let single = single.map(|field| (format!("{}.{field}", self.path), &fields[field]));
        // A driver is a container itself: it has an environment, and may have an image.
        let own = ["env", "envFrom", "image"].iter().any(|field| !fields[*field].is_null());
        lists.chain(single).chain(own.then(|| (self.path.clone(), fields))).collect()
    }
}

/// All descriptions of pods in an object.
pub(super) fn of(object: &Value) -> Vec<Description<'_>> {
    let text = |kind: &Value| kind.as_str().unwrap_or_default().to_owned();
    match text(&object["kind"]).as_str() {
        "Pod" => vec![pod("spec", &object["spec"])],
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "Job" => {
            vec![pod("spec.template.spec", &object["spec"]["template"]["spec"])]
        }
        "CronJob" => {
            let path = "spec.jobTemplate.spec.template.spec";
            vec![pod(path, &object["spec"]["jobTemplate"]["spec"]["template"]["spec"])]
        }
        "SparkApplication" => spark("spec", &object["spec"]),
        "ScheduledSparkApplication" => spark("spec.template", &object["spec"]["template"]),
        "Workflow" | "WorkflowTemplate" | "ClusterWorkflowTemplate" => workflow("spec", &object["spec"]),
        "CronWorkflow" => workflow("spec.workflowSpec", &object["spec"]["workflowSpec"]),
        _ => Vec::new(),
    }
}

fn pod<'a>(path: &str, fields: &'a Value) -> Description<'a> {
    let account = fields["serviceAccountName"].as_str().map(|name| (format!("{path}.serviceAccountName"), name));
    Description { path: path.to_owned(), fields, volumes: (format!("{path}.volumes"), &fields["volumes"]), account }
}

fn spark<'a>(path: &str, spec: &'a Value) -> Vec<Description<'a>> {
    let parts = ["driver", "executor"].into_iter().filter(|part| spec[*part].is_object());
    parts
        .map(|part| {
            let (path_of, fields) = (format!("{path}.{part}"), &spec[part]);
            let account = fields["serviceAccount"].as_str().map(|name| (format!("{path_of}.serviceAccount"), name));
            let volumes = (format!("{path}.volumes"), &spec["volumes"]);
            Description { path: path_of, fields, volumes, account }
        })
        .collect()
}

fn workflow<'a>(path: &str, spec: &'a Value) -> Vec<Description<'a>> {
    let templates = spec["templates"].as_array().into_iter().flatten().enumerate();
    templates
        .map(|(index, template)| {
            let of = |field: &str, fields: &'a Value, at: &str| {
                fields[field].as_str().map(|name| (format!("{at}.{field}"), name))
            };
            let own = format!("{path}.templates[{index}]");
            let account = of("serviceAccountName", template, &own).or_else(|| of("serviceAccountName", spec, path));
            Description { path: own, fields: template, volumes: (format!("{path}.volumes"), &spec["volumes"]), account }
        })
        .collect()
}
