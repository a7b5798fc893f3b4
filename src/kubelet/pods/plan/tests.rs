//! Tables for the plan: a pod and a time in, actions and the next look out.

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::*;
use crate::pods::model::{Deletion, Ended, KillOrder, Stopping, Waiting};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn pod(spec: Value) -> (Rules, PodState) {
    let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": spec})).unwrap();
    let mut state = PodState::new(&pod, at(0));
    state.volumes_ready = true;
    state.sandbox = Sandbox::Ready;
    (Rules::of(&pod), state)
}

fn running() -> Run {
    Run::Running(Running {
        id: "r".into(),
        started_at: at(0),
        hooked: true,
        started: true,
        ready: true,
        kill: None,
        stopping: None,
    })
}

fn ended(code: i32, second: i64) -> Run {
    Run::Ended(Ended {
        id: Some("r".into()),
        code,
        signal: None,
        reason: "Error".into(),
        message: String::new(),
        started_at: Some(at(0)),
        finished_at: at(second),
    })
}

fn stopping(stage: Stage, deadline: i64) -> Run {
    let mut run = running();
    if let Run::Running(running) = &mut run {
        running.stopping = Some(Stopping { deadline: at(deadline), stage });
    }
    run
}

fn stop(container: usize, deadline: i64) -> Action {
    Action::Stop { container, deadline: at(deadline), message: None }
}

const FULL: &str = r#"{"restartPolicy": "Never",
    "initContainers": [{"name": "i1"}, {"name": "side", "restartPolicy": "Always"}, {"name": "i2"}],
    "containers": [{"name": "a"}, {"name": "b"}]}"#;

fn full(policy: &str) -> (Rules, PodState) {
    let mut spec: Value = serde_json::from_str(FULL).unwrap();
    spec["restartPolicy"] = policy.into();
    pod(spec)
}

#[test]
fn volumes_then_sandbox_then_containers() {
    let (rules, mut state) = full("Never");
    state.volumes_ready = false;
    state.sandbox = Sandbox::None;
    assert_eq!(plan(&rules, &state, at(0)).actions, [Action::PrepareVolumes]);
    state.retry_at = Some(at(5));
    assert_eq!(plan(&rules, &state, at(1)), Plan { actions: vec![], wake: Some(at(5)) });
    state.retry_at = None;
    state.volumes_ready = true;
    assert_eq!(plan(&rules, &state, at(1)).actions, [Action::CreateSandbox]);
}

