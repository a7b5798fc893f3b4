//! Two reports of two places, with and without listed causes.

use super::*;

fn profile(events: &[&str], phases: &str) -> Profile {
    let set = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
    Profile::from([(Aspect::Events, set(events)), (Aspect::Phases, set(&[phases]))])
}

fn scenario(name: &str, verdict: Verdict, events: &[&str], phases: &str) -> ScenarioReport {
    ScenarioReport {
        name: name.to_owned(),
        verdict,
        took_ms: 1000,
        profiles: Profiles::from([("pod/a-*".to_owned(), profile(events, phases))]),
        ..ScenarioReport::default()
    }
}

fn report(scenarios: Vec<ScenarioReport>) -> E2eReport {
    E2eReport {
        cluster: "local".to_owned(),
        provider: ProviderName::Embedded,
        own_cluster: true,
        began: String::new(),
        up_ms: 0,
        down_ms: None,
        took_ms: 0,
        scenarios,
    }
}

fn allowances(text: &str) -> Vec<Allowance> {
    serde_yaml::from_str(text).expect("allowances")
}

#[test]
fn what_is_the_same_is_no_difference() {
    let run = || report(vec![scenario("a", Verdict::Passed, &["Normal Scheduled"], "Pending > Running")]);
    let parity = compare(&[run(), run()], &[]);
    let both = Some((Verdict::Passed, 1000));
    let row = Row { scenario: "a".to_owned(), results: vec![both, both], differences: Vec::new() };
    assert_eq!(parity.scenarios, [row]);
    assert_eq!(parity.faults().count(), 0);
}

#[test]
fn a_difference_is_a_fault_unless_its_cause_is_listed() {
    let here = report(vec![scenario("a", Verdict::Passed, &["Normal Scheduled"], "Pending > Running")]);
    let there = report(vec![
        scenario("a", Verdict::Failed, &["Normal Scheduled", "Normal Pulling"], "Pending > Failed"),
        scenario("b", Verdict::Passed, &[], ""),
    ]);
    let listed = allowances(
        "- {object: 'pod/*', aspect: events, value: '* Pulling', because: images are pulled there}\n\
         - {scenario: z, object: 'pod/*', aspect: phases, value: '*', because: of another scenario}\n",
    );
    let parity = compare(&[here, there], &listed);
    let seen: Vec<(&str, &str, Option<&str>)> = parity.scenarios[0]
        .differences
        .iter()
        .map(|one| (one.aspect, one.value.as_str(), one.because.as_deref()))
        .collect();
    assert_eq!(
        seen,
        [
            ("result", "failed", None),
            ("phases", "Pending > Running", None),
            ("phases", "Pending > Failed", None),
            ("events", "Normal Pulling", Some("images are pulled there")),
        ]
    );
    assert_eq!(parity.faults().count(), 3);
    assert_eq!(parity.scenarios[1].results, [None, Some((Verdict::Passed, 1000))]);
}

#[test]
fn the_projects_own_list_is_right() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parity.yaml");
    let text = fs::read_to_string(path).expect("the list");
    for allowance in allowances(&text) {
        assert!(!allowance.because.is_empty());
    }
}
