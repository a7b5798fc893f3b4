//! What is chosen for the variables of a dashboard, and the text that stands for it in queries. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Variable, Window};

/// What stands for all values where a variable names nothing for it.
const ANY: &str = ".+";

/// A variable with what may be chosen for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Offer {
    /// Its name.
    pub name: String,
    /// What it is called on the page.
    pub label: String,
    /// What there is.
    pub options: Vec<String>,
    /// All at once may be chosen.
    pub includes_all: bool,
    /// What is chosen; nothing is all.
    pub chosen: Vec<String>,
}

/// What is chosen for every variable.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// The texts that [`super::fill`] puts in.
    pub values: BTreeMap<String, String>,
    /// The variables that one may choose for.
    pub offers: Vec<Offer>,
}

impl Choice {
    /// Nothing is chosen yet; what Grafana puts in by itself is there.
    #[must_use]
    pub fn within(window: Window) -> Self {
        let values = window.built_in().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { values, offers: Vec::new() }
    }

    /// Takes in a variable that has these options: what is wanted of it, or else all of them, or else the first.
    pub fn take(&mut self, variable: &Variable, options: Vec<String>, wanted: &[String]) {
        let Variable { name, include_all, .. } = variable;
        let wanted = wanted.to_vec();
        let first = || variable.current["value"].as_str().map(str::to_owned).or_else(|| options.first().cloned());
        let chosen = match (wanted.is_empty(), include_all) {
            (true, false) => first().into_iter().collect(),
            _ => wanted,
        };
        let text = match &chosen[..] {
            [] if *include_all => variable.all_value.clone().unwrap_or_else(|| ANY.to_owned()),
            [] => String::new(),
            chosen if variable.may_be_several() => alternatives(chosen),
            [first, ..] => quoted(first),
        };
        self.values.insert(name.clone(), text);
        if variable.is_shown() {
            let label = if variable.label.is_empty() { name } else { &variable.label }.clone();
            self.offers.push(Offer { name: name.clone(), label, options, includes_all: *include_all, chosen });
        }
    }
}

/// An expression that fits these values and no others.
fn alternatives(values: &[String]) -> String {
    let each: Vec<String> = values.iter().map(|value| quoted(&regex::escape(value))).collect();
    match &each[..] {
        [one] => one.clone(),
        several => format!("({})", several.join("|")),
    }
}

/// As it stands within the quotes of a query.
fn quoted(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_is_chosen_stands_in_queries_as_grafana_puts_it() {
        let of = |variable: Value, wanted: &[&str]| {
            let variable: Variable = serde_json::from_value(variable).unwrap();
            let mut choice = Choice::default();
            let texts = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<String>>();
            choice.take(&variable, texts(&["a", "b"]), &texts(wanted));
            choice.values.remove("v").unwrap()
        };
        let all = json!({"name": "v", "type": "query", "includeAll": true, "multi": true});
        assert_eq!(of(all.clone(), &[]), ".+");
        assert_eq!(of(all.clone(), &["a.b"]), r"a\\.b");
        assert_eq!(of(all.clone(), &["a", "b\"c"]), "(a|b\\\"c)");
        assert_eq!(of(json!({"name": "v", "type": "query", "includeAll": true, "allValue": ".*"}), &[]), ".*");
        let one = json!({"name": "v", "type": "query"});
        assert_eq!(of(one.clone(), &[]), "a");
        assert_eq!(of(one, &["b.c"]), "b.c");
        assert_eq!(of(json!({"name": "v", "type": "custom", "current": {"value": "c"}}), &[]), "c");
    }

    #[test]
    fn the_data_source_is_not_offered() {
        let mut choice = Choice::within(Window::last(60, 600));
        let source: Variable = serde_json::from_value(json!({"name": "datasource", "type": "datasource"})).unwrap();
        choice.take(&source, Vec::new(), &[]);
        assert_eq!((choice.offers.len(), choice.values["__range"].as_str()), (0, "60s"));
    }
}
