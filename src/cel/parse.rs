//! From text to a syntax tree: the grammar of the crate `cel`, with the macros of Kubernetes' environment.

use cel::Env;
use cel::common::ast::operators::{ADD, CONDITIONAL, EQUALS, LOGICAL_AND, LOGICAL_NOT, LOGICAL_OR, NOT_STRICTLY_FALSE};
use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, ListExpr, LiteralValue, MapExpr, SourceInfo};
use cel::parser::{Macro, MacroExprHelper, ParseError};

use crate::program::Issue;

/// The longest expression, in code points.
const SIZE_MAX: usize = 100_000;
/// How deep expressions may nest.
const DEPTH_MAX: u16 = 250;
/// The name of what a macro accumulates, as the grammar's own macros have it.
pub(crate) const ACCUMULATOR: &str = "@result";

/// The tree of an expression.
pub(crate) fn parse(text: &str) -> Result<(IdedExpr, SourceInfo), Vec<Issue>> {
    let size = text.chars().count();
    if size > SIZE_MAX {
        let message = format!("expression code point size exceeds limit: size: {size}, limit {SIZE_MAX}");
        return Err(vec![Issue { line: 0, column: 0, message }]);
    }
    let parsed = environment().parser().max_recursion_depth(DEPTH_MAX);
    parsed.parse_with_source_info(text).map_err(|errors| {
        let issue = |error: ParseError| Issue {
            line: usize::try_from(error.pos.0).unwrap_or(0),
            column: usize::try_from(error.pos.1 - 1).unwrap_or(0),
            message: error.msg,
        };
        errors.errors.into_iter().map(issue).collect()
    })
}

fn environment() -> Env {
    let mut env = Env::stdlib();
    let macros = [
        Macro::receiver("all", 3, |help, target, args| quantifier(help, target, args, true)),
        Macro::receiver("exists", 3, |help, target, args| quantifier(help, target, args, false)),
        Macro::receiver("existsOne", 3, exists_one),
        Macro::receiver("exists_one", 3, exists_one),
        Macro::receiver("transformList", 3, |help, target, args| transform(help, target, args, &list_step)),
        Macro::receiver("transformList", 4, |help, target, args| transform(help, target, args, &list_step)),
        Macro::receiver("transformMap", 3, |help, target, args| transform(help, target, args, &map_step)),
        Macro::receiver("transformMap", 4, |help, target, args| transform(help, target, args, &map_step)),
        Macro::receiver("transformMapEntry", 3, |help, target, args| transform(help, target, args, &entry_step)),
        Macro::receiver("transformMapEntry", 4, |help, target, args| transform(help, target, args, &entry_step)),
    ];
    for one in macros {
        env.add_macro(one).expect("the macros of two variables have no namesakes with as many arguments");
    }
    env
}

type Expansion = Result<Option<IdedExpr>, ParseError>;

fn ident(help: &mut MacroExprHelper<'_>, name: &str) -> IdedExpr {
    help.next_expr(Expr::Ident(name.to_owned()))
}

fn call(help: &mut MacroExprHelper<'_>, function: &str, args: Vec<IdedExpr>) -> IdedExpr {
    help.next_expr(Expr::Call(CallExpr { func_name: function.to_owned(), target: None, args }))
}

fn boolean(help: &mut MacroExprHelper<'_>, value: bool) -> IdedExpr {
    help.next_expr(Expr::Literal(LiteralValue::Boolean(value.into())))
}

fn number(help: &mut MacroExprHelper<'_>, value: i64) -> IdedExpr {
    help.next_expr(Expr::Literal(LiteralValue::Int(value.into())))
}

/// What a comprehension over two variables accumulates, and how.
struct Loop {
    init: IdedExpr,
    condition: IdedExpr,
    step: IdedExpr,
    result: IdedExpr,
}

/// The variables of a macro call, its range, and what follows the variables.
fn pieces(
    help: &MacroExprHelper<'_>,
    target: &mut Option<IdedExpr>,
    args: &mut Vec<IdedExpr>,
) -> Result<(IdedExpr, [String; 2], Vec<IdedExpr>), ParseError> {
    let names = [&args[0], &args[1]].map(|arg| match &arg.expr {
        Expr::Ident(name) => Ok(name.clone()),
        _ => Err(help.new_error(arg.id, "argument must be a simple name")),
    });
    let [first, second] = names;
    let names = [first?, second?];
    if names[0] == names[1] {
        return Err(help.new_error(args[1].id, format!("duplicate variable name: {}", names[0])));
    }
    let range = target.take().expect("a macro of a receiver has one");
    let rest = std::mem::take(args).into_iter().skip(2).collect();
    Ok((range, names, rest))
}

