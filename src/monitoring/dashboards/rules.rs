//! What a dashboard must have: queries that can be read, units and legends, an id, a data source that can be chosen, panels beside
//! and not upon each other. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{Choice, Dashboard, Panel, Window, fill, selectors};

/// The version of the form since Grafana 11.
const SCHEMA_MIN: u64 = 39;
/// The seconds that queries are filled in for.
const SHOWN: i64 = 1800;
/// How wide the grid is.
const WIDTH: u64 = 24;
/// Panels whose series have names beside them.
const NAMED: [&str; 4] = ["timeseries", "piechart", "bargauge", "barchart"];
/// Panels that Grafana 11 draws no more.
const GONE: [&str; 6] = ["graph", "singlestat", "table-old", "heatmap-old", "grafana-piechart-panel", "worldmap"];

/// What is wrong with a dashboard, a line each.
#[must_use]
pub fn faults(dashboard: &Dashboard) -> Vec<String> {
    let mut faults = Vec::new();
    let mut fault = |place: &str, what: String| faults.push(format!("{}: {place}{what}", dashboard.title));
    if dashboard.title.is_empty() || dashboard.uid.is_empty() || dashboard.uid.len() > 40 {
        fault("", "needs a title, and a uid of at most 40 letters".to_owned());
    }
    if dashboard.schema_version < SCHEMA_MIN {
        fault("", format!("schemaVersion is below {SCHEMA_MIN}"));
    }
    if dashboard.time["from"].as_str().is_none() || dashboard.refresh.as_str().is_none() {
        fault("", "says neither what time it shows nor how often it is drawn".to_owned());
    }
    let sources: Vec<_> = dashboard.templating.list.iter().filter(|one| one.r#type == "datasource").collect();
    let source = sources.first().map(|one| format!("${{{}}}", one.name));
    if source.is_none() {
        fault("", "no variable chooses the data source".to_owned());
    }
    // Any value will do: only the form of queries is looked at.
    let mut values = Choice::within(Window::last(SHOWN, 0)).values;
    values.extend(dashboard.templating.list.iter().map(|one| (one.name.clone(), "x".to_owned())));
    let mut ids = BTreeSet::new();
    for panel in dashboard.panels.iter().flat_map(|panel| std::iter::once(panel).chain(&panel.panels)) {
        if !ids.insert(panel.id) {
            fault("", format!("two panels have the id {}", panel.id));
        }
    }
    for panel in dashboard.all() {
        let place = format!("panel {:?}: ", panel.title);
        if panel.datasource["uid"].as_str() != source.as_deref() {
            fault(&place, "its data source is not the one that is chosen".to_owned());
        }
        of_panel(panel, &values).into_iter().for_each(|what| fault(&place, what));
    }
    let places: Vec<&Panel> = dashboard.panels.iter().collect();
    for (index, one) in places.iter().enumerate() {
        if one.grid_pos.w == 0 || one.grid_pos.h == 0 || one.grid_pos.x + one.grid_pos.w > WIDTH {
            fault("", format!("panel {:?} is not within the grid", one.title));
        }
        for other in &places[index + 1..] {
            if overlap(one, other) {
                fault("", format!("panels {:?} and {:?} are upon each other", one.title, other.title));
            }
        }
    }
    faults
}

fn of_panel(panel: &Panel, values: &BTreeMap<String, String>) -> Vec<String> {
    let mut faults = Vec::new();
    if panel.title.is_empty() || panel.description.is_empty() {
        faults.push("needs a title and a description".to_owned());
    }
    if GONE.contains(&panel.r#type.as_str()) {
        faults.push(format!("is a {}, which is drawn no more", panel.r#type));
    }
    if panel.r#type == "text" {
        return faults;
    }
    if panel.targets.is_empty() {
        faults.push("asks nothing".to_owned());
    }
    if panel.r#type != "table" && panel.field_config["defaults"]["unit"].as_str().is_none_or(str::is_empty) {
        faults.push("has no unit".to_owned());
    }
    let mut letters = BTreeSet::new();
    for target in &panel.targets {
        if !letters.insert(&target.ref_id) || target.ref_id.is_empty() {
            faults.push("its queries need a refId each".to_owned());
        }
        if NAMED.contains(&panel.r#type.as_str()) && target.legend_format.is_empty() {
            faults.push(format!("{}: has no legend", target.expr));
        }
        let filled = fill(&target.expr, values);
        filled.unknown.iter().for_each(|name| faults.push(format!("{}: there is no variable {name}", target.expr)));
        match selectors(&filled.text) {
            Ok(found) if found.is_empty() => faults.push(format!("{}: asks for no series", target.expr)),
            Ok(_) => {}
            Err(why) => faults.push(format!("{}: {why}", target.expr)),
        }
    }
    faults
}

fn overlap(one: &Panel, other: &Panel) -> bool {
    let (a, b) = (one.grid_pos, other.grid_pos);
    a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn dashboard() -> Value {
        json!({
            "title": "T", "uid": "t", "schemaVersion": 39, "time": {"from": "now-30m", "to": "now"}, "refresh": "10s",
            "templating": {"list": [{"name": "datasource", "type": "datasource", "query": "prometheus"}]},
            "panels": [{
                "id": 1, "title": "P", "type": "timeseries", "description": "P.", "gridPos": {"h": 8, "w": 12, "x": 0, "y": 0},
                "datasource": {"type": "prometheus", "uid": "${datasource}"}, "fieldConfig": {"defaults": {"unit": "short"}},
                "targets": [{"refId": "A", "expr": "up", "legendFormat": "{{job}}"}],
            }],
        })
    }

    #[test]
    fn every_rule_finds_what_breaks_it() {
        let of = |value: &Value| faults(&serde_json::from_value(value.clone()).unwrap());
        assert_eq!(of(&dashboard()), Vec::<String>::new());
        for (path, value, wanted) in [
            ("/uid", json!(""), "needs a title, and a uid"),
            ("/schemaVersion", json!(30), "schemaVersion"),
            ("/templating/list", json!([]), "no variable chooses"),
            ("/panels/0/datasource/uid", json!("abc"), "not the one that is chosen"),
            ("/panels/0/fieldConfig", json!({}), "has no unit"),
            ("/panels/0/targets/0/legendFormat", json!(""), "has no legend"),
            ("/panels/0/targets/0/expr", json!("rate(up["), "rate(up["),
            ("/panels/0/targets/0/expr", json!("up{job=\"$job\"}"), "no variable job"),
            ("/panels/0/targets/0/expr", json!("1 + 1"), "asks for no series"),
            ("/panels/0/type", json!("graph"), "drawn no more"),
            ("/panels/0/gridPos/x", json!(20), "not within the grid"),
        ] {
            let mut broken = dashboard();
            *broken.pointer_mut(path).unwrap() = value;
            let found = of(&broken).join("\n");
            assert!(found.contains(wanted), "{path}: {found}");
        }
        let mut twice = dashboard();
        let panel = twice["panels"][0].clone();
        twice["panels"].as_array_mut().unwrap().push(panel);
        let found = of(&twice).join("\n");
        assert!(found.contains("have the id 1") && found.contains("upon each other"), "{found}");
    }
}
