//! Small layers of an image without saving all of it: Docker keeps beside each layer's files what their tar had besides them, and a
//! container that is never started makes both readable. What comes out is held to its digest; where it is not to be had this way,
//! the image has to be saved.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Component, Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard::models::{ContainerCreateBody, HostConfig, Mount, MountType};
use bollard::query_parameters::{CreateContainerOptionsBuilder, DownloadFromContainerOptionsBuilder};
use flate2::read::GzDecoder;
use futures::StreamExt;
use serde::Deserialize;

use super::Description;
use super::archive::digest;
use crate::engine::Engine;

/// Bytes up to which a layer is small.
const SMALL: usize = 64 << 20;
/// Where the configuration is seen.
const CONFIG: &str = "/tinderbox-config";

/// Configuration and wanted layers of an image.
pub(super) struct Parts {
    pub(super) config: Vec<u8>,
    pub(super) layers: BTreeMap<String, Vec<u8>>,
}

/// A line of what Docker keeps of a layer's tar: bytes as they were, or a file whose content stands elsewhere.
#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: u8,
    #[serde(default)]
    name: String,
    #[serde(default)]
    size: u64,
    payload: Option<String>,
}

/// Reads the wanted layers; `None` where the engine keeps them otherwise, or they are not small.
pub(super) async fn read(engine: &Engine, image: &Description, wanted: &BTreeSet<String>) -> Option<Parts> {
    let mounts = mounts(engine, image, wanted).await?;
    let id = image.config.trim_start_matches("sha256:");
    let name = format!("tinderbox-layers-{}", id.get(..12)?);
    // One that was left by a command that was killed.
    engine.remove(&name).await.ok()?;
    let options = CreateContainerOptionsBuilder::default().name(&name).build();
    let body = ContainerCreateBody {
        image: Some(image.config.clone()),
        cmd: Some(vec!["-".to_owned()]),
        host_config: Some(HostConfig { mounts: Some(mounts), ..HostConfig::default() }),
        ..ContainerCreateBody::default()
    };
    engine.client().create_container(Some(options), body).await.ok()?;
    let parts = parts(engine, &name, image, wanted).await;
    engine.remove(&name).await.ok()?;
    parts
}

/// What the container sees: a folder with the files of each wanted layer, one with what is kept of its tar, and the configuration.
async fn mounts(engine: &Engine, image: &Description, wanted: &BTreeSet<String>) -> Option<Vec<Mount>> {
    let found = engine.client().inspect_image(&image.config).await.ok()?.graph_driver?;
    let root = engine.client().info().await.ok()?.docker_root_dir?;
    let (upper, lower) = (found.data.get("UpperDir")?, found.data.get("LowerDir").map_or("", String::as_str));
    // The highest comes first there.
    let mut folders: Vec<&str> = std::iter::once(upper.as_str()).chain(lower.split(':')).collect();
    folders.retain(|folder| !folder.is_empty());
    folders.reverse();
    if folders.len() != image.layers.len() {
        return None;
    }
    let kept = format!("{root}/image/{}", found.name);
    let mount = |source: String, target: String| Mount {
        source: Some(source),
        target: Some(target),
        typ: Some(MountType::BIND),
        read_only: Some(true),
        ..Mount::default()
    };
    let id = image.config.trim_start_matches("sha256:");
    let mut mounts = vec![mount(format!("{kept}/imagedb/content/sha256/{id}"), CONFIG.to_owned())];
    for (number, (layer, chain)) in image.layers.iter().zip(chains(&image.layers)).enumerate() {
        if wanted.contains(layer) {
            let chain = chain.trim_start_matches("sha256:");
            mounts.push(mount((*folders.get(number)?).to_owned(), files_of(number)));
            mounts.push(mount(format!("{kept}/layerdb/sha256/{chain}"), kept_of(number)));
        }
    }
    Some(mounts)
}

fn files_of(number: usize) -> String {
    format!("/tinderbox-files-{number}")
}

fn kept_of(number: usize) -> String {
    format!("/tinderbox-kept-{number}")
}

