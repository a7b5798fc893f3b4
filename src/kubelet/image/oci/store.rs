//! The images of this user, shared by all clusters: a record per image, a folder per layer. Whole things appear at once, under locks
//! between processes; what a killed process leaves is never taken for an image. It must not know where images come from.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::digest::Digest;
use super::error::OciError;
use super::layer::{self, Limits, Problem};
use super::manifest::{ImageConfig, chain};
use super::record::{self, Record};
use crate::image::cache::{self, Lock};
use crate::image::name::Reference;
use crate::sandbox::HostIds;

/// Held by everybody who brings an image, so that nobody sweeps its layers away before its record is there.
const BRINGING: &str = "oci-bringing";
/// Held while records change.
const RECORDS: &str = "oci-records";

/// The store.
#[derive(Debug, Clone)]
pub struct Store {
    cache: PathBuf,
    folder: PathBuf,
    ids: HostIds,
    pub(super) limits: Limits,
}

/// Keeps an image from being removed for as long as somebody has it.
#[derive(Debug, Clone)]
pub struct Hold(#[expect(dead_code, reason = "it is the lock that counts")] Arc<Lock>);

impl PartialEq for Hold {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Hold {}

/// One packed layer: where it is, its packed size, and how it says it is packed.
#[derive(Debug, Clone)]
pub(super) struct Packed {
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) file: PathBuf,
}

/// An image whose parts are all there.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) config: Vec<u8>,
    pub(super) record: Record,
}

impl Store {
    /// The store in the folder of downloads `cache`, for containers whose ids appear as `ids`. Nothing is made yet.
    #[must_use]
    pub fn new(cache: &Path, ids: HostIds) -> Self {
        Self { cache: cache.to_owned(), folder: cache.join("oci"), ids, limits: Limits::USUAL }
    }

    /// The folder of downloads that it is in.
    #[must_use]
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    fn records_folder(&self) -> PathBuf {
        self.folder.join("images")
    }

    /// Downloads that are under way.
    pub(super) fn parts(&self) -> PathBuf {
        self.folder.join("parts")
    }

    /// Layers of containers with ids of their own belong to other users than those of containers that have only one.
    pub(super) fn layers(&self) -> PathBuf {
        self.folder.join(match self.ids {
            HostIds::Range { .. } => "layers-of-range",
            HostIds::Single { .. } => "layers",
        })
    }

    /// The folder of a layer.
    pub(super) fn layer(&self, layer: &Digest) -> PathBuf {
        self.layers().join(layer.hex())
    }

    /// Makes the folders. Only containers and their owner may look into layers: they hold programs of strangers.
    fn prepare(&self) -> Result<(), OciError> {
        for path in [self.records_folder(), self.parts(), self.layers()] {
            fs::create_dir_all(&path).map_err(OciError::io("create", &path))?;
        }
        let layers = self.layers();
        let close = |path: &Path| -> io::Result<()> {
            match self.ids {
                HostIds::Range { .. } => {
                    chown(path, Some(self.ids.uid(0)), Some(self.ids.gid(0)))?;
                    fs::set_permissions(&self.folder, Permissions::from_mode(0o711))?;
                }
                HostIds::Single { .. } => {}
            }
            fs::set_permissions(path, Permissions::from_mode(0o700))
        };
        close(&layers).map_err(OciError::io("protect", &layers))?;
        layer::try_marks(&layers).map_err(OciError::io("keep layers (marks and attributes of files) in", &layers))
    }

    /// Announces that an image is being brought; hold the result until its record is there.
    pub(super) async fn begin(&self) -> Result<Lock, OciError> {
        self.prepare()?;
        let shared = cache::lock_shared(&self.cache, BRINGING).await;
        shared.map_err(OciError::io("lock", &self.folder))
    }

    /// Nothing is brought as long as this is held; `None` if something is being brought now.
    pub(super) fn quiet(&self) -> Result<Option<Lock>, OciError> {
        cache::try_lock(&self.cache, BRINGING).map_err(OciError::io("lock", &self.folder))
    }

