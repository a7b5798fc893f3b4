//! What a place comes to: the objects that a person applies, and those of every application that follows from them, application by
//! application. It only reads files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;
use tinderbox_api::gitops::{Application, ApplicationSet, ApplicationSource, GROUP, GitGenerator};
use tinderbox_gitops::set::{self, Look};
use tinderbox_gitops::source::{Home, Request};
use tinderbox_gitops::sync::Key;
use tinderbox_gitops::tree::{Disk, Tree, join};

use crate::error::Error;
use crate::manifest::{self, Object};
use crate::project::Project;

/// What a place is to have.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// What is applied by hand: the root.
    pub root: Vec<Object>,
    /// What follows from it, each application after the one that it is part of.
    pub children: Vec<Child>,
}

/// An application and its objects.
#[derive(Debug, Clone)]
pub struct Child {
    /// Its name.
    pub name: String,
    /// Its wave among the children of its parent.
    pub wave: i64,
    /// Its source, whose path is one of the repository.
    pub source: ApplicationSource,
    /// The application itself.
    pub application: Object,
    /// Its objects, each in its namespace.
    pub objects: Vec<Object>,
}

impl Plan {
    /// The names of all applications.
    #[must_use]
    pub fn names(&self) -> BTreeSet<String> {
        self.children.iter().map(|child| child.name.clone()).collect()
    }

    /// Everything that there is to be, each object with the name of its application: nothing for the root, which comes first.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Object)> {
        let root = self.root.iter().map(|object| ("", object));
        let children = self.children.iter();
        root.chain(children.flat_map(|child| child.objects.iter().map(|object| (child.name.as_str(), object))))
    }

    /// All objects of all applications but the applications themselves, those of the first waves first; without any application those of the root.
    #[must_use]
    pub fn objects(&self) -> Vec<Object> {
        if self.children.is_empty() {
            return self.root.clone();
        }
        let mut children: Vec<&Child> = self.children.iter().collect();
        children.sort_by_key(|child| child.wave);
        let all = children.into_iter().flat_map(|child| &child.objects);
        all.filter(|object| !is_application(&object.value) && !is_set(&object.value)).cloned().collect()
    }
}

/// What follows from the manifests at `root`, whose applications have their sources in the repository of the project, or elsewhere.
///
/// # Errors
/// When a file is broken, a repository does not answer, or an application is part of itself.
pub fn expand(project: &Project, root: &Path) -> Result<Plan, Error> {
    let (tree, within) = Disk::around(&project.repository())?;
    let tree = Below { tree, within };
    follow(&tree, &project.sources(), manifest::load(root)?)
}

/// What follows from these objects, with sources in this tree, or elsewhere.
///
/// # Errors
/// As [`expand`].
pub(crate) fn follow(tree: &dyn Tree, home: &Home, root: Vec<Object>) -> Result<Plan, Error> {
    let mut plan = Plan { root, children: Vec::new() };
    let of_sets = generated(tree, home, &plan.root)?;
    let first = plan.root.iter().filter(|object| is_application(&object.value)).chain(&of_sets);
    let mut open: Vec<(Object, Vec<ApplicationSource>)> = first.map(|one| (one.clone(), Vec::new())).collect();
    let mut rendered = Vec::new();
    while !open.is_empty() {
        let (object, above) = open.remove(0);
        let application: Application =
            serde_json::from_value(object.value.clone()).map_err(|error| wrong(&object, "spec", error.to_string()))?;
        let spec = application.spec;
        let source = match (spec.sources.as_slice(), spec.source) {
            ([], Some(source)) => source,
            ([one], _) => one.clone(),
            _ => return Err(wrong(&object, "spec", "an application has one source here".to_owned())),
        };
        if above.contains(&source) {
            let message = format!("the application {} is part of itself", object.name().name);
            return Err(wrong(&object, "spec.source", message));
        }
        let request = Request {
            source: source.clone(),
            app: object.name().name,
            namespace: spec.destination.namespace.clone(),
            project: spec.project.clone(),
            ..Request::default()
        };
        let (_, mut objects) = home.render(tree, &request)?;
        objects.extend(generated(tree, home, &objects)?);
        let line: Vec<ApplicationSource> = above.into_iter().chain([source.clone()]).collect();
        open.extend(objects.iter().filter(|one| is_application(&one.value)).map(|one| (one.clone(), line.clone())));
        let wave = object.value["metadata"]["annotations"][tinderbox_api::gitops::marks::SYNC_WAVE].as_str();
        let wave = wave.and_then(|wave| wave.parse().ok()).unwrap_or_default();
        rendered.push((object.name().name, wave, source, object, spec.destination.namespace, objects));
    }
    let defined = definitions(rendered.iter().flat_map(|one| &one.5).chain(&plan.root));
    plan.children = rendered
        .into_iter()
        .map(|(name, wave, source, application, namespace, mut objects)| {
            objects.iter_mut().for_each(|object| put(object, &namespace, &defined));
            Child { name, wave, source, application, objects }
        })
        .collect();
    Ok(plan)
}

