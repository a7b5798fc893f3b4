//! Archives into the store and out of it again.

use std::collections::HashMap;
use std::fs;
use std::io;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::manifest::architecture;
use super::*;
use crate::image::Image;
use crate::image::name::Reference;
use crate::sandbox::HostIds;

fn store(dir: &TempDir) -> Store {
    Store::new(dir.path(), HostIds::of_this_process())
}

/// A tar archive of these files.
fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *content).expect("written");
    }
    builder.into_inner().expect("written")
}

/// Blobs under their names in an OCI archive.
#[derive(Default)]
struct Blobs(HashMap<String, Vec<u8>>);

impl Blobs {
    fn add(&mut self, content: Vec<u8>) -> Value {
        let digest = Digest::of(&content);
        let descriptor = json!({"digest": digest, "size": content.len()});
        self.0.insert(format!("blobs/sha256/{}", digest.hex()), content);
        descriptor
    }

    fn image(&mut self, layers: &[Vec<u8>], architecture: &str, run: Value) -> Value {
        let diff_ids: Vec<Digest> = layers.iter().map(|layer| Digest::of(layer)).collect();
        let config =
            json!({"architecture": architecture, "os": "linux", "config": run, "rootfs": {"diff_ids": diff_ids}});
        let config = self.add(config.to_string().into_bytes());
        let layers: Vec<Value> = layers.iter().map(|layer| self.add(layer.clone())).collect();
        self.add(json!({"schemaVersion": 2, "config": config, "layers": layers}).to_string().into_bytes())
    }

    fn archive(&self, index: &Value) -> Vec<u8> {
        let index = index.to_string().into_bytes();
        let mut files: Vec<(&str, &[u8])> = vec![("oci-layout", b"{}"), ("index.json", &index)];
        files.extend(self.0.iter().map(|(name, content)| (name.as_str(), content.as_slice())));
        tar(&files)
    }
}

fn named(mut descriptor: Value, name: &str) -> Value {
    descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": name});
    descriptor
}

async fn load(store: &Store, archive: &[u8], name: Option<&str>) -> Result<Vec<Record>, OciError> {
    let _bringing = store.begin().await?;
    store.load_blocking("x.tar", archive, name)
}

fn find(store: &Store, name: &str) -> Option<Image> {
    store.image(&Reference::parse(name).expect(name)).expect("the store can be read")
}

fn nothing_is_left(store: &Store) {
    assert_eq!(store.list().expect("read"), []);
    assert_eq!(fs::read_dir(store.layers()).expect("read").count(), 0);
    assert_eq!(fs::read_dir(store.parts()).expect("read").count(), 0);
}

#[tokio::test]
async fn an_oci_archive_with_an_index_becomes_this_machines_image() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = store(&dir);
    let mut blobs = Blobs::default();
    let layer = tar(&[("etc/passwd", b"root:x:0:0::/root:/bin/sh\napp:x:7:8::/home/app:/bin/sh\n")]);
    let run = json!({"User": "app", "Env": ["A=b=c", "PATH=/bin"], "Entrypoint": ["/e"], "Cmd": ["c"], "WorkingDir": "/w",
        "Volumes": {"/data": {}}, "StopSignal": "SIGQUIT"});
    let mut own = blobs.image(std::slice::from_ref(&layer), architecture(), run);
    own["platform"] = json!({"os": "linux", "architecture": architecture()});
    let mut other = blobs.image(&[layer], "s390x", json!({}));
    other["platform"] = json!({"os": "linux", "architecture": "s390x"});
    let inner = blobs.add(json!({"manifests": [other, own]}).to_string().into_bytes());
    let archive =
        blobs.archive(&json!({"manifests": [named(inner.clone(), "team/app:1"), named(inner.clone(), "team/app:2")]}));
    let records = load(&store, &archive, None).await.expect("loaded");
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].names, ["docker.io/team/app:1", "docker.io/team/app:2"]);
    let image = find(&store, "team/app:2").expect("there");
    assert_eq!((image.user, image.working_dir.as_str()), ((7, 8), "/w"));
    assert_eq!(image.env[0], ("A".to_owned(), "b=c".to_owned()));
    assert_eq!((image.entrypoint, image.command), (vec!["/e".to_owned()], vec!["c".to_owned()]));
    let unpacked = image.unpacked.expect("layers");
    assert_eq!(unpacked.stop_signal.as_deref(), Some("SIGQUIT"));
    assert_eq!((unpacked.layers.len(), unpacked.volumes.len()), (1, 1));
    assert_eq!(unpacked.accounts.home(7), "/home/app");
    let by_digest = format!("team/app@{}", inner["digest"].as_str().expect("a digest"));
    assert!(find(&store, &by_digest).is_some());
    assert!(find(&store, "team/app:3").is_none());
}

