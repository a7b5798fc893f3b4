//! Locks of workflows and of nodes: taken before, given back after.
//! Upstream rule: `workflow/sync` of argoproj/argo-workflows.

use tinderbox_api::workflows::{
    Holding, LockStatus, NodePhase, NodeSynchronization, Synchronization, SynchronizationStatus,
};

use jiff::SignedDuration;

use super::Operation;
use super::call::Call;
use super::execute::Body;
use crate::durations::after;
use crate::locks::Claim;
use crate::names::kind_of;
use crate::tags::{Unknown, fill_in};

/// How soon the number of a semaphore is read again while somebody waits.
const AGAIN: SignedDuration = SignedDuration::from_secs(10);

impl Operation<'_> {
    /// The locks that are wanted, by name, each with how many may hold it.
    fn wanted(&self, wanted: &Synchronization) -> Result<Vec<(String, usize)>, String> {
        let mut locks = Vec::new();
        for mutex in wanted.mutexes.iter().chain(&wanted.mutex) {
            if mutex.database == Some(true) {
                return Err(format!(
                    "mutex {}: locks in a database are not carried out by the builtin controller",
                    mutex.name
                ));
            }
            let namespace = mutex.namespace.as_deref().unwrap_or(&self.namespace);
            locks.push((format!("{namespace}/Mutex/{}", mutex.name), 1));
        }
        for semaphore in wanted.semaphores.iter().chain(&wanted.semaphore) {
            let Some(reference) = &semaphore.config_map_key_ref else {
                return Err(
                    "semaphores in a database are not carried out by the builtin controller: use configMapKeyRef"
                        .to_owned(),
                );
            };
            let namespace = semaphore.namespace.as_deref().unwrap_or(&self.namespace);
            let limit = self.observed.config_maps.get(&reference.name).and_then(|map| map.get(&reference.key));
            let limit = limit.ok_or_else(|| {
                format!(
                    "failed to initialize semaphore with configMap \"{}\", key \"{}\": it is not there",
                    reference.name, reference.key
                )
            })?;
            let limit = limit
                .trim()
                .parse()
                .map_err(|_| format!("the limit {limit:?} of semaphore {} is no number", reference.name))?;
            locks.push((format!("{namespace}/ConfigMap/{}/{}", reference.name, reference.key), limit));
        }
        locks.sort();
        Ok(locks)
    }

    /// Takes all locks or none; what is to be said while it waits.
    pub(super) fn acquire(&mut self, wanted: &Synchronization, holder: &str) -> Result<Option<String>, String> {
        let wanted = self.wanted(wanted)?;
        let created = self.workflow.metadata.creation_timestamp.as_ref().map_or(0, |time| time.0.as_second());
        let claim = Claim { holder: holder.to_owned(), priority: self.spec.priority.unwrap_or_default(), created };
        let held: Vec<String> = self.locks.held(holder).into_iter().map(str::to_owned).collect();
        let mut taken: Vec<String> = Vec::new();
        for (name, limit) in &wanted {
            if let Err((free, limit)) = self.locks.acquire(name, *limit, &claim) {
                for taken in taken.iter().filter(|taken| !held.contains(taken)) {
                    self.locks.release(taken, holder);
                }
                if name.contains("/ConfigMap/") {
                    // How many may hold it is written where nobody watches.
                    self.turn.at(after(self.now, AGAIN));
                }
                return Ok(Some(format!("Waiting for {name} lock. Lock status: {free}/{limit}")));
            }
            taken.push(name.clone());
        }
        Ok(None)
    }

    /// Takes the locks of a node's template; whether it may go on.
    pub(super) fn pass_locks(&mut self, call: &Call, body: &Body) -> bool {
        let Some(wanted) = &body.template.synchronization else { return true };
        let id = self.id(&call.name);
        let holder = format!("{}/{}/{id}", self.namespace, self.name);
        let answer = fill_in(wanted, &body.scope, Unknown::Refused).and_then(|wanted| self.acquire(&wanted, &holder));
        match answer {
            Ok(None) => {
                // It was made while it waited; from here it is made anew, as what it is.
                if self.node(&id).is_some_and(|node| node.synchronization_status.is_some()) {
                    self.status.nodes.remove(&id);
                }
                true
            }
            Ok(Some(message)) => {
                let kind = kind_of(&body.template);
                let lock = message
                    .strip_prefix("Waiting for ")
                    .and_then(|rest| rest.split(' ').next())
                    .unwrap_or_default()
                    .to_owned();
                if self.node(&id).is_none() {
                    self.make(call, kind, NodePhase::Pending, Some(body.inputs.clone()));
                }
                if let Some(node) = self.status.nodes.get_mut(&id) {
                    node.message = Some(message);
                    node.synchronization_status = Some(NodeSynchronization { waiting: Some(lock) });
                }
                false
            }
            Err(why) => {
                self.refuse(call, why);
                false
            }
        }
    }

    /// Gives back the locks of a node.
    pub(super) fn release_node(&mut self, id: &str) {
        let holder = format!("{}/{}/{id}", self.namespace, self.name);
        for name in self.locks.held(&holder).into_iter().map(str::to_owned).collect::<Vec<_>>() {
            self.locks.release(&name, &holder);
        }
        let waiting =
            self.node(id).and_then(|node| node.synchronization_status.clone()).and_then(|status| status.waiting);
        if let Some(name) = waiting {
            self.locks.release(&name, &holder);
        }
    }

    /// Writes the locks that are held into the status, so that another process finds them.
    pub(super) fn note_locks(&mut self) {
        let workflow = format!("{}/{}", self.namespace, self.name);
        let mut holders: Vec<String> = vec![workflow.clone()];
        holders.extend(
            self.status
                .nodes
                .values()
                .filter(|node| !node.phase.is_fulfilled())
                .map(|node| format!("{workflow}/{}", node.id)),
        );
        let mut status = SynchronizationStatus::default();
        for holder in holders {
            for name in self.locks.held(&holder) {
                if name.contains("/Mutex/") {
                    let held =
                        Holding { mutex: Some(name.to_owned()), holder: Some(holder.clone()), ..Holding::default() };
                    status.mutex.get_or_insert_with(LockStatus::default).holding.push(held);
                } else {
                    let all = &mut status.semaphore.get_or_insert_with(LockStatus::default).holding;
                    match all.iter_mut().find(|held| held.semaphore.as_deref() == Some(name)) {
                        Some(held) => held.holders.push(holder.clone()),
                        None => all.push(Holding {
                            semaphore: Some(name.to_owned()),
                            holders: vec![holder.clone()],
                            ..Holding::default()
                        }),
                    }
                }
            }
        }
        self.status.synchronization = Some(status).filter(|status| *status != SynchronizationStatus::default());
    }
}
