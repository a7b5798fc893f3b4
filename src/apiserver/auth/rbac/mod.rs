//! The RBAC authorizer: may a user do what they ask, by the roles bound to them. It decides over a snapshot of roles that
//! a [`RoleSource`] gives; reading and watching them is the source's work.

mod escalation;
mod rules;

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

pub use rules::{Rule, covers};

use super::{Attributes, Decision, MASTERS, User, service_account_name};
use crate::error::ApiError;

/// The API group of roles and bindings.
pub const GROUP: &str = "rbac.authorization.k8s.io";

/// Gives the roles and bindings as they are now.
pub trait RoleSource: Send + Sync {
    /// A snapshot; the same one as long as no role or binding changes.
    fn roles(&self) -> Arc<Roles>;
}

impl RoleSource for Arc<Roles> {
    fn roles(&self) -> Arc<Roles> {
        self.clone()
    }
}

/// Roles and bindings of one moment.
#[derive(Debug, Clone, Default)]
pub struct Roles {
    cluster_roles: HashMap<String, Arc<[Rule]>>,
    /// By namespace, then name.
    roles: HashMap<String, HashMap<String, Arc<[Rule]>>>,
    cluster_bindings: Vec<Binding>,
    bindings: HashMap<String, Vec<Binding>>,
}

/// A RoleBinding or ClusterRoleBinding.
#[derive(Debug, Clone)]
struct Binding {
    name: String,
    role: RoleRef,
    subjects: Vec<Subject>,
}

/// A rule and whence it comes, or a role that is missing.
type Found<'a, 'f> = Result<(&'a Rule, &'f dyn Fn() -> String), String>;

/// Which role a binding binds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RoleRef {
    pub(super) kind: String,
    pub(super) name: String,
}

#[derive(Debug, Clone)]
struct Subject {
    kind: String,
    name: String,
    namespace: String,
}

impl Roles {
    /// The snapshot of these objects; other kinds than roles and bindings are passed over.
    pub fn from_objects<'a>(objects: impl IntoIterator<Item = &'a Value>) -> Self {
        let mut all = Self::default();
        for object in objects {
            let namespace = text(&object["metadata"]["namespace"]);
            let name = text(&object["metadata"]["name"]);
            match object["kind"].as_str() {
                Some("ClusterRole") => {
                    all.cluster_roles.insert(name, Rule::list(&object["rules"]));
                }
                Some("Role") => {
                    let roles = all.roles.entry(namespace).or_default();
                    roles.insert(name, Rule::list(&object["rules"]));
                }
                Some("ClusterRoleBinding") => all.cluster_bindings.push(Binding::read(object)),
                Some("RoleBinding") => {
                    let bindings = all.bindings.entry(namespace).or_default();
                    bindings.push(Binding::read(object));
                }
                _ => {}
            }
        }
        all
    }

    /// The rules of a role that a binding in `namespace` (empty at the cluster's scope) refers to.
    fn rules_of(&self, role: &RoleRef, namespace: &str) -> Result<&Arc<[Rule]>, String> {
        let (resource, found) = match role.kind.as_str() {
            "ClusterRole" => ("clusterrole", self.cluster_roles.get(&role.name)),
            "Role" => ("role", self.roles.get(namespace).and_then(|roles| roles.get(&role.name))),
            other => return Err(format!("unsupported role reference kind: {other:?}")),
        };
        found.ok_or_else(|| format!("{resource}.{GROUP} {:?} not found", role.name))
    }

    /// Visits every rule that applies to `user` in `namespace` until `visit` returns false; `source` says whence it comes.
    fn visit<'a>(&'a self, user: &User, namespace: &str, visit: &mut dyn FnMut(Found<'a, '_>) -> bool) {
        let local = self.bindings.get(namespace).filter(|_| !namespace.is_empty());
        let scopes = [(Some(&self.cluster_bindings), ""), (local, namespace)];
        for (bindings, scope) in scopes {
            for binding in bindings.into_iter().flatten() {
                let Some(subject) = binding.subject_of(user, scope) else {
                    continue;
                };
                match self.rules_of(&binding.role, scope) {
                    Err(missing) => {
                        if !visit(Err(missing)) {
                            return;
                        }
                    }
                    Ok(rules) => {
                        let source = || binding.describe(subject, scope);
                        for rule in rules.iter() {
                            if !visit(Ok((rule, &source))) {
                                return;
                            }
                        }
                    }
                }
            }
        }
    }
}

