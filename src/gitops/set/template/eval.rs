//! What a template of Go's comes to over parameters.

use serde_json::Value;

use super::Missing;
use super::format::printed;
use super::functions::{self, truth};
use super::parse::{Node, Operand, Pipeline};

/// Runs a template.
pub(super) fn run(nodes: &[Node], root: &Value, missing: Missing) -> Result<String, String> {
    let mut out = String::new();
    Scope { root, dot: root, missing }.nodes(nodes, &mut out)?;
    Ok(out)
}

#[derive(Clone, Copy)]
struct Scope<'a> {
    root: &'a Value,
    dot: &'a Value,
    missing: Missing,
}

impl Scope<'_> {
    fn nodes(self, nodes: &[Node], out: &mut String) -> Result<(), String> {
        nodes.iter().try_for_each(|node| self.node(node, out))
    }

    fn node(self, node: &Node, out: &mut String) -> Result<(), String> {
        match node {
            Node::Text(text) => out.push_str(text),
            Node::Print(pipeline) => out.push_str(&printed(&self.pipeline(pipeline)?)),
            Node::If(branches, otherwise) => {
                for (condition, inside) in branches {
                    if truth(&self.pipeline(condition)?) {
                        return self.nodes(inside, out);
                    }
                }
                return self.nodes(otherwise, out);
            }
            Node::With(pipeline, inside, otherwise) => {
                let value = self.pipeline(pipeline)?;
                if truth(&value) {
                    return Scope { dot: &value, ..self }.nodes(inside, out);
                }
                return self.nodes(otherwise, out);
            }
            Node::Range(pipeline, inside, otherwise) => {
                let items: Vec<Value> = match self.pipeline(pipeline)? {
                    Value::Array(items) => items,
                    Value::Object(fields) => fields.into_iter().map(|(_, value)| value).collect(),
                    Value::Null => Vec::new(),
                    other => return Err(format!("range can't iterate over {}", printed(&other))),
                };
                if items.is_empty() {
                    return self.nodes(otherwise, out);
                }
                return items.iter().try_for_each(|item| Scope { dot: item, ..self }.nodes(inside, out));
            }
        }
        Ok(())
    }

    fn pipeline(self, pipeline: &Pipeline) -> Result<Value, String> {
        let mut value = None;
        for command in pipeline {
            value = Some(self.command(command, value)?);
        }
        value.ok_or_else(|| "missing value for command".to_owned())
    }

    fn command(self, command: &[Operand], before: Option<Value>) -> Result<Value, String> {
        let Some((first, rest)) = command.split_first() else { return Err("missing value for command".to_owned()) };
        let Operand::Function(name) = first else {
            if !rest.is_empty() || before.is_some() {
                return Err("can't give argument to a value that is no function".to_owned());
            }
            return self.operand(first);
        };
        // These look at no more than they need.
        if let ("and" | "or", false) = (name.as_str(), rest.is_empty()) {
            let mut value = Value::Null;
            for operand in rest {
                value = self.operand(operand)?;
                if truth(&value) == (name == "or") {
                    return Ok(value);
                }
            }
            return Ok(before.unwrap_or(value));
        }
        let mut arguments = rest.iter().map(|operand| self.operand(operand)).collect::<Result<Vec<_>, _>>()?;
        arguments.extend(before);
        functions::call(name, &arguments)
    }

    fn operand(self, operand: &Operand) -> Result<Value, String> {
        match operand {
            Operand::Literal(value) => Ok(value.clone()),
            Operand::Function(name) => functions::call(name, &[]),
            Operand::Field { of_root, path } => self.below(if *of_root { self.root } else { self.dot }, path),
            Operand::Inner(pipeline, path) => self.below(&self.pipeline(pipeline)?, path),
        }
    }

    fn below(self, value: &Value, path: &[String]) -> Result<Value, String> {
        let mut value = value;
        for (index, name) in path.iter().enumerate() {
            value = match value {
                Value::Object(fields) => match fields.get(name) {
                    Some(found) => found,
                    None if self.missing == Missing::Error => return Err(format!("map has no entry for key {name:?}")),
                    None => &Value::Null,
                },
                Value::Null if index > 0 => return Err(format!("nil pointer evaluating interface {{}}.{name}")),
                other => return Err(format!("can't evaluate field {name} in {}", printed(other))),
            };
        }
        Ok(value.clone())
    }
}
