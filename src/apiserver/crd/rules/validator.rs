//! Rules held against an object that is written. They are compiled once, when the first object comes.
//! Upstream rule: k8s.io/apiextensions-apiserver `pkg/apiserver/schema/cel/validation.go`.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde_json::Value;
use tinderbox_cel::{Decl, DeclKind, Error, Run, escape, view};

use super::{Compiled, KEYWORD, PER_CALL, Rule};
use crate::error::FieldError;
use crate::schema::{Kind, ListType, Path, Schema, declare};

/// The most that all rules of one object may cost.
const BUDGET: i64 = 10_000_000;
/// The longest message that an expression makes, in bytes.
const MESSAGE_MAX: usize = 5 * 1024;

/// The rules of a version of a custom resource.
#[derive(Debug, Default)]
pub struct Rules {
    schema: Arc<Schema>,
    compiled: OnceLock<Option<Validator>>,
}

/// Rules are what their schema says.
impl PartialEq for Rules {
    fn eq(&self, other: &Self) -> bool {
        self.schema == other.schema
    }
}

impl Rules {
    /// The rules that a schema says.
    #[must_use]
    pub fn of(schema: Arc<Schema>) -> Self {
        Self { schema, compiled: OnceLock::new() }
    }

    /// What breaks a rule in an object, new or changed. What was as bad before is told in `warnings` instead.
    pub fn validate(&self, object: &Value, old: Option<&Value>, warnings: &mut Vec<String>) -> Vec<FieldError> {
        let compiled = self.compiled.get_or_init(|| Validator::new(&self.schema, &self.schema, None, true));
        let Some(validator) = compiled else {
            return Vec::new();
        };
        let mut run = Check { errors: Vec::new(), warnings, budget: BUDGET };
        run.node(validator, object, old, &Path::default(), Before { same: false, root: true });
        run.errors
    }
}

/// The rules of one value and of what is in it.
#[derive(Debug)]
struct Validator {
    rules: Vec<Compiled>,
    decl: Option<Arc<Decl>>,
    /// The type of the value in the schema's words.
    type_name: &'static str,
    keys: Option<Vec<String>>,
    items: Option<Box<Validator>>,
    additional: Option<Box<Validator>>,
    properties: BTreeMap<String, Validator>,
    all_of: Vec<Validator>,
}

impl Validator {
    /// The rules that `rules` says of values that `schema` describes; they differ in what `allOf` says.
    fn new(rules: &Schema, schema: &Schema, decl: Option<Arc<Decl>>, root: bool) -> Option<Self> {
        if !has_rules(rules) {
            return None;
        }
        let decl = decl.or_else(|| declare(schema, root || schema.embedded_resource).map(Arc::new));
        let inner = |rules: &Option<Arc<Schema>>, schema: &Option<Arc<Schema>>| {
            let below = match decl.as_ref().map(|decl| &decl.kind) {
                Some(DeclKind::List(inner, _) | DeclKind::Map(inner)) => Some(Arc::clone(inner)),
                _ => None,
            };
            Self::new(rules.as_deref()?, schema.as_deref()?, below, false).map(Box::new)
        };
        let property = |(name, rules): (&String, &Arc<Schema>)| {
            let schema = schema.properties.get(name)?;
            let below = match decl.as_ref().map(|decl| &decl.kind) {
                Some(DeclKind::Object(object)) => {
                    escape(name).and_then(|name| object.fields.get(&name)).map(|field| Arc::clone(&field.decl))
                }
                _ => None,
            };
            Some((name.clone(), Self::new(rules, schema, below, false)?))
        };
        let combined = rules.combined.iter().flat_map(|combined| &combined.all_of);
        Some(Self {
            rules: match &decl {
                Some(decl) => Rule::all(rules).into_iter().map(|rule| Compiled::new(rule, schema, decl)).collect(),
                None => Vec::new(),
            },
            type_name: type_name(schema.kind),
            keys: match &schema.list_type {
                ListType::Map(keys) => Some(keys.clone()),
                _ => None,
            },
            items: inner(&rules.items, &schema.items),
            additional: inner(&rules.additional, &schema.additional),
            properties: rules.properties.iter().filter_map(property).collect(),
            all_of: combined.filter_map(|rules| Self::new(rules, schema, decl.clone(), root)).collect(),
            decl,
        })
    }
}

