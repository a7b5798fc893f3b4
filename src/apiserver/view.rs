//! Stored objects as a version serves them, and back. Upstream rule for events: k8s.io/kubernetes
//! `pkg/apis/events/v1/conversion.go`. Pure; it must not validate.

use bytes::Bytes;
use serde_json::{Value, json};
use tinderbox_store::Stored;

use crate::codec;
use crate::object;
use crate::resource::{Resource, View};

/// Names of the fields of an event: in core, and in `events.k8s.io`.
const EVENT_FIELDS: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

/// The object as `resource` serves it, at the revision that `stored` has.
pub(crate) fn served(resource: &Resource, stored: &Stored) -> Value {
    let mut object = codec::decode(stored);
    outward(resource, &mut object);
    object
}

/// Turns a stored object into a served one.
pub(crate) fn outward(resource: &Resource, object: &mut Value) {
    match resource.view {
        View::Same | View::Webhook => {}
        View::ApiVersion => object["apiVersion"] = resource.api_version().into(),
        View::Events => events_out(object),
        View::Autoscalers => autoscaler_out(object),
    }
    if let Some(schema) = resource.schema.as_ref().filter(|_| resource.defaulted) {
        crate::schema::default(schema, object);
    }
}

/// Turns a served object into the stored form.
pub(crate) fn inward(resource: &Resource, object: &mut Value) {
    match resource.view {
        View::Same | View::Webhook => {}
        View::ApiVersion => {
            if let Some(conversion) = &resource.conversion {
                object["apiVersion"] = conversion.storage.as_str().into();
            }
        }
        View::Events => events_in(object),
        View::Autoscalers => autoscaler_in(object),
    }
}

/// Appends the served object's JSON.
pub(crate) fn write(out: &mut Vec<u8>, resource: &Resource, stored: &Stored, revision: u64) {
    if matches!(resource.view, View::Same | View::Webhook) && !resource.defaulted {
        codec::splice(out, stored, revision);
    } else {
        let mut object = codec::decode_at(stored, revision);
        outward(resource, &mut object);
        codec::write(out, &object);
    }
}

/// A core event as `events.k8s.io` serves it.
pub(crate) fn events_out(object: &mut Value) {
    rename(object, EVENT_FIELDS.iter().copied());
    object["apiVersion"] = "events.k8s.io/v1".into();
}

/// The same back.
pub(crate) fn events_in(object: &mut Value) {
    rename(object, EVENT_FIELDS.iter().map(|(core, new)| (*new, *core)));
    object["apiVersion"] = "v1".into();
}

/// An autoscaler as version 1 serves it: its one metric is the processor.
fn autoscaler_out(object: &mut Value) {
    object["apiVersion"] = "autoscaling/v1".into();
    let of_processor = |metrics: &Value, path: [&str; 2]| {
        let all = metrics.as_array().into_iter().flatten();
        let mut found = all.map(|one| &one["resource"]).filter(|one| one["name"] == "cpu");
        found.find_map(|one| one[path[0]][path[1]].as_i64())
    };
    let target = of_processor(&object["spec"]["metrics"], ["target", "averageUtilization"]);
    let current = of_processor(&object["status"]["currentMetrics"], ["current", "averageUtilization"]);
    for (part, gone) in [("spec", &["metrics", "behavior"][..]), ("status", &["currentMetrics", "conditions"])] {
        for field in gone {
            if let Some(part) = object.get_mut(part) {
                object::remove(part, field);
            }
        }
    }
    if let Some(target) = target {
        object["spec"]["targetCPUUtilizationPercentage"] = target.into();
    }
    if let Some(current) = current {
        object["status"]["currentCPUUtilizationPercentage"] = current.into();
    }
}

fn autoscaler_in(object: &mut Value) {
    object["apiVersion"] = "autoscaling/v2".into();
    let target = object["spec"].get_mut("targetCPUUtilizationPercentage").map(Value::take).unwrap_or_default();
    for (part, field) in [("spec", "targetCPUUtilizationPercentage"), ("status", "currentCPUUtilizationPercentage")] {
        if let Some(part) = object.get_mut(part) {
            object::remove(part, field);
        }
    }
    if target.is_number() {
        object["spec"]["metrics"] = json!([{"type": "Resource", "resource": {"name": "cpu",
            "target": {"type": "Utilization", "averageUtilization": target}}}]);
    }
}

fn rename<'a>(object: &mut Value, names: impl Iterator<Item = (&'a str, &'a str)>) {
    let Some(fields) = object.as_object_mut() else {
        return;
    };
    for (from, to) in names {
        if let Some(value) = fields.remove(from) {
            fields.insert(to.to_owned(), value);
        }
    }
}

/// The JSON of a stored object at its own revision.
pub(crate) fn bytes(resource: &Resource, stored: &Stored) -> Bytes {
    let mut out = Vec::with_capacity(stored.bytes.len() + 64);
    write(&mut out, resource, stored, stored.revision);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn autoscalers_go_both_ways() {
        let older = json!({"apiVersion": "autoscaling/v1", "spec": {"maxReplicas": 3, "targetCPUUtilizationPercentage": 50}, "status": {}});
        let mut object = older.clone();
        autoscaler_in(&mut object);
        assert_eq!(object["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 50);
        autoscaler_out(&mut object);
        assert_eq!(object, older);
    }

    #[test]
    fn events_go_both_ways() {
        let core = json!({"apiVersion": "v1", "kind": "Event", "involvedObject": {"kind": "Pod"}, "message": "m",
            "reason": "R", "count": 2, "reportingComponent": "c", "series": {"count": 3}});
        let mut object = core.clone();
        events_out(&mut object);
        assert_eq!(
            object,
            json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "regarding": {"kind": "Pod"}, "note": "m",
            "reason": "R", "deprecatedCount": 2, "reportingController": "c", "series": {"count": 3}})
        );
        events_in(&mut object);
        assert_eq!(object, core);
    }
}
