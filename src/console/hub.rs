//! The watches behind the board: they run while somebody looks, and a while longer. It must not know pages.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use kube::core::{ApiResource, DynamicObject};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt};
use tinderbox_api::spark::labels;
use tinderbox_client::discovery::served;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::board::{Board, Key};
use crate::kinds::{self, DRIVER, WATCHED};
use crate::row::row;

/// How long the watches go on when nobody looks.
const LINGER: Duration = Duration::from_secs(60);
/// How often the API is asked for kinds that it does not serve yet.
const AGAIN: Duration = Duration::from_secs(5);
/// Pauses after a watch that failed.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(10);

/// All watches.
pub(crate) struct Hub {
    client: Client,
    namespace: Option<String>,
    board: Arc<Board>,
    tracker: TaskTracker,
    token: CancellationToken,
    watch: Mutex<Watch>,
}

#[derive(Default)]
struct Watch {
    lookers: usize,
    /// How often somebody has come.
    visits: u64,
    stop: Option<CancellationToken>,
}

/// Somebody looks. Dropped, nobody does.
pub(crate) struct Looker(Arc<Hub>);

impl Drop for Looker {
    fn drop(&mut self) {
        let mut watch = self.0.watch();
        watch.lookers -= 1;
        if watch.lookers == 0 {
            let (hub, visits) = (self.0.clone(), watch.visits);
            drop(watch);
            let token = hub.token.clone();
            self.0.tracker.clone().spawn(async move {
                tokio::select! {
                    () = tokio::time::sleep(LINGER) => hub.end(visits),
                    () = token.cancelled() => {}
                }
            });
        }
    }
}

impl Hub {
    pub(crate) fn new(
        client: Client,
        namespace: Option<String>,
        tracker: TaskTracker,
        token: CancellationToken,
    ) -> Arc<Self> {
        let (board, watch) = (Arc::default(), Mutex::default());
        Arc::new(Self { client, namespace, board, tracker, token, watch })
    }

    pub(crate) fn board(&self) -> &Arc<Board> {
        &self.board
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody looks from now on.
    pub(crate) fn look(self: &Arc<Self>) -> Looker {
        let mut watch = self.watch();
        watch.lookers += 1;
        watch.visits += 1;
        if watch.stop.is_none() {
            let stop = self.token.child_token();
            watch.stop = Some(stop.clone());
            self.tracker.spawn(self.clone().run(stop));
        }
        Looker(self.clone())
    }

    /// Ends the watches, unless somebody has come since.
    fn end(&self, visits: u64) {
        let mut watch = self.watch();
        if watch.lookers == 0
            && watch.visits == visits
            && let Some(stop) = watch.stop.take()
        {
            stop.cancel();
            self.board.clear();
        }
    }

    /// Starts a watch of every kind that the API serves, those included that come later.
    async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut missing: Vec<(&str, &'static str)> = WATCHED.to_vec();
        while !missing.is_empty() {
            match served(&self.client).await {
                Ok(served) => missing.retain(|wanted| {
                    let Some((resource, namespaced)) = kinds::resource(&served, *wanted) else {
                        self.board.refuse(wanted.1, "this cluster does not have the kind".to_owned());
                        return true;
                    };
                    let follow = self.clone().follow(wanted.1, resource, namespaced, stop.clone());
                    self.tracker.spawn(follow);
                    false
                }),
                Err(error) => tracing::debug!(%error, "the API does not tell what it serves"),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
    }

    async fn follow(
        self: Arc<Self>,
        kind: &'static str,
        resource: ApiResource,
        namespaced: bool,
        stop: CancellationToken,
    ) {
        let api: Api<DynamicObject> = match &self.namespace {
            Some(namespace) if namespaced => Api::namespaced_with(self.client.clone(), namespace, &resource),
            _ => Api::all_with(self.client.clone(), &resource),
        };
        let mut events = pin!(watcher(api, watcher::Config::default()));
        let (mut pause, mut seen, mut drivers) = (FIRST_RETRY, BTreeSet::new(), BTreeSet::new());
        loop {
            let event = tokio::select! {
                () = stop.cancelled() => return,
                event = events.next() => event,
            };
            match event {
                Some(Ok(Event::Init)) => (seen, drivers) = (BTreeSet::new(), BTreeSet::new()),
                Some(Ok(Event::InitApply(object))) => {
                    let (key, driver) = self.put(kind, &object);
                    seen.insert(key);
                    drivers.extend(driver);
                }
                Some(Ok(Event::InitDone)) => {
                    pause = FIRST_RETRY;
                    self.board.only(kind, &seen);
                    if kind == "Pod" {
                        self.board.only(DRIVER, &drivers);
                    }
                    (seen, drivers) = (BTreeSet::new(), BTreeSet::new());
                }
                Some(Ok(Event::Apply(object))) => {
                    self.put(kind, &object);
                }
                Some(Ok(Event::Delete(object))) => {
                    let [namespace, name] = [object.namespace().unwrap_or_default(), object.name_any()];
                    self.board.remove(&Key(kind, namespace.clone(), name.clone()));
                    self.board.remove(&Key(DRIVER, namespace, name));
                }
                Some(Err(error)) => {
                    self.board.refuse(kind, tinderbox_client::error::chain(&error));
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(pause) => pause = (pause * 2).min(LAST_RETRY),
                    }
                }
                None => return,
            }
        }
    }

    /// Takes in an object, as a driver too if it is one that nobody operates.
    fn put(&self, kind: &'static str, object: &DynamicObject) -> (Key, Option<Key>) {
        let [namespace, name] = [object.namespace().unwrap_or_default(), object.name_any()];
        self.board.put(&row(kind, object));
        let has = object.labels();
        let is_driver =
            has.get(labels::ROLE).is_some_and(|role| role == "driver") && !has.contains_key(labels::APP_NAME);
        let driver = (kind == "Pod" && is_driver).then(|| {
            self.board.put(&row(DRIVER, object));
            Key(DRIVER, namespace.clone(), name.clone())
        });
        (Key(kind, namespace, name), driver)
    }
}
