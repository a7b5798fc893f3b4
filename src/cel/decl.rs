//! What is known of a JSON value before it is seen: its type, and how large it can be. Schemas are turned into this elsewhere.
//! Upstream rules: k8s.io/apiserver `pkg/cel/types.go` and `escaping.go`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::types::Type;

/// A declared value.
#[derive(Debug, Clone, PartialEq)]
pub struct Decl {
    /// What it is.
    pub kind: DeclKind,
    /// The most elements (items, entries, bytes) that it can have; 0 where that means nothing.
    pub max_elements: u64,
    /// The fewest bytes that it takes as JSON.
    pub min_size: u64,
}

/// What a declared value is.
#[derive(Debug, Clone, PartialEq)]
pub enum DeclKind {
    /// Anything; its JSON says what.
    Dyn,
    /// A boolean.
    Bool,
    /// A whole number.
    Int,
    /// A number.
    Double,
    /// A text.
    String,
    /// Bytes in base64.
    Bytes,
    /// A moment, as a text of RFC 3339.
    Timestamp,
    /// A day.
    Date,
    /// A time span, as a text like `1h30m`.
    Duration,
    /// A list of such items.
    List(Arc<Decl>, ListKind),
    /// A map of texts to such values.
    Map(Arc<Decl>),
    /// An object with these fields.
    Object(Arc<Object>),
}

/// What makes two lists equal, and how they are added (`x-kubernetes-list-type`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListKind {
    /// Order counts.
    Atomic,
    /// A set: order does not count, nothing is in it twice.
    Set,
    /// Objects that these fields tell apart: order does not count.
    Map(Vec<String>),
}

/// An object type.
#[derive(Debug)]
pub struct Object {
    /// Its name in messages.
    pub name: String,
    /// Its fields by the names that expressions use.
    pub fields: BTreeMap<String, Field>,
}

/// Types with the same name and fields may still be two: each is only itself.
impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

/// A field of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name in JSON.
    pub name: String,
    /// What it holds.
    pub decl: Arc<Decl>,
}

impl Decl {
    /// Anything.
    pub const DYN: Self = Self { kind: DeclKind::Dyn, max_elements: 0, min_size: 1 };

    /// A value without a size of its own.
    #[must_use]
    pub fn simple(kind: DeclKind) -> Self {
        let min_size = match kind {
            DeclKind::Bool => 4,
            DeclKind::Int | DeclKind::Double | DeclKind::Dyn => 1,
            _ => 2,
        };
        Self { kind, max_elements: 0, min_size }
    }

    /// An object with these fields, whose names need no escaping.
    #[must_use]
    pub fn object<const N: usize>(name: &str, fields: [(&str, Decl); N]) -> Self {
        let field = |(name, decl): (&str, Decl)| {
            let field = Field { name: name.to_owned(), decl: Arc::new(decl) };
            (name.to_owned(), field)
        };
        let object = Object { name: name.to_owned(), fields: fields.into_iter().map(field).collect() };
        Self::simple(DeclKind::Object(Arc::new(object)))
    }

    /// A list of such items.
    #[must_use]
    pub fn list(items: Decl) -> Self {
        Self::simple(DeclKind::List(Arc::new(items), ListKind::Atomic))
    }

    /// A map of such values.
    #[must_use]
    pub fn map(values: Decl) -> Self {
        Self::simple(DeclKind::Map(Arc::new(values)))
    }

    /// Its type in expressions.
    #[must_use]
    pub fn cel_type(&self) -> Type {
        match &self.kind {
            DeclKind::Dyn => Type::Dyn,
            DeclKind::Bool => Type::Bool,
            DeclKind::Int => Type::Int,
            DeclKind::Double => Type::Double,
            DeclKind::String => Type::String,
            DeclKind::Bytes => Type::Bytes,
            DeclKind::Timestamp | DeclKind::Date => Type::Timestamp,
            DeclKind::Duration => Type::Duration,
            DeclKind::List(items, _) => Type::list(items.cel_type()),
            DeclKind::Map(values) => Type::map(Type::String, values.cel_type()),
            DeclKind::Object(object) => Type::Object(Arc::clone(object)),
        }
    }

    /// The declaration of a field, by the name that expressions use.
    pub(crate) fn field(&self, name: &str) -> Option<&Decl> {
        match &self.kind {
            DeclKind::Object(object) => object.fields.get(name).map(|field| &*field.decl),
            _ => None,
        }
    }

    /// The declaration of the items of a list or the values of a map.
    pub(crate) fn element(&self) -> Option<&Decl> {
        match &self.kind {
            DeclKind::List(inner, _) | DeclKind::Map(inner) => Some(inner),
            _ => None,
        }
    }
}

/// Words that no identifier of CEL may be.
const RESERVED: [&str; 21] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// The name by which expressions know a field: `a-b` is `a__dash__b`. `None` where there is no such name.
#[must_use]
pub fn escape(name: &str) -> Option<String> {
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if is_reserved(name) {
        return Some(format!("__{name}__"));
    }
    let mut escaped = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(c) = rest.chars().next() {
        let (length, text) = match c {
            '_' if rest.starts_with("__") => (2, "__underscores__"),
            '.' => (1, "__dot__"),
            '-' => (1, "__dash__"),
            '/' => (1, "__slash__"),
            '_' | 'a'..='z' | 'A'..='Z' | '0'..='9' => (1, &rest[..1]),
            _ => return None,
        };
        escaped.push_str(text);
        rest = &rest[length..];
    }
    Some(escaped)
}

/// Whether a text may be the name of a variable.
#[must_use]
pub fn is_identifier(name: &str) -> bool {
    let starts = name.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic());
    starts && name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric()) && !is_reserved(name)
}

/// Whether a word is reserved.
pub(crate) fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn names_are_escaped_as_kubernetes_does() {
        let rows = [
            ("a", Some("a")),
            ("my_field", Some("my_field")),
            ("a__b", Some("a__underscores__b")),
            ("a___b", Some("a__underscores___b")),
            ("a-b.c/d", Some("a__dash__b__dot__c__slash__d")),
            ("namespace", Some("__namespace__")),
            ("int", Some("int")),
            ("1a", None),
            ("a b", None),
            ("", None),
        ];
        for (name, escaped) in rows {
            assert_eq!(escape(name).as_deref(), escaped, "{name}");
        }
    }
}
