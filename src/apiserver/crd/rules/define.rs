//! Rules in a definition: each is well formed, can be compiled, and cannot cost too much.
//! Upstream rules: k8s.io/apiextensions-apiserver `pkg/apis/apiextensions/validation/{validation,cel_validation}.go`.

use std::sync::Arc;

use serde_json::{Value, json};
use tinderbox_cel::{Decl, escape};

use super::super::schema;
use super::{Compiled, KEYWORD, Rule, place};
use crate::error::FieldError;
use crate::schema::{Path, Schema, declare};

/// The most that one rule may cost, for all the places where it holds.
const RULE_COST: u64 = 10_000_000;
/// The most that all rules of a definition may cost.
const TOTAL_COST: u64 = 100_000_000;
/// The largest object, in bytes.
const REQUEST: u64 = 3 * 1024 * 1024;
/// How many of the most expensive rules are told.
const EXPENSIVE: usize = 4;
const REASONS: [&str; 4] = ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];

/// What is wrong with the rules of an object's schema.
pub(in crate::crd) fn check(json: &Value, path: &Path) -> Vec<FieldError> {
    let mut check = Check { errors: Vec::new(), costs: Vec::new() };
    check.forms(json, path);
    if check.errors.is_empty() {
        let place = Place { decl: None, root: true, count: Some(1), uncorrelated: None };
        check.node(json, &place, path);
        check.total(path);
    }
    check.errors
}

struct Check {
    errors: Vec<FieldError>,
    costs: Vec<(Path, u64)>,
}

/// What is known of the place where a schema stands.
struct Place {
    decl: Option<Arc<Decl>>,
    root: bool,
    /// How many values it is held against at most; `None` where nothing limits them.
    count: Option<u64>,
    /// The part around it whose old values cannot be found again.
    uncorrelated: Option<Path>,
}

impl Check {
    /// What a rule must say, and how.
    fn forms(&mut self, json: &Value, path: &Path) {
        for (index, json_rule) in json[KEYWORD].as_array().into_iter().flatten().enumerate() {
            let at = path.field(KEYWORD).index(index);
            self.form(&Rule::read(json_rule), json, &at);
        }
        for (name, inner, _) in children(json) {
            self.forms(inner, &path.field(name.0).below(name.1));
        }
        for name in ["allOf", "anyOf", "oneOf"] {
            for (index, inner) in json[name].as_array().into_iter().flatten().enumerate() {
                self.forms(inner, &path.field(name).index(index));
            }
        }
    }

    fn form(&mut self, rule: &Rule, json: &Value, at: &Path) {
        let breaks = |text: &str| text.contains(['\n', '\r']);
        let message = rule.message.trim();
        let at_message = at.field("message");
        if rule.rule.trim().is_empty() {
            self.errors.push(FieldError::required(at.field("rule"), "rule is not specified"));
        } else if !rule.message.is_empty() && message.is_empty() {
            self.errors.push(FieldError::invalid(at_message, &json!(rule.message), "must be non-empty if specified"));
        } else if breaks(message) {
            self.errors.push(FieldError::invalid(at_message, &json!(rule.message), "must not contain line breaks"));
        } else if breaks(rule.rule.trim()) && message.is_empty() {
            let detail = "message must be specified if rule contains line breaks";
            self.errors.push(FieldError::required(at_message, detail));
        }
        if !rule.message_expression.is_empty() && rule.message_expression.trim().is_empty() {
            let detail = "messageExpression must be non-empty if specified";
            self.errors.push(FieldError::required(at.field("messageExpression"), detail));
        }
        if let Some(reason) = rule.reason.as_ref().filter(|reason| !REASONS.contains(&reason.as_str())) {
            self.errors.push(FieldError::not_supported(at.field("reason"), &json!(reason), &REASONS));
        }
        let field_path = &rule.field_path;
        let mut path_error = |detail| {
            self.errors.push(FieldError::invalid(at.field("fieldPath"), &json!(field_path), detail));
        };
        if !field_path.is_empty() {
            if field_path.trim().is_empty() {
                path_error("must be non-empty if specified");
            }
            if breaks(field_path) {
                path_error("must not contain line breaks");
            }
            if place::read(field_path, &schema::read(json)).is_none() {
                path_error("must be a valid path");
            }
        }
    }

