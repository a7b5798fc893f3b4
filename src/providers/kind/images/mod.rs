//! Bringing images into the nodes of a cluster in a container engine. Only layers that a node lacks travel: its containerd keeps
//! them by the digest of their content, which is how the engine names them too.

mod archive;
mod layer;
mod saved;
mod thin;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::pin::Pin;
use std::time::{Duration, Instant};

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecResults};
use futures::future::try_join_all;
use futures::{Stream, StreamExt};
use serde::Serialize;
use tinderbox_kubelet::image::{NativeImage, Reference};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::engine::{Engine, full, refused};
use crate::{Class, Error, Talk};
use archive::Archive;
use thin::thin;

/// Where a node's containerd keeps what it has.
const BLOBS: &str = "/var/lib/containerd/io.containerd.content.v1.content/blobs/sha256";
/// containerd's namespace of Kubernetes.
const CTR: [&str; 2] = ["ctr", "--namespace=k8s.io"];

/// What loading an image came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Loaded {
    /// The image, by its whole name.
    pub image: String,
    /// Layers that it has.
    pub layers: usize,
    /// Layers that were moved.
    pub moved: usize,
    /// Their bytes.
    pub bytes: u64,
    /// How long it took.
    pub took: Duration,
}

/// An image as its configuration has it.
struct Description {
    /// Its whole name.
    name: String,
    /// Digest of its configuration.
    config: String,
    /// Digests of its layers, the lowest first.
    layers: Vec<String>,
}

/// Brings an image of the engine into the nodes; `None` when the engine does not have it.
///
/// # Errors
/// When the engine or a node refuses.
pub(super) async fn load(engine: &Engine, nodes: &[String], image: &str, talk: &Talk) -> Result<Option<Loaded>, Error> {
    let began = Instant::now();
    let Some(description) = describe(engine, image).await? else {
        return Ok(None);
    };
    let layers = description.layers.len();
    let (missing, mut sizes) = lacking(engine, nodes, &description).await?;
    let done = |moved: usize, bytes: u64| {
        Ok(Some(Loaded { image: description.name.clone(), layers, moved, bytes, took: began.elapsed() }))
    };
    if missing.is_empty() && named(engine, nodes, &description, &sizes).await? {
        return done(0, 0);
    }
    talk.say(&format!("loading {image} into the cluster: {} of {layers} layers", missing.len()));
    if missing.len() < layers
        && let Some(parts) = layer::read(engine, &description, &missing).await
    {
        sizes.extend(parts.layers.iter().map(|(layer, bytes)| (layer.clone(), bytes.len() as u64)));
        let archive = pack(&description, &parts.config, &parts.layers, &sizes)?;
        Imports::start(engine, nodes).await?.send(&archive).await?;
        return done(missing.len(), parts.layers.values().map(|bytes| bytes.len() as u64).sum());
    }
    let imports = Imports::start(engine, nodes).await?;
    let found = saved::copy(engine, image, &description, &missing, sizes, imports).await?;
    if let Some(bytes) = found {
        return done(missing.len(), bytes);
    }
    // Another form of archive than that of Docker's own store: containerd reads that too, as a whole.
    let imports = Imports::start(engine, nodes).await?;
    let bytes = saved::copy_whole(engine, image, imports).await?;
    done(layers, bytes)
}

/// Brings a described image into the nodes: one layer of our own making upon an image of the engine, which must be loaded before.
/// `None` when the engine lacks that one.
///
/// # Errors
/// When what is in the layer cannot be had, or the engine or a node refuses.
pub(super) async fn load_thin(
    engine: &Engine,
    nodes: &[String],
    described: &[NativeImage],
    image: &str,
    talk: &Talk,
) -> Result<Option<Loaded>, Error> {
    let began = Instant::now();
    let thin = thin(described, image).await?;
    if load(engine, nodes, &thin.from, talk).await?.is_none() {
        return Ok(None);
    }
    let Some(base) = describe(engine, &thin.from).await? else {
        return Ok(None);
    };
    let Some(node) = nodes.first() else {
        return Ok(None);
    };
    let path = format!("{BLOBS}/{}", base.config.trim_start_matches("sha256:"));
    let whole = engine.run(node, &["cat", &path]).await?;
    let config = thin.config(whole.as_bytes()).map_err(|error| Error::Compose {
        act: format!("describe {image} upon {}", thin.from),
        source: error.into(),
        hint: None,
        class: Class::Failed,
    })?;
    let mut layers = base.layers.clone();
    layers.push(thin.digest.clone());
    let description = Description { name: whole_name(image), config: archive::digest(&config), layers };
    let (missing, mut sizes) = lacking(engine, nodes, &description).await?;
    sizes.insert(thin.digest.clone(), thin.bytes.len() as u64);
    let (layers, moved) = (description.layers.len(), missing.len());
    let bytes = if missing.is_empty() { 0 } else { thin.bytes.len() as u64 };
    if !missing.is_empty() || !named(engine, nodes, &description, &sizes).await? {
        talk.say(&format!("loading {image} into the cluster: {moved} of {layers} layers"));
        let mut blobs = BTreeMap::new();
        if !missing.is_empty() {
            blobs.insert(thin.digest.clone(), thin.bytes);
        }
        let archive = pack(&description, &config, &blobs, &sizes)?;
        Imports::start(engine, nodes).await?.send(&archive).await?;
    }
    Ok(Some(Loaded { image: description.name, layers, moved, bytes, took: began.elapsed() }))
}

