//! Tests of the cache: what writers tell it against what the watch says later.

use std::sync::Mutex;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::core::ObjectMeta;

use super::*;

fn object(name: &str, uid: &str, version: u64) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some("n".to_owned()),
            uid: Some(uid.to_owned()),
            resource_version: Some(version.to_string()),
            ..ObjectMeta::default()
        },
        ..ConfigMap::default()
    }
}

fn versions(cache: &Cache<ConfigMap>) -> Vec<(String, Option<u64>)> {
    let objects = cache.list();
    objects.iter().map(|object| (object.name_any(), version(&**object))).collect()
}

#[test]
fn a_write_is_read_back_and_older_events_do_not_undo_it() {
    let cache = Cache::default();
    cache.take(Event::Init);
    cache.take(Event::InitApply(object("a", "1", 5)));
    cache.take(Event::InitDone);
    cache.observe(object("a", "1", 8));
    cache.take(Event::Apply(object("a", "1", 6)));
    assert_eq!(versions(&cache), [("a".to_owned(), Some(8))]);
    cache.take(Event::Apply(object("a", "1", 9)));
    assert_eq!(versions(&cache), [("a".to_owned(), Some(9))]);
}

#[test]
fn an_answer_that_the_watch_has_passed_brings_nothing_back() {
    let cache = Cache::default();
    cache.take(Event::Apply(object("a", "1", 5)));
    cache.take(Event::Delete(object("a", "1", 6)));
    cache.observe(object("a", "1", 5));
    assert!(cache.list().is_empty());
}

#[test]
fn a_forgotten_object_stays_away_until_the_watch_agrees() {
    let cache = Cache::default();
    cache.take(Event::Apply(object("a", "1", 5)));
    cache.forget(&ObjectKey::new("n", "a"), "1");
    cache.take(Event::Apply(object("a", "1", 6)));
    assert!(cache.list().is_empty());
    cache.take(Event::Delete(object("a", "1", 7)));
    cache.take(Event::Apply(object("a", "2", 8)));
    assert_eq!(versions(&cache), [("a".to_owned(), Some(8))]);
}

#[test]
fn a_list_drops_what_it_does_not_name_but_keeps_what_was_written_meanwhile() {
    let cache = Cache::default();
    cache.take(Event::Apply(object("old", "1", 5)));
    cache.take(Event::Init);
    cache.observe(object("written", "2", 9));
    cache.take(Event::InitApply(object("listed", "3", 7)));
    cache.take(Event::InitDone);
    let names: Vec<String> = cache.list().iter().map(|object| object.name_any()).collect();
    assert_eq!(names, ["listed", "written"]);
}

#[test]
fn finds_by_controller_and_namespace_and_tells_of_changes() {
    let cache = Cache::default();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut owned = object("a", "1", 5);
    owned.metadata.owner_references =
        Some(vec![OwnerReference { controller: Some(true), uid: "owner".to_owned(), ..OwnerReference::default() }]);
    cache.take(Event::Apply(owned));
    cache.subscribe({
        let seen = seen.clone();
        move |change| {
            let mark = (change.old.is_some(), change.new.is_some());
            seen.lock().unwrap_or_else(PoisonError::into_inner).push(mark);
        }
    });
    assert_eq!(cache.controlled_by("owner").len(), 1);
    assert_eq!(cache.in_namespace("n").len(), 1);
    assert!(cache.in_namespace("m").is_empty());
    cache.take(Event::Apply(object("a", "2", 6)));
    assert!(cache.controlled_by("owner").is_empty());
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(*seen, [(false, true), (true, false), (false, true)]);
}

#[tokio::test]
async fn who_waits_for_the_first_list_is_told_when_there_will_be_none() {
    let cache: Cache<ConfigMap> = Cache::default();
    let (token, nobody) = (CancellationToken::new(), kube::Config::new("http://127.0.0.1:1".parse().unwrap()));
    let api = Api::all(kube::Client::try_from(nobody).unwrap());
    let waiting = cache.synced();
    let cancelled = async {
        token.cancel();
        cache.run(api, watcher::Config::default(), token.clone()).await;
    };
    let (told, ()) = tokio::join!(waiting, cancelled);
    assert!(matches!(told, Err(Error::NotSynced(_))));
}
