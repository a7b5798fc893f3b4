//! JSON bodies with the fields that are there twice: the last one counts, and each is told.
//! Upstream rule: sigs.k8s.io/json, strict.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Where the reader stands, and what was found.
#[derive(Default)]
struct State {
    path: Vec<Step>,
    found: Vec<String>,
}

enum Step {
    Field(String),
    Index(usize),
}

/// Reads a body; the texts are as in `duplicate field "spec.replicas"`.
pub(crate) fn read(bytes: &[u8]) -> Result<(Value, Vec<String>), serde_json::Error> {
    let state = RefCell::new(State::default());
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Reader(&state).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok((value, state.into_inner().found))
}

#[derive(Clone, Copy)]
struct Reader<'s>(&'s RefCell<State>);

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            self.0.borrow_mut().path.push(Step::Index(list.len()));
            let item = items.next_element_seed(self);
            self.0.borrow_mut().path.pop();
            match item? {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            self.0.borrow_mut().path.push(Step::Field(name.clone()));
            if object.contains_key(&name) {
                self.0.borrow_mut().tell();
            }
            let value = fields.next_value_seed(self);
            self.0.borrow_mut().path.pop();
            object.insert(name, value?);
        }
        Ok(Value::Object(object))
    }
}

impl State {
    fn tell(&mut self) {
        let mut path = String::new();
        for step in &self.path {
            match step {
                Step::Field(name) if path.is_empty() => path.push_str(name),
                Step::Field(name) => path.push_str(&format!(".{name}")),
                Step::Index(index) => path.push_str(&format!("[{index}]")),
            }
        }
        let text = format!("duplicate field \"{path}\"");
        if !self.found.contains(&text) {
            self.found.push(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_last_of_several_counts_and_is_told() {
        let rows = [
            (r#"{"a": 1, "b": [true, null, -2, 1.5, "x"]}"#, json!({"a": 1, "b": [true, null, -2, 1.5, "x"]}), vec![]),
            (r#"{"a": 1, "a": 2, "a": 3}"#, json!({"a": 3}), vec!["duplicate field \"a\""]),
            (
                r#"{"a": {"b": [{"c": 1}, {"c": 1, "c": 2}], "b2": {}}, "a": {}}"#,
                json!({"a": {}}),
                vec!["duplicate field \"a.b[1].c\"", "duplicate field \"a\""],
            ),
        ];
        for (text, value, found) in rows {
            let (read, told) = read(text.as_bytes()).unwrap();
            assert_eq!((read, told), (value, found.into_iter().map(str::to_owned).collect::<Vec<_>>()), "{text}");
        }
        assert!(read(b"{} {}").is_err() && read(b"{\"a\":").is_err());
    }
}
