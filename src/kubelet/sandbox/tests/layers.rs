//! Containers of images with layers: what they see, where they write, and what happens where no overlay can be mounted.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use super::kit::{Kit, Outcome, output, shell};
use crate::sandbox::{ContainerSpec, Layers};

/// A folder that the place's root may enter and write.
fn folder(kit: &Kit, path: &Path) -> std::io::Result<PathBuf> {
    fs::create_dir_all(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    let ids = kit.place.ids();
    // Only where files can be given away, and there they must be.
    let _ = chown(path, Some(ids.uid(0)), Some(ids.gid(0)));
    Ok(path.to_owned())
}

/// Two layers with one file each, under this machine's userland; what is written goes below `top`, the kernel's folder is `work`.
fn spec(kit: &Kit, top: &Path, work: &Path, script: &str) -> std::io::Result<ContainerSpec> {
    let [low, high] = ["low", "high"].map(|name| folder(kit, &top.join(name)));
    let (low, high) = (low?, high?);
    fs::write(low.join("low-file"), "low\n")?;
    fs::write(high.join("high-file"), "high\n")?;
    let mut spec = shell("p1", "c", script);
    spec.layers = Some(Layers {
        lower: vec![high, low],
        upper: folder(kit, &top.join("upper"))?,
        work: folder(kit, work)?,
        volumes: vec![PathBuf::from("/volume")],
    });
    Ok(spec)
}

const SCRIPT: &str = "cat /low-file /high-file; echo x > /written && cat /written; touch /volume/x && echo volume";

#[tokio::test]
async fn layers_show_as_one_and_writes_go_to_the_upper_folder() -> Outcome {
    let dir = tempfile::tempdir()?;
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))?;
    let mut kit = Kit::with(vec![dir.path().to_owned()])?;
    let pod = kit.pod(1).await?;
    let spec = spec(&kit, dir.path(), &dir.path().join("work"), SCRIPT)?;
    let upper = dir.path().join("upper");
    let mut closed = spec.clone();
    let started = kit.place.start_container(spec).await?;
    assert_eq!(started.warnings, Vec::<String>::new());
    assert_eq!(output(started).await?, ("low\nhigh\nx\nvolume\n".to_owned(), String::new()));
    assert_eq!(kit.exit("c").await?.code, 0);
    assert_eq!(fs::read_to_string(upper.join("written"))?, "x\n");
    assert!(!upper.join("low-file").exists() && !dir.path().join("low/written").exists());

    closed.id = "d".to_owned();
    closed.read_only_root = true;
    closed.layers = closed.layers.map(|layers| Layers {
        upper: dir.path().join("upper-2"),
        work: dir.path().join("work-2"),
        ..layers
    });
    for name in ["upper-2", "work-2"] {
        folder(&kit, &dir.path().join(name))?;
    }
    let (printed, _) = kit.run(closed).await?;
    assert!(printed.starts_with("low\nhigh\n") && printed.contains("Read-only file system"), "{printed}");
    assert!(printed.contains("volume\n"), "{printed}");
    kit.place.remove_pod(&pod).await?;
    Ok(())
}

#[tokio::test]
async fn without_an_overlay_the_image_is_copied_and_that_is_said() -> Outcome {
    let dir = tempfile::tempdir()?;
    // The kernel wants its folder on the same file system.
    let elsewhere = tempfile::tempdir_in("/dev/shm")?;
    for path in [dir.path(), elsewhere.path()] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    }
    let mut kit = Kit::with(vec![dir.path().to_owned(), elsewhere.path().to_owned()])?;
    kit.pod(1).await?;
    let spec = spec(&kit, dir.path(), &elsewhere.path().join("work"), SCRIPT)?;
    let started = kit.place.start_container(spec).await?;
    assert!(started.warnings.iter().any(|text| text.starts_with("the image was copied for this container")));
    assert_eq!(output(started).await?, ("low\nhigh\nx\nvolume\n".to_owned(), String::new()));
    assert_eq!(kit.exit("c").await?.code, 0);
    assert!(dir.path().join("upper/low-file").exists() && !dir.path().join("low/written").exists());
    Ok(())
}

#[tokio::test]
async fn links_of_an_image_lead_nowhere_else() -> Outcome {
    let dir = tempfile::tempdir()?;
    let (outside, inside) = (dir.path().join("outside"), dir.path().join("inside"));
    let kit = Kit::with(vec![dir.path().to_owned()])?;
    kit.pod(1).await?;
    for path in [dir.path(), &outside] {
        fs::create_dir_all(path)?;
        // Whoever gets here could write.
        fs::set_permissions(path, fs::Permissions::from_mode(0o777))?;
    }
    let mut outcomes = Vec::new();
    // Up and out to the machine's tree in the place, or through what the process has open while it builds the root.
    let mut links: Vec<String> = vec![format!("../../../host{}/made", outside.display())];
    links.extend((3..16).map(|number| format!("/proc/self/fd/{number}/host{}/made", outside.display())));
    for (number, link) in links.iter().enumerate() {
        let top = inside.join(number.to_string());
        let mut spec = spec(&kit, &top, &top.join("work"), "true")?;
        spec.id = number.to_string();
        std::os::unix::fs::symlink(link, top.join("high/link"))?;
        spec.cwd = "/link/folder".into();
        spec.layers = spec.layers.map(|layers| Layers { volumes: vec!["/link/volume".into()], ..layers });
        outcomes.push(kit.place.start_container(spec).await.is_ok());
    }
    assert_eq!(fs::read_dir(&outside)?.count(), 0);
    assert_eq!(
        outcomes.iter().filter(|started| **started).count(),
        1,
        "the first stays within, the others are refused"
    );
    assert!(outcomes[0]);
    Ok(())
}
