//! Plans of syncs from beginning to end: what is there and wanted, and what was done, step by step. Each names the rule of Argo CD
//! that it holds. `BLESS=1` writes the steps anew, to be read before they are believed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use tinderbox_api::gitops::Selected;

use super::*;

/// Turns after which a sync is thought to go on for ever.
const TURNS_MAX: usize = 30;

#[derive(Default)]
struct World {
    pairs: Vec<Pair>,
    hooks: Vec<Value>,
    live: BTreeMap<String, Value>,
    fates: BTreeMap<String, String>,
    settings: Settings,
    /// Somebody ends the sync when it waits for the time so many.
    terminate: usize,
}

fn group(kind: &str) -> &'static str {
    match kind {
        "Deployment" => "apps/v1",
        "Job" | "CronJob" => "batch/v1",
        "Role" | "RoleBinding" | "ClusterRole" | "ClusterRoleBinding" => "rbac.authorization.k8s.io/v1",
        "CustomResourceDefinition" => "apiextensions.k8s.io/v1",
        "SparkApplication" => "sparkoperator.k8s.io/v1beta2",
        "Zebra" | "Aardvark" => "zoo.example/v1",
        _ => "v1",
    }
}

fn short(value: &Value) -> String {
    told(&Key::of(value))
}

fn told(key: &Key) -> String {
    let Key { kind, namespace, name, .. } = key;
    if namespace.is_empty() { format!("{kind}/{name}") } else { format!("{namespace}:{kind}/{name}") }
}

fn object(what: &str, words: &[&str]) -> Value {
    let (kind, name) = what.split_once('/').expect("kind and name");
    let mut annotations = json!({});
    for word in words {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        let mark = match key {
            "wave" => "argocd.argoproj.io/sync-wave",
            "weight" => "helm.sh/hook-weight",
            "opt" => "argocd.argoproj.io/sync-options",
            "hook" => "argocd.argoproj.io/hook",
            "helm" => "helm.sh/hook",
            "delete" if value.contains('-') => "helm.sh/hook-delete-policy",
            "delete" => "argocd.argoproj.io/hook-delete-policy",
            _ => continue,
        };
        annotations[mark] = json!(value);
    }
    let named = if words.contains(&"generate") { "generateName" } else { "name" };
    let mut metadata = json!({named: name, "annotations": annotations});
    let value = |key: &str| words.iter().find_map(|word| word.strip_prefix(key));
    if let Some(namespace) = value("in=") {
        metadata["namespace"] = json!(namespace);
    }
    let mut spec = if kind == "Deployment" { json!({"replicas": 1}) } else { json!({}) };
    if let Some(defined) = value("defines=") {
        let group = group(defined).split_once('/').map_or("", |(group, _)| group);
        spec = json!({"group": group, "names": {"kind": defined}});
    }
    json!({"apiVersion": group(kind), "kind": kind, "metadata": metadata, "spec": spec})
}