/// The archive of an image with these of its layers.
fn pack(
    image: &Description,
    config: &[u8],
    layers: &BTreeMap<String, Vec<u8>>,
    sizes: &BTreeMap<String, u64>,
) -> Result<Vec<u8>, Error> {
    let written = || {
        let mut archive = Archive::new(Vec::new());
        archive.blob(&image.config, config)?;
        layers.iter().try_for_each(|(digest, bytes)| archive.blob(digest, bytes))?;
        archive.finish(image, config.len() as u64, sizes)
    };
    written().map_err(|error: std::io::Error| Error::Compose {
        act: format!("pack {}", image.name),
        source: error.into(),
        hint: None,
        class: Class::Failed,
    })
}

/// Brings the images of an archive into the nodes, as they are.
///
/// # Errors
/// When the file cannot be read, or a node refuses.
pub(super) async fn load_archive(engine: &Engine, nodes: &[String], file: &Path) -> Result<Loaded, Error> {
    let began = Instant::now();
    let imports = Imports::start(engine, nodes).await?;
    let source = std::fs::File::open(file);
    let source = source.map_err(|source| Error::File { act: "open", path: file.to_owned(), source })?;
    let image = file.display().to_string();
    let bytes = saved::copy_all(source, &image, imports).await?;
    Ok(Loaded { image, layers: 0, moved: 0, bytes, took: began.elapsed() })
}

/// The name as containerd and Kubernetes know it.
fn whole_name(image: &str) -> String {
    Reference::parse(image).map_or_else(|_| image.to_owned(), |reference| reference.to_string())
}

async fn describe(engine: &Engine, image: &str) -> Result<Option<Description>, Error> {
    let found = match engine.client().inspect_image(image).await {
        Ok(found) => found,
        Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => return Ok(None),
        Err(source) => return Err(refused(&format!("look at the image {image}"), source)),
    };
    Ok(Some(Description {
        name: whole_name(image),
        config: found.id.unwrap_or_default(),
        layers: found.root_fs.and_then(|root| root.layers).unwrap_or_default(),
    }))
}

/// The layers that some node lacks, and the sizes of the others.
async fn lacking(
    engine: &Engine,
    nodes: &[String],
    description: &Description,
) -> Result<(BTreeSet<String>, BTreeMap<String, u64>), Error> {
    let hashes: Vec<&str> = description.layers.iter().map(|layer| layer.trim_start_matches("sha256:")).collect();
    let script = format!("cd {BLOBS} && stat -c '%n %s' {} 2>/dev/null; true", hashes.join(" "));
    let command = ["sh", "-c", &script];
    let answers = try_join_all(nodes.iter().map(|node| engine.run(node, &command))).await?;
    let all: BTreeSet<String> = description.layers.iter().cloned().collect();
    let (mut missing, mut sizes) = (BTreeSet::new(), BTreeMap::new());
    for answer in answers {
        let there = sizes_of(&answer);
        missing.extend(all.iter().filter(|layer| !there.contains_key(*layer)).cloned());
        sizes.extend(there);
    }
    Ok((missing, sizes))
}

/// What `stat` said of blobs.
fn sizes_of(answer: &str) -> BTreeMap<String, u64> {
    let lines = answer.lines().filter_map(|line| line.split_once(' '));
    lines.filter_map(|(hash, size)| Some((format!("sha256:{hash}"), size.trim().parse().ok()?))).collect()
}

