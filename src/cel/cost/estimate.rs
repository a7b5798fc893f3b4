//! The most that an expression can cost, by what is declared of its variables.
//! Upstream rule: cel-go `checker/cost.go`, over the sizes of k8s.io/apiextensions-apiserver `pkg/apiserver/schema/cel`.

use std::collections::HashMap;
use std::sync::Arc;

use super::functions;
use super::size::Range;
use super::{LIST, MAP};
use crate::decl::{Decl, DeclKind};
use crate::node::{Call, Comprehension, Constant, Kind, Node};
use crate::parse::ACCUMULATOR;
use crate::types::Type;

/// The most that an expression can cost whose variables are declared like this.
pub(crate) fn estimate(node: &Node, root: &Decl) -> u64 {
    Estimate { root, scopes: Vec::new(), places: HashMap::new(), sizes: HashMap::new(), entries: HashMap::new() }
        .node(node)
        .max
}

/// Sizes of the keys and values of a container.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entries {
    list: bool,
    key: Range,
    value: Range,
}

impl Entries {
    fn union(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        let (one, other) = (one?, other?);
        Some(Self { list: one.list, key: one.key.union(other.key), value: one.value.union(other.value) })
    }
}

/// A variable of a comprehension.
struct Local<'d> {
    name: Arc<str>,
    place: Place<'d>,
    size: Option<Range>,
    entries: Option<Entries>,
}

/// Where in the declared data a value comes from.
#[derive(Debug, Clone, Copy)]
enum Place<'d> {
    /// From no variable: a literal, the result of a call.
    Nowhere,
    /// From where nothing is declared.
    Undeclared,
    /// A key of a declared map.
    Key,
    /// What is declared there.
    Declared(&'d Decl),
}

impl<'d> Place<'d> {
    /// A place within this one. What is within a value that comes from nowhere is taken for the root, as upstream does.
    fn within(self, root: &'d Decl, step: impl Fn(&'d Decl) -> Option<&'d Decl>) -> Self {
        match self {
            Self::Nowhere => Self::Declared(root),
            Self::Undeclared | Self::Key => Self::Undeclared,
            Self::Declared(decl) => step(decl).map_or(Self::Undeclared, Self::Declared),
        }
    }
}

pub(super) struct Estimate<'d> {
    root: &'d Decl,
    scopes: Vec<Local<'d>>,
    places: HashMap<usize, Place<'d>>,
    sizes: HashMap<usize, Range>,
    entries: HashMap<usize, Entries>,
}

impl<'d> Estimate<'d> {
    pub(super) fn node(&mut self, node: &Node) -> Range {
        match &node.kind {
            Kind::Constant(Constant::Type(_)) | Kind::Variable(_) => {
                let place = self.named(node);
                self.places.insert(node.id, place);
                Range::exactly(1)
            }
            Kind::Constant(_) => Range::exactly(0),
            Kind::Select(select) => {
                let operand = self.node(&select.operand);
                if select.test {
                    return operand;
                }
                let place = self.place(&select.operand).within(self.root, |decl| decl.field(&select.field));
                self.places.insert(node.id, place);
                let counts = matches!(select.operand.ty, Type::Map(..) | Type::Object(_) | Type::Param(_));
                operand.plus(Range::exactly(u64::from(counts)))
            }
            Kind::And(terms) | Kind::Or(terms) => {
                let (first, second) = (self.node(&terms[0]), self.node(&terms[1]));
                Range { min: first.min, max: first.plus(second).max }
            }
            Kind::Conditional(terms) => {
                let costs = [0, 1, 2].map(|at| self.node(&terms[at]));
                let size = self.size(&terms[1]).union(self.size(&terms[2]));
                self.sizes.insert(node.id, size);
                let entries = Entries::union(self.entries_of(&terms[1]), self.entries_of(&terms[2]));
                self.keep_entries(node, entries);
                costs[0].plus(costs[1].union(costs[2]))
            }
            Kind::List(items) => self.list(node, items),
            Kind::Map(entries) => self.map(node, entries),
            Kind::Call(call) => self.call(node, call),
            Kind::Comprehension(over) if over.is_bind() => self.bind(node, over),
            Kind::Comprehension(over) => self.comprehension(node, over),
        }
    }

