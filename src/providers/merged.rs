//! The user's own kubeconfig, into which the entry of a cluster goes only when that is asked for: put there under a mark of ours,
//! found by it, and taken out with the cluster. It must not touch anything else in that file.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_yaml::Value;

use crate::folder::{Folder, replace};
use crate::{Class, Error, context};

/// Name of the extension of a context that says whose it is.
const MARK: &str = "tinderbox.dev";
/// The lists of a kubeconfig; an entry of a cluster is in each, under one name.
const LISTS: [&str; 3] = ["clusters", "users", "contexts"];
/// How long another program may take that changes the file.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked whether it is done.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Whose a context is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The folder of all clusters of its project.
    pub home: PathBuf,
    /// Name of the cluster.
    pub cluster: String,
}

impl Mark {
    fn of(folder: &Folder) -> Result<Self, Error> {
        let home = folder.home();
        let fail = |source| Error::File { act: "make absolute", path: home.to_owned(), source };
        let home = std::path::absolute(home).map_err(fail)?;
        Ok(Self { home, cluster: folder.name().to_owned() })
    }

    /// Whether there is no such cluster any more.
    fn is_orphan(&self) -> bool {
        Folder::new(&self.home, &self.cluster).is_ok_and(|folder| !folder.state().exists())
    }
}

/// A context in the user's file whose cluster is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// The file.
    pub path: PathBuf,
    /// The context.
    pub context: String,
    /// Whose it was.
    pub mark: Mark,
}

/// The file that kubectl would write to.
#[must_use]
pub fn usual() -> Option<PathBuf> {
    let named = std::env::var_os("KUBECONFIG").unwrap_or_default();
    let mut named = std::env::split_paths(&named).filter(|path| !path.as_os_str().is_empty());
    named.next().or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".kube/config")))
}

/// Where the folder of a cluster notes the file that its entry is in.
fn note(folder: &Folder) -> PathBuf {
    folder.path().join("merged.json")
}

/// Puts the entry of a cluster into the user's file, and gives its path. The context that is current there stays.
///
/// # Errors
/// When the file cannot be read or written, or has an entry of this name that is not this cluster's.
pub async fn put(folder: &Folder) -> Result<PathBuf, Error> {
    let Some(path) = usual() else {
        return Err(Error::Lack {
            message: "there is no place for a kubeconfig of this user".to_owned(),
            hint: Some("name a file in KUBECONFIG".to_owned()),
        });
    };
    // A link stays a link, and what it leads to is changed.
    let path = fs::canonicalize(&path).unwrap_or(path);
    let (own, context) = (read(&folder.kubeconfig())?, context(folder.name()));
    let mark = Mark::of(folder)?;
    let fail = |act| move |path: &Path, source| Error::File { act, path: path.to_owned(), source };
    // Cut off after this, `down` knows where to look.
    let noted = note(folder);
    let text = serde_json::to_vec(&path).map_err(|error| fail("write")(&noted, io::Error::other(error)))?;
    replace(&noted, &text).map_err(|source| fail("write")(&noted, source))?;
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|source| fail("make the folder")(parent, source))?;
    }
    edit(&path, |config| {
        if insert(config, &own, &context, &mark) {
            return Ok(true);
        }
        Err(Error::Lack {
            message: format!("{} has an entry {context} already that is not of this cluster", path.display()),
            hint: Some("take it out there, or choose another `--name` for the cluster".to_owned()),
        })
    })
    .await?;
    Ok(path)
}

/// Takes the entry of a cluster out of the file that it was put into, if it was.
///
/// # Errors
/// When the file cannot be read or written.
pub async fn take_out(folder: &Folder) -> Result<(), Error> {
    let noted = note(folder);
    let path: PathBuf = match fs::read(&noted) {
        Ok(text) => match serde_json::from_slice(&text) {
            Ok(path) => path,
            Err(_) => return Ok(()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(Error::File { act: "read", path: noted, source }),
    };
    let mark = Mark::of(folder)?;
    if path.exists() {
        edit(&path, |config| Ok(!remove(config, |found| *found == mark).is_empty())).await?;
    }
    fs::remove_file(&noted).map_err(|source| Error::File { act: "remove", path: noted.clone(), source })
}

/// Contexts in the user's file whose clusters are gone, of whatever project.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn orphans() -> Result<Vec<Orphan>, Error> {
    let Some(path) = usual().filter(|path| path.exists()) else {
        return Ok(Vec::new());
    };
    let config = read(&path)?;
    let all = marks(&config).filter(|(_, mark)| mark.is_orphan());
    Ok(all.map(|(context, mark)| Orphan { path: path.clone(), context, mark }).collect())
}

/// Takes those out; gives their names.
///
/// # Errors
/// When the file cannot be read or written.
pub async fn remove_orphans() -> Result<Vec<String>, Error> {
    let Some(Orphan { path, .. }) = orphans()?.into_iter().next() else {
        return Ok(Vec::new());
    };
    let mut removed = Vec::new();
    edit(&path, |config| {
        removed = remove(config, Mark::is_orphan);
        Ok(!removed.is_empty())
    })
    .await?;
    Ok(removed)
}

fn read(path: &Path) -> Result<Value, Error> {
    let fail = |source| Error::File { act: "read", path: path.to_owned(), source };
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Value::Null),
        other => other.map_err(fail)?,
    };
    serde_yaml::from_str(&text).map_err(|error| fail(io::Error::other(error)))
}