impl World {
    fn read(lines: &[&str]) -> Self {
        let mut world = Self::default();
        world.settings.revision = "0123456789".to_owned();
        world.settings.started = 1000;
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            match words[0] {
                "set" => words[1..].iter().for_each(|word| world.set(word)),
                "fate" => {
                    world.fates.insert(words[1].to_owned(), words[2].to_owned());
                }
                "target" => {
                    let target = object(words[1], &words);
                    let is_there = words.contains(&"live") || words.contains(&"same");
                    if is_there {
                        world.live.insert(short(&target), target.clone());
                    }
                    world.pairs.push(Pair { target: Some(target), live: None, modified: !words.contains(&"same") });
                }
                "extra" => {
                    let live = object(words[1], &words);
                    world.live.insert(short(&live), live.clone());
                    world.pairs.push(Pair { target: None, live: Some(live), modified: true });
                }
                "hook" | "helm" => {
                    let mark = format!("{}={}", words[0], words[2]);
                    let hook = object(words[1], &[&words[..], &[&mark]].concat());
                    if words.contains(&"live") {
                        let done = with_status(hook.clone(), "works");
                        world.live.insert(short(&hook), done);
                    }
                    world.hooks.push(hook);
                }
                other => panic!("unknown word {other}"),
            }
        }
        world
    }

    fn set(&mut self, word: &str) {
        let settings = &mut self.settings;
        match word.split_once('=').unwrap_or((word, "")) {
            ("terminate", number) => self.terminate = number.parse().expect("a number"),
            ("prune", _) => settings.prune = true,
            ("prune-last", _) => settings.prune_last = true,
            ("prune-never", _) => settings.prune_never = true,
            ("prune-confirm", _) => settings.prune_confirm = true,
            ("confirmed", _) => settings.prune_confirmed = true,
            ("dry-run", _) => settings.dry_run = true,
            ("skip-hooks", _) => settings.skip_hooks = true,
            ("out-of-sync-only", _) => settings.out_of_sync_only = true,
            ("namespace", name) => {
                settings.namespace = Some(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
            }
            ("labels", _) => {
                if let Some(namespace) = &mut settings.namespace {
                    namespace["metadata"]["labels"] = json!({"a": "b"});
                }
            }
            ("select", what) => {
                let (kind, name) = what.split_once('/').expect("kind and name");
                let (namespace, kind) = kind.split_once(':').unwrap_or(("", kind));
                let group = group(kind).split_once('/').map_or("", |(group, _)| group);
                let [group, kind, name, namespace] = [group, kind, name, namespace].map(str::to_owned);
                settings.selected.push(Selected { group, kind, name, namespace });
                settings.skip_hooks = true;
            }
            other => panic!("unknown setting {other:?}"),
        }
    }

    /// The sync, seen from what is there now.
    fn sync(&self) -> Sync {
        let now = |one: Option<&Value>| one.and_then(|one| self.live.get(&short(one)).cloned());
        let mut pairs = Vec::new();
        for pair in &self.pairs {
            let live = now(pair.target.as_ref().or(pair.live.as_ref()));
            if pair.target.is_some() || live.is_some() {
                pairs.push(Pair { target: pair.target.clone(), live, modified: pair.modified });
            }
        }
        let live = |key: &Key| self.live.get(&told(key)).cloned();
        Sync::new(&pairs, &self.hooks, &live, self.settings.clone())
    }

    fn fate(&self, key: &Key) -> &str {
        self.fates.get(&told(key)).map_or("", String::as_str)
    }

    fn run(&mut self) -> String {
        let mut told = String::new();
        let mut results = Results::default();
        let mut waits = 0;
        for _ in 0..TURNS_MAX {
            let sync = self.sync();
            let mut turn = sync.turn(&mut results);
            if let Turn::Check(all) = &turn {
                let check = |index: &usize| match self.fate(&sync.tasks[*index].key) {
                    "invalid" => (*index, Err(Objection::Refused("not valid".to_owned()))),
                    "unknown" => (*index, Err(Objection::Invalid("not known".to_owned()))),
                    "forbidden" => (*index, Err(Objection::Invalid("not permitted".to_owned()))),
                    _ => (*index, Ok(())),
                };
                let outcomes: Vec<(usize, Check)> = all.iter().map(check).collect();
                writeln!(told, "check {}", all.len()).expect("written");
                if let Some(settled) = sync.checked(&mut results, &outcomes) {
                    return end(told, &settled, &results);
                }
                turn = sync.proceed(&mut results);
            }
            match turn {
                Turn::Check(_) => panic!("a second check"),
                Turn::Wait(message) => {
                    writeln!(told, "wait: {message}").expect("written");
                    waits += 1;
                    if waits == self.terminate {
                        writeln!(told, "terminate").expect("written");
                        for act in sync.terminate(&mut results) {
                            self.act(&sync, act, &mut told).expect("deleted");
                        }
                        let message = "Operation terminated".to_owned();
                        return end(told, &Settled::End(Operation::Failed, message, Vec::new()), &results);
                    }
                    if !self.pass() {
                        writeln!(told, "... for ever").expect("written");
                        return told;
                    }
                }
                Turn::End(phase, message, last) => {
                    for act in last {
                        self.act(&sync, act, &mut told).expect("deleted");
                    }
                    return end(told, &Settled::End(phase, message, Vec::new()), &results);
                }
                Turn::Do(acts) => {
                    let mut outcomes: Vec<(Act, Outcome)> = Vec::new();
                    for act in acts {
                        if !Sync::goes_on(&outcomes, act) {
                            break;
                        }
                        outcomes.push((act, self.act(&sync, act, &mut told)));
                    }
                    match sync.settle(&mut results, &outcomes) {
                        Settled::Again(_) => (),
                        Settled::End(phase, message, last) => {
                            for act in last {
                                self.act(&sync, act, &mut told).expect("deleted");
                            }
                            return end(told, &Settled::End(phase, message, Vec::new()), &results);
                        }
                    }
                }
            }
        }
        panic!("never ends:\n{told}");
    }

    fn act(&mut self, sync: &Sync, act: Act, told: &mut String) -> Outcome {
        let task = &sync.tasks[act.task()];
        let name = self::told(&task.key);
        let refused = self.fate(&task.key) == "refused";
        let verb = match act {
            Act::Apply(_) if task.hook => "hook",
            Act::Apply(_) => "apply",
            Act::Prune(_) => "prune",
            Act::DeleteHook(_) => "delete hook",
        };
        let word = if refused { ": refused" } else { "" };
        writeln!(told, "{verb} {name}{word}").expect("written");
        if refused {
            return Err(format!("{} is not allowed", task.key.name));
        }
        let is_deleted = !matches!(act, Act::Apply(_));
        if is_deleted && self.fate(&task.key) == "lingers" {
            if let Some(live) = self.live.get_mut(&name) {
                live["metadata"]["deletionTimestamp"] = json!("1970-01-01T00:00:00Z");
            }
            return Ok("done".to_owned());
        }
        match act {
            Act::Apply(_) => {
                let made = task.target.clone().expect("a target");
                let made = if self.fate(&task.key) == "suspended" { with_status(made, "suspended") } else { made };
                self.live.insert(name, made)
            }
            Act::Prune(_) | Act::DeleteHook(_) => self.live.remove(&name),
        };
        Ok("done".to_owned())
    }

    /// Time passes: what was made becomes what it is to be. Whether anything changed.
    fn pass(&mut self) -> bool {
        let before = self.live.clone();
        for (name, value) in before.clone() {
            match self.fates.get(&name).map_or("works", String::as_str) {
                "hangs" => (),
                "vanishes" => {
                    self.live.remove(&name);
                }
                "lingers" if !value["metadata"]["deletionTimestamp"].is_null() => {
                    self.live.remove(&name);
                }
                fate => {
                    self.live.insert(name, with_status(value, fate));
                }
            }
        }
        self.live != before
    }
}

