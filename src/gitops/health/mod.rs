//! Whether an object works, as Argo CD reads it from the object alone, kind by kind. Pure: objects in, a word and a message out.
//! Upstream rule: `gitops-engine/pkg/health` and `resource_customizations` of argoproj/argo-cd.

mod builtin;
mod custom;

use serde_json::Value;
use tinderbox_api::gitops::marks;

/// How well something works, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// It works.
    Healthy,
    /// It is stopped, and meant to be.
    Suspended,
    /// It is on its way.
    Progressing,
    /// It is not there.
    Missing,
    /// It does not work.
    Degraded,
    /// It cannot be told.
    Unknown,
}

impl Health {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::Suspended => "Suspended",
            Self::Progressing => "Progressing",
            Self::Missing => "Missing",
            Self::Degraded => "Degraded",
            Self::Unknown => "Unknown",
        }
    }
}

/// How well an object works, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How well.
    pub health: Health,
    /// Why.
    pub message: String,
}

impl Finding {
    fn new(health: Health, message: impl Into<String>) -> Self {
        Self { health, message: message.into() }
    }
}

impl From<Health> for Finding {
    fn from(health: Health) -> Self {
        Self::new(health, "")
    }
}

/// How well an object works; nothing for kinds of which that cannot be said.
#[must_use]
pub fn of(object: &Value) -> Option<Finding> {
    let metadata = &object["metadata"];
    let is_deleted = metadata["deletionTimestamp"].is_string();
    let kept_by_us =
        metadata["finalizers"].as_array().is_some_and(|all| all.iter().any(|one| one == marks::HOOK_FINALIZER));
    if is_deleted && !kept_by_us {
        return Some(Finding::new(Health::Progressing, "Pending deletion"));
    }
    let group =
        object["apiVersion"].as_str().and_then(|version| version.split_once('/')).map_or("", |(group, _)| group);
    let kind = object["kind"].as_str().unwrap_or_default();
    builtin::of(group, kind, object).or_else(|| custom::of(group, kind, object))
}

/// Whether the health of an object counts for its application.
#[must_use]
pub fn counts(object: &Value) -> bool {
    object["metadata"]["annotations"][marks::IGNORE_HEALTH] != "true"
}

/// How well an application works whose objects are these: nothing stands for one that is missing. Objects without health do not
/// count, nor does a missing one beside others.
#[must_use]
pub fn of_all<'a>(objects: impl IntoIterator<Item = Option<&'a Value>>) -> Health {
    let (mut worst, mut some, mut any) = (Health::Healthy, false, false);
    for object in objects {
        any = true;
        let Some(object) = object else { continue };
        some = true;
        // What became of an application of applications says nothing before its children have been looked at.
        let unseen = |found: &Finding| {
            object["kind"] == "Application" && matches!(found.health, Health::Missing | Health::Unknown)
        };
        if let Some(found) = of(object).filter(|found| counts(object) && !unseen(found)) {
            worst = worst.max(found.health);
        }
    }
    if any && !some { Health::Missing } else { worst }
}

/// The condition of a type: its status, reason and message.
fn condition<'a>(object: &'a Value, of: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let conditions = object["status"]["conditions"].as_array()?;
    let found = conditions.iter().find(|one| one["type"] == of)?;
    let text = |field: &str| found[field].as_str().unwrap_or_default();
    Some((text("status"), text("reason"), text("message")))
}

#[cfg(test)]
mod tests;