    fn list(&mut self, node: &Node, items: &[(Node, bool)]) -> Range {
        let mut cost = Range::exactly(LIST);
        let mut value = if items.is_empty() { Range::exactly(0) } else { Range::NOTHING };
        for (item, _) in items {
            cost = cost.plus(self.node(item));
            value = value.union(self.size(item));
        }
        self.entries.insert(node.id, Entries { list: true, key: Range::exactly(1), value });
        cost
    }

    fn map(&mut self, node: &Node, entries: &[(Node, Node, bool)]) -> Range {
        let mut cost = Range::exactly(MAP);
        let none = if entries.is_empty() { Range::exactly(0) } else { Range::NOTHING };
        let mut sizes = Entries { list: false, key: none, value: none };
        for (key, value, _) in entries {
            cost = cost.plus(self.node(key)).plus(self.node(value));
            sizes.key = sizes.key.union(self.size(key));
            sizes.value = sizes.value.union(self.size(value));
        }
        self.entries.insert(node.id, sizes);
        cost
    }

    fn call(&mut self, node: &Node, call: &Call) -> Range {
        if &*call.function == "dyn" {
            let cost = self.node(&call.args[0]);
            self.copy_sizes(node, &call.args[0]);
            return cost.plus(Range::exactly(1));
        }
        let mut args = Range::exactly(0);
        for arg in &call.args {
            args = args.plus(self.node(arg));
        }
        let mut cost = Range::NOTHING;
        let mut size: Option<Range> = None;
        for overload in &call.overloads {
            let (of_call, of_result) = functions::estimate(self, overload, &call.args);
            cost = cost.union(of_call);
            if let Some(of_result) = of_result {
                size = Some(size.map_or(of_result, |known| known.union(of_result)));
            }
            if matches!(overload.id, "index_list" | "index_map") {
                let container = &call.args[0];
                size = self.entries_of(container).map(|entries| entries.value);
                let place = self.place(container).within(self.root, Decl::element);
                self.places.insert(node.id, place);
            }
            if matches!(overload.id, "add_string" | "add_bytes" | "add_list") {
                let entries = Entries::union(self.entries_of(&call.args[0]), self.entries_of(&call.args[1]));
                self.keep_entries(node, entries);
            }
        }
        let size = size.or_else(|| self.known_size(node));
        if let Some(size) = size {
            self.sizes.insert(node.id, size);
        }
        args.plus(cost)
    }

    fn comprehension(&mut self, node: &Node, over: &Comprehension) -> Range {
        let mut cost = self.node(&over.range).plus(self.node(&over.init));
        let accumulator = self.local(&over.accumulator, &over.init);
        let (place, entries) = (self.place(&over.range), self.entries_of(&over.range));
        let outside = self.scopes.len();
        self.scopes.push(accumulator);
        let is_list = entries.map_or(matches!(over.range.ty, Type::List(_)), |entries| entries.list);
        let inside = place.within(self.root, Decl::element);
        let key = match place {
            Place::Declared(decl) if matches!(decl.kind, DeclKind::Map(_)) => Place::Key,
            Place::Nowhere => Place::Declared(self.root),
            _ => Place::Undeclared,
        };
        let local = |name: &Arc<str>, place, size| Local { name: Arc::clone(name), place, size, entries: None };
        let (of_key, of_value) = (entries.map(|entries| entries.key), entries.map(|entries| entries.value));
        match &over.second {
            Some(second) => {
                self.scopes.push(local(&over.variable, key, of_key));
                self.scopes.push(local(second, inside, of_value));
            }
            None if is_list => self.scopes.push(local(&over.variable, inside, of_value)),
            None => self.scopes.push(local(&over.variable, key, of_key)),
        }
        let one = self.node(&over.condition).plus(self.node(&over.step));
        self.scopes.truncate(outside + 1);
        cost = cost.plus(self.node(&over.result));
        self.scopes.truncate(outside);
        let count = self.size(&over.range);
        match &over.init.kind {
            Kind::Constant(_) => {
                if let Some(size) = self.known_size(&over.init) {
                    self.sizes.insert(node.id, size);
                }
            }
            Kind::List(_) | Kind::Map(_) => {
                self.sizes.insert(node.id, count);
                let entries = self.entries_of(&over.step);
                self.keep_entries(node, entries);
            }
            _ => {}
        }
        cost.plus(count.by(one))
    }