#[tokio::test]
async fn a_docker_archive_may_hold_several_images_packed_or_not() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = store(&dir);
    let (one, two) = (tar(&[("a", b"1")]), tar(&[("b", b"2")]));
    let config = |layers: &[&Vec<u8>]| {
        let diff_ids: Vec<Digest> = layers.iter().map(|layer| Digest::of(layer)).collect();
        json!({"architecture": architecture(), "os": "linux", "rootfs": {"diff_ids": diff_ids}})
            .to_string()
            .into_bytes()
    };
    let (first, second) = (config(&[&one]), config(&[&one, &two]));
    let list = json!([
        {"Config": "first.json", "RepoTags": ["first:1"], "Layers": ["one/layer.tar"]},
        {"Config": "second.json", "RepoTags": ["second:1", "second:2"], "Layers": ["one/layer.tar", "two/layer.tar"]},
    ]);
    let list = list.to_string().into_bytes();
    let plain = tar(&[
        ("one/layer.tar", &one),
        ("first.json", &first),
        ("second.json", &second),
        ("two/layer.tar", &two),
        ("manifest.json", &list),
    ]);
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    io::Write::write_all(&mut gz, &plain).expect("packed");
    let zstd = ruzstd::encoding::compress_to_vec(plain.as_slice(), ruzstd::encoding::CompressionLevel::Fastest);
    for archive in [plain, gz.finish().expect("packed"), zstd] {
        let records = load(&store, &archive, None).await.expect("loaded");
        assert_eq!(records.iter().map(|record| record.layers.len()).collect::<Vec<_>>(), [1, 2]);
    }
    assert!(find(&store, "first:1").is_some() && find(&store, "second:2").is_some());
    // The shared layer is there once.
    assert_eq!(fs::read_dir(store.layers()).expect("read").count(), 2);

    let image = find(&store, "second:1");
    assert!(matches!(store.remove("second:1"), Ok(pruned) if pruned.removed == ["docker.io/library/second:1"]));
    assert!(matches!(store.remove("second:2"), Err(OciError::InUse { .. })), "a container has it");
    let pruned = store.prune().expect("pruned");
    assert_eq!(pruned.removed, ["docker.io/library/first:1"]);
    assert_eq!(store.stored().expect("read").iter().map(|stored| stored.in_use).collect::<Vec<_>>(), [true]);
    drop(image);
    let pruned = store.remove("second:2").expect("removed");
    assert!(pruned.freed > 0);
    assert!(matches!(store.remove("second:2"), Err(OciError::Unknown { .. })));
    nothing_is_left(&store);
}

#[tokio::test]
async fn an_image_without_a_name_needs_one() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = store(&dir);
    let mut blobs = Blobs::default();
    let image = blobs.image(&[], architecture(), json!({}));
    let archive = blobs.archive(&json!({"manifests": [named(image, "latest")]}));
    let error = load(&store, &archive, None).await.expect_err("nameless");
    assert_eq!(
        (error.to_string().as_str(), error.hint()),
        ("the image in x.tar has no name", "give it one with `--as NAME`")
    );
    assert!(matches!(load(&store, &archive, Some("No Name")).await, Err(OciError::Name { .. })));
    let records = load(&store, &archive, Some("own:5")).await.expect("loaded");
    assert_eq!(records[0].names, ["docker.io/library/own:5"]);
    assert_eq!(find(&store, "own:5").expect("there").unpacked.expect("no layers").layers.len(), 0);
}

#[tokio::test]
async fn a_moved_name_leaves_the_old_image_without_one() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = store(&dir);
    for content in ["1", "2"] {
        let mut blobs = Blobs::default();
        let image = blobs.image(&[tar(&[("a", content.as_bytes())])], architecture(), json!({}));
        load(&store, &blobs.archive(&json!({"manifests": [named(image, "x:1")]})), None).await.expect("loaded");
    }
    let names: Vec<_> = store.list().expect("read").into_iter().map(|record| record.names).collect();
    assert_eq!(names, [vec![], vec!["docker.io/library/x:1".to_owned()]]);
    let layer = find(&store, "x:1").expect("there").unpacked.expect("layers").layers[0].clone();
    assert_eq!(fs::read_to_string(layer.join("a")).expect("read"), "2");
}

