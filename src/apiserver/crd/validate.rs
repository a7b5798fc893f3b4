//! Whether a custom resource definition is well formed, with Kubernetes' messages. What all versions say alike is reported
//! where Kubernetes keeps it internally, under `spec.validation`, `spec.subresources` and `spec.additionalPrinterColumns`.
//! Upstream rule: k8s.io/apiextensions-apiserver `pkg/apis/apiextensions/validation/validation.go`.

use serde_json::{Value, json};
use tinderbox_api::names;

use super::kind::{list, text, texts};
use super::{approval, openapi, rules, structural};
use crate::error::FieldError;
use crate::schema::Path;

const COLUMN_TYPES: &str = "boolean,date,integer,number,string";
const COLUMN_FORMATS: &str = "byte,date,date-time,double,float,int32,int64,password";
const SELECTABLE_MAX: usize = 8;

/// What is wrong in a new definition.
#[must_use]
pub fn validate(crd: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let spec = &crd["spec"];
    let name = text(&crd["metadata"]["name"]);
    if name != format!("{}.{}", text(&spec["names"]["plural"]), text(&spec["group"])) {
        let detail = "must be spec.names.plural+\".\"+spec.group";
        errors.push(FieldError::invalid("metadata.name", &json!(name), detail));
    }
    check_spec(spec, &mut errors);
    errors.extend(approval::check(crd, None));
    errors
}

/// What is wrong in a changed definition: names and scope stay once they are accepted.
#[must_use]
pub fn validate_update(crd: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let (spec, old_spec) = (&crd["spec"], &old["spec"]);
    check_spec(spec, &mut errors);
    let established = list(&old["status"]["conditions"])
        .any(|condition| condition["type"] == "Established" && condition["status"] == "True");
    let mut same = |path: &str, new: &Value, old: &Value| {
        if new != old {
            errors.push(FieldError::invalid(path, new, "field is immutable"));
        }
    };
    if established {
        same("spec.scope", &spec["scope"], &old_spec["scope"]);
        same("spec.names.kind", &spec["names"]["kind"], &old_spec["names"]["kind"]);
    }
    same("spec.group", &spec["group"], &old_spec["group"]);
    same("spec.names.plural", &spec["names"]["plural"], &old_spec["names"]["plural"]);
    stored_versions(crd, &mut errors);
    errors.extend(approval::check(crd, Some(old)));
    errors
}

fn check_spec(spec: &Value, errors: &mut Vec<FieldError>) {
    check_group(&text(&spec["group"]), errors);
    match spec["scope"].as_str().unwrap_or_default() {
        "Cluster" | "Namespaced" => {}
        "" => errors.push(FieldError::required("spec.scope", "")),
        other => errors.push(FieldError::not_supported("spec.scope", &json!(other), &["Cluster", "Namespaced"])),
    }
    check_versions(spec, errors);
    check_names(&spec["names"], errors);
    check_conversion(&spec["conversion"], errors);
}

fn check_group(group: &str, errors: &mut Vec<FieldError>) {
    let wrong = names::dns_subdomain(group);
    if group.is_empty() {
        errors.push(FieldError::required("spec.group", ""));
    } else if !wrong.is_empty() {
        errors.push(FieldError::invalid("spec.group", &json!(group), &wrong.join(",")));
    } else if !group.contains('.') {
        errors.push(FieldError::invalid("spec.group", &json!(group), "should be a domain with at least one dot"));
    }
}

