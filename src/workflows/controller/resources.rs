//! Objects that nodes ask for: made, changed and looked at with the rights of the account that the workflow's pods have, and no
//! others. An object carries the node that it was made for, so that a controller that starts anew finds it instead of making it
//! twice.

use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::core::{DynamicObject, GroupVersionKind, Request, discovery::ApiResource};
use kube::discovery::{Discovery, Scope, pinned_kind};
use kube::{Client, Resource, ResourceExt};
use serde_json::{Value, json};
use tinderbox_api::workflows::{Workflow, labels};
use tinderbox_client::error::Doing;
use tinderbox_client::{Error, ObjectKey, Result};

use super::{View, hold};
use crate::names::fnv32a;
use crate::view::{Observed, ResourceRequest, ResourceView};

/// The annotation that says which node an object was made for.
const MADE_FOR: &str = "tinderbox.dev/made-for";
/// The name under which objects are written.
const MANAGER: &str = "argo-workflows";

/// An object that was asked for: where it is, or why not.
#[derive(Debug, Clone)]
pub(super) enum Handle {
    At(Target),
    Refused(String),
}

/// Where an object is, and with whose rights it is looked at.
#[derive(Debug, Clone)]
pub(super) struct Target {
    resource: ApiResource,
    namespace: Option<String>,
    name: String,
    user: String,
}

impl Target {
    fn request(&self) -> Request {
        Request::new(DynamicObject::url_path(&self.resource, self.namespace.as_deref()))
    }

    fn describe(&self, verb: &str) -> String {
        format!("{verb} {} {} as {}", self.resource.plural, self.name, self.user)
    }
}

impl View {
    /// Looks at the objects of nodes that are not over.
    pub(super) async fn observe_resources(&self, workflow: &Workflow, observed: &mut Observed) -> Result<()> {
        let key = ObjectKey::of(workflow);
        for node in workflow.status.iter().flat_map(|status| status.nodes.values()) {
            if node.phase.is_fulfilled() {
                hold(&self.handles).remove(&(key.clone(), node.id.clone()));
                continue;
            }
            let handle = hold(&self.handles).get(&(key.clone(), node.id.clone())).cloned();
            let view = match handle {
                None => continue,
                Some(Handle::Refused(why)) => ResourceView { refused: Some(why), object: None },
                Some(Handle::At(target)) => ResourceView { refused: None, object: self.look(&target).await? },
            };
            observed.resources.insert(node.id.clone(), view);
        }
        Ok(())
    }

