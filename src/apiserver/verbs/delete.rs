//! Delete: at once, gracefully, or when the last finalizer is gone. Upstream rule: k8s.io/apiserver
//! `pkg/registry/rest/delete.go` and `pkg/registry/generic/registry/store.go`. Dependents are the garbage collector's.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tinderbox_store::{Stored, WriteError};

use crate::admission::{self, Asked};
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::object::{self, finalizers, is_deleting, meta, text};
use crate::resource::Resource;
use crate::respond::{Reply, success};
use crate::{codec, write};

/// Finalizer of an object whose dependents are deleted first.
const FOREGROUND: &str = "foregroundDeletion";
/// Finalizer of an object whose dependents are to be left alone.
const ORPHAN: &str = "orphan";
/// Namespaces that stay.
const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];
/// Grace of a pod that names none.
const POD_GRACE: i64 = 30;

/// How to delete.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DeleteOptions {
    grace: Option<i64>,
    policy: Option<Policy>,
    uid: Option<String>,
    revision: Option<String>,
    pub(crate) dry_run: bool,
    /// Nobody has to be asked any more.
    pub(crate) admitted: bool,
    /// What the client said.
    pub(crate) told: Value,
}

/// What becomes of dependents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Policy {
    Orphan,
    Background,
    Foreground,
}

/// What a delete comes to.
#[derive(Debug, PartialEq)]
enum Plan {
    /// The object goes now.
    Remove,
    /// The object stays, marked so.
    Mark(Value),
    /// Deletion is under way already.
    Wait,
}

impl DeleteOptions {
    /// Reads body and query.
    pub(crate) fn of(call: &Call, body: &Value) -> Result<Self, ApiError> {
        let params = &call.params;
        let grace = match (&body["gracePeriodSeconds"], params.get("gracePeriodSeconds")) {
            (Value::Null, None) => None,
            (Value::Null, Some(text)) => Some(
                text.parse()
                    .map_err(|_| ApiError::bad_request(format!("gracePeriodSeconds: Invalid value: \"{text}\"")))?,
            ),
            (value, _) => value.as_i64(),
        };
        let policy = body["propagationPolicy"].as_str().or(params.get("propagationPolicy"));
        let orphans = body["orphanDependents"]
            .as_bool()
            .or_else(|| params.get("orphanDependents").map(|_| params.flag("orphanDependents")));
        let policy = match (policy, orphans) {
            (None, None) => None,
            (None, Some(true)) | (Some("Orphan"), _) => Some(Policy::Orphan),
            (None, Some(false)) | (Some("Background"), _) => Some(Policy::Background),
            (Some("Foreground"), _) => Some(Policy::Foreground),
            (Some(other), _) => {
                return Err(ApiError::bad_request(format!(
                    "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: \"{other}\": supported values: \"Background\", \"Foreground\", \"Orphan\""
                )));
            }
        };
        let texts = body["dryRun"].as_array().into_iter().flatten();
        let dry = call::dry_run(texts.filter_map(Value::as_str).chain(params.all("dryRun")))?;
        let precondition = |field: &str| body["preconditions"][field].as_str().map(str::to_owned);
        let mut told = body.clone();
        if let Some(fields) = told.as_object_mut() {
            fields.insert("kind".to_owned(), "DeleteOptions".into());
            fields.insert("apiVersion".to_owned(), "meta.k8s.io/v1".into());
        }
        Ok(Self {
            grace,
            policy,
            uid: precondition("uid"),
            revision: precondition("resourceVersion"),
            dry_run: dry,
            admitted: false,
            told,
        })
    }

    /// Options that delete an object of this uid at once or gracefully, as asked.
    pub(crate) fn check(&self, call: &Call, name: &str, object: &Value) -> Result<(), ApiError> {
        let conflict = |text: &str| Err(ApiError::conflict(&call.resource.group, &call.resource.plural, name, text));
        let uid = meta(object, "uid");
        if let Some(wanted) = self.uid.as_deref().filter(|wanted| *wanted != uid) {
            return conflict(&format!("Precondition failed: UID in precondition: {wanted}, UID in object meta: {uid}"));
        }
        let revision = meta(object, "resourceVersion");
        if let Some(wanted) = self.revision.as_deref().filter(|wanted| *wanted != revision) {
            return conflict(&format!(
                "Precondition failed: ResourceVersion in precondition: {wanted}, ResourceVersion in object meta: {revision}"
            ));
        }
        Ok(())
    }
}

