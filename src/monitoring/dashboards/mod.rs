//! Dashboards as Grafana's JSON has them: what their panels ask, with variables filled in, what a Prometheus answers to it, and what
//! a dashboard must have to be right.

mod ask;
mod choice;
mod query;
mod rules;
mod window;

use serde::Deserialize;
use serde_json::Value;

pub use ask::{AskError, PROMETHEUS, Prometheus, Series};
pub use choice::{Choice, Offer};
pub use query::{Filled, above, fill, legend, selectors};
pub use rules::faults;
pub use window::Window;

/// How the description of a panel begins that shows what only upstream's parts have.
pub const UPSTREAM_ONLY: &str = "Upstream only: ";

/// The `hide` of a variable that is not shown.
const HIDDEN: u8 = 2;

/// A dashboard.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Dashboard {
    /// Its title.
    pub title: String,
    /// What it is about.
    pub description: String,
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
    /// What it is called on the page.
    pub label: String,
    /// `query`, `datasource`, `custom` or `interval`.
    pub r#type: String,
    /// Where its values come from: a text, or an object with one.
    pub query: Value,
    /// All values may be meant at once.
    pub include_all: bool,
    /// Several values may be meant at once.
    pub multi: bool,
    /// It is not shown when this is 2.
    pub hide: u8,
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

    /// The values that it lists itself.
    #[must_use]
    pub fn listed(&self) -> Vec<String> {
        let listed = self.text().split(',').map(|one| one.trim().to_owned());
        listed.filter(|one| self.r#type != "datasource" && !one.is_empty()).collect()
    }

    /// It stands in queries as an expression.
    fn may_be_several(&self) -> bool {
        self.multi || self.include_all
    }

    /// One may choose for it: there is one Prometheus alone, and no data source to choose.
    fn is_shown(&self) -> bool {
        self.r#type != "datasource" && self.hide != HIDDEN
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
}
