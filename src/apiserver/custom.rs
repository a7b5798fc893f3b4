//! Custom resources: definitions in the store become entries of the table, and a deleted definition takes its objects
//! with it. What a definition means is `crd`'s.

use std::sync::Arc;

use serde_json::Value;
use tinderbox_store::{Change, Collection, Key};

use crate::boot::INTERNAL;
use crate::call::WriteOptions;
use crate::crd::{self, CustomKind, CustomVersion, Rules};
use crate::error::{ApiError, FieldError};
use crate::object::{is_deleting, meta};
use crate::resource::{ALL_VERBS, NameRule, Resource, ScalePaths, Selectable, Subresource, View};
use crate::table::{Columns, CustomColumn};
use crate::verbs::delete::{DeleteOptions, remove};
use crate::write::{self, Scope};
use crate::{ApiServer, codec, object};

/// The group of definitions.
const GROUP: &str = "apiextensions.k8s.io";
/// The resource of definitions.
const PLURAL: &str = "customresourcedefinitions";
/// Keeps a definition until its objects are gone.
const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Whether a resource is that of definitions.
pub(crate) fn is_definition(resource: &Resource) -> bool {
    resource.is(GROUP, PLURAL)
}

/// Refuses new objects of a definition that is being deleted.
pub(crate) fn open(server: &ApiServer, resource: &Resource) -> Result<(), ApiError> {
    let Some(name) = &resource.definition else {
        return Ok(());
    };
    let key = Key { collection: definitions(), namespace: "".into(), name: Arc::clone(name) };
    if server.store().get(&key).is_some_and(|stored| is_deleting(&codec::decode(&stored))) {
        let message = "create not allowed while custom resource definition is terminating".to_owned();
        return Err(ApiError { message, ..ApiError::method_not_allowed() });
    }
    Ok(())
}

/// What is wrong in a definition, new or changed.
pub(crate) fn validate(definition: &Value, old: Option<&Value>) -> Vec<FieldError> {
    match old {
        None => crd::validate(definition),
        Some(old) => crd::validate_update(definition, old),
    }
}

impl ApiServer {
    /// Fills in the status of a definition, and the finalizer that keeps it.
    pub(crate) fn complete_definition(&self, definition: &mut Value) {
        let name = meta(definition, "name").to_owned();
        let list = self.store().list(&definitions(), None, None, 0);
        let others: Vec<Value> =
            list.items.iter().filter(|other| *other.key.name != *name).map(|other| codec::decode(other)).collect();
        crd::accept_names(definition, &others, self.now());
        let mut finalizers: Vec<String> = object::finalizers(definition).into_iter().map(str::to_owned).collect();
        if !is_deleting(definition) && !finalizers.iter().any(|one| one == CLEANUP) {
            finalizers.push(CLEANUP.to_owned());
            definition["metadata"]["finalizers"] = finalizers.into();
        }
    }

    /// Serves what the definitions in the store say.
    pub(crate) fn load_definitions(&self) {
        for stored in self.store().list(&definitions(), None, None, 0).items {
            self.sync_definition(&stored.key.name);
        }
    }

    /// Serves what the definition of this name says now.
    pub(crate) fn sync_definition(&self, name: &str) {
        let key = Key { collection: definitions(), namespace: "".into(), name: name.into() };
        let read = || {
            let stored = self.store().get(&key)?;
            let definition = codec::decode(&stored);
            let established = object::condition(&definition, "Established") == Some("True");
            established.then_some(definition)
        };
        self.registry().set_custom_with(name, || read().map_or_else(Vec::new, |one| resources(name, &crd::read(&one))));
        let deleting = self.store().get(&key).is_some_and(|stored| is_deleting(&codec::decode(&stored)));
        if deleting {
            let server = self.clone();
            let name = name.to_owned();
            tokio::spawn(async move {
                if let Err(error) = server.clean_up(&name).await {
                    tracing::warn!(%error, name, "could not remove the objects of a definition");
                }
            });
        }
    }

