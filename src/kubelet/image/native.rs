//! Native images that a user describes in `tinderbox.yaml`: another native image, and what is put upon it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A described image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NativeImage {
    /// The name that pods use.
    pub name: String,
    /// The native image that it starts from, as in `apache/spark:4.0.1`.
    pub from: String,
    /// Debian packages as `name` or `name=version`. What they need comes with them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<String>,
    /// Python packages as `name==version`; what they need must be listed too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pip: Vec<String>,
    /// Jars of this machine for the class path of Spark's drivers and executors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jars: Vec<PathBuf>,
    /// Files and folders of this machine, read-only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<HostFile>,
    /// Variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// The user that its processes run as, unless the pod says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<ImageUser>,
    /// Folders that this user may write to, empty in the image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folders: Vec<PathBuf>,
    /// What is run (`ENTRYPOINT`); without it, that of `from`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Its arguments (`CMD`); without it none where `entrypoint` is given, else those of `from`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// The working directory; without it, that of `from`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<PathBuf>,
}

/// A user of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImageUser {
    /// Name of the user and of its group.
    pub name: String,
    /// Number of both.
    pub id: u32,
    /// Its home folder; `/home/NAME` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<PathBuf>,
}

impl ImageUser {
    /// Its home folder.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.home.clone().unwrap_or_else(|| Path::new("/home").join(&self.name))
    }
}

/// A file or folder of this machine in an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostFile {
    /// Where it is on this machine.
    pub source: PathBuf,
    /// Where it is in a container.
    pub target: PathBuf,
}

impl NativeImage {
    /// Takes the paths as relative to `base`, the folder of the file that they stand in.
    #[must_use]
    pub fn relative_to(mut self, base: &Path) -> Self {
        let sources = self.files.iter_mut().map(|file| &mut file.source);
        for path in self.jars.iter_mut().chain(sources) {
            *path = base.join(&*path);
        }
        self
    }

    /// The Python packages as name and version, or the one that is not written so.
    pub(super) fn python_packages(&self) -> Result<Vec<(&str, &str)>, &str> {
        let is_word = |text: &str| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-+!".contains(&byte))
        };
        self.pip
            .iter()
            .map(|line| match line.split_once("==").map(|(name, version)| (name.trim(), version.trim())) {
                Some((name, version)) if is_word(name) && is_word(version) => Ok((name, version)),
                _ => Err(line.as_str()),
            })
            .collect()
    }
}
