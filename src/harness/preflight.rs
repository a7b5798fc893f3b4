//! What `run` looks at before it submits Spark applications: what the operator would refuse, accounts that are not there or lack rights,
//! schedules that cannot be read, and pods that no node is large enough for. What cannot be asked is not judged.

use std::collections::BTreeSet;

use futures::future::join_all;
use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use kube::api::{Api, ListParams};
use tinderbox_api::cron::{Schedule, zone};
use tinderbox_api::quantity::Quantity;
use tinderbox_api::spark::{ScheduledSparkApplication, SparkApplication};
use tinderbox_platform::spark::defaults::with_defaults;
use tinderbox_platform::spark::submission::{Identity, Need, needs, objects};

use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::{Event, Talk};
use crate::gitops::driver_lacks;
use crate::manifest::Object;

/// The account of pods that name none.
const DEFAULT: &str = "default";

/// Looks at what is to be submitted. What may fail is said; what will fail is an error.
///
/// # Errors
/// What cannot succeed, with file and line.
pub(crate) async fn look(cluster: &Cluster, submitted: &[Object], talk: &Talk) -> Result<(), Error> {
    let looked = join_all(submitted.iter().map(|object| one(cluster, object, submitted))).await;
    let (mut faults, mut doubts) = (Vec::new(), Vec::new());
    for (object, found) in submitted.iter().zip(looked) {
        faults.extend(found.faults.into_iter().map(|(field, why)| format!("{}: {why}", object.place_of(&field))));
        doubts.extend(found.doubts);
    }
    doubts.into_iter().for_each(|doubt| talk.tell(Event::Warning(doubt)));
    if faults.is_empty() {
        return Ok(());
    }
    let message = format!("this cannot succeed, and is not submitted:\n  {}", faults.join("\n  "));
    Err(Error::Usage { message, hint: None })
}

/// What was found at one object.
#[derive(Default)]
struct Found {
    /// What will fail, by the path of the field.
    faults: Vec<(String, String)>,
    /// What may fail.
    doubts: Vec<String>,
}

async fn one(cluster: &Cluster, object: &Object, all: &[Object]) -> Found {
    let mut found = Found::default();
    let (app, within) = match object.value["kind"].as_str() {
        Some("SparkApplication") => match serde_json::from_value::<SparkApplication>(object.value.clone()) {
            Ok(app) => (app, "spec"),
            // The API says it better.
            Err(_) => return found,
        },
        Some("ScheduledSparkApplication") => {
            let Ok(scheduled) = serde_json::from_value::<ScheduledSparkApplication>(object.value.clone()) else {
                return found;
            };
            found.faults.extend(unreadable(&scheduled));
            let mut app = SparkApplication::new(scheduled.metadata);
            app.spec = scheduled.spec.template;
            (app, "spec.template")
        }
        _ => return found,
    };
    let identity = Identity::rehearsal();
    let spec = with_defaults(&app.spec);
    let made = match objects(&app, &spec, &identity) {
        Ok(made) => made,
        Err(refusal) => {
            found.faults.push((within.to_owned(), refusal.0));
            return found;
        }
    };
    let account = made.pod.spec.and_then(|pod| pod.service_account_name).unwrap_or_else(|| DEFAULT.to_owned());
    let namespace = object.name().namespace;
    if let Some(why) = unfit(cluster, &namespace, &account, all).await {
        found.faults.push((format!("{within}.driver.serviceAccount"), why));
    }
    if let Ok(needs) = needs(&app, &spec, &identity) {
        found.doubts.extend(too_large(cluster, &object.name().to_string(), &needs).await);
    }
    found
}

/// What is wrong with the times of a schedule, by the path of the field.
fn unreadable(scheduled: &ScheduledSparkApplication) -> Vec<(String, String)> {
    let mut faults = Vec::new();
    let text = scheduled.spec.schedule.as_deref().unwrap_or_default();
    if let Err(wrong) = Schedule::parse(text) {
        faults.push(("spec.schedule".to_owned(), format!("the schedule {text:?} cannot be read: {wrong}")));
    }
    let named = scheduled.spec.time_zone.as_deref().filter(|name| !name.is_empty());
    if let Some(name) = named.filter(|name| zone(name).is_none()) {
        faults.push(("spec.timeZone".to_owned(), format!("there is no time zone {name:?}")));
    }
    faults
}

/// Why a driver cannot act as an account. What is submitted with it may bring the account, and its rights.
async fn unfit(cluster: &Cluster, namespace: &str, account: &str, all: &[Object]) -> Option<String> {
    let brought = all.iter().any(|object| {
        let name = object.name();
        name.kind == "ServiceAccount" && name.name == account && name.namespace == namespace
    });
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client.clone(), namespace);
    if !brought && matches!(accounts.get_opt(account).await, Ok(None)) {
        return Some(format!("the ServiceAccount {account} is not there in the namespace {namespace}"));
    }
    let bound = |object: &Object| {
        let subjects = object.value["subjects"].as_array().into_iter().flatten();
        subjects.into_iter().any(|subject| subject["name"] == account)
    };
    if all.iter().any(bound) {
        return None;
    }
    let lacks = driver_lacks(cluster, namespace, account).await.unwrap_or_default();
    (!lacks.is_empty()).then(|| {
        format!(
            "a driver cannot act as the ServiceAccount {account}: in the namespace {namespace} it may not {}; give it a Role that says so",
            lacks.join(", ")
        )
    })
}

/// The pods that no node there is large enough for. Nodes may come: where pools grow, they do for such a pod.
async fn too_large(cluster: &Cluster, object: &str, needs: &[Need]) -> Vec<String> {
    let nodes: Api<Node> = Api::all(cluster.client.clone());
    let Ok(nodes) = nodes.list(&ListParams::default()).await else { return Vec::new() };
    let most = |resource: &str| {
        let of = |node: &Node| {
            let allocatable = node.status.as_ref()?.allocatable.as_ref()?.get(resource)?;
            allocatable.0.parse::<Quantity>().ok()
        };
        nodes.iter().filter_map(of).max()
    };
    let (cpu, memory) = (most("cpu"), most("memory"));
    let mut told = BTreeSet::new();
    for need in needs {
        for (what, wanted, most) in [("cpu", need.cpu, cpu), ("memory", need.memory, memory)] {
            if let Some(most) = most.filter(|most| wanted > *most) {
                let part = need.part;
                told.insert(format!("{object}: its {part} asks for {wanted} {what}, and the largest node has {most}"));
            }
        }
    }
    told.into_iter().collect()
}
