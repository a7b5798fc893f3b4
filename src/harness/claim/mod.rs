//! The platform in a cluster that somebody else has made: what is brought in carries our label, what is there already is left as it is,
//! and what we may not do is known before anything is done. Where there are rights in one namespace alone, the platform fits into it.

mod others;

use std::collections::BTreeSet;

use futures::stream::{self, StreamExt, TryStreamExt};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::ResourceExt;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};
use tinderbox_providers::OWNER;

use crate::apply;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::{Event, ObjectName, Talk};
use crate::manifest::Object;

/// The label that says by what an object is looked after.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Kinds of a platform that no namespace holds, and that a namespace alone does without.
const BEYOND: [&str; 3] = ["Namespace", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"];
/// What is done with an object in its life. A patch that makes it needs the right to create.
const VERBS: [&str; 4] = ["get", "create", "patch", "delete"];
/// Questions that are under way at once.
const TOGETHER: usize = 8;

/// What is to become of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It is not there: it is made.
    Make,
    /// It is there and ours: it is brought up to date.
    Update,
    /// It is there and another's: it is left as it is.
    Leave,
}

/// The platform within one namespace: cluster-wide rights become rights there, and what is not of a namespace is left out. Definitions
/// of kinds must be there already: they are given back by name.
pub(crate) fn within(objects: Vec<Object>, namespace: &str) -> (Vec<Object>, Vec<String>) {
    let (mut inside, mut definitions) = (Vec::new(), Vec::new());
    for mut object in objects {
        let kind = object.name().kind;
        if kind == "CustomResourceDefinition" {
            definitions.push(object.name().name);
            continue;
        }
        if BEYOND.contains(&kind.as_str()) {
            continue;
        }
        let value = &mut object.value;
        match kind.as_str() {
            "ClusterRole" => value["kind"] = "Role".into(),
            "ClusterRoleBinding" => value["kind"] = "RoleBinding".into(),
            _ => {}
        }
        value["metadata"]["namespace"] = namespace.into();
        if value["kind"] == "RoleBinding" {
            value["roleRef"]["kind"] = "Role".into();
            for subject in value["subjects"].as_array_mut().into_iter().flatten() {
                if subject["kind"] == "ServiceAccount" {
                    subject["namespace"] = namespace.into();
                }
            }
        }
        inside.push(object);
    }
    (inside, definitions)
}

/// Marks an object as ours.
pub(crate) fn mark(object: &mut Value, owner: &str) {
    let labels = &mut object["metadata"]["labels"];
    if !labels.is_object() {
        *labels = json!({});
    }
    labels[OWNER] = owner.into();
    labels[MANAGED_BY] = "tinderbox".into();
}

/// What is to become of each object.
///
/// # Errors
/// When the API does not say what is there.
pub(crate) async fn plan(
    cluster: &Cluster,
    objects: &[Object],
    owner: &str,
) -> Result<Vec<(ObjectName, Claim)>, Error> {
    let looked = objects.iter().map(|object| async move { Ok((object.name(), look(cluster, object, owner).await?)) });
    stream::iter(looked).buffered(TOGETHER).try_collect().await
}

async fn look(cluster: &Cluster, object: &Object, owner: &str) -> Result<Claim, Error> {
    let name = object.name();
    let collection = match cluster.collection_of(&object.value, "default").await {
        Ok(collection) => collection,
        // Its kind comes with the platform.
        Err(Error::UnknownKind { .. }) => return Ok(Claim::Make),
        Err(error) => return Err(error.about(object)),
    };
    let found = collection.get_opt(&name.name).await.map_err(Error::api(format!("look at {name}")))?;
    Ok(match found {
        None => Claim::Make,
        Some(found) if found.labels().get(OWNER).is_some_and(|value| value == owner) => Claim::Update,
        Some(_) => Claim::Leave,
    })
}

