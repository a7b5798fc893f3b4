//! How long a node waits for the successor of a failed pod: a second, doubled each time up to 15 minutes, and forgotten when
//! nothing failed for twice as long. It is kept in memory, as upstream: the failed pods themselves are gone.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tinderbox_client::clock::after;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(15 * 60);

type Table = HashMap<(String, String), (Timestamp, Duration)>;

/// The last failure on each node, by the uid of the set. Cheap to clone; clones share everything.
#[derive(Clone, Default)]
pub(super) struct Backoff(Arc<Mutex<Table>>);

impl Backoff {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The nodes that wait, and until when.
    pub(super) fn held(&self, set: &str, now: Timestamp) -> BTreeMap<String, Timestamp> {
        let mut table = self.table();
        table.retain(|_, (at, _)| after(*at, LONGEST * 2) > now);
        let own = table.iter().filter(|((uid, _), _)| uid == set);
        let until = own.map(|((_, node), (at, pause))| (node.clone(), after(*at, *pause)));
        until.filter(|(_, until)| *until > now).collect()
    }

    /// A failed pod is replaced on a node.
    pub(super) fn failed(&self, set: &str, node: &str, now: Timestamp) {
        let mut table = self.table();
        let entry = table.entry((set.to_owned(), node.to_owned()));
        entry.and_modify(|(at, pause)| (*at, *pause) = (now, (*pause * 2).min(LONGEST))).or_insert((now, FIRST));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles() {
        let (backoff, start) = (Backoff::default(), Timestamp::UNIX_EPOCH);
        let at = |seconds: u64| after(start, Duration::from_secs(seconds));
        assert!(backoff.held("set", start).is_empty());
        backoff.failed("set", "node", start);
        assert_eq!(backoff.held("set", start), BTreeMap::from([("node".to_owned(), at(1))]));
        assert!(backoff.held("other", start).is_empty() && backoff.held("set", at(1)).is_empty());
        backoff.failed("set", "node", at(1));
        assert_eq!(backoff.held("set", at(1)), BTreeMap::from([("node".to_owned(), at(3))]));
    }
}
