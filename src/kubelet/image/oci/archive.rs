//! Archives of images, as `docker save`, `podman save`, `buildah`, `skopeo` and others write them: Docker's form and OCI's, packed
//! or not. Everything is put aside and summed first, and nothing is believed that no digest confirms.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use jiff::Timestamp;
use serde::Deserialize;
use tempfile::TempDir;

use super::digest::Digest;
use super::error::OciError;
use super::manifest::{self, Descriptor, Document, ImageConfig, architecture, choose};
use super::record::{Origin, Record};
use super::store::{Packed, Store, Whole, spool};
use crate::image::name::Reference;

/// How deep an index may stand in another one.
const DEPTH: usize = 4;
/// More files are in no archive of images.
const MOST_FILES: usize = 20_000;
/// How far links in an archive are followed.
const MOST_LINKS: usize = 8;

/// One image of a `manifest.json` in Docker's form.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// A member of an archive, put aside.
struct Member {
    digest: Digest,
    size: u64,
    file: PathBuf,
}

/// All members of an archive.
struct Members {
    archive: String,
    files: HashMap<PathBuf, Member>,
    links: HashMap<PathBuf, PathBuf>,
    folder: TempDir,
}

/// An image as an archive describes it.
struct Described {
    names: Vec<String>,
    digests: Vec<Digest>,
    config: Vec<u8>,
    layers: Vec<Packed>,
    platform: ImageConfig,
}

impl Store {
    /// Brings the images of an archive into the store. `archive` is what it is called in errors; `name` is for an image that has none.
    /// Blocks for as long as that takes.
    ///
    /// # Errors
    /// When it is no archive of images for this machine, or the store cannot be written. What came before the error stays.
    pub(super) fn load_blocking(
        &self,
        archive: &str,
        stream: impl Read,
        name: Option<&str>,
    ) -> Result<Vec<Record>, OciError> {
        let name = name.map(parse).transpose()?;
        let members = Members::put_aside(archive, stream, &self.parts())?;
        let images = if members.find("index.json").is_some() {
            members.read_oci(name.as_ref())?
        } else if members.find("manifest.json").is_some() {
            members.read_docker(name.as_ref())?
        } else {
            return Err(members.wrong("it holds neither index.json (OCI) nor manifest.json (Docker)"));
        };
        images.into_iter().map(|image| self.bring(image)).collect()
    }

    fn bring(&self, image: Described) -> Result<Record, OciError> {
        let diff_ids = &image.platform.rootfs.diff_ids;
        let chain = self.unpack(diff_ids, |number| {
            let missing = || OciError::Document {
                what: "the config".to_owned(),
                problem: "it names a layer too many".to_owned(),
            };
            image.layers.get(number).cloned().ok_or_else(missing)
        })?;
        let places: Vec<Reference> = image.names.iter().filter_map(|name| Reference::parse(name).ok()).collect();
        let digests = places
            .iter()
            .flat_map(|reference| image.digests.iter().map(move |digest| format!("{}@{digest}", reference.place())));
        let record = Record {
            id: Digest::of(&image.config),
            digests: digests.collect(),
            layers: chain,
            size: image.config.len() as u64 + image.layers.iter().map(|layer| layer.size).sum::<u64>(),
            origin: Origin::Loaded,
            added: Timestamp::now(),
            names: image.names,
        };
        self.add(Whole { config: image.config, record })
    }
}

/// A name given by the user or an archive.
fn parse(text: &str) -> Result<Reference, OciError> {
    let wrong = |reason| OciError::Name { name: text.to_owned(), reason };
    let reference = Reference::parse(text).map_err(wrong)?;
    if reference.digest.is_some() {
        return Err(wrong("a name for a loaded image has no digest"));
    }
    Ok(reference)
}

