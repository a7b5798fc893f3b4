//! The rows of all objects, and what has changed since when: a page that comes late, or again, is told what it does not know and no
//! more. It must not ask a cluster.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::watch;

use crate::row::{Row, Tone};

/// How many objects that are gone are remembered.
const GONE: usize = 4096;

/// Which object: kind, namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub(crate) struct Key(pub(crate) &'static str, pub(crate) String, pub(crate) String);

impl Key {
    fn of(row: &Row) -> Self {
        Self(row.k, row.ns.clone(), row.n.clone())
    }
}

/// How many objects there are of a kind: good, busy, bad, calm.
pub(crate) type Counts = BTreeMap<&'static str, [usize; 4]>;

/// What a page does not know yet.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Delta {
    /// How far it goes.
    pub(crate) to: u64,
    /// What the page has is to be forgotten.
    pub(crate) reset: bool,
    /// Rows that are new or different, as JSON.
    pub(crate) put: Vec<Arc<str>>,
    /// What is gone.
    pub(crate) del: Vec<Key>,
    /// Namespaces in which anything has changed.
    pub(crate) stirred: BTreeSet<String>,
}

/// The rows. Shared by all pages.
#[derive(Debug)]
pub(crate) struct Board {
    state: Mutex<State>,
    moved: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    rows: BTreeMap<Key, Entry>,
    /// What changed when, each object once.
    log: BTreeMap<u64, Key>,
    /// The last change.
    last: u64,
    /// Objects that are gone are not known to whoever knows no more than this.
    floor: u64,
    counts: Counts,
    gone: BTreeSet<u64>,
    synced: BTreeSet<&'static str>,
    refused: BTreeMap<&'static str, String>,
}

#[derive(Debug)]
struct Entry {
    at: u64,
    /// Nothing when it is gone.
    row: Option<Shown>,
}

#[derive(Debug)]
struct Shown {
    json: Arc<str>,
    uid: Box<str>,
    owners: Box<[String]>,
    tone: Tone,
}

/// An object as the tree needs it.
#[derive(Debug, Clone)]
pub(crate) struct Owned {
    pub(crate) key: Key,
    pub(crate) uid: String,
    pub(crate) json: Arc<str>,
}

impl Default for Board {
    fn default() -> Self {
        Self { state: Mutex::default(), moved: watch::Sender::new(0) }
    }
}

impl Board {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in an object as it is now; what looks as before is no change.
    pub(crate) fn put(&self, row: &Row) {
        let json: Arc<str> = serde_json::to_string(row).unwrap_or_default().into();
        let mut state = self.state();
        let key = Key::of(row);
        if state.rows.get(&key).and_then(|entry| entry.row.as_ref()).is_some_and(|shown| shown.json == json) {
            return;
        }
        let shown = Shown { json, uid: row.u.as_str().into(), owners: row.o.clone().into(), tone: row.t };
        state.enter(key, Some(shown));
        self.tell(state);
    }

    /// Takes in that an object is gone.
    pub(crate) fn remove(&self, key: &Key) {
        let mut state = self.state();
        if state.rows.get(key).is_some_and(|entry| entry.row.is_some()) {
            state.enter(key.clone(), None);
            state.forget_some();
            self.tell(state);
        }
    }

    /// Takes in that there is nothing of a kind but these.
    pub(crate) fn only(&self, kind: &'static str, seen: &BTreeSet<Key>) {
        for key in self.keys(kind).into_iter().filter(|key| !seen.contains(key)) {
            self.remove(&key);
        }
        let mut state = self.state();
        state.synced.insert(kind);
        state.refused.remove(kind);
        state.last += 1;
        self.tell(state);
    }

    /// Takes in that a kind cannot be looked at.
    pub(crate) fn refuse(&self, kind: &'static str, why: String) {
        let mut state = self.state();
        if state.refused.get(kind) != Some(&why) {
            state.refused.insert(kind, why);
            state.last += 1;
            self.tell(state);
        }
    }

    /// Forgets everything: nobody looks any more.
    pub(crate) fn clear(&self) {
        let mut state = self.state();
        let last = state.last + 1;
        *state = State { last, floor: last, ..State::default() };
    }

