//! A running cluster as use cases see it: a client, and which resource stands behind a kind. It must not know how it was started.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use kube::api::{Api, ApiResource, DynamicObject};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::discovery::{ApiCapabilities, Scope, pinned_kind};
use kube::error::DiscoveryError;
use kube::{Client, Config};
use serde_json::Value;
use tinderbox_providers::{Found, Provider as _};

use crate::error::Error;
use crate::project::Project;
use crate::suggest;

/// A connection to a cluster.
#[derive(Clone)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// The administrator's credentials.
    pub kubeconfig: PathBuf,
    /// A client with them.
    pub client: Client,
    /// The cluster is somebody else's: the value of the label that everything carries which we bring into it.
    pub owner: Option<String>,
    kinds: Arc<Mutex<HashMap<(String, String), Resource>>>,
}

/// What stands behind a kind.
#[derive(Debug, Clone)]
pub struct Resource {
    /// Group, version and plural name.
    pub api: ApiResource,
    /// Its objects live in namespaces.
    pub namespaced: bool,
}

impl Cluster {
    /// Connects with a kubeconfig.
    ///
    /// # Errors
    /// When the file cannot be read or used.
    pub async fn connect(name: &str, kubeconfig: &Path) -> Result<Self, Error> {
        let unusable = |message: String| Error::Document { place: kubeconfig.display().to_string(), message };
        let read = Kubeconfig::read_from(kubeconfig).map_err(|error| unusable(error.to_string()))?;
        let mut config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default())
            .await
            .map_err(|error| unusable(error.to_string()))?;
        // Watches and followed logs may be silent for long.
        config.read_timeout = None;
        let client = Client::try_from(config).map_err(Error::api("make a client"))?;
        Ok(Self { kubeconfig: kubeconfig.to_owned(), ..Self::with(name, client) })
    }

    /// The cluster behind a client.
    pub(crate) fn with(name: &str, client: Client) -> Self {
        Self { name: name.to_owned(), kubeconfig: PathBuf::new(), client, owner: None, kinds: Arc::default() }
    }

    /// Connects to the project's cluster.
    ///
    /// # Errors
    /// When it is not running.
    pub async fn running(project: &Project) -> Result<Self, Error> {
        let place = project.provider("")?;
        match place.find().await? {
            Found::Running(endpoint) => {
                let cluster = Self::connect(&project.cluster, &endpoint.kubeconfig).await?;
                Ok(Self { owner: place.scope()?.owner, ..cluster })
            }
            Found::Nothing | Found::Stopped | Found::Starting => Err(Error::NotUp { name: project.cluster.clone() }),
        }
    }

    /// The resource behind an API version and a kind.
    ///
    /// # Errors
    /// When the cluster does not know it.
    pub async fn resource(&self, api_version: &str, kind: &str) -> Result<Resource, Error> {
        let key = (api_version.to_owned(), kind.to_owned());
        if let Some(known) = self.kinds.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(known.clone());
        }
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let asked = pinned_kind(&self.client, &GroupVersionKind::gvk(group, version, kind)).await;
        let (api, capabilities): (_, ApiCapabilities) = match asked {
            Ok(found) => found,
            Err(kube::Error::Discovery(DiscoveryError::MissingKind(_))) => {
                return Err(self.unknown(api_version, kind).await);
            }
            Err(kube::Error::Api(status)) if status.code == 404 => return Err(self.unknown(api_version, kind).await),
            Err(error) => return Err(Error::api(format!("find what {kind} of {api_version} is"))(error)),
        };
        let found = Resource { api, namespaced: capabilities.scope == Scope::Namespaced };
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner).insert(key, found.clone());
        Ok(found)
    }

    /// What a Service answers to a GET of `path`, through the API server's proxy; `service` is `NAME:PORT`.
    ///
    /// # Errors
    /// When nothing answers, or what answers refuses.
    pub(crate) async fn ask_service(&self, namespace: &str, service: &str, path: &str) -> kube::Result<String> {
        let path = format!("/api/v1/namespaces/{namespace}/services/{service}/proxy{path}");
        let request = http::Request::get(path).body(Vec::new()).map_err(kube::Error::HttpError)?;
        self.client.request_text(request).await
    }

    /// The error about a kind that is not there, with the near one of that version.
    async fn unknown(&self, api_version: &str, kind: &str) -> Error {
        let listed = if api_version.contains('/') {
            self.client.list_api_group_resources(api_version).await
        } else {
            self.client.list_core_api_resources(api_version).await
        };
        // A version that nobody serves has none.
        let known: Vec<String> =
            listed.map(|list| list.resources).unwrap_or_default().into_iter().map(|one| one.kind).collect();
        let hint = suggest::question(kind, known.iter().map(String::as_str)).unwrap_or_else(|| {
            "look at apiVersion and kind, or apply the CustomResourceDefinition of the kind first".to_owned()
        });
        Error::UnknownKind { place: None, api_version: api_version.to_owned(), kind: kind.to_owned(), hint }
    }

    /// The collection that an object belongs to; `namespace` for one that names none.
    ///
    /// # Errors
    /// When the cluster does not know its kind.
    pub async fn collection_of(&self, object: &Value, namespace: &str) -> Result<Api<DynamicObject>, Error> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let resource = self.resource(&text(&object["apiVersion"]), &text(&object["kind"])).await?;
        let own = object["metadata"]["namespace"].as_str().unwrap_or(namespace);
        Ok(self.collection(&resource, own))
    }

    /// A collection, in one namespace where there are any.
    #[must_use]
    pub fn collection(&self, resource: &Resource, namespace: &str) -> Api<DynamicObject> {
        if resource.namespaced && !namespace.is_empty() {
            Api::namespaced_with(self.client.clone(), namespace, &resource.api)
        } else {
            Api::all_with(self.client.clone(), &resource.api)
        }
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("name", &self.name).finish_non_exhaustive()
    }
}
