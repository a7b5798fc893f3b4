//! Texts with variables, in both of the ways that an ApplicationSet knows: the simple one, where `{{name}}` stands for a parameter
//! and what nobody knows stays as it is, and a part of Go's templates.
//! Upstream rule: `Replace` in `applicationset/utils/utils.go` of argoproj/argo-cd.

mod eval;
mod format;
mod functions;
mod parse;

use serde_json::{Map, Value};

pub(super) use functions::normalized;

/// The parameters of one application.
pub(super) type Parameters = Map<String, Value>;

/// What becomes of a key that a map does not have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Missing {
    /// It is nothing, and written as `<no value>`.
    #[default]
    Nothing,
    /// It is an error.
    Error,
}

/// The language of an ApplicationSet's templates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    /// `{{name}}` and no more.
    Simple,
    /// Go's.
    Go(Missing),
}

impl Language {
    /// The language that `goTemplate` and `goTemplateOptions` ask for.
    ///
    /// # Errors
    /// For an option that Go does not know.
    pub(super) fn of(is_go: bool, options: &[String]) -> Result<Self, String> {
        if !is_go {
            return Ok(Self::Simple);
        }
        let mut missing = Missing::Nothing;
        for option in options {
            missing = match option.as_str() {
                "missingkey=default" | "missingkey=invalid" | "missingkey=zero" => Missing::Nothing,
                "missingkey=error" => Missing::Error,
                other => {
                    return Err(format!(
                        "goTemplateOptions: unrecognized option {other:?}: missingkey is the one there is"
                    ));
                }
            };
        }
        Ok(Self::Go(missing))
    }

    /// A text with its variables filled in.
    ///
    /// # Errors
    /// When a template of Go's is broken, asks for what is not there, or uses what is not served here.
    pub(super) fn fill(self, text: &str, parameters: &Parameters) -> Result<String, String> {
        match self {
            Self::Simple => Ok(simple(text, parameters)),
            Self::Go(missing) if text.contains("{{") => {
                let nodes = parse::parse(text).map_err(|error| format!("failed to parse template {text}: {error}"))?;
                let root = Value::Object(parameters.clone());
                eval::run(&nodes, &root, missing)
                    .map_err(|error| format!("failed to execute go template {text}: {error}"))
            }
            Self::Go(_) => Ok(text.to_owned()),
        }
    }

    /// A value with the variables of all its texts filled in, keys included.
    ///
    /// # Errors
    /// As [`Language::fill`].
    pub(super) fn fill_all(self, value: &Value, parameters: &Parameters) -> Result<Value, String> {
        Ok(match value {
            Value::String(text) => Value::String(self.fill(text, parameters)?),
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.fill_all(item, parameters)).collect::<Result<_, _>>()?)
            }
            Value::Object(fields) => {
                let fields = fields
                    .iter()
                    .map(|(key, value)| Ok((self.fill(key, parameters)?, self.fill_all(value, parameters)?)));
                Value::Object(fields.collect::<Result<_, String>>()?)
            }
            other => other.clone(),
        })
    }
}

fn simple(text: &str, parameters: &Parameters) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((tag, behind)) = after.split_once("}}") else { break };
        filled.push_str(before);
        match parameters.get(tag.trim()) {
            Some(Value::String(known)) => filled.push_str(known),
            _ => filled.extend(["{{", tag, "}}"]),
        }
        rest = behind;
    }
    filled + rest
}

#[cfg(test)]
mod tests;
