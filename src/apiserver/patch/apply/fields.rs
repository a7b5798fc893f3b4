//! Sets of fields, as `managedFields` keeps them: paths made of field names (`f:`), list items by key (`k:`) or value
//! (`v:`), and indices (`i:`). Plain set arithmetic; it must not know schemas or objects.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// One step of a path, as it is written in `fieldsV1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Step(String);

impl Step {
    /// A field of an object.
    pub(super) fn field(name: &str) -> Self {
        Self(format!("f:{name}"))
    }

    /// The item of a list that has these keys.
    pub(super) fn key(keys: Map<String, Value>) -> Self {
        Self(format!("k:{}", encoded(&Value::Object(keys))))
    }

    /// The item of a set.
    pub(super) fn value(value: &Value) -> Self {
        Self(format!("v:{}", encoded(value)))
    }

    /// The name of a field, where it is one.
    pub(super) fn as_field(&self) -> Option<&str> {
        self.0.strip_prefix("f:")
    }

    /// Whether it is a list's item by its keys.
    pub(super) fn is_key(&self) -> bool {
        self.0.starts_with("k:")
    }

    /// Reads a step, and writes keys and values in the one way that compares.
    fn read(text: &str) -> Option<Self> {
        let json = |rest: &str| serde_json::from_str::<Value>(rest).ok();
        match text.split_at_checked(2)? {
            ("f:", _) => Some(Self(text.to_owned())),
            ("k:", rest) => match json(rest)? {
                Value::Object(keys) => Some(Self::key(keys)),
                _ => None,
            },
            ("v:", rest) => Some(Self::value(&json(rest)?)),
            ("i:", rest) => {
                let index: u64 = rest.parse().ok()?;
                Some(Self(format!("i:{index}")))
            }
            _ => None,
        }
    }

    /// The step as messages have it: `.name`, `[name="a"]`, `[="a"]`, `[0]`.
    fn text(&self) -> String {
        match self.0.split_at_checked(2) {
            Some(("f:", name)) => format!(".{name}"),
            Some(("k:", keys)) => {
                let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
                let pairs: Vec<String> = keys.iter().map(|(name, value)| format!("{name}={value}")).collect();
                format!("[{}]", pairs.join(","))
            }
            Some(("v:", value)) => format!("[={value}]"),
            _ => format!("[{}]", self.0.trim_start_matches("i:")),
        }
    }
}

