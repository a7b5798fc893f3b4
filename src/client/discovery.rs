//! What the API serves: every resource in its preferred version. Asked for when needed, remembered by nobody here.

use kube::core::discovery::{ApiResource, Scope};
use kube::{Client, discovery::Discovery};

use crate::Result;
use crate::error::Doing;

/// A served resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// Its names.
    pub resource: ApiResource,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// Verbs.
    pub verbs: Vec<String>,
}

impl Served {
    /// Whether the resource can do all of these.
    #[must_use]
    pub fn can(&self, verbs: &[&str]) -> bool {
        verbs.iter().all(|verb| self.verbs.iter().any(|have| have == verb))
    }
}

/// Asks the API for its resources.
///
/// # Errors
/// When it does not answer.
pub async fn served(client: &Client) -> Result<Vec<Served>> {
    let discovery = Discovery::new(client.clone()).run().await;
    let discovery = discovery.doing(|| "discover the API's resources".to_owned())?;
    let groups = discovery.groups_alphabetical();
    let resources = groups.iter().flat_map(|group| group.recommended_resources());
    Ok(resources
        .map(|(resource, capabilities)| Served {
            resource,
            namespaced: capabilities.scope == Scope::Namespaced,
            verbs: capabilities.operations,
        })
        .collect())
}
