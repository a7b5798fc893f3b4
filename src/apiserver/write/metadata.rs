//! Metadata: what the server fills in, what it never lets change, and the forms of names, labels and annotations.
//! Upstream rule: k8s.io/apimachinery `pkg/api/validation/objectmeta.go`.

use serde_json::Value;
use tinderbox_api::names;

use crate::call::Call;
use crate::error::{ApiError, FieldError};
use crate::object::{self, meta};
use crate::resource::{NameRule, Resource};

/// Letters of generated names: none that makes a word.
const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
/// How many of them.
const SUFFIX: usize = 5;
/// The longest beginning of a generated name.
const GENERATED_MAX: usize = 63 - SUFFIX;
/// All annotations together.
const ANNOTATIONS_MAX: usize = 256 * 1024;

/// Gives a name to an object that asks for one; says whether it did.
pub(super) fn generate_name(call: &Call, object: &mut Value) -> Result<bool, ApiError> {
    name_wanted(&call.resource, object)
}

fn name_wanted(resource: &Resource, object: &mut Value) -> Result<bool, ApiError> {
    if !meta(object, "name").is_empty() {
        return Ok(false);
    }
    if meta(object, "generateName").is_empty() {
        let error = FieldError::required("metadata.name", "name or generateName is required");
        return Err(ApiError::invalid(&resource.group, &resource.kind, "", &[error]));
    }
    another_name(object);
    Ok(true)
}

/// Gives another name.
pub(super) fn another_name(object: &mut Value) {
    let base = meta(object, "generateName");
    let end = (0..=base.len().min(GENERATED_MAX)).rev().find(|end| base.is_char_boundary(*end)).unwrap_or(0);
    object["metadata"]["name"] = random_name(&base[..end]).into();
}

/// A name that begins so and ends as no other.
pub(crate) fn random_name(base: &str) -> String {
    let random = uuid::Uuid::new_v4();
    // The last bytes of a version 4 uuid are all random.
    let tail = random.as_bytes().iter().rev().take(SUFFIX);
    let letters = tail.filter_map(|byte| LETTERS.get(usize::from(*byte) % LETTERS.len()));
    base.chars().chain(letters.map(|letter| char::from(*letter))).collect()
}

/// What every new object gets.
pub(super) fn begin(call: &Call, object: &mut Value) {
    for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation"] {
        object::remove_meta(object, field);
    }
    let metadata = &mut object["metadata"];
    metadata["uid"] = uuid::Uuid::new_v4().to_string().into();
    metadata["creationTimestamp"] = object::seconds(call.api.now());
    if call.resource.generation {
        metadata["generation"] = 1.into();
    }
    if call.resource.has_status() {
        object::remove(object, "status");
    }
}

/// Takes over what is the server's, and refuses an object that is another one of the same name.
pub(super) fn carry_over(call: &Call, old: &Value, new: &mut Value) -> Result<(), ApiError> {
    let (was, is) = (meta(old, "uid"), meta(new, "uid"));
    if !is.is_empty() && is != was {
        return Err(
            call.conflict(&format!("Precondition failed: UID in precondition: {is}, UID in object meta: {was}"))
        );
    }
    object::remove_meta(new, "selfLink");
    for field in
        ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "generateName"]
    {
        match old["metadata"].get(field) {
            Some(value) => new["metadata"][field] = value.clone(),
            None => object::remove_meta(new, field),
        }
    }
    Ok(())
}

/// Gives an object that a webhook has changed back what of its metadata is the server's or the path's.
pub(super) fn restore(before: &Value, changed: &mut Value) {
    for field in [
        "name",
        "generateName",
        "namespace",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "managedFields",
    ] {
        object::set_or_remove(&mut changed["metadata"], field, before["metadata"][field].clone());
    }
}

/// What a write of the status may change in metadata: labels and annotations of built-in kinds, but for those that keep theirs.
/// Upstream rule: `PrepareForUpdate` of the status strategies in k8s.io/kubernetes `pkg/registry`.
pub(super) fn of_status(resource: &Resource, kept: &mut Value, new: &Value, applied: bool) {
    if applied {
        object::set_or_remove(&mut kept["metadata"], "managedFields", new["metadata"]["managedFields"].clone());
    }
    let keeps = resource.definition.is_some()
        || resource.is("admissionregistration.k8s.io", "validatingadmissionpolicies")
        || resource.is("storage.k8s.io", "volumeattachments");
    if !keeps {
        let fields: &[&str] =
            if resource.is("apps", "deployments") { &["annotations"] } else { &["labels", "annotations"] };
        for &field in fields {
            match new["metadata"].get(field) {
                Some(value) => kept["metadata"][field] = value.clone(),
                None => object::remove_meta(kept, field),
            }
        }
    }
}

/// Counts a change of anything but metadata and status.
pub(super) fn count(resource: &Resource, old: &Value, new: &mut Value) {
    if !resource.generation {
        return;
    }
    let rest = |object: &Value| {
        let mut fields = object.as_object().cloned().unwrap_or_default();
        fields.retain(|key, _| !matches!(key.as_str(), "metadata" | "status" | "apiVersion"));
        fields
    };
    if rest(old) != rest(new) {
        let generation = old["metadata"]["generation"].as_i64().unwrap_or(0);
        new["metadata"]["generation"] = (generation + 1).into();
    }
}

