//! The project that a command works on: its root, its `tinderbox.yaml`, where state and apps lie. It only looks.

use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::Deserialize;
use tinderbox_api::pools::Nodes;
use tinderbox_gitops::kustomize::FILES;
use tinderbox_gitops::source::{Home, Remotes, Repository, home};
use tinderbox_platform::JobNamespaces;
use tinderbox_providers::embedded::machine::cache_dir;
use tinderbox_providers::embedded::{Embedded, NativeImage, Settings};
use tinderbox_providers::existing::{self, Choice, Existing, ExistingConfig};
use tinderbox_providers::kind::{self, Kind, KindConfig};
use tinderbox_providers::{AnyProvider, Folder, ProviderName};

use crate::error::Error;
use crate::suggest;

/// Name of the configuration file.
const CONFIG: &str = "tinderbox.yaml";

/// `tinderbox.yaml`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// Port of the API on 127.0.0.1; 0, the default, chooses a free one and keeps it.
    pub port: u16,
    /// Native images of the embedded place.
    pub images: Vec<NativeImage>,
    /// Virtual nodes of the embedded place; one, without this.
    pub nodes: Nodes,
    /// Clusters in a container engine.
    pub kind: KindConfig,
    /// Clusters that somebody else has made.
    pub existing: ExistingConfig,
    /// Whose applications the Spark operator serves.
    pub spark_operator: JobNamespaces,
}

/// A project and the cluster that is meant.
#[derive(Debug, Clone)]
pub struct Project {
    /// The root folder.
    pub root: PathBuf,
    /// Name of the cluster.
    pub cluster: String,
    /// What `tinderbox.yaml` says.
    pub config: Config,
    /// The place that was asked for.
    pub asked: Option<ProviderName>,
    /// Which existing cluster was asked for.
    pub choice: Choice,
    /// Which platform `up` brings.
    pub flavour: Flavour,
    /// Parts that `up` brings beside the platform: folders of `manifests/clusters/local`.
    pub with: Vec<String>,
    home: PathBuf,
}

/// Where to look for a project.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// The root folder; found from the current one when absent.
    pub project: Option<PathBuf>,
    /// The configuration file; `tinderbox.yaml` of the root when absent.
    pub config: Option<PathBuf>,
    /// Name of the cluster.
    pub cluster: String,
    /// The place that holds it; where it is already, or the embedded one, when absent.
    pub provider: Option<ProviderName>,
    /// Which existing cluster is meant, where it is one.
    pub choice: Choice,
    /// Which platform `up` brings.
    pub flavour: Flavour,
}

/// Which platform a cluster gets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Flavour {
    /// Its custom resources, served by controllers of ours.
    #[default]
    Builtin,
    /// None: a bare Kubernetes.
    None,
}

impl Project {
    /// Finds the project and reads its configuration.
    ///
    /// # Errors
    /// When a named folder or file is not there, or the configuration is wrong.
    pub fn open(place: &Place) -> Result<Self, Error> {
        let root = match &place.project {
            Some(named) => fs::canonicalize(named).map_err(Error::file("find the project", named))?,
            None => {
                let here = std::env::current_dir().map_err(Error::file("find the current folder", "."))?;
                find_root(&here).unwrap_or(here)
            }
        };
        let config = match &place.config {
            Some(named) => read_config(named)?,
            None => {
                let usual = root.join(CONFIG);
                if usual.exists() { read_config(&usual)? } else { Config::default() }
            }
        };
        let home = std::env::var_os("TINDERBOX_HOME").map_or_else(|| root.join(".tinderbox"), PathBuf::from);
        Ok(Self {
            root,
            cluster: place.cluster.clone(),
            config,
            asked: place.provider,
            choice: place.choice.clone(),
            flavour: place.flavour,
            with: Vec::new(),
            home,
        })
    }

    /// The folder of all clusters' state.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Where reports go, unless told otherwise.
    #[must_use]
    pub fn reports(&self) -> PathBuf {
        self.home.join("reports")
    }

    /// The cluster in its place, started by `verb` if it is started.
    ///
    /// # Errors
    /// When the name cannot be a cluster's, or it is in another place than the one that was asked for.
    pub fn provider(&self, verb: &str) -> Result<AnyProvider, Error> {
        match self.place()? {
            ProviderName::Embedded => Ok(AnyProvider::Embedded(self.embedded(verb)?)),
            ProviderName::Existing => {
                let settings = existing::Settings {
                    config: self.config.existing.clone(),
                    choice: self.choice.clone(),
                    started_by: verb.to_owned(),
                };
                Ok(AnyProvider::Existing(Existing::new(&self.home, &self.cluster, settings)?))
            }
            ProviderName::Kind => {
                let settings = kind::Settings {
                    config: self.config.kind.clone(),
                    nodes: self.config.nodes.clone(),
                    port: self.config.port,
                    started_by: verb.to_owned(),
                };
                Ok(AnyProvider::Kind(Kind::new(&self.home, &self.cluster, settings)?))
            }
        }
    }

