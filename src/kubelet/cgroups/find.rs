//! Where this process may make groups: below its own group, or beside it where its own has processes. It makes none.

use std::fs;
use std::path::{Path, PathBuf};

use super::Kind;
use super::v1::Hierarchies;

/// A mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    at: PathBuf,
    kind: String,
    options: Vec<String>,
}

/// The folders that groups called `name` would have.
pub(super) fn find(name: &str) -> Option<Kind> {
    let mounts = mounts(&fs::read_to_string("/proc/self/mountinfo").ok()?);
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    v1(&mounts, &own, name).or_else(|| v2(&mounts, &own, name))
}

/// Hierarchies among the lines of `mountinfo`.
fn mounts(text: &str) -> Vec<Mount> {
    let read = |line: &str| {
        let (before, after) = line.split_once(" - ")?;
        let at = before.split(' ').nth(4)?;
        let mut after = after.split(' ');
        let kind = after.next().filter(|kind| matches!(*kind, "cgroup" | "cgroup2"))?;
        let options = after.nth(1)?.split(',').map(str::to_owned).collect();
        Some(Mount { at: PathBuf::from(at), kind: kind.to_owned(), options })
    };
    text.lines().filter_map(read).collect()
}

/// The group of this process in the hierarchy of a controller; in that of version 2, which has no name.
fn group(own: &str, controller: &str) -> Option<String> {
    own.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let controllers = fields.nth(1)?;
        let path = fields.next()?;
        let has = if controller.is_empty() {
            controllers.is_empty()
        } else {
            controllers.split(',').any(|one| one == controller)
        };
        has.then(|| path.trim_start_matches('/').to_owned())
    })
}

/// The folder of this process' own group, or the root where that one is not to be seen from here.
fn folder(mount: &Path, own: &str, controller: &str) -> PathBuf {
    let own = group(own, controller).map(|path| mount.join(path)).filter(|path| path.is_dir());
    own.unwrap_or_else(|| mount.to_owned())
}

fn v1(mounts: &[Mount], own: &str, name: &str) -> Option<Kind> {
    let of = |controller: &str| {
        let mount =
            mounts.iter().find(|one| one.kind == "cgroup" && one.options.iter().any(|word| word == controller))?;
        Some(folder(&mount.at, own, controller).join(name))
    };
    Some(Kind::V1(Hierarchies { memory: of("memory")?, cpu: of("cpu")?, cpuacct: of("cpuacct")? }))
}

/// A group with processes may not have groups below that are limited: then ours is beside it, where the group above lets it be limited.
fn v2(mounts: &[Mount], own: &str, name: &str) -> Option<Kind> {
    let mount = mounts.iter().find(|one| one.kind == "cgroup2")?;
    let own = folder(&mount.at, own, "");
    let above = own.parent().filter(|above| above.starts_with(&mount.at));
    let limits = |folder: &&Path| {
        let text = fs::read_to_string(folder.join("cgroup.subtree_control")).unwrap_or_default();
        text.split_whitespace().any(|controller| controller == "memory")
    };
    let base = [Some(own.as_path()), above].into_iter().flatten().find(limits)?;
    Some(Kind::V2(base.join(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_are_found_among_other_mounts() {
        let text = "25 1 0:23 / /sys rw - sysfs sysfs rw\n\
            31 25 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
            32 25 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
            33 25 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let mounts = mounts(text);
        assert_eq!(mounts.iter().map(|one| one.kind.as_str()).collect::<Vec<_>>(), ["cgroup", "cgroup", "cgroup2"]);
        let own = "4:memory:/gone/away\n3:cpu,cpuacct:/\n0::/\n";
        let both = PathBuf::from("/sys/fs/cgroup/cpu,cpuacct/tinderbox-1");
        let wanted =
            Hierarchies { memory: "/sys/fs/cgroup/memory/tinderbox-1".into(), cpu: both.clone(), cpuacct: both };
        assert_eq!(v1(&mounts, own, "tinderbox-1"), Some(Kind::V1(wanted)));
    }

    #[test]
    fn groups_are_where_they_can_be_limited() {
        let dir = tempfile::tempdir().unwrap();
        let slice = dir.path().join("user.slice");
        fs::create_dir_all(slice.join("run.scope")).unwrap();
        fs::write(slice.join("run.scope/cgroup.subtree_control"), "\n").unwrap();
        let mounts = [Mount { at: dir.path().to_owned(), kind: "cgroup2".to_owned(), options: Vec::new() }];
        let own = "0::/user.slice/run.scope\n";
        assert_eq!(v2(&mounts, own, "tinderbox-1"), None);
        fs::write(slice.join("cgroup.subtree_control"), "cpu memory pids\n").unwrap();
        assert_eq!(v2(&mounts, own, "tinderbox-1"), Some(Kind::V2(slice.join("tinderbox-1"))));
    }
}