    /// All images.
    ///
    /// # Errors
    /// When the folder cannot be read. A record that cannot be read is no image.
    pub fn list(&self) -> Result<Vec<Record>, OciError> {
        let folder = self.records_folder();
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(OciError::io("list", &folder))?,
        };
        let mut records = Vec::new();
        for entry in entries.flatten().filter(|entry| entry.path().extension().is_some_and(|end| end == "json")) {
            let read = fs::read(entry.path()).ok().and_then(|bytes| serde_json::from_slice::<Record>(&bytes).ok());
            records.extend(read);
        }
        records.sort_by(|a, b| (&a.names, &a.id).cmp(&(&b.names, &b.id)));
        Ok(records)
    }

    /// The image that a reference means, if it is whole, and a hold on it.
    pub(super) fn find(&self, reference: &Reference) -> Result<Option<(Record, ImageConfig, Hold)>, OciError> {
        let Some(record) = self.list()?.into_iter().find(|record| record.is(reference)) else { return Ok(None) };
        let hold = self.hold(&record.id)?;
        let path = self.config_file(&record.id);
        // Removed between the look and the hold, or by hand: then it is not there.
        let Ok(config) = fs::read(&path) else { return Ok(None) };
        if !self.record_file(&record.id).exists() || record.layers.iter().any(|layer| !self.layer(layer).is_dir()) {
            return Ok(None);
        }
        let config = super::manifest::read(&path.display().to_string(), &config)?;
        Ok(Some((record, config, hold)))
    }

    pub(super) fn hold(&self, id: &Digest) -> Result<Hold, OciError> {
        let lock = cache::lock_shared_blocking(&self.cache, &hold_name(id));
        lock.map(|lock| Hold(Arc::new(lock))).map_err(OciError::io("lock", &self.folder))
    }

    /// The exclusive right to an image, if no container has it.
    pub(super) fn sole(&self, id: &Digest) -> Result<Option<Lock>, OciError> {
        cache::try_lock(&self.cache, &hold_name(id)).map_err(OciError::io("lock", &self.folder))
    }

    /// When a container last took the image up, in seconds since 1970; 0 if never.
    pub(super) fn last_used(&self, id: &Digest) -> u64 {
        let modified = fs::metadata(self.cache.join("locks").join(hold_name(id))).and_then(|found| found.modified());
        let since = modified.ok().and_then(|at| at.duration_since(std::time::SystemTime::UNIX_EPOCH).ok());
        since.map_or(0, |since| since.as_secs())
    }

    /// Marks the image as used now.
    pub(super) fn touch(&self, id: &Digest) {
        let file = File::options().write(true).open(self.cache.join("locks").join(hold_name(id)));
        // Only the order of removals depends on it.
        let _ = file.and_then(|file| file.set_modified(std::time::SystemTime::now()));
    }

    fn record_file(&self, id: &Digest) -> PathBuf {
        self.records_folder().join(format!("{}.json", id.hex()))
    }

    fn config_file(&self, id: &Digest) -> PathBuf {
        self.records_folder().join(format!("{}.config", id.hex()))
    }

    /// Unpacks the layers that are not there, lowest first; returns the names of all. May take minutes: call it where that may be.
    /// `open` gives the packed layer of a number.
    pub(super) fn unpack(
        &self,
        diff_ids: &[Digest],
        mut open: impl FnMut(usize) -> Result<Packed, OciError>,
    ) -> Result<Vec<Digest>, OciError> {
        let chain = chain(diff_ids);
        for (number, name) in chain.iter().enumerate() {
            let target = self.layer(name);
            if target.is_dir() {
                continue;
            }
            let lock = format!("oci-layer-{}", name.hex());
            let _lock = cache::lock_blocking(&self.cache, &lock).map_err(OciError::io("lock", &self.folder))?;
            if target.is_dir() {
                continue;
            }
            let packed = open(number)?;
            let below: Vec<PathBuf> = chain[..number].iter().rev().map(|name| self.layer(name)).collect();
            self.install(&packed, &target, &below, &diff_ids[number])?;
        }
        Ok(chain)
    }

    fn install(&self, packed: &Packed, target: &Path, below: &[PathBuf], wanted: &Digest) -> Result<(), OciError> {
        let file = File::open(&packed.file).map_err(OciError::io("open", &packed.file))?;
        let mut outcome = Ok(());
        let installed = cache::install(target, |into| {
            let unpacked = layer::unpack(file, packed.size, into, below, self.ids, &self.limits);
            outcome = match unpacked {
                Ok(found) if found == *wanted => return Ok(()),
                Ok(found) => Err(OciError::WrongDigest {
                    what: format!("the content of layer {}", packed.digest),
                    expected: wanted.clone(),
                    found,
                }),
                Err(Problem::Archive(problem)) => Err(OciError::Layer { layer: packed.digest.clone(), problem }),
                Err(Problem::Disk(error)) => Err(OciError::io("unpack a layer into", target)(error)),
            };
            Err(io::Error::other("stopped"))
        });
        outcome?;
        installed.map_err(OciError::io("create", target))
    }

    /// Adds an image whose layers are unpacked. Its names no longer mean other images.
    pub(super) fn add(&self, whole: Whole) -> Result<Record, OciError> {
        let _lock = cache::lock_blocking(&self.cache, RECORDS).map_err(OciError::io("lock", &self.folder))?;
        let known: BTreeMap<Digest, Record> =
            self.list()?.into_iter().map(|record| (record.id.clone(), record)).collect();
        let id = whole.record.id.clone();
        write(&self.config_file(&id), &whole.config)?;
        let changed = record::add(&known, whole.record);
        let mut added = None;
        // The new one first: a name with two images is found, one with none is lost.
        for record in changed.into_iter().rev() {
            self.save(&record)?;
            if record.id == id {
                added = Some(record);
            }
        }
        added.ok_or_else(|| OciError::Unknown { name: id.to_string() })
    }

    fn save(&self, record: &Record) -> Result<(), OciError> {
        let path = self.record_file(&record.id);
        let text = serde_json::to_vec_pretty(record).map_err(io::Error::from).map_err(OciError::io("write", &path))?;
        write(&path, &text)
    }

    /// Changes the names of an image, or forgets it.
    pub(super) fn change(&self, id: &Digest, change: impl FnOnce(&mut Record) -> bool) -> Result<(), OciError> {
        let _lock = cache::lock_blocking(&self.cache, RECORDS).map_err(OciError::io("lock", &self.folder))?;
        let Some(mut record) = self.list()?.into_iter().find(|record| record.id == *id) else { return Ok(()) };
        if change(&mut record) {
            return self.save(&record);
        }
        for path in [self.record_file(id), self.config_file(id)] {
            remove_file(&path)?;
        }
        Ok(())
    }

    /// Removes the layers that no image has, and what downloads and killed processes left; says how many bytes that gave.
    /// Only while nothing is brought.
    pub(super) fn sweep(&self, _quiet: &Lock) -> Result<u64, OciError> {
        let needed: std::collections::BTreeSet<String> =
            self.list()?.iter().flat_map(|record| record.layers.iter().map(|layer| layer.hex().to_owned())).collect();
        let mut freed = 0;
        let mut gone = entries(&self.layers())?;
        gone.retain(|path| path.file_name().and_then(|name| name.to_str()).is_none_or(|name| !needed.contains(name)));
        gone.extend(entries(&self.parts())?);
        let records = entries(&self.records_folder())?;
        gone.extend(records.into_iter().filter(|path| path.extension().is_some_and(|end| end == "new")));
        for path in gone {
            freed += cache::weigh(&path);
            cache::remove_tree(&path).map_err(OciError::io("remove", &path))?;
        }
        Ok(freed)
    }
}