/// The forms of names, labels, annotations, owners and finalizers.
pub(super) fn check(resource: &Resource, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let metadata = &object["metadata"];
    let mut errors = Vec::new();
    let name = meta(object, "name");
    if old.is_none() {
        for problem in name_problems(resource.names, name) {
            errors.push(FieldError::invalid("metadata.name", &name.into(), &problem));
        }
    }
    for (field, value) in entries(metadata, "labels", &mut errors) {
        for problem in names::qualified_name(&field) {
            let field = field.as_str().into();
            errors.push(FieldError::invalid("metadata.labels", &field, &problem));
        }
        for problem in names::label_value(&value) {
            let value = value.as_str().into();
            errors.push(FieldError::invalid("metadata.labels", &value, &problem));
        }
    }
    let mut size = 0;
    for (field, value) in entries(metadata, "annotations", &mut errors) {
        size += field.len() + value.len();
        for problem in names::qualified_name(&field.to_ascii_lowercase()) {
            let field = field.as_str().into();
            errors.push(FieldError::invalid("metadata.annotations", &field, &problem));
        }
    }
    if size > ANNOTATIONS_MAX {
        errors.push(FieldError {
            reason: "FieldValueTooLong",
            field: "metadata.annotations".to_owned(),
            message: format!("Too long: may not be more than {ANNOTATIONS_MAX} bytes"),
        });
    }
    check_owners(metadata, &mut errors);
    for (index, finalizer) in object::finalizers(object).into_iter().enumerate() {
        for problem in names::qualified_name(finalizer) {
            let field = format!("metadata.finalizers[{index}]");
            errors.push(FieldError::invalid(field, &finalizer.into(), &problem));
        }
    }
    if let Some(old) = old.filter(|old| object::is_deleting(old)) {
        let before = object::finalizers(old);
        let mut added = object::finalizers(object);
        added.retain(|one| !before.contains(one));
        if !added.is_empty() {
            errors.push(FieldError::forbidden(
                "metadata.finalizers",
                &format!(
                    "no new finalizers can be added if the object is being deleted, found new finalizers {added:?}"
                ),
            ));
        }
    }
    errors
}

fn name_problems(rule: NameRule, name: &str) -> Vec<String> {
    match rule {
        NameRule::Subdomain => names::dns_subdomain(name),
        NameRule::Label => names::dns_label(name),
        NameRule::Label1035 => names::dns_1035_label(name),
        NameRule::Segment => names::path_segment(name),
    }
}

fn check_owners(metadata: &Value, errors: &mut Vec<FieldError>) {
    let mut controllers = 0;
    let owners = metadata["ownerReferences"].as_array();
    for (index, owner) in owners.into_iter().flatten().enumerate() {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if owner[field].as_str().unwrap_or_default().is_empty() {
                let path = format!("metadata.ownerReferences[{index}].{field}");
                errors.push(FieldError::invalid(path, &"".into(), &format!("{field} must not be empty")));
            }
        }
        controllers += usize::from(owner["controller"] == true);
    }
    if controllers > 1 {
        errors.push(FieldError::invalid(
            "metadata.ownerReferences",
            &metadata["ownerReferences"],
            "Only one reference can have Controller set to true",
        ));
    }
}

/// The entries of a map of texts in metadata; anything else in it is an error.
fn entries(metadata: &Value, field: &str, errors: &mut Vec<FieldError>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    match &metadata[field] {
        Value::Null => {}
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(text) => found.push((key.clone(), text.clone())),
                    Value::Null => found.push((key.clone(), String::new())),
                    other => errors.push(wrong_type(&format!("metadata.{field}.{key}"), other, "string")),
                }
            }
        }
        other => errors.push(wrong_type(&format!("metadata.{field}"), other, "object")),
    }
    found
}

fn wrong_type(field: &str, value: &Value, wanted: &str) -> FieldError {
    FieldError {
        reason: "FieldValueTypeInvalid",
        field: field.to_owned(),
        message: format!("Invalid value: {value}: must be of type {wanted}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::Registry;

    #[test]
    fn generated_names_are_short_and_allowed() {
        let mut object = json!({"metadata": {"generateName": "a".repeat(80)}});
        let resource = Registry::default().find("", "v1", "configmaps").unwrap();
        assert_eq!(name_wanted(&resource, &mut object), Ok(true));
        assert_eq!(meta(&object, "name").len(), 63);
        assert!(names::dns_label(meta(&object, "name")).is_empty());
        assert_eq!(name_wanted(&resource, &mut json!({"metadata": {}})).unwrap_err().code, 422);
    }

    #[test]
    fn wrong_forms_are_named_by_field() {
        let resource = Registry::default().find("", "v1", "configmaps").unwrap();
        let object = json!({"metadata": {"name": "A", "labels": {"a b": "c", "d": 1}, "finalizers": ["x y"],
            "ownerReferences": [{"kind": "Pod"}]}});
        let errors = check(&resource, &object, None);
        let fields: Vec<_> = errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "metadata.name",
                "metadata.labels.d",
                "metadata.labels",
                "metadata.ownerReferences[0].apiVersion",
                "metadata.ownerReferences[0].name",
                "metadata.ownerReferences[0].uid",
                "metadata.finalizers[0]"
            ]
        );
        let fine = json!({"metadata": {"name": "a.b", "labels": {"x/y": ""}}});
        assert_eq!(check(&resource, &fine, None), []);
    }

    #[test]
    fn the_generation_counts_specs_alone() {
        let resource = Registry::default().find("", "v1", "pods").unwrap();
        let old = json!({"metadata": {"generation": 1}, "spec": {"a": 1}, "status": {}});
        let mut new = json!({"metadata": {"generation": 1, "labels": {}}, "spec": {"a": 1}, "status": {"b": 1}});
        count(&resource, &old, &mut new);
        assert_eq!(new["metadata"]["generation"], 1);
        new["spec"]["a"] = 2.into();
        count(&resource, &old, &mut new);
        assert_eq!(new["metadata"]["generation"], 2);
    }
}
