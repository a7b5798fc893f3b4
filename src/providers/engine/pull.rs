//! Images that the engine does not have: pulled, with what is told of it. Without a registry that answers that ends soon.

use std::collections::BTreeMap;
use std::time::Duration;

use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures::StreamExt;

use super::Engine;
use crate::{Class, Error, Talk};

/// How long it may take until a registry has said anything.
const REGISTRY: Duration = Duration::from_secs(20);
/// So many bytes are worth a word.
const WORTH: i64 = 50 << 20;

impl Engine {
    /// Sees to it that an image is there: pulled, where it is not.
    ///
    /// # Errors
    /// When it cannot be pulled, as where no registry answers.
    pub async fn image(&self, name: &str, talk: &Talk) -> Result<(), Error> {
        if self.has_image(name).await? {
            return Ok(());
        }
        talk.say(&format!("pulling the image {name}"));
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error::Compose {
            act: format!("pull the image {name}"),
            source,
            hint: Some(format!(
                "it is not in the engine, and its registry does not give it: load it by `docker load`, or see that {} answers",
                registry(name)
            )),
            class: Class::Environment,
        };
        let options = CreateImageOptionsBuilder::default().from_image(&tagged(name)).build();
        let mut events = self.client().create_image(Some(options), None, None).boxed();
        let Ok(mut event) = tokio::time::timeout(REGISTRY, events.next()).await else {
            return Err(failed(format!("its registry did not answer within {} s", REGISTRY.as_secs()).into()));
        };
        let mut progress = Progress::default();
        while let Some(happened) = event {
            if let Some(line) = progress.after(&happened.map_err(|error| failed(error.into()))?) {
                talk.say(&format!("pulling the image {name}: {line}"));
            }
            event = events.next().await;
        }
        Ok(())
    }
}

/// How far a pull is.
#[derive(Debug, Default)]
struct Progress {
    /// Of each layer what has come, and what will.
    layers: BTreeMap<String, (i64, i64)>,
    told: i64,
}

impl Progress {
    /// What is worth a word after an event.
    fn after(&mut self, event: &CreateImageInfo) -> Option<String> {
        let id = event.id.clone()?;
        let detail = event.progress_detail.as_ref();
        let entry = self.layers.entry(id).or_default();
        match event.status.as_deref()? {
            "Downloading" => *entry = (detail?.current?, detail?.total.unwrap_or(entry.1)),
            "Download complete" => entry.0 = entry.1,
            _ => return None,
        }
        let (come, all) = self.layers.values().fold((0, 0), |(come, all), one| (come + one.0, all + one.1.max(one.0)));
        if come - self.told < WORTH {
            return None;
        }
        self.told = come;
        Some(format!("{} of {} MiB", come >> 20, all >> 20))
    }
}

/// The name with a tag: without one the engine would pull every image of that name.
fn tagged(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    if last.contains([':', '@']) { name.to_owned() } else { format!("{name}:latest") }
}

/// The registry that an image name points to, by Docker's rule: the first part is one if it looks like a host.
#[must_use]
pub fn registry(image: &str) -> &str {
    match image.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => "the default registry",
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::ProgressDetail;

    use super::*;

    #[test]
    fn names_with_and_without_a_tag() {
        assert_eq!(tagged("kindest/node:v1.34.2"), "kindest/node:v1.34.2");
        assert_eq!(tagged("host:5000/a"), "host:5000/a:latest");
        assert_eq!(tagged("a@sha256:00"), "a@sha256:00");
        assert_eq!(tagged("a"), "a:latest");
    }

    #[test]
    fn registries_of_image_names() {
        assert_eq!(registry("kindest/node:v1.34.2"), "the default registry");
        assert_eq!(registry("registry.example/a/b"), "registry.example");
        assert_eq!(registry("localhost/a"), "localhost");
        assert_eq!(registry("host:5000/a"), "host:5000");
    }

    #[test]
    fn what_has_come_is_told_now_and_then() {
        let mut progress = Progress::default();
        let mut after = |id: &str, status: &str, current: i64, total: i64| {
            let detail =
                (total > 0).then_some(ProgressDetail { current: Some(current << 20), total: Some(total << 20) });
            let (id, status) = (Some(id.to_owned()), Some(status.to_owned()));
            progress.after(&CreateImageInfo { id, status, progress_detail: detail, ..CreateImageInfo::default() })
        };
        assert_eq!(after("v1", "Pulling from a", 0, 0), None);
        assert_eq!(after("one", "Downloading", 20, 100), None);
        assert_eq!(after("two", "Downloading", 40, 300), Some("60 of 400 MiB".to_owned()));
        assert_eq!(after("one", "Downloading", 60, 100), None, "less than is worth a word");
        assert_eq!(after("one", "Download complete", 0, 0), Some("140 of 400 MiB".to_owned()));
        assert_eq!(after("one", "Extracting", 100, 100), None);
    }
}
