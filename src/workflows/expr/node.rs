//! What an expression is made of.

use serde_json::Value;

/// A part of an expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Literal(Value),
    Name(String),
    /// What a predicate is asked about: `#`, or `#acc` and `#index`.
    Current(String),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Unary(&'static str, Box<Node>),
    Binary(&'static str, Box<Node>, Box<Node>),
    Choice(Box<Node>, Box<Node>, Box<Node>),
    /// A field or an element; the flag tells that nothing of nothing is nothing.
    Member(Box<Node>, Box<Node>, bool),
    Slice(Box<Node>, Option<Box<Node>>, Option<Box<Node>>),
    Call(String, Vec<Node>),
    Let(String, Box<Node>, Box<Node>),
}

/// Adds the variables that a part names.
pub(super) fn names(node: &Node, found: &mut Vec<String>) {
    if let Some(path) = path(node) {
        found.push(path);
        return;
    }
    match node {
        Node::Literal(_) | Node::Name(_) | Node::Current(_) => (),
        Node::List(parts) | Node::Call(_, parts) => parts.iter().for_each(|part| names(part, found)),
        Node::Map(pairs) => pairs.iter().for_each(|(key, value)| {
            names(key, found);
            names(value, found);
        }),
        Node::Unary(_, of) => names(of, found),
        Node::Binary(_, one, other) | Node::Member(one, other, _) => {
            names(one, found);
            names(other, found);
        }
        Node::Choice(one, two, three) => [one, two, three].iter().for_each(|part| names(part, found)),
        Node::Slice(of, from, to) => {
            [Some(of), from.as_ref(), to.as_ref()].into_iter().flatten().for_each(|part| names(part, found));
        }
        Node::Let(name, value, within) => {
            names(value, found);
            let before = found.len();
            names(within, found);
            let own = |path: &String| path.split('.').next() == Some(name);
            let kept: Vec<String> = found.split_off(before).into_iter().filter(|path| !own(path)).collect();
            found.extend(kept);
        }
    }
}

fn path(node: &Node) -> Option<String> {
    match node {
        Node::Name(name) => Some(name.clone()),
        Node::Member(of, key, _) => match &**key {
            Node::Literal(Value::String(key)) => Some(format!("{}.{key}", path(of)?)),
            _ => None,
        },
        _ => None,
    }
}
