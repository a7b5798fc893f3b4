//! What the page's buttons do: what the commands do, by the same changes of the same objects, with the caller's rights. What has to be
//! done is planned by a pure function; one loop does it.

use std::time::Duration;

use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use kube::{Client, Error};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tinderbox_api::gitops::marks;
use tinderbox_api::workflows::labels::{CRON_WORKFLOW, RESUBMITTED_FROM, WORKFLOW_TEMPLATE};
use tinderbox_api::workflows::{Shutdown, Workflow, of_template};
use tinderbox_client::discovery::served;
use tinderbox_client::wait;

use crate::kinds;

/// How long an object may take to be gone before it is made again.
const PATIENCE: Duration = Duration::from_secs(30);
/// Labels by which a Job finds its pods, and which are made for each Job.
const JOB_LABELS: [&str; 4] =
    ["controller-uid", "job-name", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"];

/// What is asked for.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Wish {
    /// What is to be done.
    act: Act,
    /// The kind of the object.
    kind: String,
    namespace: String,
    name: String,
    /// Values of a template's parameters.
    #[serde(default)]
    parameters: Map<String, Value>,
}

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Act {
    Again,
    Submit,
    Suspend,
    Resume,
    Stop,
    Terminate,
    Sync,
    Refresh,
}

/// One change.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
enum Step {
    /// Remove the object, and wait until it is gone.
    Remove,
    /// Make an object: of the same kind, or a Workflow.
    Make { kind: &'static str, object: Value },
    /// Change the object by a merge patch.
    Change(Value),
}

/// Does it, and says what was done.
pub(crate) async fn act(client: &Client, wish: &Wish, now: jiff::Timestamp) -> Result<String, String> {
    let served = served(client).await.map_err(|error| error.to_string())?;
    let find = |kind: &str| -> Result<(ApiResource, &'static str), String> {
        let of = kinds::WATCHED.iter().find(|(_, known)| *known == kind);
        let found = of.and_then(|of| Some((kinds::resource(&served, *of)?.0, of.1)));
        found.ok_or_else(|| format!("this cluster has no objects of kind {kind}"))
    };
    let (resource, kind) = find(&wish.kind)?;
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &wish.namespace, &resource);
    let object = api.get(&wish.name).await.map_err(said)?;
    let uid = object.metadata.uid.clone();
    let object = serde_json::to_value(&object).map_err(|error| error.to_string())?;
    let mut made = None;
    for step in plan(wish, kind, &object, now)? {
        match step {
            Step::Remove => {
                api.delete(&wish.name, &DeleteParams::background()).await.map_err(said)?;
                let uid = uid.clone();
                let gone = move |object: Option<&DynamicObject>| object.is_none_or(|one| one.metadata.uid != uid);
                let waited = wait::object(api.clone(), &wish.name, "the last run to be gone", PATIENCE, gone).await;
                waited.map_err(|error| error.to_string())?;
            }
            Step::Make { kind, object } => {
                let (resource, _) = find(kind)?;
                let wanted: DynamicObject = serde_json::from_value(object).map_err(|error| error.to_string())?;
                let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &wish.namespace, &resource);
                let new = api.create(&PostParams::default(), &wanted).await.map_err(said)?;
                made = new.metadata.name;
            }
            Step::Change(patch) => {
                api.patch(&wish.name, &PatchParams::default(), &Patch::Merge(patch)).await.map_err(said)?;
            }
        }
    }
    Ok(made.unwrap_or_else(|| wish.name.clone()))
}

/// The API's own words.
fn said(error: Error) -> String {
    match error {
        Error::Api(status) => status.message,
        error => tinderbox_client::error::chain(&error),
    }
}

