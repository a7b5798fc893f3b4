//! An image of the store as containers see it: layers, and the defaults of its config.

use std::path::{Path, PathBuf};

use super::accounts::Accounts;
use super::error::OciError;
use super::layer::tree::Tree;
use super::manifest::ImageConfig;
use super::record::Record;
use super::store::{Hold, Store};
use crate::image::Image;
use crate::image::name::Reference;

/// The account files of no honest image are longer.
const LONGEST_ACCOUNTS: u64 = 4 << 20;

/// What an image of the store has that a native one has not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    /// The folders of its layers, topmost first.
    pub layers: Vec<PathBuf>,
    /// `VOLUME`: folders that can be written in every container.
    pub volumes: Vec<PathBuf>,
    /// `STOPSIGNAL`.
    pub stop_signal: Option<String>,
    /// `USER` as it is written.
    pub user: String,
    /// The users and groups that it names.
    pub accounts: Accounts,
    /// Bytes as it was packed.
    pub size: u64,
    /// Keeps it in the store.
    pub hold: Hold,
}

impl Store {
    /// The image that a reference means, if it is here and whole.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(in crate::image) fn image(&self, reference: &Reference) -> Result<Option<Image>, OciError> {
        let Some((record, config, hold)) = self.find(reference)? else { return Ok(None) };
        self.touch(&record.id);
        self.view(reference, &record, config, hold).map(Some)
    }

    fn view(&self, reference: &Reference, record: &Record, config: ImageConfig, hold: Hold) -> Result<Image, OciError> {
        let layers: Vec<PathBuf> = record.layers.iter().rev().map(|layer| self.layer(layer)).collect();
        let failed = |error| OciError::io("read the accounts of an image in", &self.layers())(error);
        let tree = Tree::of_paths(&layers).map_err(failed)?;
        let text = |path: &str| {
            let bytes = tree.read(Path::new(path), LONGEST_ACCOUNTS).map_err(failed)?;
            Ok(String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned())
        };
        let accounts = Accounts::read(&text("etc/passwd")?, &text("etc/group")?);
        let run = config.config;
        let variable = |text: &String| text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        let user = run.user.unwrap_or_default();
        Ok(Image {
            name: reference.to_string(),
            id: record.status_id(reference),
            entrypoint: run.entrypoint.unwrap_or_default(),
            command: run.cmd.unwrap_or_default(),
            env: run.env.iter().flatten().filter_map(variable).collect(),
            working_dir: run.working_dir.unwrap_or_default(),
            // A user that cannot be found is an error only where no pod names another one.
            user: accounts.resolve(&user).unwrap_or_default(),
            root: Vec::new(),
            unpacked: Some(std::sync::Arc::new(Unpacked {
                layers,
                volumes: run.volumes.unwrap_or_default().into_keys().map(|path| Path::new("/").join(path)).collect(),
                stop_signal: run.stop_signal.filter(|signal| !signal.is_empty()),
                user,
                accounts,
                size: record.size,
                hold,
            })),
        })
    }
}
