//! How nodes, namespaces, events and what belongs to the cluster as a whole are printed.

use jiff::Timestamp;
use serde_json::Value;

use super::{Columns, Printer, age, count, items, number, or_none, text, wide};
use crate::object::{condition, meta, text as text_at};
use crate::view;

pub(crate) const NODES: Columns = Columns::Builtin(&Printer {
    columns: &[
        text("Name"),
        text("Status"),
        text("Roles"),
        text("Age"),
        text("Version"),
        wide("Internal-IP"),
        wide("External-IP"),
        wide("OS-Image"),
        wide("Kernel-Version"),
        wide("Container-Runtime"),
    ],
    cells: |object, now| {
        let info = &object["status"]["nodeInfo"];
        let address = |kind: &str| {
            let found = items(&object["status"]["addresses"]).find(|one| one["type"] == kind);
            or_none(found.and_then(|one| one["address"].as_str()).unwrap_or_default())
        };
        let unknown = |field: &str| {
            let text = text_at(info, &[field]);
            Value::from(if text.is_empty() { "<unknown>" } else { text })
        };
        vec![
            meta(object, "name").into(),
            node_status(object).into(),
            or_none(&roles(object)),
            age::of(object, now),
            text_at(info, &["kubeletVersion"]).into(),
            address("InternalIP"),
            address("ExternalIP"),
            unknown("osImage"),
            unknown("kernelVersion"),
            unknown("containerRuntimeVersion"),
        ]
    },
});

fn node_status(node: &Value) -> String {
    let mut words = match condition(node, "Ready") {
        Some("True") => vec!["Ready"],
        Some(_) => vec!["NotReady"],
        None => vec!["Unknown"],
    };
    if node["spec"]["unschedulable"] == true {
        words.push("SchedulingDisabled");
    }
    words.join(",")
}

fn roles(node: &Value) -> String {
    let labels = node["metadata"]["labels"].as_object().into_iter().flatten();
    let role = |(key, value): (&String, &Value)| match key.strip_prefix("node-role.kubernetes.io/") {
        Some(role) if !role.is_empty() => Some(role.to_owned()),
        _ if key == "kubernetes.io/role" => value.as_str().map(str::to_owned),
        _ => None,
    };
    labels.filter_map(role).collect::<Vec<_>>().join(",")
}

pub(crate) const NAMESPACES: Columns = Columns::Builtin(&Printer {
    columns: &[text("Name"), text("Status"), text("Age")],
    cells: |object, now| {
        vec![meta(object, "name").into(), text_at(object, &["status", "phase"]).into(), age::of(object, now)]
    },
});

pub(crate) const EVENTS: Columns = Columns::Builtin(&Printer {
    columns: &[
        text("Last Seen"),
        text("Type"),
        text("Reason"),
        text("Object"),
        wide("Subobject"),
        wide("Source"),
        text("Message"),
        wide("First Seen"),
        wide("Count"),
        wide("Name"),
    ],
    cells: |object, now| {
        let mut event = object.clone();
        if object["apiVersion"] == "events.k8s.io/v1" {
            view::events_in(&mut event);
        }
        of_event(&event, now)
    },
});

fn of_event(event: &Value, now: Timestamp) -> Vec<Value> {
    let first = [text_at(event, &["firstTimestamp"]), text_at(event, &["eventTime"])];
    let first = first.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
    let series = &event["series"];
    let last = [text_at(series, &["lastObservedTime"]), text_at(event, &["lastTimestamp"])];
    let last = last.into_iter().find(|text| !text.is_empty()).unwrap_or(first);
    let times = series["count"].as_i64().or(event["count"].as_i64()).unwrap_or(1).max(1);
    let about = &event["involvedObject"];
    let source = [text_at(event, &["source", "component"]), text_at(event, &["reportingComponent"])];
    let source = source.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
    let host = text_at(event, &["source", "host"]);
    let source = if host.is_empty() { source.to_owned() } else { format!("{source}, {host}") };
    vec![
        age::since_text(last, now).into(),
        text_at(event, &["type"]).into(),
        text_at(event, &["reason"]).into(),
        format!("{}/{}", text_at(about, &["kind"]).to_ascii_lowercase(), text_at(about, &["name"])).into(),
        text_at(about, &["fieldPath"]).into(),
        source.into(),
        text_at(event, &["message"]).trim().into(),
        age::since_text(first, now).into(),
        times.to_string().into(),
        meta(event, "name").into(),
    ]
}

pub(crate) const LEASES: Columns = Columns::Builtin(&Printer {
    columns: &[text("Name"), text("Holder"), text("Age")],
    cells: |object, now| {
        vec![meta(object, "name").into(), text_at(object, &["spec", "holderIdentity"]).into(), age::of(object, now)]
    },
});

pub(crate) const DEFINITIONS: Columns = Columns::Builtin(&Printer {
    columns: &[text("Name"), text("Created At")],
    cells: |object, _| vec![meta(object, "name").into(), meta(object, "creationTimestamp").into()],
});

pub(crate) const API_SERVICES: Columns = Columns::Builtin(&Printer {
    columns: &[text("Name"), text("Service"), text("Available"), text("Age")],
    cells: |object, now| {
        let service = &object["spec"]["service"];
        let target = if service.is_object() {
            format!("{}/{}", text_at(service, &["namespace"]), text_at(service, &["name"]))
        } else {
            "Local".to_owned()
        };
        vec![
            meta(object, "name").into(),
            target.into(),
            condition(object, "Available").unwrap_or("Unknown").into(),
            age::of(object, now),
        ]
    },
});

pub(crate) const RUNTIME_CLASSES: Columns = Columns::Builtin(&Printer {
    columns: &[text("Name"), text("Handler"), text("Age")],
    cells: |object, now| vec![meta(object, "name").into(), text_at(object, &["handler"]).into(), age::of(object, now)],
});

pub(crate) const PRIORITY_CLASSES: Columns = Columns::Builtin(&Printer {
    columns: &[text("Name"), number("Value"), text("Global-Default"), text("Age"), text("PreemptionPolicy")],
    cells: |object, now| {
        vec![
            meta(object, "name").into(),
            count(&object["value"]),
            (object["globalDefault"] == true).into(),
            age::of(object, now),
            object["preemptionPolicy"].as_str().unwrap_or("PreemptLowerPriority").into(),
        ]
    },
});

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nodes_say_whether_they_are_ready() {
        let node = json!({"metadata": {"labels": {"node-role.kubernetes.io/control-plane": ""}}, "spec": {"unschedulable": true},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
        assert_eq!(node_status(&node), "Ready,SchedulingDisabled");
        assert_eq!(roles(&node), "control-plane");
    }

    #[test]
    fn events_of_both_groups_print_the_same() {
        let now = "2025-01-01T00:01:00Z".parse().unwrap();
        let core = json!({"apiVersion": "v1", "metadata": {"name": "e"}, "type": "Normal", "reason": "R", "message": "m",
            "involvedObject": {"kind": "Pod", "name": "p"}, "eventTime": "2025-01-01T00:00:30Z", "reportingComponent": "c"});
        let Columns::Builtin(printer) = EVENTS else { panic!("no printer") };
        let cells = (printer.cells)(&core, now);
        assert_eq!(cells[..4], [json!("30s"), json!("Normal"), json!("R"), json!("pod/p")]);
        let mut newer = core;
        view::events_out(&mut newer);
        assert_eq!((printer.cells)(&newer, now), cells);
    }
}
