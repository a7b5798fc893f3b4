//! An end-to-end report in the forms that others read: JSON, JUnit XML and one HTML page. Pure functions from the report to text,
//! and the writing of the three files.

mod html;
mod junit;
mod parity;

use std::fs;
use std::path::{Path, PathBuf};

use crate::e2e::{E2eReport, EverywhereReport};
use crate::error::Error;

pub use html::html;
pub use junit::junit;

/// The report as JSON.
///
/// # Errors
/// When it cannot be encoded.
pub fn json(report: &E2eReport) -> Result<String, Error> {
    serde_json::to_string_pretty(report).map_err(|error| Error::Internal(format!("the report is no JSON: {error}")))
}

/// Writes `report.json`, `junit.xml` and `report.html` into a folder.
///
/// # Errors
/// When the file system refuses.
pub fn write(report: &E2eReport, dir: &Path) -> Result<Vec<PathBuf>, Error> {
    fs::create_dir_all(dir).map_err(Error::file("make the folder", dir))?;
    [("report.json", json(report)?), ("junit.xml", junit(report)?), ("report.html", html(report))]
        .into_iter()
        .map(|(name, text)| {
            let path = dir.join(name);
            fs::write(&path, text).map_err(Error::file("write", &path))?;
            Ok(path)
        })
        .collect()
}

/// Writes the reports of several places, each into a folder of its place's name, and `parity.json` and `parity.html` beside them.
///
/// # Errors
/// When the file system refuses.
pub fn write_all(report: &EverywhereReport, dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut written = Vec::new();
    for place in &report.places {
        written.extend(write(place, &dir.join(place.provider.as_str()))?);
    }
    let json = serde_json::to_string_pretty(&report.parity)
        .map_err(|error| Error::Internal(format!("the comparison is no JSON: {error}")))?;
    for (name, text) in [("parity.json", json), ("parity.html", parity::html(&report.parity))] {
        let path = dir.join(name);
        fs::write(&path, text).map_err(Error::file("write", &path))?;
        written.push(path);
    }
    Ok(written)
}

/// Milliseconds as a person says them: `0.42 s`, `12.3 s`, `2 m 05 s`.
#[must_use]
pub fn duration(ms: u64) -> String {
    match ms {
        0..10_000 => format!("{}.{:02} s", ms / 1000, ms % 1000 / 10),
        10_000..120_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        _ => format!("{} m {:02} s", ms / 60_000, ms % 60_000 / 1000),
    }
}

#[cfg(test)]
mod tests;
