//! Waits driven by watches: a judge looks at the objects of a collection each time one of them changes, until it is content or
//! the time is over. Nothing here polls, and nothing here knows what the objects mean.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::ControlFlow;
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use kube::api::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;

/// The objects of a selection, by namespace and name.
pub type Known<K> = BTreeMap<(String, String), K>;

/// Why a wait ended without what it waited for.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// The time is over.
    #[error("waited {:.1} s in vain for {what}", .budget.as_secs_f32())]
    TimedOut {
        /// What was waited for.
        what: String,
        /// How long.
        budget: Duration,
        /// What the watch last complained about, if it did.
        #[source]
        source: Option<Box<watcher::Error>>,
    },
    /// The API refuses the watch; trying again would not help.
    #[error("cannot watch for {what}")]
    Refused {
        /// What was waited for.
        what: String,
        /// The refusal.
        #[source]
        source: Box<watcher::Error>,
    },
}

/// Whether the API has said that this request will never be granted as it stands.
#[must_use]
pub fn is_refusal(error: &watcher::Error) -> bool {
    let source = match error {
        watcher::Error::InitialListFailed(source)
        | watcher::Error::WatchStartFailed(source)
        | watcher::Error::WatchFailed(source) => source,
        watcher::Error::WatchError(status) => return matches!(status.code, 401 | 403 | 404),
        _ => return false,
    };
    matches!(source, kube::Error::Api(status) if matches!(status.code, 401 | 403 | 404))
}

/// Waits until `judge` breaks with a value. It is asked once the selection has been listed, and after every change.
///
/// # Errors
/// When the budget is used up, or when the API refuses the watch.
pub async fn until<K, R>(
    api: Api<K>,
    selection: watcher::Config,
    what: &str,
    budget: Duration,
    mut judge: impl FnMut(&Known<K>) -> ControlFlow<R>,
) -> Result<R, WaitError>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut complaint = None;
    let watching = async {
        let mut events = pin!(watcher::watcher(api, selection).default_backoff());
        let mut known = Known::new();
        let mut listing = Known::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init) => {
                    listing.clear();
                    continue;
                }
                Ok(Event::InitApply(object)) => {
                    listing.insert(key(&object), object);
                    continue;
                }
                Ok(Event::InitDone) => known = std::mem::take(&mut listing),
                Ok(Event::Apply(object)) => {
                    known.insert(key(&object), object);
                }
                Ok(Event::Delete(object)) => {
                    known.remove(&key(&object));
                }
                Err(error) if is_refusal(&error) => {
                    return Err(WaitError::Refused { what: what.to_owned(), source: Box::new(error) });
                }
                Err(error) => {
                    complaint = Some(Box::new(error));
                    continue;
                }
            }
            if let ControlFlow::Break(found) = judge(&known) {
                return Ok(found);
            }
        }
        std::future::pending().await
    };
    match tokio::time::timeout(budget, watching).await {
        Ok(outcome) => outcome,
        Err(_) => Err(WaitError::TimedOut { what: what.to_owned(), budget, source: complaint }),
    }
}

/// Waits until one object satisfies `content`; `None` is given while it does not exist.
///
/// # Errors
/// When the budget is used up, or when the API refuses the watch.
pub async fn object<K>(
    api: Api<K>,
    name: &str,
    what: &str,
    budget: Duration,
    mut content: impl FnMut(Option<&K>) -> bool,
) -> Result<Option<K>, WaitError>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let selection = watcher::Config::default().fields(&format!("metadata.name={name}"));
    until(api, selection, what, budget, |known| {
        let found = known.values().next();
        if content(found) { ControlFlow::Break(found.cloned()) } else { ControlFlow::Continue(()) }
    })
    .await
}

/// Waits until the object of this name and uid is gone; a later one of the same name does not matter.
///
/// # Errors
/// When the budget is used up, or when the API refuses the watch.
pub async fn gone<K>(api: Api<K>, name: &str, uid: &str, budget: Duration) -> Result<(), WaitError>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let what = format!("{name} to be gone");
    object(api, name, &what, budget, |found| found.is_none_or(|object| object.uid().as_deref() != Some(uid)))
        .await
        .map(drop)
}

fn key<K: Resource>(object: &K) -> (String, String) {
    (object.namespace().unwrap_or_default(), object.name_any())
}
