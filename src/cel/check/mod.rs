//! Types of expressions: every name is known, every call has a function for its arguments, with cel-go's words where not.
//! Upstream rule: cel-go `checker/checker.go`.

mod assign;
mod calls;
mod literals;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cel::common::ast::{self, EntryExpr, Expr, IdedExpr, LiteralValue, SourceInfo};

use crate::decl::is_reserved;
use crate::library;
use crate::node::{Comprehension, Constant, Kind, Node, Select};
use crate::program::Issue;
use crate::types::Type;
use assign::{Mapping, most_general};

/// How deep a checked expression may be: it is evaluated by recursion.
const DEPTH_MAX: usize = 200;

/// An expression without mistakes.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) node: Node,
    /// The variables of the environment that it uses.
    pub(crate) used: BTreeSet<String>,
}

/// Checks a tree against the types of its variables.
pub(crate) fn check(
    tree: &IdedExpr,
    source: &SourceInfo,
    variables: &BTreeMap<String, Type>,
) -> Result<Checked, Vec<Issue>> {
    let mut checker = Checker::new(source, variables);
    let mut node = checker.node(tree);
    checker.close(&mut node);
    // What was found wrong before makes types that are no more than guesses.
    if checker.issues.is_empty() {
        literals::alike(&mut checker, &mut node, false);
    }
    if checker.issues.is_empty() {
        return Ok(Checked { node, used: checker.used });
    }
    checker.issues.sort_by_key(|issue| (issue.line, issue.column));
    Err(checker.issues)
}

struct Checker<'a> {
    source: &'a SourceInfo,
    variables: &'a BTreeMap<String, Type>,
    /// Variables of comprehensions, the innermost last.
    scopes: Vec<(Arc<str>, Type)>,
    used: BTreeSet<String>,
    mapping: Mapping,
    params: usize,
    ids: usize,
    depth: usize,
    issues: Vec<Issue>,
}

impl<'a> Checker<'a> {
    fn new(source: &'a SourceInfo, variables: &'a BTreeMap<String, Type>) -> Self {
        Self {
            source,
            variables,
            scopes: Vec::new(),
            used: BTreeSet::new(),
            mapping: Mapping::default(),
            params: 0,
            ids: 0,
            depth: 0,
            issues: Vec::new(),
        }
    }

    fn issue(&mut self, at: u64, message: String) {
        let offset = self.source.offset_for(at).map_or(0, |(start, _)| start as usize);
        let (mut line, mut column) = (1, 0);
        for c in self.source.source.chars().take(offset) {
            column += 1;
            if c == '\n' {
                (line, column) = (line + 1, 0);
            }
        }
        self.issues.push(Issue { line, column, message });
    }

    fn made(&mut self, ty: Type, kind: Kind) -> Node {
        self.ids += 1;
        Node { id: self.ids, at: 0, ty, kind }
    }

    /// In place of what was found wrong.
    fn wrong(&mut self) -> Node {
        self.made(Type::Error, Kind::Constant(Constant::Null))
    }

    fn new_param(&mut self) -> Type {
        self.params += 1;
        Type::param(&format!("_var{}", self.params - 1))
    }

    fn node(&mut self, tree: &IdedExpr) -> Node {
        if self.depth >= DEPTH_MAX {
            if self.issues.is_empty() {
                self.issue(tree.id, format!("expression is nested more than {DEPTH_MAX} deep"));
            }
            return self.wrong();
        }
        self.depth += 1;
        let node = match &tree.expr {
            Expr::Literal(value) => {
                let constant = constant(value);
                self.made(constant.ty(), Kind::Constant(constant))
            }
            Expr::Ident(name) => self.ident(tree.id, name),
            Expr::Select(select) => self.select(tree, select),
            Expr::Call(call) => self.call(tree, call),
            Expr::List(list) => self.list(list),
            Expr::Map(map) => self.map(map),
            Expr::Struct(made) => {
                self.issue(tree.id, format!("undeclared reference to '{}' (in container '')", made.type_name));
                self.wrong()
            }
            Expr::Comprehension(over) => self.comprehension(over),
            Expr::Unspecified => {
                self.issue(tree.id, "unexpected unspecified type: nothing".to_owned());
                self.wrong()
            }
        };
        self.depth -= 1;
        Node { at: tree.id, ..node }
    }