fn has_rules(schema: &Schema) -> bool {
    let within = |one: &Option<Arc<Schema>>| one.as_ref().is_some_and(|one| has_rules(one));
    schema.rules.contains_key(KEYWORD)
        || within(&schema.items)
        || within(&schema.additional)
        || schema.properties.values().any(|property| has_rules(property))
        || schema.combined.iter().any(|combined| combined.all_of.iter().any(|one| has_rules(one)))
}

fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Object => "object",
        Kind::Array => "array",
        Kind::String => "string",
        Kind::Integer => "integer",
        Kind::Number => "number",
        Kind::Boolean => "boolean",
        Kind::Any | Kind::IntOrString => "",
    }
}

/// What is known of a value's past from what is around it.
#[derive(Clone, Copy)]
struct Before {
    /// What is around it is as it was.
    same: bool,
    root: bool,
}

struct Check<'w> {
    errors: Vec<FieldError>,
    warnings: &'w mut Vec<String>,
    /// What rules may still cost; negative when no more are run.
    budget: i64,
}

impl Check<'_> {
    fn node(&mut self, validator: &Validator, value: &Value, old: Option<&Value>, path: &Path, before: Before) {
        if value.is_null() || self.budget < 0 {
            return;
        }
        let old = old.filter(|old| !old.is_null());
        let same = old.map_or(before.same, |old| old == value);
        for compiled in &validator.rules {
            if self.budget < 0 {
                return;
            }
            self.rule(validator, compiled, (value, old), path, same);
        }
        for all in &validator.all_of {
            self.node(all, value, old, path, Before { same: before.same, root: before.root });
        }
        match value {
            Value::Array(items) => {
                let Some(rules) = &validator.items else { return };
                let olds = old.and_then(Value::as_array);
                for (index, item) in items.iter().enumerate() {
                    let old = olds.zip(validator.keys.as_ref()).and_then(|(olds, keys)| counterpart(olds, item, keys));
                    self.node(rules, item, old, &path.index(index), Before { same, root: false });
                }
            }
            Value::Object(fields) => {
                for (name, value) in fields {
                    let old = old.and_then(|old| old.get(name));
                    // Both are brought into one version before: what was written is not seen.
                    let hidden = before.root && (name == "apiVersion" || name == "kind");
                    let before = Before { same: same && !hidden, root: false };
                    if let Some(rules) = validator.properties.get(name) {
                        self.node(rules, value, old, &path.field(name), before);
                    } else if let Some(rules) = &validator.additional {
                        self.node(rules, value, old, &path.key(name), before);
                    }
                }
            }
            _ => {}
        }
    }

    fn rule(
        &mut self,
        validator: &Validator,
        compiled: &Compiled,
        (value, old): (&Value, Option<&Value>),
        path: &Path,
        same: bool,
    ) {
        let rule = &compiled.rule;
        let (Some(program), Some(decl)) = (&compiled.program, &validator.decl) else {
            return;
        };
        let program = match program {
            Ok(program) => program,
            Err(detail) => return self.invalid(validator, path, &format!("rule compile error: {detail}")),
        };
        let optional = rule.optional_old_self == Some(true);
        if compiled.uses_old() && old.is_none() && !optional {
            return;
        }
        let variables = |name: &str| match name {
            "self" => Some(view(value, decl)),
            "oldSelf" if optional => {
                let old = old.map(|old| view(old, decl)).transpose();
                Some(old.map(|old| old.map_or(tinderbox_cel::Value::Optional(None), tinderbox_cel::Value::some)))
            }
            "oldSelf" => old.map(|old| view(old, decl)),
            _ => None,
        };
        let Run { value: result, cost } = program.run(&variables, PER_CALL);
        if !self.spend(cost) {
            let detail = "validation failed due to running out of cost budget, no further validation rules will be run";
            return self.invalid(validator, path, detail);
        }
        match result {
            Ok(tinderbox_cel::Value::Bool(true)) => return,
            Ok(_) => {}
            Err(Error::Cost) => {
                let cause = Error::Cost;
                self.budget = -1;
                let detail = format!(
                    "'{cause}': no further validation rules will be run due to call cost exceeds limit for rule: {}",
                    rule.name()
                );
                return self.invalid(validator, path, &detail);
            }
            Err(Error::Failed(cause)) if cause.starts_with("no such overload") => {
                let detail = format!(
                    "'{cause}': call arguments did not match a supported operator, function or macro signature for rule: {}",
                    rule.name()
                );
                return self.invalid(validator, path, &detail);
            }
            Err(error) => return self.invalid(validator, path, &format!("{error} evaluating rule: {}", rule.name())),
        }
        let at = match &compiled.place {
            Some(place) => path.field(place),
            None => path.clone(),
        };
        let (told, reason) = match &compiled.message {
            Some(Ok(message)) => self.message(message.run(&variables, PER_CALL), rule),
            _ => (rule.told(), rule.reason.as_deref()),
        };
        let error = failure(&at, validator.type_name, &told, reason);
        if same && !compiled.uses_old() {
            self.warnings.push(format!("{}: {}", error.field, error.message));
        } else {
            self.errors.push(error);
        }
    }

    /// What a failure is told by, and its reason, where an expression makes the message.
    fn message<'r>(&mut self, made: Run<'_>, rule: &'r Rule) -> (String, Option<&'r str>) {
        if !self.spend(made.cost) {
            let detail = "messageExpression evaluation failed due to running out of cost budget, no further validation rules will be run";
            return (detail.to_owned(), None);
        }
        if let Err(Error::Cost) = made.value {
            self.budget = -1;
            let source = &rule.message_expression;
            let detail = "no further validation rules will be run due to call cost exceeds limit for messageExpression";
            return (format!("{detail}: {source:?}"), None);
        }
        (told(made.value).unwrap_or_else(|| rule.told()), rule.reason.as_deref())
    }

    /// Takes a cost from the budget, or ends the run.
    fn spend(&mut self, cost: u64) -> bool {
        match i64::try_from(cost) {
            Ok(cost) if cost <= self.budget => {
                self.budget -= cost;
                true
            }
            _ => {
                self.budget = -1;
                false
            }
        }
    }

    fn invalid(&mut self, validator: &Validator, path: &Path, detail: &str) {
        self.errors.push(failure(path, validator.type_name, detail, None));
    }
}