/// What has to be done to an object.
fn plan(wish: &Wish, kind: &'static str, object: &Value, now: jiff::Timestamp) -> Result<Vec<Step>, String> {
    let change = |patch: Value| Ok(vec![Step::Change(patch)]);
    match (wish.act, kind) {
        (Act::Again, "SparkApplication" | "Job") => {
            let object = afresh(object, kind);
            Ok(vec![Step::Remove, Step::Make { kind, object }])
        }
        (Act::Again, "Workflow") => Ok(vec![Step::Make { kind, object: resubmitted(object) }]),
        (Act::Submit, "WorkflowTemplate") => {
            let spec = of_template(&wish.name, wish.parameters.iter().map(|(name, value)| (name, value.clone())));
            Ok(vec![made_of(&wish.name, WORKFLOW_TEMPLATE, &spec)])
        }
        (Act::Submit, "CronWorkflow") => Ok(vec![made_of(&wish.name, CRON_WORKFLOW, &object["spec"]["workflowSpec"])]),
        (Act::Suspend, "SparkApplication" | "ScheduledSparkApplication" | "Workflow" | "CronWorkflow" | "Job") => {
            change(json!({"spec": {"suspend": true}}))
        }
        (Act::Resume, "Workflow") => change(workflow(object)?.resumed(now)?),
        (Act::Resume, "SparkApplication" | "ScheduledSparkApplication" | "CronWorkflow" | "Job") => {
            change(json!({"spec": {"suspend": false}}))
        }
        (Act::Stop, "Workflow") => change(workflow(object)?.shutdown(Shutdown::Stop)?),
        (Act::Terminate, "Workflow") => change(workflow(object)?.shutdown(Shutdown::Terminate)?),
        (Act::Sync, "Application") => {
            if object["status"]["operationState"]["phase"] == "Running" || object["operation"].is_object() {
                return Err(format!("a sync of {} is under way", wish.name));
            }
            let policy = &object["spec"]["syncPolicy"];
            let mut sync = Map::new();
            if policy["syncOptions"].is_array() {
                sync.insert("syncOptions".to_owned(), policy["syncOptions"].clone());
            }
            if policy["automated"]["prune"] == true {
                sync.insert("prune".to_owned(), json!(true));
            }
            change(json!({"operation": {"initiatedBy": {"username": "console"}, "sync": sync}}))
        }
        (Act::Refresh, "Application") => change(json!({"metadata": {"annotations": {marks::REFRESH: "normal"}}})),
        (act, kind) => Err(format!("{act:?} means nothing for a {kind}")),
    }
}

fn workflow(object: &Value) -> Result<Workflow, String> {
    Workflow::deserialize(object).map_err(|error| error.to_string())
}

/// An object as it was before anybody had acted on it.
fn afresh(object: &Value, kind: &str) -> Value {
    let meta = &object["metadata"];
    let mut labels = meta["labels"].as_object().cloned().unwrap_or_default();
    let mut spec = object["spec"].clone();
    if kind == "Job" {
        for label in JOB_LABELS {
            labels.remove(label);
            if let Some(own) = spec["template"]["metadata"]["labels"].as_object_mut() {
                own.remove(label);
            }
        }
        if let Some(spec) = spec.as_object_mut().filter(|spec| spec.get("manualSelector") != Some(&json!(true))) {
            spec.remove("selector");
        }
    }
    json!({
        "apiVersion": object["apiVersion"], "kind": object["kind"],
        "metadata": {
            "name": meta["name"], "namespace": meta["namespace"], "labels": labels,
            "annotations": meta["annotations"], "ownerReferences": meta["ownerReferences"],
        },
        "spec": spec,
    })
}

/// A new workflow like one that there was.
fn resubmitted(object: &Value) -> Value {
    let (mut fresh, name) = (afresh(object, "Workflow"), object["metadata"]["name"].as_str().unwrap_or_default());
    let base = object["metadata"]["generateName"].as_str().map_or_else(|| format!("{name}-"), str::to_owned);
    let labels = object["metadata"]["labels"].as_object().into_iter().flatten();
    let mut labels: Map<String, Value> = labels
        .filter(|(key, _)| {
            *key == WORKFLOW_TEMPLATE || *key == CRON_WORKFLOW || !key.starts_with("workflows.argoproj.io/")
        })
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    labels.insert(RESUBMITTED_FROM.to_owned(), json!(name));
    fresh["metadata"] = json!({"generateName": base, "namespace": object["metadata"]["namespace"], "labels": labels});
    if let Some(spec) = fresh["spec"].as_object_mut() {
        spec.remove("shutdown");
        spec.remove("suspend");
    }
    fresh
}

