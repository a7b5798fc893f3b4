//! Paths to fields as rules write them: `.spec.replicas`, `['a.b'].c`.

use crate::schema::Schema;

/// The path as messages write it; `None` where it leads to no field of the schema.
pub(super) fn read(path: &str, schema: &Schema) -> Option<String> {
    let mut schema = schema;
    let mut made = String::new();
    let mut rest = path;
    while !rest.is_empty() {
        let (name, after) = step(rest)?;
        rest = after;
        if schema.properties.is_empty() {
            schema = schema.additional.as_deref()?;
            made.push_str(&format!("[{name}]"));
        } else {
            schema = schema.properties.get(&name)?;
            if !made.is_empty() {
                made.push('.');
            }
            made.push_str(&name);
        }
    }
    Some(made)
}

/// The first name of a path, and what follows.
fn step(path: &str) -> Option<(String, &str)> {
    if let Some(rest) = path.strip_prefix('.') {
        let end = rest.find(['.', '[', ']']).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        return (!name.is_empty()).then(|| (name.to_owned(), rest));
    }
    let mut chars = path.strip_prefix("['")?.char_indices();
    let inside = &path[2..];
    let mut name = String::new();
    while let Some((at, c)) = chars.next() {
        match c {
            '\'' => return inside[at + 1..].strip_prefix(']').map(|rest| (name, rest)),
            '\\' => name.push(match chars.next()?.1 {
                'a' => '\u{7}',
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'v' => '\u{b}',
                c @ ('\'' | '\\') => c,
                _ => return None,
            }),
            c => name.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_lead_to_fields() {
        let schema = super::super::super::root_schema(
            &json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
            "a": {"type": "string"}, "b.c": {"type": "object", "additionalProperties": {"type": "string"}}, "it's": {"type": "string"}}}}}),
        );
        let rows = [
            (".spec.a", Some("spec.a")),
            (".spec['b.c']", Some("spec.b.c")),
            (".spec['b.c'].key", Some("spec.b.c[key]")),
            (".spec['it\\'s']", Some("spec.it's")),
            (".spec.x", None),
            ("spec.a", None),
            (".spec.", None),
            (".spec['a", None),
            (".spec[0]", None),
        ];
        for (path, found) in rows {
            assert_eq!(read(path, &schema).as_deref(), found, "{path}");
        }
    }
}
