//! Mounts: folders and files of the machine, memory, and what lies in between.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::kit::{Kit, Outcome, shell};
use crate::sandbox::{Mount, MountSource, PlaceError};

fn bind(source: &Path, target: &str, read_only: bool) -> Mount {
    Mount { source: MountSource::Bind(source.to_owned()), target: target.into(), read_only }
}

fn memory(name: &str, size: u64, target: &str) -> Mount {
    Mount { source: MountSource::Memory { size, name: name.to_owned() }, target: target.into(), read_only: false }
}

fn open_folder() -> Result<tempfile::TempDir, std::io::Error> {
    let folder = tempfile::tempdir()?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777))?;
    Ok(folder)
}

#[tokio::test]
async fn folders_and_files_come_from_the_machine_even_below_closed_ones() -> Outcome {
    let closed = tempfile::tempdir()?;
    fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o700))?;
    let state = closed.path().join("a/state");
    fs::create_dir_all(state.join("volume"))?;
    fs::set_permissions(state.join("volume"), fs::Permissions::from_mode(0o777))?;
    fs::write(state.join("hosts"), "one\n")?;
    fs::set_permissions(state.join("hosts"), fs::Permissions::from_mode(0o666))?;
    let mut kit = Kit::with(vec![state.clone()])?;
    let pod = kit.pod(1).await?;
    let script = "cat /etc/hosts; echo mine > /data/file; cat /copy/file; echo x > /copy/file; echo two >> /etc/hosts; touch /new/dir/file 2>&1";
    let mut spec = shell(&pod, "c", script);
    (spec.uid, spec.gid) = (185, 185);
    spec.mounts = vec![
        bind(&state.join("hosts"), "/etc/hosts", true),
        bind(&state.join("volume"), "/data", false),
        bind(&state.join("volume"), "/copy", true),
        bind(&state.join("volume"), "/new/dir", true),
    ];
    let (output, _) = kit.run(spec).await?;
    assert!(output.starts_with("one\nmine\n"), "{output}");
    assert_eq!(output.matches("Read-only file system").count(), 3, "{output}");
    assert_eq!(fs::read_to_string(state.join("volume/file"))?, "mine\n");
    let owner = std::os::unix::fs::MetadataExt::uid(&fs::metadata(state.join("volume/file"))?);
    assert_eq!(owner, kit.place.ids().uid(185));
    Ok(())
}

#[tokio::test]
async fn a_file_rewritten_in_place_shows_in_a_running_container() -> Outcome {
    let folder = open_folder()?;
    let file = folder.path().join("hosts");
    fs::write(&file, "old\n")?;
    let mut kit = Kit::start()?;
    let pod = kit.pod(1).await?;
    let mut spec = shell(&pod, "c", "until grep -q new /etc/hosts; do sleep 0.01; done");
    spec.mounts = vec![bind(&file, "/etc/hosts", true)];
    let _started = kit.place.start_container(spec).await?;
    fs::write(&file, "new\n")?;
    assert_eq!(kit.exit("c").await?.code, 0);
    Ok(())
}

#[tokio::test]
async fn memory_is_shared_by_the_containers_of_a_pod_and_bounded() -> Outcome {
    let mut kit = Kit::start()?;
    let (pod, other) = (kit.pod(1).await?, kit.pod(2).await?);
    let mut spec = shell(
        &pod,
        "a",
        "echo shared > /m/file; head -c 2000000 /dev/zero > /m/big 2>/dev/null || echo full; df -T /m | tail -1 | cut -d' ' -f1",
    );
    (spec.uid, spec.gid) = (185, 185);
    spec.mounts = vec![memory("cache", 1 << 20, "/m")];
    assert_eq!(kit.run(spec).await?.0, "full\ntmpfs\n");
    for (pod, id, expected) in [(&pod, "b", "shared\n"), (&other, "c", "")] {
        let mut spec = shell(pod, id, "cat /x/y/file 2>/dev/null");
        spec.mounts = vec![memory("cache", 1 << 20, "/x/y")];
        assert_eq!(kit.run(spec).await?.0, expected);
    }
    let script = "echo shm > /dev/shm/file";
    kit.run(shell(&pod, "d", script)).await?;
    assert_eq!(kit.run(shell(&pod, "e", "cat /dev/shm/file")).await?.0, "shm\n");
    Ok(())
}

#[tokio::test]
async fn mount_points_are_made_even_in_read_only_folders() -> Outcome {
    let folder = open_folder()?;
    fs::write(folder.path().join("conf"), "configured\n")?;
    let mut kit = Kit::start()?;
    let pod = kit.pod(1).await?;
    let mut spec =
        shell(&pod, "c", "cat /usr/lib/made/here/conf /usr/made-file; ls /usr/lib | grep -c .; ls -d /usr/bin");
    spec.mounts = vec![
        bind(folder.path(), "/usr/lib/made/here", true),
        bind(&folder.path().join("conf"), "/usr/made-file", true),
    ];
    let (output, code) = kit.run(spec).await?;
    let entries = fs::read_dir("/usr/lib")?.count() + 1;
    assert_eq!((output, code), (format!("configured\nconfigured\n{entries}\n/usr/bin\n"), 0));
    assert!(!Path::new("/usr/lib/made").exists());
    Ok(())
}

#[tokio::test]
async fn a_missing_source_is_named_and_links_lead_nowhere_else() -> Outcome {
    let folder = open_folder()?;
    let mut kit = Kit::start()?;
    let pod = kit.pod(1).await?;
    let mut spec = shell(&pod, "c", "true");
    spec.mounts = vec![bind(&folder.path().join("missing"), "/x", false)];
    let refused = kit.place.start_container(spec).await;
    assert!(matches!(refused, Err(PlaceError::Failed { attempted, .. }) if attempted.contains("missing")));
    // A link in a volume, as a mount point, stays inside the container.
    symlink("/escape", folder.path().join("link"))?;
    let mut spec = shell(&pod, "d", "ls -d /escape");
    spec.root.push(crate::image::RootEntry::Directory { target: "/escape".into(), mode: 0o755, writable: false });
    spec.mounts = vec![bind(folder.path(), "/volume", false), memory("m", 0, "/volume/link")];
    assert_eq!(kit.run(spec).await?, ("/escape\n".to_owned(), 0));
    assert!(!Path::new("/escape").exists());
    Ok(())
}
