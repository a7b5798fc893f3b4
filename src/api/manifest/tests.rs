//! `testdata/go.json` says what Go's sigs.k8s.io/yaml 1.6 makes of odd texts (`"ERROR"` where it refuses); the rest is where
//! this reader is stricter, and places.

use serde_json::json;

use super::*;

fn one(text: &str) -> Value {
    let mut documents = load(text).unwrap();
    assert_eq!(documents.len(), 1, "{text:?}");
    documents.remove(0).value
}

fn error(text: &str) -> (usize, usize, String) {
    let error = load(text).unwrap_err();
    (error.line, error.column, error.message)
}

/// Numbers are compared by value: Go writes 1e20 as an integer of 21 digits.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, value)| right.get(key).is_some_and(|other| same(value, other)))
        }
        (Value::Number(left), Value::Number(right)) => {
            left == right || (left.is_f64() || right.is_f64()) && left.as_f64() == right.as_f64()
        }
        _ => left == right,
    }
}

#[test]
fn odd_texts_mean_what_they_mean_to_kubectl() {
    let cases: Vec<(String, Value)> = serde_json::from_str(include_str!("testdata/go.json")).unwrap();
    let mut wrong = Vec::new();
    for (text, expected) in cases {
        let found = load(&text);
        let fits = match &found {
            Err(_) => expected == "ERROR",
            Ok(documents) => match documents.as_slice() {
                [] => expected.is_null(),
                [document] => same(&document.value, &expected),
                _ => false,
            },
        };
        if !fits {
            let found = found.map(|documents| documents.into_iter().map(|one| one.value).collect::<Vec<_>>());
            wrong.push(format!("{text:?}: Go {expected}, here {found:?}"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn documents_are_split_and_empty_ones_left_out() {
    let text = "# head\n---\n---\na: 1\n--- # named\nb: 2\n...\n---\n# nothing\n---\nnull\n---\nc: 3\n";
    let documents = load(text).unwrap();
    let found: Vec<_> = documents.iter().map(|one| (one.line, one.value.clone())).collect();
    assert_eq!(found, vec![(4, json!({"a": 1})), (6, json!({"b": 2})), (13, json!({"c": 3}))]);
    assert_eq!(load("").unwrap(), vec![]);
    assert_eq!(load("---\n---\n").unwrap(), vec![]);
}

#[test]
fn a_repeated_key_is_an_error_at_the_second() {
    assert_eq!(error("a: 1\nb:\n  c: 1\n  c: 2\n"), (4, 3, "the key \"c\" is there twice".to_owned()));
    assert_eq!(error("1: a\n'1': b\n"), (2, 1, "the key \"1\" is there twice".to_owned()));
    assert_eq!(one("x: &x {a: 1}\nz: {<<: *x, a: 2}"), json!({"x": {"a": 1}, "z": {"a": 2}}));
}

#[test]
fn syntax_errors_have_a_place_and_end_the_reading() {
    let (line, column, message) = error("a: 1\nb: [1\nc: 2\n---\nd: 1\n");
    assert!(line >= 2 && column >= 1 && !message.is_empty(), "{line}:{column} {message}");
    assert_eq!(error("a: *nope\n").0, 1);
    assert!(load(&format!("{}: 1\n", "\t".repeat(3))).is_err());
}

#[test]
fn fields_know_their_place() {
    let text = "kind: Pod\nmetadata:\n  labels:\n    app.io/name: x\n    app: y\nspec:\n  containers:\n  - name: a\n    image: b\n  - {name: c, ports: [{containerPort: 80}]}\n";
    let documents = load(text).unwrap();
    let at = |path: &str| {
        let position = documents[0].spans.find(path);
        (position.line, position.column)
    };
    for (path, expected) in [
        ("", (1, 1)),
        ("kind", (1, 1)),
        ("metadata.labels", (3, 3)),
        ("metadata.labels.app.io/name", (4, 5)),
        ("metadata.labels[app.io/name]", (4, 5)),
        ("metadata.labels.app", (5, 5)),
        ("spec.containers[0].image", (9, 5)),
        ("spec.containers[1]", (10, 5)),
        ("spec.containers[1].name", (10, 6)),
        ("spec.containers[1].ports[0].containerPort", (10, 24)),
        ("spec.containers[0].nonesuch", (8, 5)),
        ("spec.containers[7].name", (7, 3)),
        ("spec.volumes[0]", (6, 1)),
        ("nonesuch.a.b", (1, 1)),
    ] {
        assert_eq!(at(path), expected, "{path}");
    }
}

#[test]
fn aliases_and_depth_have_an_end() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let items = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    assert!(error(&bomb).2.contains("repeats too much"));
    let deep = "- ".repeat(100_000);
    assert!(load(&format!("{deep}x")).is_err());
    assert!(load(&"[".repeat(100_000)).is_err());
}

#[test]
fn json_may_stand_in_a_row_and_be_indented_by_tabs() {
    let documents = load("{\n\t\"a\": 1\n}\n\n{\"b\": [\"yes\", yes]}").unwrap_err();
    assert_eq!(documents.line, 5);
    let documents = load("{\n\t\"a\": \"0644\"\n}\n\n  {\"b\": 2}\n").unwrap();
    let found: Vec<_> =
        documents.iter().map(|one| (one.line, one.spans.position().column, one.value.clone())).collect();
    assert_eq!(found, vec![(1, 1, json!({"a": "0644"})), (5, 3, json!({"b": 2}))]);
    assert_eq!(one("{\"a\": {\"b\": 1}}"), json!({"a": {"b": 1}}));
}
