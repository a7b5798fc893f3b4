//! The root of a container: a new tmpfs or the image's layers, the image's root view on it, the usual /proc, /dev and /sys, and the pod's volumes.
//! Runs in the container's process before it gives its rights away.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::mount::{MntFlags, MsFlags};
use nix::unistd::{Gid, Uid};

use super::error::{Attempt, Failure};
use super::mounts::{self, Sources};
use super::protocol::IdMap;
use super::{ContainerSpec, Layers, Mount, MountSource, layers};
use crate::image::RootEntry;

/// An empty folder of the place, where roots are mounted while they are built.
pub(super) const STAGE: &str = "new";
/// An empty folder of the place, to cover others with.
pub(super) const EMPTY: &str = "empty";

const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];
/// What container runtimes hide, and what they make read-only.
const MASKED: [&str; 11] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// What the containers of a pod share, by paths relative to the place's root.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// `/dev/shm`.
    pub(super) memory: String,
    /// Volumes in memory, by name.
    pub(super) volumes: Vec<(String, String)>,
}

/// Builds the root and enters it; nothing of the old one is reachable afterwards. Returns what could not be given as usual.
pub(super) fn build(
    spec: &ContainerSpec,
    sources: &Sources<'_>,
    shared: &Shared,
    ids: IdMap,
) -> Result<Option<String>, Failure> {
    let (outer, warning) = enter(spec.layers.as_ref(), sources)?;
    for entry in &spec.root {
        add_entry(entry, spec, sources, ids)?;
    }
    add_proc()?;
    add_devices(sources, shared, ids)?;
    add_sys()?;
    hide(sources)?;
    for volume in spec.layers.iter().flat_map(|layers| &layers.volumes) {
        add_volume(volume)?;
    }
    for mount in &spec.mounts {
        add_mount(mount, sources, shared)?;
    }
    if fs::metadata(&spec.cwd).is_err() {
        mounts::make_target(&spec.cwd, true)
            .and_then(|()| give(&spec.cwd, spec, ids))
            .attempt(|| format!("mkdir {}", spec.cwd.display()))?;
    }
    forget(&outer)?;
    if spec.read_only_root {
        mounts::make_read_only(Path::new("/")).attempt(|| "make the root read-only".to_owned())?;
    }
    Ok(warning)
}

/// Where the root lies until it is whole: below a memory of its own, beside the place's root. A path of the container that goes up as
/// far as it can ends in the new root, and nowhere else.
struct Outer(OwnedFd);

/// Names in it.
const ROOT: &str = "root";
const OLD: &str = "old";

fn enter(layers: Option<&Layers>, sources: &Sources<'_>) -> Result<(Outer, Option<String>), Failure> {
    let stage = Path::new("/").join(STAGE);
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mounts::fresh("tmpfs", &stage, quiet, "mode=755").attempt(|| "mount a place for a root".to_owned())?;
    for name in [ROOT, OLD] {
        fs::create_dir(stage.join(name)).attempt(|| "make a place for a root".to_owned())?;
    }
    let root = stage.join(ROOT);
    let warning = match layers {
        Some(layers) => layers::mount(layers, sources, &root)?,
        None => {
            mounts::fresh("tmpfs", &root, quiet, "mode=755").attempt(|| "mount a root".to_owned())?;
            None
        }
    };
    nix::unistd::chdir(&stage)
        .and_then(|()| nix::unistd::pivot_root(".", OLD))
        .attempt(|| "change the root".to_owned())?;
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
    let outer = rustix::fs::open("/", flags, rustix::fs::Mode::empty()).attempt(|| "keep the way out".to_owned())?;
    nix::unistd::chdir(&Path::new("/").join(ROOT))
        .and_then(|()| nix::unistd::chroot("."))
        .attempt(|| "enter the new root".to_owned())?;
    Ok((Outer(outer), warning))
}

/// Makes the new root the only one.
fn forget(outer: &Outer) -> Result<(), Failure> {
    nix::unistd::fchdir(&outer.0)
        .and_then(|()| nix::unistd::chroot("."))
        .and_then(|()| nix::unistd::chdir(ROOT))
        .and_then(|()| nix::unistd::pivot_root(".", "."))
        .attempt(|| "change the root for good".to_owned())?;
    nix::mount::umount2(".", MntFlags::MNT_DETACH).attempt(|| "leave the old root".to_owned())?;
    nix::unistd::chdir("/").attempt(|| "enter the new root".to_owned())
}

/// A folder that stays writable when the root does not.
fn add_volume(volume: &Path) -> Result<(), Failure> {
    mounts::make_target(volume, true)
        .and_then(|()| mounts::at(volume))
        .and_then(|folder| mounts::bind(folder, volume, false))
        .attempt(|| format!("make the volume {}", volume.display()))
}

/// Gives a path to the container's user, where ids are more than one.
fn give(path: &Path, spec: &ContainerSpec, ids: IdMap) -> std::io::Result<()> {
    match ids {
        IdMap::Range => Ok(nix::unistd::chown(path, Some(Uid::from_raw(spec.uid)), Some(Gid::from_raw(spec.gid)))?),
        IdMap::Single { .. } => Ok(()),
    }
}

