//! Conditions in CEL, over JSON objects. An evaluation has a time limit, as the language's own comprehensions can nest.
//! It must not know what the objects are.

use std::collections::HashMap;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use cel::{Context, Env};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// How long one evaluation may take.
const LIMIT: Duration = Duration::from_secs(2);

/// An expression whose grammar has been checked.
#[derive(Debug, Clone)]
pub struct Expression(Arc<str>);

impl<'de> Deserialize<'de> for Expression {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}

impl std::fmt::Display for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // As one line, however it was written.
        f.write_str(&self.0.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

impl Expression {
    /// Checks the grammar.
    ///
    /// # Errors
    /// When it is not CEL; the text says where.
    pub fn new(text: &str) -> Result<Self, String> {
        match Env::stdlib().compile(text) {
            Ok(_) => Ok(Self(text.into())),
            Err(errors) => {
                let told: Vec<String> =
                    errors.errors.iter().map(|error| format!("character {}: {}", error.pos.1 + 1, error.msg)).collect();
                Err(format!("not a CEL expression: {}", told.join("; ")))
            }
        }
    }

    /// The value of the expression with these variables.
    ///
    /// # Errors
    /// When it cannot be evaluated, or not in time.
    pub fn evaluate(&self, variables: Vec<(&'static str, Value)>) -> Result<Value, String> {
        let (send, receive) = mpsc::channel();
        let text = Arc::clone(&self.0);
        let thread = std::thread::Builder::new().name("cel".to_owned());
        // An evaluation cannot be stopped from outside: when it takes too long, its thread is left behind.
        let started = thread.spawn(move || {
            let _ = send.send(evaluate(&text, variables));
        });
        match started {
            Ok(_) => receive
                .recv_timeout(LIMIT)
                .unwrap_or_else(|_| Err(format!("it took longer than {} s", LIMIT.as_secs()))),
            Err(error) => Err(format!("no thread for it: {error}")),
        }
    }

    /// Whether the expression is true with these variables.
    ///
    /// # Errors
    /// When it cannot be evaluated, or not in time, or is neither true nor false.
    pub fn holds(&self, variables: Vec<(&'static str, Value)>) -> Result<bool, String> {
        match self.evaluate(variables)? {
            Value::Bool(holds) => Ok(holds),
            other => Err(format!("it is neither true nor false but {other}")),
        }
    }
}

fn evaluate(text: &str, variables: Vec<(&'static str, Value)>) -> Result<Value, String> {
    let env = Arc::new(Env::stdlib());
    let program = env.compile(text).map_err(|error| error.to_string())?;
    let mut context = Context::with_env(env);
    for (name, value) in variables {
        context.add_variable_from_value(name, convert(value));
    }
    let value = program.execute(&context).map_err(|error| error.to_string())?;
    value.json().map_err(|error| error.to_string())
}

/// JSON as CEL sees it. Whole numbers are `int` and never `uint`, so that `x > 0` and `x * 2` work on them.
fn convert(value: Value) -> cel::Value {
    match value {
        Value::Null => cel::Value::Null,
        Value::Bool(value) => cel::Value::Bool(value),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => cel::Value::Int(whole),
            (None, float) => cel::Value::Float(float.unwrap_or(f64::NAN)),
        },
        Value::String(text) => cel::Value::String(Arc::new(text)),
        Value::Array(items) => cel::Value::List(Arc::new(items.into_iter().map(convert).collect())),
        Value::Object(fields) => {
            let fields: HashMap<cel::objects::Key, cel::Value> =
                fields.into_iter().map(|(key, value)| (key.into(), convert(value))).collect();
            cel::Value::Map(cel::objects::Map { map: Arc::new(fields) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn holds(text: &str, object: Value) -> Result<bool, String> {
        Expression::new(text).expect("CEL").holds(vec![("object", object)])
    }

    #[test]
    fn conditions_over_objects() {
        let job = json!({"status": {"succeeded": 1, "conditions": [{"type": "Complete", "status": "True"}]}});
        for text in [
            "object.status.succeeded * 2 == 2",
            "object.status.conditions.exists(c, c.type == 'Complete' && c.status == 'True')",
            "!has(object.status.failed)",
            "object.?status.failed.orValue(0) == 0",
            "size(object.status.conditions) > 0",
        ] {
            assert_eq!(holds(text, job.clone()), Ok(true), "{text}");
        }
        assert!(holds("object.missing.field == 1", job.clone()).is_err());
        assert!(holds("1 + 1", job).expect_err("not a condition").contains("neither true nor false"));
        assert!(Expression::new("object.").expect_err("no CEL").starts_with("not a CEL expression"));
    }

    #[test]
    fn an_endless_evaluation_is_given_up() {
        let list = json!((0..400).collect::<Vec<_>>());
        let text = "object.all(a, object.all(b, object.all(c, object.all(d, a + b + c + d >= 0))))";
        assert!(holds(text, list).expect_err("too long").contains("longer than"));
    }
}
