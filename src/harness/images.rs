//! Fetching what an app's images need before its pods ask for it, so that the user sees the download. It changes nothing for the
//! pods: what cannot be had here, they say themselves.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use tinderbox_providers::Provider as _;
use tinderbox_providers::embedded::images;

use crate::event::{Event, Talk};
use crate::manifest::Object;
use crate::project::Project;

/// Fetches what the images of these objects need.
pub(crate) async fn fetch(project: &Project, objects: &[Object], talk: &Talk) {
    if !project.provider("").is_ok_and(|place| place.abilities().native_images) {
        return;
    }
    let mut names = BTreeSet::new();
    for object in objects {
        collect(&object.value, &mut names);
        if object.value["kind"] == "SparkApplication" {
            let spec = &object.value["spec"];
            let images = [&spec["image"], &spec["driver"]["image"], &spec["executor"]["image"]];
            names.extend(images.into_iter().filter_map(Value::as_str).map(str::to_owned));
        }
    }
    for name in names {
        let listener = talk.clone();
        let advance: images::Advance = Arc::new(move |what, done| {
            listener.tell(Event::Download { what: what.to_owned(), done });
        });
        if let Err(error) = images::fetch(&name, project.images(), advance).await {
            tracing::debug!(error = &error as &dyn std::error::Error, name, "an image cannot be had yet");
        }
    }
}

/// The images of the containers in an object, wherever its pod template stands.
fn collect(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, names)),
        Value::Object(fields) => {
            for (field, inner) in fields {
                if matches!(field.as_str(), "containers" | "initContainers") {
                    let may_fetch = |one: &&Value| one["imagePullPolicy"] != "Never";
                    let containers = inner.as_array().into_iter().flatten().filter(may_fetch);
                    names.extend(containers.filter_map(|one| one["image"].as_str()).map(str::to_owned));
                } else {
                    collect(inner, names);
                }
            }
        }
        _ => {}
    }
}
