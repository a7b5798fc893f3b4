//! CEL rules of custom resources (`x-kubernetes-validations`): what one says, checked when it is defined, and held against
//! objects when they are written.
//! Upstream rules: k8s.io/apiextensions-apiserver `pkg/apiserver/schema/cel`.

mod define;
mod place;
mod validator;

use serde_json::Value;
use tinderbox_cel::{Decl, Environment, Program, Type};

use crate::error::FieldError;
use crate::schema::{Path, Schema};

pub(super) use define::check;
pub use validator::Rules;

#[cfg(test)]
mod tests;

/// The most that one evaluation may cost.
const PER_CALL: u64 = 1_000_000;
/// The keyword of rules in a schema.
const KEYWORD: &str = "x-kubernetes-validations";

/// One rule as it is written.
#[derive(Debug, Clone, Default)]
struct Rule {
    rule: String,
    message: String,
    message_expression: String,
    reason: Option<String>,
    field_path: String,
    optional_old_self: Option<bool>,
}

impl Rule {
    fn read(json: &Value) -> Self {
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        Self {
            rule: text("rule"),
            message: text("message"),
            message_expression: text("messageExpression"),
            reason: json["reason"].as_str().map(str::to_owned),
            field_path: text("fieldPath"),
            optional_old_self: json["optionalOldSelf"].as_bool(),
        }
    }

    /// The rules of a schema.
    fn all(schema: &Schema) -> Vec<Self> {
        let rules = schema.rules.get(KEYWORD).and_then(Value::as_array);
        rules.into_iter().flatten().map(Self::read).collect()
    }

    /// What a failure is told by.
    fn name(&self) -> &str {
        if self.message.is_empty() { self.rule.trim() } else { self.message.trim() }
    }

    /// The message of a failure.
    fn told(&self) -> String {
        if self.message.is_empty() { format!("failed rule: {}", self.name()) } else { self.name().to_owned() }
    }

    /// The rule as Go writes its structure, which is how upstream shows a bad one.
    fn as_go(&self) -> String {
        let reason = "(*apiextensions.FieldValueErrorReason)(nil)";
        format!(
            "apiextensions.ValidationRule{{Rule:{:?}, Message:{:?}, MessageExpression:{:?}, Reason:{reason}, FieldPath:{:?}, OptionalOldSelf:(*bool)(nil)}}",
            self.rule, self.message, self.message_expression, self.field_path
        )
    }

    fn refused(&self, at: &Path, what: &str, detail: &str) -> FieldError {
        let message = format!("Invalid value: {}: {detail}", self.as_go());
        FieldError { reason: "FieldValueInvalid", field: at.field(what).into(), message }
    }
}

/// A rule that is ready to run.
#[derive(Debug)]
struct Compiled {
    rule: Rule,
    /// The expression, or why there is none; a rule without text has neither.
    program: Option<Result<Program, String>>,
    message: Option<Result<Program, String>>,
    /// Where a failure is told, below the value.
    place: Option<String>,
}

impl Compiled {
    fn new(rule: Rule, schema: &Schema, decl: &Decl) -> Self {
        let ty = decl.cel_type();
        let old = if rule.optional_old_self == Some(true) { Type::optional(ty.clone()) } else { ty.clone() };
        let environment = Environment::default().with("self", ty).with("oldSelf", old);
        let program = (!rule.rule.trim().is_empty()).then(|| {
            let wanted = "cel expression must evaluate to a bool";
            compile(&environment, &rule.rule, &Type::Bool, "compilation failed", wanted)
        });
        let good = matches!(program, Some(Ok(_)));
        let message = (good && !rule.message_expression.is_empty()).then(|| {
            let wanted = "messageExpression must evaluate to a string";
            let failed = "messageExpression compilation failed";
            compile(&environment, &rule.message_expression, &Type::String, failed, wanted)
        });
        let place = if rule.field_path.is_empty() { None } else { place::read(&rule.field_path, schema) };
        Self { rule, program, message, place }
    }

    fn uses_old(&self) -> bool {
        matches!(&self.program, Some(Ok(program)) if program.uses("oldSelf"))
    }
}

fn compile(environment: &Environment, text: &str, ty: &Type, failed: &str, wanted: &str) -> Result<Program, String> {
    let program = environment.compile(text).map_err(|issues| format!("{failed}: {issues}"))?;
    if program.result() == ty { Ok(program) } else { Err(wanted.to_owned()) }
}
