//! Telling phases and warnings of a submission as they come, each once. It must not judge them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::event::{Event, Talk};
use crate::explain;
use crate::kin::{Kin, is_work, millis, phases, role};
use crate::observe::{View, World};

/// Tells until it is dropped.
#[derive(Debug)]
pub(crate) struct Teller {
    teller: Arc<Telling>,
    task: JoinHandle<()>,
}

struct Telling {
    view: View,
    kin: Arc<Mutex<Kin>>,
    talk: Talk,
    began: Instant,
    told: Mutex<BTreeSet<String>>,
}

impl std::fmt::Debug for Telling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Telling").finish_non_exhaustive()
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Teller {
    /// Begins to tell of what belongs to `kin`.
    pub(crate) fn start(view: View, kin: Arc<Mutex<Kin>>, talk: Talk, began: Instant) -> Self {
        let mut changes = view.clone();
        let teller = Arc::new(Telling { view, kin, talk, began, told: Mutex::default() });
        let task = tokio::spawn({
            let teller = Arc::clone(&teller);
            async move {
                loop {
                    teller.tell();
                    if !changes.change().await {
                        return;
                    }
                }
            }
        });
        Self { teller, task }
    }

    /// Tells what was seen and has not been told yet.
    pub(crate) fn catch_up(&self) {
        self.teller.tell();
    }
}

impl Telling {
    fn tell(&self) {
        let kin = self.kin.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // Held while telling, so that nothing is told twice or out of order.
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fresh = self.view.look(|world| fresh(world, &kin, self.began, &mut told));
        fresh.sort_by_key(|(at, _)| *at);
        for (_, event) in fresh {
            self.talk.tell(event);
        }
    }
}

/// What was not told before, with its time.
fn fresh(world: &World, kin: &Kin, began: Instant, told: &mut BTreeSet<String>) -> Vec<(u64, Event)> {
    let pods = kin.pods(world);
    let own = world
        .records
        .iter()
        .filter(|(uid, record)| record.name.kind != "Pod" && is_work(&record.name.kind) && kin.uids.contains(*uid));
    let concerned: Vec<&String> = pods.iter().chain(own.map(|(uid, _)| uid)).collect();
    let mut fresh = Vec::new();
    for uid in &concerned {
        let record = &world.records[*uid];
        for (index, entered) in phases(record, began).into_iter().enumerate() {
            if told.insert(format!("{uid} {index}")) {
                let event = Event::Phase {
                    object: record.name.clone(),
                    role: role(record.object()),
                    phase: entered.phase,
                    at: Duration::from_millis(entered.at_ms),
                };
                fresh.push((entered.at_ms, event));
            }
        }
    }
    for (uid, record) in world.of_kind("Event").filter(|(_, record)| !record.before) {
        let event = record.object();
        let about = event["involvedObject"]["uid"].as_str().unwrap_or_default();
        if event["type"] == "Warning" && concerned.iter().any(|uid| *uid == about) && told.insert(uid.clone()) {
            let text = explain::event_text(event);
            let warning = Event::Warning(text.trim_start_matches("Warning ").to_owned());
            fresh.push((millis(record.versions[0].at, began), warning));
        }
    }
    fresh
}