impl Members {
    fn put_aside(archive: &str, stream: impl Read, parts: &Path) -> Result<Self, OciError> {
        let folder = tempfile::tempdir_in(parts).map_err(OciError::io("make a folder in", parts))?;
        let mut members = Self { archive: archive.to_owned(), files: HashMap::new(), links: HashMap::new(), folder };
        let broken = |error: io::Error| OciError::Archive {
            archive: archive.to_owned(),
            problem: super::decompress::problem(&error),
        };
        let mut tar = tar::Archive::new(super::decompress::reader(stream).map_err(broken)?);
        for entry in tar.entries().map_err(broken)? {
            let mut entry = entry.map_err(broken)?;
            let path = plain(&entry.path().map_err(broken)?);
            let kind = entry.header().entry_type();
            if kind.is_file() {
                if members.files.len() >= MOST_FILES {
                    return Err(members.wrong(&format!("it holds more than {MOST_FILES} files")));
                }
                let file = members.folder.path().join(members.files.len().to_string());
                let (digest, size) = spool(&mut entry, &file, broken)?;
                if size != entry.size() {
                    return Err(broken(io::ErrorKind::UnexpectedEof.into()));
                }
                if let Some(expected) = named_digest(&path)
                    && expected != digest
                {
                    let what = format!("{} in {archive}", path.display());
                    return Err(OciError::WrongDigest { what, expected, found: digest });
                }
                members.files.insert(path, Member { digest, size, file });
            } else if kind.is_symlink() || kind.is_hard_link() {
                let to = entry.link_name().map_err(broken)?.unwrap_or_default().into_owned();
                let base = if kind.is_symlink() { path.parent().unwrap_or(Path::new("")) } else { Path::new("") };
                let to = plain(&base.join(to));
                members.links.insert(path, to);
            }
        }
        Ok(members)
    }

    fn wrong(&self, problem: &str) -> OciError {
        OciError::Archive { archive: self.archive.clone(), problem: problem.to_owned() }
    }

    fn find(&self, path: impl AsRef<Path>) -> Option<&Member> {
        let mut path = plain(path.as_ref());
        for _ in 0..MOST_LINKS {
            match self.links.get(&path) {
                Some(to) => path.clone_from(to),
                None => break,
            }
        }
        self.files.get(&path)
    }

    fn member(&self, path: impl AsRef<Path>) -> Result<&Member, OciError> {
        let path = path.as_ref();
        self.find(path).ok_or_else(|| self.wrong(&format!("it does not hold {}", path.display())))
    }

    fn document(&self, path: impl AsRef<Path>) -> Result<(Vec<u8>, Digest), OciError> {
        let path = path.as_ref();
        let member = self.member(path)?;
        if member.size > manifest::LONGEST {
            return Err(self.wrong(&format!("{} has {} bytes, too many for a document", path.display(), member.size)));
        }
        let bytes = std::fs::read(&member.file).map_err(OciError::io("read", &member.file))?;
        Ok((bytes, member.digest.clone()))
    }

    fn packed(&self, path: impl AsRef<Path>) -> Result<Packed, OciError> {
        let member = self.member(path)?;
        Ok(Packed { digest: member.digest.clone(), size: member.size, file: member.file.clone() })
    }

    fn what(&self, path: &str) -> String {
        format!("{path} in {}", self.archive)
    }

    fn read_docker(&self, name: Option<&Reference>) -> Result<Vec<Described>, OciError> {
        let (bytes, _) = self.document("manifest.json")?;
        let listed: Vec<Listed> = manifest::read(&self.what("manifest.json"), &bytes)?;
        if listed.is_empty() {
            return Err(self.wrong("it holds no image"));
        }
        let alone = listed.len() == 1;
        let image = |listed: Listed| {
            let (config, _) = self.document(&listed.config)?;
            let platform = ImageConfig::read(&self.what(&listed.config), &config, listed.layers.len(), architecture())?;
            let tags = listed.repo_tags.unwrap_or_default();
            Ok(Described {
                names: self.names(&tags, name, alone)?,
                digests: Vec::new(),
                config,
                layers: listed.layers.iter().map(|layer| self.packed(layer)).collect::<Result<_, _>>()?,
                platform,
            })
        };
        listed.into_iter().map(image).collect()
    }