/// The message that an expression made, where it is fit to be told.
fn told(result: Result<tinderbox_cel::Value<'_>, Error>) -> Option<String> {
    match result {
        Ok(tinderbox_cel::Value::String(text)) => {
            let text = text.trim();
            (!text.is_empty() && text.len() <= MESSAGE_MAX && !text.contains('\n')).then(|| text.to_owned())
        }
        _ => None,
    }
}

fn failure(path: &Path, type_name: &str, detail: &str, reason: Option<&str>) -> FieldError {
    let field = path.to_string();
    // The root of an object has no path, which upstream writes so.
    let field = if field.is_empty() { "<nil>".to_owned() } else { field };
    let value = Value::from(type_name);
    match reason {
        Some("FieldValueForbidden") => FieldError::forbidden(field, detail),
        Some("FieldValueRequired") => FieldError::required(field, detail),
        Some("FieldValueDuplicate") => {
            FieldError { reason: "FieldValueDuplicate", field, message: format!("Duplicate value: {value}") }
        }
        _ => FieldError::invalid(field, &value, detail),
    }
}

/// The item of an old list that stands for the same thing.
fn counterpart<'v>(olds: &'v [Value], item: &Value, keys: &[String]) -> Option<&'v Value> {
    olds.iter().find(|old| keys.iter().all(|key| old.get(key) == item.get(key)))
}
