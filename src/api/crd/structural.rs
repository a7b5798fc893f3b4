//! From the JSON schema of a Rust type to a structural one: references written out, one type everywhere, nothing that
//! Kubernetes forbids. What is said of fields of our own stays, Kubernetes' own descriptions do not: they are most of the
//! text, and known.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// The beginning of the names of Kubernetes' own types.
const BUILTIN: &str = "io.k8s.";
/// The amounts, which are numbers or texts.
const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";
/// What amounts look like. Upstream rule: `Quantity` in controller-tools `pkg/crd/known_types.go`.
const QUANTITY_PATTERN: &str = r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$";
/// Types of Kubernetes whose name may be absent, and is empty then.
const NAMELESS: [&str; 8] = [
    ".ConfigMapEnvSource",
    ".ConfigMapKeySelector",
    ".ConfigMapProjection",
    ".ConfigMapVolumeSource",
    ".LocalObjectReference",
    ".SecretEnvSource",
    ".SecretKeySelector",
    ".SecretProjection",
];
/// What is kept as it is.
const KEPT: [&str; 9] = [
    "description",
    "enum",
    "format",
    "maximum",
    "minimum",
    "nullable",
    "pattern",
    "required",
    "x-kubernetes-preserve-unknown-fields",
];

/// The structural schema of a type.
#[must_use]
pub fn schema_of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft07().with(|settings| settings.meta_schema = None);
    let mut generator = settings.into_generator();
    let root = generator.root_schema_for::<T>().to_value();
    let definitions = root["definitions"].as_object().cloned().unwrap_or_default();
    structural(&root, &definitions, true)
}

/// One schema; `ours` tells whether its descriptions are wanted.
fn structural(schema: &Value, definitions: &Map<String, Value>, ours: bool) -> Value {
    if let Some(of) = alternative(schema) {
        return described(structural(of, definitions, ours), schema, ours);
    }
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        let meant = match (name, definitions.get(name)) {
            (QUANTITY, _) => json!({
                "anyOf": [{"type": "integer"}, {"type": "string"}],
                "pattern": QUANTITY_PATTERN,
                "x-kubernetes-int-or-string": true,
            }),
            (_, Some(definition)) => {
                let made = structural(definition, definitions, ours && !name.starts_with(BUILTIN));
                if NAMELESS.iter().any(|end| name.ends_with(end)) { with_optional_name(made) } else { made }
            }
            (_, None) => json!({}),
        };
        return described(meant, schema, ours);
    }
    if schema["x-kubernetes-int-or-string"] == true {
        return json!({"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": true});
    }
    let mut made = Map::new();
    for key in KEPT.iter().filter(|key| ours || **key != "description") {
        if let Some(value) = schema.get(*key) {
            made.insert((*key).to_owned(), value.clone());
        }
    }
    if let Some(kind) = kind(schema) {
        made.insert("type".to_owned(), json!(kind));
    }
    if let Some(properties) = schema["properties"].as_object() {
        let properties = properties.iter().map(|(name, of)| (name.clone(), structural(of, definitions, ours)));
        made.insert("properties".to_owned(), Value::Object(properties.collect()));
    }
    for key in ["items", "additionalProperties"] {
        if let Some(of) = schema.get(key).filter(|of| of.is_object()) {
            made.insert(key.to_owned(), structural(of, definitions, ours));
        }
    }
    Value::Object(made)
}

/// The one schema that a combination comes down to: what may be null otherwise, and what has words of its own beside it.
fn alternative(schema: &Value) -> Option<&Value> {
    let listed = schema.get("anyOf").or_else(|| schema.get("allOf"))?.as_array()?;
    let mut some = listed.iter().filter(|of| of["type"] != "null");
    some.next().filter(|_| some.next().is_none())
}

/// The one type that is not null.
fn kind(schema: &Value) -> Option<&str> {
    match &schema["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null"),
        kind => kind.as_str(),
    }
}

fn with_optional_name(mut schema: Value) -> Value {
    schema["properties"]["name"]["default"] = json!("");
    if let Some(required) = schema["required"].as_array_mut() {
        required.retain(|name| name != "name");
        if required.is_empty()
            && let Some(fields) = schema.as_object_mut()
        {
            fields.remove("required");
        }
    }
    schema
}

/// Adds what the place of a schema says to what the schema itself says.
fn described(mut schema: Value, place: &Value, ours: bool) -> Value {
    for key in ["description", "nullable"] {
        if let Some(said) = place.get(key).filter(|_| ours || key != "description") {
            schema[key] = said.clone();
        }
    }
    schema
}

#[cfg(test)]
#[allow(unreachable_pub, reason = "the macro writes what others may use")]
mod tests {
    use k8s_openapi::api::core::v1::EnvVar;
    use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
    use std::collections::BTreeMap;

    use super::*;

    record! {
        /// All of it.
        #[schemars(extend("required" = ["many"]))]
        Sample {
            /// One.
            one: Option<i32>,
            /// Many.
            many: Vec<EnvVar>,
            /// Amounts.
            amounts: BTreeMap<String, Quantity>,
            /// Deep.
            deep: Option<Deep>,
        }

        /// Deeper.
        Deep {
            /// Yes or no.
            yes: Option<bool>,
        }
    }

    #[test]
    fn references_are_written_out_and_only_our_words_stay() {
        let schema = schema_of::<Sample>();
        assert_eq!(schema["properties"]["one"], json!({"type": "integer", "format": "int32", "description": "One."}));
        assert_eq!(schema["properties"]["deep"]["properties"]["yes"]["type"], "boolean");
        assert_eq!(schema["properties"]["deep"]["description"], "Deep.");
        assert_eq!(schema["properties"]["many"]["items"]["properties"]["name"], json!({"type": "string"}));
        assert_eq!(schema["properties"]["amounts"]["additionalProperties"]["x-kubernetes-int-or-string"], true);
        assert_eq!((&schema["required"], &schema["type"]), (&json!(["many"]), &json!("object")));
        let text = schema.to_string();
        for forbidden in ["$ref", "definitions", "title", "null"] {
            assert!(!text.contains(forbidden), "{forbidden} in {text}");
        }
    }
}