    fn bind(&mut self, node: &Node, over: &Comprehension) -> Range {
        let cost = self.node(&over.range).plus(self.node(&over.init));
        let named = self.local(&over.accumulator, &over.init);
        self.scopes.push(named);
        let cost = cost.plus(self.node(&over.result));
        self.copy_sizes(node, &over.result);
        self.scopes.pop();
        cost
    }

    fn local(&self, name: &Arc<str>, value: &Node) -> Local<'d> {
        let (place, size, entries) = (self.place(value), self.known_size(value), self.entries_of(value));
        Local { name: Arc::clone(name), place, size, entries }
    }

    fn find(&self, node: &Node) -> Option<&Local<'d>> {
        match &node.kind {
            Kind::Variable(name) => self.scopes.iter().rev().find(|local| local.name == *name),
            _ => None,
        }
    }

    /// Every name that no comprehension gave is taken for the declared variable, even that of a type, as upstream does.
    fn named(&self, node: &Node) -> Place<'d> {
        match (&node.kind, self.find(node)) {
            (_, Some(local)) => local.place,
            (Kind::Variable(name), None) if &**name == ACCUMULATOR => Place::Nowhere,
            _ => Place::Declared(self.root),
        }
    }

    fn place(&self, node: &Node) -> Place<'d> {
        self.places
            .get(&node.id)
            .copied()
            .or_else(|| self.find(node).map(|local| local.place))
            .unwrap_or(Place::Nowhere)
    }

    /// How large the items of a list can be.
    pub(super) fn element_size(&self, list: &Node) -> Range {
        match self.place(list) {
            Place::Declared(decl) => {
                decl.element().map_or(Range::UNKNOWN, |items| Range { min: 0, max: items.max_elements })
            }
            _ => Range::UNKNOWN,
        }
    }

    /// How large a value is, as far as that is known.
    pub(super) fn known_size(&self, node: &Node) -> Option<Range> {
        if let Some(size) = self.sizes.get(&node.id) {
            return Some(*size);
        }
        match &node.kind {
            Kind::Constant(Constant::String(text)) => return Some(Range::exactly(text.chars().count() as u64)),
            Kind::Constant(Constant::Bytes(bytes)) => return Some(Range::exactly(bytes.len() as u64)),
            Kind::Constant(Constant::Type(_)) => {}
            Kind::Constant(_) => return Some(Range::exactly(1)),
            Kind::List(items) => return Some(Range::exactly(items.len() as u64)),
            Kind::Map(entries) => return Some(Range::exactly(entries.len() as u64)),
            _ => {}
        }
        match self.place(node) {
            Place::Declared(decl) => return Some(Range { min: 0, max: decl.max_elements }),
            Place::Key => return Some(Range::exactly(0)),
            Place::Nowhere | Place::Undeclared => {}
        }
        if is_scalar(&node.ty) {
            return Some(Range::exactly(1));
        }
        self.find(node).and_then(|local| local.size)
    }

    pub(super) fn size(&self, node: &Node) -> Range {
        self.known_size(node).unwrap_or(Range::UNKNOWN)
    }

    fn entries_of(&self, node: &Node) -> Option<Entries> {
        self.entries.get(&node.id).copied().or_else(|| self.find(node).and_then(|local| local.entries))
    }

    fn keep_entries(&mut self, node: &Node, entries: Option<Entries>) {
        if let Some(entries) = entries {
            self.entries.insert(node.id, entries);
        }
    }

    fn copy_sizes(&mut self, to: &Node, from: &Node) {
        if let Some(size) = self.known_size(from) {
            self.sizes.insert(to.id, size);
        }
        let entries = self.entries_of(from);
        self.keep_entries(to, entries);
    }
}

/// Whether all values of a type are of one size.
fn is_scalar(ty: &Type) -> bool {
    match ty {
        Type::Bool | Type::Double | Type::Duration | Type::Int | Type::Timestamp | Type::Uint => true,
        Type::Optional(inner) => is_scalar(inner),
        _ => false,
    }
}
