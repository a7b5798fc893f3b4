//! The resources served at this moment: the built-in table, and custom ones that come and go. It must not know requests.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use crate::resource::{self, Resource};

/// The resources served; readers take a snapshot and are never blocked for long.
#[derive(Debug)]
pub struct Registry {
    custom: RwLock<BTreeMap<String, Vec<Arc<Resource>>>>,
    builtin: Vec<Arc<Resource>>,
    current: RwLock<Arc<Snapshot>>,
}

/// The resources served at one moment.
#[derive(Debug, Default)]
pub struct Snapshot {
    all: Vec<Arc<Resource>>,
    /// By group, version and plural name.
    index: HashMap<[Arc<str>; 3], Arc<Resource>>,
}

impl Default for Registry {
    fn default() -> Self {
        let builtin: Vec<_> = resource::builtin().into_iter().map(Arc::new).collect();
        let current = RwLock::new(Arc::new(Snapshot::new(builtin.clone())));
        Self { custom: RwLock::default(), builtin, current }
    }
}

impl Registry {
    /// The resources at this moment.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The resource at a path.
    #[must_use]
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Resource>> {
        self.snapshot().find(group, version, plural)
    }

    /// Serves the resources of a definition instead of those that it had; none removes them.
    pub fn set_custom(&self, definition: &str, resources: Vec<Resource>) {
        self.set_custom_with(definition, || resources);
    }

    /// The same with what `read` finds, one after the other, so that the last word is the newest.
    pub(crate) fn set_custom_with(&self, definition: &str, read: impl FnOnce() -> Vec<Resource>) {
        let mut custom = self.custom.write().unwrap_or_else(PoisonError::into_inner);
        let resources = read();
        if resources.is_empty() {
            custom.remove(definition);
        } else {
            let resources = resources.into_iter().map(Arc::new).collect();
            custom.insert(definition.to_owned(), resources);
        }
        let all = self.builtin.iter().chain(custom.values().flatten());
        let snapshot = Arc::new(Snapshot::new(all.cloned().collect()));
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = snapshot;
    }
}

impl Snapshot {
    fn new(all: Vec<Arc<Resource>>) -> Self {
        let key = |one: &Arc<Resource>| [&one.group, &one.version, &one.plural].map(Arc::clone);
        let index = all.iter().map(|one| (key(one), Arc::clone(one))).collect();
        Self { all, index }
    }

    /// The resource at a path.
    #[must_use]
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Resource>> {
        let key = [group.into(), version.into(), plural.into()];
        self.index.get(&key).cloned()
    }

    /// The resource of a kind.
    #[must_use]
    pub fn of_kind(&self, group: &str, version: &str, kind: &str) -> Option<Arc<Resource>> {
        let same = |one: &&Arc<Resource>| *one.group == *group && *one.version == *version && *one.kind == *kind;
        self.all.iter().find(same).cloned()
    }

    /// Every resource, built-in ones first.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.all.iter()
    }

    /// Groups with their versions, preferred version first, core first and the others by name.
    #[must_use]
    pub fn groups(&self) -> Vec<(Arc<str>, Vec<Arc<str>>)> {
        let mut groups: BTreeMap<Arc<str>, Vec<Arc<str>>> = BTreeMap::new();
        for one in &self.all {
            let versions = groups.entry(Arc::clone(&one.group)).or_default();
            if !versions.contains(&one.version) {
                versions.push(Arc::clone(&one.version));
            }
        }
        for versions in groups.values_mut() {
            versions.sort_by_key(|version| std::cmp::Reverse(priority(version)));
        }
        groups.into_iter().collect()
    }

    /// The resources of a group and version, by name.
    #[must_use]
    pub fn of(&self, group: &str, version: &str) -> Vec<Arc<Resource>> {
        let same = |one: &&Arc<Resource>| *one.group == *group && *one.version == *version;
        let mut found: Vec<_> = self.all.iter().filter(same).cloned().collect();
        found.sort_by(|a, b| a.plural.cmp(&b.plural));
        found
    }
}

/// The rank of a version by its name: v2 over v1 over v1beta2 over v1alpha1 over anything else.
/// Upstream rule: k8s.io/apimachinery `pkg/version/helpers.go`.
#[must_use]
pub(crate) fn priority(version: &str) -> (u8, u32, u32) {
    let number = |text: &str| text.parse::<u32>().ok();
    let Some(rest) = version.strip_prefix('v') else {
        return (0, 0, 0);
    };
    let split = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (major, stage) = rest.split_at(split);
    let Some(major) = number(major) else {
        return (0, 0, 0);
    };
    let (rank, minor) = if stage.is_empty() {
        (3, Some(0))
    } else if let Some(minor) = stage.strip_prefix("beta") {
        (2, number(minor))
    } else {
        (1, stage.strip_prefix("alpha").and_then(number))
    };
    minor.map_or((0, 0, 0), |minor| (rank, major, minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_versions() {
        let mut versions = ["v1alpha1", "v1", "foo", "v1beta2", "v10", "v2", "v1beta1"];
        versions.sort_by_key(|version| std::cmp::Reverse(priority(version)));
        assert_eq!(versions, ["v10", "v2", "v1", "v1beta2", "v1beta1", "v1alpha1", "foo"]);
    }

    #[test]
    fn custom_resources_come_and_go() {
        let registry = Registry::default();
        let mut custom = (*registry.find("", "v1", "configmaps").unwrap()).clone();
        custom.group = "example.com".into();
        registry.set_custom("configmaps.example.com", vec![custom]);
        assert!(registry.find("example.com", "v1", "configmaps").is_some());
        registry.set_custom("configmaps.example.com", Vec::new());
        assert!(registry.find("example.com", "v1", "configmaps").is_none());
        assert!(registry.find("", "v1", "configmaps").is_some());
    }
}
