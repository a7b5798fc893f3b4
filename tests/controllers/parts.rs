//! Parts of the platform in a world: their manifests as they are applied everywhere, and clients with the rights of their accounts.

use std::path::Path;

use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, pinned_kind};
use serde_json::Value;
use tinderbox_apiserver::auth::User;
use tinderbox_platform::Account;

use crate::world::World;

impl World {
    /// Applies the manifests of a part, a folder of `manifests/platform`.
    pub(crate) async fn install(&self, part: &str) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/platform").join(part);
        for object in tinderbox::manifest::load(&folder).unwrap() {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let version = text(&object.value["apiVersion"]);
            let (group, version) = version.split_once('/').unwrap_or(("", &version));
            let kind = GroupVersionKind::gvk(group, version, &text(&object.value["kind"]));
            let (resource, capabilities) = pinned_kind(&self.client, &kind).await.unwrap();
            let namespace = text(&object.value["metadata"]["namespace"]);
            let api: Api<DynamicObject> = match capabilities.scope {
                Scope::Cluster => Api::all_with(self.client.clone(), &resource),
                Scope::Namespaced => Api::namespaced_with(self.client.clone(), &namespace, &resource),
            };
            let name = text(&object.value["metadata"]["name"]);
            api.patch(&name, &PatchParams::apply("test"), &Patch::Apply(&object.value)).await.unwrap();
        }
    }

    /// A client that acts as an account.
    pub(crate) fn client_of(&self, account: &Account) -> Client {
        let [all, own] = account.groups();
        Client::new(self.server.service_as(User::authenticated(&account.user(), &[&all, &own])), "default")
    }
}
