//! What the expressions of a policy see of a request: the objects, the request itself, and who may answer for rights.
//! Upstream rule: `CreateAdmissionRequest` of k8s.io/apiserver `pkg/admission/plugin/cel/condition.go`.

use serde_json::{Value, json};
use tinderbox_cel::{Attributes, Decision, Rights};

use super::evaluate::Input;
use super::matching::Request;
use crate::admission::Asked;
use crate::auth::{self, User};
use crate::call::Call;
use crate::resource::Resource;

/// All that expressions look at, owned.
pub(super) struct Seen<'c> {
    object: Value,
    old_object: Value,
    request: Value,
    namespace: &'c Value,
    asker: Asker<'c>,
    asked: Attributes,
}

struct Asker<'c> {
    call: &'c Call,
}

impl Seen<'_> {
    /// The same to look at, without parameters.
    pub(super) fn borrowed(&self) -> Input<'_> {
        Input {
            object: &self.object,
            old_object: &self.old_object,
            params: &Value::Null,
            request: &self.request,
            namespace: self.namespace,
            rights: &self.asker,
            asked: &self.asked,
        }
    }
}

/// What expressions see of a request that is meant as one for `matched`.
pub(super) fn input<'c>(
    asked: &'c Asked<'c>,
    request: &Request,
    matched: &Resource,
    (object, old_object): (Value, Value),
    namespace: &'c Value,
) -> Seen<'c> {
    Seen {
        object,
        old_object,
        request: described(asked, request, matched),
        namespace,
        asker: Asker { call: asked.call },
        asked: Attributes {
            group: request.group.clone(),
            resource: request.resource.clone(),
            subresource: request.subresource.clone(),
            namespace: request.namespace.clone(),
            name: request.name.clone(),
            ..Attributes::default()
        },
    }
}

fn described(asked: &Asked<'_>, request: &Request, matched: &Resource) -> Value {
    let kind = |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
    let resource =
        |group: &str, version: &str, resource: &str| json!({"group": group, "version": version, "resource": resource});
    let part = matched.subresource(&request.subresource).and_then(|part| part.group_version);
    let (group, version) = part.unwrap_or((&matched.group, &matched.version));
    let mut described = json!({
        "kind": kind(group, version, &request.kind),
        "resource": resource(&matched.group, &matched.version, &matched.plural),
        "requestKind": kind(part.map_or(&request.group, |part| part.0), part.map_or(&request.version, |part| part.1), &request.kind),
        "requestResource": resource(&request.group, &request.version, &request.resource),
        "operation": request.operation,
        "userInfo": user_info(&asked.call.user),
        "dryRun": asked.dry_run,
    });
    for (name, value) in [
        ("subResource", &request.subresource),
        ("requestSubResource", &request.subresource),
        ("name", &request.name),
        ("namespace", &request.namespace),
    ] {
        if !value.is_empty() {
            described[name] = value.as_str().into();
        }
    }
    if !asked.options.is_null() {
        described["options"] = asked.options.clone();
    }
    described
}

fn user_info(user: &User) -> Value {
    let mut info = json!({"username": user.name});
    if !user.uid.is_empty() {
        info["uid"] = user.uid.as_str().into();
    }
    if !user.groups.is_empty() {
        info["groups"] = json!(user.groups);
    }
    if !user.extra.is_empty() {
        info["extra"] = json!(user.extra);
    }
    info
}

impl Rights for Asker<'_> {
    fn check(&self, asked: &Attributes) -> Decision {
        let user = match &asked.account {
            Some((namespace, name)) => User::service_account(namespace, name),
            None => self.call.user.clone(),
        };
        let of_path = !asked.path.is_empty();
        let attributes = auth::Attributes {
            user,
            verb: asked.verb.clone(),
            group: asked.group.clone(),
            version: if of_path { String::new() } else { "*".to_owned() },
            resource: asked.resource.clone(),
            subresource: asked.subresource.clone(),
            namespace: asked.namespace.clone(),
            name: asked.name.clone(),
            path: asked.path.clone(),
        };
        let (allowed, reason) = match self.call.api.access().rbac.authorize(&attributes) {
            auth::Decision::Allow(reason) => (true, reason),
            auth::Decision::Deny(reason) => (false, reason),
        };
        Decision { allowed, reason, error: String::new() }
    }
}