    /// A variable or the name of a type.
    fn named(&mut self, name: &str) -> Option<Node> {
        let name = name.strip_prefix('.').unwrap_or(name);
        let local = self.scopes.iter().rev().find(|(known, _)| &**known == name).map(|(_, ty)| ty.clone());
        if let Some(ty) = local {
            return Some(self.made(ty, Kind::Variable(name.into())));
        }
        if let Some(ty) = self.variables.get(name) {
            self.used.insert(name.to_owned());
            return Some(self.made(ty.clone(), Kind::Variable(name.into())));
        }
        let ty = library::type_named(name)?;
        Some(self.made(Type::Type(Box::new(ty.clone())), Kind::Constant(Constant::Type(ty))))
    }

    fn ident(&mut self, at: u64, name: &str) -> Node {
        if let Some(node) = self.named(name) {
            return node;
        }
        self.issue(at, format!("undeclared reference to '{name}' (in container '')"));
        self.wrong()
    }

    fn select(&mut self, tree: &IdedExpr, select: &ast::SelectExpr) -> Node {
        if !select.test
            && let Some(name) = qualified(tree)
            && let Some(node) = self.named(&name)
        {
            return node;
        }
        let (operand, field) = self.field(tree.id, &select.operand, &select.field, false);
        let ty = if select.test { Type::Bool } else { self.mapping.substitute(&field, false) };
        let select = Select {
            operand: Box::new(operand),
            field: select.field.as_str().into(),
            test: select.test,
            optional: false,
        };
        self.made(ty, Kind::Select(select))
    }

    /// `operand.?field`.
    fn optional_select(&mut self, tree: &IdedExpr, call: &ast::CallExpr) -> Node {
        let [operand, field] = call.args.as_slice() else {
            let text = format!(
                "unsupported optional field selection: incorrect signature. argument count: {}",
                call.args.len()
            );
            self.issue(tree.id, text);
            return self.wrong();
        };
        let Expr::Literal(LiteralValue::String(name)) = &field.expr else {
            self.issue(field.id, "unsupported optional field selection: no field name".to_owned());
            return self.wrong();
        };
        let (operand, ty) = self.field(tree.id, operand, name.inner(), true);
        let ty = self.mapping.substitute(&ty, false);
        let select = Select { operand: Box::new(operand), field: name.inner().into(), test: false, optional: true };
        self.made(ty, Kind::Select(select))
    }

    /// The operand of a selection, and the type of the field.
    fn field(&mut self, at: u64, operand: &IdedExpr, field: &str, optional: bool) -> (Node, Type) {
        let operand = self.node(operand);
        let from = self.mapping.substitute(&operand.ty, false);
        let (target, unwrapped) = from.unwrapped();
        let found = match target {
            Type::Map(_, value) => (**value).clone(),
            Type::Object(object) => {
                let keyword = || object.fields.get(&format!("__{field}__")).filter(|_| is_reserved(field));
                match object.fields.get(field).or_else(keyword) {
                    Some(field) => field.decl.cel_type(),
                    None => {
                        self.issue(at, format!("undefined field '{field}'"));
                        Type::Error
                    }
                }
            }
            Type::Named(_) => {
                self.issue(at, format!("undefined field '{field}'"));
                Type::Error
            }
            Type::Param(_) => {
                self.mapping.assignable(&Type::Dyn, target);
                Type::Dyn
            }
            other => {
                if !other.is_open() {
                    self.issue(at, format!("type '{other}' does not support field selection"));
                }
                Type::Dyn
            }
        };
        let ty = if unwrapped || optional { Type::optional(found) } else { found };
        (operand, ty)
    }

    fn list(&mut self, list: &ast::ListExpr) -> Node {
        let mut ty = None;
        let mut items = Vec::with_capacity(list.elements.len());
        for (index, element) in list.elements.iter().enumerate() {
            let item = self.node(element);
            let optional = list.optional_indices.contains(&index);
            let of = self.element_type(element.id, &item, optional);
            ty = Some(self.join(ty, of));
            items.push((item, optional));
        }
        let ty = ty.unwrap_or_else(|| self.new_param());
        self.made(Type::list(ty), Kind::List(items))
    }

    fn map(&mut self, map: &ast::MapExpr) -> Node {
        let (mut key_type, mut value_type) = (None, None);
        let mut entries = Vec::with_capacity(map.entries.len());
        for entry in &map.entries {
            let EntryExpr::MapEntry(entry) = &entry.expr else {
                continue;
            };
            let key = self.node(&entry.key);
            key_type = Some(self.join(key_type, key.ty.clone()));
            let value = self.node(&entry.value);
            let of = self.element_type(entry.value.id, &value, entry.optional);
            value_type = Some(self.join(value_type, of));
            entries.push((key, value, entry.optional));
        }
        let key_type = key_type.unwrap_or_else(|| self.new_param());
        let value_type = value_type.unwrap_or_else(|| self.new_param());
        self.made(Type::map(key_type, value_type), Kind::Map(entries))
    }

