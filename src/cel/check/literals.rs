//! Literals that are no use are told before anything is evaluated: patterns, durations and moments that cannot be read, lists
//! and maps whose elements differ in type.
//! Upstream rule: cel-go `cel/validator.go`.

use super::Checker;
use crate::library::{moments, patterns};
use crate::node::{Constant, Kind, Node};
use crate::types::Type;

/// What is wrong with an argument of this function.
pub(super) fn invalid(function: &str, arg: &Node) -> Option<String> {
    let Kind::Constant(Constant::String(text)) = &arg.kind else {
        return None;
    };
    let readable = match function {
        "duration" => moments::parse_duration(text).is_some(),
        "timestamp" => moments::parse_timestamp(text).is_some(),
        "matches" => patterns::compile(text).is_ok(),
        _ => true,
    };
    (!readable).then(|| format!("invalid {function} argument"))
}

/// Elements of one literal have one type, save in what is formatted.
pub(super) fn alike(checker: &mut Checker<'_>, node: &mut Node, exempt: bool) {
    if !exempt {
        match &node.kind {
            Kind::List(items) => {
                let elements = items.iter().map(|(item, optional)| (item, *optional));
                tell(checker, elements.collect());
            }
            Kind::Map(entries) => {
                tell(checker, entries.iter().map(|(key, ..)| (key, false)).collect());
                tell(checker, entries.iter().map(|(_, value, optional)| (value, *optional)).collect());
            }
            _ => {}
        }
    }
    let exempt = exempt || matches!(&node.kind, Kind::Call(call) if &*call.function == "format");
    for child in node.children_mut() {
        alike(checker, child, exempt);
    }
}

fn tell(checker: &mut Checker<'_>, elements: Vec<(&Node, bool)>) {
    let of = |(node, optional): &(&Node, bool)| -> Type {
        if *optional { node.ty.unwrapped().0.clone() } else { node.ty.clone() }
    };
    let Some(first) = elements.first().map(of) else {
        return;
    };
    if let Some(other) = elements.iter().find(|element| of(element) != first) {
        let found = of(other);
        checker.issue(other.0.at, format!("expected type '{first}' but found '{found}'"));
    }
}
