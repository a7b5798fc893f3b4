//! From the events of a YAML reader to values with their places: anchors, merge keys, duplicate keys. Scalars are read
//! elsewhere.

use std::collections::{BTreeMap, HashMap};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, StrInput, Tag};
use serde_json::{Map, Value};

use super::span::{Inside, Position, Spans};
use super::{Document, ManifestError, scalar};

/// How deep values may stand in each other; an API server reads no deeper.
const DEPTH_MAX: usize = 128;
/// How many values aliases may repeat in all: a few letters can otherwise stand for billions.
const ALIASED_MAX: usize = 100_000;

/// Why a text is no manifest.
pub(super) enum Failure {
    /// It is no YAML.
    Syntax(ManifestError),
    /// It is YAML, and says what a manifest may not.
    Content(ManifestError),
}

/// All documents of a text.
pub(super) fn documents(text: &str) -> Result<Vec<Document>, Failure> {
    let mut documents = Vec::new();
    let mut composer = Composer::default();
    let mut parser: Parser<'_, StrInput<'_>> = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| Failure::Syntax(syntax(&error)))?;
        let at = position(&span.start);
        match event {
            Event::DocumentStart(_) => composer = Composer::default(),
            Event::DocumentEnd => {
                if let Some(node) = composer.root.take().filter(|node| !node.value.is_null()) {
                    documents.push(Document { line: node.spans.at.line, value: node.value, spans: node.spans });
                }
            }
            Event::StreamEnd => break,
            event => composer
                .take(event, at)
                .map_err(|message| Failure::Content(ManifestError { line: at.line, column: at.column, message }))?,
        }
    }
    Ok(documents)
}

fn position(marker: &Marker) -> Position {
    Position { line: marker.line(), column: marker.col() + 1 }
}

fn syntax(error: &ScanError) -> ManifestError {
    let at = position(error.marker());
    ManifestError { line: at.line, column: at.column, message: error.info().to_owned() }
}

/// A value with its places and how many values it holds.
#[derive(Clone)]
struct Node {
    value: Value,
    spans: Spans,
    size: usize,
    /// It is the plain scalar `<<`.
    merge: bool,
}

/// A list or an object that is not whole yet.
struct Open {
    at: Position,
    anchor: usize,
    size: usize,
    parts: Parts,
}

enum Parts {
    List(Vec<Value>, Vec<Spans>),
    Object { values: Map<String, Value>, spans: BTreeMap<String, Spans>, own: Vec<String>, key: Option<Key> },
}

/// The key whose value comes next.
enum Key {
    Merge,
    Field(String, Position),
}

#[derive(Default)]
struct Composer {
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    aliased: usize,
    root: Option<Node>,
}

impl Composer {
    fn take(&mut self, event: Event<'_>, at: Position) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let merge = style == ScalarStyle::Plain && tag.is_none() && text == "<<";
                let value = read(&text, style, tag.as_deref())?;
                self.finish(Node { value, spans: Spans::leaf(at), size: 1, merge }, anchor)
            }
            Event::SequenceStart(anchor, _) => self.start(at, anchor, Parts::List(Vec::new(), Vec::new())),
            Event::MappingStart(anchor, _) => {
                let parts = Parts::Object { values: Map::new(), spans: BTreeMap::new(), own: Vec::new(), key: None };
                self.start(at, anchor, parts)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => {
                let mut node = self.anchors.get(&anchor).cloned().ok_or("the anchor's value contains itself")?;
                self.aliased += node.size;
                if self.aliased > ALIASED_MAX {
                    return Err("the document repeats too much by aliases".to_owned());
                }
                node.spans.at = at;
                self.finish(node, 0)
            }
            _ => Ok(()),
        }
    }

    fn start(&mut self, at: Position, anchor: usize, parts: Parts) -> Result<(), String> {
        if self.open.len() >= DEPTH_MAX {
            return Err(format!("values stand in each other more than {DEPTH_MAX} deep"));
        }
        self.open.push(Open { at, anchor, size: 1, parts });
        Ok(())
    }

    fn end(&mut self) -> Result<(), String> {
        let Some(Open { at, anchor, size, parts }) = self.open.pop() else { return Ok(()) };
        let (value, inside) = match parts {
            Parts::List(values, spans) => (Value::Array(values), Inside::Items(spans)),
            Parts::Object { values, spans, .. } => (Value::Object(values), Inside::Fields(spans)),
        };
        self.finish(Node { value, spans: Spans { at, inside }, size, merge: false }, anchor)
    }

    /// Puts a whole value where it belongs.
    fn finish(&mut self, node: Node, anchor: usize) -> Result<(), String> {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        parent.size += node.size;
        match &mut parent.parts {
            Parts::List(values, spans) => {
                values.push(node.value);
                spans.push(node.spans);
                Ok(())
            }
            Parts::Object { values, spans, own, key } => match key.take() {
                None if node.merge => {
                    *key = Some(Key::Merge);
                    Ok(())
                }
                None => {
                    let name = scalar::key(&node.value)?;
                    if own.contains(&name) {
                        return Err(format!("the key \"{name}\" is there twice"));
                    }
                    own.push(name.clone());
                    *key = Some(Key::Field(name, node.spans.at));
                    Ok(())
                }
                Some(Key::Field(name, at)) => {
                    spans.insert(name.clone(), Spans { at, ..node.spans });
                    values.insert(name, node.value);
                    Ok(())
                }
                Some(Key::Merge) => merge(node, values, spans),
            },
        }
    }
}

/// Takes over the fields of an object, or of several, of which earlier ones win. As in Go's reader, what stands above the
/// merge key is overridden, and what stands below it overrides.
fn merge(node: Node, values: &mut Map<String, Value>, spans: &mut BTreeMap<String, Spans>) -> Result<(), String> {
    let sources = match (node.value, node.spans.inside) {
        (Value::Object(fields), Inside::Fields(places)) => vec![(fields, places)],
        (Value::Array(items), Inside::Items(places)) => {
            let pairs = items.into_iter().zip(places).map(|pair| match pair {
                (Value::Object(fields), Spans { inside: Inside::Fields(places), .. }) => Some((fields, places)),
                _ => None,
            });
            pairs.rev().collect::<Option<Vec<_>>>().ok_or(MERGE_NEEDS_OBJECTS)?
        }
        _ => return Err(MERGE_NEEDS_OBJECTS.to_owned()),
    };
    for (fields, places) in sources {
        values.extend(fields);
        spans.extend(places);
    }
    Ok(())
}

const MERGE_NEEDS_OBJECTS: &str = "the merge key << needs an object, or a list of objects";

fn read(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, String> {
    match tag {
        Some(tag) if tag.is_yaml_core_schema() => scalar::tagged(&tag.suffix, text),
        None if style == ScalarStyle::Plain => scalar::plain(text),
        // A quoted scalar, or one with a tag of its author's, is its text.
        _ => Ok(Value::from(text)),
    }
}
