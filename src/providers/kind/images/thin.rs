//! A described image for a container engine: what its descriptions put upon another image, as one layer. The same content gives the
//! same bytes, whenever and by whom it is made.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use tinderbox_kubelet::image::{Image, Images, NativeImage, Quiet, RootEntry, cache_dir};

use super::archive::digest;
use crate::{Class, Error};

/// One layer upon an image.
pub(in crate::kind) struct Thin {
    /// The image below.
    pub(super) from: String,
    /// The layer, as a tar.
    pub(super) bytes: Vec<u8>,
    /// Its digest.
    pub(super) digest: String,
    image: Image,
}

/// Makes the layer of a described image; what it needs is downloaded.
///
/// # Errors
/// When that cannot be had.
pub(in crate::kind) async fn thin(described: &[NativeImage], name: &str) -> Result<Thin, Error> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error::Compose {
        act: format!("make a layer of the described image {name}"),
        source,
        hint: None,
        class: Class::Environment,
    };
    let images = Images::new(cache_dir(), described.to_vec(), Arc::new(Quiet));
    let (from, image) = images.upon(name).await.map_err(|error| failed(error.message().into()))?;
    let root = image.root.clone();
    let packed = tokio::task::spawn_blocking(move || pack(&root)).await;
    let bytes = packed.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(|error| failed(error.into()))?;
    Ok(Thin { from, digest: digest(&bytes), bytes, image })
}

impl Thin {
    /// The configuration of the image: that of the one below, and what is said anew.
    ///
    /// # Errors
    /// When that is no JSON.
    pub(super) fn config(&self, below: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
        let mut config: Value = serde_json::from_slice(below)?;
        let run = &mut config["config"];
        let mut env: Vec<(String, String)> = run["Env"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|one| one.as_str()?.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        for (name, value) in &self.image.env {
            match env.iter_mut().find(|(known, _)| known == name) {
                // Lists grow, as they do where the image is made of this machine.
                Some((_, known)) if name == "PYTHONPATH" && !known.is_empty() => *known = format!("{known}:{value}"),
                Some((_, known)) => known.clone_from(value),
                None => env.push((name.clone(), value.clone())),
            }
        }
        run["Env"] = env.into_iter().map(|(name, value)| Value::from(format!("{name}={value}"))).collect();
        if !self.image.entrypoint.is_empty() {
            run["Entrypoint"] = json!(self.image.entrypoint);
            run["Cmd"] = Value::Null;
        }
        if !self.image.command.is_empty() {
            run["Cmd"] = json!(self.image.command);
        }
        if !self.image.working_dir.is_empty() {
            run["WorkingDir"] = json!(self.image.working_dir);
        }
        if self.image.user != (0, 0) {
            run["User"] = format!("{}:{}", self.image.user.0, self.image.user.1).into();
        }
        if let Some(layers) = config["rootfs"]["diff_ids"].as_array_mut() {
            layers.push(json!(self.digest));
        }
        if let Some(history) = config["history"].as_array_mut() {
            history.push(json!({"created_by": "tinderbox.yaml"}));
        }
        serde_json::to_vec(&config)
    }
}

/// What is to be seen in a root, as a tar: everything is root's, of no particular time, and in order.
fn pack(root: &[RootEntry]) -> io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    for entry in root {
        match entry {
            RootEntry::Bind { source, target } => tree(&mut tar, source, target)?,
            RootEntry::Symlink { to, target } => {
                let mut header = header(tar::EntryType::Symlink, 0o777, 0);
                tar.append_link(&mut header, inside(target), to)?;
            }
            RootEntry::Directory { target, mode, writable } => {
                // Whoever runs it may write where its user may: who that is, a pod may still decide.
                let mode = if *writable { 0o777 } else { *mode };
                add(&mut tar, tar::EntryType::Directory, target, mode, &[])?;
            }
            RootEntry::File { target, mode, content } => {
                add(&mut tar, tar::EntryType::Regular, target, *mode, content)?
            }
        }
    }
    tar.into_inner()
}

fn tree(tar: &mut tar::Builder<Vec<u8>>, source: &Path, target: &Path) -> io::Result<()> {
    let meta = fs::metadata(source)?;
    if !meta.is_dir() {
        let mode = if meta.permissions().mode() & 0o111 == 0 { 0o644 } else { 0o755 };
        return add(tar, tar::EntryType::Regular, target, mode, &fs::read(source)?);
    }
    add(tar, tar::EntryType::Directory, target, 0o755, &[])?;
    let mut names: Vec<_> = fs::read_dir(source)?.collect::<io::Result<Vec<_>>>()?;
    names.sort_by_key(fs::DirEntry::file_name);
    for entry in names {
        tree(tar, &entry.path(), &target.join(entry.file_name()))?;
    }
    Ok(())
}

fn add(
    tar: &mut tar::Builder<Vec<u8>>,
    kind: tar::EntryType,
    target: &Path,
    mode: u32,
    content: &[u8],
) -> io::Result<()> {
    let mut header = header(kind, mode, content.len() as u64);
    tar.append_data(&mut header, inside(target), content)
}

fn header(kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header
}

fn inside(target: &Path) -> &Path {
    target.strip_prefix("/").unwrap_or(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_the_same_whenever_it_is_made() {
        let dir = tempfile::tempdir().expect("a folder");
        for name in ["b", "a"] {
            fs::write(dir.path().join(name), name).expect("written");
        }
        let root = [
            RootEntry::Bind { source: dir.path().to_owned(), target: "/opt/x".into() },
            RootEntry::Symlink { to: "/opt/x".into(), target: "/x".into() },
        ];
        let first = pack(&root).expect("packed");
        fs::write(dir.path().join("a"), "a").expect("touched");
        assert_eq!(first, pack(&root).expect("packed"));
        let names: Vec<String> = tar::Archive::new(first.as_slice())
            .entries()
            .expect("a tar")
            .map(|entry| entry.expect("an entry").path().expect("a path").display().to_string())
            .collect();
        assert_eq!(names, ["opt/x", "opt/x/a", "opt/x/b", "x"]);
    }

    #[test]
    fn a_configuration_grows() {
        let image = Image {
            env: vec![("PYTHONPATH".into(), "/new".into()), ("A".into(), "2".into()), ("B".into(), "3".into())],
            user: (185, 185),
            ..Image::default()
        };
        let thin = Thin { from: "x".into(), bytes: Vec::new(), digest: "sha256:top".into(), image };
        let below = br#"{"config": {"Env": ["PYTHONPATH=/old", "A=1"], "Cmd": ["run"]}, "rootfs": {"diff_ids": ["sha256:low"]}, "history": []}"#;
        let config: Value = serde_json::from_slice(&thin.config(below).expect("JSON")).expect("JSON");
        assert_eq!(config["config"]["Env"], json!(["PYTHONPATH=/old:/new", "A=2", "B=3"]));
        assert_eq!(config["config"]["Cmd"], json!(["run"]));
        assert_eq!(config["config"]["User"], "185:185");
        assert_eq!(config["rootfs"]["diff_ids"], json!(["sha256:low", "sha256:top"]));
    }
}