    /// The place that holds the cluster, or is to hold it.
    fn place(&self) -> Result<ProviderName, Error> {
        let name = &self.cluster;
        match (self.asked, AnyProvider::holder(&Folder::new(&self.home, name)?)) {
            (Some(asked), Some(held)) if asked != held => Err(Error::Usage {
                message: format!("cluster {name} is in the place {held}, not in {asked}"),
                hint: Some(format!("choose another `--name`, or remove it with `cargo xtask down --name {name}`")),
            }),
            (asked, held) => Ok(asked.or(held).unwrap_or_default()),
        }
    }

    /// The cluster, for what only the embedded place can do; started by `verb` if it is started.
    ///
    /// # Errors
    /// When the name cannot be a cluster's, or it is in another place.
    pub fn embedded(&self, verb: &str) -> Result<Embedded, Error> {
        let place = self.place()?;
        if place != ProviderName::Embedded {
            return Err(Error::Usage {
                message: format!("`{verb}` is for clusters of the embedded place, and {} is in {place}", self.cluster),
                hint: None,
            });
        }
        let settings = Settings {
            port: self.config.port,
            images: self.images(),
            nodes: self.config.nodes.clone(),
            project: self.platform(ProviderName::Embedded).map(|_| self.root.clone()),
            bare: self.flavour == Flavour::None,
            spark_operator: self.config.spark_operator.clone(),
            started_by: verb.to_owned(),
        };
        Ok(Embedded::new(&self.home, &self.cluster, settings)?)
    }

    /// The described images, their paths absolute.
    #[must_use]
    pub fn images(&self) -> Vec<NativeImage> {
        self.config.images.iter().map(|image| image.clone().relative_to(&self.root)).collect()
    }

    /// The same project with a copy of its manifests in a folder, which may be changed.
    ///
    /// # Errors
    /// When a file cannot be copied.
    pub(crate) fn with_manifests_in(&self, folder: &Path) -> Result<Self, Error> {
        let mut copy = self.clone();
        copy.config.images = self.images();
        folder.clone_into(&mut copy.root);
        let (from, to) = (self.root.join("manifests"), copy.root.join("manifests"));
        copy_folder(&from, &to).map_err(Error::file("copy", &from))?;
        Ok(copy)
    }

    /// The folder with one folder per app.
    #[must_use]
    pub fn apps(&self) -> PathBuf {
        self.root.join("manifests/apps")
    }

    /// The names of the apps.
    #[must_use]
    pub fn app_names(&self) -> Vec<String> {
        names_in(&self.apps(), |path| path.is_dir().then(|| path.file_name())?)
    }

    /// The folder with the root of each place.
    #[must_use]
    pub fn roots(&self) -> PathBuf {
        self.root.join("manifests/clusters")
    }

    /// The places that there are manifests for.
    #[must_use]
    pub fn place_names(&self) -> Vec<String> {
        let is_root = |path: &Path| FILES.iter().any(|file| path.join(file).is_file());
        names_in(&self.roots(), |path| is_root(path).then(|| path.file_name())?)
    }

    /// The root of the place of this name.
    ///
    /// # Errors
    /// When there is none; with the near name, if there is one.
    pub fn root_of(&self, name: &str) -> Result<PathBuf, Error> {
        let known = self.place_names();
        if known.iter().any(|one| one == name) {
            return Ok(self.roots().join(name));
        }
        Err(Error::Usage {
            message: format!("there is no place called {name:?} in {}", self.roots().display()),
            hint: Some(suggest::hint(name, "places", &known)),
        })
    }

    /// The manifests that `up` applies in a place, where it brings a platform: those of the place, or of the local one.
    #[must_use]
    pub fn platform(&self, place: ProviderName) -> Option<PathBuf> {
        let own = (place == ProviderName::Kind).then(|| self.roots().join("kind"));
        let root = own.filter(|own| own.is_dir()).unwrap_or_else(|| self.roots().join("local"));
        (self.flavour == Flavour::Builtin && root.is_dir()).then_some(root)
    }

    /// The folder that sources of applications are paths in: the root of the repository.
    #[must_use]
    pub fn repository(&self) -> PathBuf {
        Repository::at(&self.root).root().to_owned()
    }

    /// The URLs that the repository stands for, and where others are kept.
    #[must_use]
    pub fn sources(&self) -> Home {
        let repository = Repository::at(&self.root);
        let roots = self.roots();
        let roots = roots.strip_prefix(repository.root()).unwrap_or(&roots);
        let urls = home::urls(&repository, &repository.working_tree(), roots);
        Home::of(urls, Remotes::new(cache_dir().join("repositories")))
    }