/// Changes a file, while no kubectl does: it holds `FILE.lock` for that. `change` says whether there is something to write.
async fn edit(path: &Path, change: impl FnOnce(&mut Value) -> Result<bool, Error>) -> Result<(), Error> {
    let mut lock = path.as_os_str().to_owned();
    lock.push(".lock");
    let lock = PathBuf::from(lock);
    let taken = tokio::time::timeout(PATIENCE, async {
        loop {
            match OpenOptions::new().create_new(true).write(true).open(&lock) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => tokio::time::sleep(LOOK_EVERY).await,
                other => return other.map(drop),
            }
        }
    });
    match taken.await {
        Ok(taken) => taken.map_err(|source| Error::File { act: "make", path: lock.clone(), source })?,
        Err(_) => {
            return Err(Error::Compose {
                act: format!("change {}", path.display()),
                source: format!("another program holds {}", lock.display()).into(),
                hint: Some("when no kubectl runs, something was killed there: remove that file".to_owned()),
                class: Class::Environment,
            });
        }
    }
    let changed = read(path).and_then(|mut config| {
        if change(&mut config)? {
            let fail = |source| Error::File { act: "write", path: path.to_owned(), source };
            let text = serde_yaml::to_string(&config).map_err(|error| fail(io::Error::other(error)))?;
            replace(path, text.as_bytes()).map_err(fail)?;
        }
        Ok(())
    });
    let freed = fs::remove_file(&lock).map_err(|source| Error::File { act: "remove", path: lock, source });
    changed.and(freed)
}

fn entries<'a>(config: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    config[list].as_sequence().into_iter().flatten()
}

/// The contexts with a mark of ours.
fn marks(config: &Value) -> impl Iterator<Item = (String, Mark)> {
    entries(config, "contexts").filter_map(|entry| {
        let mut extensions = entry["context"]["extensions"].as_sequence().into_iter().flatten();
        let extension = extensions.find(|one| one["name"] == MARK)?;
        let mark = serde_yaml::from_value(extension["extension"].clone()).ok()?;
        Some((entry["name"].as_str()?.to_owned(), mark))
    })
}

/// Puts the entry `name` of one kubeconfig into another; not where there is one that is not of this cluster.
fn insert(config: &mut Value, own: &Value, name: &str, mark: &Mark) -> bool {
    let ours = marks(config).any(|(context, found)| context == name && found == *mark);
    let taken = LISTS.iter().any(|list| entries(config, list).any(|entry| entry["name"] == name));
    if taken && !ours {
        return false;
    }
    if config.is_null() {
        config["apiVersion"] = "v1".into();
        config["kind"] = "Config".into();
    }
    for list in LISTS {
        let Some(mut entry) = entries(own, list).find(|entry| entry["name"] == name).cloned() else {
            continue;
        };
        if list == "contexts" {
            let mut extension = Value::Null;
            extension["name"] = MARK.into();
            extension["extension"] = serde_yaml::to_value(mark).unwrap_or_default();
            entry["context"]["extensions"] = vec![extension].into();
        }
        retain(config, list, |there| there["name"] != name);
        match &mut config[list] {
            Value::Sequence(all) => all.push(entry),
            absent => *absent = vec![entry].into(),
        }
    }
    true
}

/// Takes entries out by their marks, with what only they use; gives the names of the contexts.
fn remove(config: &mut Value, is_meant: impl Fn(&Mark) -> bool) -> Vec<String> {
    let meant: Vec<String> = marks(config).filter(|(_, mark)| is_meant(mark)).map(|(name, _)| name).collect();
    let is_gone = |entry: &Value| meant.iter().any(|name| entry["name"] == name.as_str());
    let (gone, kept): (Vec<Value>, Vec<Value>) = entries(config, "contexts").cloned().partition(is_gone);
    for (list, field) in [("clusters", "cluster"), ("users", "user")] {
        let uses = |contexts: &[Value], name: &Value| contexts.iter().any(|one| one["context"][field] == *name);
        retain(config, list, |entry| !uses(&gone, &entry["name"]) || uses(&kept, &entry["name"]));
    }
    if !gone.is_empty() {
        config["contexts"] = kept.into();
        if meant.iter().any(|name| config["current-context"] == name.as_str()) {
            config["current-context"] = "".into();
        }
    }
    meant
}