/// The object once it works, or does not.
fn with_status(mut value: Value, fate: &str) -> Value {
    let kind = value["kind"].as_str().unwrap_or_default().to_owned();
    if fate == "suspended" {
        value["spec"]["suspend"] = json!(true);
        return value;
    }
    let fails = fate == "fails";
    match kind.as_str() {
        "Job" => {
            let condition = if fails { "Failed" } else { "Complete" };
            value["status"] = json!({"conditions": [{"type": condition, "status": "True"}]});
        }
        "Deployment" => {
            let deadline = json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]);
            value["status"] = json!({"updatedReplicas": 1, "replicas": 1, "availableReplicas": 1});
            if fails {
                value["status"]["conditions"] = deadline;
            }
        }
        _ => (),
    }
    value
}

fn end(mut told: String, settled: &Settled, results: &Results) -> String {
    let Settled::End(phase, message, _) = settled else { panic!("not over") };
    for one in results.clone().into_inner() {
        if one.status != "Synced" && one.status != "Pruned" {
            writeln!(told, "{} {}/{}: {}", one.status, one.kind, one.name, one.message).expect("written");
        } else if one.message == "Terminated" {
            writeln!(told, "Terminated {}/{}", one.kind, one.name).expect("written");
        }
    }
    writeln!(told, "{}: {message}", phase.as_str()).expect("written");
    told
}

#[test]
fn every_plan() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("sync/testdata/plans.txt");
    let text = std::fs::read_to_string(&path).expect("read");
    let (mut written, mut count) = (String::new(), 0);
    for case in text.split("=== ").skip(1) {
        let (rule, rest) = case.split_once('\n').expect("a rule");
        let input = rest.split("--\n").next().unwrap_or_default();
        let lines: Vec<&str> = input.lines().filter(|line| !line.is_empty()).collect();
        let told = World::read(&lines).run();
        write!(written, "=== {rule}\n{}--\n{told}", lines.iter().map(|line| format!("{line}\n")).collect::<String>())
            .expect("written");
        count += 1;
    }
    assert!(count >= 120, "{count} plans");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &written).expect("written");
    } else if text != written {
        let line = text.lines().zip(written.lines()).position(|(one, two)| one != two).unwrap_or_default();
        let around: Vec<&str> = written.lines().skip(line.saturating_sub(8)).take(16).collect();
        panic!("the plans differ from line {}:\n{}", line + 1, around.join("\n"));
    }
}

#[test]
fn a_sync_that_was_broken_off_is_continued() {
    let mut world = World::read(&["target Deployment/db wave=1", "target Deployment/web wave=2"]);
    let mut results = Results::default();
    let sync = world.sync();
    assert!(matches!(sync.turn(&mut results), Turn::Check(_)));
    let Turn::Do(acts) = sync.proceed(&mut results) else { panic!("nothing to do") };
    let outcomes: Vec<(Act, Outcome)> =
        acts.into_iter().map(|act| (act, world.act(&sync, act, &mut String::new()))).collect();
    sync.settle(&mut results, &outcomes);
    // Another controller reads what was written down, and goes on with the second wave.
    let mut results = Results::new(results.into_inner());
    assert_eq!(
        world.sync().turn(&mut results),
        Turn::Wait("waiting for healthy state of apps/Deployment/db".to_owned())
    );
    world.pass();
    assert_eq!(world.sync().turn(&mut results), Turn::Do(vec![Act::Apply(1)]));
}