    fn tell(&self, state: MutexGuard<'_, State>) {
        let last = state.last;
        drop(state);
        self.moved.send_replace(last);
    }

    fn keys(&self, kind: &'static str) -> Vec<Key> {
        self.state().of(kind).map(|(key, _)| key.clone()).collect()
    }

    /// Tells of changes.
    pub(crate) fn moves(&self) -> watch::Receiver<u64> {
        self.moved.subscribe()
    }

    /// What has changed after `known`, of these kinds; everything when that is too long ago.
    pub(crate) fn since(&self, known: Option<u64>, kinds: &[&'static str]) -> Delta {
        let state = self.state();
        let mut delta = Delta { to: state.last, ..Delta::default() };
        let Some(known) = known.filter(|known| *known >= state.floor) else {
            delta.reset = true;
            for kind in kinds {
                delta.put.extend(state.of(kind).map(|(_, shown)| shown.json.clone()));
            }
            return delta;
        };
        for key in state.log.range((Bound::Excluded(known), Bound::Unbounded)).map(|(_, key)| key) {
            delta.stirred.insert(key.1.clone());
            if !kinds.contains(&key.0) {
                continue;
            }
            match state.rows.get(key).and_then(|entry| entry.row.as_ref()) {
                Some(shown) => delta.put.push(shown.json.clone()),
                None => delta.del.push(key.clone()),
            }
        }
        delta
    }

    /// How many there are.
    pub(crate) fn counts(&self) -> Counts {
        self.state().counts.clone()
    }

    /// The kinds that cannot be looked at, and why.
    pub(crate) fn refused(&self) -> BTreeMap<&'static str, String> {
        self.state().refused.clone()
    }

    /// Whether all of these kinds have been listed, or cannot be.
    pub(crate) fn is_synced(&self, kinds: &[&'static str]) -> bool {
        let state = self.state();
        kinds.iter().all(|kind| state.synced.contains(kind) || state.refused.contains_key(kind))
    }

    /// One object.
    pub(crate) fn get(&self, key: &Key) -> Option<Owned> {
        let state = self.state();
        state.rows.get(key)?.row.as_ref().map(|shown| owned(key, shown))
    }

    /// What each object owns, by its UID.
    pub(crate) fn children(&self) -> HashMap<String, Vec<Owned>> {
        let state = self.state();
        let mut children: HashMap<String, Vec<Owned>> = HashMap::new();
        for (key, entry) in &state.rows {
            let Some(shown) = entry.row.as_ref().filter(|_| !matches!(key.0, "Event" | crate::kinds::DRIVER)) else {
                continue;
            };
            for owner in &shown.owners {
                children.entry(owner.clone()).or_default().push(owned(key, shown));
            }
        }
        children
    }
}

fn owned(key: &Key, shown: &Shown) -> Owned {
    Owned { key: key.clone(), uid: shown.uid.to_string(), json: shown.json.clone() }
}

impl State {
    fn of<'a>(&'a self, kind: &'static str) -> impl Iterator<Item = (&'a Key, &'a Shown)> {
        let from = Key(kind, String::new(), String::new());
        let all = self.rows.range(from..).take_while(move |(key, _)| key.0 == kind);
        all.filter_map(|(key, entry)| Some((key, entry.row.as_ref()?)))
    }

    fn enter(&mut self, key: Key, row: Option<Shown>) {
        self.last += 1;
        let tone = row.as_ref().map(|shown| shown.tone);
        if row.is_none() {
            self.gone.insert(self.last);
        }
        let kind = key.0;
        self.log.insert(self.last, key.clone());
        let old = self.rows.insert(key, Entry { at: self.last, row });
        if let Some(old) = &old {
            self.log.remove(&old.at);
            self.gone.remove(&old.at);
        }
        let counts = self.counts.entry(kind).or_default();
        if let Some(tone) = old.and_then(|old| old.row).map(|shown| shown.tone) {
            counts[tone as usize] -= 1;
        }
        if let Some(tone) = tone {
            counts[tone as usize] += 1;
        }
    }