fn retain(config: &mut Value, list: &str, keep: impl Fn(&Value) -> bool) {
    if let Some(all) = config.get_mut(list).and_then(Value::as_sequence_mut) {
        all.retain(keep);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "apiVersion: v1\nkind: Config\ncurrent-context: work\nclusters:\n- name: work\n  cluster:\n    server: https://work\n\
                         contexts:\n- name: work\n  context:\n    cluster: work\n    user: me\nusers:\n- name: me\n  user:\n    token: secret\n";
    const OWN: &str = "clusters: [{name: tinderbox-a, cluster: {server: 'https://127.0.0.1:1'}}]\n\
                       users: [{name: tinderbox-a, user: {token: t}}]\n\
                       contexts: [{name: tinderbox-a, context: {cluster: tinderbox-a, user: tinderbox-a}}]\n";

    fn yaml(text: &str) -> Value {
        serde_yaml::from_str(text).expect("YAML")
    }

    fn mark(home: &str) -> Mark {
        Mark { home: home.into(), cluster: "a".into() }
    }

    #[test]
    fn an_entry_comes_and_goes_and_nothing_else_changes() {
        let (mut config, own) = (yaml(USERS), yaml(OWN));
        assert!(insert(&mut config, &own, "tinderbox-a", &mark("/one")));
        assert!(insert(&mut config, &own, "tinderbox-a", &mark("/one")), "again");
        insta::assert_snapshot!(serde_yaml::to_string(&config).expect("YAML"), @r"
        apiVersion: v1
        kind: Config
        current-context: work
        clusters:
        - name: work
          cluster:
            server: https://work
        - name: tinderbox-a
          cluster:
            server: https://127.0.0.1:1
        contexts:
        - name: work
          context:
            cluster: work
            user: me
        - name: tinderbox-a
          context:
            cluster: tinderbox-a
            user: tinderbox-a
            extensions:
            - name: tinderbox.dev
              extension:
                home: /one
                cluster: a
        users:
        - name: me
          user:
            token: secret
        - name: tinderbox-a
          user:
            token: t
        ");
        assert!(!insert(&mut config, &own, "tinderbox-a", &mark("/two")), "another project's");
        assert!(remove(&mut config, |found| *found == mark("/two")).is_empty());
        assert_eq!(remove(&mut config, |found| *found == mark("/one")), ["tinderbox-a"]);
        assert_eq!(serde_yaml::to_string(&config).expect("YAML"), USERS);
    }

    #[test]
    fn files_that_say_nothing_and_entries_of_others() {
        let own = yaml(OWN);
        for text in ["", "clusters: null\nusers: []\n"] {
            let mut config = yaml(text);
            assert!(insert(&mut config, &own, "tinderbox-a", &mark("/one")), "{text:?}");
            config["current-context"] = "tinderbox-a".into();
            assert_eq!(remove(&mut config, |_| true), ["tinderbox-a"]);
            assert_eq!(config["current-context"], "");
            assert!(LISTS.iter().all(|list| entries(&config, list).next().is_none()), "{config:?}");
        }
        let mut config = yaml("users: [{name: tinderbox-a, user: {token: x}}]");
        assert!(!insert(&mut config, &own, "tinderbox-a", &mark("/one")));
    }

    #[test]
    fn a_renamed_context_takes_what_only_it_uses_along() {
        let mut config = yaml(USERS);
        assert!(insert(&mut config, &yaml(OWN), "tinderbox-a", &mark("/one")));
        config["contexts"][1]["name"] = "mine".into();
        config["contexts"][0]["context"]["user"] = "tinderbox-a".into();
        assert_eq!(remove(&mut config, |_| true), ["mine"]);
        assert_eq!(entries(&config, "clusters").count(), 1);
        assert_eq!(entries(&config, "users").count(), 2, "the other context uses it");
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_another_program_holds() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("config");
        fs::write(&path, USERS).expect("written");
        fs::write(dir.path().join("config.lock"), "").expect("written");
        let error = edit(&path, |_| Ok(true)).await.expect_err("held");
        assert_eq!(error.to_string(), format!("cannot change {}", path.display()));
        fs::remove_file(dir.path().join("config.lock")).expect("removed");
        edit(&path, |config| Ok(insert(config, &yaml(OWN), "tinderbox-a", &mark("/one")))).await.expect("changed");
        assert!(fs::read_to_string(&path).expect("there").contains("tinderbox-a"));
        let left: Vec<_> = fs::read_dir(dir.path()).expect("there").flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(left, ["config"]);
    }
}
