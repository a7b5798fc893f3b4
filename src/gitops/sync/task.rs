//! The tasks of a sync, in their order: one for each object, and one for each phase of a hook.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Value, json};

use super::kinds;
use super::mark::{DeletePolicy, Marks, Phase, has_option, option};
use super::options::Settings;

/// What tells objects apart.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Namespace; empty for cluster-wide objects.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl Key {
    /// The key of an object.
    #[must_use]
    pub fn of(object: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let version = object["apiVersion"].as_str().unwrap_or_default();
        let group = version.split_once('/').map_or("", |(group, _)| group);
        let metadata = &object["metadata"];
        Self {
            group: group.to_owned(),
            kind: text(&object["kind"]),
            namespace: text(&metadata["namespace"]),
            name: text(&metadata["name"]),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.group, self.kind, self.name)
    }
}

/// An object as it should be and as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pair {
    /// As it should be.
    pub target: Option<Value>,
    /// As it is.
    pub live: Option<Value>,
    /// Both differ.
    pub modified: bool,
}

impl Pair {
    /// Its key.
    #[must_use]
    pub fn key(&self) -> Key {
        self.target.as_ref().or(self.live.as_ref()).map(Key::of).unwrap_or_default()
    }
}

/// One thing to do in a sync.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// The object.
    pub key: Key,
    /// Its version, as in `v1`.
    pub version: String,
    /// The phase.
    pub phase: Phase,
    /// The wave.
    pub wave: i64,
    /// It is a hook.
    pub hook: bool,
    /// The object as it should be; nothing when it is to be deleted.
    pub target: Option<Value>,
    /// The object as it is.
    pub live: Option<Value>,
    /// Both differ.
    pub modified: bool,
    /// It makes the application's namespace.
    pub namespace: bool,
    delete: Vec<DeletePolicy>,
}

impl Task {
    /// The object is to be deleted.
    #[must_use]
    pub fn prunes(&self) -> bool {
        self.target.is_none()
    }

    pub(super) fn deletes(&self, policy: DeletePolicy) -> bool {
        self.hook && self.live.is_some() && self.delete.contains(&policy)
    }

    /// Whether the object or its application has an option.
    #[must_use]
    pub fn has(&self, option: &str) -> bool {
        self.target.as_ref().or(self.live.as_ref()).is_some_and(|object| has_option(object, option))
    }

    /// The value of an option of the object, as `confirm` of `Prune=confirm`.
    pub(super) fn option(&self, name: &str) -> Option<&str> {
        self.target.as_ref().or(self.live.as_ref()).and_then(|object| option(object, name))
    }

    /// The object is there and about to go: it waits for its dependents or finalizers.
    pub(super) fn is_going(&self) -> bool {
        self.live.as_ref().is_some_and(|live| !live["metadata"]["deletionTimestamp"].is_null())
    }

    fn new(object: &Value, phase: Phase, marks: Marks) -> Self {
        let version = object["apiVersion"].as_str().unwrap_or_default();
        let version = version.split_once('/').map_or(version, |(_, version)| version);
        Self {
            key: Key::of(object),
            version: version.to_owned(),
            phase,
            wave: marks.wave,
            hook: false,
            target: None,
            live: None,
            modified: false,
            namespace: false,
            delete: marks.delete,
        }
    }
}

/// A sync: its tasks in their order, and how they are done.
#[derive(Debug, Clone, PartialEq)]
pub struct Sync {
    /// The tasks.
    pub tasks: Vec<Task>,
    /// How they are done.
    pub settings: Settings,
}

impl Sync {
    /// The tasks for objects and hooks; `live` tells what is there under a name.
    #[must_use]
    pub fn new(pairs: &[Pair], hooks: &[Value], live: &dyn Fn(&Key) -> Option<Value>, settings: Settings) -> Self {
        let mut tasks = Vec::new();
        for pair in pairs.iter().filter(|pair| settings.selects(&pair.key())) {
            let Some(object) = pair.target.as_ref().or(pair.live.as_ref()) else { continue };
            let marks = Marks::of(object);
            // What is left of a hook is no object that could be written or pruned.
            if marks.skip || marks.hooks.is_some() {
                continue;
            }
            let task = Task::new(object, Phase::Sync, marks);
            tasks.push(Task { target: pair.target.clone(), live: pair.live.clone(), modified: pair.modified, ..task });
        }
        for object in hooks.iter().filter(|_| !settings.skip_hooks) {
            let marks = Marks::of(object);
            for phase in marks.hooks.clone().unwrap_or_default() {
                let object = named(object, phase, &settings);
                let task = Task::new(&object, phase, marks.clone());
                let live = live(&task.key);
                tasks.push(Task { hook: true, modified: true, target: Some(object), live, ..task });
            }
        }
        namespace(&mut tasks, pairs, live, &settings);
        waves_of_pruning(&mut tasks, settings.prune_last);
        tasks.sort_by(order);
        before_those_that_need_it(&mut tasks, namespace_made, |task| {
            Some(task.key.namespace.clone()).filter(|namespace| !namespace.is_empty())
        });
        before_those_that_need_it(&mut tasks, kind_defined, |task| {
            Some(format!("{}/{}", task.key.group, task.key.kind))
        });
        Self { tasks, settings }
    }