fn made_of(name: &str, label: &str, spec: &Value) -> Step {
    let mut labels = Map::new();
    labels.insert(label.to_owned(), json!(name));
    let object = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow",
        "metadata": {"generateName": format!("{name}-"), "labels": labels}, "spec": spec,
    });
    Step::Make { kind: "Workflow", object }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(act: &str, kind: &'static str, object: Value) -> Result<Value, String> {
        let wish = json!({"act": act, "kind": kind, "namespace": "n", "name": object["metadata"]["name"],
            "parameters": {"size": "20"}});
        let wish: Wish = serde_json::from_value(wish).expect("a wish");
        let now = "2026-01-31T02:00:00.5Z".parse().expect("a time");
        plan(&wish, kind, &object, now).map(|steps| serde_json::to_value(steps).expect("JSON"))
    }

    #[test]
    fn a_job_is_run_again_without_what_the_api_gave_it() {
        let uid = |extra: &str| json!({"controller-uid": "u", "batch.kubernetes.io/job-name": "j", extra: "1"});
        let job = json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": "j", "namespace": "n", "uid": "u", "resourceVersion": "7", "labels": uid("mine"),
                "managedFields": []},
            "spec": {"selector": {"matchLabels": uid("a")}, "template": {"metadata": {"labels": uid("its")}}},
            "status": {"succeeded": 1},
        });
        let fresh = json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": "j", "namespace": "n", "labels": {"mine": "1"}, "annotations": null,
                "ownerReferences": null},
            "spec": {"template": {"metadata": {"labels": {"its": "1"}}}},
        });
        assert_eq!(planned("again", "Job", job), Ok(json!(["Remove", {"Make": {"kind": "Job", "object": fresh}}])));
    }

    #[test]
    fn workflows_are_stopped_resumed_and_submitted_as_by_the_commands() {
        let gate = json!({"type": "Suspend", "phase": "Running"});
        let workflow = json!({"metadata": {"name": "w"}, "spec": {}, "status": {"phase": "Running",
            "nodes": {"w-1": gate, "w-2": {"type": "Pod", "phase": "Running"}}}});
        let over = json!({"w-1": {"phase": "Succeeded", "finishedAt": "2026-01-31T02:00:01Z"}});
        let resumed = json!([{"Change": {"spec": {"suspend": null}, "status": {"nodes": over}}}]);
        assert_eq!(planned("resume", "Workflow", workflow.clone()), Ok(resumed));
        let stopped = json!([{"Change": {"spec": {"shutdown": "Terminate"}}}]);
        assert_eq!(planned("terminate", "Workflow", workflow), Ok(stopped));
        let done = json!({"metadata": {"name": "w"}, "status": {"phase": "Failed"}});
        assert_eq!(planned("stop", "Workflow", done), Err("the workflow w is over: Failed".to_owned()));
        let made = planned("submit", "WorkflowTemplate", json!({"metadata": {"name": "t"}})).expect("a plan");
        let made = &made[0]["Make"]["object"];
        assert_eq!(made["metadata"]["generateName"], "t-");
        assert_eq!(made["spec"]["arguments"]["parameters"], json!([{"name": "size", "value": "20"}]));
    }

    #[test]
    fn a_resubmitted_workflow_is_a_new_one() {
        let workflow = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow",
            "metadata": {"name": "w", "namespace": "n", "labels": {"workflows.argoproj.io/phase": "Failed", "own": "1"}},
            "spec": {"shutdown": "Stop", "entrypoint": "main"}, "status": {"phase": "Failed"}});
        let made = planned("again", "Workflow", workflow).expect("a plan");
        let object = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow",
            "metadata": {"generateName": "w-", "namespace": "n", "labels": {"own": "1",
                "workflows.argoproj.io/resubmitted-from-workflow": "w"}},
            "spec": {"entrypoint": "main"}});
        assert_eq!(made, json!([{"Make": {"kind": "Workflow", "object": object}}]));
    }

    #[test]
    fn a_sync_keeps_the_options_and_is_not_asked_for_twice() {
        let app = json!({"metadata": {"name": "a"}, "spec": {"syncPolicy": {"syncOptions": ["PruneLast=true"],
            "automated": {"prune": true}}}});
        let operation = json!({"initiatedBy": {"username": "console"},
            "sync": {"syncOptions": ["PruneLast=true"], "prune": true}});
        assert_eq!(planned("sync", "Application", app), Ok(json!([{"Change": {"operation": operation}}])));
        let busy = json!({"metadata": {"name": "a"}, "status": {"operationState": {"phase": "Running"}}});
        assert_eq!(planned("sync", "Application", busy), Err("a sync of a is under way".to_owned()));
        let odd = planned("sync", "Job", json!({"metadata": {"name": "a"}}));
        assert_eq!(odd, Err("Sync means nothing for a Job".to_owned()));
    }
}
