//! What is said of engines that will not do.

use super::*;

fn description() -> Description {
    Description { name: "Docker".into(), version: "1".into(), api: "1.44".into(), ..Description::default() }
}

#[test]
fn engines_are_refused_with_what_they_lack() {
    let fit = [
        Description { api: "1.41".into(), memory: 2 << 30, disk: Some(3 << 30), ..description() },
        Description { api: "1.100".into(), rootless: true, cgroups: "2".into(), ..description() },
        Description { cgroups: "1".into(), ..description() },
    ];
    for one in fit {
        assert!(one.judge().is_ok(), "{one:?}");
    }
    let unfit = [
        (
            Description { api: "1.40".into(), ..description() },
            "Docker 1 is too old: its API is 1.40, and 1.41 is the oldest that does",
        ),
        (
            Description { rootless: true, cgroups: "1".into(), ..description() },
            "Docker runs without root on control groups of version 1, where it cannot limit containers",
        ),
        (
            Description { memory: 1 << 30, ..description() },
            "Docker may use 1024 MiB of memory, and a cluster with a Spark job takes 2048",
        ),
        (
            Description { disk: Some(1 << 30), ..description() },
            "Docker has 1024 MiB of disk left, and a cluster with a Spark job takes 3072",
        ),
    ];
    for (one, wanted) in unfit {
        let error = one.judge().expect_err("unfit");
        assert_eq!((error.to_string().as_str(), error.class()), (wanted, Class::Environment));
        assert!(error.hint().is_some(), "{error}");
    }
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

#[tokio::test(start_paused = true)]
async fn an_engine_that_takes_too_long() {
    let dir = tempfile::tempdir().expect("a folder");
    let socket = dir.path().join("docker.sock");
    // Whoever connects waits: nobody takes the connection.
    let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("bound");
    let error = Engine::at(&socket).await.expect_err("too slow");
    assert_eq!(error.to_string(), format!("the container engine at {} did not answer within 10 s", socket.display()));
    assert!(error.hint().is_some_and(|hint| hint.contains("restart")), "{:?}", error.hint());
}
