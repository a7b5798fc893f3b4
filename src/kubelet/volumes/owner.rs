//! Who owns a pod's files, as far as the machine's id map allows: with a range of ids, root of the pod and its fsGroup;
//! with a single id everything belongs to that one, and modes decide.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use k8s_openapi::api::core::v1::Pod;

use crate::sandbox::HostIds;

/// Group bits that an fsGroup adds.
const GROUP_READ: u32 = 0o440;
const GROUP_WRITE: u32 = 0o660;
const GROUP_ENTER: u32 = 0o2110;

/// Owner of the files of one pod.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner {
    ids: HostIds,
    fs_group: Option<u32>,
    /// The user that all containers run as, if it is one.
    user: Option<u32>,
}

impl Owner {
    pub(crate) fn of_pod(pod: &Pod, ids: HostIds) -> Self {
        let spec = pod.spec.as_ref();
        let context = spec.and_then(|s| s.security_context.as_ref());
        let narrow = |id: Option<i64>| id.and_then(|id| u32::try_from(id).ok()).filter(|id| *id < 65_536);
        let whole = context.and_then(|c| c.run_as_user);
        let mut users = spec.into_iter().flat_map(|s| {
            let containers = s.containers.iter().chain(s.init_containers.iter().flatten());
            containers.map(|c| c.security_context.as_ref().and_then(|c| c.run_as_user).or(whole))
        });
        let first = users.next().flatten();
        let same = users.all(|user| user == first);
        Self { ids, fs_group: narrow(context.and_then(|c| c.fs_group)), user: narrow(first).filter(|_| same) }
    }

    fn give(&self, path: &Path, user: Option<u32>) -> io::Result<()> {
        if matches!(self.ids, HostIds::Single { .. }) {
            return Ok(());
        }
        let uid = self.ids.uid(user.unwrap_or(0));
        let gid = self.ids.gid(self.fs_group.unwrap_or(0));
        chown(path, Some(uid), Some(gid))
    }

    /// A read-only file with `mode`; a private one belongs to the containers' user.
    pub(crate) fn give_file(&self, path: &Path, mode: u32, private: bool) -> io::Result<()> {
        self.give(path, self.user.filter(|_| private))?;
        let mode = match (private, self.user, self.fs_group) {
            (true, Some(_), None) => 0o600,
            (_, _, Some(_)) => mode | GROUP_READ,
            _ => mode,
        };
        std::fs::set_permissions(path, Permissions::from_mode(mode))
    }

    /// A folder that is only read.
    pub(crate) fn give_folder(&self, path: &Path) -> io::Result<()> {
        self.give(path, None)?;
        std::fs::set_permissions(path, Permissions::from_mode(0o755))
    }

    /// A folder that anybody in the pod may write.
    pub(crate) fn give_open(&self, path: &Path) -> io::Result<()> {
        self.give(path, None)?;
        let group = if self.fs_group.is_some() { GROUP_ENTER } else { 0 };
        std::fs::set_permissions(path, Permissions::from_mode(0o777 | group))
    }

    /// A persistent folder: opened when it is the node's `own` and new, and given to the fsGroup with all that is in it.
    pub(crate) fn give_tree(&self, path: &Path, own: bool) -> io::Result<()> {
        let HostIds::Range { start } = self.ids else {
            return Ok(());
        };
        let fresh = own && std::fs::metadata(path)?.uid() < start;
        if fresh {
            self.give_open(path)?;
        }
        let Some(group) = self.fs_group else {
            return Ok(());
        };
        let gid = self.ids.gid(group);
        if fresh || (own && std::fs::metadata(path)?.gid() != gid) {
            give_group(path, gid)?;
        }
        Ok(())
    }
}

fn give_group(path: &Path, gid: u32) -> io::Result<()> {
    let meta = std::fs::symlink_metadata(path)?;
    if meta.is_symlink() {
        return Ok(());
    }
    chown(path, None, Some(gid))?;
    let mode = meta.mode() & 0o7777 | GROUP_WRITE | if meta.is_dir() { GROUP_ENTER } else { 0 };
    std::fs::set_permissions(path, Permissions::from_mode(mode))?;
    if meta.is_dir() {
        for entry in std::fs::read_dir(path)? {
            give_group(&entry?.path(), gid)?;
        }
    }
    Ok(())
}