fn add_entry(entry: &RootEntry, spec: &ContainerSpec, sources: &Sources<'_>, ids: IdMap) -> Result<(), Failure> {
    match entry {
        RootEntry::Bind { source, target } => sources
            .host(source)
            .and_then(|file| {
                mounts::make_target(target, mounts::is_directory(&file)?)?;
                mounts::bind(file, target, true)
            })
            .attempt(|| format!("mount {} at {}", source.display(), target.display())),
        RootEntry::Symlink { to, target } => mounts::make_room(target)
            .and_then(|()| std::os::unix::fs::symlink(to, target))
            .attempt(|| format!("link {} to {}", target.display(), to.display())),
        RootEntry::Directory { target, mode, writable } => mounts::make_target(target, true)
            .and_then(|()| fs::set_permissions(target, fs::Permissions::from_mode(*mode)))
            .and_then(|()| if *writable { give(target, spec, ids) } else { Ok(()) })
            .attempt(|| format!("mkdir {}", target.display())),
        RootEntry::File { target, mode, content } => mounts::make_room(target)
            .and_then(|()| fs::write(target, content))
            .and_then(|()| fs::set_permissions(target, fs::Permissions::from_mode(*mode)))
            .attempt(|| format!("write {}", target.display())),
    }
}

fn add_mount(mount: &Mount, sources: &Sources<'_>, shared: &Shared) -> Result<(), Failure> {
    let (file, name) = match &mount.source {
        MountSource::Bind(path) => (sources.host(path), path.display().to_string()),
        MountSource::Memory { name, .. } => {
            let path = shared.volumes.iter().find(|(known, _)| known == name).map(|(_, path)| path.as_str());
            (sources.place(Path::new(path.unwrap_or_default())), format!("memory `{name}`"))
        }
    };
    file.and_then(|file| {
        mounts::make_target(&mount.target, mounts::is_directory(&file)?)?;
        mounts::bind(file, &mount.target, mount.read_only)
    })
    .attempt(|| format!("mount {name} at {}", mount.target.display()))
}

fn add_proc() -> Result<(), Failure> {
    let proc = Path::new("/proc");
    mounts::make_target(proc, true)
        .and_then(|()| mounts::fresh("proc", proc, MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC, ""))
        .attempt(|| "mount /proc".to_owned())
}

fn add_devices(sources: &Sources<'_>, shared: &Shared, ids: IdMap) -> Result<(), Failure> {
    let dev = Path::new("/dev");
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    mounts::make_target(dev, true)
        .and_then(|()| mounts::fresh("tmpfs", dev, MsFlags::MS_NOSUID, "mode=755,size=65536k"))
        .attempt(|| "mount /dev".to_owned())?;
    for name in DEVICES {
        let target = dev.join(name);
        sources
            .host(&target)
            .and_then(|file| {
                mounts::make_target(&target, false)?;
                mounts::bind(file, &target, false)
            })
            .attempt(|| format!("mount {}", target.display()))?;
    }
    for (name, to) in LINKS {
        std::os::unix::fs::symlink(to, dev.join(name)).attempt(|| format!("link /dev/{name}"))?;
    }
    // The group that owns terminals, where it is mapped.
    let group = if ids == IdMap::Range { ",gid=5" } else { "" };
    mounts::make_directories(&dev.join("pts"))
        .and_then(|()| {
            mounts::fresh("devpts", &dev.join("pts"), quiet, &format!("newinstance,ptmxmode=0666,mode=0620{group}"))
        })
        .attempt(|| "mount /dev/pts".to_owned())?;
    sources
        .place(Path::new(&shared.memory))
        .and_then(|file| {
            mounts::make_directories(&dev.join("shm"))?;
            mounts::bind(file, &dev.join("shm"), false)
        })
        .attempt(|| "mount /dev/shm".to_owned())
}

/// A machine that hides parts of its /sys does not let anybody mount another one: then it stays empty.
fn add_sys() -> Result<(), Failure> {
    let sys = Path::new("/sys");
    mounts::make_target(sys, true).attempt(|| "mkdir /sys".to_owned())?;
    let flags = MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let _ = mounts::fresh("sysfs", sys, flags, "");
    Ok(())
}

fn hide(sources: &Sources<'_>) -> Result<(), Failure> {
    for path in MASKED.map(Path::new) {
        let Ok(found) = fs::metadata(path) else { continue };
        let cover = if found.is_dir() { sources.place(Path::new(EMPTY)) } else { sources.host(Path::new("/dev/null")) };
        cover
            .and_then(|cover| mounts::bind(cover, path, found.is_dir()))
            .attempt(|| format!("mask {}", path.display()))?;
    }
    for path in READ_ONLY.map(Path::new) {
        if fs::metadata(path).is_err() {
            continue;
        }
        let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
        rustix::fs::open(path, flags, rustix::fs::Mode::empty())
            .map_err(std::io::Error::from)
            .and_then(|file| mounts::bind(file, path, true))
            .attempt(|| format!("make {} read-only", path.display()))?;
    }
    Ok(())
}
