//! Takes keys from a queue and reconciles them, several at once but never one key twice, until cancelled. A failure or a
//! panic of one reconciliation is logged and tried again; it never ends the runner.

use std::collections::HashMap;
use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::error::chain;
use crate::queue::Item;
use crate::{Queue, Result};

/// How long running reconciliations may take to end after a stop was asked for.
const FAREWELL: Duration = Duration::from_millis(500);

/// What a reconciliation asks for when it went well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing until something changes.
    Done,
    /// The same key again at this time, or when something changes.
    At(Timestamp),
}

impl From<Option<Timestamp>> for Action {
    fn from(at: Option<Timestamp>) -> Self {
        at.map_or(Self::Done, Self::At)
    }
}

/// A named loop over a queue.
pub struct Runner<T> {
    /// Name in logs.
    pub name: &'static str,
    /// Where the keys come from.
    pub queue: Queue<T>,
    /// How many keys are worked on at once.
    pub concurrency: usize,
    /// Ends the loop.
    pub token: CancellationToken,
}

/// Sees a controller to its end. An end that nobody asked for is an error in the log; `kind` is what it is a controller of.
pub async fn see_out(
    controller: &'static str,
    kind: &'static str,
    run: impl Future<Output = Result<()>>,
    token: CancellationToken,
) {
    if let Err(error) = run.await
        && !token.is_cancelled()
    {
        tracing::error!(controller, kind, error = %chain(&error), "ended");
    }
}

impl<T: Item + Display> Runner<T> {
    /// Runs until cancelled.
    pub async fn run<F, R>(self, reconcile: F)
    where
        F: Fn(T) -> R,
        R: Future<Output = Result<Action>> + Send + 'static,
    {
        let mut tasks = JoinSet::new();
        let mut keys: HashMap<Id, T> = HashMap::new();
        loop {
            tokio::select! {
                biased;
                () = self.token.cancelled() => break,
                Some(ended) = tasks.join_next_with_id(), if !tasks.is_empty() => self.end(&mut keys, ended),
                key = self.queue.next(), if tasks.len() < self.concurrency.max(1) => {
                    let id = tasks.spawn(reconcile(key.clone())).id();
                    keys.insert(id, key);
                }
            }
        }
        let all = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(FAREWELL, all).await.is_err() {
            tracing::debug!(controller = self.name, "stopped in the middle of work");
        }
    }

    fn end(&self, keys: &mut HashMap<Id, T>, ended: std::result::Result<(Id, Result<Action>), JoinError>) {
        let (id, outcome) = match ended {
            Ok((id, outcome)) => (id, Ok(outcome)),
            Err(error) => (error.id(), Err(error)),
        };
        let Some(key) = keys.remove(&id) else {
            return;
        };
        match outcome {
            Ok(Ok(Action::Done)) => self.queue.finish(&key, None),
            Ok(Ok(Action::At(at))) => self.queue.finish(&key, Some(at)),
            Ok(Err(error)) => {
                let pause = self.queue.fail(&key);
                let error_text = chain(&error);
                if error.is_conflict() || error.is_namespace_terminating() {
                    tracing::debug!(controller = self.name, %key, ?pause, error = error_text, "again");
                } else {
                    tracing::warn!(controller = self.name, %key, ?pause, error = error_text, "failed, again");
                }
            }
            Err(panic) => {
                let pause = self.queue.fail(&key);
                tracing::error!(controller = self.name, %key, ?pause, error = %panic, "broke off, again");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Clock, Error};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::mpsc;

    #[tokio::test]
    async fn failures_and_panics_are_tried_again_and_a_stop_ends_it() {
        let queue = Queue::new(Clock::system());
        let token = CancellationToken::new();
        let runner = Runner { name: "test", queue: queue.clone(), concurrency: 2, token: token.clone() };
        let tries = Arc::new(AtomicUsize::new(0));
        let (sender, mut done) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            let reconcile = |key: String| {
                let (tries, sender) = (tries.clone(), sender.clone());
                async move {
                    match tries.fetch_add(1, Ordering::SeqCst) {
                        0 => Err(Error::Invalid("first".to_owned())),
                        1 => panic!("second"),
                        _ => {
                            sender.send(key).ok();
                            Ok(Action::Done)
                        }
                    }
                }
            };
            runner.run(reconcile).await;
        });
        queue.add("a".to_owned());
        assert_eq!(done.recv().await.as_deref(), Some("a"));
        token.cancel();
        assert!(task.await.is_ok());
    }
}
