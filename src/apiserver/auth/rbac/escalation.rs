//! Nobody grants what they do not have: checks on writing roles and bindings, with Kubernetes' words. It must not write.

use serde_json::Value;

use super::rules::quoted;
use super::{GROUP, MASTERS, Rbac, RoleRef, Rule, covers, text};
use crate::auth::{Attributes, User};
use crate::error::ApiError;

impl Rbac {
    /// Whether `user` may write `new` over `old`, for roles and bindings; other kinds always pass. `namespace` is the
    /// request's, and empty at the cluster's scope.
    ///
    /// # Errors
    /// Forbidden with the rules that `user` lacks; NotFound for a binding to a role that does not exist.
    pub fn check_escalation(
        &self,
        user: &User,
        namespace: &str,
        old: Option<&Value>,
        new: &Value,
    ) -> Result<(), ApiError> {
        if user.is_in(MASTERS) || old.is_some_and(|old| only_collection_differs(old, new)) {
            return Ok(());
        }
        let name = text(&new["metadata"]["name"]);
        match new["kind"].as_str() {
            Some("Role") => self.check_role(user, namespace, "roles", &name, new),
            Some("ClusterRole") => {
                self.check_role(user, "", "clusterroles", &name, new)?;
                let aggregates = |role: &Value| {
                    role["aggregationRule"]["clusterRoleSelectors"]
                        .as_array()
                        .is_some_and(|selectors| !selectors.is_empty())
                };
                let changes = aggregates(new) || old.is_some_and(aggregates);
                if changes
                    && !self.may(user, "escalate", "", "clusterroles", &name)
                    && self.lacks(user, "", &Rule::everything()).is_some()
                {
                    let message = "must have cluster-admin privileges to use the aggregationRule";
                    return Err(ApiError::forbidden((GROUP, "clusterroles"), &name, message));
                }
                Ok(())
            }
            Some("RoleBinding") => self.check_binding(user, namespace, "rolebindings", &name, new),
            Some("ClusterRoleBinding") => self.check_binding(user, "", "clusterrolebindings", &name, new),
            _ => Ok(()),
        }
    }

    fn check_role(
        &self,
        user: &User,
        namespace: &str,
        resource: &str,
        name: &str,
        role: &Value,
    ) -> Result<(), ApiError> {
        if self.may(user, "escalate", namespace, resource, name) {
            return Ok(());
        }
        match self.lacks(user, namespace, &Rule::list(&role["rules"])) {
            None => Ok(()),
            Some(message) => Err(ApiError::forbidden((GROUP, resource), name, &message)),
        }
    }

    fn check_binding(
        &self,
        user: &User,
        namespace: &str,
        resource: &str,
        name: &str,
        binding: &Value,
    ) -> Result<(), ApiError> {
        let role = RoleRef { kind: text(&binding["roleRef"]["kind"]), name: text(&binding["roleRef"]["name"]) };
        let roles = match role.kind.as_str() {
            "Role" => "roles",
            _ => "clusterroles",
        };
        if self.may(user, "bind", namespace, roles, &role.name) {
            return Ok(());
        }
        let snapshot = self.source.roles();
        let rules = snapshot.rules_of(&role, namespace).map_err(|_| ApiError::not_found(GROUP, roles, &role.name))?;
        match self.lacks(user, namespace, rules) {
            None => Ok(()),
            Some(message) => Err(ApiError::forbidden((GROUP, resource), name, &message)),
        }
    }

    fn may(&self, user: &User, verb: &str, namespace: &str, resource: &str, name: &str) -> bool {
        let asked = Attributes {
            user: user.clone(),
            verb: verb.to_owned(),
            group: GROUP.to_owned(),
            version: "*".to_owned(),
            resource: resource.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            ..Attributes::default()
        };
        self.authorize(&asked).allowed()
    }

    /// What of `wanted` the user does not hold, in words.
    fn lacks(&self, user: &User, namespace: &str, wanted: &[Rule]) -> Option<String> {
        let (held, missing_roles) = self.rules_for(user, namespace);
        let missing = covers(&held, wanted);
        if missing.is_empty() {
            return None;
        }
        let mut texts: Vec<String> = missing.iter().map(Rule::compact_text).collect();
        texts.sort();
        texts.dedup();
        let mut message = format!(
            "user {:?} (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
            user.name,
            quoted(&user.groups),
            texts.join("\n")
        );
        if !missing_roles.is_empty() {
            message = format!("{message}; resolution errors: [{}]", missing_roles.join(", "));
        }
        Some(message)
    }
}

/// Whether the two differ in nothing but what garbage collection writes: finalizers and owners.
fn only_collection_differs(old: &Value, new: &Value) -> bool {
    let stripped = |object: &Value| {
        let mut object = object.clone();
        if let Some(metadata) = object["metadata"].as_object_mut() {
            for field in ["finalizers", "ownerReferences", "managedFields", "resourceVersion"] {
                metadata.remove(field);
            }
        }
        object
    };
    stripped(old) == stripped(new)
}
