//! `render`: what a place comes to, as one text that can be reviewed: the same tree gives the same text.

use serde::Serialize;
use serde_json::Value;

use super::diff::of_place;
use super::differ::yaml;
use crate::error::Error;
use crate::event::ObjectName;
use crate::project::Project;

/// The objects of a place.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RenderReport {
    /// The place.
    pub place: String,
    /// Its objects: what is applied by hand, and then application by application.
    pub objects: Vec<Rendered>,
}

/// One object.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rendered {
    /// The application that brings it; empty for what is applied by hand.
    pub application: String,
    /// Where it stands, as `FILE:LINE:COLUMN`.
    pub origin: String,
    /// The object.
    pub object: Value,
}

impl Rendered {
    /// The object as YAML, with a line above that says where it comes from.
    #[must_use]
    pub fn text(&self) -> String {
        let by = if self.application.is_empty() { "by hand" } else { &self.application };
        format!("---\n# {by}: {}\n{}", self.origin, yaml(&self.object))
    }
}

/// Renders a place.
///
/// # Errors
/// When there is no such place, or a file is broken.
pub fn render(project: &Project, place: &str) -> Result<RenderReport, Error> {
    let plan = of_place(project, place)?;
    let mut objects: Vec<(ObjectName, Rendered)> = plan
        .all()
        .map(|(application, object)| {
            let (application, origin) = (application.to_owned(), object.place_of(""));
            (object.name(), Rendered { application, origin, object: object.value.clone() })
        })
        .collect();
    objects.sort_by(|one, two| (&one.1.application, &one.0).cmp(&(&two.1.application, &two.0)));
    Ok(RenderReport { place: place.to_owned(), objects: objects.into_iter().map(|(_, one)| one).collect() })
}
