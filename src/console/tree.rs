//! An Application as the tree of its objects: those that it manages, and what they own. A pure function over what was seen.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::board::{Board, Key, Owned};
use crate::kinds;

/// How deep owners are followed: a ring of them, which the API allows, ends here too.
const DEPTH: usize = 8;

/// The tree below an application.
pub(crate) fn tree(application: &Value, board: &Board) -> Value {
    let children = board.children();
    let managed = application["status"]["resources"].as_array().into_iter().flatten();
    let nodes: Vec<Value> = managed
        .map(|resource| {
            let text = |field: &str| resource[field].as_str().unwrap_or_default().to_owned();
            let seen =
                kinds::known(&text("kind")).and_then(|kind| board.get(&Key(kind, text("namespace"), text("name"))));
            json!({
                "k": resource["kind"], "g": resource["group"], "ns": resource["namespace"], "n": resource["name"],
                "sync": resource["status"], "health": resource["health"]["status"], "hook": resource["hook"],
                "message": resource["health"]["message"], "prune": resource["requiresPruning"],
                "row": seen.as_ref().map(|one| parsed(&one.json)),
                "children": seen.map(|one| below(&one, &children, DEPTH)).unwrap_or_default(),
            })
        })
        .collect();
    Value::from(nodes)
}

fn below(owner: &Owned, children: &HashMap<String, Vec<Owned>>, depth: usize) -> Vec<Value> {
    if depth == 0 {
        return Vec::new();
    }
    let own = children.get(&owner.uid).into_iter().flatten();
    own.map(|child| {
        json!({
            "k": child.key.0, "ns": child.key.1, "n": child.key.2, "row": parsed(&child.json),
            "children": below(child, children, depth - 1),
        })
    })
    .collect()
}

fn parsed(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::{Row, Tone};

    #[test]
    fn owners_are_followed_and_a_ring_of_them_ends() {
        let board = Board::default();
        let put = |k: &'static str, n: &str, owners: &[&str]| {
            let text = str::to_owned;
            let (s, c, m) = (String::new(), String::new(), String::new());
            let o = owners.iter().map(|one| text(one)).collect();
            board.put(&Row { k, ns: text("web"), n: text(n), u: text(n), s, t: Tone::Good, c, m, o, x: Value::Null });
        };
        put("Deployment", "site", &[]);
        put("ReplicaSet", "site-1", &["site"]);
        put("Pod", "site-1-a", &["site-1"]);
        put("Pod", "site-1-b", &["site-1"]);
        put("Job", "ring", &["ring"]);
        let managed = |kind: &str, name: &str| {
            json!({"group": "x", "kind": kind, "namespace": "web", "name": name,
            "status": "Synced", "health": {"status": "Healthy"}})
        };
        let resources = [managed("Deployment", "site"), managed("ConfigMap", "words"), managed("Job", "ring")];
        let tree = tree(&json!({"status": {"resources": resources}}), &board);
        let names = |node: &Value| -> Vec<String> {
            let all = node["children"].as_array().expect("children").iter();
            all.map(|child| child["n"].as_str().expect("a name").to_owned()).collect()
        };
        assert_eq!(names(&tree[0]), ["site-1"]);
        assert_eq!(names(&tree[0]["children"][0]), ["site-1-a", "site-1-b"]);
        assert_eq!((&tree[1]["row"], &tree[1]["sync"]), (&Value::Null, &json!("Synced")));
        let (mut node, mut depth) = (&tree[2], 0);
        while let Some(child) = node["children"].get(0) {
            (node, depth) = (child, depth + 1);
        }
        assert_eq!(depth, DEPTH);
    }
}