impl Binding {
    fn read(object: &Value) -> Self {
        let role = &object["roleRef"];
        let subjects = object["subjects"].as_array();
        Self {
            name: text(&object["metadata"]["name"]),
            role: RoleRef { kind: text(&role["kind"]), name: text(&role["name"]) },
            subjects: subjects
                .map(Vec::as_slice)
                .unwrap_or_default()
                .iter()
                .map(|subject| Subject {
                    kind: text(&subject["kind"]),
                    name: text(&subject["name"]),
                    namespace: text(&subject["namespace"]),
                })
                .collect(),
        }
    }

    /// The first subject that is `user`.
    fn subject_of(&self, user: &User, namespace: &str) -> Option<&Subject> {
        self.subjects.iter().find(|subject| match subject.kind.as_str() {
            "User" => subject.name == user.name,
            "Group" => user.is_in(&subject.name),
            "ServiceAccount" => {
                let namespace = subject.namespace_in(namespace);
                !namespace.is_empty() && service_account_name(namespace, &subject.name) == user.name
            }
            _ => false,
        })
    }

    fn describe(&self, subject: &Subject, namespace: &str) -> String {
        let (kind, name) = if namespace.is_empty() {
            ("ClusterRoleBinding", self.name.clone())
        } else {
            ("RoleBinding", format!("{}/{namespace}", self.name))
        };
        let to = if subject.kind == "ServiceAccount" {
            format!("{}/{}", subject.name, subject.namespace_in(namespace))
        } else {
            subject.name.clone()
        };
        format!("{kind} {name:?} of {} {:?} to {} {to:?}", self.role.kind, self.role.name, subject.kind)
    }
}

impl Subject {
    /// A binding's own namespace is meant when a service account names none.
    fn namespace_in<'a>(&'a self, binding: &'a str) -> &'a str {
        if self.namespace.is_empty() { binding } else { &self.namespace }
    }
}

/// The authorizer.
#[derive(Clone)]
pub struct Rbac {
    source: Arc<dyn RoleSource>,
}

impl Rbac {
    /// Decides by the roles that `source` gives.
    #[must_use]
    pub fn new(source: Arc<dyn RoleSource>) -> Self {
        Self { source }
    }

    /// Whether what is asked is allowed.
    #[must_use]
    pub fn authorize(&self, asked: &Attributes) -> Decision {
        if asked.user.is_in(MASTERS) {
            return Decision::Allow(String::new());
        }
        let roles = self.source.roles();
        let mut allowed = None;
        let mut missing = Vec::new();
        roles.visit(&asked.user, &asked.namespace, &mut |found| {
            match found {
                Ok((rule, source)) if rule.allows(asked) => allowed = Some(source()),
                Ok(_) => {}
                Err(error) => missing.push(error),
            }
            allowed.is_none()
        });
        match allowed {
            Some(by) => Decision::Allow(format!("RBAC: allowed by {by}")),
            None => Decision::Deny(match missing.as_slice() {
                [] => String::new(),
                [one] => format!("RBAC: {one}"),
                many => format!("RBAC: [{}]", many.join(", ")),
            }),
        }
    }

    /// Nothing, or the refusal as the API sends it.
    ///
    /// # Errors
    /// Forbidden.
    pub fn require(&self, asked: &Attributes) -> Result<(), ApiError> {
        match self.authorize(asked) {
            Decision::Allow(_) => Ok(()),
            Decision::Deny(reason) => Err(Self::forbidden(asked, &reason)),
        }
    }

    /// The refusal as the API sends it, with the authorizer's reason where it gave one.
    #[must_use]
    pub fn forbidden(asked: &Attributes, reason: &str) -> ApiError {
        let mut message = asked.refusal();
        if !reason.is_empty() {
            message = format!("{message}: {reason}");
        }
        ApiError::forbidden((&asked.group, &asked.resource), &asked.name, &message)
    }

    /// Every rule that applies to `user` in `namespace`, and what could not be found on the way.
    #[must_use]
    pub fn rules_for(&self, user: &User, namespace: &str) -> (Vec<Rule>, Vec<String>) {
        let (mut rules, mut missing) = (Vec::new(), Vec::new());
        if user.is_in(MASTERS) {
            rules.extend(Rule::everything());
        }
        let roles = self.source.roles();
        roles.visit(user, namespace, &mut |found| {
            match found {
                Ok((rule, _)) if !rules.contains(rule) => rules.push(rule.clone()),
                Ok(_) => {}
                Err(error) => missing.push(error),
            }
            true
        });
        (rules, missing)
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
