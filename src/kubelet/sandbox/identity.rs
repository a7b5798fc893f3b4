//! The user, groups and capabilities that a container's process gets, and gives everything else away for.
//! Runs in the container's process; there is no way back.

use std::os::fd::OwnedFd;

use nix::sched::CloneFlags;
use nix::unistd::{Gid, Uid};
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::error::{Attempt, Failure};
use super::protocol::IdMap;

/// Highest capability number that a kernel may know.
const LAST_CAPABILITY: u32 = 63;

/// Who a container's processes are.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: Vec<u32>,
    pub(super) capabilities: CapabilitySet,
}

impl Identity {
    /// Reads the capabilities' names.
    pub(super) fn new(uid: u32, gid: u32, groups: &[u32], capabilities: &[String]) -> Result<Self, Failure> {
        let mut set = CapabilitySet::empty();
        for name in capabilities {
            let plain = name.to_ascii_uppercase();
            let plain = plain.strip_prefix("CAP_").unwrap_or(&plain);
            set |= match CapabilitySet::from_name(plain) {
                Some(capability) => capability,
                None if plain == "ALL" => CapabilitySet::all(),
                None => return Err(Failure::Start { message: format!("unknown capability \"CAP_{plain}\"") }),
            };
        }
        Ok(Self { uid, gid, groups: groups.to_vec(), capabilities: set })
    }

    /// With a single id, other ids than root's need a user namespace of their own.
    pub(super) fn is_nested(&self, ids: IdMap) -> bool {
        matches!(ids, IdMap::Single { .. }) && (self.uid, self.gid) != (0, 0)
    }

    /// What this machine cannot give.
    pub(super) fn warnings(&self, ids: IdMap) -> Vec<String> {
        let others: Vec<_> = self.groups.iter().filter(|group| **group != self.gid).map(u32::to_string).collect();
        match ids {
            IdMap::Single { .. } if !others.is_empty() => vec![format!(
                "supplementary groups {} are left out: the cluster runs as an ordinary user, whose pods have a single group",
                others.join(", ")
            )],
            _ => Vec::new(),
        }
    }

    /// Becomes this identity. `namespace` is the user namespace of a running container to join, for a nested one.
    pub(super) fn assume(&self, ids: IdMap, namespace: Option<&OwnedFd>) -> Result<(), Failure> {
        if self.is_nested(ids) {
            match namespace {
                Some(namespace) => nix::sched::setns(namespace, CloneFlags::CLONE_NEWUSER)
                    .attempt(|| "join the container's user namespace".to_owned())?,
                None => self.nest()?,
            }
        }
        // Until exec this process holds a copy of the place's memory. From here on no capability protects it from containers that see it.
        nix::sys::prctl::set_dumpable(false).attempt(|| "hide the place's memory".to_owned())?;
        rustix::thread::clear_ambient_capability_set().attempt(|| "clear ambient capabilities".to_owned())?;
        for number in 0..=LAST_CAPABILITY {
            let capability = CapabilitySet::from_bits_retain(1 << number);
            let known = rustix::thread::capability_is_in_bounding_set(capability);
            if !self.capabilities.contains(capability) && known == Ok(true) {
                rustix::thread::remove_capability_from_bounding_set(capability)
                    .attempt(|| format!("drop capability {number}"))?;
            }
        }
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        if ids == IdMap::Range {
            let groups: Vec<Gid> = self.groups.iter().copied().map(Gid::from_raw).collect();
            nix::unistd::setgroups(&groups)
                .attempt(|| format!("set supplementary groups {:?} (ids must be below 65536)", self.groups))?;
        }
        nix::unistd::setresgid(gid, gid, gid).attempt(|| format!("become group {gid} (ids must be below 65536)"))?;
        nix::unistd::setresuid(uid, uid, uid).attempt(|| format!("become user {uid} (ids must be below 65536)"))?;
        let kept = if self.uid == 0 {
            self.capabilities & CapabilitySet::from_bits_retain(known_capabilities())
        } else {
            CapabilitySet::empty()
        };
        let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
        rustix::thread::set_capabilities(None, sets).attempt(|| "set capabilities".to_owned())?;
        // The node process does without huge pages, and what it starts inherits that; what runs in a container shall not.
        rustix::thread::disable_transparent_huge_pages(false).attempt(|| "allow huge pages".to_owned())?;
        rustix::thread::set_no_new_privs(true).attempt(|| "set no_new_privs".to_owned())
    }

    /// A user namespace where this uid and gid are names for the single id.
    fn nest(&self) -> Result<(), Failure> {
        nix::sched::unshare(CloneFlags::CLONE_NEWUSER)
            .attempt(|| "unshare a user namespace for the container".to_owned())?;
        for (file, line) in [("uid_map", format!("{} 0 1", self.uid)), ("gid_map", format!("{} 0 1", self.gid))] {
            std::fs::write(format!("/proc/self/{file}"), &line).attempt(|| format!("write `{line}` to {file}"))?;
        }
        Ok(())
    }
}

fn known_capabilities() -> u64 {
    (0..=LAST_CAPABILITY)
        .map(|number| 1 << number)
        .filter(|bit| rustix::thread::capability_is_in_bounding_set(CapabilitySet::from_bits_retain(*bit)).is_ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_capabilities_with_and_without_prefix() {
        let names = ["NET_RAW".to_owned(), "cap_chown".to_owned()];
        let identity = Identity::new(0, 0, &[], &names);
        assert!(identity.is_ok_and(|identity| identity.capabilities == CapabilitySet::NET_RAW | CapabilitySet::CHOWN));
        let wrong = Identity::new(0, 0, &[], &["FLY".to_owned()]);
        assert!(matches!(wrong, Err(Failure::Start { message }) if message.contains("CAP_FLY")));
    }

    #[test]
    fn a_single_id_cannot_give_groups_and_says_so() -> Result<(), Failure> {
        let single = IdMap::Single { uid: 1000, gid: 1000 };
        let identity = Identity::new(185, 0, &[0, 2000], &[])?;
        assert!(identity.is_nested(single) && !identity.is_nested(IdMap::Range));
        assert!(identity.warnings(single).iter().any(|warning| warning.contains("2000")));
        assert!(identity.warnings(IdMap::Range).is_empty());
        Ok(())
    }
}