    /// Of those that are gone, the oldest are forgotten.
    fn forget_some(&mut self) {
        while self.gone.len() > GONE {
            let Some(at) = self.gone.pop_first() else { return };
            if let Some(key) = self.log.remove(&at) {
                self.rows.remove(&key);
            }
            self.floor = at;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn row(k: &'static str, n: &str, s: &str, t: Tone) -> Row {
        let text = str::to_owned;
        let (u, c, m) = (format!("uid-{n}"), String::new(), String::new());
        Row { k, ns: text("jobs"), n: text(n), u, s: text(s), t, c, m, o: Vec::new(), x: Value::Null }
    }

    fn key(k: &'static str, n: &str) -> Key {
        Key(k, "jobs".to_owned(), n.to_owned())
    }

    /// Names and states of what is put.
    fn put(delta: &Delta) -> Vec<String> {
        let read = |json: &Arc<str>| serde_json::from_str::<Value>(json).expect("JSON");
        let line =
            |row: Value| format!("{}={}", row["n"].as_str().expect("a name"), row["s"].as_str().expect("a state"));
        delta.put.iter().map(read).map(line).collect()
    }

    #[test]
    fn a_page_is_told_what_it_does_not_know_and_no_more() {
        let board = Board::default();
        board.put(&row("Pod", "a", "Pending", Tone::Busy));
        board.put(&row("Pod", "b", "Running", Tone::Good));
        board.put(&row("Job", "j", "Active", Tone::Busy));
        let first = board.since(None, &["Pod"]);
        assert!(first.reset);
        assert_eq!(put(&first), ["a=Pending", "b=Running"]);

        // Many changes of one object are one, and what looks the same is none.
        board.put(&row("Pod", "a", "Running", Tone::Good));
        board.put(&row("Pod", "a", "Succeeded", Tone::Calm));
        board.put(&row("Pod", "b", "Running", Tone::Good));
        board.put(&row("Job", "j", "Complete", Tone::Good));
        let second = board.since(Some(first.to), &["Pod"]);
        assert!(!second.reset);
        assert_eq!(put(&second), ["a=Succeeded"]);
        assert_eq!(second.stirred, BTreeSet::from(["jobs".to_owned()]));
        assert_eq!(board.counts(), Counts::from([("Pod", [1, 0, 0, 1]), ("Job", [1, 0, 0, 0])]));

        board.remove(&key("Pod", "b"));
        let third = board.since(Some(second.to), &["Pod", "Job"]);
        assert_eq!((put(&third), third.del), (vec![], vec![key("Pod", "b")]));
        assert_eq!(board.counts()["Pod"], [0, 0, 0, 1]);
        assert_eq!(board.since(Some(third.to), &["Pod", "Job"]), Delta { to: third.to, ..Delta::default() });
    }

    #[test]
    fn a_list_takes_away_what_is_not_in_it() {
        let board = Board::default();
        board.put(&row("Pod", "a", "Running", Tone::Good));
        board.put(&row("Pod", "b", "Running", Tone::Good));
        let known = board.since(None, &["Pod"]).to;
        assert!(!board.is_synced(&["Pod"]));
        board.only("Pod", &BTreeSet::from([key("Pod", "b")]));
        assert!(board.is_synced(&["Pod"]));
        assert_eq!(board.since(Some(known), &["Pod"]).del, [key("Pod", "a")]);
    }

    #[test]
    fn who_comes_too_late_begins_anew() {
        let board = Board::default();
        let known = board.since(None, &["Pod"]).to;
        for number in 0..=GONE {
            let name = format!("p{number}");
            board.put(&row("Pod", &name, "Running", Tone::Good));
            board.remove(&key("Pod", &name));
        }
        board.put(&row("Pod", "last", "Running", Tone::Good));
        let late = board.since(Some(known), &["Pod"]);
        assert!(late.reset);
        assert_eq!(put(&late), ["last=Running"]);
        assert!(board.state().rows.len() <= GONE + 1);
        board.clear();
        assert!(board.since(Some(late.to), &["Pod"]).reset);
    }
}