#[tokio::test]
async fn broken_archives_are_told_and_leave_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = store(&dir);
    let mut blobs = Blobs::default();
    let image = named(blobs.image(&[tar(&[("a", b"1")])], architecture(), json!({})), "x:1");
    let good = blobs.archive(&json!({"manifests": [image]}));

    let mut wrong = Blobs::default();
    let descriptor = wrong.image(&[tar(&[("a", b"1")])], architecture(), json!({}));
    for content in wrong.0.values_mut().filter(|content| content.starts_with(b"a\0")) {
        content[600] = b'x';
    }
    let wrong_blob = wrong.archive(&json!({"manifests": [named(descriptor, "x:1")]}));

    let mut lying = Blobs::default();
    let layer = tar(&[("a", b"1")]);
    let config =
        json!({"architecture": architecture(), "os": "linux", "rootfs": {"diff_ids": [Digest::of(b"another")]}});
    let config = lying.add(config.to_string().into_bytes());
    let layer = lying.add(layer);
    let manifest = lying.add(json!({"schemaVersion": 2, "config": config, "layers": [layer]}).to_string().into_bytes());
    let wrong_sum = lying.archive(&json!({"manifests": [named(manifest, "x:1")]}));

    let mut foreign = Blobs::default();
    let descriptor = foreign.image(&[], "s390x", json!({}));
    let foreign = foreign.archive(&json!({"manifests": [named(descriptor, "x:1")]}));

    let mut hostile = Blobs::default();
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.as_old_mut().name[..8].copy_from_slice(b"../x/y\0\0");
    header.set_size(0);
    header.set_cksum();
    builder.append(&header, io::empty()).expect("written");
    let descriptor = hostile.image(&[builder.into_inner().expect("written")], architecture(), json!({}));
    let hostile = hostile.archive(&json!({"manifests": [named(descriptor, "x:1")]}));

    for (archive, begin, end) in [
        (&good[..good.len() / 2], "x.tar is no image archive: ", "it is cut off"),
        (&good[..700], "x.tar is no image archive: ", ""),
        (&b"no archive at all"[..], "x.tar is no image archive: ", ""),
        (&tar(&[("a", b"b")]), "x.tar is no image archive: it holds neither index.json", ""),
        (&tar(&[("manifest.json", b"[]")]), "x.tar is no image archive: it holds no image", ""),
        (&tar(&[("manifest.json", b"{")]), "manifest.json in x.tar is not valid: ", ""),
        (&wrong_blob, "blobs/sha256/", ""),
        (&wrong_sum, "the content of layer sha256:", ""),
        (&foreign, "no image for platform linux/", "it is for linux/s390x"),
        (&hostile, "layer sha256:", "cannot be unpacked: entry ../x/y leads out of the image"),
    ] {
        let error = load(&store, archive, None).await.expect_err(begin).to_string();
        assert!(error.starts_with(begin) && error.ends_with(end), "{error}");
        nothing_is_left(&store);
    }
    assert!(
        load(&store, &wrong_blob, None)
            .await
            .expect_err("wrong")
            .to_string()
            .contains("has the wrong digest: expected")
    );
    load(&store, &good, None).await.expect("the store still works");
}

#[tokio::test]
async fn what_a_killed_process_left_is_no_image_and_is_swept() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = store(&dir);
    let mut blobs = Blobs::default();
    let image = named(blobs.image(&[tar(&[("a", b"1")])], architecture(), json!({})), "x:1");
    let archive = blobs.archive(&json!({"manifests": [image]}));
    load(&store, &archive, None).await.expect("loaded");
    let half = store.layers().join(format!("{}.new", Digest::of(b"half").hex()));
    fs::create_dir_all(half.join("etc")).expect("made");
    let unused = store.layer(&Digest::of(b"unused"));
    fs::create_dir(&unused).expect("made");
    fs::write(store.parts().join("0"), "half").expect("written");
    fs::write(dir.path().join("oci/images/half.new"), "{").expect("written");
    fs::write(dir.path().join("oci/images/broken.json"), "{").expect("written");
    assert_eq!(store.list().expect("read").len(), 1);
    let hold = find(&store, "x:1");
    let bringing = store.begin().await.expect("announced");
    store.prune().expect("pruned");
    assert!(unused.exists(), "nothing is swept while an image is brought");
    drop(bringing);
    store.prune().expect("pruned");
    assert!(!half.exists() && !unused.exists() && !store.parts().join("0").exists());
    assert!(hold.is_some() && find(&store, "x:1").is_some());
    // An image whose layer somebody removed by hand is not there, and comes again.
    crate::image::remove_tree(&find(&store, "x:1").expect("there").unpacked.expect("layers").layers[0])
        .expect("removed");
    assert!(find(&store, "x:1").is_none());
    load(&store, &archive, None).await.expect("loaded");
    assert!(find(&store, "x:1").is_some());
}