fn check_versions(spec: &Value, errors: &mut Vec<FieldError>) {
    let versions: Vec<&Value> = list(&spec["versions"]).collect();
    let path = Path::new("spec.versions");
    for (index, version) in versions.iter().enumerate() {
        let at = path.index(index);
        if version["schema"]["openAPIV3Schema"].is_null() {
            errors.push(FieldError::required(at.field("schema").field("openAPIV3Schema"), ""));
        }
        let wrong = names::dns_1035_label(&text(&version["name"]));
        if !wrong.is_empty() {
            errors.push(FieldError::invalid(at.field("name"), &version["name"], &wrong.join(",")));
        }
        if version["deprecated"] != true && version.get("deprecationWarning").is_some() {
            let found = &version["deprecationWarning"];
            errors.push(FieldError::invalid(
                at.field("deprecationWarning"),
                found,
                "can only be set for deprecated versions",
            ));
        }
    }
    for (index, version) in versions.iter().enumerate() {
        let at = path.index(index);
        let alike = |name: &str| {
            let first = &versions[0][name];
            !first.is_null() && versions.iter().all(|version| version[name] == *first)
        };
        let own = |name: &str, top: &str| match (alike(name), index) {
            (true, 0) => Some(Path::new(top)),
            (true, _) => None,
            (false, _) => Some(at.field(name)),
        };
        if let Some(path) = own("schema", "spec.validation") {
            let status = version["subresources"].get("status").is_some();
            check_schema(&version["schema"]["openAPIV3Schema"], status, &path.field("openAPIV3Schema"), errors);
        }
        if let Some(path) = own("subresources", "spec.subresources") {
            check_scale(&version["subresources"]["scale"], &path.field("scale"), errors);
        }
        if let Some(path) = own("additionalPrinterColumns", "spec.additionalPrinterColumns") {
            for (index, column) in list(&version["additionalPrinterColumns"]).enumerate() {
                check_column(column, &path.index(index), errors);
            }
        }
        if let Some(path) = own("selectableFields", "spec.selectableFields") {
            check_selectable(version, &path, errors);
        }
    }
    let all = &spec["versions"];
    let mut seen: Vec<String> = versions.iter().map(|version| text(&version["name"])).collect();
    seen.sort();
    seen.dedup();
    if seen.len() != versions.len() {
        errors.push(FieldError::invalid("spec.versions", all, "must contain unique version names"));
    }
    if versions.iter().filter(|version| version["storage"] == true).count() != 1 {
        let detail = "must have exactly one version marked as storage version";
        errors.push(FieldError::invalid("spec.versions", all, detail));
    }
}

fn check_schema(schema: &Value, status: bool, path: &Path, errors: &mut Vec<FieldError>) {
    if schema.is_null() {
        return;
    }
    if status && schema.get("type").is_some_and(|kind| kind != "object") {
        let detail =
            "only \"object\" is allowed as the type at the root of the schema if the status subresource is enabled";
        errors.push(FieldError::invalid(path.field("type"), &schema["type"], detail));
    }
    if schema["nullable"] == true {
        errors.push(FieldError::forbidden(path.field("nullable"), "nullable cannot be true at the root"));
    }
    let shape = structural::check(schema, path);
    if shape.is_empty() {
        errors.extend(openapi::check_defaults(schema, path));
    }
    let before = errors.len();
    errors.extend(shape);
    errors.extend(openapi::check(schema, path));
    // Mistakes in rules of a schema that is wrong itself would be hard to understand.
    if errors.len() == before {
        errors.extend(rules::check(schema, path));
    }
}

fn check_scale(scale: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    if scale.is_null() {
        return;
    }
    for (name, wanted, detail, needed) in [
        ("specReplicasPath", &[".spec."][..], "should be a json path under .spec", true),
        ("statusReplicasPath", &[".status."], "should be a json path under .status", true),
        ("labelSelectorPath", &[".spec.", ".status."], "should be a json path under either .spec or .status", false),
    ] {
        let found = text(&scale[name]);
        let at = path.field(name);
        if found.is_empty() {
            if needed {
                errors.push(FieldError::required(at, ""));
            }
        } else if !found.starts_with('.') {
            errors.push(FieldError::invalid(at, &json!(found), "must be a simple json path starting with ."));
        } else if !wanted.iter().any(|prefix| found.starts_with(prefix)) {
            errors.push(FieldError::invalid(at, &json!(found), detail));
        }
    }
}

fn check_column(column: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    if text(&column["name"]).is_empty() {
        errors.push(FieldError::required(path.field("name"), ""));
    }
    let kind = text(&column["type"]);
    let detail = format!("must be one of {COLUMN_TYPES}");
    if kind.is_empty() {
        errors.push(FieldError::required(path.field("type"), &detail));
    } else if !COLUMN_TYPES.split(',').any(|known| known == kind) {
        errors.push(FieldError::invalid(path.field("type"), &json!(kind), &detail));
    }
    let format = text(&column["format"]);
    if !format.is_empty() && !COLUMN_FORMATS.split(',').any(|known| known == format) {
        let detail = format!("must be one of {COLUMN_FORMATS}");
        errors.push(FieldError::invalid(path.field("format"), &json!(format), &detail));
    }
    let json_path = text(&column["jsonPath"]);
    if json_path.is_empty() {
        errors.push(FieldError::required(path.field("JSONPath"), ""));
    } else if !json_path.starts_with('.') {
        let detail = "must be a simple json path starting with .";
        errors.push(FieldError::invalid(path.field("JSONPath"), &json!(json_path), detail));
    }
}