/// Sees that everything may be done that is to be done.
///
/// # Errors
/// When a right is missing; each that is, is named.
pub(crate) async fn rights(cluster: &Cluster, objects: &[Object], restricted: bool) -> Result<(), Error> {
    let mut wanted = BTreeSet::new();
    for object in objects {
        let name = object.name();
        let text = |field: &str| object.value[field].as_str().unwrap_or_default().to_owned();
        let Ok(resource) = cluster.resource(&text("apiVersion"), &name.kind).await else {
            continue;
        };
        for verb in VERBS {
            wanted.insert((resource.api.group.clone(), resource.api.plural.clone(), name.namespace.clone(), verb));
        }
        // The process beside the cluster acts by tokens of the accounts.
        if name.kind == "ServiceAccount" {
            wanted.insert((String::new(), "serviceaccounts/token".to_owned(), name.namespace, "create"));
        }
    }
    let reviews: Api<SelfSubjectAccessReview> = Api::all(cluster.client.clone());
    let asked = wanted.into_iter().map(|(group, resource, namespace, verb)| {
        let reviews = reviews.clone();
        async move {
            let (whole, part) =
                resource.split_once('/').map_or((&*resource, None), |(whole, part)| (whole, Some(part)));
            let attributes = ResourceAttributes {
                group: Some(group.clone()),
                resource: Some(whole.to_owned()),
                subresource: part.map(str::to_owned),
                namespace: (!namespace.is_empty()).then(|| namespace.clone()),
                verb: Some(verb.to_owned()),
                ..ResourceAttributes::default()
            };
            let spec = SelfSubjectAccessReviewSpec {
                resource_attributes: Some(attributes),
                ..SelfSubjectAccessReviewSpec::default()
            };
            let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
            let answer = reviews.create(&PostParams::default(), &review).await;
            let answer = answer.map_err(Error::api("ask what this user may do"))?;
            let may = answer.status.is_some_and(|status| status.allowed);
            let group = if group.is_empty() { String::new() } else { format!(".{group}") };
            let place = if namespace.is_empty() { "cluster-wide".to_owned() } else { format!("in {namespace}") };
            Ok::<_, Error>((!may).then(|| format!("{verb} {resource}{group} {place}")))
        }
    });
    let missing: Vec<Option<String>> = stream::iter(asked).buffered(TOGETHER).try_collect().await?;
    let missing: Vec<String> = missing.into_iter().flatten().collect();
    if missing.is_empty() {
        return Ok(());
    }
    let hint = if restricted {
        "ask an administrator of the cluster for a Role with these rights"
    } else {
        "ask an administrator of the cluster for these rights, or work in one namespace with `--namespace NAME`"
    };
    Err(Error::Usage {
        message: format!("this user may not do what `up` must do: {}", missing.join("; ")),
        hint: Some(hint.to_owned()),
    })
}

/// Sees that kinds are defined that we may not define.
///
/// # Errors
/// When one is not; with the command for those who may.
pub(crate) async fn defined(cluster: &Cluster, definitions: &[String]) -> Result<(), Error> {
    let ask = "ask what kinds there are";
    let groups = cluster.client.list_api_groups().await.map_err(Error::api(ask))?;
    let mut known = BTreeSet::new();
    for group in groups.groups {
        let end = format!(".{}", group.name);
        if !definitions.iter().any(|name| name.ends_with(&end)) {
            continue;
        }
        for version in &group.versions {
            let served =
                cluster.client.list_api_group_resources(&version.group_version).await.map_err(Error::api(ask))?;
            known.extend(served.resources.into_iter().map(|resource| resource.name + &end));
        }
    }
    let missing: Vec<&str> = definitions.iter().filter(|name| !known.contains(*name)).map(String::as_str).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::Usage {
        message: format!("the cluster lacks definitions that one namespace cannot bring: {}", missing.join(", ")),
        hint: Some(
            "an administrator of the cluster makes them once: `kubectl apply --server-side -f manifests/platform/spark-operator/crds -f \
             manifests/platform/argo-workflows/crds`"
                .to_owned(),
        ),
    })
}

