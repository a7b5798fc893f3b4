//! What is said of engines that will not do.

use super::*;

fn description(api: &str, memory: i64) -> Description {
    Description { name: "Docker".into(), version: "1".into(), api: api.into(), memory, ..Description::default() }
}

#[test]
fn old_and_small_engines_are_refused_with_what_they_lack() {
    assert!(description("1.41", MEMORY).judge().is_ok());
    assert!(description("1.100", 0).judge().is_ok());
    let old = description("1.40", MEMORY).judge().expect_err("old");
    assert_eq!(old.to_string(), "Docker 1 is too old: its API is 1.40, and 1.41 is the oldest that does");
    assert_eq!(old.class(), Class::Environment);
    let small = description("1.44", 1 << 30).judge().expect_err("small");
    assert_eq!(small.to_string(), "Docker may use 1024 MiB of memory, and a cluster with a Spark job takes 2048");
}

#[test]
fn registries_of_image_names() {
    assert_eq!(registry("kindest/node:v1.34.2"), "the default registry");
    assert_eq!(registry("registry.example/a/b"), "registry.example");
    assert_eq!(registry("localhost/a"), "localhost");
    assert_eq!(registry("host:5000/a"), "host:5000");
}

#[tokio::test]
async fn a_socket_without_an_engine_behind_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let socket = dir.path().join("docker.sock");
    drop(std::os::unix::net::UnixListener::bind(&socket).expect("bound"));
    let error = Engine::at(&socket).await.expect_err("nobody answers");
    assert_eq!(error.to_string(), format!("cannot talk with the container engine at {}", socket.display()));
    assert!(error.hint().is_some_and(|hint| hint.contains("no engine behind it")), "{:?}", error.hint());
    assert_eq!(error.class(), Class::Environment);
}
