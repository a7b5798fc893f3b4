//! A work queue of keys: each key once however often it is marked, never two workers on the same key, marked again while
//! worked on means once more afterwards, and keys that are due later. It knows keys and times, not work.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use prometheus::Histogram;
use tokio::sync::Notify;

use crate::Clock;
use crate::clock::after;

const FIRST_BACKOFF: Duration = Duration::from_millis(5);
const LAST_BACKOFF: Duration = Duration::from_secs(30);

/// What a queue can hold.
pub trait Item: Clone + Eq + Hash + Send + 'static {}
impl<T: Clone + Eq + Hash + Send + 'static> Item for T {}

/// The queue. Cheap to clone; clones share everything.
pub struct Queue<T>(Arc<Shared<T>>);

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

struct Shared<T> {
    clock: Clock,
    state: Mutex<State<T>>,
    wake: Notify,
}

/// Where it is written down how long keys wait and how long they are worked on.
#[derive(Debug, Default)]
pub struct Times {
    /// From when a key wants work until it is taken.
    pub waited: Option<Histogram>,
    /// From when it is taken until that work ends.
    pub worked: Vec<Histogram>,
}

/// What a queue has seen, and how it stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Keys that were marked and were not before.
    pub adds: u64,
    /// Keys that wait to be taken.
    pub depth: usize,
    /// Keys that are worked on.
    pub busy: usize,
    /// Keys that come again after a failure, or at a time that their work asked for.
    pub retries: u64,
    /// Works that went well.
    pub done: u64,
    /// Works that went well and asked for another time.
    pub appointed: u64,
    /// Works that failed.
    pub failed: u64,
    /// How long the keys that are worked on have been so, all together.
    pub unfinished: Duration,
    /// The longest of these.
    pub longest: Duration,
}

struct State<T> {
    times: Times,
    numbers: Numbers,
    /// Since when keys that wait do so.
    since: HashMap<T, Timestamp>,
    /// Since when keys are worked on.
    began: HashMap<T, Timestamp>,
    ready: VecDeque<T>,
    /// In `ready`, or marked while in `working`.
    marked: HashSet<T>,
    working: HashSet<T>,
    later: BinaryHeap<Reverse<(Timestamp, u64)>>,
    /// The tickets in `later` that still count.
    tickets: HashMap<u64, T>,
    ticket_of: HashMap<T, (Timestamp, u64)>,
    /// Keys whose ticket came from the end of their own work: working on them again does away with it.
    own: HashSet<T>,
    next_ticket: u64,
    failures: HashMap<T, u32>,
}