    /// Deletes the objects of a definition, waits until the last is gone, and lets go of the definition.
    async fn clean_up(&self, name: &str) -> Result<(), ApiError> {
        let registry = self.registry().snapshot();
        let own = || registry.all().filter(|one| one.definition.as_deref() == Some(name));
        // In the version that is stored, so that nothing has to be converted for its end.
        let is_stored =
            |one: &&Arc<Resource>| one.conversion.as_ref().is_some_and(|how| how.storage == one.api_version());
        let found = own().find(is_stored).or_else(|| own().next()).cloned();
        if let Some(resource) = found {
            let list = self.store().list(&resource.collection, None, None, 0);
            for item in &list.items {
                let call = self.internal(Arc::clone(&resource), &item.key.namespace, &item.key.name);
                match remove(&call, &item.key.name, &DeleteOptions::default()).await {
                    Err(error) if error.code != 404 => return Err(error),
                    _ => {}
                }
            }
            self.wait_until_empty(&resource.collection, list.revision).await;
        }
        let definition = self.registry().find(GROUP, "v1", PLURAL).ok_or_else(ApiError::no_such_path)?;
        let call = self.internal(definition, "", name);
        let options = WriteOptions { manager: INTERNAL.to_owned(), ..WriteOptions::default() };
        let gone = write::change(&call, &options, Scope::Inner, |old| {
            let mut new = old.clone();
            let kept: Vec<&str> = object::finalizers(old).into_iter().filter(|one| *one != CLEANUP).collect();
            new["metadata"]["finalizers"] = kept.into();
            Ok(new)
        })
        .await;
        match gone {
            Err(error) if error.code != 404 => Err(error),
            _ => Ok(()),
        }
    }

    async fn wait_until_empty(&self, collection: &Collection, revision: u64) {
        let Ok(mut watch) = self.store().watch(collection, None, revision) else {
            return;
        };
        while !self.store().list(collection, None, None, 1).items.is_empty() {
            tokio::select! {
                () = self.token().cancelled() => return,
                event = watch.next() => match event {
                    Ok(event) if matches!(event.change, Change::Deleted(_)) => {}
                    Ok(_) => {}
                    Err(_) => return,
                },
            }
        }
    }
}

pub(crate) fn definitions() -> Collection {
    Collection { group: GROUP.into(), resource: PLURAL.into() }
}

/// The entries of the table that a definition makes.
fn resources(definition: &str, kind: &CustomKind) -> Vec<Resource> {
    let served: Vec<&CustomVersion> = kind.versions.iter().filter(|version| version.served).collect();
    served.into_iter().map(|version| resource(definition, kind, version)).collect()
}

fn resource(definition: &str, kind: &CustomKind, version: &CustomVersion) -> Resource {
    let mut subresources = Vec::new();
    let verbs: &[&str] = &["get", "patch", "update"];
    if version.status {
        let kind = kind.kind.as_str().into();
        subresources.push(Subresource { name: "status", kind, group_version: None, verbs });
    }
    let scale = version.scale.as_ref().map(|scale| {
        let plain = |path: &str| path.trim_start_matches('.').to_owned();
        ScalePaths {
            spec_replicas: plain(&scale.spec_replicas),
            status_replicas: plain(&scale.status_replicas),
            selector: scale.selector.as_deref().map(plain),
        }
    });
    if scale.is_some() {
        let group_version = Some(("autoscaling", "v1"));
        subresources.push(Subresource { name: "scale", kind: "Scale".into(), group_version, verbs });
    }
    let columns: Vec<CustomColumn> = version.columns.iter().map(|column| CustomColumn::new(column.clone())).collect();
    Resource {
        group: kind.group.as_str().into(),
        version: version.name.as_str().into(),
        kind: kind.kind.as_str().into(),
        list_kind: kind.list_kind.as_str().into(),
        plural: kind.plural.as_str().into(),
        singular: kind.singular.as_str().into(),
        namespaced: kind.namespaced,
        short_names: kind.short_names.clone(),
        categories: kind.categories.clone(),
        verbs: ALL_VERBS.to_vec(),
        subresources,
        scale,
        columns: if columns.is_empty() { Columns::Default } else { Columns::Custom(columns.into()) },
        fields: version.selectable.iter().map(|path| Selectable::text(path.trim_start_matches('.'))).collect(),
        generation: true,
        names: NameRule::Subdomain,
        collection: Collection { group: kind.group.as_str().into(), resource: kind.plural.as_str().into() },
        view: match (kind.versions.len(), &kind.conversion.webhook) {
            (0 | 1, _) => View::Same,
            (_, None) => View::ApiVersion,
            (_, Some(_)) => View::Webhook,
        },
        returns_deleted: false,
        unconditional_update: false,
        create_on_update: false,
        schema: Some(Arc::clone(&version.schema)),
        defaulted: version.schema.has_default(),
        definition: Some(definition.into()),
        rules: Some(Arc::new(Rules::of(Arc::clone(&version.schema)))),
        conversion: Some(Arc::new(kind.conversion.clone())),
        deprecation: version.deprecation.clone(),
    }
}
