//! Names to images, without any download.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::image::{HostFile, Quiet};

fn images(cache: &Path, described: Vec<NativeImage>) -> Images {
    Images::new(cache.to_owned(), described, Arc::new(Quiet))
}

fn value<'a>(image: &'a Image, name: &str) -> Option<&'a str> {
    image.env.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

#[tokio::test]
async fn plain_images_of_any_tag_are_there() {
    let dir = tempfile::tempdir().expect("a folder");
    let images = images(dir.path(), Vec::new());
    let mut ids = Vec::new();
    for (name, whole) in [
        ("busybox", "docker.io/library/busybox:latest"),
        ("alpine:3.20", "docker.io/library/alpine:3.20"),
        ("docker.io/library/debian:12-slim", "docker.io/library/debian:12-slim"),
        ("ubuntu:24.04", "docker.io/library/ubuntu:24.04"),
        ("python:3.12-slim", "docker.io/library/python:3.12-slim"),
        ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"),
    ] {
        let image = images.resolve(name).await.expect(name);
        assert_eq!((image.name.as_str(), image.user), (whole, (0, 0)));
        assert!(!image.entrypoint.is_empty() || !image.command.is_empty());
        let again = images.resolve(name).await.expect(name);
        assert_eq!(image, again);
        ids.push(image.id);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 6);
}

#[tokio::test]
async fn what_is_not_there_says_how_to_get_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let images = images(dir.path(), Vec::new());
    let digest = format!("busybox@sha256:{}", "0".repeat(64));
    for name in ["nginx:1.27", "ghcr.io/library/busybox", "spark:latest", "apache/spark:4.0.1-r", digest.as_str()] {
        let error = images.resolve(name).await.expect_err(name);
        assert!(matches!(error, ImageError::NotFound { .. }), "{error}");
        assert_eq!(error.reason(), "ErrImagePull");
        let message = error.message();
        let end = " not found: neither tinderbox.yaml nor this program describes it (describe it under images: in tinderbox.yaml)";
        assert!(message.starts_with("image ") && message.ends_with(end), "{message}");
    }
    let wrong = images.resolve("Not A Name").await.expect_err("no name");
    assert_eq!(wrong.reason(), "InvalidImageName");
}

#[tokio::test]
async fn a_description_stands_upon_another_image() {
    let dir = tempfile::tempdir().expect("a folder");
    let (jar, data) = (dir.path().join("udf.jar"), dir.path().join("data"));
    fs::write(&jar, "").expect("written");
    fs::create_dir(&data).expect("made");
    let first = NativeImage {
        name: "acme/base:1".to_owned(),
        from: "python:3".to_owned(),
        files: vec![HostFile { source: "data".into(), target: "/data".into() }],
        env: BTreeMap::from([("MODE".to_owned(), "base".to_owned()), ("KEPT".to_owned(), "yes".to_owned())]),
        ..NativeImage::default()
    };
    let second = NativeImage {
        name: "acme/job".to_owned(),
        from: "acme/base:1".to_owned(),
        jars: vec!["udf.jar".into()],
        env: BTreeMap::from([("MODE".to_owned(), "job".to_owned())]),
        ..NativeImage::default()
    };
    let described = [first, second].map(|image| image.relative_to(dir.path())).to_vec();
    let images = images(dir.path(), described);
    let image = images.resolve("acme/job:latest").await.expect("described");
    assert_eq!(image.name, "docker.io/acme/job:latest");
    assert_eq!((value(&image, "MODE"), value(&image, "KEPT")), (Some("job"), Some("yes")));
    assert_eq!(value(&image, "SPARK_DIST_CLASSPATH"), Some("/opt/spark/jars-extra/*"));
    assert!(image.root.contains(&RootEntry::bind(&jar, "/opt/spark/jars-extra/udf.jar")));
    assert!(image.root.contains(&RootEntry::bind(&data, "/data")));

    fs::remove_file(&jar).expect("removed");
    let error = images.resolve("acme/job").await.expect_err("a jar is missing");
    assert!(error.to_string().ends_with("udf.jar"), "{error}");
}

#[tokio::test]
async fn a_wrong_description_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let described = |from: &str, pip: &[&str]| NativeImage {
        name: "acme/job".to_owned(),
        from: from.to_owned(),
        pip: pip.iter().map(|line| (*line).to_owned()).collect(),
        ..NativeImage::default()
    };
    for (image, text) in [
        (described("acme/job", &[]), "in a circle"),
        (described("python:3", &["numpy>=2"]), "\"numpy>=2\" is not of the form name==version"),
        (described("nginx", &[]), "image docker.io/library/nginx:latest not found"),
        (described("Python", &[]), "could not read the image name"),
    ] {
        let error = images(dir.path(), vec![image]).resolve("acme/job").await.expect_err(text);
        assert!(error.to_string().contains(text), "{error}");
    }
}
