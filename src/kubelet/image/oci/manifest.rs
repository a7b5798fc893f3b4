//! The documents of images: index, manifest, config, in OCI's and Docker's form. Reading and choosing; pure.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::digest::Digest;
use super::error::OciError;

/// No honest document is longer.
pub(super) const LONGEST: u64 = 4 << 20;
/// Most layers of an image, as Docker allows them.
const MOST_LAYERS: usize = 127;

/// A reference to content.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    #[serde(default)]
    pub(super) media_type: String,
    pub(super) digest: Digest,
    #[serde(default)]
    pub(super) size: u64,
    pub(super) platform: Option<Platform>,
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
}

/// What an image runs on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Platform {
    pub(super) os: String,
    pub(super) architecture: String,
    pub(super) variant: Option<String>,
}

/// A list of manifests, or one manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Document {
    Index(Vec<Descriptor>),
    Manifest { config: Descriptor, layers: Vec<Descriptor> },
}

/// The config of an image, as far as it is used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(super) struct ImageConfig {
    #[serde(default)]
    pub(super) architecture: String,
    #[serde(default)]
    pub(super) os: String,
    pub(super) created: Option<String>,
    #[serde(default)]
    pub(super) config: RunConfig,
    #[serde(default)]
    pub(super) rootfs: RootFs,
}

/// What containers of an image run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RunConfig {
    pub(super) user: Option<String>,
    pub(super) env: Option<Vec<String>>,
    pub(super) entrypoint: Option<Vec<String>>,
    pub(super) cmd: Option<Vec<String>>,
    pub(super) working_dir: Option<String>,
    pub(super) volumes: Option<BTreeMap<String, Value>>,
    pub(super) stop_signal: Option<String>,
}

/// The layers by their unpacked sums.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(super) struct RootFs {
    #[serde(default)]
    pub(super) diff_ids: Vec<Digest>,
}

/// This machine's architecture in the words of images.
pub(super) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

/// Reads a document of any kind.
pub(super) fn read<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, OciError> {
    serde_json::from_slice(bytes).map_err(|error| wrong(what, error.to_string()))
}

fn wrong(what: &str, problem: impl Into<String>) -> OciError {
    OciError::Document { what: what.to_owned(), problem: problem.into() }
}

impl Document {
    /// Reads an index or a manifest; `media_type` is what it came as, if that is known.
    pub(super) fn read(what: &str, media_type: &str, bytes: &[u8]) -> Result<Self, OciError> {
        let value: Value = read(what, bytes)?;
        let own = value["mediaType"].as_str().unwrap_or(media_type);
        if own.contains("docker.distribution.manifest.v1+") || value["schemaVersion"] == 1 {
            return Err(wrong(
                what,
                "it is in Docker's first format, which nobody reads any more: push the image again",
            ));
        }
        // What it claims to be and what it holds must agree, or two readers would see two images.
        let (is_index, is_manifest) = (value.get("manifests").is_some(), value.get("layers").is_some());
        let list = |field: &str| -> Result<Vec<Descriptor>, OciError> {
            serde_json::from_value(value[field].clone()).map_err(|error| wrong(what, format!("{field}: {error}")))
        };
        match (is_index, is_manifest) {
            (true, false) => list("manifests").map(Self::Index),
            (false, true) => {
                let config = serde_json::from_value(value["config"].clone());
                let config: Descriptor = config.map_err(|error| wrong(what, format!("config: {error}")))?;
                let layers = list("layers")?;
                if layers.len() > MOST_LAYERS {
                    return Err(wrong(what, format!("{} layers are more than {MOST_LAYERS}", layers.len())));
                }
                let strange = |layer: &&Descriptor| {
                    let kind = layer.media_type.as_str();
                    kind.contains("foreign")
                        || kind.contains("nondistributable")
                        || kind.contains("encrypted")
                        || !(kind.is_empty() || kind.contains("tar"))
                };
                if let Some(layer) = layers.iter().find(strange) {
                    return Err(wrong(
                        what,
                        format!("a layer is of the kind {}, which cannot be unpacked", layer.media_type),
                    ));
                }
                Ok(Self::Manifest { config, layers })
            }
            _ => Err(wrong(what, "it is neither an index nor a manifest of an image")),
        }
    }
}

/// The manifest of an index that is for this machine.
pub(super) fn choose<'a>(
    what: &str,
    index: &'a [Descriptor],
    wanted: &'static str,
) -> Result<&'a Descriptor, OciError> {
    let fits =
        |one: &&Descriptor| one.platform.as_ref().is_some_and(|at| at.os == "linux" && at.architecture == wanted);
    // The plainest variant of an architecture runs everywhere.
    let rank = |one: &&Descriptor| match one.platform.as_ref().and_then(|at| at.variant.as_deref()) {
        None | Some("" | "v1") => 0,
        Some("v8") if wanted == "arm64" => 0,
        Some(_) => 1,
    };
    if let Some(found) = index.iter().filter(fits).min_by_key(rank) {
        return Ok(found);
    }
    // A single image that does not say what it is for is judged by its config.
    let images: Vec<_> =
        index.iter().filter(|one| !one.annotations.contains_key("vnd.docker.reference.type")).collect();
    if let [only] = images.as_slice()
        && only.platform.is_none()
    {
        return Ok(only);
    }
    let name = |one: &&Descriptor| match &one.platform {
        Some(Platform { os, architecture, variant: Some(variant) }) => format!("{os}/{architecture}/{variant}"),
        Some(Platform { os, architecture, .. }) => format!("{os}/{architecture}"),
        None => "an unnamed platform".to_owned(),
    };
    let mut found: Vec<String> = images.iter().map(name).collect();
    found.sort();
    found.dedup();
    let found = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
    Err(OciError::Platform { what: what.to_owned(), wanted, found })
}

