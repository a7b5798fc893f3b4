//! Label and field selectors: the text form of queries and the object form of specs. Matching only; no lists, no store.
//! Upstream rule: k8s.io/apimachinery `pkg/labels/selector.go` and `pkg/fields/selector.go`.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector as TypedSelector;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::names;

/// A text or object that is no selector; the text is what the user reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SelectorError(String);

/// All requirements must hold; none is "everything". It is serialized in the query form.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LabelSelector(Vec<Requirement>);

impl TryFrom<String> for LabelSelector {
    type Error = SelectorError;

    fn try_from(text: String) -> Result<Self, SelectorError> {
        Self::parse(&text)
    }
}

impl From<LabelSelector> for String {
    fn from(selector: LabelSelector) -> Self {
        selector.to_string()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Operator {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    DoesNotExist,
    GreaterThan(i64),
    LessThan(i64),
}

impl LabelSelector {
    /// Reads the query form: `a=b,c!=d,e in (f,g),!h,i`.
    ///
    /// # Errors
    /// When the text is no selector, or a key or value has a wrong form.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        split_outside_parentheses(text).map(parse_requirement).collect::<Result<_, _>>().map(Self)
    }

    /// Reads the object form (`matchLabels`, `matchExpressions`), or a plain map of labels where `value` has neither.
    ///
    /// # Errors
    /// When an operator is unknown or lacks its values.
    pub fn from_object(value: &Value) -> Result<Self, SelectorError> {
        let mut requirements = Vec::new();
        let plain = value.get("matchLabels").is_none() && value.get("matchExpressions").is_none();
        let labels = if plain { Some(value) } else { value.get("matchLabels") }.and_then(Value::as_object);
        for (key, wanted) in labels.into_iter().flatten() {
            let wanted =
                wanted.as_str().ok_or_else(|| SelectorError(format!("matchLabels[{key}]: must be a string")))?;
            requirements.push(Requirement { key: key.clone(), operator: Operator::In(vec![wanted.to_owned()]) });
        }
        for expression in value.get("matchExpressions").and_then(Value::as_array).into_iter().flatten() {
            requirements.push(from_expression(expression)?);
        }
        Ok(Self(requirements))
    }

    /// Reads the typed form.
    ///
    /// # Errors
    /// As [`from_object`](Self::from_object).
    pub fn from_typed(selector: &TypedSelector) -> Result<Self, SelectorError> {
        let object = serde_json::to_value(selector).map_err(|error| SelectorError(error.to_string()))?;
        Self::from_object(&object)
    }

    /// A selector of equal labels, as `spec.selector` of a Service.
    #[must_use]
    pub fn from_labels<'a>(labels: impl IntoIterator<Item = (&'a String, &'a String)>) -> Self {
        let equal = |(key, value): (&String, &String)| Requirement {
            key: key.clone(),
            operator: Operator::In(vec![value.clone()]),
        };
        Self(labels.into_iter().map(equal).collect())
    }

    /// Whether nothing is asked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether labels, looked up by key, fit.
    pub fn matches<'a>(&self, get: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.0.iter().all(|requirement| requirement.holds(get(&requirement.key)))
    }

    /// Whether a typed map of labels fits; a missing map has no labels.
    #[must_use]
    pub fn matches_map(&self, labels: Option<&BTreeMap<String, String>>) -> bool {
        self.matches(|key| labels.and_then(|labels| labels.get(key)).map(String::as_str))
    }

    /// Whether the `metadata.labels` of an object fit.
    #[must_use]
    pub fn matches_object(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.matches(|key| labels.get(key).and_then(Value::as_str))
    }
}

/// The query form.
impl std::fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, requirement) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            requirement.fmt(f)?;
        }
        Ok(())
    }
}