/// JSON as Go writes it, with `<`, `>` and `&` escaped.
fn encoded(value: &Value) -> String {
    let text = value.to_string();
    if !text.contains(['<', '>', '&']) {
        return text;
    }
    text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

/// A set of paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FieldSet {
    nodes: BTreeMap<Step, Node>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Node {
    member: bool,
    children: FieldSet,
}

impl Node {
    fn is_empty(&self) -> bool {
        !self.member && self.children.is_empty()
    }
}

impl FieldSet {
    /// Whether no path is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.values().all(Node::is_empty)
    }

    /// Puts a path in; the empty path is none.
    pub(super) fn insert(&mut self, path: &[Step]) {
        let Some((last, above)) = path.split_last() else {
            return;
        };
        let mut set = self;
        for step in above {
            set = &mut set.nodes.entry(step.clone()).or_default().children;
        }
        set.nodes.entry(last.clone()).or_default().member = true;
    }

    /// Whether the path of this one step is in it.
    pub(super) fn has(&self, step: &Step) -> bool {
        self.nodes.get(step).is_some_and(|node| node.member)
    }

    /// The paths below a step, where there are any.
    pub(super) fn below(&self, step: &Step) -> Option<&Self> {
        let children = &self.nodes.get(step)?.children;
        (!children.is_empty()).then_some(children)
    }

    /// Paths in either.
    pub(super) fn union(mut self, other: &Self) -> Self {
        for (step, node) in &other.nodes {
            let own = self.nodes.entry(step.clone()).or_default();
            own.member |= node.member;
            own.children = std::mem::take(&mut own.children).union(&node.children);
        }
        self
    }

    /// Paths in both.
    pub(super) fn intersection(&self, other: &Self) -> Self {
        self.combined(other, |own, other| own && other, true)
    }

    /// Paths that are not in `other`.
    pub(super) fn difference(&self, other: &Self) -> Self {
        self.combined(other, |own, other| own && !other, false)
    }

    /// Paths that are not in `other`, nor below a path in it.
    pub(super) fn without_trees(&self, other: &Self) -> Self {
        let mut out = Self::default();
        for (step, node) in &self.nodes {
            let theirs = other.nodes.get(step);
            if theirs.is_some_and(|theirs| theirs.member) {
                continue;
            }
            let node = match theirs {
                None => node.clone(),
                Some(theirs) => Node { member: node.member, children: node.children.without_trees(&theirs.children) },
            };
            if !node.is_empty() {
                out.nodes.insert(step.clone(), node);
            }
        }
        out
    }

    fn combined(&self, other: &Self, keep: fn(bool, bool) -> bool, both: bool) -> Self {
        let empty = Node::default();
        let mut out = Self::default();
        for (step, node) in &self.nodes {
            let theirs = match other.nodes.get(step) {
                Some(theirs) => theirs,
                None if both => continue,
                None => &empty,
            };
            let node = Node {
                member: keep(node.member, theirs.member),
                children: node.children.combined(&theirs.children, keep, both),
            };
            if !node.is_empty() {
                out.nodes.insert(step.clone(), node);
            }
        }
        out
    }

    /// Every step at this level with whether it is a path itself, and what is below; for rebuilding a set.
    pub(super) fn map_levels(
        &self,
        member: &dyn Fn(&Step, bool, bool) -> bool,
        below: &dyn Fn(&Step, &Self) -> Self,
    ) -> Self {
        let mut out = Self::default();
        for (step, node) in &self.nodes {
            let node = Node {
                member: member(step, node.member, !node.children.is_empty()),
                children: below(step, &node.children),
            };
            out.nodes.insert(step.clone(), node);
        }
        out
    }

    /// Every path as messages have it, as in `.spec.replicas`.
    pub(super) fn texts(&self) -> Vec<String> {
        let mut out = Vec::new();
        self.collect_texts("", &mut out);
        out
    }

    fn collect_texts(&self, above: &str, out: &mut Vec<String>) {
        for (step, node) in &self.nodes {
            let text = format!("{above}{}", step.text());
            node.children.collect_texts(&text, out);
            if node.member {
                out.push(text);
            }
        }
    }

    /// The set as `fieldsV1`.
    pub(super) fn encode(&self) -> Value {
        let mut out = Map::new();
        for (step, node) in &self.nodes {
            if node.is_empty() {
                continue;
            }
            let mut below = node.children.encode();
            if node.member && !node.children.is_empty() {
                below["."] = json!({});
            }
            out.insert(step.0.clone(), below);
        }
        Value::Object(out)
    }

    /// The set in `fieldsV1`; `None` when it is none.
    pub(super) fn decode(value: &Value) -> Option<Self> {
        let mut out = Self::default();
        for (name, below) in value.as_object()? {
            if name == "." {
                continue;
            }
            let children = Self::decode(below)?;
            let member = below.get(".").is_some() || children.nodes.is_empty();
            out.nodes.insert(Step::read(name)?, Node { member, children });
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(value: Value) -> FieldSet {
        FieldSet::decode(&value).unwrap()
    }

    #[test]
    fn writes_what_it_reads() {
        let fields = json!({
            "f:metadata": {"f:labels": {".": {}, "f:app": {}}, "f:finalizers": {"v:\"a\"": {}}},
            "f:spec": {"f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:name": {}}}, "i:0": {}},
        });
        assert_eq!(set(fields.clone()).encode(), fields);
        for wrong in [json!([]), json!({"x:a": {}}), json!({"k:1": {}}), json!({"v:": {}}), json!({"a": {}})] {
            assert_eq!(FieldSet::decode(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn keys_compare_whatever_their_order() {
        let one = set(json!({"k:{\"protocol\":\"TCP\",\"containerPort\":80}": {}}));
        let other = set(json!({"k:{\"containerPort\": 80, \"protocol\": \"TCP\"}": {}}));
        assert_eq!(one, other);
    }

    #[test]
    fn arithmetic() {
        let one = set(json!({"f:a": {".": {}, "f:b": {}}, "f:c": {}}));
        let other = set(json!({"f:a": {"f:b": {}, "f:d": {}}}));
        assert_eq!(one.intersection(&other).encode(), json!({"f:a": {"f:b": {}}}));
        assert_eq!(one.difference(&other).encode(), json!({"f:a": {}, "f:c": {}}));
        assert_eq!(one.clone().union(&other).encode(), json!({"f:a": {".": {}, "f:b": {}, "f:d": {}}, "f:c": {}}));
        let tree = set(json!({"f:a": {}}));
        assert_eq!(one.without_trees(&tree).encode(), json!({"f:c": {}}));
        assert_eq!(one.difference(&tree).encode(), json!({"f:a": {"f:b": {}}, "f:c": {}}));
        assert!(one.difference(&one).is_empty());
    }

    #[test]
    fn names_paths_as_messages_do() {
        let fields = set(json!({"f:spec": {
            "f:containers": {"k:{\"name\":\"a\"}": {".": {}, "f:image": {}}},
            "f:finalizers": {"v:\"x\"": {}}, "f:list": {"i:2": {}},
        }}));
        assert_eq!(
            fields.texts(),
            [
                r#".spec.containers[name="a"].image"#,
                r#".spec.containers[name="a"]"#,
                r#".spec.finalizers[="x"]"#,
                ".spec.list[2]"
            ]
        );
    }
}