/// Whether every node knows this very image by its name already.
async fn named(
    engine: &Engine,
    nodes: &[String],
    description: &Description,
    sizes: &BTreeMap<String, u64>,
) -> Result<bool, Error> {
    let size = format!("stat -c %s {BLOBS}/{} 2>/dev/null; true", description.config.trim_start_matches("sha256:"));
    let (filter, command) = (format!("name=={}", description.name), ["sh", "-c", &size]);
    let list = [CTR[0], CTR[1], "images", "ls", &filter];
    let asked = nodes.iter().map(|node| async {
        let (size, listed) = futures::try_join!(engine.run(node, &command), engine.run(node, &list))?;
        let Ok(size) = size.trim().parse::<u64>() else {
            return Ok::<bool, Error>(false);
        };
        let manifest = archive::digest(&archive::manifest(description, size, sizes));
        Ok(listed.contains(&manifest))
    });
    Ok(try_join_all(asked).await?.into_iter().all(|known| known))
}

type Input = Pin<Box<dyn AsyncWrite + Send>>;
type Output = Pin<Box<dyn Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send>>;

/// An import under way in every node.
struct Imports {
    engine: Engine,
    each: Vec<Import>,
}

struct Import {
    node: String,
    exec: String,
    input: Input,
    output: Output,
}

impl Imports {
    async fn start(engine: &Engine, nodes: &[String]) -> Result<Self, Error> {
        let started = nodes.iter().map(|node| async move {
            let failed = |source| refused(&format!("import an image in {node}"), source);
            let options = CreateExecOptions {
                cmd: Some([&CTR[..], &["images", "import", "-"]].concat()),
                attach_stdin: Some(true),
                attach_stdout: Some(true),
                attach_stderr: Some(true),
                ..CreateExecOptions::default()
            };
            let made = engine.client().create_exec(node, options).await.map_err(failed)?;
            match engine.client().start_exec(&made.id, None).await.map_err(failed)? {
                StartExecResults::Attached { output, input } => {
                    Ok(Import { node: node.clone(), exec: made.id, input, output })
                }
                StartExecResults::Detached => Err(Error::Compose {
                    act: format!("import an image in {node}"),
                    source: "the engine did not attach to the import".into(),
                    hint: None,
                    class: Class::Failed,
                }),
            }
        });
        Ok(Self { engine: engine.clone(), each: try_join_all(started).await? })
    }

    /// Writes to all of them.
    async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        try_join_all(self.each.iter_mut().map(|import| import.input.write_all(bytes))).await.map(|_| ())
    }

    /// Ends the archive, and waits until it is taken in.
    async fn finish(self) -> Result<(), Error> {
        let engine = &self.engine;
        let ended = self.each.into_iter().map(|mut import| async move {
            let node = &import.node;
            let failed = |source| refused(&format!("import an image in {node}"), source);
            // What the other side has closed already, its exit code explains.
            let _ = import.input.shutdown().await;
            let mut said = String::new();
            while let Some(chunk) = import.output.next().await {
                said.push_str(&String::from_utf8_lossy(&chunk.map_err(failed)?.into_bytes()));
            }
            let ended = engine.client().inspect_exec(&import.exec).await.map_err(failed)?;
            match ended.exit_code {
                Some(0) => Ok(()),
                code => Err(Error::Compose {
                    act: format!("import an image in {node}"),
                    source: format!("exit code {}: {}", code.unwrap_or(-1), said.trim()).into(),
                    hint: full(&said),
                    class: Class::Failed,
                }),
            }
        });
        try_join_all(ended).await.map(|_| ())
    }

    /// Sends a whole archive.
    async fn send(mut self, archive: &[u8]) -> Result<(), Error> {
        // A node that stops to read says why when it ends.
        let _ = self.write(archive).await;
        self.finish().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nodes_have_of_an_image() {
        let sizes = sizes_of("aa 10\nbb 2000\nnonsense\n");
        assert_eq!(sizes, BTreeMap::from([("sha256:aa".to_owned(), 10), ("sha256:bb".to_owned(), 2000)]));
    }

    #[test]
    fn names_are_whole() {
        assert_eq!(whole_name("apache/spark:4.0.1"), "docker.io/apache/spark:4.0.1");
        assert_eq!(whole_name("busybox"), "docker.io/library/busybox:latest");
    }
}
