//! One failed and one passed scenario in each form.

use super::*;
use crate::event::Role;
use crate::explain::{Explanation, Tail};
use crate::kin::{ContainerReport, Entered, PodReport};
use crate::scenario::{Check, PhaseReport, ScenarioReport, Verdict};

fn report() -> E2eReport {
    let pod = PodReport {
        name: "a-driver".into(),
        role: Role::Driver,
        phases: vec![Entered { phase: "Pending".into(), at_ms: 10 }, Entered { phase: "Failed".into(), at_ms: 500 }],
        containers: vec![ContainerReport {
            name: "c".into(),
            restarts: 0,
            exit_code: Some(1),
            reason: Some("Error".into()),
            ran_ms: Some(400),
        }],
        gone: false,
    };
    let failed = ScenarioReport {
        name: "a".into(),
        description: "fails on <purpose>".into(),
        verdict: Verdict::Failed,
        took_ms: 1000,
        phases: vec![PhaseReport { name: "submit", took_ms: 20 }],
        checks: vec![
            Check { what: "x < 1".into(), passed: false, detail: Some("x is 2 & more".into()) },
            Check { what: "y".into(), passed: true, detail: None },
        ],
        objects: Vec::new(),
        pods: vec![pod],
        timelines: vec![crate::timeline::Timeline {
            driver: "a-driver".into(),
            submitted_ms: 10,
            done_ms: Some(500),
            ..Default::default()
        }],
        profiles: Default::default(),
        explanation: Some(Explanation {
            cause: None,
            summary: "x".into(),
            conditions: vec!["pod/a-driver: container c: state: exit code 1: Error".into()],
            events: vec!["Warning pod/a-driver: BackOff: again".into()],
            logs: vec![Tail {
                pod: "a-driver".into(),
                container: "c".into(),
                lines: vec!["Traceback <module>".into()],
            }],
        }),
    };
    let passed = ScenarioReport {
        name: "b".into(),
        verdict: Verdict::Passed,
        checks: Vec::new(),
        pods: Vec::new(),
        timelines: Vec::new(),
        explanation: None,
        ..failed.clone()
    };
    E2eReport {
        cluster: "local".into(),
        provider: tinderbox_providers::ProviderName::Embedded,
        own_cluster: true,
        began: "2026-01-01T00:00:00Z".into(),
        up_ms: 400,
        down_ms: Some(100),
        took_ms: 130_000,
        scenarios: vec![failed, passed],
    }
}

#[test]
fn all_forms_tell_result_durations_pods_codes_and_why() {
    let dir = tempfile::tempdir().expect("a folder");
    let written = write(&report(), &dir.path().join("deep")).expect("written");
    let texts: Vec<String> = written.iter().map(|path| fs::read_to_string(path).expect("there")).collect();
    for text in &texts {
        for wanted in ["a-driver", "exit code 1", "BackOff", "Traceback", "submit"] {
            assert!(text.contains(wanted), "{wanted} in {text}");
        }
    }
    let json: serde_json::Value = serde_json::from_str(&texts[0]).expect("JSON");
    assert_eq!(json["scenarios"][0]["timelines"][0]["doneMs"], 500);
    assert!(texts[2].contains("<p>a-driver: submitted 0.01 s, done 0.50 s</p>"), "{}", texts[2]);
    assert_eq!(json["scenarios"][0]["pods"][0]["containers"][0]["exitCode"], 1);
    assert!(
        texts[1].contains("<testsuite name=\"a\" tests=\"2\" skipped=\"0\" errors=\"0\" failures=\"1\""),
        "{}",
        texts[1]
    );
    assert!(texts[2].contains("fails on &lt;purpose&gt;") && texts[2].contains("x is 2 &amp; more"));
    assert!(texts[2].contains("2 m 10 s") && texts[2].contains("1 of 2 scenarios"));
}
