//! Room on the disk: when it is nearly full, images that nobody uses go, those first that were used longest ago.
//! Upstream rule: k8s.io/kubernetes `pkg/kubelet/images/image_gc_manager.go`. Unlike there, images that were loaded from archives stay:
//! nobody could bring them again, and the disk is the user's own.

use std::time::{Duration, SystemTime};

use super::digest::Digest;
use super::error::OciError;
use super::keep::Pruned;
use super::record::{Origin, Record};
use super::store::Store;

/// Used percent of the disk at which images go (`imageGCHighThresholdPercent`), and down to which (`imageGCLowThresholdPercent`).
const HIGH: u64 = 85;
const LOW: u64 = 80;
/// Younger images stay (`imageMinimumGCAge`), in seconds.
const LEAST_AGE: u64 = 120;
/// How often the node looks.
pub(crate) const EVERY: Duration = Duration::from_secs(300);

/// The disk of the store, in bytes.
#[derive(Debug, Clone, Copy)]
struct Disk {
    capacity: u64,
    available: u64,
}

/// An image that may go. Times are seconds since 1970.
#[derive(Debug, Clone)]
struct Candidate {
    id: Digest,
    size: u64,
    last_used: u64,
    added: u64,
}

/// The images that must go, in this order.
fn plan(disk: Disk, mut candidates: Vec<Candidate>, now: u64) -> Vec<Digest> {
    let free_percent = (disk.available * 100).checked_div(disk.capacity).unwrap_or(100);
    if 100_u64.saturating_sub(free_percent) < HIGH {
        return Vec::new();
    }
    let wanted = (disk.capacity * (100 - LOW) / 100).saturating_sub(disk.available);
    candidates.sort_by_key(|one| (one.last_used.max(one.added), one.added));
    candidates.retain(|one| one.added + LEAST_AGE <= now);
    let mut freed = 0;
    let needed = candidates.into_iter().take_while(|one| {
        let more = freed < wanted;
        freed += one.size;
        more
    });
    needed.map(|one| one.id).collect()
}

impl Store {
    /// Makes room if the disk is nearly full.
    pub(crate) fn collect(&self) -> Result<Pruned, OciError> {
        let stat = nix::sys::statvfs::statvfs(self.cache());
        let stat = stat.map_err(|error| OciError::io("ask for the space of", self.cache())(error.into()))?;
        let bytes = |blocks: u64| blocks * stat.fragment_size();
        let disk = Disk { capacity: bytes(stat.blocks()), available: bytes(stat.blocks_available()) };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.collect_on(disk, now)
    }

    fn collect_on(&self, disk: Disk, now: u64) -> Result<Pruned, OciError> {
        let records = self.list()?;
        let candidate = |record: &Record| Candidate {
            id: record.id.clone(),
            size: record.size,
            last_used: self.last_used(&record.id),
            added: u64::try_from(record.added.as_second()).unwrap_or(0),
        };
        let candidates = records.iter().filter(|record| record.origin == Origin::Pulled).map(candidate).collect();
        let mut pruned = Pruned::default();
        for id in plan(disk, candidates, now) {
            if let Some(record) = records.iter().find(|record| record.id == id) {
                self.drop_image(record, &mut pruned)?;
            }
        }
        if !pruned.removed.is_empty() {
            self.sweep_if_quiet(&mut pruned)?;
        }
        Ok(pruned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn candidate(name: &str, size: u64, last_used: u64, added: u64) -> Candidate {
        Candidate { id: Digest::of(name.as_bytes()), size, last_used, added }
    }

    #[test]
    fn those_used_longest_ago_go_until_there_is_room() {
        let all = || {
            vec![
                candidate("new", 5, 900, 100),
                candidate("old", 5, 200, 100),
                candidate("never", 5, 0, 300),
                candidate("young", 5, 0, 990),
            ]
        };
        for (available, gone) in [
            (16, vec![]),
            (15, vec!["old"]),
            (14, vec!["old", "never"]),
            (9, vec!["old", "never", "new"]),
            (0, vec!["old", "never", "new"]),
        ] {
            let disk = Disk { capacity: 100, available };
            let gone: Vec<Digest> = gone.into_iter().map(|name| Digest::of(name.as_bytes())).collect();
            assert_eq!(plan(disk, all(), 1000), gone, "{available}");
        }
        assert!(plan(Disk { capacity: 0, available: 0 }, all(), 1000).is_empty());
    }

    #[test]
    fn loaded_images_and_those_in_use_stay() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Store::new(dir.path(), crate::sandbox::HostIds::of_this_process());
        std::fs::create_dir_all(dir.path().join("oci/images")).expect("made");
        for (name, origin) in [("loaded", Origin::Loaded), ("used", Origin::Pulled), ("unused", Origin::Pulled)] {
            let record = Record {
                id: Digest::of(name.as_bytes()),
                names: vec![name.to_owned()],
                digests: Vec::new(),
                layers: Vec::new(),
                size: 10,
                origin,
                added: Timestamp::UNIX_EPOCH,
            };
            store.add(super::super::store::Whole { config: b"{}".to_vec(), record }).expect("added");
        }
        let hold = store.list().expect("read").into_iter().find(|record| record.names == ["used"]);
        let hold = hold.map(|record| store.hold(&record.id).expect("held"));
        let full = Disk { capacity: 100, available: 0 };
        let pruned = store.collect_on(full, 1_000_000).expect("collected");
        assert_eq!(pruned.removed, ["unused"]);
        assert!(hold.is_some());
        let left: Vec<_> = store.list().expect("read").into_iter().flat_map(|record| record.names).collect();
        assert_eq!(left, ["loaded", "used"]);
    }
}
