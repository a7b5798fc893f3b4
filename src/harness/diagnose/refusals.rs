//! What the API refuses, read from its own words wherever they turn up: in an event, a status or a log.

use std::sync::LazyLock;

use regex::Regex;

use super::{Cause, Kind, Subject};

static FORBIDDEN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let account = r#"User "system:serviceaccount:(?<namespace>[^:"]+):(?<account>[^"]+)""#;
    let place = r#"in API group "(?<group>[^"]*)"(?: in the namespace "(?<where>[^"]+)")?"#;
    Regex::new(&format!(r#"{account} cannot (?<verb>\w+) resource "(?<resource>[^"]+)" {place}"#)).ok()
});
static QUOTA: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let amount = r"[^:]*?";
    Regex::new(&format!(
        r"exceeded quota: (?<quota>[^,]+), requested: (?<wanted>{amount}), used: (?<used>{amount}), limited: (?<limit>[\w.,=/]+)"
    ))
    .ok()
});
static ACCOUNT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"error looking up service account (?<namespace>[^/\s]+)/(?<account>[^:\s]+): serviceaccount "#).ok()
});
static ABSENT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?<kind>configmap|secret|persistentvolumeclaim) \\?"(?<name>[^"\\]+)\\?" not found"#).ok()
});
static KEY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"couldn't find key (?<key>\S+) in (?<kind>ConfigMap|Secret) (?<namespace>[^/\s]+)/(?<name>\S+)").ok()
});

/// What the API refuses with these words.
pub(super) fn read(subject: Subject<'_>, words: &str, evidence: &str) -> Option<Cause> {
    quota(subject, words)
        .or_else(|| right(subject, words))
        .or_else(|| account(subject, words))
        .or_else(|| absent(subject, words))
        .map(|cause| cause.shown_by([evidence.to_owned()]))
}

fn right(subject: Subject<'_>, words: &str) -> Option<Cause> {
    let found = FORBIDDEN.as_ref()?.captures(words)?;
    let (verb, resource, group) = (&found["verb"], &found["resource"], &found["group"]);
    let who = format!("{}/{}", &found["namespace"], &found["account"]);
    let place = found.name("where").map(|place| place.as_str());
    let scope = place.map_or_else(|| "in the whole cluster".to_owned(), |place| format!("in namespace {place}"));
    let role = if place.is_some() { "Role" } else { "ClusterRole" };
    let what = format!("the service account {who} may not {verb} {resource} {scope}");
    Some(subject.cause(Kind::MissingRight, what).mended_by(format!(
        "add to a {role} that is bound to the account {who}: apiGroups: [{group:?}], resources: [{resource:?}], verbs: [{verb:?}]"
    )))
}

fn quota(subject: Subject<'_>, words: &str) -> Option<Cause> {
    let found = QUOTA.as_ref()?.captures(words)?;
    let (quota, wanted, used, limit) = (&found["quota"], &found["wanted"], &found["used"], &found["limit"]);
    let what =
        format!("the quota {quota} leaves no room: {wanted} is asked for, {used} is used, and the limit is {limit}");
    let change = format!(
        "ask for less, end what uses it, or raise spec.hard of resourcequota/{quota} in namespace {}",
        subject.namespace()
    );
    Some(subject.cause(Kind::Quota, what).mended_by(change))
}

fn account(subject: Subject<'_>, words: &str) -> Option<Cause> {
    let found = ACCOUNT.as_ref()?.captures(words)?;
    let (namespace, account) = (&found["namespace"], &found["account"]);
    let what = format!("there is no service account {account} in namespace {namespace}");
    let field = match subject.record.name.kind.as_str() {
        "SparkApplication" => "spec.driver.serviceAccount",
        _ => "serviceAccountName",
    };
    let change = format!("create serviceaccount/{account} in namespace {namespace}, or name another one in {field}");
    Some(subject.cause(Kind::MissingObject, what).mended_by(change))
}

fn absent(subject: Subject<'_>, words: &str) -> Option<Cause> {
    if let Some(found) = KEY.as_ref()?.captures(words) {
        let (key, kind, name) = (&found["key"], &found["kind"], &found["name"]);
        let what = format!("the {kind} {name} has no key {key}");
        let change = format!("add the key {key} to {}/{name}, or mark the reference as optional", kind.to_lowercase());
        return Some(subject.cause(Kind::MissingObject, what).mended_by(change));
    }
    let found = ABSENT.as_ref()?.captures(words)?;
    let kind = match &found["kind"] {
        "configmap" => "ConfigMap",
        "secret" => "Secret",
        _ => "PersistentVolumeClaim",
    };
    let (word, name, namespace) = (&found["kind"], &found["name"], subject.namespace());
    let what = format!("there is no {kind} {name} in namespace {namespace}");
    let change = format!("create {word}/{name} in namespace {namespace}, or correct its name where it is referred to");
    Some(subject.cause(Kind::MissingObject, what).mended_by(change))
}
