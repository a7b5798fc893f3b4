//! Where Spark's history server shows applications that have ended. It only says where; whether the server has read an event log
//! yet is the server's affair.

use k8s_openapi::api::networking::v1::Ingress;
use kube::api::{Api, ListParams};
use serde_json::Value;
use tinderbox_providers::{Found, Provider as _};

use crate::cluster::Cluster;
use crate::project::Project;

/// The Service of the history server. See `manifests/platform/history-server`.
const SERVICE: &str = "spark-history-server";

/// Links to these applications, those that write no event log excepted: as far as an Ingress leads to a history server in their
/// namespace, and the place serves Ingresses.
pub(crate) async fn links(project: &Project, cluster: &Cluster, applications: &[Value]) -> Vec<String> {
    let logged: Vec<(&str, &str)> = applications.iter().filter_map(logged).collect();
    if logged.is_empty() {
        return Vec::new();
    }
    let Some(port) = port(project).await else {
        return Vec::new();
    };
    let mut links = Vec::new();
    for (namespace, id) in logged {
        let all: Api<Ingress> = Api::namespaced(cluster.client.clone(), namespace);
        // A user who may not look has no link, and has lost nothing.
        let all = all.list(&ListParams::default()).await.map(|list| list.items).unwrap_or_default();
        links.extend(all.iter().find_map(host).map(|host| format!("http://{host}:{port}/history/{id}/")));
    }
    links
}

/// Namespace and id of an application that writes an event log.
fn logged(application: &Value) -> Option<(&str, &str)> {
    let id = application["status"]["sparkApplicationId"].as_str().filter(|id| !id.is_empty())?;
    let is_on = application["spec"]["sparkConf"]["spark.eventLog.enabled"] == "true";
    is_on.then_some((application["metadata"]["namespace"].as_str()?, id))
}

/// The port under which Ingresses are served on this machine.
async fn port(project: &Project) -> Option<String> {
    let Ok(Found::Running(endpoint)) = project.provider("run").ok()?.find().await else {
        return None;
    };
    endpoint.ingress?.rsplit_once(':').map(|(_, port)| port.trim_end_matches('/').to_owned())
}

/// The host under which an Ingress leads to a history server.
fn host(ingress: &Ingress) -> Option<&str> {
    let rules = ingress.spec.as_ref()?.rules.as_ref()?;
    rules.iter().find_map(|rule| {
        let mut paths = rule.http.as_ref()?.paths.iter();
        let leads = paths.any(|path| path.backend.service.as_ref().is_some_and(|service| service.name == SERVICE));
        rule.host.as_deref().filter(|_| leads)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_application_is_listed_by_its_event_log() {
        let application = |on: &str, id: &str| {
            json!({"metadata": {"namespace": "jobs", "name": "pi"}, "spec": {"sparkConf": {"spark.eventLog.enabled": on}},
                "status": {"sparkApplicationId": id}})
        };
        assert_eq!(logged(&application("true", "spark-1")), Some(("jobs", "spark-1")));
        assert_eq!(logged(&application("false", "spark-1")), None);
        assert_eq!(logged(&application("true", "")), None);
    }

    #[test]
    fn an_ingress_leads_to_the_server_by_its_host() {
        let ingress = |service: &str| -> Ingress {
            serde_json::from_value(json!({"spec": {"rules": [{"host": "history.localhost", "http": {"paths": [
                {"pathType": "Prefix", "path": "/", "backend": {"service": {"name": service, "port": {"name": "http"}}}}]}}]}}))
            .expect("an Ingress")
        };
        assert_eq!(host(&ingress(SERVICE)), Some("history.localhost"));
        assert_eq!(host(&ingress("other")), None);
    }
}
