//! A policy over a request: match conditions, variables, validations and their messages, within a budget.
//! Upstream rules: k8s.io/apiserver `pkg/admission/plugin/policy/validating/validator.go` and `pkg/admission/plugin/cel`.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use serde_json::Value as Json;
use tinderbox_cel::{Attributes, Decl, Error, Fields, Rights, Run, Value, view};

use super::compile::{Expression, NAMESPACE, Policy, REQUEST, Validation};

/// The most that one evaluation may cost.
const PER_CALL: u64 = 1_000_000;
/// The most that the validations of a policy may cost for one request.
const BUDGET: u64 = 10_000_000;
/// The most that its match conditions may cost.
const CONDITIONS_BUDGET: u64 = 2_500_000;
/// The longest message that an expression makes, in bytes.
const MESSAGE_MAX: usize = 5 * 1024;
const OUT_OF_BUDGET: &str =
    "validation failed due to running out of cost budget, no further validation rules will be run";

/// What expressions look at.
#[derive(Clone, Copy)]
pub(super) struct Input<'a> {
    pub(super) object: &'a Json,
    pub(super) old_object: &'a Json,
    pub(super) params: &'a Json,
    pub(super) request: &'a Json,
    pub(super) namespace: &'a Json,
    pub(super) rights: &'a dyn Rights,
    /// The request's own resource, for questions about rights.
    pub(super) asked: &'a Attributes,
}

/// A validation that did not hold, or could not be found out.
pub(super) struct Decision {
    pub(super) message: String,
    /// Empty is `Invalid`.
    pub(super) reason: String,
}

#[derive(Default)]
pub(super) struct Evaluated {
    pub(super) denials: Vec<Decision>,
    pub(super) annotation_errors: Vec<String>,
}

/// What a policy says about a request.
pub(super) fn evaluate(policy: &Policy, input: &Input<'_>) -> Evaluated {
    let failed = |message: String| {
        let denial = Decision { message, reason: String::new() };
        Evaluated { denials: if policy.fails { vec![denial] } else { Vec::new() }, annotation_errors: Vec::new() }
    };
    match applies(policy, input) {
        Ok(true) => {}
        Ok(false) => return Evaluated::default(),
        Err(message) => return failed(message),
    }
    let mut session = Session::new(policy, input, BUDGET);
    let mut results = Vec::with_capacity(policy.validations.len());
    for validation in &policy.validations {
        match session.run(&validation.expression) {
            Ok(result) => results.push(result),
            Err(OutOfBudget) => return failed(OUT_OF_BUDGET.to_owned()),
        }
    }
    let messages = session.messages(policy);
    let mut evaluated = Evaluated::default();
    for (index, (validation, result)) in policy.validations.iter().zip(results).enumerate() {
        let denial = match (result, &messages) {
            (Err(message), _) if policy.fails => Decision { message, reason: String::new() },
            (Ok(_), Err(OutOfBudget)) if policy.fails => {
                Decision { message: format!("failed messageExpression: {OUT_OF_BUDGET}"), reason: String::new() }
            }
            (Err(_), _) | (Ok(_), Err(OutOfBudget)) | (Ok(Value::Bool(true)), _) => continue,
            (Ok(_), Ok(messages)) => {
                Decision { message: told(validation, messages[index].as_deref()), reason: validation.reason.clone() }
            }
        };
        evaluated.denials.push(denial);
    }
    let mut session = Session::new(policy, input, BUDGET);
    for annotation in &policy.annotations {
        match session.run(annotation) {
            Err(OutOfBudget) => return failed(OUT_OF_BUDGET.to_owned()),
            Ok(Err(message)) if policy.fails => evaluated.annotation_errors.push(message),
            Ok(_) => {}
        }
    }
    evaluated
}

/// Whether all conditions hold; one that does not wins over one that fails.
pub(super) fn applies(policy: &Policy, input: &Input<'_>) -> Result<bool, String> {
    let mut session = Session::new(policy, input, CONDITIONS_BUDGET);
    let mut errors = Vec::new();
    for condition in &policy.conditions {
        match session.run(condition) {
            Ok(Ok(Value::Bool(false))) => return Ok(false),
            Ok(Ok(_)) => {}
            Ok(Err(message)) => errors.push(message),
            Err(OutOfBudget) => errors.push(OUT_OF_BUDGET.to_owned()),
        }
    }
    match errors.as_slice() {
        [] => Ok(true),
        _ if !policy.fails => Ok(false),
        [one] => Err(one.clone()),
        several => Err(format!("[{}]", several.join(", "))),
    }
}

