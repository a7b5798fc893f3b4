//! From client-side apply to server-side apply: what `kubectl apply` once wrote into its annotation is kubectl's, as long
//! as nobody has changed it since, and the annotation goes on being true. For the manager `kubectl` alone.

use serde_json::{Value, json};

use super::fields::FieldSet;
use super::typed::{Type, compare, field_set};

/// Where client-side apply keeps what it applied.
const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// An annotation may not be longer.
const LONGEST: usize = 256 * 1024;
/// The manager that this is for.
pub(super) const KUBECTL: &str = "kubectl";

/// Fields that the live object has as client-side apply left them.
pub(super) fn unchanged_since(of: Type<'_>, live: &Value) -> FieldSet {
    let Some(last) = annotation(live) else {
        return FieldSet::default();
    };
    let Ok(last) = serde_json::from_str::<Value>(last) else {
        return FieldSet::default();
    };
    let difference = compare(of, &last, live);
    field_set(of, &last).difference(&difference.modified).difference(&difference.added).difference(&difference.removed)
}

/// Writes what is applied now into the annotation, where there is one.
pub(super) fn refresh(object: &mut Value, applied: &Value) {
    if annotation(object).is_none() {
        return;
    }
    let mut applied = applied.clone();
    if let Some(metadata) = applied["metadata"].as_object_mut() {
        metadata.remove("managedFields");
        let emptied = match metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            Some(annotations) => {
                annotations.remove(ANNOTATION);
                annotations.is_empty()
            }
            None => false,
        };
        if emptied {
            metadata.remove("annotations");
        }
    }
    let text = format!("{applied}\n");
    if text.len() <= LONGEST {
        object["metadata"]["annotations"][ANNOTATION] = json!(text);
    }
}

fn annotation(object: &Value) -> Option<&str> {
    let text = object["metadata"]["annotations"][ANNOTATION].as_str()?;
    (!text.is_empty()).then_some(text)
}