    fn read_oci(&self, name: Option<&Reference>) -> Result<Vec<Described>, OciError> {
        let (bytes, _) = self.document("index.json")?;
        let Document::Index(list) = Document::read(&self.what("index.json"), "", &bytes)? else {
            return Err(self.wrong("index.json is no index"));
        };
        // One image under several names, or one image per platform, are several entries.
        let mut groups: Vec<(Vec<String>, Vec<Descriptor>)> = Vec::new();
        for one in list {
            let tags: Vec<String> = tag(&one).into_iter().collect();
            match groups.iter_mut().find(|(known, members)| {
                members.iter().any(|member| member.digest == one.digest) || (tags.is_empty() && known.is_empty())
            }) {
                Some((known, members)) => {
                    known.extend(tags);
                    if members.iter().all(|member| member.digest != one.digest) {
                        members.push(one);
                    }
                }
                None => groups.push((tags, vec![one])),
            }
        }
        if groups.is_empty() {
            return Err(self.wrong("it holds no image"));
        }
        let alone = groups.len() == 1;
        let image = |(tags, list): (Vec<String>, Vec<Descriptor>)| {
            let names = self.names(&tags, name, alone)?;
            let chosen = match list.as_slice() {
                [only] => only,
                several => choose(&self.archive, several, architecture())?,
            };
            self.describe(names, chosen, Vec::new(), DEPTH)
        };
        groups.into_iter().map(image).collect()
    }

    fn describe(
        &self,
        names: Vec<String>,
        at: &Descriptor,
        mut digests: Vec<Digest>,
        depth: usize,
    ) -> Result<Described, OciError> {
        let path = blob(&at.digest);
        let (bytes, digest) = self.document(&path)?;
        let what = self.what(&path);
        digests.push(digest);
        match Document::read(&what, &at.media_type, &bytes)? {
            Document::Index(_) if depth == 0 => Err(self.wrong("its indexes stand in each other too deep")),
            Document::Index(list) => self.describe(names, choose(&what, &list, architecture())?, digests, depth - 1),
            Document::Manifest { config, layers } => {
                let path = blob(&config.digest);
                let (bytes, _) = self.document(&path)?;
                let platform = ImageConfig::read(&self.what(&path), &bytes, layers.len(), architecture())?;
                let packed = layers.iter().map(|layer| self.packed(blob(&layer.digest))).collect::<Result<_, _>>()?;
                Ok(Described { names, digests, config: bytes, layers: packed, platform })
            }
        }
    }

    /// The whole names of an image: the archive's own, or the one that the user gave to the only image.
    fn names(&self, tags: &[String], given: Option<&Reference>, alone: bool) -> Result<Vec<String>, OciError> {
        if let Some(given) = given.filter(|_| alone) {
            return Ok(vec![given.to_string()]);
        }
        // A tag alone, as some tools write it, names no image.
        let whole =
            tags.iter().filter(|tag| tag.contains(['/', ':'])).map(|tag| parse(tag).map(|name| name.to_string()));
        let names: Vec<String> = whole.collect::<Result<_, _>>()?;
        if names.is_empty() { Err(OciError::Nameless { archive: self.archive.clone() }) } else { Ok(names) }
    }
}

fn tag(descriptor: &Descriptor) -> Option<String> {
    ["io.containerd.image.name", "org.opencontainers.image.ref.name"]
        .iter()
        .find_map(|key| descriptor.annotations.get(*key))
        .cloned()
}

fn blob(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// The digest that the name of a blob promises.
fn named_digest(path: &Path) -> Option<Digest> {
    let hex = path.strip_prefix("blobs/sha256").ok()?.to_str()?;
    Digest::parse(&format!("sha256:{hex}")).ok()
}

/// A path without `.`, and with `..` carried out as far as there is something to leave.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => plain.push(name),
            Component::ParentDir => {
                plain.pop();
            }
            _ => {}
        }
    }
    plain
}
