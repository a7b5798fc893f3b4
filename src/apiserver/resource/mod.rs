//! What the server serves: one entry per resource and version, saying how the shared behaviour treats it. The built-in
//! entries are in the files of this folder, by group; custom ones are made from definitions. Data only; no requests.

mod apps;
mod core;
mod meta;
mod metrics;
mod networking;
mod policy;
mod rbac;
mod storage;
mod virtual_kinds;

use std::sync::Arc;

use tinderbox_store::Collection;

use crate::crd::{Conversion, Rules};
use crate::schema::Schema;
use crate::table::Columns;

/// What can be done with a resource, in the order of discovery.
pub const ALL_VERBS: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// A field that objects can be selected by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selectable {
    /// What selectors call it.
    pub path: String,
    /// Where its value stands.
    pub from: String,
    /// Its value where it is not set: the zero value of its type for kinds that are Go structs upstream.
    pub absent: &'static str,
}

impl Selectable {
    /// A field that is the empty text where it is not set.
    #[must_use]
    pub fn text(path: &str) -> Self {
        Self { path: path.to_owned(), from: path.to_owned(), absent: "" }
    }
}

/// One resource in one version.
#[derive(Debug, Clone)]
pub struct Resource {
    /// API group; empty for core.
    pub group: Arc<str>,
    /// Version.
    pub version: Arc<str>,
    /// Kind.
    pub kind: Arc<str>,
    /// Kind of a list.
    pub list_kind: Arc<str>,
    /// Plural name, as in paths.
    pub plural: Arc<str>,
    /// Singular name.
    pub singular: Arc<str>,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// Short names (`po`).
    pub short_names: Vec<String>,
    /// Categories (`all`).
    pub categories: Vec<String>,
    /// Verbs.
    pub verbs: Vec<&'static str>,
    /// Subresources.
    pub subresources: Vec<Subresource>,
    /// Where the scale subresource finds its numbers.
    pub scale: Option<ScalePaths>,
    /// Columns of `kubectl get`.
    pub columns: Columns,
    /// Paths that a field selector may name, besides name and namespace.
    pub fields: Vec<Selectable>,
    /// Whether `metadata.generation` counts changes of the spec.
    pub generation: bool,
    /// The form of names.
    pub names: NameRule,
    /// Where objects are stored.
    pub collection: Collection,
    /// How stored objects differ from served ones.
    pub view: View,
    /// Whether a delete answers with the object.
    pub returns_deleted: bool,
    /// Whether an update may leave out resourceVersion.
    pub unconditional_update: bool,
    /// Whether an update of an absent object creates it.
    pub create_on_update: bool,
    /// The schema, for custom resources.
    pub schema: Option<Arc<Schema>>,
    /// The schema has defaults: objects that were stored before them get them when they are read.
    pub defaulted: bool,
    /// The definition's name, for custom resources.
    pub definition: Option<Arc<str>>,
    /// The rules in CEL that a definition says.
    pub rules: Option<Arc<Rules>>,
    /// How objects get from one version to another, for custom resources.
    pub conversion: Option<Arc<Conversion>>,
    /// A warning to whoever uses this version.
    pub deprecation: Option<String>,
}

/// A subresource as discovery shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subresource {
    /// Name, as in `status`.
    pub name: &'static str,
    /// Kind of its objects.
    pub kind: Arc<str>,
    /// Group and version of its objects, where they differ from the resource's.
    pub group_version: Option<(&'static str, &'static str)>,
    /// Verbs.
    pub verbs: &'static [&'static str],
}

/// Dotted paths of the scale subresource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScalePaths {
    /// `.spec.replicas`.
    pub spec_replicas: String,
    /// `.status.replicas`.
    pub status_replicas: String,
    /// Where the selector is, as an object or as text.
    pub selector: Option<String>,
}

/// The form that names must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameRule {
    /// RFC 1123 subdomain.
    Subdomain,
    /// RFC 1123 label.
    Label,
    /// RFC 1035 label.
    Label1035,
    /// One segment of a path.
    Segment,
}

/// How stored objects differ from what this version serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// They are the same.
    Same,
    /// Only apiVersion differs (custom resources with several versions).
    ApiVersion,
    /// A webhook converts them (custom resources with several versions), as `convert` has it.
    Webhook,
    /// Events of `events.k8s.io`, stored as core events.
    Events,
    /// Autoscalers of `autoscaling/v1`, stored as those of v2.
    Autoscalers,
}

