//! How configuration, accounts and rights are printed.

use serde_json::Value;

use super::{Columns, Printer, age, items, len, number, or_none, text, wide};
use crate::object::{meta, text as text_at};

pub(crate) const CONFIG_MAPS: Columns = Columns::Builtin(&Printer {
    columns: &[text("Name"), text("Data"), text("Age")],
    cells: |object, now| {
        let entries = len(&object["data"]) + len(&object["binaryData"]);
        vec![meta(object, "name").into(), entries.into(), age::of(object, now)]
    },
});

pub(crate) const SECRETS: Columns = Columns::Builtin(&Printer {
    columns: &[text("Name"), text("Type"), number("Data"), text("Age")],
    cells: |object, now| {
        vec![
            meta(object, "name").into(),
            text_at(object, &["type"]).into(),
            len(&object["data"]).into(),
            age::of(object, now),
        ]
    },
});

pub(crate) const SERVICE_ACCOUNTS: Columns = Columns::Builtin(&Printer {
    columns: &[text("Name"), number("Secrets"), text("Age")],
    cells: |object, now| vec![meta(object, "name").into(), len(&object["secrets"]).into(), age::of(object, now)],
});

pub(crate) const LIMIT_RANGES: Columns = Columns::Builtin(&Printer {
    columns: &[text("Name"), text("Created At")],
    cells: |object, _| vec![meta(object, "name").into(), meta(object, "creationTimestamp").into()],
});

pub(crate) const QUOTAS: Columns = Columns::Builtin(&Printer {
    columns: &[text("Name"), text("Request"), text("Limit"), text("Age")],
    cells: |object, now| {
        let (mut requests, mut limits) = (Vec::new(), Vec::new());
        for (resource, hard) in object["status"]["hard"].as_object().into_iter().flatten() {
            let used = text_at(&object["status"]["used"], &[resource]);
            let text = format!("{resource}: {used}/{}", hard.as_str().unwrap_or_default());
            if resource.starts_with("limits") { limits.push(text) } else { requests.push(text) }
        }
        vec![meta(object, "name").into(), requests.join(", ").into(), limits.join(", ").into(), age::of(object, now)]
    },
});

pub(crate) const ROLES: Columns = Columns::Builtin(&Printer {
    columns: &[text("Name"), text("Created At")],
    cells: |object, _| vec![meta(object, "name").into(), meta(object, "creationTimestamp").into()],
});

const OF_BINDINGS: &[super::Column] =
    &[text("Name"), text("Role"), text("Age"), wide("Users"), wide("Groups"), wide("ServiceAccounts")];

pub(crate) const ROLE_BINDINGS: Columns = Columns::Builtin(&Printer { columns: OF_BINDINGS, cells: of_binding });
pub(crate) const CLUSTER_ROLE_BINDINGS: Columns =
    Columns::Builtin(&Printer { columns: OF_BINDINGS, cells: of_binding });

fn of_binding(object: &Value, now: jiff::Timestamp) -> Vec<Value> {
    let subjects = |kind: &str| {
        let of_kind = items(&object["subjects"]).filter(|one| one["kind"] == kind);
        let names: Vec<String> = of_kind
            .map(|one| match one["namespace"].as_str() {
                Some(namespace) => format!("{namespace}/{}", text_at(one, &["name"])),
                None => text_at(one, &["name"]).to_owned(),
            })
            .collect();
        Value::from(names.join(", "))
    };
    let role = &object["roleRef"];
    vec![
        meta(object, "name").into(),
        or_none(&format!("{}/{}", text_at(role, &["kind"]), text_at(role, &["name"]))),
        age::of(object, now),
        subjects("User"),
        subjects("Group"),
        subjects("ServiceAccount"),
    ]
}
