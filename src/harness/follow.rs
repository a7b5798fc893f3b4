//! Following the logs of pods as they appear: every line is told and kept, since pods may go before anyone asks what they said.
//! It must not judge what it reads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures::{AsyncBufReadExt, AsyncReadExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, LogParams};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::event::{Event, Role, Talk};
use crate::kin::{Kin, role};
use crate::observe::{Record, View, World};

/// Most bytes that are kept of one container; what came first goes first.
const KEPT: usize = 16 << 20;

/// The log of one run of one container.
#[derive(Debug, Clone, Default)]
pub(crate) struct Text {
    /// Name of the pod.
    pub pod: String,
    /// The pod's part.
    pub role: Option<Role>,
    /// Name of the container.
    pub container: String,
    /// Its lines.
    pub lines: Vec<String>,
    /// When each of them was read.
    pub times: Vec<Instant>,
    /// Nothing more will come.
    pub ended: bool,
    /// Lines at the beginning that are no longer kept.
    pub dropped: usize,
    bytes: usize,
}

/// Identity of a container's run: pod UID, container, restart.
pub(crate) type RunKey = (String, String, i64);

/// All logs that were followed.
pub(crate) type Texts = BTreeMap<RunKey, Text>;

/// Follows logs until it is dropped.
#[derive(Debug)]
pub(crate) struct Follower {
    texts: Arc<Mutex<Texts>>,
    changed: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Follower {
    /// Follows every container of the pods of `kin`.
    #[must_use]
    pub(crate) fn start(client: Client, mut view: View, kin: Arc<Mutex<Kin>>, talk: Talk) -> Self {
        let texts = Arc::new(Mutex::new(Texts::new()));
        let (change, changed) = watch::channel(0);
        let task = tokio::spawn({
            let texts = Arc::clone(&texts);
            let change = Arc::new(change);
            async move {
                let mut streams = JoinSet::new();
                let mut known = BTreeSet::new();
                loop {
                    for (key, namespace, text) in fresh(&view, &kin, &known) {
                        known.insert(key.clone());
                        lock(&texts).insert(key.clone(), text.clone());
                        let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace);
                        streams.spawn(stream(pods, key, text, Arc::clone(&texts), Arc::clone(&change), talk.clone()));
                    }
                    if !view.change().await {
                        break;
                    }
                }
                while streams.join_next().await.is_some() {}
            }
        });
        Self { texts, changed, task }
    }

    /// Looks at what was written so far.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&Texts) -> R) -> R {
        look(&lock(&self.texts))
    }

    /// Waits until `judge` gives a value. It is asked now and after every line.
    pub(crate) async fn until<R>(&self, mut judge: impl FnMut(&Texts) -> Option<R>) -> Option<R> {
        let mut changed = self.changed.clone();
        loop {
            changed.mark_unchanged();
            if let Some(found) = judge(&lock(&self.texts)) {
                return Some(found);
            }
            changed.changed().await.ok()?;
        }
    }
}

/// The containers that have begun and are not followed yet.
fn fresh(view: &View, kin: &Mutex<Kin>, known: &BTreeSet<RunKey>) -> Vec<(RunKey, String, Text)> {
    let kin = kin.lock().unwrap_or_else(PoisonError::into_inner).clone();
    view.look(|world| {
        let mut found = Vec::new();
        for uid in kin.pods(world) {
            let record = &world.records[&uid];
            for key in runs(&uid, record, &["running", "terminated"]).into_iter().filter(|key| !known.contains(key)) {
                let text = Text {
                    pod: record.name.name.clone(),
                    role: Some(role(record.object())),
                    container: key.1.clone(),
                    ..Text::default()
                };
                found.push((key, record.name.namespace.clone(), text));
            }
        }
        found
    })
}

/// The runs of these pods' containers that are over.
pub(crate) fn over(world: &World, pods: &[String]) -> Vec<RunKey> {
    pods.iter().flat_map(|uid| runs(uid, &world.records[uid], &["terminated"])).collect()
}

/// The present runs of a pod's containers that are in one of these states.
fn runs(uid: &str, pod: &Record, states: &[&str]) -> Vec<RunKey> {
    let status = &pod.object()["status"];
    let statuses = ["initContainerStatuses", "containerStatuses"].map(|field| status[field].as_array());
    let is_meant =
        |status: &&Value| states.iter().any(|state| status["state"].get(state).is_some_and(Value::is_object));
    let key = |status: &Value| {
        let container = status["name"].as_str().unwrap_or_default().to_owned();
        (uid.to_owned(), container, status["restartCount"].as_i64().unwrap_or(0))
    };
    statuses.into_iter().flatten().flatten().filter(is_meant).map(key).collect()
}

async fn stream(
    pods: Api<Pod>,
    key: RunKey,
    text: Text,
    texts: Arc<Mutex<Texts>>,
    change: Arc<watch::Sender<u64>>,
    talk: Talk,
) {
    let parameters = LogParams { container: Some(text.container.clone()), follow: true, ..LogParams::default() };
    match pods.log_stream(&text.pod, &parameters).await {
        Ok(stream) => {
            let mut stream = std::pin::pin!(stream);
            let mut line = Vec::new();
            // A stream that breaks has ended: what came is kept.
            while (&mut stream).take(1 << 20).read_until(b'\n', &mut line).await.is_ok_and(|count| count > 0) {
                let words = String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned();
                line.clear();
                if let Some(text) = lock(&texts).get_mut(&key) {
                    text.push(words.clone());
                }
                talk.tell(Event::Line {
                    pod: text.pod.clone(),
                    container: text.container.clone(),
                    role: text.role.unwrap_or(Role::Plain),
                    text: words,
                });
                change.send_modify(|count| *count += 1);
            }
        }
        Err(error) => tracing::debug!(%error, pod = text.pod, "log cannot be followed"),
    }
    if let Some(text) = lock(&texts).get_mut(&key) {
        text.ended = true;
    }
    change.send_modify(|count| *count += 1);
}

impl Text {
    /// What was said before anyone followed.
    pub(crate) fn of(pod: &Record, container: &str, said: &str) -> Self {
        Self {
            pod: pod.name.name.clone(),
            role: Some(role(pod.object())),
            container: container.to_owned(),
            lines: said.lines().map(str::to_owned).collect(),
            ended: true,
            ..Self::default()
        }
    }

    fn push(&mut self, line: String) {
        self.bytes += line.len();
        self.lines.push(line);
        self.times.push(Instant::now());
        if self.bytes > KEPT {
            let half = self.lines.len() / 2;
            self.bytes -= self.lines.drain(..half).map(|line| line.len()).sum::<usize>();
            self.times.drain(..half);
            self.dropped += half;
        }
    }
}

fn lock(texts: &Mutex<Texts>) -> MutexGuard<'_, Texts> {
    texts.lock().unwrap_or_else(PoisonError::into_inner)
}
