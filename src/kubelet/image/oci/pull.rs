//! An image from its registry into the store: what is here already is not fetched again, and what a killed process left is gone on with.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use jiff::Timestamp;

use super::digest::Digest;
use super::error::OciError;
use super::keep::blocking;
use super::manifest::{Descriptor, Document, ImageConfig, architecture, chain, choose};
use super::record::{Origin, Record};
use super::registry::{Keyring, Registry, client, credentials};
use super::store::{Packed, Store, Whole};
use crate::image::cache;
use crate::image::name::Reference;
use crate::image::progress::Progress;

/// Layers that are fetched at once, as docker does it.
const AT_ONCE: usize = 3;
/// How deep an index may stand in another one.
const DEPTH: usize = 3;

/// An image as its registry describes it.
struct Described {
    digests: Vec<Digest>,
    config: Vec<u8>,
    id: Digest,
    layers: Vec<Descriptor>,
    platform: ImageConfig,
}

impl Store {
    /// Fetches an image, one process and task at a time; says how long the fetching itself took. With `only_missing` an image that
    /// has come meanwhile will do.
    ///
    /// # Errors
    /// When no registry answers, it refuses or has no such image, what it sends is wrong, or the store cannot be written.
    pub(in crate::image) async fn pull(
        &self,
        reference: &Reference,
        only_missing: bool,
        keyring: &Keyring,
        progress: &dyn Progress,
    ) -> Result<Duration, OciError> {
        let _bringing = self.begin().await?;
        let turn = format!("oci-pull-{}", Digest::of(reference.to_string().as_bytes()).hex());
        let _turn = cache::lock(self.cache(), &turn).await.map_err(OciError::io("lock", self.cache()))?;
        let since = Instant::now();
        if only_missing && self.find(reference)?.is_some() {
            return Ok(since.elapsed());
        }
        let http = client(reference)?;
        let mut candidates: Vec<_> = credentials(keyring, reference).await.into_iter().map(Some).collect();
        if candidates.is_empty() {
            candidates.push(None);
        }
        let mut refused = None;
        for credential in candidates {
            let registry = Registry::connect(&http, reference, credential).await?;
            match describe(&registry, reference).await {
                Ok(image) => {
                    self.fetch(&registry, reference, image, progress).await?;
                    return Ok(since.elapsed());
                }
                // Another credential may be the right one.
                Err(error @ OciError::Denied { .. }) => refused = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(refused.unwrap_or_else(|| OciError::Unknown { name: reference.to_string() }))
    }

    async fn fetch(
        &self,
        registry: &Registry,
        reference: &Reference,
        image: Described,
        progress: &dyn Progress,
    ) -> Result<(), OciError> {
        let names = chain(&image.platform.rootfs.diff_ids);
        let missing = || -> Vec<Descriptor> {
            let missing = image.layers.iter().zip(&names).filter(|(_, name)| !self.layer(name).is_dir());
            let mut missing: Vec<Descriptor> = missing.map(|(layer, _)| layer.clone()).collect();
            // A layer may be in an image twice.
            missing.sort_by(|a, b| a.digest.cmp(&b.digest));
            missing.dedup_by(|a, b| a.digest == b.digest);
            missing
        };
        let part = |digest: &Digest| self.parts().join(digest.hex());
        // One after the other and in order, so that two images with the same layers never wait for each other. They keep others from
        // taking the parts away before they are unpacked.
        let mut locks = Vec::new();
        for layer in missing() {
            let lock = format!("oci-part-{}", layer.digest.hex());
            locks.push(cache::lock(self.cache(), &lock).await.map_err(OciError::io("lock", self.cache()))?);
        }
        let wanted = missing();
        let mut downloads = Vec::new();
        for layer in &wanted {
            let file = part(&layer.digest);
            downloads.push(async move { registry.blob(&layer.digest, layer.size, &file, progress).await }.boxed());
        }
        stream::iter(downloads).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
        let files: Vec<PathBuf> = wanted.iter().map(|layer| part(&layer.digest)).collect();
        let size = image.config.len() as u64 + image.layers.iter().map(|layer| layer.size).sum::<u64>();
        let place = reference.place();
        let record = Record {
            id: image.id,
            names: if reference.digest.is_none() { vec![reference.to_string()] } else { Vec::new() },
            digests: image.digests.iter().map(|digest| format!("{place}@{digest}")).collect(),
            layers: names,
            size,
            origin: Origin::Pulled,
            added: Timestamp::now(),
        };
        let (store, layers, diff_ids) = (self.clone(), image.layers, image.platform.rootfs.diff_ids);
        let config = image.config;
        blocking(move || {
            store.unpack(&diff_ids, |number| {
                let layer = &layers[number];
                let file = store.parts().join(layer.digest.hex());
                Ok(Packed { digest: layer.digest.clone(), size: layer.size, file })
            })?;
            store.add(Whole { config, record })?;
            for file in files {
                // One that stays is removed with the next `image prune`.
                let _ = std::fs::remove_file(file);
            }
            drop(locks);
            Ok(())
        })
        .await
    }
}

async fn describe(registry: &Registry, reference: &Reference) -> Result<Described, OciError> {
    let mut wanted = match (&reference.digest, &reference.tag) {
        (Some(digest), _) => digest.clone(),
        (None, Some(tag)) => tag.clone(),
        (None, None) => "latest".to_owned(),
    };
    let mut digests = Vec::new();
    for _ in 0..DEPTH {
        let what = format!("manifest {wanted} of {}", reference.place());
        let (bytes, digest, kind) = registry.manifest(&wanted).await?;
        digests.push(digest);
        match Document::read(&what, &kind, &bytes)? {
            Document::Index(list) => wanted = choose(&what, &list, architecture())?.digest.to_string(),
            Document::Manifest { config, layers } => {
                let bytes = registry.document(&config.digest).await?;
                let platform = ImageConfig::read(
                    &format!("the config of {}", reference.place()),
                    &bytes,
                    layers.len(),
                    architecture(),
                )?;
                return Ok(Described { digests, config: bytes, id: config.digest, layers, platform });
            }
        }
    }
    let problem = "its indexes stand in each other too deep".to_owned();
    Err(OciError::Document { what: format!("manifest {wanted}"), problem })
}