    /// There is more than one step.
    pub(super) fn has_steps(&self) -> bool {
        let step = |task: &Task| (task.phase, task.wave);
        self.tasks.first().map(step) != self.tasks.last().map(step)
    }
}

/// A hook without a name of its own gets one from revision, phase and time.
#[must_use]
fn named(object: &Value, phase: Phase, settings: &Settings) -> Value {
    let mut object = object.clone();
    if object["metadata"]["name"].is_null()
        && let Some(begin) = object["metadata"]["generateName"].as_str().map(str::to_owned)
    {
        let revision: String = settings.revision.chars().take(7).collect();
        let name = format!("{begin}{revision}-{}-{}", phase.as_str(), settings.started).to_lowercase();
        object["metadata"]["name"] = json!(name);
    }
    object
}

/// The application's namespace comes before everything else, unless it is there or among the objects.
fn namespace(tasks: &mut Vec<Task>, pairs: &[Pair], live: &dyn Fn(&Key) -> Option<Value>, settings: &Settings) {
    let Some(namespace) = &settings.namespace else { return };
    let key = Key::of(namespace);
    if pairs.iter().any(|pair| pair.target.is_some() && pair.key() == key) {
        return;
    }
    let live = live(&key);
    tasks.retain(|task| task.key != key);
    let is_bare = namespace["metadata"].as_object().is_some_and(|fields| fields.len() == 1);
    if live.is_some() && is_bare {
        return;
    }
    let task = Task::new(namespace, Phase::PreSync, Marks { wave: i64::MIN, ..Marks::default() });
    tasks.push(Task { target: Some(namespace.clone()), live, modified: true, namespace: true, ..task });
}

/// What was made last is deleted first; with `PruneLast`, after everything else.
fn waves_of_pruning(tasks: &mut [Task], prune_last: bool) {
    let waves: BTreeSet<i64> = tasks.iter().filter(|task| task.prunes()).map(|task| task.wave).collect();
    let waves: Vec<i64> = waves.into_iter().collect();
    for task in tasks.iter_mut().filter(|task| task.prunes()) {
        if let Ok(index) = waves.binary_search(&task.wave) {
            task.wave = waves[waves.len() - 1 - index];
        }
    }
    let last = tasks.iter().filter(|task| task.phase == Phase::Sync).map(|task| task.wave).max();
    let last = last.unwrap_or_default().max(0).saturating_add(1);
    for task in tasks.iter_mut().filter(|task| task.prunes()) {
        if prune_last || task.has("PruneLast=true") {
            task.wave = last;
        }
    }
}

/// The namespace that a task makes.
fn namespace_made(task: &Task) -> Option<String> {
    Some(task.key.name.clone()).filter(|_| task.key.kind == "Namespace" && task.key.group.is_empty())
}

/// The kind that a task defines, with its group.
fn kind_defined(task: &Task) -> Option<String> {
    let spec = &task.target.as_ref().filter(|_| task.key.kind == "CustomResourceDefinition")?["spec"];
    Some(format!("{}/{}", spec["group"].as_str()?, spec["names"]["kind"].as_str()?))
}

/// What others need comes in phase and wave before the first of those that need it.
/// Upstream rule: `adjustDeps` in `gitops-engine/pkg/sync/sync_tasks.go`.
fn before_those_that_need_it(
    tasks: &mut [Task],
    gives: impl Fn(&Task) -> Option<String>,
    needs: impl Fn(&Task) -> Option<String>,
) {
    let mut first: BTreeMap<String, usize> = BTreeMap::new();
    for index in 0..tasks.len() {
        if tasks[index].prunes() {
            continue;
        }
        let Some(given) = gives(&tasks[index]) else {
            if let Some(need) = needs(&tasks[index]) {
                first.entry(need).or_insert(index);
            }
            continue;
        };
        let Some(earlier) = first.get(&given).copied() else { continue };
        (tasks[index].phase, tasks[index].wave) = (tasks[earlier].phase, tasks[earlier].wave);
        tasks[earlier..=index].rotate_right(1);
        first.values_mut().filter(|at| **at >= earlier).for_each(|at| *at += 1);
    }
}

fn order(one: &Task, two: &Task) -> Ordering {
    let step = |task: &Task| (task.phase, task.wave);
    let kind = |task: &Task| kinds::place(&task.key.kind);
    step(one)
        .cmp(&step(two))
        .then_with(|| match (one.prunes(), two.prunes()) {
            // Within a wave what goes, goes first, and in the opposite order.
            (true, true) => kind(two).cmp(&kind(one)),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => kind(one).cmp(&kind(two)),
        })
        .then_with(|| one.key.name.cmp(&two.key.name))
}