    /// The manifests of the parts that `up` brings beside the platform.
    ///
    /// # Errors
    /// When there is no part of a name; with the near one, if there is one.
    pub fn parts(&self) -> Result<Vec<PathBuf>, Error> {
        let root = self.roots().join("local");
        let mut known = names_in(&root, |path| path.is_dir().then(|| path.file_name())?);
        // What the root Application leads to comes anyway.
        known.retain(|name| name != "apps");
        self.with
            .iter()
            .map(|part| match known.contains(part) {
                true => Ok(root.join(part)),
                false => Err(Error::Usage {
                    message: format!("there is no part called {part:?}"),
                    hint: Some(suggest::hint(part, "parts", &known)),
                }),
            })
            .collect()
    }

    /// What an argument of `run` means: the name of an app, or a path.
    ///
    /// # Errors
    /// When it is neither; with the near name, if there is one.
    pub fn target(&self, argument: &str) -> Result<PathBuf, Error> {
        let app = self.apps().join(argument);
        if !argument.contains(['/', '\\', '.']) && app.is_dir() {
            return Ok(app);
        }
        let path = Path::new(argument);
        if path.exists() {
            return Ok(path.to_owned());
        }
        let known = self.app_names();
        let hint = match known.as_slice() {
            [] => format!("there are no apps in {}", self.apps().display()),
            known => suggest::hint(argument, "apps", known),
        };
        Err(Error::Usage { message: format!("there is no app and no file called {argument:?}"), hint: Some(hint) })
    }

    /// The folder with the scenarios.
    #[must_use]
    pub fn scenarios(&self) -> PathBuf {
        self.root.join("fixtures/scenarios")
    }

    /// The scenario files named, or all.
    ///
    /// # Errors
    /// When a name is not known; with the near one, if there is one.
    pub fn scenario_files(&self, names: &[String]) -> Result<Vec<PathBuf>, Error> {
        let dir = self.scenarios();
        let known = scenarios_in(&dir);
        if names.is_empty() {
            if known.is_empty() {
                return Err(Error::Usage {
                    message: format!("there are no scenarios in {}", dir.display()),
                    hint: Some("docs/scenarios.md says how to write one".to_owned()),
                });
            }
            return Ok(known.iter().map(|name| dir.join(format!("{name}.yaml"))).collect());
        }
        let mut files = Vec::new();
        for name in names {
            let path = PathBuf::from(name);
            if known.contains(name) {
                files.push(dir.join(format!("{name}.yaml")));
            } else if path.is_file() {
                files.push(path);
            } else if path.is_dir() && !scenarios_in(&path).is_empty() {
                files.extend(scenarios_in(&path).into_iter().map(|name| path.join(format!("{name}.yaml"))));
            } else {
                return Err(Error::Usage {
                    message: format!("there is no scenario called {name:?}"),
                    hint: Some(suggest::hint(name, "scenarios", &known)),
                });
            }
        }
        Ok(files)
    }
}

/// The names of the scenarios in a folder.
fn scenarios_in(dir: &Path) -> Vec<String> {
    names_in(dir, |path| path.extension().is_some_and(|extension| extension == "yaml").then(|| path.file_stem())?)
}

fn names_in(dir: &Path, name: impl Fn(&Path) -> Option<&std::ffi::OsStr>) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| name(&entry.path()).and_then(|name| name.to_str()).map(str::to_owned))
        .collect();
    names.sort();
    names
}

/// The nearest folder upwards that has a configuration or manifests.
fn find_root(from: &Path) -> Option<PathBuf> {
    from.ancestors().find(|dir| dir.join(CONFIG).is_file() || dir.join("manifests/apps").is_dir()).map(Path::to_owned)
}

fn read_config(path: &Path) -> Result<Config, Error> {
    let text = fs::read_to_string(path).map_err(Error::file("read", path))?;
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Config::default());
    }
    from_yaml(path, &text)
}

/// Reads one of our own YAML files; an error names the file, the line and the column.
pub(crate) fn from_yaml<T: serde::de::DeserializeOwned>(path: &Path, text: &str) -> Result<T, Error> {
    serde_yaml::from_str(text).map_err(|error| {
        let place = match error.location() {
            Some(location) => format!("{}:{}:{}", path.display(), location.line(), location.column()),
            None => path.display().to_string(),
        };
        let message = error.to_string();
        // The place is said before: not again at the end.
        let message = message.split(" at line ").next().unwrap_or(&message).to_owned();
        Error::Document { place, message }
    })
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_errors_name_the_place() {
        let path = Path::new("tinderbox.yaml");
        let error = from_yaml::<Config>(path, "port: 1\nimgaes: {}\n").expect_err("unknown field");
        assert!(error.to_string().starts_with("tinderbox.yaml:2:1: unknown field `imgaes`"), "{error}");
        let error = from_yaml::<Config>(path, "port: 1\nimages: [}\n").expect_err("broken");
        assert!(error.to_string().starts_with("tinderbox.yaml:2:"), "{error}");
        let error =
            from_yaml::<Config>(path, "nodes:\n  pools:\n  - name: a\n    capacity: {cpu: lots}\n").expect_err("wrong");
        assert_eq!(
            error.to_string(),
            "tinderbox.yaml:4:21: nodes.pools[0].capacity.cpu: `lots` is no amount such as 500m, 4 or 8Gi"
        );
    }
}
