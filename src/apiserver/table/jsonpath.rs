//! The simple JSON paths of printer columns: fields, indices, wildcards and filters by equality.
//! Upstream rule: k8s.io/client-go `util/jsonpath`, without ranges, unions and recursion.

use serde_json::Value;

/// A path that was read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JsonPath(Vec<Step>);

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Field(String),
    Index(i64),
    All,
    /// Items whose field is (or is not) this.
    Where {
        path: JsonPath,
        equal: bool,
        value: Value,
    },
}

impl JsonPath {
    /// Reads `.a.b[0].c`, `.a['b.c']`, `.a[*]`, `.a[?(@.type=="Ready")].b`; `None` for anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).unwrap_or(text);
        let mut rest = text.strip_prefix('$').unwrap_or(text);
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(inner) = rest.strip_prefix('[') {
                let end = closing(inner)?;
                steps.push(bracket(inner[..end].trim())?);
                rest = &inner[end + 1..];
                continue;
            }
            let name = rest.strip_prefix('.')?;
            let mut field = String::new();
            let mut letters = name.char_indices();
            let mut end = name.len();
            while let Some((at, letter)) = letters.next() {
                match letter {
                    '\\' => field.extend(letters.next().map(|(_, escaped)| escaped)),
                    '.' | '[' => {
                        end = at;
                        break;
                    }
                    other => field.push(other),
                }
            }
            rest = &name[end..];
            match field.as_str() {
                "" => {}
                "*" => steps.push(Step::All),
                _ => steps.push(Step::Field(field)),
            }
        }
        Some(Self(steps))
    }

    /// The first value that the path leads to.
    pub(crate) fn first<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        let Some((step, rest)) = self.0.split_first() else {
            return Some(value);
        };
        let rest = Self(rest.to_vec());
        let below = |value: &'a Value| rest.first(value);
        match step {
            Step::Field(name) => value.get(name).and_then(below),
            Step::Index(index) => {
                let list = value.as_array()?;
                let at = if *index < 0 { i64::try_from(list.len()).ok()? + index } else { *index };
                list.get(usize::try_from(at).ok()?).and_then(below)
            }
            Step::All => match value {
                Value::Array(list) => list.iter().find_map(below),
                Value::Object(map) => map.values().find_map(below),
                _ => None,
            },
            Step::Where { path, equal, value: wanted } => {
                let fits = |item: &&Value| (path.first(item) == Some(wanted)) == *equal;
                value.as_array()?.iter().filter(fits).find_map(below)
            }
        }
    }
}

/// Where the bracket that `text` is inside of ends.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    let mut quote = None;
    for (at, letter) in text.char_indices() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(letter),
            (None, '[') => depth += 1,
            (None, ']') if depth == 0 => return Some(at),
            (None, ']') => depth -= 1,
            _ => {}
        }
    }
    None
}

fn bracket(text: &str) -> Option<Step> {
    if text == "*" {
        return Some(Step::All);
    }
    if let Some(name) = unquoted(text) {
        return Some(Step::Field(name));
    }
    let Some(filter) = text.strip_prefix("?(").and_then(|inner| inner.strip_suffix(')')) else {
        return text.parse().ok().map(Step::Index);
    };
    let (path, equal, value) = match filter.split_once("==") {
        Some((path, value)) => (path, true, value),
        None => {
            let (path, value) = filter.split_once("!=")?;
            (path, false, value)
        }
    };
    let path = JsonPath::parse(path.trim().strip_prefix('@')?)?;
    let value = value.trim();
    let value = unquoted(value).map(Value::from).or_else(|| serde_json::from_str(value).ok())?;
    Some(Step::Where { path, equal, value })
}

fn unquoted(text: &str) -> Option<String> {
    ['\'', '"'].into_iter().find_map(|quote| Some(text.strip_prefix(quote)?.strip_suffix(quote)?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn finds_the_first() {
        let object = json!({"spec": {"a": [{"b": 1}, {"b": 2}], "x.y": 3}, "status": {"conditions": [
            {"type": "A", "status": "False"}, {"type": "Ready", "status": "True"}]}});
        for (path, found) in [
            (".spec.a[1].b", json!(2)),
            (".spec.a[-1].b", json!(2)),
            ("{.spec.a[*].b}", json!(1)),
            (".spec['x.y']", json!(3)),
            (".spec.x\\.y", json!(3)),
            (".status.conditions[?(@.type==\"Ready\")].status", json!("True")),
            (".status.conditions[?(@.type == 'Ready')].status", json!("True")),
            (".status.conditions[?(@.type!='Ready')].status", json!("False")),
        ] {
            assert_eq!(JsonPath::parse(path).and_then(|path| path.first(&object).cloned()), Some(found), "{path}");
        }
        assert_eq!(JsonPath::parse(".spec.none").unwrap().first(&object), None);
        assert_eq!(JsonPath::parse("spec"), None);
        assert_eq!(JsonPath::parse(".a[?(x)]"), None);
    }
}