impl std::fmt::Display for Requirement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let key = &self.key;
        match &self.operator {
            Operator::In(values) => match values.as_slice() {
                [one] => write!(f, "{key}={one}"),
                many => write!(f, "{key} in ({})", many.join(",")),
            },
            Operator::NotIn(values) => match values.as_slice() {
                [one] => write!(f, "{key}!={one}"),
                many => write!(f, "{key} notin ({})", many.join(",")),
            },
            Operator::Exists => f.write_str(key),
            Operator::DoesNotExist => write!(f, "!{key}"),
            Operator::GreaterThan(bound) => write!(f, "{key}>{bound}"),
            Operator::LessThan(bound) => write!(f, "{key}<{bound}"),
        }
    }
}

impl Requirement {
    fn holds(&self, value: Option<&str>) -> bool {
        match &self.operator {
            Operator::In(wanted) => value.is_some_and(|value| wanted.iter().any(|one| one == value)),
            Operator::NotIn(unwanted) => !value.is_some_and(|value| unwanted.iter().any(|one| one == value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::GreaterThan(bound) => number(value).is_some_and(|value| value > *bound),
            Operator::LessThan(bound) => number(value).is_some_and(|value| value < *bound),
        }
    }
}

fn number(value: Option<&str>) -> Option<i64> {
    value.and_then(|value| value.parse().ok())
}

fn split_outside_parentheses(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    text.split(move |c| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|part| !part.is_empty())
}

fn parse_requirement(text: &str) -> Result<Requirement, SelectorError> {
    let unparsable = || SelectorError(format!("unable to parse requirement: {text}"));
    if let Some(key) = text.strip_prefix('!') {
        return requirement(key.trim(), Operator::DoesNotExist);
    }
    if let Some((head, list)) = text.split_once('(') {
        let list = list.strip_suffix(')').ok_or_else(unparsable)?;
        let values: Vec<String> = list.split(',').map(|value| value.trim().to_owned()).collect();
        let (key, word) = head.trim().rsplit_once(char::is_whitespace).ok_or_else(unparsable)?;
        return match word {
            "in" => requirement(key.trim(), Operator::In(values)),
            "notin" => requirement(key.trim(), Operator::NotIn(values)),
            _ => Err(unparsable()),
        };
    }
    let equal = |value: &str| vec![value.trim().to_owned()];
    if let Some((key, value)) = text.split_once("!=") {
        return requirement(key.trim(), Operator::NotIn(equal(value)));
    }
    if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return requirement(key.trim(), Operator::In(equal(value)));
    }
    let bound = |value: &str| value.trim().parse().map_err(|_| unparsable());
    if let Some((key, value)) = text.split_once('>') {
        return requirement(key.trim(), Operator::GreaterThan(bound(value)?));
    }
    if let Some((key, value)) = text.split_once('<') {
        return requirement(key.trim(), Operator::LessThan(bound(value)?));
    }
    requirement(text, Operator::Exists)
}

fn requirement(key: &str, operator: Operator) -> Result<Requirement, SelectorError> {
    if let Some(error) = names::qualified_name(key).into_iter().next() {
        return Err(SelectorError(format!("key: Invalid value: \"{key}\": {error}")));
    }
    if let Operator::In(values) | Operator::NotIn(values) = &operator {
        for value in values {
            if let Some(error) = names::label_value(value).into_iter().next() {
                return Err(SelectorError(format!("values[0][{key}]: Invalid value: \"{value}\": {error}")));
            }
        }
    }
    Ok(Requirement { key: key.to_owned(), operator })
}

fn from_expression(expression: &Value) -> Result<Requirement, SelectorError> {
    let key = expression["key"].as_str().unwrap_or_default();
    let values: Vec<String> =
        expression["values"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    let lacking = |values: &[String]| values.is_empty();
    let one = || {
        values
            .first()
            .and_then(|value| value.parse().ok())
            .ok_or_else(|| SelectorError(format!("{key}: one integer is wanted")))
    };
    let operator = match expression["operator"].as_str().unwrap_or_default() {
        "In" | "NotIn" if lacking(&values) => {
            return Err(SelectorError(format!("{key}: for 'in', 'notin' operators, values set can't be empty")));
        }
        "In" => Operator::In(values),
        "NotIn" => Operator::NotIn(values),
        "Exists" => Operator::Exists,
        "DoesNotExist" => Operator::DoesNotExist,
        "Gt" => Operator::GreaterThan(one()?),
        "Lt" => Operator::LessThan(one()?),
        other => {
            return Err(SelectorError(format!("\"{other}\" is not a valid label selector operator")));
        }
    };
    Ok(Requirement { key: key.to_owned(), operator })
}

/// Equalities and inequalities over dotted paths of an object (`status.phase!=Failed,spec.nodeName=a`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSelector(Vec<FieldRequirement>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct FieldRequirement {
    path: String,
    equal: bool,
    value: String,
}

impl FieldSelector {
    /// Reads the query form.
    ///
    /// # Errors
    /// When a term has no operator.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let term = |term: &str| {
            let (path, equal, value) = if let Some((path, value)) = term.split_once("!=") {
                (path, false, value)
            } else if let Some((path, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
                (path, true, value)
            } else {
                return Err(SelectorError(format!("invalid selector: '{term}'; can't understand '{term}'")));
            };
            Ok(FieldRequirement { path: path.trim().to_owned(), equal, value: value.trim().to_owned() })
        };
        text.split(',').filter(|part| !part.trim().is_empty()).map(term).collect::<Result<_, _>>().map(Self)
    }