/// The applications of the sets among objects, each where the template of its set stands.
fn generated(tree: &dyn Tree, home: &Home, objects: &[Object]) -> Result<Vec<Object>, Error> {
    let mut all = Vec::new();
    for object in objects.iter().filter(|object| is_set(&object.value)) {
        let set: ApplicationSet =
            serde_json::from_value(object.value.clone()).map_err(|error| wrong(object, "spec", error.to_string()))?;
        let trees = |git: &GitGenerator, look: &mut Look<'_>| home.look(tree, git, look);
        let apps =
            set::applications(&set, &trees).map_err(|error| wrong(object, "spec.generators", error.to_string()))?;
        if let Some((_, message)) = set::clashes(&set, &apps).pop() {
            return Err(wrong(object, "spec.template.metadata.name", message));
        }
        for app in apps {
            let value = serde_json::to_value(app).map_err(|error| Error::Internal(error.to_string()))?;
            let place = object.place.clone().map(|(spans, inside)| {
                let inside = if inside.is_empty() { inside } else { inside + "." };
                (spans, inside + "spec.template")
            });
            all.push(Object { value, origin: object.origin.clone(), place });
        }
    }
    Ok(all)
}

/// The kinds that objects define, and whether theirs live in namespaces.
fn definitions<'a>(objects: impl Iterator<Item = &'a Object>) -> BTreeMap<(String, String), bool> {
    let definitions = objects.map(|object| &object.value).filter(|value| value["kind"] == "CustomResourceDefinition");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let one = |value: &Value| {
        let spec = &value["spec"];
        ((text(&spec["group"]), text(&spec["names"]["kind"])), spec["scope"] != "Cluster")
    };
    definitions.map(one).collect()
}

/// Puts an object that names no namespace into that of its application, if it lives in one.
fn put(object: &mut Object, namespace: &str, defined: &BTreeMap<(String, String), bool>) {
    let Key { group, kind, .. } = Key::of(&object.value);
    let namespaced = defined
        .get(&(group, kind))
        .copied()
        .unwrap_or_else(|| !tinderbox_gitops::kustomize::lives_alone(&object.value));
    let metadata = &mut object.value["metadata"];
    if namespaced && metadata["namespace"].as_str().is_none_or(str::is_empty) && !namespace.is_empty() {
        metadata["namespace"] = namespace.into();
    }
}

/// Whether an object is a set of applications.
fn is_set(object: &Value) -> bool {
    let Key { group, kind, .. } = Key::of(object);
    (group.as_str(), kind.as_str()) == (GROUP, "ApplicationSet")
}

/// Whether an object is an application.
pub(crate) fn is_application(object: &Value) -> bool {
    let Key { group, kind, .. } = Key::of(object);
    (group.as_str(), kind.as_str()) == (GROUP, "Application")
}

fn wrong(object: &Object, field: &str, message: String) -> Error {
    Error::Document { place: object.place_of(field), message }
}

/// A folder of a larger tree as a tree: paths lead no further than to its root, and are shown as in the larger one.
struct Below {
    tree: Disk,
    within: PathBuf,
}

impl Tree for Below {
    fn read(&self, path: &Path) -> tinderbox_gitops::Result<Option<Vec<u8>>> {
        self.tree.read(&self.within.join(path))
    }

    fn is_dir(&self, path: &Path) -> bool {
        self.tree.is_dir(&self.within.join(path))
    }

    fn files(&self, dir: &Path, recurse: bool) -> tinderbox_gitops::Result<Vec<PathBuf>> {
        let all = self.tree.files(&self.within.join(dir), recurse)?;
        Ok(all.into_iter().filter_map(|path| path.strip_prefix(&self.within).ok().map(Path::to_owned)).collect())
    }

    fn children(&self, dir: &Path) -> tinderbox_gitops::Result<Vec<String>> {
        self.tree.children(&self.within.join(dir))
    }

    fn show(&self, path: &Path) -> PathBuf {
        // Nothing leads further up than to the root.
        let path = join(Path::new(""), path).unwrap_or_default();
        self.tree.show(&self.within.join(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tinderbox_gitops::tree::Memory;

    #[test]
    fn sets_are_followed_as_applications_are() {
        let api = "apiVersion: argoproj.io/v1alpha1\n";
        let to = "destination: {name: in-cluster, namespace: jobs}";
        let set = format!(
            "{api}kind: ApplicationSet\nmetadata: {{name: all, namespace: argocd}}\nspec:\n  generators:\n  \
             - git: {{repoURL: r, revision: HEAD, directories: [{{path: apps/*}}]}}\n  template:\n    \
             metadata: {{name: '{{{{path.basename}}}}'}}\n    \
             spec: {{project: p, source: {{repoURL: r, path: '{{{{path}}}}'}}, {to}}}\n"
        );
        let root = format!(
            "{api}kind: Application\nmetadata: {{name: root, namespace: argocd}}\n\
             spec: {{project: p, source: {{repoURL: r, path: sets}}, {to}}}\n"
        );
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\n";
        let tree = Memory::new([("sets/set.yaml", set.as_str()), ("apps/one/m.yaml", map), ("apps/two/m.yaml", map)]);
        let root = tinderbox_gitops::manifest::parse(Path::new("root.yaml"), &root).expect("a root");
        let plan = follow(&tree, &Home::default(), root).expect("a plan");
        assert_eq!(plan.names(), ["one", "root", "two"].map(str::to_owned).into());
        let made =
            plan.all().find(|(_, object)| object.name().name == "two").expect("it is among the objects of its parent");
        assert_eq!((made.0, made.1.place_of("spec.project").as_str()), ("root", "sets/set.yaml:9:12"));
        assert_eq!(plan.objects().len(), 2);
    }
}
