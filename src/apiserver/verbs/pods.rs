//! What can be done to pods alone: binding to a node, and eviction within what disruption budgets allow.
//! Upstream rule: k8s.io/kubernetes `pkg/registry/core/pod/storage`.

use serde_json::{Value, json};
use tinderbox_api::selector::LabelSelector;

use super::delete::{DeleteOptions, remove};
use crate::admission::{self, Asked, Operation};
use crate::call::{Call, WriteOptions};
use crate::codec;
use crate::error::{ApiError, FieldError};
use crate::object::{self, is_deleting, text};
use crate::respond::{Reply, success};
use crate::write::{self, Scope};

/// Assigns a pod to the node that the body names.
pub(crate) async fn bind(call: &Call, mut body: Value) -> Result<Reply, ApiError> {
    let options = WriteOptions::of(call)?;
    let asked = Asked::write(call, Operation::Create, &call.path.name, &options);
    admission::review(&asked, Some(&mut body), None).await?;
    let node = text(&body, &["target", "name"]);
    if node.is_empty() {
        let error = FieldError::required("target.name", "");
        return Err(ApiError::invalid("", "Binding", &call.path.name, &[error]));
    }
    let wanted_uid = text(&body, &["metadata", "uid"]);
    let now = object::seconds(call.api.now());
    write::change(call, &options, Scope::Inner, |old| {
        let uid = text(old, &["metadata", "uid"]);
        if !wanted_uid.is_empty() && wanted_uid != uid {
            return Err(call.conflict(&format!(
                "Precondition failed: UID in precondition: {wanted_uid}, UID in object meta: {uid}"
            )));
        }
        let refuse = |text: String| Err(ApiError::conflict("", "pods/binding", &call.path.name, &text));
        let name = &call.path.name;
        if is_deleting(old) {
            return refuse(format!("pod {name} is being deleted, cannot be assigned to a host"));
        }
        let assigned = text(old, &["spec", "nodeName"]);
        if !assigned.is_empty() {
            return refuse(format!("pod {name} is already assigned to node \"{assigned}\""));
        }
        if old["spec"]["schedulingGates"].as_array().is_some_and(|gates| !gates.is_empty()) {
            return refuse(format!("pod {name} has non-empty .spec.schedulingGates"));
        }
        let mut new = old.clone();
        new["spec"]["nodeName"] = node.into();
        for field in ["labels", "annotations"] {
            if let Some(more) = body["metadata"][field].as_object() {
                for (key, value) in more {
                    new["metadata"][field][key] = value.clone();
                }
            }
        }
        object::set_condition(
            &mut new,
            json!({"type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": now}),
        );
        Ok(new)
    })
    .await?;
    Ok(Reply::Object(201, success(&Value::Null), Vec::new()))
}

/// Deletes a pod if no disruption budget forbids it.
pub(crate) async fn evict(call: &Call, mut body: Value) -> Result<Reply, ApiError> {
    let write = WriteOptions::of(call)?;
    let asked = Asked::write(call, Operation::Create, &call.path.name, &write);
    admission::review(&asked, Some(&mut body), None).await?;
    let mut options = DeleteOptions::of(call, &body["deleteOptions"])?;
    options.dry_run |= write.dry_run;
    options.admitted = true;
    let stored = call.stored()?;
    let pod = codec::decode(&stored);
    let bound_by_budget =
        !is_deleting(&pod) && !matches!(text(&pod, &["status", "phase"]), "Pending" | "Succeeded" | "Failed");
    if bound_by_budget {
        spend(call, &pod, options.dry_run).await?;
    }
    let pods = call.of_object();
    remove(&pods, &call.path.name, &options).await?;
    Ok(Reply::Object(201, success(&Value::Null), Vec::new()))
}

/// Takes one disruption from the budget of a pod.
async fn spend(call: &Call, pod: &Value, dry_run: bool) -> Result<(), ApiError> {
    let Some(budgets) = call.api.registry().find("policy", "v1", "poddisruptionbudgets") else {
        return Ok(());
    };
    let namespace = call.path.namespace.as_str();
    let list = call.api.store().list(&budgets.collection, Some(namespace), None, 0);
    let covers = |budget: &Value| {
        let selector = &budget["spec"]["selector"];
        selector.is_object() && LabelSelector::from_object(selector).is_ok_and(|one| one.matches_object(pod))
    };
    let mut covering = list.items.iter().map(|budget| codec::decode(budget)).filter(covers);
    let Some(budget) = covering.next() else {
        return Ok(());
    };
    if covering.next().is_some() {
        return Err(ApiError::internal(
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
        ));
    }
    let name = text(&budget, &["metadata", "name"]).to_owned();
    let healthy = object::condition(pod, "Ready") == Some("True");
    let of_unhealthy = text(&budget, &["spec", "unhealthyPodEvictionPolicy"]);
    let status = &budget["status"];
    let enough = status["currentHealthy"].as_i64().unwrap_or(0) >= status["desiredHealthy"].as_i64().unwrap_or(0);
    if !healthy && (of_unhealthy == "AlwaysAllow" || enough && status["desiredHealthy"].as_i64().unwrap_or(0) > 0) {
        return Ok(());
    }
    let mut of_budget = call.api.internal(budgets, namespace, &name);
    of_budget.path.subresource = "status".to_owned();
    let options = WriteOptions { dry_run, manager: call.agent.clone(), ..WriteOptions::default() };
    let now = object::seconds(call.api.now());
    write::change(&of_budget, &options, Scope::Status, |old| {
        let status = &old["status"];
        let allowed = status["disruptionsAllowed"].as_i64().unwrap_or(0);
        let behind =
            status["observedGeneration"].as_i64().unwrap_or(0) < old["metadata"]["generation"].as_i64().unwrap_or(0);
        if behind || allowed <= 0 {
            return Err(forbidden(&name, old, behind));
        }
        let mut new = old.clone();
        new["status"]["disruptionsAllowed"] = (allowed - 1).into();
        new["status"]["disruptedPods"][&call.path.name] = now.clone();
        Ok(new)
    })
    .await?;
    Ok(())
}

fn forbidden(name: &str, budget: &Value, behind: bool) -> ApiError {
    let mut error = ApiError::too_many_requests("Cannot evict pod as it would violate the pod's disruption budget.");
    let status = &budget["status"];
    let number = |field: &str| status[field].as_i64().unwrap_or(0);
    let cause = if behind {
        format!("The disruption budget {name} is still being processed by the server.")
    } else {
        format!(
            "The disruption budget {name} needs {} healthy pods and has {} currently",
            number("desiredHealthy"),
            number("currentHealthy")
        )
    };
    error.details = json!({"causes": [{"reason": "DisruptionBudget", "message": cause}]});
    error
}
