//! Calls: which functions a call can mean by its name and the types of its arguments.

use cel::common::ast::operators::{CONDITIONAL, LOGICAL_AND, LOGICAL_OR, OPT_SELECT};
use cel::common::ast::{self, IdedExpr};

use super::{Checker, Mapping, literals, qualified};
use crate::library::{self, Overload};
use crate::node::{Call, Kind, Node};
use crate::types::Type;

impl Checker<'_> {
    pub(super) fn call(&mut self, tree: &IdedExpr, call: &ast::CallExpr) -> Node {
        if call.func_name == OPT_SELECT {
            return self.optional_select(tree, call);
        }
        let args: Vec<Node> = call.args.iter().map(|arg| self.node(arg)).collect();
        let name = call.func_name.strip_prefix('.').unwrap_or(&call.func_name);
        if name == LOGICAL_AND || name == LOGICAL_OR {
            return self.logical(call, args, name == LOGICAL_AND);
        }
        let Some(target) = &call.target else {
            return self.resolve(tree, name, false, args, call);
        };
        // `ip.isCanonical(x)` is a function with a dot in its name.
        if let Some(prefix) = qualified(target) {
            let name = format!("{prefix}.{name}");
            if !library::overloads(&name).is_empty() {
                return self.resolve(tree, &name, false, args, call);
            }
        }
        let mut all = vec![self.node(target)];
        all.extend(args);
        self.resolve(tree, name, true, all, call)
    }

    fn logical(&mut self, call: &ast::CallExpr, args: Vec<Node>, and: bool) -> Node {
        for (arg, tree) in args.iter().zip(&call.args) {
            if !self.mapping.assignable(&arg.ty, &Type::Bool) {
                let found = self.mapping.substitute(&arg.ty, false);
                self.issue(tree.id, format!("expected type 'bool' but found '{found}'"));
            }
        }
        let Ok(terms) = <[Node; 2]>::try_from(args) else {
            return self.wrong();
        };
        let terms = Box::new(terms);
        self.made(Type::Bool, if and { Kind::And(terms) } else { Kind::Or(terms) })
    }

    fn resolve(&mut self, tree: &IdedExpr, name: &str, member: bool, args: Vec<Node>, call: &ast::CallExpr) -> Node {
        let known = library::overloads(name);
        if known.is_empty() {
            self.issue(tree.id, format!("undeclared reference to '{name}' (in container '')"));
            return self.wrong();
        }
        let given: Vec<Type> = args.iter().map(|arg| arg.ty.clone()).collect();
        let mut overloads: Vec<&'static Overload> = Vec::new();
        let mut result: Option<Type> = None;
        for overload in known.iter().filter(|one| one.member == member) {
            let (wanted, gives) = self.fresh(overload);
            if self.mapping.all_assignable(&given, &wanted) {
                overloads.push(overload);
                let gives = self.mapping.substitute(&gives, false);
                result = Some(match result {
                    Some(before) if before != Type::Dyn && before != gives => Type::Dyn,
                    Some(before) => before,
                    None => gives,
                });
            }
        }
        let Some(ty) = result else {
            let given: Vec<Type> = given.iter().map(|ty| self.mapping.substitute(ty, true)).collect();
            let signature = signature(&given, member);
            self.issue(tree.id, format!("found no matching overload for '{name}' applied to '{signature}'"));
            return self.wrong();
        };
        if let (Some(arg), Some(tree)) = (args.last(), call.args.last())
            && let Some(text) = literals::invalid(name, arg)
        {
            self.issue(tree.id, text);
        }
        if name == CONDITIONAL {
            let Ok(terms) = <[Node; 3]>::try_from(args) else {
                return self.wrong();
            };
            return self.made(ty, Kind::Conditional(Box::new(terms)));
        }
        self.made(ty, Kind::Call(Call { function: name.into(), member, args, overloads }))
    }

    /// A signature with parameters of its own.
    fn fresh(&mut self, overload: &Overload) -> (Vec<Type>, Type) {
        let mut renamed = Mapping::default();
        let mut names = Vec::new();
        for ty in overload.args.iter().chain([&overload.result]) {
            params(ty, &mut names);
        }
        for name in names {
            let param = self.new_param();
            renamed.assignable(&param, &Type::Param(name));
        }
        (
            overload.args.iter().map(|ty| renamed.substitute(ty, false)).collect(),
            renamed.substitute(&overload.result, false),
        )
    }
}

fn params(ty: &Type, names: &mut Vec<std::sync::Arc<str>>) {
    if let Type::Param(name) = ty {
        if !names.contains(name) {
            names.push(name.clone());
        }
        return;
    }
    for part in ty.parts() {
        params(part, names);
    }
}

fn signature(given: &[Type], member: bool) -> String {
    let text = |types: &[Type]| types.iter().map(Type::to_string).collect::<Vec<_>>().join(", ");
    match given {
        [target, args @ ..] if member => format!("{target}.({})", text(args)),
        args => format!("({})", text(args)),
    }
}
