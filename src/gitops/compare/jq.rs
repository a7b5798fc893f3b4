//! Fields that jq expressions name. They are evaluated in this process: nothing can be read by them, and what would not end is refused.
//! Upstream rule: `jqNormalizerPatch` in `util/argo/normalizers/diff_normalizer.go` of argoproj/argo-cd, which deletes what an
//! expression is the path of.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::LazyLock;

use jaq_core::load::{self, Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars, data, unwrap_valr};
use jaq_json::{Val, read};
use regex::Regex;
use serde_json::Value;

type Filter = jaq_core::Filter<data::JustLut<Val>>;

/// Expressions that are kept compiled; beyond that all are forgotten.
const KEPT: usize = 256;
/// Fields that an expression may name of one object.
const FIELDS: usize = 10_000;
/// Texts of an expression, in which words mean nothing.
static TEXTS: LazyLock<Regex> = LazyLock::new(|| pattern(r#""(?:[^"\\]|\\.)*""#));
/// What can go on for ever, has effects, or tells of this machine. A field may be called so.
static REFUSED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?:^|[^.\w$@])(def|repeat|until|while|range|recurse|combinations|limit|inputs?|env|debug|stderr|halt(?:_error)?|now|localtime|import|include)\b",
    )
});

#[allow(clippy::expect_used, reason = "these patterns are constants")]
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern")
}

thread_local! {
    static COMPILED: RefCell<HashMap<String, Rc<Filter>>> = RefCell::default();
}

/// What is wrong with an expression.
pub(super) fn check(expression: &str) -> Option<String> {
    filter(expression).err()
}

/// JSON pointers to the fields of an object that an expression names, in its order. What it makes of another object than it was
/// written for is no error: it names nothing there.
pub(super) fn pointers(expression: &str, object: &Value) -> Vec<String> {
    let Ok(filter) = filter(expression) else { return Vec::new() };
    let Ok(input) = read::parse_single(object.to_string().as_bytes()) else { return Vec::new() };
    let context = Ctx::<data::JustLut<Val>>::new(&filter.lut, Vars::new([]));
    let paths = filter.id.run((context, input)).map(unwrap_valr).take(FIELDS).map_while(Result::ok);
    paths.filter_map(|path| pointer(&path.to_string())).collect()
}

/// The JSON pointer of a path, as in `["spec","list",0]`.
fn pointer(path: &str) -> Option<String> {
    let parts: Vec<Value> = serde_json::from_str(path).ok()?;
    let part = |part: &Value| match part {
        Value::String(name) => Some(format!("/{}", name.replace('~', "~0").replace('/', "~1"))),
        Value::Number(index) => Some(format!("/{index}")),
        _ => None,
    };
    parts.iter().map(part).collect()
}

fn filter(expression: &str) -> Result<Rc<Filter>, String> {
    if let Some(known) = COMPILED.with_borrow(|all| all.get(expression).cloned()) {
        return Ok(known);
    }
    let made = Rc::new(compile(expression)?);
    COMPILED.with_borrow_mut(|all| {
        if all.len() >= KEPT {
            all.clear();
        }
        all.insert(expression.to_owned(), Rc::clone(&made));
    });
    Ok(made)
}

fn compile(expression: &str) -> Result<Filter, String> {
    let bare = TEXTS.replace_all(expression, "\"\"");
    if let Some(found) = REFUSED.captures(&bare) {
        return Err(format!("{} is not served here: only what names fields is", &found[1]));
    }
    if expression.contains("\\(") {
        return Err("texts with expressions in them are not served here: only what names fields is".to_owned());
    }
    let code = format!("path(\n{expression}\n)");
    let arena = Arena::default();
    let definitions = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let functions = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
    let loaded = Loader::new(definitions).load(&arena, File { code: code.as_str(), path: () });
    let modules = loaded.map_err(|errors| {
        let first = errors.into_iter().next();
        first.map_or_else(String::new, |(_, error)| unreadable(&error))
    })?;
    Compiler::default().with_funs(functions).compile(modules).map_err(|errors| {
        let first = errors.into_iter().flat_map(|(_, errors)| errors).next();
        first.map_or_else(String::new, |(name, kind)| format!("undefined {} {name}", kind.as_str()))
    })
}

/// What jq expected, and what stands there.
fn unreadable(error: &load::Error<&str>) -> String {
    let there = |found: &str| match found.trim() {
        "" | ")" => "at the end".to_owned(),
        found => format!("instead of {:?}", found.trim_end_matches(['\n', ')'])),
    };
    match error {
        load::Error::Io(_) => "modules are not read here".to_owned(),
        load::Error::Lex(all) => all.first().map_or_else(String::new, |(expected, found)| {
            format!("a {} is missing {}", expected.as_str(), there(found))
        }),
        load::Error::Parse(all) => all.first().map_or_else(String::new, |(expected, found)| {
            format!("a {} is missing {}", expected.as_str(), there(found))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn expressions_name_fields() {
        let object = json!({"spec": {
            "replicas": 1, "range": 2,
            "list": [{"name": "a", "image": "x"}, {"name": "b", "image": "y", "a/b~c": 1}],
        }});
        for (expression, expected) in [
            (".spec.replicas", vec!["/spec/replicas"]),
            (".spec.range", vec!["/spec/range"]),
            (".spec.replicas, .spec.list", vec!["/spec/replicas", "/spec/list"]),
            (r#".spec.list[] | select(.name == "b") | .image"#, vec!["/spec/list/1/image"]),
            (r#".spec.list[] | select(.name | test("^(a|while)$")).image"#, vec!["/spec/list/0/image"]),
            (".spec.list[]?.image", vec!["/spec/list/0/image", "/spec/list/1/image"]),
            (r#".spec.list[1]."a/b~c""#, vec!["/spec/list/1/a~1b~0c"]),
            (r#".spec | with_entries(.)"#, vec![]),
            (".. | .image?", vec!["/image", "/spec/image", "/spec/list/0/image", "/spec/list/1/image"]),
            (".none.more", vec!["/none/more"]),
            (".spec.replicas[]", vec![]),
            (".spec.replicas + 1", vec![]),
            (". as $all | .spec.list[] | select($all.spec.range == 2) # why", vec!["/spec/list/0", "/spec/list/1"]),
        ] {
            assert_eq!(check(expression), None, "{expression}");
            assert_eq!(pointers(expression, &object), expected, "{expression}");
        }
    }

    #[test]
    fn what_is_broken_or_would_not_end_is_told() {
        for (expression, expected) in [
            (".spec |", "a term is missing at the end"),
            (".spec[", "a closing bracket is missing at the end"),
            (".spec.\"a", "a closing quote is missing at the end"),
            ("nothing(.a)", "undefined filter nothing"),
            (".a | $b", "undefined variable $b"),
            ("$ENV.HOME", "undefined variable $ENV"),
            ("env.HOME", "env is not served here: only what names fields is"),
            ("last(repeat(.a))", "repeat is not served here: only what names fields is"),
            ("def f: f; f", "def is not served here: only what names fields is"),
            (r#".["\(env.HOME)"]"#, "texts with expressions in them are not served here: only what names fields is"),
        ] {
            assert_eq!(check(expression).as_deref(), Some(expected), "{expression}");
        }
    }
}
