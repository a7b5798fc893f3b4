//! A Spark job as its page shows it: the object, its pods, what happened to them, and what Spark itself says of stages and executors
//! while its driver runs, or the history server afterwards.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use futures::future::join_all;
use k8s_openapi::api::core::v1::{Event, Pod};
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::{Api, DynamicObject, ListParams};
use kube::core::ApiResource;
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use tinderbox_api::spark::{SparkApplication, labels};

use crate::gate::{Gate, Target};
use crate::proxy::{self, Server};
use crate::row::row;

/// The port of a driver's web page, unless it says another.
const UI: &str = "4040";
/// The Service of the history server. See `manifests/platform/history-server`.
const HISTORY: &str = "spark-history-server";
/// How many jobs that have ended keep what their drivers said last.
const KEPT: usize = 32;

/// What drivers said last, by the UID of their pods.
#[derive(Debug, Default)]
pub(crate) struct Said(Mutex<(HashMap<String, Value>, VecDeque<String>)>);

impl Said {
    fn keep(&self, uid: &str, said: &Value) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.0.insert(uid.to_owned(), said.clone()).is_none() {
            kept.1.push_back(uid.to_owned());
        }
        if kept.1.len() > KEPT
            && let Some(oldest) = kept.1.pop_front()
        {
            kept.0.remove(&oldest);
        }
    }

    fn of(&self, uid: &str) -> Option<Value> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.get(uid).cloned()
    }
}

/// What a job page needs.
pub(crate) struct Looking<'a> {
    pub(crate) client: &'a Client,
    pub(crate) gate: &'a Gate,
    pub(crate) said: &'a Said,
    /// The port of Ingresses.
    pub(crate) ingress: Option<u16>,
}

impl Looking<'_> {
    /// The job of a SparkApplication, or of a driver that `spark-submit` made.
    pub(crate) async fn job(&self, kind: &str, namespace: &str, name: &str) -> Result<Value, String> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let (object, selector) = if kind == "SparkApplication" {
            let resource = ApiResource::erase::<SparkApplication>(&());
            let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, &resource);
            let object = api.get(name).await.map_err(|error| error.to_string())?;
            (shown(&object), format!("{}={name}", labels::APP_NAME))
        } else {
            let driver = pods.get(name).await.map_err(|error| error.to_string())?;
            let selector = driver.labels().get(labels::SELECTOR).cloned().unwrap_or_default();
            (shown(&driver), format!("{}={selector}", labels::SELECTOR))
        };
        let listed = pods.list(&ListParams::default().labels(&selector)).await.map_err(|error| error.to_string())?;
        let mut uids: Vec<String> = listed.iter().filter_map(ResourceExt::uid).collect();
        uids.extend(object["metadata"]["uid"].as_str().map(str::to_owned));
        let driver = listed.iter().find(|pod| pod.labels().get(labels::ROLE).is_some_and(|role| role == "driver"));
        let (events, live, history) =
            tokio::join!(self.events(namespace, &uids), self.said(driver, &object), self.history(namespace, &object));
        let running = driver.filter(|pod| phase(pod) == "Running").map(|pod| {
            let pod = pod.name_any();
            self.gate.foreign(Target { namespace, pod: &pod, port: UI })
        });
        let told: Vec<Value> = listed.iter().map(pod_row).collect();
        Ok(json!({
            "object": object, "pods": told, "events": events, "live": live, "ui": running, "history": history,
            "logs": driver.map(ResourceExt::name_any),
        }))
    }

    /// What happened to these objects, oldest first.
    async fn events(&self, namespace: &str, uids: &[String]) -> Vec<Value> {
        let all: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        let of = |uid: &String| {
            let (all, field) = (all.clone(), format!("involvedObject.uid={uid}"));
            async move { all.list(&ListParams::default().fields(&field)).await.map(|list| list.items) }
        };
        let mut rows: Vec<Value> = join_all(uids.iter().map(of))
            .await
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|event| serde_json::from_value::<DynamicObject>(shown(&event)).ok())
            .map(|event| json!(row("Event", &event)))
            .collect();
        let time = |row: &Value| row["x"]["last"].as_str().unwrap_or_default().to_owned();
        rows.sort_by_key(time);
        rows
    }

    /// What Spark says of jobs, stages and executors: the driver while it runs, the history server afterwards.
    async fn said(&self, driver: Option<&Pod>, object: &Value) -> Value {
        let Some(driver) = driver else { return Value::Null };
        let uid = driver.uid().unwrap_or_default();
        if phase(driver) == "Running" {
            let (namespace, pod) = (driver.namespace().unwrap_or_default(), driver.name_any());
            let target = Target { namespace: &namespace, pod: &pod, port: UI };
            if let Ok(said) = self.live(target).await {
                self.said.keep(&uid, &said);
                return said;
            }
        }
        let (namespace, id) = (driver.namespace().unwrap_or_default(), logged(object));
        let service = format!("{HISTORY}:80");
        let over = matches!(phase(driver), "Succeeded" | "Failed");
        if let Some(id) = id.filter(|_| over)
            && let Ok(said) = self.ask(Server::Service(&namespace, &service), id).await
        {
            return said;
        }
        self.said.of(&uid).map_or(Value::Null, |mut said| {
            said["past"] = json!(true);
            said
        })
    }

    async fn live(&self, target: Target<'_>) -> Result<Value, String> {
        let applications = proxy::json(self.client, Server::Pod(target), "api/v1/applications").await?;
        let id = applications[0]["id"].as_str().ok_or("no application")?;
        self.ask(Server::Pod(target), id).await
    }

    async fn ask(&self, server: Server<'_>, id: &str) -> Result<Value, String> {
        let paths = ["jobs", "stages", "allexecutors"].map(|what| format!("api/v1/applications/{id}/{what}"));
        let [jobs, stages, executors] = paths.each_ref().map(|path| proxy::json(self.client, server, path));
        let (jobs, stages, executors) = tokio::try_join!(jobs, stages, executors)?;
        Ok(json!({
            "jobs": only(&jobs, &["jobId", "name", "status", "submissionTime", "completionTime"]),
            "stages": only(&stages, &["stageId", "attemptId", "name", "status", "submissionTime", "completionTime",
                "numTasks", "numActiveTasks", "numCompleteTasks", "numFailedTasks", "inputBytes", "outputBytes",
                "shuffleReadBytes", "shuffleWriteBytes"]),
            "executors": only(&executors, &["id", "isActive", "totalCores", "activeTasks", "completedTasks",
                "failedTasks", "totalDuration", "totalGCTime", "memoryUsed", "maxMemory", "addTime", "removeTime",
                "removeReason", "totalShuffleRead", "totalShuffleWrite", "totalInputBytes"]),
        }))
    }

    /// The link to the history server, if the application writes an event log and an Ingress leads there.
    async fn history(&self, namespace: &str, object: &Value) -> Option<String> {
        let port = self.ingress?;
        let id = logged(object)?;
        let all: Api<Ingress> = Api::namespaced(self.client.clone(), namespace);
        let all = all.list(&ListParams::default()).await.ok()?;
        let host = all.iter().filter_map(|one| one.spec.as_ref()?.rules.as_ref()).flatten().find_map(|rule| {
            let paths = rule.http.iter().flat_map(|http| &http.paths);
            let mut services = paths.filter_map(|path| path.backend.service.as_ref());
            services.any(|service| service.name == HISTORY).then_some(rule.host.as_ref()?)
        })?;
        Some(format!("http://{host}:{port}/history/{id}/"))
    }
}