    async fn look(&self, target: &Target) -> Result<Option<Value>> {
        let request = target.request().get(&target.name, &Default::default());
        let request = request.map_err(kube::Error::BuildRequest).doing(|| target.describe("get"))?;
        match send(&self.client, request, target, "get").await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Does what a node asks for, and remembers where it is done.
    pub(super) async fn ask_for(&self, workflow: &Workflow, request: &ResourceRequest) -> Result<()> {
        let handle = match self.carry(workflow, request).await {
            Ok(target) => Handle::At(target),
            Err(error)
                if error.status().is_none_or(|status| status.code < 500 && status.code != 429)
                    && !is_offline(&error) =>
            {
                Handle::Refused(error.message())
            }
            Err(error) => return Err(error),
        };
        hold(&self.handles).insert((ObjectKey::of(workflow), request.node_id.clone()), handle);
        Ok(())
    }

    async fn carry(&self, workflow: &Workflow, request: &ResourceRequest) -> Result<Target> {
        let resource = &request.resource;
        let namespace = workflow.namespace().unwrap_or_default();
        let user = format!("system:serviceaccount:{namespace}:{}", request.service_account);
        let text = resource.manifest.clone().unwrap_or_default();
        let mut object: Value = serde_yaml::from_str(&text)
            .map_err(|error| Error::Invalid(format!("the manifest of {} is no YAML: {error}", request.node_id)))?;
        let mut target = match object["kind"].as_str() {
            Some(_) => self.target_of(&object, &namespace, &user).await?,
            None => self.target_in_flags(&resource.flags, &namespace, &user).await?,
        };
        let mark = mark(workflow, &request.node_id);
        if target.name.is_empty() {
            let prefix = object["metadata"]["generateName"].as_str().unwrap_or_default();
            if prefix.is_empty() {
                return Err(Error::Invalid(format!(
                    "the object that {} asks for has neither name nor generateName",
                    request.node_id
                )));
            }
            target.name = format!("{prefix}{:08x}", fnv32a(&mark));
            object["metadata"]["name"] = json!(target.name);
        }
        if matches!(resource.action.as_str(), "create" | "apply" | "replace") {
            object["metadata"]["annotations"][MADE_FOR] = json!(mark);
            if resource.set_owner_reference == Some(true) {
                let mut owners = object["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default();
                owners.push(json!(workflow.owner_ref(&())));
                object["metadata"]["ownerReferences"] = owners.into();
            }
        }
        self.write(&target, resource.action.as_str(), resource.merge_strategy.as_deref(), &object, &mark).await?;
        Ok(target)
    }

    async fn write(
        &self,
        target: &Target,
        action: &str,
        strategy: Option<&str>,
        object: &Value,
        mark: &str,
    ) -> Result<()> {
        let path = target.request();
        let post = PostParams { dry_run: false, field_manager: Some(MANAGER.to_owned()) };
        let patching = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let name = target.name.as_str();
        let encode = |object: &Value| serde_json::to_vec(object).doing(|| target.describe(action));
        let request = match action {
            "get" => path.get(name, &Default::default()),
            "create" => path.create(&post, encode(object)?),
            "apply" => path.patch(name, &patching.force(), &Patch::Apply(object)),
            "delete" => path.delete(name, &DeleteParams::background()),
            "replace" => {
                let have = self.look(target).await?.unwrap_or_default();
                let mut object = object.clone();
                object["metadata"]["resourceVersion"] = have["metadata"]["resourceVersion"].clone();
                path.replace(name, &post, encode(&object)?)
            }
            "patch" => match strategy {
                Some("merge") => path.patch(name, &patching, &Patch::Merge(object)),
                Some("json") => {
                    let patch = serde_json::from_value(object.clone()).doing(|| target.describe("patch"))?;
                    path.patch(name, &patching, &Patch::<Value>::Json(patch))
                }
                _ => path.patch(name, &patching, &Patch::Strategic(object)),
            },
            other => {
                return Err(Error::Invalid(format!(
                    "{other:?} is no action: use get, create, apply, delete, replace or patch"
                )));
            }
        };
        let request = request.map_err(kube::Error::BuildRequest).doing(|| target.describe(action))?;
        match send(&self.client, request, target, action).await {
            Ok(_) => Ok(()),
            Err(error) if action == "delete" && error.is_not_found() => Ok(()),
            Err(error) if action == "create" && error.is_already_exists() => {
                let have = self.look(target).await?.unwrap_or_default();
                if have["metadata"]["annotations"][MADE_FOR] == mark { Ok(()) } else { Err(error) }
            }
            Err(error) => Err(error),
        }
    }

    async fn target_of(&self, object: &Value, namespace: &str, user: &str) -> Result<Target> {
        let (version, kind) =
            (object["apiVersion"].as_str().unwrap_or("v1"), object["kind"].as_str().unwrap_or_default());
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        let gvk = GroupVersionKind::gvk(group, version, kind);
        let found = pinned_kind(&self.client, &gvk).await;
        let (resource, capabilities) = found.doing(|| format!("find the kind {kind} of {group}/{version}"))?;
        let own = object["metadata"]["namespace"].as_str().unwrap_or(namespace).to_owned();
        let namespace = Some(own).filter(|_| capabilities.scope == Scope::Namespaced);
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        Ok(Target { resource, namespace, name, user: user.to_owned() })
    }

    /// The object that flags name: a kind, in any form, and a name.
    async fn target_in_flags(&self, flags: &[String], namespace: &str, user: &str) -> Result<Target> {
        let plain: Vec<&String> = flags.iter().filter(|flag| !flag.starts_with('-')).collect();
        let [kind, name] = plain.as_slice() else {
            return Err(Error::Invalid(
                "the object has to be named: by a manifest with its kind, or by the flags KIND NAME".to_owned(),
            ));
        };
        let discovery = Discovery::new(self.client.clone()).run().await;
        let discovery = discovery.doing(|| "discover the API's resources".to_owned())?;
        let wanted = kind.to_lowercase();
        let wanted = wanted.split('.').next().unwrap_or_default();
        let mut all = discovery.groups_alphabetical().into_iter().flat_map(|group| group.recommended_resources());
        let found = all.find(|(resource, _)| resource.plural == wanted || resource.kind.to_lowercase() == wanted);
        let (resource, capabilities) =
            found.ok_or_else(|| Error::Invalid(format!("the API has no resource {kind}")))?;
        let namespace = Some(namespace.to_owned()).filter(|_| capabilities.scope == Scope::Namespaced);
        Ok(Target { resource, namespace, name: (*name).clone(), user: user.to_owned() })
    }
}

/// What tells for which node of which workflow an object was made, and which time that the workflow runs.
fn mark(workflow: &Workflow, node_id: &str) -> String {
    let uid = workflow.uid().unwrap_or_default();
    match workflow.annotations().get(labels::RETRIES) {
        None => format!("{uid}/{node_id}"),
        Some(times) => format!("{uid}/{node_id}/{times}"),
    }
}

/// Whether the API did not get the request.
fn is_offline(error: &Error) -> bool {
    matches!(error, Error::Request { source, .. } if !matches!(source, kube::Error::Api(_) | kube::Error::Discovery(_)))
}

/// Sends a request with the rights of an account.
async fn send(client: &Client, mut request: http::Request<Vec<u8>>, target: &Target, verb: &str) -> Result<Value> {
    let user = target.user.parse().map_err(|_| Error::Invalid(format!("{:?} is no user", target.user)))?;
    request.headers_mut().insert("Impersonate-User", user);
    client.request(request).await.doing(|| target.describe(verb))
}
