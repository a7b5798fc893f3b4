//! The archive that a node's containerd imports: an OCI layout as a tar, which may lack the layers that the node has. The same image
//! gives the same bytes. It knows nothing of where the parts come from.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::json;
use tinderbox_kubelet::image::oci::Digest;

use super::Description;

/// The media types of Docker's images, whose layers are not packed.
const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";

/// The digest of a content, as OCI writes it.
pub(super) fn digest(content: &[u8]) -> String {
    Digest::of(content).to_string()
}

/// Where a blob stands in a layout.
pub(super) fn path(digest: &str) -> String {
    format!("blobs/{}", digest.replace(':', "/"))
}

/// The manifest of an image whose configuration has this size.
pub(super) fn manifest(image: &Description, config: u64, sizes: &BTreeMap<String, u64>) -> Vec<u8> {
    let layers = image.layers.iter().map(
        |layer| json!({"mediaType": LAYER, "size": sizes.get(layer).copied().unwrap_or_default(), "digest": layer}),
    );
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "size": config, "digest": image.config},
        "layers": layers.collect::<Vec<_>>(),
    });
    manifest.to_string().into_bytes()
}

/// An archive under way.
pub(super) struct Archive<W> {
    out: W,
}

impl<W: Write> Archive<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out }
    }

    /// The beginning of a blob: exactly so many bytes follow, by [`bytes`](Self::bytes), and then [`padding`](Self::padding).
    pub(super) fn header(&mut self, path: &str, size: u64) -> io::Result<()> {
        let mut header = tar::Header::new_ustar();
        header.set_path(path)?;
        header.set_size(size);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_cksum();
        self.out.write_all(header.as_bytes())
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)
    }

    pub(super) fn padding(&mut self, size: u64) -> io::Result<()> {
        let rest = usize::try_from(size % 512).unwrap_or_default();
        if rest == 0 { Ok(()) } else { self.out.write_all(&[0; 512][rest..]) }
    }

    /// A whole blob.
    pub(super) fn blob(&mut self, digest: &str, content: &[u8]) -> io::Result<()> {
        self.file(&path(digest), content)
    }

    fn file(&mut self, path: &str, content: &[u8]) -> io::Result<()> {
        self.header(path, content.len() as u64)?;
        self.bytes(content)?;
        self.padding(content.len() as u64)
    }

    /// Manifest and index, and the end.
    pub(super) fn finish(mut self, image: &Description, config: u64, sizes: &BTreeMap<String, u64>) -> io::Result<W> {
        let manifest = manifest(image, config, sizes);
        let digest = digest(&manifest);
        self.blob(&digest, &manifest)?;
        let index = json!({
            "schemaVersion": 2,
            "manifests": [{
                "mediaType": MANIFEST, "size": manifest.len(), "digest": digest,
                "annotations": {"io.containerd.image.name": image.name},
            }],
        });
        self.file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        self.file("index.json", index.to_string().as_bytes())?;
        self.out.write_all(&[0; 1024])?;
        Ok(self.out)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn an_archive_may_lack_layers_and_names_the_image() {
        let config = b"{}";
        let image = Description {
            name: "docker.io/library/x:1".to_owned(),
            config: digest(config),
            layers: vec!["sha256:aa".to_owned(), digest(b"top")],
        };
        let sizes = BTreeMap::from([("sha256:aa".to_owned(), 7), (digest(b"top"), 3)]);
        let mut archive = Archive::new(Vec::new());
        archive.blob(&image.config, config).expect("written");
        archive.blob(&image.layers[1], b"top").expect("written");
        let bytes = archive.finish(&image, 2, &sizes).expect("written");
        let mut files = BTreeMap::new();
        for entry in tar::Archive::new(bytes.as_slice()).entries().expect("a tar") {
            let mut entry = entry.expect("an entry");
            let path = entry.path().expect("a path").display().to_string();
            let mut content = String::new();
            entry.read_to_string(&mut content).expect("text");
            files.insert(path, content);
        }
        let index: serde_json::Value = serde_json::from_str(&files["index.json"]).expect("JSON");
        assert_eq!(index["manifests"][0]["annotations"]["io.containerd.image.name"], "docker.io/library/x:1");
        let manifest = &files[&path(index["manifests"][0]["digest"].as_str().expect("a digest"))];
        let manifest: serde_json::Value = serde_json::from_str(manifest).expect("JSON");
        assert_eq!(manifest["layers"][0]["size"], 7);
        assert_eq!(manifest["layers"][1]["digest"], digest(b"top"));
        assert_eq!(files[&path(&digest(b"top"))], "top");
        assert_eq!(files.len(), 5);
    }
}
