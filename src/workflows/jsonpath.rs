//! JSON paths, in both forms that workflows use: `{.status.phase}` and `$.status.phase`. Fields, elements, slices, all, deep and
//! simple filters. Pure.
//! Upstream rule: `k8s.io/client-go/util/jsonpath`, as `kubectl -o jsonpath` takes it.

use serde_json::Value;

/// What a path finds, in order.
///
/// # Errors
/// What is wrong with the path.
pub(crate) fn find(value: &Value, path: &str) -> Result<Vec<Value>, String> {
    let inside = path.trim();
    let inside = inside.strip_prefix('{').and_then(|path| path.strip_suffix('}')).unwrap_or(inside);
    let inside = inside.trim().trim_start_matches('$').trim_start_matches('@');
    let mut found = vec![value];
    let mut rest = inside;
    while !rest.is_empty() {
        let (part, after) = part(rest).ok_or_else(|| format!("cannot read the JSON path {path:?} at {rest:?}"))?;
        found = found.into_iter().flat_map(|value| step(value, &part)).collect();
        rest = after;
    }
    Ok(found.into_iter().cloned().collect())
}

/// What a template of texts and paths in braces comes to, as kubectl prints it.
///
/// # Errors
/// What is wrong with a path, or which one finds nothing.
pub(crate) fn print(value: &Value, template: &str) -> Result<String, String> {
    if !template.contains('{') {
        return Ok(shown(&find(value, template)?));
    }
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let (path, after) = after.split_once('}').ok_or_else(|| format!("{template:?} does not end"))?;
        let literal = path.trim().strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        match literal {
            Some(literal) => text.push_str(&literal.replace("\\n", "\n").replace("\\t", "\t")),
            None => {
                let found = find(value, path)?;
                if found.is_empty() {
                    return Err(format!("{path} is not found"));
                }
                text.push_str(&shown(&found));
            }
        }
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}

fn shown(found: &[Value]) -> String {
    found.iter().map(crate::expr::show).collect::<Vec<_>>().join(" ")
}

#[derive(Debug)]
enum Part {
    Field(String),
    Index(i64),
    Slice(Option<i64>, Option<i64>),
    All,
    Deep(String),
    Filter(String, &'static str, Value),
    Union(Vec<Part>),
}

fn part(rest: &str) -> Option<(Part, &str)> {
    if let Some(rest) = rest.strip_prefix("..") {
        let (name, after) = name(rest);
        return Some((Part::Deep(name), after));
    }
    if let Some(rest) = rest.strip_prefix('[') {
        let end = closing(rest)?;
        return Some((bracket(rest[..end].trim())?, &rest[end + 1..]));
    }
    let rest = rest.strip_prefix('.').unwrap_or(rest);
    if rest.is_empty() || rest.starts_with('[') {
        return Some((Part::Union(Vec::new()), rest))
            .filter(|_| rest.starts_with('['))
            .or(Some((Part::Slice(None, None), rest)));
    }
    if let Some(after) = rest.strip_prefix('*') {
        return Some((Part::All, after));
    }
    let (name, after) = name(rest);
    (!name.is_empty()).then_some((Part::Field(name), after))
}

/// A name in which a backslash keeps the next character.
fn name(rest: &str) -> (String, &str) {
    let mut name = String::new();
    let mut chars = rest.char_indices();
    while let Some((at, next)) = chars.next() {
        match next {
            '.' | '[' | ' ' => return (name, &rest[at..]),
            '\\' => name.extend(chars.next().map(|(_, kept)| kept)),
            _ => name.push(next),
        }
    }
    (name, "")
}

/// Where the bracket ends that was opened before.
fn closing(rest: &str) -> Option<usize> {
    let (mut depth, mut quote) = (0, None);
    for (at, next) in rest.char_indices() {
        match (quote, next) {
            (Some(open), _) => quote = Some(open).filter(|open| *open != next),
            (None, '\'' | '"') => quote = Some(next),
            (None, '[') => depth += 1,
            (None, ']') if depth == 0 => return Some(at),
            (None, ']') => depth -= 1,
            _ => (),
        }
    }
    None
}

fn unquoted(text: &str) -> Option<&str> {
    let inner = |quote| text.strip_prefix(quote).and_then(|text: &str| text.strip_suffix(quote));
    inner('\'').or_else(|| inner('"'))
}

fn bracket(inside: &str) -> Option<Part> {
    if inside == "*" {
        return Some(Part::All);
    }
    if let Some(test) = inside.strip_prefix("?(").and_then(|test| test.strip_suffix(')')) {
        let operator = ["==", "!=", ">=", "<=", ">", "<"].into_iter().find(|operator| test.contains(operator))?;
        let (path, wanted) = test.split_once(operator)?;
        let wanted = wanted.trim();
        let wanted = match unquoted(wanted) {
            Some(text) => Value::from(text),
            None => serde_json::from_str(wanted).ok()?,
        };
        return Some(Part::Filter(path.trim().to_owned(), operator, wanted));
    }
    if let Some(name) = unquoted(inside).filter(|name| !name.contains(['\'', '"'])) {
        return Some(Part::Field(name.to_owned()));
    }
    if inside.contains(',') {
        return inside.split(',').map(|one| bracket(one.trim())).collect::<Option<Vec<_>>>().map(Part::Union);
    }
    if let Some((from, to)) = inside.split_once(':') {
        let bound = |text: &str| if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) };
        return Some(Part::Slice(bound(from)?, bound(to)?));
    }
    inside.parse().ok().map(Part::Index)
}

