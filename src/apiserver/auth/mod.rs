//! Who asks, and whether they may: certificates, tokens, impersonation and RBAC with Kubernetes' words. Nothing here
//! reads the store or a socket by itself: objects and roles come in through [`ObjectLookup`] and [`RoleSource`].

pub mod authenticate;
pub mod bootstrap;
mod jws;
pub mod pki;
pub mod rbac;
pub mod reviews;
pub mod token;
pub mod token_reviews;

use std::collections::BTreeMap;

use serde_json::Value;

pub use rbac::{Rbac, RoleSource, Roles};

/// Members may do everything.
pub const MASTERS: &str = "system:masters";
/// Everyone who has proved who they are.
pub const AUTHENTICATED: &str = "system:authenticated";
/// Everyone who has not.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";
/// The name of who has not proved who they are.
pub const ANONYMOUS: &str = "system:anonymous";
/// Names of service accounts begin so: `system:serviceaccount:NAMESPACE:NAME`.
pub const SERVICE_ACCOUNT_PREFIX: &str = "system:serviceaccount:";

/// Who asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    /// Name, as in `kubernetes-admin` or `system:serviceaccount:spark-jobs:spark`.
    pub name: String,
    /// UID; empty when unknown.
    pub uid: String,
    /// Groups.
    pub groups: Vec<String>,
    /// What else is known, as the pod that a token is bound to.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// A user of that name, in `groups` and `system:authenticated`.
    #[must_use]
    pub fn authenticated(name: &str, groups: &[&str]) -> Self {
        let mut groups: Vec<String> = groups.iter().map(|&group| group.to_owned()).collect();
        if !groups.iter().any(|group| group == AUTHENTICATED) {
            groups.push(AUTHENTICATED.to_owned());
        }
        Self { name: name.to_owned(), groups, ..Self::default() }
    }

    /// Who has shown no credentials.
    #[must_use]
    pub fn anonymous() -> Self {
        Self { name: ANONYMOUS.to_owned(), groups: vec![UNAUTHENTICATED.to_owned()], ..Self::default() }
    }

    /// The service account `name` of `namespace`.
    #[must_use]
    pub fn service_account(namespace: &str, name: &str) -> Self {
        Self {
            name: service_account_name(namespace, name),
            groups: service_account_groups(namespace).into_iter().chain([AUTHENTICATED.to_owned()]).collect(),
            ..Self::default()
        }
    }

    /// Whether the user is in that group.
    #[must_use]
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|one| one == group)
    }
}

/// `system:serviceaccount:NAMESPACE:NAME`.
#[must_use]
pub fn service_account_name(namespace: &str, name: &str) -> String {
    format!("{SERVICE_ACCOUNT_PREFIX}{namespace}:{name}")
}

/// The namespace and name in `system:serviceaccount:NAMESPACE:NAME`.
#[must_use]
pub fn split_service_account(user: &str) -> Option<(&str, &str)> {
    let (namespace, name) = user.strip_prefix(SERVICE_ACCOUNT_PREFIX)?.split_once(':')?;
    let plain = !namespace.is_empty() && !name.is_empty() && !name.contains(':');
    plain.then_some((namespace, name))
}

/// The groups of every service account of a namespace.
#[must_use]
pub fn service_account_groups(namespace: &str) -> [String; 2] {
    ["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")]
}

/// What is asked: a resource request, or, with an empty `resource`, a request for `path`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Who asks.
    pub user: User,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection` …; lower-case HTTP method for a path.
    pub verb: String,
    /// API group; empty for core.
    pub group: String,
    /// API version.
    pub version: String,
    /// Plural resource name; empty for a request of a plain path.
    pub resource: String,
    /// Subresource, as in `log`.
    pub subresource: String,
    /// Namespace; empty at the cluster's scope.
    pub namespace: String,
    /// Object name; empty when none is named.
    pub name: String,
    /// The path, for requests that are not about a resource.
    pub path: String,
}

impl Attributes {
    /// The refusal in Kubernetes' words, without what follows `is forbidden: `'s left side.
    #[must_use]
    pub fn refusal(&self) -> String {
        let (user, verb) = (&self.user.name, &self.verb);
        if self.resource.is_empty() {
            return format!("User {user:?} cannot {verb} path {:?}", self.path);
        }
        let resource = self.qualified_resource();
        let scope = if self.namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace {:?}", self.namespace)
        };
        format!("User {user:?} cannot {verb} resource {resource:?} in API group {:?} {scope}", self.group)
    }

    /// `pods` or `pods/log`.
    #[must_use]
    pub fn qualified_resource(&self) -> String {
        if self.subresource.is_empty() {
            self.resource.clone()
        } else {
            format!("{}/{}", self.resource, self.subresource)
        }
    }
}

/// The answer to [`Attributes`]; the text says why, and may be empty for a refusal that needs no more words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Allowed, by what.
    Allow(String),
    /// Nothing allows it.
    Deny(String),
}

impl Decision {
    /// Whether it is allowed.
    #[must_use]
    pub fn allowed(&self) -> bool {
        matches!(self, Self::Allow(_))
    }
}

/// Reads one object: resource (of the core group), namespace (empty at the cluster's scope), name.
pub trait ObjectLookup: Send + Sync {
    /// The object, if it exists.
    fn object(&self, resource: &str, namespace: &str, name: &str) -> Option<Value>;
}

impl<F> ObjectLookup for F
where
    F: Fn(&str, &str, &str) -> Option<Value> + Send + Sync,
{
    fn object(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        self(resource, namespace, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_in_kubernetes_words() {
        let mut asked = Attributes {
            user: User::service_account("spark-jobs", "spark"),
            verb: "create".into(),
            resource: "pods".into(),
            namespace: "spark-jobs".into(),
            ..Attributes::default()
        };
        assert_eq!(
            asked.refusal(),
            r#"User "system:serviceaccount:spark-jobs:spark" cannot create resource "pods" in API group "" in the namespace "spark-jobs""#
        );
        asked.subresource = "log".into();
        asked.namespace.clear();
        assert_eq!(
            asked.refusal(),
            r#"User "system:serviceaccount:spark-jobs:spark" cannot create resource "pods/log" in API group "" at the cluster scope"#
        );
        asked.resource.clear();
        asked.path = "/metrics".into();
        asked.verb = "get".into();
        assert_eq!(asked.refusal(), r#"User "system:serviceaccount:spark-jobs:spark" cannot get path "/metrics""#);
    }

    #[test]
    fn splits_service_account_names() {
        assert_eq!(split_service_account("system:serviceaccount:a:b"), Some(("a", "b")));
        assert_eq!(split_service_account("system:serviceaccount:a:b:c"), None);
        assert_eq!(split_service_account("system:serviceaccount::b"), None);
        assert_eq!(split_service_account("jane"), None);
    }
}
