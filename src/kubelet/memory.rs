//! The memory of containers, looked at a few times a second, and whoever can end them told. Where the kernel is not asked to hold them to
//! their limits, that is what they use, and what their processes share counts for each in part before anybody is told; where it is
//! asked, but ends a single process of theirs and leaves the rest, that is whether it has.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

use crate::cgroups::Group;
use crate::runtime::Runtime;
use crate::sandbox::Usage;

const PAUSE: Duration = Duration::from_millis(250);

/// What is looked at.
pub(crate) enum Bound {
    /// Bytes that a container may use.
    Bytes(u64),
    /// Whether the kernel has ended one of its processes.
    Kills(Weak<Group>),
}

type Tell = Box<dyn Fn() + Send + Sync>;
type Table = Arc<Mutex<HashMap<String, (Bound, Tell)>>>;

/// Looks at all containers that were added and run.
pub(crate) struct MemoryWatch {
    table: Table,
    _task: AbortOnDropHandle<()>,
}

impl MemoryWatch {
    /// Starts looking; while there is nothing to look at that costs nothing.
    pub(crate) fn start(place: Arc<dyn Runtime>) -> Self {
        let table = Table::default();
        let task = tokio::spawn(look(table.clone(), place));
        Self { table, _task: AbortOnDropHandle::new(task) }
    }

    /// Calls `tell` once when a running container is out of bounds.
    pub(crate) fn add(&self, id: &str, bound: Bound, tell: impl Fn() + Send + Sync + 'static) {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), (bound, Box::new(tell)));
    }
}

async fn look(table: Table, place: Arc<dyn Runtime>) {
    loop {
        tokio::time::sleep(PAUSE).await;
        let ids = after_kills(&table);
        if ids.is_empty() {
            continue;
        }
        let Ok(used) = place.usage(ids.clone(), false).await else { return };
        let over = over(&table, &ids, &used);
        if over.is_empty() {
            continue;
        }
        let Ok(shares) = place.usage(over, true).await else { return };
        let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, usage) in shares {
            if is_over(table.get(&id), &usage)
                && let Some((_, tell)) = table.remove(&id)
            {
                tell();
            }
        }
    }
}

/// Tells of processes that the kernel has ended; the containers whose use is to be looked at.
fn after_kills(table: &Table) -> Vec<String> {
    let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
    table.retain(|_, (bound, tell)| {
        let Bound::Kills(group) = bound else { return true };
        let killed = group.upgrade().map(|group| group.oom_kills() > 0);
        if killed == Some(true) {
            tell();
        }
        killed == Some(false)
    });
    table.iter().filter(|(_, (bound, _))| matches!(bound, Bound::Bytes(_))).map(|(id, _)| id.clone()).collect()
}

/// Those that seem to use too much. Who has ended is looked at no more.
fn over(table: &Table, asked: &[String], used: &[(String, Usage)]) -> Vec<String> {
    let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
    table.retain(|id, _| !asked.contains(id) || used.iter().any(|(one, _)| one == id));
    used.iter().filter(|(id, usage)| is_over(table.get(id), usage)).map(|(id, _)| id.clone()).collect()
}

fn is_over(known: Option<&(Bound, Tell)>, usage: &Usage) -> bool {
    matches!(known, Some((Bound::Bytes(limit), _)) if usage.memory + usage.written > *limit)
}