    /// The type that an element adds to its list or map.
    fn element_type(&mut self, at: u64, element: &Node, optional: bool) -> Type {
        if !optional {
            return element.ty.clone();
        }
        let (inner, was_optional) = element.ty.unwrapped();
        if !was_optional && !inner.is_open() {
            self.issue(at, format!("expected type '{}' but found '{inner}'", Type::optional(inner.clone())));
        }
        inner.clone()
    }

    /// The type of several elements. Whether they are alike is looked at when all types are known.
    fn join(&mut self, previous: Option<Type>, current: Type) -> Type {
        match previous {
            None => current,
            Some(previous) if self.mapping.assignable(&previous, &current) => most_general(&previous, &current),
            Some(_) => Type::Dyn,
        }
    }

    fn comprehension(&mut self, over: &ast::ComprehensionExpr) -> Node {
        let range = self.node(&over.iter_range);
        let init = self.node(&over.accu_init);
        let two = over.iter_var2.is_some();
        let (first, second) = match self.mapping.substitute(&range.ty, false) {
            Type::List(items) if two => (Type::Int, *items),
            Type::List(items) => (*items, Type::Error),
            Type::Map(key, value) => (*key, *value),
            open @ (Type::Dyn | Type::Error | Type::Param(_)) => {
                self.mapping.assignable(&Type::Dyn, &open);
                (Type::Dyn, Type::Dyn)
            }
            other => {
                let text = format!(
                    "expression of type '{other}' cannot be range of a comprehension (must be list, map, or dynamic)"
                );
                self.issue(over.iter_range.id, text);
                (Type::Error, Type::Error)
            }
        };
        let outside = self.scopes.len();
        let accumulator: Arc<str> = over.accu_var.as_str().into();
        self.scopes.push((Arc::clone(&accumulator), init.ty.clone()));
        let variable: Arc<str> = over.iter_var.as_str().into();
        self.scopes.push((Arc::clone(&variable), first));
        let second_name = over.iter_var2.as_deref().map(Arc::<str>::from);
        if let Some(name) = &second_name {
            self.scopes.push((Arc::clone(name), second));
        }
        let condition = self.expect(&over.loop_cond, &Type::Bool);
        let step = self.expect(&over.loop_step, &init.ty);
        self.scopes.truncate(outside + 1);
        let result = self.node(&over.result);
        self.scopes.truncate(outside);
        let ty = self.mapping.substitute(&result.ty, false);
        let made = Comprehension { range, variable, second: second_name, accumulator, init, condition, step, result };
        self.made(ty, Kind::Comprehension(Box::new(made)))
    }

    /// A part that must be of this type.
    fn expect(&mut self, tree: &IdedExpr, wanted: &Type) -> Node {
        let node = self.node(tree);
        if !self.mapping.assignable(wanted, &node.ty) {
            let (wanted, found) = (self.mapping.substitute(wanted, false), &node.ty);
            self.issue(tree.id, format!("expected type '{wanted}' but found '{found}'"));
        }
        node
    }

    /// Puts in what parameters stand for.
    fn close(&self, node: &mut Node) {
        node.ty = self.mapping.substitute(&node.ty, true);
        for child in node.children_mut() {
            self.close(child);
        }
    }
}

fn constant(value: &LiteralValue) -> Constant {
    match value {
        LiteralValue::Boolean(value) => Constant::Bool(*value.inner()),
        LiteralValue::Bytes(value) => Constant::Bytes(value.inner().into()),
        LiteralValue::Double(value) => Constant::Double(*value.inner()),
        LiteralValue::Int(value) => Constant::Int(*value.inner()),
        LiteralValue::Null => Constant::Null,
        LiteralValue::String(value) => Constant::String(value.inner().into()),
        LiteralValue::UInt(value) => Constant::Uint(*value.inner()),
    }
}

/// `a.b.c` as one name, where an expression is nothing but that.
fn qualified(tree: &IdedExpr) -> Option<String> {
    match &tree.expr {
        Expr::Ident(name) => Some(name.clone()),
        Expr::Select(select) if !select.test => Some(format!("{}.{}", qualified(&select.operand)?, select.field)),
        _ => None,
    }
}