/// Deletes the object that the path names.
pub(crate) async fn delete(call: &Call, body: Value) -> Result<Reply, ApiError> {
    if !call.path.subresource.is_empty() {
        return Err(ApiError::method_not_allowed());
    }
    let options = DeleteOptions::of(call, &body)?;
    let (object, gone) = remove(call, &call.path.name, &options).await?;
    if gone && !call.resource.returns_deleted {
        let details = json!({"name": call.path.name, "group": *call.resource.group, "kind": *call.resource.plural, "uid": meta(&object, "uid")});
        return Ok(Reply::ok(success(&details)));
    }
    Ok(Reply::ok(object))
}

/// Deletes one object of the call's collection; says what it was last, and whether it is gone.
pub(crate) async fn remove(call: &Call, name: &str, options: &DeleteOptions) -> Result<(Value, bool), ApiError> {
    let resource = &call.resource;
    if resource.is("", "namespaces") && IMMORTAL.contains(&name) {
        let refusal = "this namespace may not be deleted";
        return Err(ApiError::forbidden(("", "namespaces"), name, refusal));
    }
    let key = call.key_of(name);
    loop {
        let stored =
            call.api.store().get(&key).ok_or_else(|| ApiError::not_found(&resource.group, &resource.plural, name))?;
        let object = codec::decode(&stored);
        options.check(call, name, &object)?;
        if !options.admitted {
            // A collection is deleted without a name.
            let asked = Asked::delete(call, &call.path.name, options);
            if admission::intercepts(&asked) {
                let old = call.served(&stored).await?;
                admission::review(&asked, None, Some(&old)).await?;
            }
        }
        let done = match plan(resource, &object, options, call.api.now()) {
            Plan::Wait => return Ok((call.served(&stored).await?, false)),
            Plan::Remove if options.dry_run => return Ok((call.served(&stored).await?, true)),
            Plan::Remove => write::erase(call, &stored).await.map(|last| (last, true)),
            Plan::Mark(marked) if options.dry_run => {
                let marked = Stored { bytes: codec::encode(&marked), ..(*stored).clone() };
                return Ok((call.served(&Arc::new(marked)).await?, false));
            }
            Plan::Mark(marked) => mark(call, &stored, &marked).await.map(|marked| (marked, false)),
        };
        match done {
            Ok((last, gone)) => return Ok((call.served(&last).await?, gone)),
            Err(WriteError::Conflict(_)) => {}
            Err(WriteError::Missing) => {
                return Err(ApiError::not_found(&resource.group, &resource.plural, name));
            }
            Err(error) => return Err(write::failed(&error)),
        }
    }
}

async fn mark(call: &Call, stored: &Arc<Stored>, marked: &Value) -> Result<Arc<Stored>, WriteError> {
    let key = &stored.key;
    let bytes = codec::encode(marked);
    let stored = call.api.store().update(key, stored.revision, bytes).await?;
    write::after(call, &stored);
    Ok(stored)
}