impl ImageConfig {
    /// Reads a config that must be for this machine and have as many layers as its manifest.
    pub(super) fn read(what: &str, bytes: &[u8], layers: usize, wanted: &'static str) -> Result<Self, OciError> {
        let config: Self = read(what, bytes)?;
        let is_other = (!config.os.is_empty() && config.os != "linux")
            || (!config.architecture.is_empty() && config.architecture != wanted);
        if is_other {
            let found = format!("{}/{}", config.os, config.architecture);
            return Err(OciError::Platform { what: what.to_owned(), wanted, found });
        }
        if config.rootfs.diff_ids.len() != layers {
            let problem = format!("it names {} layers, and its manifest {layers}", config.rootfs.diff_ids.len());
            return Err(wrong(what, problem));
        }
        Ok(config)
    }
}

/// The identity of each layer together with all below it: the same layer on other ones may unpack differently.
pub(super) fn chain(diff_ids: &[Digest]) -> Vec<Digest> {
    let mut chain: Vec<Digest> = Vec::new();
    for id in diff_ids {
        chain.push(match chain.last() {
            None => id.clone(),
            Some(below) => Digest::of(format!("{below} {id}").as_bytes()),
        });
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn index(platforms: Value) -> Vec<Descriptor> {
        let descriptor =
            |platform: &Value| json!({"digest": Digest::of(platform.to_string().as_bytes()), "platform": platform});
        let list: Vec<Value> = platforms.as_array().expect("a list").iter().map(descriptor).collect();
        serde_json::from_value(json!(list)).expect("an index")
    }

    #[test]
    fn this_machines_manifest_is_chosen() {
        let amd = json!({"os": "linux", "architecture": "amd64"});
        let newer = json!({"os": "linux", "architecture": "amd64", "variant": "v3"});
        let arm = json!({"os": "linux", "architecture": "arm64", "variant": "v8"});
        let unknown = json!({"os": "unknown", "architecture": "unknown"});
        for (platforms, wanted, chosen) in [
            (json!([arm, newer, amd, unknown]), "amd64", &amd),
            (json!([newer, arm]), "amd64", &newer),
            (json!([amd, arm]), "arm64", &arm),
        ] {
            let index = index(platforms);
            let found = choose("x", &index, wanted).expect("chosen");
            assert_eq!(found.digest, Digest::of(chosen.to_string().as_bytes()));
        }
        let error = choose("x", &index(json!([arm, unknown])), "amd64").expect_err("none fits");
        assert_eq!(
            error.to_string(),
            "no image for platform linux/amd64 in x: it is for linux/arm64/v8, unknown/unknown"
        );
        assert!(choose("x", &index(json!([null])), "amd64").is_ok());
        assert!(choose("x", &index(json!([null, null])), "amd64").is_err());
    }

    #[test]
    fn documents_are_told_apart() {
        let digest = Digest::of(b"");
        let manifest = json!({"schemaVersion": 2, "config": {"digest": digest}, "layers": []});
        let read = |value: &Value| Document::read("x", "", value.to_string().as_bytes());
        assert!(matches!(read(&manifest), Ok(Document::Manifest { .. })));
        assert!(matches!(read(&json!({"manifests": []})), Ok(Document::Index(list)) if list.is_empty()));
        let mut both = manifest.clone();
        both["manifests"] = json!([]);
        let mut foreign = manifest.clone();
        foreign["layers"] =
            json!([{"digest": digest, "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"}]);
        let mut many = manifest;
        many["layers"] = json!(vec![json!({"digest": digest}); 128]);
        for wrong in [both, foreign, many, json!({}), json!([]), json!({"schemaVersion": 1, "layers": []})] {
            assert!(matches!(read(&wrong), Err(OciError::Document { .. })), "{wrong}");
        }
    }

    #[test]
    fn configs_of_other_machines_are_refused() {
        let read = |value: Value| ImageConfig::read("x", value.to_string().as_bytes(), 0, "amd64");
        assert!(read(json!({"os": "linux", "architecture": "amd64"})).is_ok());
        assert!(matches!(read(json!({"os": "linux", "architecture": "arm64"})), Err(OciError::Platform { .. })));
        assert!(matches!(read(json!({"os": "windows", "architecture": "amd64"})), Err(OciError::Platform { .. })));
        let more = read(json!({"rootfs": {"diff_ids": [Digest::of(b"")]}}));
        assert!(matches!(more, Err(OciError::Document { .. })));
    }

    #[test]
    fn a_chain_names_a_layer_with_all_below() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let one = chain(&[a.clone(), b.clone()]);
        assert_eq!(one[0], a);
        assert_ne!(one[1], b);
        assert_eq!(one[1], Digest::of(format!("{a} {b}").as_bytes()));
    }
}