impl Resource {
    /// A built-in resource with everything at its most common.
    fn new(group: &str, version: &str, kind: &str, plural: &str, namespaced: bool) -> Self {
        let plural: Arc<str> = plural.into();
        Self {
            group: group.into(),
            version: version.into(),
            kind: kind.into(),
            list_kind: format!("{kind}List").into(),
            singular: kind.to_ascii_lowercase().into(),
            namespaced,
            short_names: Vec::new(),
            categories: Vec::new(),
            verbs: ALL_VERBS.to_vec(),
            subresources: Vec::new(),
            scale: None,
            columns: Columns::Default,
            fields: Vec::new(),
            generation: false,
            names: NameRule::Subdomain,
            collection: Collection { group: group.into(), resource: Arc::clone(&plural) },
            plural,
            view: View::Same,
            returns_deleted: false,
            unconditional_update: true,
            create_on_update: false,
            schema: None,
            defaulted: false,
            definition: None,
            rules: None,
            conversion: None,
            deprecation: None,
        }
    }

    fn namespaced(group: &str, version: &str, kind: &str, plural: &str) -> Self {
        Self::new(group, version, kind, plural, true)
    }

    fn cluster(group: &str, version: &str, kind: &str, plural: &str) -> Self {
        Self::new(group, version, kind, plural, false)
    }

    fn short(mut self, names: &[&str]) -> Self {
        self.short_names = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    fn categories(mut self, names: &[&str]) -> Self {
        self.categories = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    fn verbs(mut self, verbs: &[&'static str]) -> Self {
        self.verbs = verbs.to_vec();
        self
    }

    fn status(self) -> Self {
        let kind = Arc::clone(&self.kind);
        self.sub(Subresource { name: "status", kind, group_version: None, verbs: &["get", "patch", "update"] })
    }

    fn sub(mut self, subresource: Subresource) -> Self {
        self.subresources.push(subresource);
        self
    }

    /// A subresource whose objects are of another group and version.
    fn foreign(
        self,
        name: &'static str,
        group_version: (&'static str, &'static str),
        kind: &str,
        verbs: &'static [&'static str],
    ) -> Self {
        self.sub(Subresource { name, kind: kind.into(), group_version: Some(group_version), verbs })
    }

    /// A subresource that is no object of its own (`log`).
    fn plain(self, name: &'static str, kind: &str, verbs: &'static [&'static str]) -> Self {
        self.sub(Subresource { name, kind: kind.into(), group_version: None, verbs })
    }

    fn scale(mut self, selector: &str) -> Self {
        self.scale = Some(ScalePaths {
            spec_replicas: "spec.replicas".to_owned(),
            status_replicas: "status.replicas".to_owned(),
            selector: Some(selector.to_owned()),
        });
        self.foreign("scale", ("autoscaling", "v1"), "Scale", &["get", "patch", "update"])
    }

    fn columns(mut self, columns: Columns) -> Self {
        self.columns = columns;
        self
    }

    /// Text fields that can be selected by.
    fn fields(mut self, paths: &[&str]) -> Self {
        self.fields.extend(paths.iter().map(|path| Selectable::text(path)));
        self
    }

    /// Another field that can be selected by, whose value stands at `from`, and is `absent` where it is not set.
    fn field(mut self, path: &str, from: &str, absent: &'static str) -> Self {
        self.fields.push(Selectable { path: path.to_owned(), from: from.to_owned(), absent });
        self
    }

    fn counted(mut self) -> Self {
        self.generation = true;
        self
    }

    fn names(mut self, rule: NameRule) -> Self {
        self.names = rule;
        self
    }

    fn returns_deleted(mut self) -> Self {
        self.returns_deleted = true;
        self
    }

    fn create_on_update(mut self) -> Self {
        self.create_on_update = true;
        self
    }

    /// `v1` or `group/version`.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_string() } else { format!("{}/{}", self.group, self.version) }
    }

    /// The subresource of this name, if there is one.
    #[must_use]
    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|sub| sub.name == name)
    }

    /// Whether status is written apart from the rest.
    #[must_use]
    pub fn has_status(&self) -> bool {
        self.subresource("status").is_some()
    }

    /// Whether this is the built-in resource of this group and name.
    #[must_use]
    pub fn is(&self, group: &str, plural: &str) -> bool {
        *self.group == *group && *self.plural == *plural
    }
}

/// Every built-in resource, in the order of discovery.
#[must_use]
pub fn builtin() -> Vec<Resource> {
    let mut all = core::table();
    all.extend(meta::table());
    all.extend(apps::table());
    all.extend(rbac::table());
    all.extend(networking::table());
    all.extend(policy::table());
    all.extend(storage::table());
    all.extend(virtual_kinds::table());
    all.extend(metrics::table());
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_entries_share_a_path_and_no_two_kinds_a_short_name() {
        let mut paths = HashSet::new();
        let mut shorts = HashSet::new();
        for resource in builtin() {
            assert!(paths.insert((resource.api_version(), Arc::clone(&resource.plural))), "{resource:?}");
            for short in &resource.short_names {
                assert!(shorts.insert((short.clone(), resource.api_version())), "{short}");
            }
        }
    }
}
