//! Accounts may do what is done in their name: by drivers of Spark, and by workflows. The API server is asked.

use futures::future::try_join_all;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::{Api, PostParams};
use serde_json::Value;
use tinderbox_api::spark::DRIVER_RIGHTS;

use super::{Fault, Seen, pods};
use crate::cluster::Cluster;
use crate::error::Error;

/// What pods of workflows report by, where the upstream controller runs.
const REPORT: (&str, &str, &[&str]) = ("argoproj.io", "workflowtaskresults", &["create", "patch"]);

/// A right that an account must have.
struct Right {
    field: String,
    namespace: String,
    account: String,
    group: String,
    resource: String,
    verb: &'static str,
}

/// What accounts may not do and must.
///
/// # Errors
/// When the API server does not answer.
pub(super) async fn check(cluster: &Cluster, seen: &Seen<'_>) -> Result<Vec<Fault>, Error> {
    let mut faults: Vec<Fault> = Vec::new();
    let mut missing: Vec<(String, String, Vec<String>)> = Vec::new();
    for right in rights(cluster, seen).await {
        if may(cluster, &right).await? {
            continue;
        }
        let group = if right.group.is_empty() { String::new() } else { format!(".{}", right.group) };
        let word = format!("{} {}{group}", right.verb, right.resource);
        let who = format!("{} in {}", right.account, right.namespace);
        match missing.iter_mut().find(|(field, account, _)| *field == right.field && *account == who) {
            Some((.., words)) => words.push(word),
            None => missing.push((right.field, who, vec![word])),
        }
    }
    for (field, who, words) in missing {
        let message = format!("the ServiceAccount {who} may not {}", words.join(", "));
        faults.push(seen.fault(&field, "allowed", message));
    }
    Ok(faults)
}

async fn rights(cluster: &Cluster, seen: &Seen<'_>) -> Vec<Right> {
    let value = &seen.object.value;
    let mut all = Vec::new();
    let mut need =
        |field: &str, namespace: &str, account: &str, (group, resource, verbs): (&str, &str, &[&'static str])| {
            all.extend(verbs.iter().map(|verb| Right {
                field: field.to_owned(),
                namespace: namespace.to_owned(),
                account: account.to_owned(),
                group: group.to_owned(),
                resource: resource.to_owned(),
                verb,
            }));
        };
    match seen.kind() {
        "SparkApplication" | "ScheduledSparkApplication" => {
            let driver = pods::of(value).into_iter().find(|pod| pod.path.ends_with(".driver"));
            if let Some((field, account)) = driver.and_then(|driver| driver.account) {
                for (resource, verbs) in DRIVER_RIGHTS {
                    need(&field, seen.namespace(), account, ("", resource, verbs));
                }
            }
        }
        "Workflow" | "WorkflowTemplate" | "CronWorkflow" => {
            for step in pods::of(value) {
                let Some((field, account)) = &step.account else { continue };
                need(field, seen.namespace(), account, REPORT);
                let Some(made) = made(step.fields) else { continue };
                let text = |field: &str| made[field].as_str().unwrap_or_default();
                let Ok(resource) = cluster.resource(text("apiVersion"), text("kind")).await else { continue };
                let verbs: &[&str] = match step.fields["resource"]["action"].as_str().unwrap_or_default() {
                    "create" => &["create", "get"],
                    "apply" | "patch" => &["get", "create", "patch"],
                    "delete" => &["delete"],
                    _ => &["get"],
                };
                need(field, seen.namespace(), account, (&resource.api.group, &resource.api.plural, verbs));
                let within = made["metadata"]["namespace"].as_str().unwrap_or(seen.namespace()).to_owned();
                let driver = pods::of(&made).into_iter().find(|pod| pod.path.ends_with(".driver"));
                if let Some((_, account)) = driver.and_then(|driver| driver.account) {
                    let field = format!("{}.resource.manifest", step.path);
                    for (resource, verbs) in DRIVER_RIGHTS {
                        need(&field, &within, account, ("", resource, verbs));
                    }
                }
            }
        }
        _ => {}
    }
    all
}

/// The object that a resource template makes, where it can be read before its parameters are put in.
pub(super) fn made(template: &Value) -> Option<Value> {
    let text = template["resource"]["manifest"].as_str()?;
    let mut documents = tinderbox_api::manifest::load(text).ok()?;
    (!documents.is_empty()).then(|| documents.remove(0).value)
}

/// What an account may not do in its namespace that a driver does, each as `create pods`.
///
/// # Errors
/// When the API does not answer, or does not tell.
pub(crate) async fn driver_lacks(cluster: &Cluster, namespace: &str, account: &str) -> Result<Vec<String>, Error> {
    let all = DRIVER_RIGHTS.iter().flat_map(|(resource, verbs)| verbs.iter().map(move |verb| (*resource, *verb)));
    let asked = all.map(|(resource, verb)| async move {
        let right = Right {
            field: String::new(),
            namespace: namespace.to_owned(),
            account: account.to_owned(),
            group: String::new(),
            resource: resource.to_owned(),
            verb,
        };
        Ok::<_, Error>((!may(cluster, &right).await?).then(|| format!("{verb} {resource}")))
    });
    Ok(try_join_all(asked).await?.into_iter().flatten().collect())
}

async fn may(cluster: &Cluster, right: &Right) -> Result<bool, Error> {
    let reviews: Api<SubjectAccessReview> = Api::all(cluster.client.clone());
    let attributes = ResourceAttributes {
        group: Some(right.group.clone()),
        resource: Some(right.resource.clone()),
        namespace: Some(right.namespace.clone()),
        verb: Some(right.verb.to_owned()),
        ..ResourceAttributes::default()
    };
    let all = "system:serviceaccounts".to_owned();
    let spec = SubjectAccessReviewSpec {
        user: Some(format!("system:serviceaccount:{}:{}", right.namespace, right.account)),
        groups: Some(vec![format!("{all}:{}", right.namespace), all, "system:authenticated".to_owned()]),
        resource_attributes: Some(attributes),
        ..SubjectAccessReviewSpec::default()
    };
    let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
    let answer = reviews.create(&PostParams::default(), &review).await;
    let answer = answer.map_err(Error::api(format!("ask what {} may do", right.account)))?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}
