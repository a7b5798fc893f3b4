//! Where the container engine's socket is: as its own command finds it, then where engines usually put it.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tinderbox_kubelet::image::oci::Digest;

use crate::Error;

/// The socket of the engine that is meant.
///
/// # Errors
/// When there is none, or the one that is meant is on another machine.
pub(super) fn socket() -> Result<PathBuf, Error> {
    let get = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (home, runtime) = (get("HOME").map(PathBuf::from), get("XDG_RUNTIME_DIR").map(PathBuf::from));
    let context = || of_context(home.as_deref()?, get("DOCKER_CONTEXT").as_deref());
    let named = get("DOCKER_HOST").or_else(context);
    if let Some(named) = named {
        return match named.strip_prefix("unix://") {
            Some(path) => Ok(path.into()),
            None => Err(Error::Lack {
                message: format!("the container engine at {named} is not on this machine"),
                hint: Some("set DOCKER_HOST to unix:// and the path of a socket of this machine".to_owned()),
            }),
        };
    }
    let usual = usual(home.as_deref(), runtime.as_deref());
    usual.iter().find(|path| path.exists()).cloned().ok_or_else(|| {
        let looked: Vec<String> = usual.iter().map(|path| path.display().to_string()).collect();
        Error::Lack {
            message: format!("there is no container engine; looked at {}", looked.join(", ")),
            hint: Some(
                "install Docker (Debian and Ubuntu: `sudo apt-get install docker.io`), or name its socket in DOCKER_HOST; \
                 the embedded place needs none"
                    .to_owned(),
            ),
        }
    })
}

fn usual(home: Option<&Path>, runtime: Option<&Path>) -> Vec<PathBuf> {
    let mut paths = vec![PathBuf::from("/var/run/docker.sock")];
    paths.extend(runtime.map(|dir| dir.join("docker.sock")));
    paths.extend(home.map(|dir| dir.join(".docker/run/docker.sock")));
    paths.extend(runtime.map(|dir| dir.join("podman/podman.sock")));
    paths.push("/run/podman/podman.sock".into());
    paths
}

/// The host of docker's context, where one is chosen that is not the default.
fn of_context(home: &Path, named: Option<&str>) -> Option<String> {
    let read = |path: PathBuf| -> Option<Value> { serde_json::from_slice(&std::fs::read(path).ok()?).ok() };
    let name = match named {
        Some(name) => name.to_owned(),
        None => read(home.join(".docker/config.json"))?["currentContext"].as_str()?.to_owned(),
    };
    if name == "default" {
        return None;
    }
    let folder = Digest::of(name.as_bytes());
    let meta = read(home.join(".docker/contexts/meta").join(folder.hex()).join("meta.json"))?;
    meta["Endpoints"]["docker"]["Host"].as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_context_of_the_docker_command_counts() {
        let home = tempfile::tempdir().expect("a folder");
        assert_eq!(of_context(home.path(), None), None);
        let docker = home.path().join(".docker");
        let name = "rootless";
        let meta = docker.join("contexts/meta").join(Digest::of(name.as_bytes()).hex());
        std::fs::create_dir_all(&meta).expect("made");
        std::fs::write(
            meta.join("meta.json"),
            r#"{"Endpoints": {"docker": {"Host": "unix:///run/user/7/docker.sock"}}}"#,
        )
        .expect("written");
        assert_eq!(of_context(home.path(), Some(name)).as_deref(), Some("unix:///run/user/7/docker.sock"));
        std::fs::write(docker.join("config.json"), r#"{"currentContext": "rootless"}"#).expect("written");
        assert_eq!(of_context(home.path(), None).as_deref(), Some("unix:///run/user/7/docker.sock"));
        assert_eq!(of_context(home.path(), Some("default")), None);
    }

    #[test]
    fn the_usual_places_in_order() {
        let texts: Vec<String> = usual(Some(Path::new("/home/a")), Some(Path::new("/run/user/1")))
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        assert_eq!(
            texts,
            [
                "/var/run/docker.sock",
                "/run/user/1/docker.sock",
                "/home/a/.docker/run/docker.sock",
                "/run/user/1/podman/podman.sock",
                "/run/podman/podman.sock",
            ]
        );
    }
}
