//! An image for tests, made of this machine's static busybox: two layers, the upper one of which hides and adds files.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Programs that the image has.
const APPLETS: [&str; 18] = [
    "sh", "cat", "echo", "env", "grep", "head", "hostname", "id", "ls", "mkdir", "nc", "ps", "rm", "sleep", "stat",
    "touch", "true", "wget",
];

/// An image in parts.
#[derive(Debug, Clone)]
pub struct Image {
    /// Blobs by digest: config, layers and manifest.
    pub blobs: BTreeMap<String, Vec<u8>>,
    /// The digest of its manifest, or of the index that it is in.
    pub manifest: String,
    /// The digests of its layers, lowest first.
    pub layers: Vec<String>,
    /// The digest of its config.
    pub config: String,
}

/// `sha256:…` of some bytes.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// This machine's architecture in the words of images.
#[must_use]
pub fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

struct Layer(tar::Builder<Vec<u8>>);

impl Layer {
    fn new() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    fn add(&mut self, kind: tar::EntryType, name: &str, mode: u32, owner: u64, content: &[u8]) {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(owner);
        header.set_gid(owner);
        header.set_size(content.len() as u64);
        self.0.append_data(&mut header, name, content).expect("memory");
    }

    fn folder(&mut self, name: &str, mode: u32, owner: u64) {
        self.add(tar::EntryType::Directory, name, mode, owner, b"");
    }

    fn file(&mut self, name: &str, mode: u32, owner: u64, content: &[u8]) {
        self.add(tar::EntryType::Regular, name, mode, owner, content);
    }

    fn link(&mut self, name: &str, to: &str) {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_mode(0o777);
        header.set_size(0);
        self.0.append_link(&mut header, name, to).expect("memory");
    }

    fn end(self) -> Vec<u8> {
        self.0.into_inner().expect("memory")
    }
}

/// The image, with `run` as the part of its config that containers see. Its user `app` has the id 1000; `/gone` of the lower layer is
/// hidden by the upper one, which adds `/hello`.
///
/// # Panics
/// When there is no static busybox.
#[must_use]
pub fn busybox(run: &Value) -> Image {
    let busybox = std::fs::read("/bin/busybox").expect("Debian's package busybox-static is installed");
    let mut low = Layer::new();
    for (name, mode, owner) in
        [("bin", 0o755, 0), ("etc", 0o755, 0), ("tmp", 0o1777, 0), ("root", 0o700, 0), ("home/app", 0o750, 1000)]
    {
        low.folder(name, mode, owner);
    }
    low.file("bin/busybox", 0o755, 0, &busybox);
    for applet in APPLETS {
        low.link(&format!("bin/{applet}"), "busybox");
    }
    let passwd = b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n";
    low.file("etc/passwd", 0o644, 0, passwd);
    low.file("etc/group", 0o644, 0, b"root:x:0:\napp:x:1000:\n");
    // As images of systemd's world have it: a link to what only a running system has.
    low.link("etc/resolv.conf", "../run/resolve/stub.conf");
    low.file("gone", 0o644, 0, b"gone");
    let mut high = Layer::new();
    high.file(".wh.gone", 0o644, 0, b"");
    high.file("hello", 0o644, 1000, b"hello from the image\n");
    image(&[low.end(), high.end()], run)
}

/// An image of these layers.
#[must_use]
pub fn image(layers: &[Vec<u8>], run: &Value) -> Image {
    let mut blobs = BTreeMap::new();
    let mut add = |bytes: Vec<u8>, kind: &str| {
        let (name, size) = (digest(&bytes), bytes.len());
        blobs.insert(name.clone(), bytes);
        json!({"mediaType": kind, "digest": name, "size": size})
    };
    let diff_ids: Vec<String> = layers.iter().map(|layer| digest(layer)).collect();
    let config = json!({"architecture": architecture(), "os": "linux", "config": run,
        "rootfs": {"type": "layers", "diff_ids": diff_ids}});
    let config = add(config.to_string().into_bytes(), "application/vnd.oci.image.config.v1+json");
    let packed = layers.iter().map(|layer| {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gz, layer).expect("memory");
        gz.finish().expect("memory")
    });
    let layers: Vec<Value> = packed.map(|layer| add(layer, "application/vnd.oci.image.layer.v1.tar+gzip")).collect();
    let text = |value: &Value| value["digest"].as_str().unwrap_or_default().to_owned();
    let names = layers.iter().map(text).collect();
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": layers});
    let manifest = add(manifest.to_string().into_bytes(), kind);
    let (manifest, config) = (text(&manifest), text(&config));
    Image { blobs, manifest, layers: names, config }
}

impl Image {
    /// An OCI archive of the image under this name.
    ///
    /// # Panics
    /// Never: it is written into memory.
    #[must_use]
    pub fn archive(&self, name: &str) -> Vec<u8> {
        let manifest = json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": self.manifest,
            "size": self.blobs[&self.manifest].len(), "annotations": {"org.opencontainers.image.ref.name": name}});
        let index = json!({"schemaVersion": 2, "manifests": [manifest]}).to_string();
        let mut archive = Layer::new();
        archive.file("oci-layout", 0o644, 0, br#"{"imageLayoutVersion": "1.0.0"}"#);
        archive.file("index.json", 0o644, 0, index.as_bytes());
        for (digest, content) in &self.blobs {
            archive.file(&format!("blobs/{}", digest.replace(':', "/")), 0o644, 0, content);
        }
        archive.end()
    }

    /// The same image in an index, beside one for another machine that is nowhere.
    #[must_use]
    pub fn in_index(mut self) -> Self {
        let one = |digest: &str, architecture: &str| {
            json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest,
                "platform": {"os": "linux", "architecture": architecture}})
        };
        let list = [one(&digest(b"elsewhere"), "s390x"), one(&self.manifest, architecture())];
        let kind = "application/vnd.oci.image.index.v1+json";
        let index = json!({"schemaVersion": 2, "mediaType": kind, "manifests": list}).to_string().into_bytes();
        self.manifest = digest(&index);
        self.blobs.insert(self.manifest.clone(), index);
        self
    }

    /// Bytes of config and layers.
    #[must_use]
    pub fn size(&self) -> u64 {
        let length = |digest: &String| self.blobs[digest].len() as u64;
        length(&self.config) + self.layers.iter().map(length).sum::<u64>()
    }
}
