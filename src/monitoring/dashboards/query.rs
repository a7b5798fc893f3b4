//! Queries: variables filled in, the selectors in them, and what an alert compares. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use promql_parser::parser::{self, Expr};
use promql_parser::util::{ExprVisitor, walk_expr};
use regex::{Captures, Regex};

/// `$name`, `${name}`, `${name:form}` and `[[name]]`.
static VARIABLE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\$(\w+)|\$\{(\w+)(?::\w+)?\}|\[\[(\w+)\]\]").ok());
/// `{{label}}` in the name of a series.
static LABEL: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\{\{\s*(.+?)\s*\}\}").ok());

/// A text with its variables filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filled {
    /// The text.
    pub text: String,
    /// Variables that there are none of.
    pub unknown: Vec<String>,
}

/// Fills variables in.
#[must_use]
pub fn fill(text: &str, values: &BTreeMap<String, String>) -> Filled {
    let mut unknown = Vec::new();
    let Some(pattern) = VARIABLE.as_ref() else { return Filled { text: text.to_owned(), unknown } };
    let filled = pattern.replace_all(text, |found: &Captures<'_>| {
        let name = (1..=3).find_map(|group| found.get(group)).map_or("", |name| name.as_str());
        // What is no name at all is a group of a regular expression.
        if name.bytes().all(|byte| byte.is_ascii_digit()) {
            return found[0].to_owned();
        }
        values.get(name).cloned().unwrap_or_else(|| {
            unknown.push(name.to_owned());
            found[0].to_owned()
        })
    });
    let text = filled.into_owned();
    Filled { text, unknown }
}

/// The name of a series: its labels put into the form that its query gives, or else all of them.
#[must_use]
pub fn legend(form: &str, labels: &BTreeMap<String, String>) -> String {
    match LABEL.as_ref().filter(|_| !form.is_empty()) {
        Some(pattern) => {
            let value = |found: &Captures<'_>| labels.get(&found[1]).cloned().unwrap_or_default();
            pattern.replace_all(form, value).into_owned()
        }
        None => labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", "),
    }
}

#[derive(Default)]
struct Found(BTreeSet<String>);

impl ExprVisitor for Found {
    type Error = std::convert::Infallible;

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, Self::Error> {
        let selector = match expr {
            Expr::VectorSelector(selector) => selector,
            Expr::MatrixSelector(matrix) => &matrix.vs,
            _ => return Ok(true),
        };
        let mut bare = selector.clone();
        bare.offset = None;
        bare.at = None;
        self.0.insert(bare.to_string());
        Ok(true)
    }
}

/// The selectors of series in a query.
///
/// # Errors
/// When it cannot be read.
pub fn selectors(query: &str) -> Result<BTreeSet<String>, String> {
    let expr = parser::parse(query)?;
    let mut found = Found::default();
    match walk_expr(&mut found, &expr) {
        Ok(_) => Ok(found.0),
        Err(never) => match never {},
    }
}

/// What an alert compares with its threshold: the left side of its outermost comparison.
///
/// # Errors
/// When it cannot be read.
pub fn above(query: &str) -> Result<String, String> {
    let mut expr = parser::parse(query)?;
    loop {
        expr = match expr {
            Expr::Paren(inner) => *inner.expr,
            Expr::Binary(both) if both.op.is_comparison_operator() => *both.lhs,
            other => return Ok(other.to_string()),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in_as_grafana_does() {
        let values = [("ns", "spark"), ("job", ".+"), ("__rate_interval", "20s")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let filled =
            fill(r#"rate(a{n="$ns",j=~"${job:regex}",k="[[ns]]"}[$__rate_interval]) or b{c=~"$gone"}"#, &values);
        assert_eq!(filled.text, r#"rate(a{n="spark",j=~".+",k="spark"}[20s]) or b{c=~"$gone"}"#);
        assert_eq!(filled.unknown, ["gone"]);
        assert_eq!(fill(r#"label_replace(a, "b", "$1", "c", "(.*)")"#, &values).unknown, Vec::<String>::new());
    }

    #[test]
    fn a_series_is_called_by_its_labels() {
        let labels =
            [("pod", "a"), ("phase", "Failed")].map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(legend("{{pod}} {{ phase }}{{gone}}", &labels), "a Failed");
        assert_eq!(legend("mean", &labels), "mean");
        assert_eq!(legend("", &labels), "phase=Failed, pod=a");
    }

    #[test]
    fn selectors_are_found_wherever_they_are() {
        let query = "histogram_quantile(0.95, sum by (le) (rate(a_bucket{x=\"y\"}[5m] offset 1m))) or (b - on (c) group_left d)";
        let found: Vec<String> = selectors(query).unwrap().into_iter().collect();
        assert_eq!(found, ["a_bucket{x=\"y\"}", "b", "d"]);
        assert!(selectors("rate(a[").is_err());
    }

    #[test]
    fn an_alert_without_its_threshold() {
        for (query, wanted) in [
            ("increase(a[5m]) > 0", "increase(a[5m])"),
            ("(up == 0)", "up"),
            ("time() - b > 60", "time() - b"),
            ("absent(a)", "absent(a)"),
        ] {
            assert_eq!(above(query).unwrap(), wanted);
        }
    }
}