fn plan(resource: &Resource, object: &Value, options: &DeleteOptions, now: Timestamp) -> Plan {
    let mut marked = object.clone();
    let kept = kept_finalizers(object, options.policy);
    let changed = kept != finalizers(object);
    if changed {
        if kept.is_empty() {
            object::remove_meta(&mut marked, "finalizers");
        } else {
            marked["metadata"]["finalizers"] = json!(kept);
        }
    }
    let is_pod = resource.is("", "pods");
    let is_namespace = resource.is("", "namespaces");
    let held = !kept.is_empty() || (is_namespace && !write::spec_finalizers(object).is_empty());
    let grace = if is_pod { pod_grace(object, options.grace) } else { 0 };
    if !is_deleting(object) {
        if !held && grace == 0 {
            return Plan::Remove;
        }
        let at = now.saturating_add(SignedDuration::from_secs(grace)).unwrap_or(now);
        marked["metadata"]["deletionTimestamp"] = object::seconds(at);
        if is_namespace {
            marked["status"]["phase"] = "Terminating".into();
        } else {
            marked["metadata"]["deletionGracePeriodSeconds"] = grace.into();
        }
        if let Some(generation) = object["metadata"]["generation"].as_i64() {
            marked["metadata"]["generation"] = (generation + 1).into();
        }
        return Plan::Mark(marked);
    }
    let before = object["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or(0);
    let shorter = is_pod && options.grace.is_some() && grace < before;
    let grace = if shorter { grace } else { before };
    if grace == 0 && !held {
        return Plan::Remove;
    }
    if shorter {
        let at = meta(object, "deletionTimestamp").parse().unwrap_or(now);
        let at = at.saturating_add(SignedDuration::from_secs(grace - before)).unwrap_or(now);
        marked["metadata"]["deletionTimestamp"] = object::seconds(at);
        marked["metadata"]["deletionGracePeriodSeconds"] = grace.into();
        return Plan::Mark(marked);
    }
    if changed { Plan::Mark(marked) } else { Plan::Wait }
}

/// Seconds that a pod may still run: none where no node runs it or it has ended.
fn pod_grace(pod: &Value, asked: Option<i64>) -> i64 {
    let ended = matches!(text(pod, &["status", "phase"]), "Succeeded" | "Failed");
    if text(pod, &["spec", "nodeName"]).is_empty() || ended {
        return 0;
    }
    let own = pod["spec"]["terminationGracePeriodSeconds"].as_i64();
    match asked.or(own).unwrap_or(POD_GRACE) {
        negative if negative < 0 => 1,
        grace => grace,
    }
}

fn kept_finalizers(object: &Value, policy: Option<Policy>) -> Vec<&str> {
    let mut kept = finalizers(object);
    if let Some(policy) = policy {
        kept.retain(|one| *one != FOREGROUND && *one != ORPHAN);
        match policy {
            Policy::Orphan => kept.push(ORPHAN),
            Policy::Foreground => kept.push(FOREGROUND),
            Policy::Background => {}
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Registry;

    fn pod(more: Value) -> Value {
        let mut pod = json!({"metadata": {"name": "p", "uid": "u"}, "spec": {"nodeName": "n", "terminationGracePeriodSeconds": 5}});
        json_patch::merge(&mut pod, &more);
        pod
    }

    fn planned(plural: &str, object: &Value, options: &DeleteOptions) -> Plan {
        let resource = Registry::default().find("", "v1", plural).unwrap();
        plan(&resource, object, options, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn pods_get_their_grace_and_no_second_one() {
        let default = DeleteOptions::default();
        let Plan::Mark(marked) = planned("pods", &pod(json!({})), &default) else { panic!("not marked") };
        assert_eq!(marked["metadata"]["deletionTimestamp"], "1970-01-01T00:00:05Z");
        assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 5);
        assert_eq!(planned("pods", &marked, &default), Plan::Wait);
        let with = |grace| DeleteOptions { grace: Some(grace), ..DeleteOptions::default() };
        assert_eq!(planned("pods", &marked, &with(9)), Plan::Wait);
        assert_eq!(planned("pods", &marked, &with(0)), Plan::Remove);
        let Plan::Mark(sooner) = planned("pods", &marked, &with(2)) else { panic!("not marked") };
        assert_eq!(sooner["metadata"]["deletionTimestamp"], "1970-01-01T00:00:02Z");
    }

    #[test]
    fn what_no_node_runs_goes_at_once() {
        let default = DeleteOptions::default();
        let unscheduled = pod(json!({"spec": {"nodeName": null}}));
        assert_eq!(planned("pods", &unscheduled, &default), Plan::Remove);
        let ended = pod(json!({"status": {"phase": "Failed"}}));
        assert_eq!(planned("pods", &ended, &default), Plan::Remove);
        let held = pod(json!({"status": {"phase": "Failed"}, "metadata": {"finalizers": ["a/b"]}}));
        assert!(matches!(planned("pods", &held, &default), Plan::Mark(_)));
    }

    #[test]
    fn policies_are_finalizers() {
        let map = json!({"metadata": {"name": "c", "finalizers": ["orphan", "a/b"]}});
        for (policy, kept) in [
            (None, vec!["orphan", "a/b"]),
            (Some(Policy::Background), vec!["a/b"]),
            (Some(Policy::Foreground), vec!["a/b", "foregroundDeletion"]),
            (Some(Policy::Orphan), vec!["a/b", "orphan"]),
        ] {
            assert_eq!(kept_finalizers(&map, policy), kept);
        }
        let namespace = json!({"metadata": {"name": "n"}, "spec": {"finalizers": ["kubernetes"]}});
        let Plan::Mark(marked) = planned("namespaces", &namespace, &DeleteOptions::default()) else {
            panic!("not marked")
        };
        assert_eq!(marked["status"]["phase"], "Terminating");
    }
}