async fn parts(engine: &Engine, container: &str, image: &Description, wanted: &BTreeSet<String>) -> Option<Parts> {
    let mut config = contents(&copy(engine, container, CONFIG).await?).ok()?;
    let config = config.pop_first().map(|(_, content)| content).filter(|content| digest(content) == image.config)?;
    let mut layers = BTreeMap::new();
    for (number, layer) in image.layers.iter().enumerate().filter(|(_, layer)| wanted.contains(*layer)) {
        let kept = copy(engine, container, &format!("{}/tar-split.json.gz", kept_of(number))).await?;
        let (_, kept) = contents(&kept).ok()?.pop_first()?;
        let files = contents(&copy(engine, container, &files_of(number)).await?).ok()?;
        let tar = assemble(GzDecoder::new(kept.as_slice()), &files).ok()?;
        if digest(&tar) != *layer {
            return None;
        }
        layers.insert(layer.clone(), tar);
    }
    Some(Parts { config, layers })
}

/// A path of a container as a tar, unless it is too much.
async fn copy(engine: &Engine, container: &str, path: &str) -> Option<Vec<u8>> {
    let options = DownloadFromContainerOptionsBuilder::default().path(path).build();
    let mut stream = Box::pin(engine.client().download_from_container(container, Some(options)));
    let mut tar = Vec::new();
    while let Some(bytes) = stream.next().await {
        tar.extend_from_slice(&bytes.ok()?);
        if tar.len() > SMALL {
            return None;
        }
    }
    Some(tar)
}

/// The files of a tar by their paths below its first folder.
fn contents(tar: &[u8]) -> io::Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(tar).entries()? {
        let mut entry = entry?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path = entry.path()?.components().skip(1).collect();
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        files.insert(path, content);
    }
    Ok(files)
}

/// The tar of a layer, of what is kept of it and its files.
fn assemble(kept: impl Read, files: &BTreeMap<PathBuf, Vec<u8>>) -> io::Result<Vec<u8>> {
    let mut tar = Vec::new();
    for line in BufReader::new(kept).lines() {
        let line: Line = serde_json::from_str(&line?)?;
        match (line.kind, line.payload) {
            (2, Some(bytes)) => tar.extend(STANDARD.decode(bytes).map_err(io::Error::other)?),
            // Folders, links and empty files have no content.
            (1, _) if line.size == 0 => {}
            (1, _) => {
                let named = |part: &Component<'_>| matches!(part, Component::Normal(_));
                let path: PathBuf = Path::new(&line.name).components().filter(named).collect();
                let content = files.get(&path).ok_or_else(|| io::Error::other(format!("{} is absent", line.name)))?;
                tar.extend_from_slice(content);
            }
            _ => {}
        }
    }
    Ok(tar)
}

/// What Docker calls the layers one upon the other: each by its digest and those below.
fn chains(layers: &[String]) -> Vec<String> {
    let mut chains: Vec<String> = Vec::new();
    for layer in layers {
        let chain = chains.last().map_or_else(|| layer.clone(), |below| digest(format!("{below} {layer}").as_bytes()));
        chains.push(chain);
    }
    chains
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_comes_together_as_it_was() {
        let kept = [
            format!(r#"{{"type":2,"payload":"{}","position":0}}"#, STANDARD.encode("<folder>")),
            r#"{"type":1,"name":"./opt/","payload":null,"position":1}"#.to_owned(),
            format!(r#"{{"type":2,"payload":"{}","position":2}}"#, STANDARD.encode("<file>")),
            r#"{"type":1,"name":"./opt/job.py","size":9,"payload":"xsbjdDhtiY0=","position":3}"#.to_owned(),
            format!(r#"{{"type":2,"payload":"{}","position":4}}"#, STANDARD.encode("<end>")),
        ]
        .join("\n");
        let mut files = BTreeMap::from([("opt/job.py".into(), b"print(1)\n".to_vec())]);
        let tar = assemble(kept.as_bytes(), &files).expect("assembled");
        assert_eq!(String::from_utf8(tar).expect("text"), "<folder><file>print(1)\n<end>");
        files.clear();
        let absent = assemble(kept.as_bytes(), &files).expect_err("a file is absent");
        assert_eq!(absent.to_string(), "./opt/job.py is absent");
    }

    #[test]
    fn files_of_a_tar_are_named_below_its_folder() {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(1);
        tar.append_data(&mut header, "layer/opt/a", b"x".as_slice()).expect("written");
        let files = contents(&tar.into_inner().expect("written")).expect("a tar");
        assert_eq!(files, BTreeMap::from([("opt/a".into(), b"x".to_vec())]));
    }

    #[test]
    fn layers_stand_upon_each_other() {
        let layers = ["sha256:aa".to_owned(), "sha256:bb".to_owned()];
        assert_eq!(chains(&layers), ["sha256:aa".to_owned(), digest(b"sha256:aa sha256:bb")]);
    }
}
