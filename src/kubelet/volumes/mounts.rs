//! What is mounted into one container: its volumes with subPath and readOnly, and the pod's own files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, VolumeMount};

use super::Volumes;
use crate::container::ConfigError;
use crate::container::expand::expand;
use crate::sandbox::{Mount, MountSource};

/// A file of the pod's own (`/etc/hosts` …), mounted unless the container mounts something there itself.
pub(crate) struct OwnFile {
    pub(crate) source: PathBuf,
    pub(crate) target: PathBuf,
}

/// The mounts of `container`, outer ones first.
pub(crate) fn mounts(
    volumes: &Volumes,
    container: &Container,
    env: &[(String, String)],
    own: Vec<OwnFile>,
) -> Result<Vec<Mount>, ConfigError> {
    let mut mounts = Vec::new();
    for mount in container.volume_mounts.iter().flatten() {
        let prepared = volumes.get(&mount.name).ok_or_else(|| {
            ConfigError(format!("cannot find volume \"{}\" to mount into container \"{}\"", mount.name, container.name))
        })?;
        let source = match (sub_path(mount, env), &prepared.source) {
            (None, source) => source.clone(),
            (Some(sub), MountSource::Bind(folder)) => {
                let inside = within(folder, &sub, prepared.read_only).map_err(|text| {
                    ConfigError(format!(
                        "failed to prepare subPath for volumeMount \"{}\" of container \"{}\": {text}",
                        mount.name, container.name
                    ))
                })?;
                MountSource::Bind(inside)
            }
            (Some(_), MountSource::Memory { .. }) => {
                return Err(ConfigError(format!(
                    "volumeMount \"{}\" of container \"{}\": subPath of a volume in memory is not supported by this node",
                    mount.name, container.name
                )));
            }
        };
        mounts.push(Mount {
            source,
            target: normal(&mount.mount_path),
            read_only: prepared.read_only || mount.read_only == Some(true),
        });
    }
    for file in own {
        if mounts.iter().all(|mount| mount.target != file.target) {
            mounts.push(Mount { source: MountSource::Bind(file.source), target: file.target, read_only: false });
        }
    }
    mounts.sort_by_key(|mount| mount.target.components().count());
    Ok(mounts)
}

fn normal(path: &str) -> PathBuf {
    Path::new("/").join(path).components().collect()
}

fn sub_path(mount: &VolumeMount, env: &[(String, String)]) -> Option<String> {
    if let Some(expression) = mount.sub_path_expr.as_deref().filter(|e| !e.is_empty()) {
        let lookup = |name: &str| {
            let found = env.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.clone())
        };
        return Some(expand(expression, &lookup));
    }
    mount.sub_path.clone().filter(|path| !path.is_empty())
}

/// A path below a volume's folder, whatever links lie on the way; made as a folder when it is not there.
fn within(folder: &Path, sub: &str, read_only: bool) -> Result<PathBuf, String> {
    let wrong = |error: std::io::Error| format!("{sub}: {error}");
    let relative: PathBuf = Path::new(sub).components().collect();
    if !relative.components().all(|c| matches!(c, std::path::Component::Normal(_))) {
        return Err(format!("subPath {sub:?} leads out of the volume"));
    }
    let top = fs::canonicalize(folder).map_err(wrong)?;
    let mut path = top.clone();
    for part in relative.components() {
        path.push(part);
        if fs::symlink_metadata(&path).is_err() && !read_only {
            fs::create_dir(&path).map_err(wrong)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).map_err(wrong)?;
            give_like_parent(&path).map_err(wrong)?;
        }
        path = fs::canonicalize(&path).map_err(wrong)?;
        if !path.starts_with(&top) {
            return Err(format!("subPath {sub:?} leads out of the volume"));
        }
    }
    Ok(path)
}

fn give_like_parent(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{MetadataExt, chown};
    let Some(parent) = path.parent() else {
        return Ok(());
    };
    let meta = fs::metadata(parent)?;
    chown(path, Some(meta.uid()), Some(meta.gid()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sub_paths_stay_inside() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().join("v");
        fs::create_dir(&top).unwrap();
        std::os::unix::fs::symlink("/etc", top.join("out")).unwrap();
        std::os::unix::fs::symlink("a", top.join("in")).unwrap();
        assert!(within(&top, "a/b", false).unwrap().ends_with("v/a/b"));
        assert!(within(&top, "in/b", false).unwrap().ends_with("v/a/b"));
        assert!(within(&top, "c", true).is_err());
        for bad in ["../x", "/etc", "out", "out/passwd"] {
            assert!(within(&top, bad, false).is_err(), "{bad}");
        }
    }
}