fn comprehension(help: &mut MacroExprHelper<'_>, range: IdedExpr, names: [String; 2], over: Loop) -> IdedExpr {
    let [first, second] = names;
    help.next_expr(Expr::Comprehension(Box::new(ComprehensionExpr {
        iter_range: range,
        iter_var: first,
        iter_var2: Some(second),
        accu_var: ACCUMULATOR.to_owned(),
        accu_init: over.init,
        loop_cond: over.condition,
        loop_step: over.step,
        result: over.result,
    })))
}

/// `all` and `exists`.
fn quantifier(
    help: &mut MacroExprHelper<'_>,
    target: &mut Option<IdedExpr>,
    args: &mut Vec<IdedExpr>,
    all: bool,
) -> Expansion {
    let (range, names, rest) = pieces(help, target, args)?;
    let accumulated = ident(help, ACCUMULATOR);
    let open = if all { accumulated } else { call(help, LOGICAL_NOT, vec![accumulated]) };
    let condition = call(help, NOT_STRICTLY_FALSE, vec![open]);
    let mut terms = vec![ident(help, ACCUMULATOR)];
    terms.extend(rest);
    let step = call(help, if all { LOGICAL_AND } else { LOGICAL_OR }, terms);
    let (init, result) = (boolean(help, all), ident(help, ACCUMULATOR));
    Ok(Some(comprehension(help, range, names, Loop { init, condition, step, result })))
}

fn exists_one(help: &mut MacroExprHelper<'_>, target: &mut Option<IdedExpr>, args: &mut Vec<IdedExpr>) -> Expansion {
    let (range, names, rest) = pieces(help, target, args)?;
    let (accumulated, one) = (ident(help, ACCUMULATOR), number(help, 1));
    let more = call(help, ADD, vec![accumulated, one]);
    let mut terms = rest;
    terms.extend([more, ident(help, ACCUMULATOR)]);
    let step = call(help, CONDITIONAL, terms);
    let (accumulated, one) = (ident(help, ACCUMULATOR), number(help, 1));
    let result = call(help, EQUALS, vec![accumulated, one]);
    let (init, condition) = (number(help, 0), boolean(help, true));
    Ok(Some(comprehension(help, range, names, Loop { init, condition, step, result })))
}

/// What a transformation starts from, and how it takes up one more.
type Step = dyn Fn(&mut MacroExprHelper<'_>, &str, IdedExpr) -> (Expr, IdedExpr);

fn list_step(help: &mut MacroExprHelper<'_>, _: &str, one: IdedExpr) -> (Expr, IdedExpr) {
    let accumulated = ident(help, ACCUMULATOR);
    let one = help.next_expr(Expr::List(ListExpr::new(vec![one])));
    (Expr::List(ListExpr::new(Vec::new())), call(help, ADD, vec![accumulated, one]))
}

fn map_step(help: &mut MacroExprHelper<'_>, key: &str, one: IdedExpr) -> (Expr, IdedExpr) {
    let (accumulated, key) = (ident(help, ACCUMULATOR), ident(help, key));
    (Expr::Map(MapExpr { entries: Vec::new() }), call(help, "cel.@mapInsert", vec![accumulated, key, one]))
}

fn entry_step(help: &mut MacroExprHelper<'_>, _: &str, one: IdedExpr) -> (Expr, IdedExpr) {
    let accumulated = ident(help, ACCUMULATOR);
    (Expr::Map(MapExpr { entries: Vec::new() }), call(help, "cel.@mapInsert", vec![accumulated, one]))
}

fn transform(
    help: &mut MacroExprHelper<'_>,
    target: &mut Option<IdedExpr>,
    args: &mut Vec<IdedExpr>,
    step: &Step,
) -> Expansion {
    let (range, names, mut rest) = pieces(help, target, args)?;
    let one = rest.pop().expect("the macro has three arguments at least");
    let (init, mut step) = step(help, &names[0], one);
    if let Some(filter) = rest.pop() {
        let accumulated = ident(help, ACCUMULATOR);
        step = call(help, CONDITIONAL, vec![filter, step, accumulated]);
    }
    let (init, condition, result) = (help.next_expr(init), boolean(help, true), ident(help, ACCUMULATOR));
    Ok(Some(comprehension(help, range, names, Loop { init, condition, step, result })))
}
