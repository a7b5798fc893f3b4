//! Tables for statuses: phases, waiting reasons, conditions.

use serde_json::{Value, json};

use super::*;
use crate::pods::model::{Running, Stage, Stopping, Verdict};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn pod(policy: &str, init: bool) -> (Pod, Rules, PodState) {
    let mut value = json!({"metadata": {"name": "p", "namespace": "n", "uid": "u"},
        "spec": {"restartPolicy": policy, "containers": [{"name": "a", "image": "busybox"}]}});
    if init {
        value["spec"]["initContainers"] = json!([{"name": "i", "image": "busybox"}]);
    }
    let pod: Pod = serde_json::from_value(value).unwrap();
    let state = PodState::new(&pod, at(0));
    (pod.clone(), Rules::of(&pod), state)
}

fn running() -> Run {
    Run::Running(Running {
        id: "r".into(),
        started_at: at(1),
        hooked: true,
        started: true,
        ready: true,
        kill: None,
        stopping: None,
    })
}

fn ended(code: i32) -> Run {
    Run::Ended(Ended {
        id: Some("r".into()),
        code,
        signal: None,
        reason: if code == 0 { "Completed" } else { "Error" }.into(),
        message: String::new(),
        started_at: Some(at(1)),
        finished_at: at(2),
    })
}

fn json_of(pod: &Pod, rules: &Rules, state: &PodState, second: i64) -> Value {
    let facts = NodeFacts { host_ip: "10.244.0.1" };
    let made = status(pod, rules, state, &PodStatus::default(), &facts, at(second));
    serde_json::to_value(made).unwrap()
}

#[test]
fn phases_of_one_container() {
    for (policy, code, phase) in [
        ("Never", 0, "Succeeded"),
        ("Never", 1, "Failed"),
        ("OnFailure", 0, "Succeeded"),
        ("OnFailure", 1, "Running"),
        ("Always", 0, "Running"),
    ] {
        let (pod, rules, mut state) = pod(policy, false);
        assert_eq!(json_of(&pod, &rules, &state, 0)["phase"], "Pending");
        state.containers[0].run = running();
        assert_eq!(json_of(&pod, &rules, &state, 1)["phase"], "Running");
        state.containers[0].run = ended(code);
        assert_eq!(json_of(&pod, &rules, &state, 2)["phase"], phase, "{policy} {code}");
    }
}

#[test]
fn an_ephemeral_container_counts_for_nothing() {
    let (mut pod, rules, mut state) = pod("Never", false);
    state.containers[0].run = running();
    let spec = json!([{"name": "guest", "image": "shell"}]);
    pod.spec.as_mut().unwrap().ephemeral_containers = serde_json::from_value(spec).unwrap();
    state.add_ephemeral(&pod);
    let status = json_of(&pod, &rules, &state, 1);
    let guest = &status["ephemeralContainerStatuses"][0];
    assert_eq!((&guest["image"], &guest["state"]["waiting"]["reason"]), (&"shell".into(), &"ContainerCreating".into()));
    assert_eq!((&status["phase"], &status["conditions"][2]["status"]), (&"Running".into(), &"True".into()));
    state.containers[1].run = ended(1);
    let status = json_of(&pod, &rules, &state, 2);
    assert_eq!((&status["phase"], &status["conditions"][2]["status"]), (&"Running".into(), &"True".into()));
    assert_eq!(status["ephemeralContainerStatuses"][0]["ready"], false);
}