/// Applies what is not there and what is ours; what is another's is left, and told.
///
/// # Errors
/// When the API rejects an object; those before it stay applied.
pub(crate) async fn apply(cluster: &Cluster, objects: &[Object], owner: &str, talk: &Talk) -> Result<(), Error> {
    for object in objects {
        if look(cluster, object, owner).await? == Claim::Leave {
            talk.tell(Event::Note(format!("{} is there already, and not ours: it stays as it is", object.name())));
            continue;
        }
        apply::apply(cluster, std::slice::from_ref(object), "default", talk).await?;
    }
    Ok(())
}

/// Removes what is ours, the last first; gives what stays because it is another's.
///
/// # Errors
/// When the API refuses.
pub(crate) async fn remove(cluster: &Cluster, objects: &[Object], owner: &str) -> Result<Vec<String>, Error> {
    let mut left = Vec::new();
    for object in objects.iter().rev() {
        let name = object.name();
        let collection = match cluster.collection_of(&object.value, "default").await {
            Ok(collection) => collection,
            // With its definition it is gone too.
            Err(Error::UnknownKind { .. }) => continue,
            Err(error) => return Err(error),
        };
        let found = match collection.get_opt(&name.name).await {
            Ok(Some(found)) => found,
            Ok(None) => continue,
            Err(kube::Error::Api(status)) if status.code == 403 => {
                left.push(format!("{name} was not looked for: this user may not get it"));
                continue;
            }
            Err(error) => return Err(Error::api(format!("look at {name}"))(error)),
        };
        if found.labels().get(OWNER).is_none_or(|value| value != owner) {
            left.push(format!("{name} stays: it was there before"));
            continue;
        }
        let others = match name.kind.as_str() {
            "CustomResourceDefinition" => others::of_kind(cluster, &found, owner).await?,
            "Namespace" => others::within(cluster, &name.name, owner).await?,
            _ => Vec::new(),
        };
        match others.first() {
            None => apply::remove(cluster, &found, &object.value, "default").await?,
            Some(first) => {
                left.push(format!("{name} stays: what would go with it is not all ours ({}, as {first})", others.len()))
            }
        }
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Object {
        Object { value, origin: "x".into(), place: None }
    }

    #[test]
    fn a_platform_fits_into_one_namespace() {
        let role = json!({"kind": "ClusterRole", "metadata": {"name": "operator"}, "rules": []});
        let binding = json!({
            "kind": "ClusterRoleBinding", "metadata": {"name": "operator"}, "roleRef": {"kind": "ClusterRole", "name": "operator"},
            "subjects": [{"kind": "ServiceAccount", "name": "operator", "namespace": "platform"}],
        });
        let account = json!({"kind": "ServiceAccount", "metadata": {"name": "operator", "namespace": "platform"}});
        let definition = json!({"kind": "CustomResourceDefinition", "metadata": {"name": "things.example.com"}});
        let namespace = json!({"kind": "Namespace", "metadata": {"name": "platform"}});
        let all = [namespace, definition, account, role, binding].map(object).to_vec();
        let (inside, definitions) = within(all, "mine");
        assert_eq!(definitions, ["things.example.com"]);
        let names: Vec<String> = inside.iter().map(|one| format!("{}/{}", one.name().namespace, one.name())).collect();
        assert_eq!(names, ["mine/serviceaccount/operator", "mine/role/operator", "mine/rolebinding/operator"]);
        assert_eq!(inside[2].value["roleRef"]["kind"], "Role");
        assert_eq!(inside[2].value["subjects"][0]["namespace"], "mine");
    }

    #[test]
    fn what_is_ours_carries_two_labels() {
        let mut account = json!({"kind": "ServiceAccount", "metadata": {"name": "a", "labels": {"b": "c"}}});
        mark(&mut account, "local-abc");
        assert_eq!(
            account["metadata"]["labels"],
            json!({"b": "c", "tinderbox.dev/owner": "local-abc", "app.kubernetes.io/managed-by": "tinderbox"})
        );
    }
}
