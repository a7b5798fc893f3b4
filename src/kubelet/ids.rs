//! Unique ids for runs of containers and execs.

use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

static COUNT: AtomicU64 = AtomicU64::new(0);

/// A number that was not given out before by this process.
pub(crate) fn unique() -> u64 {
    COUNT.fetch_add(1, Ordering::Relaxed)
}

/// An id in the form of a container's: 64 hexadecimal digits, the same for no two runs.
pub(crate) fn run(pod: &str, container: &str, restarts: u32, now: Timestamp) -> String {
    let text = format!("{pod}/{container}/{restarts}/{}/{}", now.as_nanosecond(), unique());
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