#[test]
fn init_containers_run_in_order() {
    type Step = (&'static str, [Option<Run>; 3], Vec<Action>);
    let steps: [Step; 6] = [
        ("first", [None, None, None], vec![Action::Start(0)]),
        ("runs", [Some(running()), None, None], vec![]),
        ("sidecar next", [Some(ended(0, 1)), None, None], vec![Action::Start(1)]),
        ("after the sidecar started", [Some(ended(0, 1)), Some(running()), None], vec![Action::Start(2)]),
        ("a failed one ends the pod", [Some(ended(0, 1)), Some(running()), Some(ended(2, 1))], vec![stop(1, 32)]),
        (
            "then the main ones",
            [Some(ended(0, 1)), Some(running()), Some(ended(0, 1))],
            vec![Action::Start(3), Action::Start(4)],
        ),
    ];
    for (name, runs, actions) in steps {
        let (rules, mut state) = full("Never");
        for (container, run) in state.containers.iter_mut().zip(runs) {
            if let Some(run) = run {
                container.run = run;
            }
        }
        assert_eq!(plan(&rules, &state, at(2)).actions, actions, "{name}");
    }
}

#[test]
fn failed_init_container_is_retried_unless_never() {
    let (rules, mut state) = full("OnFailure");
    state.containers[0].run = ended(1, 1);
    assert_eq!(plan(&rules, &state, at(2)).actions, [Action::Start(0)]);
    state.containers[0].begin(at(2));
    state.containers[0].run = ended(1, 3);
    let waiting = plan(&rules, &state, at(4));
    assert_eq!(waiting, Plan { actions: vec![Action::ReportBackOff(0)], wake: Some(at(13)) });
    assert_eq!(plan(&rules, &state, at(13)).actions, [Action::Start(0)]);
}

#[test]
fn restart_policies() {
    for (policy, code, again) in [
        ("Always", 0, true),
        ("Always", 1, true),
        ("OnFailure", 0, false),
        ("OnFailure", 1, true),
        ("Never", 0, false),
        ("Never", 1, false),
    ] {
        let (rules, mut state) = pod(json!({"restartPolicy": policy, "containers": [{"name": "a"}]}));
        state.containers[0].run = ended(code, 1);
        let want = if again { Action::Start(0) } else { Action::Remove };
        assert_eq!(plan(&rules, &state, at(2)).actions, [want], "{policy} {code}");
    }
}

#[test]
fn sidecars_restart_and_end_last() {
    let (rules, mut state) = full("Never");
    for container in &mut state.containers {
        container.run = ended(0, 1);
    }
    state.containers[3].run = running();
    assert_eq!(plan(&rules, &state, at(2)).actions, [Action::Start(1)], "sidecar comes back");
    state.containers[1].run = running();
    assert_eq!(plan(&rules, &state, at(2)).actions, []);
    state.containers[3].run = ended(0, 3);
    assert_eq!(plan(&rules, &state, at(3)).actions, [stop(1, 33)], "stopped when the others are done");
    state.containers[1].run = ended(143, 4);
    assert_eq!(plan(&rules, &state, at(4)).actions, [Action::Remove]);
    state.removed = true;
    assert_eq!(plan(&rules, &state, at(4)), Plan::default(), "a finished pod stays");
}

#[test]
fn deletion_stops_in_order_with_grace() {
    let (rules, mut state) = full("Always");
    for index in [1, 3, 4] {
        state.containers[index].run = running();
    }
    state.deletion = Some(Deletion { deadline: at(30), force: false, gone: false });
    assert_eq!(plan(&rules, &state, at(0)), Plan { actions: vec![stop(4, 30), stop(3, 30)], wake: Some(at(30)) });
    state.containers[3].run = stopping(Stage::PreStop, 30);
    state.containers[4].run = stopping(Stage::HookDone, 30);
    let terminate = |container, second| Action::Terminate { container, deadline: at(second) };
    assert_eq!(plan(&rules, &state, at(5)).actions, [terminate(4, 30)]);
    assert_eq!(plan(&rules, &state, at(30)).actions, [terminate(4, 32), terminate(3, 32), stop(1, 30)]);
    for index in [3, 4] {
        state.containers[index].run = stopping(Stage::Asked, 30);
    }
    assert_eq!(plan(&rules, &state, at(29)), Plan { actions: vec![], wake: Some(at(30)) });
    state.containers[1].run = stopping(Stage::Forced, 30);
    assert_eq!(plan(&rules, &state, at(30)).actions, [Action::Kill(4), Action::Kill(3)]);
    for container in &mut state.containers {
        container.run = ended(137, 30);
    }
    assert_eq!(plan(&rules, &state, at(30)).actions, [Action::Remove]);
    state.removed = true;
    assert_eq!(plan(&rules, &state, at(30)).actions, [Action::Delete]);
    state.deletion = Some(Deletion { deadline: at(30), force: true, gone: true });
    assert_eq!(plan(&rules, &state, at(30)).actions, [], "nothing to delete once it is gone");
}

#[test]
fn a_pod_deleted_before_it_started_is_just_removed() {
    let (rules, mut state) = full("Always");
    state.containers[0].run = Run::Starting;
    state.deletion = Some(Deletion { deadline: at(30), force: false, gone: false });
    assert_eq!(plan(&rules, &state, at(0)).actions, [Action::Remove]);
}

#[test]
fn deadline_fails_the_pod() {
    let (rules, mut state) = pod(json!({"activeDeadlineSeconds": 5, "containers": [{"name": "a"}]}));
    state.containers[0].run = running();
    assert_eq!(plan(&rules, &state, at(1)).wake, Some(at(5)));
    let actions = plan(&rules, &state, at(5)).actions;
    let [Action::Fail(verdict)] = actions.as_slice() else {
        panic!("{actions:?}");
    };
    assert_eq!(verdict.reason, "DeadlineExceeded");
    state.verdict = Some(verdict.clone());
    assert_eq!(plan(&rules, &state, at(6)).actions, [stop(0, 35)]);
}

#[test]
fn a_failed_probe_stops_the_container() {
    let (rules, mut state) = pod(json!({"containers": [{"name": "a"}]}));
    state.containers[0].run = running();
    let order = KillOrder { grace: Some(SignedDuration::from_secs(3)), message: "probe".into() };
    state.containers[0].running_mut().unwrap().kill = Some(order);
    assert_eq!(
        plan(&rules, &state, at(10)).actions,
        [Action::Stop { container: 0, deadline: at(13), message: Some("probe".into()) }]
    );
}

#[test]
fn image_pulls_back_off() {
    let (rules, mut state) = pod(json!({"containers": [{"name": "a"}]}));
    state.containers[0].run = Run::Waiting(Waiting {
        reason: "ErrImagePull",
        message: "no".into(),
        since: Some(at(0)),
        retry_at: Some(at(10)),
    });
    assert_eq!(plan(&rules, &state, at(0)), Plan { actions: vec![], wake: Some(at(1)) });
    assert_eq!(plan(&rules, &state, at(1)).actions, [Action::ReportPullBackOff(0)]);
    assert_eq!(plan(&rules, &state, at(10)).actions, [Action::Start(0)]);
}

#[test]
fn an_ephemeral_container_runs_once_beside_the_others() {
    let spec = json!({"initContainers": [{"name": "i"}], "containers": [{"name": "a"}],
        "ephemeralContainers": [{"name": "guest", "image": "shell", "targetContainerName": "a"}]});
    let (rules, mut state) = pod(spec);
    // It waits for nobody, and nobody for it.
    assert_eq!(plan(&rules, &state, at(0)).actions, [Action::Start(2), Action::Start(0)]);
    state.containers[0].run = ended(0, 1);
    state.containers[1].run = running();
    state.containers[2].run = ended(1, 1);
    assert_eq!(plan(&rules, &state, at(2)), Plan::default());
    state.containers[2].run = running();
    state.deletion = Some(Deletion { deadline: at(9), force: false, gone: false });
    assert_eq!(plan(&rules, &state, at(2)).actions, [stop(2, 9), stop(1, 9)]);
}