fn step<'a>(value: &'a Value, part: &Part) -> Vec<&'a Value> {
    match part {
        Part::Field(name) => value.get(name).into_iter().collect(),
        Part::Index(index) => {
            let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
            let at = if *index < 0 { index + list.len() as i64 } else { *index };
            usize::try_from(at).ok().and_then(|at| list.get(at)).into_iter().collect()
        }
        Part::Slice(None, None) => vec![value],
        Part::Slice(from, to) => {
            let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
            let place = |index: i64| {
                let index = if index < 0 { index + list.len() as i64 } else { index };
                usize::try_from(index).unwrap_or(0).min(list.len())
            };
            let (from, to) = (from.map_or(0, place), to.map_or(list.len(), place));
            list[from.min(to)..to].iter().collect()
        }
        Part::All => match value {
            Value::Array(list) => list.iter().collect(),
            Value::Object(map) => map.values().collect(),
            _ => Vec::new(),
        },
        Part::Deep(name) => {
            let mut found: Vec<&Value> = value.get(name).into_iter().collect();
            found.extend(step(value, &Part::All).into_iter().flat_map(|inner| step(inner, part)));
            found
        }
        Part::Filter(path, operator, wanted) => {
            let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
            list.iter().filter(|item| fits(item, path, operator, wanted)).collect()
        }
        Part::Union(parts) if parts.is_empty() => vec![value],
        Part::Union(parts) => parts.iter().flat_map(|part| step(value, part)).collect(),
    }
}

fn fits(item: &Value, path: &str, operator: &str, wanted: &Value) -> bool {
    let Some(have) = find(item, path).ok().and_then(|found| found.into_iter().next()) else {
        return false;
    };
    let order = match (have.as_f64(), wanted.as_f64()) {
        (Some(have), Some(wanted)) => have.partial_cmp(&wanted),
        _ => Some(crate::expr::show(&have).cmp(&crate::expr::show(wanted))),
    };
    order.is_some_and(|order| match operator {
        "==" => order.is_eq(),
        "!=" => order.is_ne(),
        ">=" => order.is_ge(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        _ => order.is_lt(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_find_values() {
        let value = json!({"status": {"phase": "Ready", "a.b": 1}, "items": [{"n": 1, "k": "x"}, {"n": 2, "k": "y"}, {"n": 3, "k": "x"}]});
        for (path, wanted) in [
            ("{.status.phase}", json!(["Ready"])),
            ("$.status.phase", json!(["Ready"])),
            (".status.phase", json!(["Ready"])),
            ("{.status['phase']}", json!(["Ready"])),
            (r"{.status.a\.b}", json!([1])),
            ("{.items[0].n}", json!([1])),
            ("{.items[-1].n}", json!([3])),
            ("{.items[*].n}", json!([1, 2, 3])),
            ("{.items[1:].n}", json!([2, 3])),
            ("{.items[0,2].n}", json!([1, 3])),
            ("{..n}", json!([1, 2, 3])),
            ("{.items[?(@.k=='x')].n}", json!([1, 3])),
            ("{.items[?(@.n>=2)].k}", json!(["y", "x"])),
            ("{.nothing}", json!([])),
            ("$[0]", json!([])),
            ("$", json!([value])),
        ] {
            assert_eq!(Value::from(find(&value, path).unwrap()), wanted, "{path}");
        }
        assert_eq!(print(&value, "{.status.phase}-{.items[0].k}").unwrap(), "Ready-x");
        assert!(print(&value, "{.nothing}").unwrap_err().contains("not found"));
        assert!(find(&value, "{.items[0}").is_err());
    }
}