fn check_selectable(version: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    let mut seen: Vec<String> = Vec::new();
    for (index, field) in list(&version["selectableFields"]).enumerate() {
        let at = path.index(index).field("jsonPath");
        let found = text(&field["jsonPath"]);
        if found.is_empty() {
            errors.push(FieldError::required(at, ""));
            continue;
        }
        let steps = found.trim_start_matches('.').split('.');
        let target = steps.fold(&version["schema"]["openAPIV3Schema"], |schema, step| &schema["properties"][step]);
        if !found.starts_with('.') || target.is_null() {
            let detail = "is an invalid path: does not refer to a valid field";
            errors.push(FieldError::invalid(at, &json!(found), detail));
            continue;
        }
        if found.starts_with(".metadata") {
            errors.push(FieldError::invalid(&at, &json!(found), "must not point to fields in metadata"));
        }
        if !matches!(target["type"].as_str(), Some("string" | "boolean" | "integer")) {
            let detail = "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.";
            errors.push(FieldError::invalid(&at, &json!(found), detail));
        }
        if seen.contains(&found) {
            let message = format!("Duplicate value: {}", json!(found));
            errors.push(FieldError { reason: "FieldValueDuplicate", field: at.into(), message });
        } else {
            seen.push(found);
        }
    }
    if seen.len() > SELECTABLE_MAX {
        let message = format!("Too many: {}: must have at most {SELECTABLE_MAX} items", seen.len());
        errors.push(FieldError { reason: "FieldValueTooMany", field: path.into(), message });
    }
}

fn check_names(found: &Value, errors: &mut Vec<FieldError>) {
    for name in ["plural", "singular", "kind", "listKind"] {
        if text(&found[name]).is_empty() {
            errors.push(FieldError::required(format!("spec.names.{name}"), ""));
        }
    }
    let mut label = |path: String, name: &str, mixed: bool| {
        let wrong = names::dns_1035_label(&if mixed { name.to_lowercase() } else { name.to_owned() });
        if !name.is_empty() && !wrong.is_empty() {
            let prefix = if mixed { "may have mixed case, but should otherwise match: " } else { "" };
            errors.push(FieldError::invalid(path, &json!(name), &format!("{prefix}{}", wrong.join(","))));
        }
    };
    label("spec.names.plural".to_owned(), &text(&found["plural"]), false);
    label("spec.names.singular".to_owned(), &text(&found["singular"]), false);
    label("spec.names.kind".to_owned(), &text(&found["kind"]), true);
    label("spec.names.listKind".to_owned(), &text(&found["listKind"]), true);
    for field in ["shortNames", "categories"] {
        for (index, name) in texts(&found[field]).iter().enumerate() {
            label(format!("spec.names.{field}[{index}]"), name, false);
        }
    }
    if !text(&found["kind"]).is_empty() && found["kind"] == found["listKind"] {
        let detail = "kind and listKind may not be the same";
        errors.push(FieldError::invalid("spec.names.listKind", &found["listKind"], detail));
    }
}

fn check_conversion(conversion: &Value, errors: &mut Vec<FieldError>) {
    match conversion["strategy"].as_str().unwrap_or("None") {
        "None" => {
            if conversion.get("webhook").is_some() {
                let detail = "should not be set when strategy is not set to Webhook";
                errors.push(FieldError::forbidden("spec.conversion.webhookClientConfig", detail));
            }
        }
        "Webhook" => {
            if conversion["webhook"]["clientConfig"].is_null() {
                let detail = "required when strategy is set to Webhook";
                errors.push(FieldError::required("spec.conversion.webhookClientConfig", detail));
            }
            if list(&conversion["webhook"]["conversionReviewVersions"]).next().is_none() {
                errors.push(FieldError::required("spec.conversion.conversionReviewVersions", ""));
            }
        }
        other => {
            errors.push(FieldError::not_supported("spec.conversion.strategy", &json!(other), &["None", "Webhook"]));
        }
    }
}

fn stored_versions(crd: &Value, errors: &mut Vec<FieldError>) {
    let known: Vec<String> = list(&crd["spec"]["versions"]).map(|version| text(&version["name"])).collect();
    for (index, stored) in texts(&crd["status"]["storedVersions"]).iter().enumerate() {
        if !known.contains(stored) {
            let detail = format!(
                "missing from spec.versions; {stored} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in {stored} and removes {stored} from status.storedVersions"
            );
            errors.push(FieldError::invalid(format!("status.storedVersions[{index}]"), &json!(stored), &detail));
        }
    }
}
