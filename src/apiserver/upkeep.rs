//! What the server does unasked: it follows definitions, also where whoever wrote one has gone before the end of the
//! request, writes its own service again where it was deleted, and forgets events that are an hour old. It ends with the
//! server.

use std::sync::{Arc, Weak};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tinderbox_store::Collection;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::object::text;
use crate::{ApiServer, Inner, codec, custom, own_service};

/// How long an event is kept after it was last seen, as upstream.
const EVENT_LIFE: SignedDuration = SignedDuration::from_hours(1);
/// How often old events are looked for.
const SWEEP: Duration = Duration::from_secs(60);
/// How often the server's own service is looked at, as upstream.
const RECONCILE: Duration = Duration::from_secs(10);

impl ApiServer {
    /// Starts the upkeep.
    pub(crate) fn keep_up(&self) {
        tokio::spawn(follow_definitions(Arc::downgrade(&self.0)));
        tokio::spawn(sweep(Arc::downgrade(&self.0)));
        tokio::spawn(reconcile(Arc::downgrade(&self.0)));
    }

    /// Forgets the events that nobody has seen for an hour.
    pub(crate) async fn forget_events(&self, now: Timestamp) {
        let collection = Collection { group: "".into(), resource: "events".into() };
        for stored in self.store().list(&collection, None, None, 0).items {
            let old = last_seen(&codec::decode(&stored)).is_some_and(|seen| now.duration_since(seen) > EVENT_LIFE);
            // One that is written or gone by now is no longer old.
            if old && let Err(error) = self.store().delete(&stored.key, stored.revision).await {
                tracing::debug!(%error, "an old event stays for now");
            }
        }
    }
}

async fn follow_definitions(server: Weak<Inner>) {
    let Some(start) = server.upgrade().map(ApiServer) else { return };
    let token = start.token().clone();
    let collection = custom::definitions();
    let Ok(mut watch) = start.store().watch(&collection, None, start.store().revision()) else { return };
    drop(start);
    loop {
        let event = tokio::select! {
            () = token.cancelled() => return,
            event = watch.next() => event,
        };
        let Some(server) = server.upgrade().map(ApiServer) else { return };
        match event {
            Ok(event) => server.sync_definition(&event.object().key.name),
            Err(_) => {
                server.load_definitions();
                let Ok(next) = server.store().watch(&collection, None, server.store().revision()) else { return };
                watch = next;
            }
        }
    }
}

async fn sweep(server: Weak<Inner>) {
    let mut ticks = every(SWEEP);
    while let Some(server) = due(&mut ticks, &server).await {
        server.forget_events(server.now()).await;
    }
}

async fn reconcile(server: Weak<Inner>) {
    let mut ticks = every(RECONCILE);
    while let Some(server) = due(&mut ticks, &server).await {
        if let Err(error) = own_service::ensure(&server).await {
            tracing::warn!(%error, "the service of the API may be missing for a while");
        }
    }
}

fn every(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Waits for the next tick; none when the server has ended.
async fn due(ticks: &mut Interval, server: &Weak<Inner>) -> Option<ApiServer> {
    ticks.tick().await;
    server.upgrade().map(ApiServer).filter(|server| !server.token().is_cancelled())
}

/// The last of the times that an event tells.
fn last_seen(event: &Value) -> Option<Timestamp> {
    let paths: [&[&str]; 4] =
        [&["metadata", "creationTimestamp"], &["lastTimestamp"], &["eventTime"], &["series", "lastObservedTime"]];
    paths.iter().filter_map(|path| text(event, path).parse().ok()).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;
    use serde_json::json;

    #[tokio::test(start_paused = true)]
    async fn the_service_of_the_api_comes_back() {
        let server = ApiServer::new(Config::in_memory().unwrap()).await.unwrap();
        let key = |group: &str, resource: &str| tinderbox_store::Key {
            collection: Collection { group: group.into(), resource: resource.into() },
            namespace: "default".into(),
            name: "kubernetes".into(),
        };
        let keys = [key("", "services"), key("", "endpoints"), key("discovery.k8s.io", "endpointslices")];
        for key in &keys {
            let stored = server.store().get(key).unwrap();
            server.store().delete(key, stored.revision).await.unwrap();
        }
        let mut changes = server.store().watch(&keys[2].collection, None, server.store().revision()).unwrap();
        changes.next().await.unwrap();
        for key in &keys {
            assert!(server.store().get(key).is_some(), "{key:?}");
        }
    }

    #[tokio::test]
    async fn events_are_forgotten_an_hour_after_they_were_seen() {
        let server = ApiServer::new(Config::in_memory().unwrap()).await.unwrap();
        let now = server.now();
        let ago = |minutes: i64| now.checked_sub(SignedDuration::from_mins(minutes)).unwrap().to_string();
        for (name, last) in [("old", ago(90)), ("new", ago(30))] {
            let event = json!({"metadata": {"name": name, "creationTimestamp": ago(120)}, "lastTimestamp": last});
            let key = tinderbox_store::Key {
                collection: Collection { group: "".into(), resource: "events".into() },
                namespace: "default".into(),
                name: name.into(),
            };
            server.store().create(key, codec::encode(&event)).await.unwrap();
        }
        server.forget_events(now).await;
        let collection = Collection { group: "".into(), resource: "events".into() };
        let left = server.store().list(&collection, None, None, 0).items;
        assert_eq!(left.iter().map(|one| &*one.key.name).collect::<Vec<_>>(), ["new"]);
    }
}
