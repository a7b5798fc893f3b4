//! Locks that workflows and their nodes hold: mutexes and semaphores. Those who wait are served by priority, then by age. It knows
//! nothing of objects; it is told who wants what.

use std::collections::BTreeMap;

/// Who wants a lock: the larger the priority, and the older, the sooner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The holder: `namespace/workflow` or `namespace/workflow/node-id`.
    pub holder: String,
    /// The workflow's priority.
    pub priority: i32,
    /// When the workflow was made, in seconds.
    pub created: i64,
}

/// Every lock of a cluster.
#[derive(Debug, Clone, Default)]
pub struct Locks(BTreeMap<String, Lock>);

#[derive(Debug, Clone, Default)]
struct Lock {
    holders: Vec<String>,
    waiting: Vec<Claim>,
    /// A holder gave it back, or one that waited is gone.
    freed: bool,
}

impl Lock {
    fn drop_those(&mut self, gone: impl Fn(&str) -> bool) {
        let before = self.holders.len() + self.waiting.len();
        self.holders.retain(|holder| !gone(holder));
        self.waiting.retain(|waiting| !gone(&waiting.holder));
        self.freed |= self.holders.len() + self.waiting.len() < before;
    }
}

impl Locks {
    /// Takes a lock, or waits for it: then the answer is how many of how many are free.
    ///
    /// # Errors
    /// How many are free, and how many there are, when it has to wait.
    pub fn acquire(&mut self, name: &str, limit: usize, claim: &Claim) -> Result<(), (usize, usize)> {
        let lock = self.0.entry(name.to_owned()).or_default();
        if lock.holders.contains(&claim.holder) {
            return Ok(());
        }
        if !lock.waiting.iter().any(|waiting| waiting.holder == claim.holder) {
            lock.waiting.push(claim.clone());
            lock.waiting.sort_by(|one, other| {
                (other.priority, one.created, &one.holder).cmp(&(one.priority, other.created, &other.holder))
            });
        }
        let free = limit.saturating_sub(lock.holders.len());
        let place = lock.waiting.iter().position(|waiting| waiting.holder == claim.holder).unwrap_or(usize::MAX);
        if place < free {
            lock.waiting.remove(place);
            lock.holders.push(claim.holder.clone());
            return Ok(());
        }
        Err((free, limit))
    }

    /// Whether a lock could be taken now.
    #[must_use]
    pub fn is_free(&self, name: &str, limit: usize, claim: &Claim) -> bool {
        self.clone().acquire(name, limit, claim).is_ok()
    }

    /// Notes that a lock is held: what a status says after a restart.
    pub fn restore(&mut self, name: &str, holder: &str) {
        let lock = self.0.entry(name.to_owned()).or_default();
        if !lock.holders.iter().any(|have| have == holder) {
            lock.holders.push(holder.to_owned());
        }
    }

    /// Gives back what a holder holds or waits for.
    pub fn release(&mut self, name: &str, holder: &str) {
        if let Some(lock) = self.0.get_mut(name) {
            lock.drop_those(|have| have == holder);
        }
    }

    /// Gives back everything of a workflow and its nodes. Those who wait for it, by the beginning of their names.
    pub fn release_all(&mut self, workflow: &str) {
        let inner = format!("{workflow}/");
        let is_of = |holder: &str| holder == workflow || holder.starts_with(&inner);
        for lock in self.0.values_mut() {
            lock.drop_those(is_of);
        }
    }

    /// The workflows (`namespace/name`) that wait for a lock that was given back since this was asked last.
    #[must_use]
    pub fn woken(&mut self) -> Vec<String> {
        let mut woken = Vec::new();
        for lock in self.0.values_mut() {
            if std::mem::take(&mut lock.freed) {
                let names =
                    lock.waiting.iter().map(|claim| claim.holder.splitn(3, '/').take(2).collect::<Vec<_>>().join("/"));
                woken.extend(names);
            }
        }
        woken
    }

    /// The locks that a holder holds.
    #[must_use]
    pub fn held(&self, holder: &str) -> Vec<&str> {
        let holds = |lock: &Lock| lock.holders.iter().any(|have| have == holder);
        self.0.iter().filter(|(_, lock)| holds(lock)).map(|(name, _)| name.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(holder: &str, priority: i32, created: i64) -> Claim {
        Claim { holder: holder.to_owned(), priority, created }
    }

    #[test]
    fn the_important_and_the_old_come_first() {
        let mut locks = Locks::default();
        assert_eq!(locks.acquire("m", 1, &claim("n/a", 0, 1)), Ok(()));
        assert_eq!(locks.acquire("m", 1, &claim("n/a", 0, 1)), Ok(()));
        for waiting in [claim("n/young", 0, 3), claim("n/old", 0, 2), claim("n/high/node", 5, 9)] {
            assert_eq!(locks.acquire("m", 1, &waiting), Err((0, 1)));
        }
        locks.release("m", "n/a");
        assert_eq!(locks.woken(), ["n/high", "n/old", "n/young"]);
        assert!(locks.woken().is_empty());
        assert_eq!(locks.acquire("m", 1, &claim("n/old", 0, 2)), Err((1, 1)));
        assert_eq!(locks.acquire("m", 1, &claim("n/high/node", 5, 9)), Ok(()));
        locks.release_all("n/high");
        assert_eq!(locks.acquire("m", 1, &claim("n/old", 0, 2)), Ok(()));
        assert_eq!(locks.held("n/old"), ["m"]);
    }

    #[test]
    fn as_many_hold_it_as_may() {
        let mut locks = Locks::default();
        assert_eq!(locks.acquire("s", 2, &claim("n/a", 0, 1)), Ok(()));
        assert_eq!(locks.acquire("s", 2, &claim("n/b", 0, 1)), Ok(()));
        assert_eq!(locks.acquire("s", 2, &claim("n/c", 0, 1)), Err((0, 2)));
        locks.restore("s", "n/d");
        locks.release("s", "n/a");
        assert!(!locks.is_free("s", 2, &claim("n/c", 0, 1)));
        assert!(locks.is_free("s", 3, &claim("n/c", 0, 1)));
    }
}
