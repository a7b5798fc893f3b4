//! The engine's stream of a saved image: of all that is in it only what is wanted goes on to the nodes, and the stream is left as
//! soon as that is done.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufWriter, Read, Write};

use futures::TryStreamExt;
use tinderbox_kubelet::image::oci::unpacked;
use tokio::sync::mpsc;
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::archive::{Archive, path};
use super::{Description, Imports};
use crate::engine::{Engine, refused};
use crate::{Class, Error};

/// Bytes that are moved at once.
const CHUNK: usize = 1 << 18;
/// Chunks that may have been read and not yet written.
const BUFFERED: usize = 256;

fn stream(engine: &Engine, image: &str) -> impl Read + Send + 'static {
    let stream = engine.client().export_image(image).map_err(io::Error::other);
    SyncIoBridge::new(StreamReader::new(Box::pin(stream)))
}

/// What a thread that may wait writes to all nodes. Reading the engine's stream and writing do not wait for each other.
struct Nodes(mpsc::Sender<Vec<u8>>);

impl Nodes {
    /// The end to write to, and what hands it on: it ends when that is dropped, or when a node does not take any more, which it tells.
    fn new(mut imports: Imports) -> (Self, impl Future<Output = (Imports, bool)>) {
        let (sender, mut chunks) = mpsc::channel::<Vec<u8>>(BUFFERED);
        let written = async move {
            while let Some(chunk) = chunks.recv().await {
                if imports.write(&chunk).await.is_err() {
                    return (imports, true);
                }
            }
            (imports, false)
        };
        (Self(sender), written)
    }
}

impl Write for Nodes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(bytes.to_vec());
        sent.map(|()| bytes.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Moves configuration and missing layers of an image; gives the bytes of the layers, or `None` where the stream does not name its
/// parts by what they are.
pub(super) async fn copy(
    engine: &Engine,
    image: &str,
    description: &Description,
    missing: &BTreeSet<String>,
    mut sizes: BTreeMap<String, u64>,
    imports: Imports,
) -> Result<Option<u64>, Error> {
    let source = stream(engine, image);
    let (name, config) = (description.name.clone(), description.config.clone());
    let (layers, missing) = (description.layers.clone(), missing.clone());
    let (nodes, written) = Nodes::new(imports);
    let copied = tokio::task::spawn_blocking(move || {
        let description = Description { name, config, layers };
        let mut archive = Archive::new(nodes);
        let mut wanted: BTreeMap<String, String> = missing.iter().map(|layer| (path(layer), layer.clone())).collect();
        let config_path = path(&description.config);
        let (mut config_size, mut moved) = (None, 0);
        let mut saved = tar::Archive::new(source);
        let mut chunk = vec![0; CHUNK];
        for entry in saved.entries()? {
            let mut entry = entry?;
            let path = entry.path()?.display().to_string();
            let layer = wanted.remove(&path);
            if layer.is_none() && path != config_path {
                continue;
            }
            let size = entry.size();
            archive.header(&path, size)?;
            loop {
                let count = entry.read(&mut chunk)?;
                if count == 0 {
                    break;
                }
                archive.bytes(&chunk[..count])?;
            }
            archive.padding(size)?;
            match layer {
                Some(layer) => {
                    sizes.insert(layer, size);
                    moved += size;
                }
                None => config_size = Some(size),
            }
            if wanted.is_empty() && config_size.is_some() {
                break;
            }
        }
        match config_size {
            Some(config) if wanted.is_empty() => {
                archive.finish(&description, config, &sizes)?;
                Ok(Some(moved))
            }
            _ => Ok(None),
        }
    });
    let (copied, (imports, refused)) = tokio::join!(copied, written);
    match joined(copied, image) {
        // What was begun for nothing ends with its input, and has nothing to say.
        Ok(None) => Ok(None),
        copied => ended(copied, imports, refused).await,
    }
}

/// Moves the whole stream as it is.
pub(super) async fn copy_whole(engine: &Engine, image: &str, imports: Imports) -> Result<u64, Error> {
    copy_all(stream(engine, image), image, imports).await
}

/// Moves all of a source to the nodes, unpacked.
pub(super) async fn copy_all(source: impl Read + Send + 'static, image: &str, imports: Imports) -> Result<u64, Error> {
    let (nodes, written) = Nodes::new(imports);
    let copied = tokio::task::spawn_blocking(move || {
        let mut nodes = BufWriter::with_capacity(CHUNK, nodes);
        let bytes = io::copy(&mut unpacked(source)?, &mut nodes)?;
        nodes.flush()?;
        Ok(bytes)
    });
    let (copied, (imports, refused)) = tokio::join!(copied, written);
    ended(joined(copied, image), imports, refused).await
}

/// Waits for the imports' end. A node that took no more says there why.
async fn ended<T>(copied: Result<T, Error>, imports: Imports, refused: bool) -> Result<T, Error> {
    let finished = imports.finish().await;
    if refused {
        finished?;
        return copied;
    }
    let copied = copied?;
    finished.map(|()| copied)
}

fn joined<T>(done: Result<io::Result<T>, tokio::task::JoinError>, image: &str) -> Result<T, Error> {
    done.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(|error| {
        let act = format!("move the image {image}");
        match error.downcast::<bollard::errors::Error>() {
            Ok(source) => refused(&act, source),
            Err(error) => Error::Compose { act, source: error.into(), hint: None, class: Class::Failed },
        }
    })
}
