//! Schemas of values, which could have helm read further files and URLs.

use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use serde_json::Value;

use crate::error::{Error, Result};

/// The file that values are held to.
const FILE: &str = "values.schema.json";
/// The most that is unpacked of a chart: 64 MiB.
const UNPACKED: u64 = 64 << 20;
/// Where the schemas of schemas are, which helm brings along.
const DIALECTS: [&str; 2] = ["http://json-schema.org/", "https://json-schema.org/"];

/// Refuses a schema, or a packed chart with a schema, that refers to something beside itself.
pub(super) fn check(shown: &Path, content: &[u8]) -> Result<()> {
    if shown.file_name().is_some_and(|name| name == FILE) {
        return schema(shown, content);
    }
    if shown.extension().is_none_or(|end| end != "tgz") {
        return Ok(());
    }
    let mut archive = tar::Archive::new(GzDecoder::new(content).take(UNPACKED));
    let broken = |error: std::io::Error| Error::at(shown.display(), format!("this is no packed chart: {error}"));
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let path = entry.path().map_err(broken)?.into_owned();
        let mut inner = Vec::new();
        if path.file_name().is_some_and(|name| name == FILE) || path.extension().is_some_and(|end| end == "tgz") {
            entry.read_to_end(&mut inner).map_err(broken)?;
            check(&shown.join(path), &inner)?;
        }
    }
    Ok(())
}

fn schema(shown: &Path, content: &[u8]) -> Result<()> {
    // What is no JSON is helm's to refuse.
    let Ok(value) = serde_json::from_slice::<Value>(content) else { return Ok(()) };
    let Some(beyond) = beyond(&value) else { return Ok(()) };
    let wrong = format!(
        "the schema refers to {beyond:?}, and files and URLs beside the chart are not read: put it into the schema, or set \
         helm.skipSchemaValidation"
    );
    Err(Error::at(shown.display(), wrong))
}

/// A reference to something that is not in the schema itself.
fn beyond(value: &Value) -> Option<&str> {
    match value {
        Value::Object(fields) => fields.iter().find_map(|(key, value)| {
            let text = value.as_str();
            match key.as_str() {
                "$ref" | "$dynamicRef" | "$recursiveRef" if text.is_some() => text.filter(|to| !to.starts_with('#')),
                "$schema" if text.is_some() => text.filter(|to| !DIALECTS.iter().any(|known| to.starts_with(known))),
                _ => beyond(value),
            }
        }),
        Value::Array(items) => items.iter().find_map(beyond),
        _ => None,
    }
}
