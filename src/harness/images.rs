//! Fetching what an app's images need before its pods ask for it, so that the user sees the download. It changes nothing for the
//! pods: what cannot be had here, they say themselves.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use tinderbox_client::error::chain;
use tinderbox_providers::AnyProvider;
use tinderbox_providers::embedded::images;
use tinderbox_providers::engine::registry;
use tinderbox_providers::kind::Kind;

use crate::event::{Event, Talk};
use crate::manifest::Object;
use crate::project::Project;

/// Fetches what the images of these objects need.
pub(crate) async fn fetch(project: &Project, objects: &[Object], talk: &Talk) {
    let mut names = BTreeSet::new();
    for object in objects {
        images_of(&object.value, &mut names);
    }
    let place = match project.provider("") {
        Ok(place) => place,
        Err(error) => return tracing::debug!(error = &error as &dyn std::error::Error, "no place to fetch images for"),
    };
    match place {
        AnyProvider::Embedded(_) => native(project, names, talk).await,
        // Its nodes pull what they need, as ever.
        AnyProvider::Existing(_) => {}
        AnyProvider::Kind(kind) => loaded(&kind, project, names, talk).await,
    }
}

/// Brings what the engine has into the nodes, and says what they must pull.
async fn loaded(kind: &Kind, project: &Project, names: BTreeSet<String>, talk: &Talk) {
    let names: Vec<String> = names.into_iter().collect();
    match kind.load_images(&names, &project.images(), &talk.for_provider()).await {
        Ok((_, absent)) => {
            for name in absent {
                talk.tell(Event::Note(format!(
                    "the engine does not have the image {name}: the nodes must pull it from {}",
                    registry(&name)
                )));
            }
        }
        Err(error) => talk.tell(Event::Warning(format!("images are not loaded: {}", chain(&error)))),
    }
}

async fn native(project: &Project, names: BTreeSet<String>, talk: &Talk) {
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

/// The images that an object needs, and those of an object that a workflow makes of a text in it.
fn images_of(object: &Value, names: &mut BTreeSet<String>) {
    collect(object, names);
    if object["kind"] == "SparkApplication" {
        let spec = &object["spec"];
        let images = [&spec["image"], &spec["driver"]["image"], &spec["executor"]["image"]];
        let said = images.into_iter().filter_map(Value::as_str);
        // What a workflow puts in is known when it does.
        names.extend(said.filter(|image| !image.contains("{{")).map(str::to_owned));
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
                    continue;
                }
                match (field.as_str(), inner) {
                    ("manifest", Value::String(text)) => {
                        let made: Value = serde_yaml::from_str(text).unwrap_or_default();
                        images_of(&made, names);
                    }
                    ("container" | "script", Value::Object(container)) => {
                        let image = container.get("image").and_then(Value::as_str);
                        names.extend(image.filter(|image| !image.contains("{{")).map(str::to_owned));
                    }
                    _ => collect(inner, names),
                }
            }
        }
        _ => {}
    }
}