    /// Whether nothing is asked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The paths asked about, for a resource to refuse those that it does not index.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|requirement| requirement.path.as_str())
    }

    /// The value that `path` must equal, if one is asked for.
    #[must_use]
    pub fn required(&self, path: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|requirement| requirement.equal && requirement.path == path)
            .map(|requirement| requirement.value.as_str())
    }

    /// Whether the values of the paths asked about fit.
    #[must_use]
    pub fn matches(&self, value: impl Fn(&str) -> String) -> bool {
        self.0.iter().all(|requirement| (value(&requirement.path) == requirement.value) == requirement.equal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod() -> Value {
        json!({"metadata": {"labels": {"app": "a", "n": "5"}}, "status": {"phase": "Running"}, "spec": {"hostNetwork": true}})
    }

    #[test]
    fn query_form() {
        for (text, fits) in [
            ("", true),
            ("app=a", true),
            ("app==a,n", true),
            ("app!=a", false),
            ("missing!=a", true),
            ("app in (b, a),n notin (6)", true),
            ("!app", false),
            ("!missing", true),
            ("n>4", true),
            ("n<5", false),
        ] {
            assert_eq!(LabelSelector::parse(text).unwrap().matches_object(&pod()), fits, "{text}");
        }
        for text in ["a in b)", "a like (b)", "-x=1", "a=-"] {
            assert!(LabelSelector::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn object_form() {
        let selector =
            json!({"matchLabels": {"app": "a"}, "matchExpressions": [{"key": "n", "operator": "In", "values": ["5"]}]});
        assert!(LabelSelector::from_object(&selector).unwrap().matches_object(&pod()));
        assert!(LabelSelector::from_object(&json!({})).unwrap().matches_object(&pod()));
        let wrong = json!({"matchExpressions": [{"key": "n", "operator": "Near"}]});
        assert_eq!(
            LabelSelector::from_object(&wrong).unwrap_err().to_string(),
            "\"Near\" is not a valid label selector operator"
        );
    }

    #[test]
    fn field_form() {
        let value = |path: &str| if path == "status.phase" { "Running".to_owned() } else { String::new() };
        for (text, fits) in [
            ("", true),
            ("status.phase=Running", true),
            ("status.phase==Running,spec.nodeName!=a", true),
            ("status.phase!=Running", false),
            ("spec.nodeName=", true),
        ] {
            assert_eq!(FieldSelector::parse(text).unwrap().matches(value), fits, "{text}");
        }
        assert_eq!(FieldSelector::parse("metadata.name=x").unwrap().required("metadata.name"), Some("x"));
        assert!(FieldSelector::parse("status.phase").is_err());
    }
}
