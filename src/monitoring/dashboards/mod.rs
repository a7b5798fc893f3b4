//! Dashboards as Grafana's JSON has them: what their panels ask, with variables filled in, and what a dashboard must have to be
//! right. Pure: who asks Prometheus is not its business.

mod query;
mod rules;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

pub use query::{Filled, above, fill, selectors};
pub use rules::faults;

/// How the description of a panel begins that shows what only upstream's parts have.
pub const UPSTREAM_ONLY: &str = "Upstream only: ";

/// A dashboard.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Dashboard {
    /// Its title.
    pub title: String,
    /// What links name it by.
    pub uid: String,
    /// The version of the form that it is in.
    pub schema_version: u64,
    /// Panels and rows.
    pub panels: Vec<Panel>,
    /// Its variables.
    pub templating: Templating,
    /// The time that it shows.
    pub time: Value,
    /// How often it is drawn anew.
    pub refresh: Value,
}

/// The variables of a dashboard.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Templating {
    /// In order.
    pub list: Vec<Variable>,
}

/// A variable.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// `query`, `datasource`, `custom` or `interval`.
    pub r#type: String,
    /// Where its values come from: a text, or an object with one.
    pub query: Value,
    /// All values may be meant at once.
    pub include_all: bool,
    /// What stands for all values.
    pub all_value: Option<String>,
    /// What is chosen.
    pub current: Value,
}

impl Variable {
    /// The text of its query.
    #[must_use]
    pub fn text(&self) -> &str {
        self.query.as_str().or_else(|| self.query["query"].as_str()).unwrap_or_default()
    }

    /// Selector and label of `label_values(SELECTOR, LABEL)`.
    #[must_use]
    pub fn label_values(&self) -> Option<(&str, &str)> {
        let inside = self.text().trim().strip_prefix("label_values(")?.strip_suffix(')')?;
        inside.rsplit_once(',').map(|(selector, label)| (selector.trim(), label.trim()))
    }
}

/// A panel, or a row with panels in it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Panel {
    /// Its number.
    pub id: u64,
    /// Its title.
    pub title: String,
    /// `timeseries`, `stat`, `row` …
    pub r#type: String,
    /// What it shows, in a sentence or two.
    pub description: String,
    /// What it asks.
    pub targets: Vec<Target>,
    /// Units and the like.
    pub field_config: Value,
    /// Where it is.
    pub grid_pos: GridPos,
    /// Where its data come from.
    pub datasource: Value,
    /// The panels of a row that is folded.
    pub panels: Vec<Panel>,
}

/// A place in a grid that is 24 wide.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub struct GridPos {
    /// Height.
    pub h: u64,
    /// Width.
    pub w: u64,
    /// From the left.
    pub x: u64,
    /// From the top.
    pub y: u64,
}

/// A query of a panel.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Target {
    /// What is asked.
    pub expr: String,
    /// How each series is called.
    pub legend_format: String,
    /// Its letter.
    pub ref_id: String,
}

impl Panel {
    /// It shows what only upstream's parts have.
    #[must_use]
    pub fn is_upstream_only(&self) -> bool {
        self.description.starts_with(UPSTREAM_ONLY)
    }
}

impl Dashboard {
    /// Reads one.
    ///
    /// # Errors
    /// When it is no JSON, or not of this form.
    pub fn read(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// Every panel that is no row.
    pub fn all(&self) -> impl Iterator<Item = &Panel> {
        self.panels
            .iter()
            .flat_map(|panel| std::iter::once(panel).chain(&panel.panels))
            .filter(|panel| panel.r#type != "row")
    }

    /// Values for its variables: the first that `values` gives for a selector and a label, filled in with what is known before it.
    pub fn choose(&self, mut values: impl FnMut(&str, &str) -> Vec<String>) -> BTreeMap<String, String> {
        let mut chosen = BTreeMap::new();
        for variable in &self.templating.list {
            let value = self.value(variable, &chosen, &mut values);
            chosen.insert(variable.name.clone(), value);
        }
        chosen
    }

    fn value(
        &self,
        variable: &Variable,
        known: &BTreeMap<String, String>,
        values: &mut impl FnMut(&str, &str) -> Vec<String>,
    ) -> String {
        if variable.include_all {
            return variable.all_value.clone().unwrap_or_else(|| ".+".to_owned());
        }
        match variable.label_values() {
            Some((selector, label)) => {
                let Filled { text, .. } = fill(selector, known);
                values(&text, label).into_iter().next().unwrap_or_default()
            }
            None => {
                let current = &variable.current["value"];
                let first = variable.text().split(',').next().unwrap_or_default();
                current.as_str().unwrap_or(first).trim().to_owned()
            }
        }
    }
}
