//! The pure parts: parameters, what a selection means, and histories.

use super::*;
use crate::event::ObjectName;
use crate::observe::Version;
use std::sync::Arc;

fn record(name: &str, before: bool, versions: &[Value]) -> Record {
    let versions = versions.iter().map(|object| Version { at: Instant::now(), object: Arc::new(object.clone()) });
    Record {
        name: ObjectName { kind: "Pod".into(), namespace: "spark-jobs".into(), name: name.into() },
        api_version: "v1".into(),
        before,
        versions: versions.collect(),
        gone: None,
    }
}

fn scenario(on: &str) -> Scenario {
    let text = format!("submit: {{app: a}}\nbudget: 1s\nexpect:\n- on: {on}\n  that: size(seen) > 0\n");
    serde_yaml::from_str(&text).expect("a scenario")
}

#[test]
fn parameters_are_set_where_there_is_a_place() {
    let mut object = json!({"spec": {"args": ["a"], "a/b": 1}});
    assert!(set(&mut object, "/spec/args/-", &json!("b")));
    assert!(set(&mut object, "/spec/args/0", &json!("c")));
    assert!(set(&mut object, "/spec/a~1b", &json!(2)));
    assert!(set(&mut object, "/spec/new", &json!(true)));
    assert_eq!(object, json!({"spec": {"args": ["c", "b"], "a/b": 2, "new": true}}));
    for nowhere in ["", "spec", "/missing/x", "/spec/args/7", "/spec/args/x"] {
        assert!(!set(&mut object, nowhere, &json!(0)), "{nowhere}");
    }
}

#[test]
fn selectors_mean_this_run_and_names_the_newest() {
    let labelled = |value: &str| json!({"metadata": {"labels": {"app": value}}});
    let mut world = World::default();
    world.records.insert("1".into(), record("old", true, &[labelled("a")]));
    world.records.insert("2".into(), record("new", false, &[labelled("a")]));
    world.records.insert("3".into(), record("other", false, &[labelled("b")]));
    world.records.insert("4".into(), record("new", false, &[labelled("c")]));
    let names = |on: &str| {
        let scenario = scenario(on);
        let found = matching(&scenario.expect[0].on, &scenario, &world);
        found
            .iter()
            .map(|record| (record.name.name.clone(), record.label("app").map(str::to_owned)))
            .collect::<Vec<_>>()
    };
    assert_eq!(names("{kind: Pod, selector: app=a}"), [("new".to_owned(), Some("a".to_owned()))]);
    assert_eq!(names("{kind: Pod, name: old}"), [("old".to_owned(), Some("a".to_owned()))]);
    assert_eq!(names("{kind: Pod, name: new}"), [("new".to_owned(), Some("c".to_owned()))]);
    assert!(names("{kind: Job, name: new}").is_empty());
    assert_eq!(names("{kind: Pod}").len(), 3);
}

#[test]
fn histories_are_told_without_repeats() {
    let phase = |phase: &str| json!({"kind": "Pod", "status": {"phase": phase}});
    let seen = record("a", false, &[phase("Pending"), phase("Pending"), phase("Running"), phase("Failed")]);
    assert_eq!(states(&seen, None), Ok(vec![json!("Pending"), json!("Running"), json!("Failed")]));
    let of = Expression::new("object.status.phase == 'Failed' ? 'over' : null").expect("CEL");
    assert_eq!(states(&seen, Some(&of)), Ok(vec![json!("over")]));
}
