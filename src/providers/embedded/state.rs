//! `state.json`: what one cluster was started with and which process runs it, written whole or not at all, with the number of
//! its format. It must not act on what it reads.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tinderbox_api::pools::Nodes;
use tinderbox_kubelet::image::NativeImage;
use tinderbox_platform::JobNamespaces;

use super::process::Identity;
use crate::Error;
use crate::folder::Folder;
use crate::state;

/// The format that this version writes.
pub(super) const FORMAT: u64 = 1;

/// What the user decided about a cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    /// Port of the API on 127.0.0.1; 0 lets the first start choose.
    pub port: u16,
    /// Descriptions of native images, their paths absolute.
    pub images: Vec<NativeImage>,
    /// The nodes.
    pub nodes: Nodes,
    /// The folder of the project whose working tree applications are synced from; none without a platform.
    pub project: Option<PathBuf>,
    /// A bare Kubernetes: none of our controllers of custom resources runs, so that others can be installed.
    pub bare: bool,
    /// Whose applications the Spark operator serves.
    pub spark_operator: JobNamespaces,
    /// The verb that made the cluster; `e2e` removes only what `e2e` made.
    pub started_by: String,
}

/// The file's content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// Number of the file's format.
    pub format: u64,
    /// What the user decided.
    #[serde(default)]
    pub settings: Settings,
    /// The port in use, kept from start to start.
    #[serde(default)]
    pub port: Option<u16>,
    /// The port of Ingresses, kept too.
    #[serde(default)]
    pub ingress_port: Option<u16>,
    /// The process that runs the node; a stale one is recognised by its start time.
    #[serde(default)]
    pub node: Option<Identity>,
    /// That process has said that it is ready.
    #[serde(default)]
    pub ready: bool,
}

impl State {
    /// A cluster that has never run.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { format: FORMAT, settings, port: None, ingress_port: None, node: None, ready: false }
    }

    /// Reads the state of a cluster; `None` when there is none.
    ///
    /// # Errors
    /// When it cannot be read, is damaged, or comes from a later version.
    pub fn load(folder: &Folder) -> Result<Option<Self>, Error> {
        state::load(folder, FORMAT)
    }

    /// Writes the state so that a reader sees the old one or the new one, never a half.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn save(&self, folder: &Folder) -> Result<(), Error> {
        state::save(folder, self)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn folder(dir: &Path) -> Folder {
        let folder = Folder::new(dir, "local").expect("a name");
        folder.create().expect("made");
        folder
    }

    #[test]
    fn comes_back_as_it_was() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = folder(dir.path());
        assert_eq!(State::load(&folder).expect("readable"), None);
        let mut state = State::new(Settings { port: 7, ..Settings::default() });
        state.node = Some(Identity::own().expect("/proc is there"));
        state.save(&folder).expect("written");
        assert_eq!(State::load(&folder).expect("readable"), Some(state));
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = folder(dir.path());
        fs::write(folder.state(), r#"{"format": 2, "else": []}"#).expect("written");
        let error = State::load(&folder).expect_err("newer");
        assert!(matches!(error, Error::StateNewer { found: 2, known: 1, .. }));
        for half in [r#"{"format": 1, "sett"#, "", r#"{"node": 3}"#] {
            fs::write(folder.state(), half).expect("written");
            let error = State::load(&folder).expect_err("damaged");
            assert!(matches!(error, Error::StateDamaged { .. }), "{half}");
            assert!(error.hint().is_some_and(|hint| hint.contains("xtask down --name local")));
        }
        fs::remove_file(folder.state()).expect("removed");
        fs::create_dir(folder.state()).expect("made");
        assert!(matches!(State::load(&folder), Err(Error::StateUnread { .. })));
    }
}