#[test]
fn init_containers_hold_the_pod_pending() {
    let (pod, rules, mut state) = pod("Never", true);
    let status = json_of(&pod, &rules, &state, 0);
    assert_eq!(status["phase"], "Pending");
    assert_eq!(status["containerStatuses"][0]["state"]["waiting"]["reason"], "PodInitializing");
    let initialized = &status["conditions"][1];
    assert_eq!(initialized["reason"], "ContainersNotInitialized");
    assert_eq!(initialized["message"], "containers with incomplete status: [i]");
    state.containers[0].run = running();
    assert_eq!(json_of(&pod, &rules, &state, 1)["phase"], "Pending");
    state.containers[0].run = ended(1);
    assert_eq!(json_of(&pod, &rules, &state, 1)["phase"], "Failed");
    state.containers[0].run = ended(0);
    let status = json_of(&pod, &rules, &state, 1);
    assert_eq!(status["phase"], "Pending");
    assert_eq!(status["initContainerStatuses"][0]["ready"], true);
    assert_eq!(status["conditions"][1]["status"], "True");
}

#[test]
fn crash_loop_waits_in_words() {
    let (pod, rules, mut state) = pod("Always", false);
    state.containers[0].run = ended(1);
    state.containers[0].begin(at(3));
    state.containers[0].run = ended(1);
    let status = json_of(&pod, &rules, &state, 4);
    let container = &status["containerStatuses"][0];
    assert_eq!(container["state"]["waiting"]["reason"], "CrashLoopBackOff");
    assert_eq!(container["state"]["waiting"]["message"], "back-off 10s restarting failed container=a pod=p_n(u)");
    assert_eq!(container["lastState"]["terminated"]["exitCode"], 1);
    assert_eq!(container["restartCount"], 1);
    assert_eq!(status["phase"], "Running");
    let later = json_of(&pod, &rules, &state, 13);
    assert_eq!(later["containerStatuses"][0]["state"]["terminated"]["exitCode"], 1);
}

#[test]
fn ready_and_address() {
    let (pod, rules, mut state) = pod("Always", false);
    state.sandbox = Sandbox::Ready;
    state.address = Some("10.244.0.9".parse().unwrap());
    state.containers[0].run = running();
    let status = json_of(&pod, &rules, &state, 5);
    assert_eq!(status["podIP"], "10.244.0.9");
    assert_eq!(status["podIPs"], json!([{"ip": "10.244.0.9"}]));
    assert_eq!(status["hostIP"], "10.244.0.1");
    let conditions = status["conditions"].as_array().unwrap();
    assert!(conditions.iter().all(|c| c["status"] == "True"), "{conditions:?}");
    assert_eq!(status["containerStatuses"][0]["containerID"], "tinderbox://r");
    state.containers[0].running_mut().unwrap().ready = false;
    let status = json_of(&pod, &rules, &state, 6);
    assert_eq!(status["conditions"][2]["message"], "containers with unready status: [a]");
}

#[test]
fn transition_times_stay_while_a_condition_holds() {
    let (pod, rules, mut state) = pod("Always", false);
    let facts = NodeFacts { host_ip: "10.244.0.1" };
    let first = status(&pod, &rules, &state, &PodStatus::default(), &facts, at(1));
    let second = status(&pod, &rules, &state, &first, &facts, at(5));
    assert_eq!(first, second);
    state.containers[0].run = running();
    let third = status(&pod, &rules, &state, &second, &facts, at(7));
    let time = |kind| condition(&third, kind).unwrap().last_transition_time.clone().unwrap().0;
    assert_eq!(time("Ready"), at(7));
    assert_eq!(time("Initialized"), at(1));
}

#[test]
fn verdicts_fail_the_pod_once_nothing_runs() {
    let (pod, rules, mut state) = pod("Always", false);
    state.containers[0].run = running();
    state.containers[0].running_mut().unwrap().stopping = Some(Stopping { deadline: at(9), stage: Stage::Asked });
    state.verdict =
        Some(Verdict { reason: "DeadlineExceeded", message: "m".into(), at: at(3), refused: false, grace: None });
    assert_eq!(json_of(&pod, &rules, &state, 4)["phase"], "Running");
    state.containers[0].run = ended(143);
    let status = json_of(&pod, &rules, &state, 4);
    assert_eq!((&status["phase"], &status["reason"]), (&json!("Failed"), &json!("DeadlineExceeded")));
}