/// The message of a validation that did not hold.
fn told(validation: &Validation, made: Option<&str>) -> String {
    let own = validation.message.trim();
    match made {
        Some(made) => made.to_owned(),
        None if !own.is_empty() => own.to_owned(),
        None => format!("failed expression: {}", validation.expression.source.trim()),
    }
}

struct OutOfBudget;

/// Expressions that are run over one request, one after the other.
struct Session<'a> {
    variables: Variables<'a>,
    budget: u64,
}

impl<'a> Session<'a> {
    fn new(policy: &'a Policy, input: &Input<'a>, budget: u64) -> Self {
        let inner = Inner { policy, input: *input, known: RefCell::default(), cost: Cell::new(0) };
        Self { variables: Variables(Rc::new(inner)), budget }
    }

    /// The value of an expression, or why it has none.
    fn run(&mut self, expression: &Expression) -> Result<Result<Value<'a>, String>, OutOfBudget> {
        let program = match &expression.program {
            Ok(program) => program,
            Err(error) => return Ok(Err(format!("compilation error: {error}"))),
        };
        let Run { value, cost } = program.run(&|name| self.variables.lookup(name), PER_CALL);
        let cost = cost.saturating_add(self.variables.0.cost.take());
        self.budget = self.budget.checked_sub(cost).ok_or(OutOfBudget)?;
        Ok(value.map_err(|error| format!("expression '{}' resulted in error: {error}", expression.source)))
    }

    /// The messages that expressions make, where they make one that is fit to be told.
    fn messages(&mut self, policy: &Policy) -> Result<Vec<Option<String>>, OutOfBudget> {
        let mut messages = Vec::with_capacity(policy.validations.len());
        for validation in &policy.validations {
            let made = match &validation.message_expression {
                Some(expression) => self.run(expression)?.ok(),
                None => None,
            };
            messages.push(match made {
                Some(Value::String(text)) => {
                    let text = text.trim();
                    let fit = !text.is_empty() && text.len() <= MESSAGE_MAX && !text.contains('\n');
                    fit.then(|| text.to_owned())
                }
                _ => None,
            });
        }
        Ok(messages)
    }
}

/// `variables`: each is worked out when it is first looked at.
#[derive(Clone)]
struct Variables<'a>(Rc<Inner<'a>>);

struct Inner<'a> {
    policy: &'a Policy,
    input: Input<'a>,
    known: RefCell<HashMap<String, Result<Value<'a>, Error>>>,
    /// What working them out has cost since somebody asked.
    cost: Cell<u64>,
}

impl<'a> Variables<'a> {
    fn lookup(&self, name: &str) -> Option<Result<Value<'a>, Error>> {
        let input = &self.0.input;
        Some(match name {
            "object" => view(input.object, &Decl::DYN),
            "oldObject" => view(input.old_object, &Decl::DYN),
            "params" => view(input.params, &Decl::DYN),
            "request" => view(input.request, &REQUEST),
            "namespaceObject" => view(input.namespace, &NAMESPACE),
            "authorizer" => Ok(Value::authorizer(input.rights)),
            "authorizer.requestResource" => Ok(Value::request_resource(input.rights, input.asked.clone())),
            "variables" => Ok(Value::Fields(Rc::new(self.clone()))),
            _ => return None,
        })
    }
}

impl<'a> Fields<'a> for Variables<'a> {
    fn get(&self, name: &str) -> Option<Result<Value<'a>, Error>> {
        let (_, expression) = self.0.policy.variables.iter().rev().find(|(known, _)| known == name)?;
        if let Some(known) = self.0.known.borrow().get(name) {
            return Some(known.clone());
        }
        let value = match &expression.program {
            Err(error) => Err(Error::Failed(format!("composited variable {name:?} fails to compile: {error}"))),
            Ok(program) => {
                let Run { value, cost } = program.run(&|name| self.lookup(name), PER_CALL);
                self.0.cost.set(self.0.cost.get().saturating_add(cost));
                value.map_err(|error| Error::Failed(format!("composited variable {name:?} fails to evaluate: {error}")))
            }
        };
        self.0.known.borrow_mut().insert(name.to_owned(), value.clone());
        Some(value)
    }
}