impl<T: Item> Queue<T> {
    /// An empty queue.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self::observed(clock, Times::default())
    }

    /// An empty queue that writes down how long things take.
    #[must_use]
    pub fn observed(clock: Clock, times: Times) -> Self {
        Self(Arc::new(Shared {
            clock,
            state: Mutex::new(State {
                times,
                numbers: Numbers::default(),
                since: HashMap::new(),
                began: HashMap::new(),
                ready: VecDeque::new(),
                marked: HashSet::new(),
                working: HashSet::new(),
                later: BinaryHeap::new(),
                tickets: HashMap::new(),
                ticket_of: HashMap::new(),
                own: HashSet::new(),
                next_ticket: 0,
                failures: HashMap::new(),
            }),
            wake: Notify::new(),
        }))
    }

    /// Marks a key as wanting work now.
    pub fn add(&self, key: T) {
        let now = self.0.clock.now();
        self.state().mark(key, now);
        self.0.wake.notify_one();
    }

    /// Marks a key as wanting work at `at`; an earlier appointment of the key stands.
    pub fn add_at(&self, key: T, at: Timestamp) {
        let mut state = self.state();
        if state.appoint(&key, at) {
            state.own.remove(&key);
            self.0.wake.notify_one();
        }
    }

    /// Marks a key as wanting work after `delay`.
    pub fn add_after(&self, key: T, delay: Duration) {
        self.add_at(key, after(self.0.clock.now(), delay));
    }

    /// Takes the next key that is due, waiting for one. The key is being worked on until [`Self::finish`].
    pub async fn next(&self) -> T {
        loop {
            let due = {
                let now = self.0.clock.now();
                let mut state = self.state();
                state.ripen(now);
                if let Some(key) = state.ready.pop_front() {
                    state.marked.remove(&key);
                    if state.own.remove(&key) {
                        state.cancel(&key);
                    }
                    state.take(&key, now);
                    return key;
                }
                state.later.peek().map(|Reverse((at, _))| *at)
            };
            match due {
                None => self.0.wake.notified().await,
                Some(due) => tokio::select! {
                    () = self.0.wake.notified() => (),
                    () = self.0.clock.sleep_until(due) => (),
                },
            }
        }
    }

    /// Ends the work on a key that went well. It comes again at `again`, or earlier if that was asked for meanwhile.
    pub fn finish(&self, key: &T, again: Option<Timestamp>) {
        let now = self.0.clock.now();
        let mut state = self.state();
        state.failures.remove(key);
        match again {
            Some(at) => {
                state.appoint_own(key, at);
                state.numbers.appointed += 1;
                state.numbers.retries += 1;
            }
            None => state.numbers.done += 1,
        }
        state.release(key, now);
        self.0.wake.notify_one();
    }

    /// Ends the work on a key that failed: it comes again after a pause that doubles each time. Returns the pause.
    pub fn fail(&self, key: &T) -> Duration {
        let now = self.0.clock.now();
        let mut state = self.state();
        let failures = state.failures.entry(key.clone()).or_default();
        *failures = failures.saturating_add(1);
        let pause = FIRST_BACKOFF.saturating_mul(1 << (*failures - 1).min(20)).min(LAST_BACKOFF);
        state.appoint_own(key, after(now, pause));
        state.numbers.failed += 1;
        state.numbers.retries += 1;
        state.release(key, now);
        self.0.wake.notify_one();
        pause
    }

    /// What it has seen, and how it stands.
    #[must_use]
    pub fn numbers(&self) -> Numbers {
        let now = self.0.clock.now();
        let state = self.state();
        let lasting = state.began.values().map(|began| between(*began, now));
        Numbers {
            depth: state.ready.len(),
            busy: state.working.len(),
            unfinished: lasting.clone().sum(),
            longest: lasting.max().unwrap_or_default(),
            ..state.numbers
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Item> State<T> {
    fn mark(&mut self, key: T, now: Timestamp) {
        if !self.marked.insert(key.clone()) {
            return;
        }
        self.numbers.adds += 1;
        if self.times.waited.is_some() {
            self.since.insert(key.clone(), now);
        }
        if !self.working.contains(&key) {
            self.ready.push_back(key);
        }
    }

    fn take(&mut self, key: &T, now: Timestamp) {
        if let (Some(since), Some(waited)) = (self.since.remove(key), &self.times.waited) {
            waited.observe(between(since, now).as_secs_f64());
        }
        if !self.times.worked.is_empty() {
            self.began.insert(key.clone(), now);
        }
        self.working.insert(key.clone());
    }

    fn release(&mut self, key: &T, now: Timestamp) {
        if let Some(began) = self.began.remove(key) {
            let took = between(began, now).as_secs_f64();
            self.times.worked.iter().for_each(|worked| worked.observe(took));
        }
        if self.working.remove(key) && self.marked.contains(key) {
            self.ready.push_back(key.clone());
        }
    }

    /// Makes an appointment unless there is an earlier one; whether it was made.
    fn appoint(&mut self, key: &T, at: Timestamp) -> bool {
        if self.ticket_of.get(key).is_some_and(|(have, _)| *have <= at) {
            return false;
        }
        self.cancel(key);
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.later.push(Reverse((at, ticket)));
        self.ticket_of.insert(key.clone(), (at, ticket));
        self.tickets.insert(ticket, key.clone());
        true
    }

    fn appoint_own(&mut self, key: &T, at: Timestamp) {
        if self.appoint(key, at) {
            self.own.insert(key.clone());
        }
    }

    fn cancel(&mut self, key: &T) {
        if let Some((_, ticket)) = self.ticket_of.remove(key) {
            self.tickets.remove(&ticket);
        }
        while let Some(Reverse((_, ticket))) = self.later.peek()
            && !self.tickets.contains_key(ticket)
        {
            self.later.pop();
        }
    }

    fn ripen(&mut self, now: Timestamp) {
        while let Some(Reverse((at, ticket))) = self.later.peek().copied()
            && (at <= now || !self.tickets.contains_key(&ticket))
        {
            self.later.pop();
            if let Some(key) = self.tickets.remove(&ticket) {
                self.ticket_of.remove(&key);
                self.own.remove(&key);
                self.mark(key, now);
            }
        }
    }
}

/// From one moment to a later one.
fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    fn now<T: Item>(queue: &Queue<T>) -> Option<T> {
        queue.next().now_or_never()
    }

    #[test]
    fn a_key_is_queued_once_and_never_worked_on_twice_at_a_time() {
        let (clock, _hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let queue = Queue::new(clock);
        queue.add("a");
        queue.add("a");
        queue.add("b");
        assert_eq!(now(&queue), Some("a"));
        queue.add("a");
        assert_eq!(now(&queue), Some("b"));
        assert_eq!(now(&queue), None);
        queue.finish(&"a", None);
        assert_eq!(now(&queue), Some("a"));
        queue.finish(&"a", None);
        assert_eq!(now(&queue), None);
    }

    #[test]
    fn appointments_and_growing_pauses() {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let queue = Queue::new(clock.clone());
        queue.add_after("a", Duration::from_secs(9));
        queue.add_after("a", Duration::from_secs(5));
        queue.add_after("a", Duration::from_secs(7));
        hand.advance(Duration::from_secs(4));
        assert_eq!(now(&queue), None);
        hand.advance(Duration::from_secs(1));
        assert_eq!(now(&queue), Some("a"));
        assert_eq!(queue.fail(&"a"), Duration::from_millis(5));
        hand.advance(Duration::from_millis(5));
        assert_eq!(now(&queue), Some("a"));
        assert_eq!(queue.fail(&"a"), Duration::from_millis(10));
        queue.add("a");
        assert_eq!(now(&queue), Some("a"), "a change does not wait for the pause");
        queue.finish(&"a", Some(after(clock.now(), Duration::from_secs(60))));
        hand.advance(Duration::from_secs(59));
        assert_eq!(now(&queue), None);
        hand.advance(Duration::from_secs(1));
        assert_eq!(now(&queue), Some("a"));
    }

    #[test]
    fn what_is_asked_for_during_the_work_is_not_lost_at_its_end() {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let queue = Queue::new(clock.clone());
        queue.add("a");
        assert_eq!(now(&queue), Some("a"));
        queue.add_after("a", Duration::from_millis(50));
        queue.finish(&"a", Some(after(clock.now(), Duration::from_secs(5))));
        hand.advance(Duration::from_millis(50));
        assert_eq!(now(&queue), Some("a"));
        queue.finish(&"a", None);
        hand.advance(Duration::from_secs(9));
        assert_eq!(now(&queue), None);
    }
}