fn hold_name(id: &Digest) -> String {
    format!("oci-image-{}", id.hex())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, OciError> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => Ok(entries.map_err(OciError::io("list", folder))?.flatten().map(|entry| entry.path()).collect()),
    }
}

fn remove_file(path: &Path) -> Result<(), OciError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(OciError::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Writes a file that is either the old one or the new one, whatever happens.
fn write(path: &Path, content: &[u8]) -> Result<(), OciError> {
    let temporary = path.with_extension("new");
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    });
    written.map_err(|error| {
        // The first error is the one to tell of.
        let _ = fs::remove_file(&temporary);
        OciError::io("write", path)(error)
    })
}

/// Copies a stream into a file of the store and says what its digest and size are. `cut` makes an error of reading.
pub(super) fn spool(
    mut from: impl Read,
    into: &Path,
    cut: impl Fn(io::Error) -> OciError,
) -> Result<(Digest, u64), OciError> {
    let mut file = File::create(into).map_err(OciError::io("create", into))?;
    let mut summed = super::digest::Summed::new(&mut from);
    let mut buffer = vec![0; 256 << 10];
    loop {
        let read = match summed.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(cut(error)),
        };
        file.write_all(&buffer[..read]).map_err(OciError::io("write", into))?;
    }
    let size = summed.count();
    Ok((summed.digest(), size))
}
