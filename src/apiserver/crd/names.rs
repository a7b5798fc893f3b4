//! When the names of a definition are accepted: none of them is in use by another of its group. The answer is the status of
//! the definition; conditions keep their time while they keep their state.
//! Upstream rule: k8s.io/apiextensions-apiserver `pkg/controller/status/naming_controller.go`.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::kind::{list, text, texts};

/// Names taken by other definitions of the group, and what the definition has already.
struct Taken {
    resources: Vec<String>,
    kinds: Vec<String>,
}

/// Writes accepted names, stored versions and the conditions `NamesAccepted` and `Established` into the status of `crd`.
/// `others` are all other definitions.
pub fn accept_names(crd: &mut Value, others: &[Value], now: Timestamp) {
    let group = text(&crd["spec"]["group"]);
    let taken = taken(&group, others);
    let requested = crd["spec"]["names"].clone();
    let mut accepted = crd["status"]["acceptedNames"].as_object().cloned().unwrap_or_default();
    let conflict = accept(&requested, &mut accepted, &taken);
    let (status, reason, message) = match &conflict {
        None => ("True", "NoConflicts", "no conflicts found".to_owned()),
        Some((reason, message)) => ("False", *reason, message.clone()),
    };
    if !crd["status"].is_object() {
        crd["status"] = json!({});
    }
    crd["status"]["acceptedNames"] = Value::Object(accepted);
    set_condition(crd, "NamesAccepted", (status, reason, &message), now);
    let established = list(&crd["status"]["conditions"])
        .any(|condition| condition["type"] == "Established" && condition["status"] == "True");
    if conflict.is_none() {
        let message = "the initial names have been accepted";
        set_condition(crd, "Established", ("True", "InitialNamesAccepted", message), now);
    } else if !established {
        set_condition(crd, "Established", ("False", "NotAccepted", "not all names are accepted"), now);
    }
    store_version(crd);
}

fn taken(group: &str, others: &[Value]) -> Taken {
    let mut taken = Taken { resources: Vec::new(), kinds: Vec::new() };
    for other in others.iter().filter(|other| other["spec"]["group"] == group) {
        let names = &other["status"]["acceptedNames"];
        taken.resources.extend([text(&names["plural"]), text(&names["singular"])]);
        taken.resources.extend(texts(&names["shortNames"]));
        taken.kinds.extend([text(&names["kind"]), text(&names["listKind"])]);
    }
    taken
}

/// Accepts each free name; the last conflict is the one that is told, as upstream.
fn accept(requested: &Value, accepted: &mut Map<String, Value>, taken: &Taken) -> Option<(&'static str, String)> {
    let mut conflict = None;
    for (field, reason, in_use) in [
        ("plural", "PluralConflict", &taken.resources),
        ("singular", "SingularConflict", &taken.resources),
        ("shortNames", "ShortNamesConflict", &taken.resources),
        ("kind", "KindConflict", &taken.kinds),
        ("listKind", "ListKindConflict", &taken.kinds),
    ] {
        let names = match &requested[field] {
            Value::Array(_) => texts(&requested[field]),
            one => vec![text(one)],
        };
        let own = accepted.get(field).cloned().unwrap_or_default();
        let is_own = |name: &str| own == name || list(&own).any(|one| one == name);
        let used: Vec<String> = names
            .iter()
            .filter(|name| in_use.contains(name) && !is_own(name))
            .map(|name| format!("\"{name}\" is already in use"))
            .collect();
        if !used.is_empty() {
            let message = if let [one] = used.as_slice() { one.clone() } else { format!("[{}]", used.join(", ")) };
            conflict = Some((reason, message));
        } else if requested[field].is_null() {
            accepted.remove(field);
        } else {
            accepted.insert(field.to_owned(), requested[field].clone());
        }
    }
    match &requested["categories"] {
        Value::Null => accepted.remove("categories"),
        categories => accepted.insert("categories".to_owned(), categories.clone()),
    };
    conflict
}

fn set_condition(crd: &mut Value, kind: &str, (status, reason, message): (&str, &str, &str), now: Timestamp) {
    let mut conditions: Vec<Value> = list(&crd["status"]["conditions"]).cloned().collect();
    let now = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let mut wanted = json!({
        "type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": now,
    });
    match conditions.iter_mut().find(|condition| condition["type"] == kind) {
        Some(condition) => {
            if condition["status"] == status {
                wanted["lastTransitionTime"] = condition["lastTransitionTime"].clone();
            }
            *condition = wanted;
        }
        None => conditions.push(wanted),
    }
    crd["status"]["conditions"] = Value::Array(conditions);
}

/// The storage version is one of the stored versions from now on.
fn store_version(crd: &mut Value) {
    let storage = list(&crd["spec"]["versions"]).find(|version| version["storage"] == true);
    let Some(name) = storage.map(|version| version["name"].clone()) else { return };
    let mut stored: Vec<Value> = list(&crd["status"]["storedVersions"]).cloned().collect();
    if !stored.contains(&name) {
        stored.push(name);
    }
    crd["status"]["storedVersions"] = Value::Array(stored);
}
