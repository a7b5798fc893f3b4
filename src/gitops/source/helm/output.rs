//! What helm prints, as objects of the templates that they come from.

use std::path::{Path, PathBuf};

use super::stage::Chart;
use crate::error::{Error, Result};
use crate::manifest::{self, Object};

/// Begins each document, and names its template.
const SOURCE: &str = "# Source: ";

/// The objects, each with the file of its template.
pub(super) fn objects(chart: &Chart, text: &str) -> Result<Vec<Object>> {
    let mut objects = Vec::new();
    let mut file = chart.shown.clone();
    for document in documents(text) {
        if let Some(named) = document.lines().find_map(|line| line.strip_prefix(SOURCE)) {
            file = origin(chart, named);
        }
        let found = manifest::parse(&file, &document).map_err(|error| match error {
            Error::Document { place, message } => Error::at(place, format!("as helm renders it: {message}")),
            other => other,
        })?;
        // Lines are those of the output, and not of the template.
        objects.extend(found.into_iter().map(|object| Object { place: None, ..object }));
    }
    Ok(objects)
}

/// The documents of a text.
fn documents(text: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    for line in text.split_inclusive('\n') {
        match all.last_mut() {
            Some(last) if line.trim_end() != "---" => last.push_str(line),
            _ => all.push(String::new()),
        }
    }
    all
}

/// The file of a template that helm names by charts, as in `shop/charts/cache/templates/pod.yaml`.
fn origin(chart: &Chart, named: &str) -> PathBuf {
    let below = named.strip_prefix(&chart.name).and_then(|rest| rest.strip_prefix('/')).unwrap_or(named);
    let inner = below.strip_prefix("charts/").and_then(|rest| rest.split_once('/'));
    let local = inner.and_then(|(name, _)| chart.local.iter().find(|one| one.name == name));
    match local {
        Some(local) => origin(local, below.strip_prefix("charts/").unwrap_or(below)),
        None => chart.shown.join(Path::new(below)),
    }
}