/// The id of an application that writes an event log.
fn logged(object: &Value) -> Option<&str> {
    let is_on = object["spec"]["sparkConf"]["spark.eventLog.enabled"] == "true";
    object["status"]["sparkApplicationId"].as_str().filter(|id| is_on && !id.is_empty())
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

/// An object without what the API keeps for itself.
fn shown(object: &impl serde::Serialize) -> Value {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    if let Some(meta) = value["metadata"].as_object_mut() {
        meta.remove("managedFields");
    }
    value
}

/// The row of a pod with its containers and when they ran.
fn pod_row(pod: &Pod) -> Value {
    let value = shown(pod);
    let containers = value["spec"]["containers"].as_array().into_iter().flatten();
    let names: Vec<&str> = containers.filter_map(|one| one["name"].as_str()).collect();
    let state = &value["status"]["containerStatuses"][0]["state"];
    let end = &state["terminated"]["finishedAt"];
    let begin = [&state["running"]["startedAt"], &state["terminated"]["startedAt"]];
    let begin = begin.into_iter().find(|time| time.is_string());
    let spans = json!({"containers": names, "begin": begin, "end": end, "exec": pod.labels().get(labels::EXECUTOR_ID)});
    let object: Option<DynamicObject> = serde_json::from_value(value.clone()).ok();
    json!({"row": object.map(|object| row("Pod", &object)), "more": spans})
}

/// These fields alone of each.
fn only(list: &Value, fields: &[&str]) -> Value {
    let pick = |one: &Value| -> Value {
        let had = fields.iter().filter(|field| !one[**field].is_null());
        had.map(|field| ((*field).to_owned(), one[*field].clone())).collect::<serde_json::Map<_, _>>().into()
    };
    list.as_array().into_iter().flatten().map(pick).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_drivers_said_is_kept_for_some() {
        let said = Said::default();
        for number in 0..=KEPT {
            said.keep(&number.to_string(), &json!({"jobs": [number]}));
        }
        assert_eq!(said.of("0"), None);
        assert_eq!(said.of(&KEPT.to_string()), Some(json!({"jobs": [KEPT]})));
    }

    #[test]
    fn of_what_spark_says_only_what_is_shown_is_passed_on() {
        let stages = json!([{"stageId": 1, "status": "ACTIVE", "details": "a long stack"}]);
        assert_eq!(only(&stages, &["stageId", "status", "inputBytes"]), json!([{"stageId": 1, "status": "ACTIVE"}]));
    }
}