    fn node(&mut self, json: &Value, place: &Place, path: &Path) {
        let rules: Vec<Rule> = json[KEYWORD].as_array().into_iter().flatten().map(Rule::read).collect();
        let mut decl = place.decl.clone();
        let embedded = json["x-kubernetes-embedded-resource"] == true;
        if !rules.is_empty() && decl.is_none() {
            decl = declare(&schema::read(json), place.root || embedded).map(Arc::new);
        }
        for (name, inner, count) in children(json) {
            let lost = match name.0 {
                "items" => json["x-kubernetes-list-type"] != "map",
                _ => false,
            };
            let place = Place {
                decl: decl.as_ref().and_then(|decl| below(decl, name)),
                root: false,
                count: place.count.zip(count).map(|(outer, own)| outer.saturating_mul(own)),
                uncorrelated: if lost { Some(path.clone()) } else { place.uncorrelated.clone() },
            };
            self.node(inner, &place, &path.field(name.0).below(name.1));
        }
        if rules.is_empty() {
            return;
        }
        let Some(decl) = decl else {
            let detail = "internal error: failed to construct type information for x-kubernetes-validations rules: unable to convert structural schema to CEL declarations";
            let message = format!("Internal error: {detail}");
            self.errors.push(FieldError { reason: "InternalError", field: path.field(KEYWORD).into(), message });
            return;
        };
        let schema = schema::read(json);
        for (index, rule) in rules.into_iter().enumerate() {
            self.rule(rule, &schema, &decl, place, &path.field(KEYWORD).index(index));
        }
    }

    fn rule(&mut self, rule: Rule, schema: &Schema, decl: &Decl, place: &Place, at: &Path) {
        let compiled = Compiled::new(rule, schema, decl);
        let rule = &compiled.rule;
        match &compiled.program {
            Some(Ok(program)) => {
                let count = place.count.unwrap_or(REQUEST / (decl.min_size + 1));
                self.cost(program.cost(decl).saturating_mul(count), "estimated rule cost", at.field("rule"));
            }
            Some(Err(detail)) => self.errors.push(rule.refused(at, "rule", detail)),
            None => {}
        }
        match &compiled.message {
            Some(Ok(program)) => {
                self.cost(program.cost(decl), "estimated messageExpression cost", at.field("messageExpression"));
            }
            Some(Err(detail)) => self.errors.push(rule.refused(at, "messageExpression", detail)),
            None => {}
        }
        if compiled.uses_old() {
            if let Some(around) = &place.uncorrelated {
                let detail =
                    format!("oldSelf cannot be used on the uncorrelatable portion of the schema within {around}");
                self.errors.push(FieldError::invalid(at.field("rule"), &json!(rule.rule), &detail));
            }
        } else if let Some(optional) = rule.optional_old_self {
            let detail = "may not be set if oldSelf is not used in rule";
            self.errors.push(FieldError::invalid(at.field("optionalOldSelf"), &json!(optional), detail));
        }
    }

    fn cost(&mut self, cost: u64, what: &str, at: Path) {
        if cost > RULE_COST {
            self.errors.push(FieldError::forbidden(&at, &excess(what, cost, RULE_COST)));
        }
        self.costs.push((at, cost));
    }

    fn total(&mut self, path: &Path) {
        let total = self.costs.iter().fold(0_u64, |total, (_, cost)| total.saturating_add(*cost));
        if total <= TOTAL_COST {
            return;
        }
        self.costs.retain(|(_, cost)| *cost >= TOTAL_COST / 100);
        self.costs.sort_by_key(|(_, cost)| std::cmp::Reverse(*cost));
        for (at, _) in self.costs.iter().take(EXPENSIVE) {
            let detail = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema";
            self.errors.push(FieldError::forbidden(at, detail));
        }
        let what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema";
        self.errors.push(FieldError::forbidden(path, &excess(what, total, TOTAL_COST)));
    }
}

/// Where a schema stands in the one around it: the keyword and, for properties, the name.
type Name<'a> = (&'static str, Option<&'a str>);

/// The schemas within a schema, and how many values of each there can be for one value around them.
fn children(json: &Value) -> Vec<(Name<'_>, &Value, Option<u64>)> {
    let bound = |name: &str| json.get(name).map(|value| value.as_u64().unwrap_or(0));
    let mut found = Vec::new();
    if let Some(values) = json.get("additionalProperties").filter(|values| values.is_object()) {
        found.push((("additionalProperties", None), values, bound("maxProperties")));
    }
    for (name, property) in json["properties"].as_object().into_iter().flatten() {
        let unbounded = json.get("additionalProperties").is_some();
        let count = if unbounded { bound("maxProperties") } else { Some(1) };
        found.push((("properties", Some(name.as_str())), property, count));
    }
    if let Some(items) = json.get("items").filter(|items| items.is_object()) {
        found.push((("items", None), items, bound("maxItems")));
    }
    found
}

fn below(decl: &Decl, (_, property): Name<'_>) -> Option<Arc<Decl>> {
    use tinderbox_cel::DeclKind;
    match (&decl.kind, property) {
        (DeclKind::Object(object), Some(name)) => {
            object.fields.get(&escape(name)?).map(|field| Arc::clone(&field.decl))
        }
        (DeclKind::List(inner, _) | DeclKind::Map(inner), None) => Some(Arc::clone(inner)),
        _ => None,
    }
}

/// By how much a cost is too high.
fn excess(what: &str, cost: u64, limit: u64) -> String {
    let factor = cost as f64 / limit as f64;
    let factor = if factor > 100.0 {
        "more than 100x".to_owned()
    } else if factor < 1.5 {
        format!("{factor:.6}x")
    } else {
        format!("{factor:.1}x")
    };
    format!(
        "{what} exceeds budget by factor of {factor} (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)"
    )
}
