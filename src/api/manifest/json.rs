//! JSON values in a row, as kubectl reads a file that begins with a brace. Places are those of whole documents.

use serde_json::{Deserializer, Value};

use super::Document;
use super::span::{Position, Spans};

/// All values of a text; `None` if it is no JSON.
pub(super) fn documents(text: &str) -> Option<Vec<Document>> {
    if !text.trim_start().starts_with(['{', '[']) {
        return None;
    }
    let mut documents = Vec::new();
    let mut stream = Deserializer::from_str(text).into_iter::<Value>();
    let mut start = 0;
    while let Some(value) = stream.next() {
        let value = value.ok()?;
        let blank = text[start..].find(|c: char| !c.is_whitespace()).unwrap_or(0);
        let before = &text[..start + blank];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
        start = stream.byte_offset();
        if !value.is_null() {
            documents.push(Document { value, line, spans: Spans::leaf(Position { line, column }) });
        }
    }
    Some(documents)
}
