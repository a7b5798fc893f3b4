//! Clusters that somebody else has made, by a context of the user's kubeconfig. Nothing is made here but a folder that remembers which:
//! what is brought into such a cluster, and taken out of it again, is told apart by the owner's label.

mod state;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde::{Deserialize, Serialize};

use crate::folder::{Folder, Held, absolute, owner, replace};
use crate::{
    Abilities, Arrival, Class, Down, Endpoint, Error, Found, Plan, Provider, ProviderName, Scope, Settling, Talk, Up,
    context,
};
use state::State;

/// How long the API may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// The section `existing` of `tinderbox.yaml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ExistingConfig {
    /// Contexts that must be named twice, by patterns in which `*` stands for anything.
    pub protected: Vec<String>,
}

impl Default for ExistingConfig {
    fn default() -> Self {
        Self { protected: vec!["*prod*".to_owned()] }
    }
}

impl ExistingConfig {
    /// The pattern that protects a context.
    fn protects(&self, context: &str) -> Option<&str> {
        let matches = |pattern: &&String| {
            let parts: Vec<&str> = pattern.split('*').collect();
            let (Some((first, middle)), Some(last)) = (parts.split_first(), parts.last()) else { return false };
            if middle.is_empty() {
                return context == *first;
            }
            let Some(mut rest) = context.strip_prefix(first) else { return false };
            for part in &middle[..middle.len() - 1] {
                match rest.find(part) {
                    Some(at) => rest = &rest[at + part.len()..],
                    None => return false,
                }
            }
            rest.ends_with(last)
        };
        self.protected.iter().find(matches).map(String::as_str)
    }
}

/// Which cluster is meant, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// The context, which is never guessed.
    pub context: Option<String>,
    /// The same once more, where it is protected.
    pub production: Option<String>,
    /// The only namespace that is worked in, where there are no rights beyond it.
    pub namespace: Option<String>,
}

/// What the user decided about such clusters.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The section `existing` of the configuration.
    pub config: ExistingConfig,
    /// Which cluster.
    pub choice: Choice,
    /// The verb that begins.
    pub started_by: String,
}

/// One cluster that somebody else has made.
#[derive(Debug, Clone)]
pub struct Existing {
    folder: Folder,
    settings: Settings,
    owner: String,
}

impl Existing {
    /// The cluster that is called `name` here, whose folder lies in `home`; nothing is done yet.
    ///
    /// # Errors
    /// When the name cannot be a cluster's.
    pub fn new(home: &Path, name: &str, settings: Settings) -> Result<Self, Error> {
        let home = absolute(home)?;
        let owner = format!("{name}-{}", owner(&home));
        Ok(Self { folder: Folder::new(&home, name)?, settings, owner })
    }

    /// The context and the namespace that are meant: those that the folder remembers, or those that were named.
    fn choice(&self) -> Result<(String, Option<String>), Error> {
        let Choice { context, production, namespace } = &self.settings.choice;
        if let Some(state) = State::load(&self.folder)? {
            let other = |what: &str, is: &str, asked: &str| Error::Usage {
                message: format!("cluster {} is {what} {is}, not {asked}", self.folder.name()),
                hint: Some(format!(
                    "choose another `--name`, or begin anew after `cargo xtask down --name {}`",
                    self.folder.name()
                )),
            };
            return match (context, namespace) {
                (Some(asked), _) if *asked != state.context => Err(other("the context", &state.context, asked)),
                (_, Some(asked)) if Some(asked) != state.namespace.as_ref() => {
                    Err(other("in", state.namespace.as_deref().unwrap_or("all namespaces"), asked))
                }
                _ => Ok((state.context, state.namespace)),
            };
        }
        let known = kubeconfig()?;
        let names: Vec<&str> = known.contexts.iter().map(|one| one.name.as_str()).collect();
        let names =
            if names.is_empty() { "there are none".to_owned() } else { format!("contexts: {}", names.join(", ")) };
        let Some(named) = context else {
            return Err(Error::Usage {
                message: "the context of an existing cluster must be named, and is never the current one by itself"
                    .to_owned(),
                hint: Some(format!("add `--context NAME`; {names}")),
            });
        };
        if !known.contexts.iter().any(|one| one.name == *named) {
            return Err(Error::Usage {
                message: format!("the kubeconfig has no context {named:?}"),
                hint: Some(names),
            });
        }
        if let Some(pattern) = self.settings.config.protects(named).filter(|_| production.as_ref() != Some(named)) {
            return Err(Error::Usage {
                message: format!(
                    "the context {named} looks like production: it is protected by the pattern {pattern:?}"
                ),
                hint: Some(format!(
                    "where that is meant, name it twice: `--context {named} --production {named}`; `existing.protected` in \
                     tinderbox.yaml has the patterns"
                )),
            });
        }
        Ok((named.clone(), namespace.clone()))
    }

