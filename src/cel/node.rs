//! A checked expression: every node knows its type, names are resolved, and calls know which functions they can mean.

use std::sync::Arc;

use crate::library::Overload;
use crate::types::Type;
use crate::value::{Text, Value};

/// A part of an expression.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// Tells the parts of one expression apart.
    pub(crate) id: usize,
    /// Where it stands in the text, as the grammar counts it.
    pub(crate) at: u64,
    pub(crate) ty: Type,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Constant(Constant),
    Variable(Arc<str>),
    Select(Select),
    Call(Call),
    And(Box<[Node; 2]>),
    Or(Box<[Node; 2]>),
    Conditional(Box<[Node; 3]>),
    /// Items; an optional one is there only where it has a value.
    List(Vec<(Node, bool)>),
    /// Keys and values; an optional value is there only where it has one.
    Map(Vec<(Node, Node, bool)>),
    Comprehension(Box<Comprehension>),
}

#[derive(Debug, Clone)]
pub(crate) struct Select {
    pub(crate) operand: Box<Node>,
    pub(crate) field: Arc<str>,
    /// `has(operand.field)`.
    pub(crate) test: bool,
    /// `operand.?field`.
    pub(crate) optional: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) function: Arc<str>,
    /// Whether the first argument is the receiver.
    pub(crate) member: bool,
    pub(crate) args: Vec<Node>,
    /// What it can mean by the types of its arguments.
    pub(crate) overloads: Vec<&'static Overload>,
}

#[derive(Debug, Clone)]
pub(crate) struct Comprehension {
    pub(crate) range: Node,
    pub(crate) variable: Arc<str>,
    pub(crate) second: Option<Arc<str>>,
    pub(crate) accumulator: Arc<str>,
    pub(crate) init: Node,
    pub(crate) condition: Node,
    pub(crate) step: Node,
    pub(crate) result: Node,
}

/// A value that is written in the expression.
#[derive(Debug, Clone)]
pub(crate) enum Constant {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(Arc<str>),
    Bytes(Arc<[u8]>),
    Type(Type),
}

impl Constant {
    pub(crate) fn value<'a>(&self) -> Value<'a> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(value) => Value::Int(*value),
            Self::Uint(value) => Value::Uint(*value),
            Self::Double(value) => Value::Double(*value),
            Self::String(text) => Value::String(Text::Owned(Arc::clone(text))),
            Self::Bytes(bytes) => Value::Bytes(Arc::clone(bytes)),
            Self::Type(ty) => Value::Type(ty.clone()),
        }
    }

    pub(crate) fn ty(&self) -> Type {
        match self {
            Self::Null => Type::Null,
            Self::Bool(_) => Type::Bool,
            Self::Int(_) => Type::Int,
            Self::Uint(_) => Type::Uint,
            Self::Double(_) => Type::Double,
            Self::String(_) => Type::String,
            Self::Bytes(_) => Type::Bytes,
            Self::Type(ty) => Type::Type(Box::new(ty.clone())),
        }
    }
}

impl Comprehension {
    /// Whether it only gives a name to a value: it loops over nothing.
    pub(crate) fn is_bind(&self) -> bool {
        matches!(&self.range.kind, Kind::List(items) if items.is_empty())
            && matches!(self.condition.kind, Kind::Constant(Constant::Bool(false)))
            && &*self.accumulator != crate::parse::ACCUMULATOR
    }
}

impl Node {
    /// Whether it is a variable or a way from one to what is in it.
    pub(crate) fn is_path(&self) -> bool {
        match &self.kind {
            Kind::Variable(_) => true,
            Kind::Select(select) => !select.test && select.operand.is_path(),
            Kind::Call(call) => matches!(&*call.function, "_[_]" | "_[?_]") && call.args[0].is_path(),
            _ => false,
        }
    }

    /// Whether it is the same whenever it is evaluated, as it is made of literals alone.
    pub(crate) fn is_constant(&self) -> bool {
        match &self.kind {
            Kind::Constant(_) => true,
            Kind::List(items) => items.iter().all(|(item, optional)| !optional && item.is_constant()),
            Kind::Map(entries) => {
                entries.iter().all(|(key, value, optional)| !optional && key.is_constant() && value.is_constant())
            }
            _ => false,
        }
    }

    /// The parts directly in this one.
    pub(crate) fn children_mut(&mut self) -> Vec<&mut Node> {
        match &mut self.kind {
            Kind::Constant(_) | Kind::Variable(_) => Vec::new(),
            Kind::Select(select) => vec![&mut select.operand],
            Kind::Call(call) => call.args.iter_mut().collect(),
            Kind::And(terms) | Kind::Or(terms) => terms.iter_mut().collect(),
            Kind::Conditional(terms) => terms.iter_mut().collect(),
            Kind::List(items) => items.iter_mut().map(|(item, _)| item).collect(),
            Kind::Map(entries) => entries.iter_mut().flat_map(|(key, value, _)| [key, value]).collect(),
            Kind::Comprehension(over) => {
                let over = &mut **over;
                vec![&mut over.range, &mut over.init, &mut over.condition, &mut over.step, &mut over.result]
            }
        }
    }
}
