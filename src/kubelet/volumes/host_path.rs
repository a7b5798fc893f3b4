//! hostPath and its types.
//! Upstream rule: k8s.io/kubernetes `pkg/volume/hostpath/host_path.go`.

use std::fs::{self, Permissions};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use k8s_openapi::api::core::v1::HostPathVolumeSource;

/// Checks that what `type` says is there, and creates it where it says so.
pub(super) fn check(source: &HostPathVolumeSource) -> Result<(), String> {
    let path = Path::new(&source.path);
    let kind = source.type_.as_deref().unwrap_or_default();
    let make = |made: std::io::Result<()>, mode| {
        made.and_then(|()| fs::set_permissions(path, Permissions::from_mode(mode)))
            .map_err(|error| format!("cannot create {}: {error}", source.path))
    };
    match kind {
        "DirectoryOrCreate" if !path.exists() => make(fs::create_dir_all(path), 0o755)?,
        "FileOrCreate" if !path.exists() => make(fs::write(path, ""), 0o644)?,
        _ => {}
    }
    let failed = |what: &str| Err(format!("hostPath type check failed: {} is not {what}", source.path));
    let Ok(meta) = fs::metadata(path) else {
        return match kind {
            "Directory" | "DirectoryOrCreate" => failed("a directory"),
            "File" | "FileOrCreate" => failed("a file"),
            "Socket" => failed("a socket file"),
            "CharDevice" => failed("a character device"),
            "BlockDevice" => failed("a block device"),
            _ => Err(format!("{} does not exist on the node", source.path)),
        };
    };
    let file = meta.file_type();
    match kind {
        "Directory" | "DirectoryOrCreate" if !file.is_dir() => failed("a directory"),
        "File" | "FileOrCreate" if !file.is_file() => failed("a file"),
        "Socket" if !file.is_socket() => failed("a socket file"),
        "CharDevice" if !file.is_char_device() => failed("a character device"),
        "BlockDevice" if !file.is_block_device() => failed("a block device"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types() {
        let folder = tempfile::tempdir().unwrap();
        let text = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        fs::write(folder.path().join("f"), "").unwrap();
        for (name, kind, fits) in [
            ("f", "", true),
            ("none", "", false),
            ("f", "File", true),
            ("f", "Directory", false),
            ("f", "Socket", false),
            ("new", "Directory", false),
            ("new/deep", "DirectoryOrCreate", true),
            ("touch", "FileOrCreate", true),
        ] {
            let source = HostPathVolumeSource { path: text(name), type_: Some(kind.into()) };
            assert_eq!(check(&source).is_ok(), fits, "{name} {kind}");
        }
    }
}