    /// A client for the cluster, before anything is begun with it.
    ///
    /// # Errors
    /// When the context is not named as it must be, or cannot be used.
    pub async fn client(&self) -> Result<Client, Error> {
        let (context, _) = self.choice()?;
        client(kubeconfig()?, &context, &context).await
    }

    fn endpoint(&self, server: String) -> Endpoint {
        Endpoint {
            server,
            ingress: None,
            console: None,
            kubeconfig: self.folder.kubeconfig(),
            context: context(self.folder.name()),
            pid: None,
        }
    }
}

/// The user's kubeconfig, as kubectl finds it.
fn kubeconfig() -> Result<Kubeconfig, Error> {
    Kubeconfig::read().map_err(|error| Error::Lack {
        message: format!("the kubeconfig cannot be read: {error}"),
        hint: Some("name it in KUBECONFIG; without that it is ~/.kube/config".to_owned()),
    })
}

/// What of a kubeconfig one context needs, under a name of ours.
fn only(mut config: Kubeconfig, named: &str, name: &str) -> Kubeconfig {
    config.contexts.retain(|one| one.name == named);
    let inner = config.contexts.first_mut().and_then(|one| {
        name.clone_into(&mut one.name);
        one.context.as_mut()
    });
    let (mut cluster, mut user) = (String::new(), None);
    if let Some(inner) = inner {
        cluster = std::mem::replace(&mut inner.cluster, name.to_owned());
        user = inner.user.take();
        inner.user = user.is_some().then(|| name.to_owned());
    }
    config.clusters.retain(|one| one.name == cluster);
    config.clusters.iter_mut().for_each(|one| name.clone_into(&mut one.name));
    config.auth_infos.retain(|one| Some(&one.name) == user.as_ref());
    config.auth_infos.iter_mut().for_each(|one| name.clone_into(&mut one.name));
    config.current_context = Some(name.to_owned());
    config
}

/// A client by a context, which the user knows as `named`, once its API has answered.
async fn client(config: Kubeconfig, context: &str, named: &str) -> Result<Client, Error> {
    let unusable = |source: Box<dyn std::error::Error + Send + Sync>| Error::Compose {
        act: format!("use the context {named}"),
        source,
        hint: Some(format!("`kubectl --context {named} version` tries the same")),
        class: Class::Environment,
    };
    let options = KubeConfigOptions { context: Some(context.to_owned()), ..KubeConfigOptions::default() };
    let config = Config::from_custom_kubeconfig(config, &options).await.map_err(|error| unusable(error.into()))?;
    let client = Client::try_from(config).map_err(|error| unusable(error.into()))?;
    match tokio::time::timeout(ANSWER, client.apiserver_version()).await {
        Ok(Ok(_)) => Ok(client),
        Ok(Err(error)) => Err(unusable(error.into())),
        Err(_) => Err(unusable(format!("its API did not answer within {} s", ANSWER.as_secs()).into())),
    }
}

impl Provider for Existing {
    fn name(&self) -> ProviderName {
        ProviderName::Existing
    }

    fn abilities(&self) -> Abilities {
        Abilities { platform: false, node_power: false }
    }

    fn folder(&self) -> &Folder {
        &self.folder
    }

    fn scope(&self) -> Result<Scope, Error> {
        let namespace = match State::load(&self.folder)? {
            Some(state) => state.namespace,
            None => self.settings.choice.namespace.clone(),
        };
        Ok(Scope { owner: Some(self.owner.clone()), namespace })
    }

    async fn plan(&self) -> Result<Plan, Error> {
        let (named, _) = self.choice()?;
        let found = self.find().await?;
        let steps = match &found {
            Found::Nothing => vec![format!("remember the context {named} in {}", self.folder.path().display())],
            _ => Vec::new(),
        };
        Ok(Plan { found, steps })
    }

    async fn up(&self, talk: &Talk) -> Result<Up, Error> {
        let start = Instant::now();
        let (named, namespace) = self.choice()?;
        let mut held = Held::take(&self.folder, talk).await?;
        let earlier = State::load(&self.folder)?;
        let name = context(self.folder.name());
        let path = self.folder.kubeconfig();
        let config = match &earlier {
            Some(_) => read(&path)?,
            None => only(kubeconfig()?, &named, &name),
        };
        client(config.clone(), &name, &named).await?;
        if earlier.is_none() {
            let fail = |source| Error::File { act: "write", path: path.clone(), source };
            let text = serde_yaml::to_string(&config).map_err(|error| fail(std::io::Error::other(error)))?;
            replace(&path, text.as_bytes()).map_err(fail)?;
            State::new(&self.settings.started_by, &named, namespace.as_deref()).save(&self.folder)?;
        }
        held.keep();
        let arrival = if earlier.is_some() { Arrival::Already } else { Arrival::New };
        Ok(Up {
            arrival,
            endpoint: self.endpoint(server(&config)),
            took: start.elapsed(),
            notes: Vec::new(),
            settling: Settling::default(),
        })
    }

    async fn find(&self) -> Result<Found, Error> {
        if State::load(&self.folder)?.is_none() {
            return Ok(if self.folder.is_locked() { Found::Starting } else { Found::Nothing });
        }
        Ok(Found::Running(self.endpoint(server(&read(&self.folder.kubeconfig())?))))
    }

    fn made_by(&self) -> Result<Option<String>, Error> {
        Ok(State::load(&self.folder)?.map(|state| state.started_by))
    }

    fn logs(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    async fn down(&self) -> Result<Down, Error> {
        let start = Instant::now();
        let existed = self.folder.exists();
        self.folder.remove()?;
        Ok(Down { existed, stopped: false, killed: false, took: start.elapsed() })
    }
}

fn read(path: &Path) -> Result<Kubeconfig, Error> {
    Kubeconfig::read_from(path).map_err(|error| Error::Lack {
        message: format!("the kubeconfig {} cannot be read: {error}", path.display()),
        hint: Some("`cargo xtask down` forgets the cluster, and `up` takes it up again".to_owned()),
    })
}

fn server(config: &Kubeconfig) -> String {
    let cluster = config.clusters.first().and_then(|one| one.cluster.as_ref());
    cluster.and_then(|cluster| cluster.server.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protected_contexts() {
        let config = |pattern: &str| ExistingConfig { protected: vec![pattern.to_owned()] };
        for (pattern, context, protected) in [
            ("*prod*", "eu-production-1", true),
            ("*prod*", "prod", true),
            ("*prod*", "staging", false),
            ("live", "live", true),
            ("live", "live-2", false),
            ("a*c", "abc", true),
            ("a*c", "abcd", false),
        ] {
            assert_eq!(config(pattern).protects(context).is_some(), protected, "{pattern} {context}");
        }
        assert!(ExistingConfig::default().protects("my-prod").is_some());
    }

    #[test]
    fn a_copy_holds_one_context_alone() {
        let all: Kubeconfig = serde_yaml::from_str(
            "clusters: [{name: a, cluster: {server: 'https://a'}}, {name: b, cluster: {server: 'https://b'}}]\n\
             users: [{name: u, user: {token: t}}, {name: v, user: {token: w}}]\n\
             contexts: [{name: one, context: {cluster: a, user: u}}, {name: two, context: {cluster: b, user: v}}]\n\
             current-context: one\n",
        )
        .expect("a kubeconfig");
        let copy = serde_yaml::to_string(&only(all, "two", "tinderbox-x")).expect("YAML");
        assert!(copy.contains("https://b") && copy.contains("token: w"), "{copy}");
        assert!(!copy.contains("https://a") && !copy.contains("token: t\n") && !copy.contains("two"), "{copy}");
        assert!(copy.contains("current-context: tinderbox-x"), "{copy}");
    }
}
