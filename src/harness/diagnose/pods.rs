//! Why a pod waits or failed.

use serde_json::Value;

use super::{Cause, Kind, Subject, logs, memory, placement, plural, refusals};
use crate::event::Role;
use crate::kin;

/// Most lines of a log that are told as evidence.
const LINES: usize = 5;

/// All that is wrong with a pod.
pub(super) fn causes(subject: Subject<'_>) -> Vec<Cause> {
    let status = &subject.object()["status"];
    match status["phase"].as_str() {
        Some("Succeeded") => return Vec::new(),
        Some("Pending") | None => {
            if let Some(cause) = waits_for_node(subject) {
                return vec![cause];
            }
        }
        _ => {}
    }
    let mut found: Vec<Cause> = evicted(subject).into_iter().collect();
    for container in containers(status) {
        let name = container["name"].as_str().unwrap_or_default();
        if let Some(cause) = waits(subject, name, container) {
            found.push(cause);
        } else if let Some(ended) = ended(container) {
            found.push(end(subject, name, ended));
        }
    }
    if kin::role(subject.object()) == Role::Driver {
        found.extend(refused(subject));
        found.extend(lost(subject));
    }
    if found.is_empty() && status["phase"] == "Pending" {
        // Volumes are mounted before any container has a state of its own.
        found.extend(subject.warnings().iter().rev().find_map(|(reason, message, line)| {
            if reason != "FailedMount" {
                return None;
            }
            refusals::read(subject, message, line)
        }));
    }
    found
}

fn containers(status: &Value) -> impl Iterator<Item = &Value> {
    ["initContainerStatuses", "containerStatuses"].iter().filter_map(|field| status[*field].as_array()).flatten()
}

/// How a container last ended, if badly.
fn ended(container: &Value) -> Option<&Value> {
    let waits = container["state"]["waiting"].is_object();
    let state = if waits { &container["lastState"] } else { &container["state"] };
    state.get("terminated").filter(|ended| ended["exitCode"].as_i64().is_some_and(|code| code != 0))
}

fn waits_for_node(subject: Subject<'_>) -> Option<Cause> {
    let conditions = subject.object()["status"]["conditions"].as_array()?;
    let unscheduled = conditions.iter().find(|one| one["type"] == "PodScheduled" && one["status"] == "False")?;
    let message = unscheduled["message"].as_str().unwrap_or_default();
    if unscheduled["reason"] == "SchedulingGated" {
        let cause = subject.cause(Kind::Suspended, "the pod is held back by its schedulingGates".to_owned());
        return Some(cause.mended_by("whoever set spec.schedulingGates has to take them away"));
    }
    let line = format!("{}: PodScheduled is False: {message}", subject.record.name);
    Some(refusals::read(subject, message, &line).unwrap_or_else(|| placement::unschedulable(subject, message)))
}

fn evicted(subject: Subject<'_>) -> Option<Cause> {
    let status = &subject.object()["status"];
    let (reason, message) = (status["reason"].as_str()?, status["message"].as_str().unwrap_or_default());
    let line = format!("{}: {reason}: {message}", subject.record.name);
    match reason {
        "DeadlineExceeded" => {
            let cause = subject.cause(Kind::Deadline, "the pod ran longer than it may".to_owned());
            Some(cause.shown_by([line]).mended_by("raise spec.activeDeadlineSeconds"))
        }
        "Evicted" | "NodeLost" | "Preempting" | "Shutdown" | "NodeShutdown" => {
            let cause = subject.cause(Kind::Evicted, format!("the pod was taken from its node: {reason}"));
            Some(
                cause
                    .shown_by([line])
                    .mended_by("ask for what the pod really uses (resources.requests), or use larger nodes"),
            )
        }
        _ => None,
    }
}

/// What keeps a container from its start.
fn waits(subject: Subject<'_>, name: &str, container: &Value) -> Option<Cause> {
    let waiting = &container["state"]["waiting"];
    let (reason, message) = (waiting["reason"].as_str()?, waiting["message"].as_str().unwrap_or_default().trim());
    let line = format!("{}: container {name} waits: {reason}: {message}", subject.record.name);
    match reason {
        "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" | "RegistryUnavailable" => {
            let image = container["image"].as_str().unwrap_or_default();
            let cause = subject.cause(Kind::Image, format!("the image {image:?} cannot be had")).shown_by([line]);
            Some(match reason {
                "InvalidImageName" => cause.mended_by("correct the name of the image"),
                "ErrImageNeverPull" => cause.mended_by("load the image, or set imagePullPolicy: IfNotPresent"),
                _ => cause
                    .mended_by("correct the name or tag of the image; where its registry wants a password, name a Secret in imagePullSecrets")
                    .mended_by("or load it with `cargo xtask image load FILE`, or describe it under images: in tinderbox.yaml"),
            })
        }
        "CreateContainerConfigError" => Some(refusals::read(subject, message, &line).unwrap_or_else(|| {
            let what = format!("container {name} cannot be made: {message}");
            subject.cause(Kind::MissingObject, what).shown_by([line.clone()])
        })),
        "CreateContainerError" | "RunContainerError" => {
            Some(subject.cause(Kind::Start, format!("container {name} cannot be started: {message}")).shown_by([line]))
        }
        _ => None,
    }
}

/// Why a container ended badly.
fn end(subject: Subject<'_>, name: &str, ended: &Value) -> Cause {
    if let Some(cause) = memory::cause(subject, name, ended) {
        return cause;
    }
    let code = ended["exitCode"].as_i64().unwrap_or(-1);
    let reason = ended["reason"].as_str().unwrap_or_default();
    let line = format!("{}: container {name}: exit code {code}: {reason}", subject.record.name);
    if matches!(reason, "StartError" | "ContainerCannotRun") {
        let message = ended["message"].as_str().unwrap_or_default().trim();
        let cause = subject.cause(Kind::Start, format!("container {name} cannot be started: {message}"));
        return cause.shown_by([line]).mended_by("correct command, or take an image that holds the program");
    }
    // How a runtime, and a kubelet, tell of a container that was gone when they came back.
    if matches!((reason, code), ("Unknown", 255) | ("ContainerStatusUnknown", _)) {
        let node = subject.object()["spec"]["nodeName"].as_str().unwrap_or("its node");
        let what = format!("{node} stopped while {} ran: nobody saw its end", part(subject, name));
        let cause = subject.cause(Kind::NodeStopped, what).shown_by([line]);
        return cause.mended_by("run it again");
    }
    let lines: Vec<&String> = said_by(subject, name);
    let owned: Vec<String> = lines.iter().map(|line| (*line).clone()).collect();
    if let Some(exception) = logs::exception(&owned) {
        let at = exception.frame.as_ref().map(|frame| format!(" at {frame}")).unwrap_or_default();
        let what = format!("{} ended with an exception{at}", part(subject, name));
        let cause = subject.cause(Kind::Exception, what).shown_by([exception.text.clone(), line]);
        return cause.mended_by(match &exception.frame {
            Some(frame) => format!("look at {}", frame.split(": ").next().unwrap_or(frame)),
            None => format!("look at the whole log: cargo xtask logs {}", subject.record.name.name),
        });
    }
    // Spark's own scripts say it without an exception.
    let missing =
        lines.iter().find(|line| line.contains("can't open file") || line.contains("No such file or directory"));
    let what = match missing {
        Some(missing) => format!("{} ended with exit code {code}: {}", part(subject, name), missing.trim()),
        None => format!("{} ended with exit code {code}", part(subject, name)),
    };
    let from = lines.len().saturating_sub(LINES);
    let last = lines[from..].iter().map(|line| (*line).clone());
    let cause = subject.cause(Kind::ExitCode, what).shown_by([line]).shown_by(last);
    match (missing, subject.application()) {
        (Some(_), Some(_)) => cause.mended_by(
            "correct spec.mainApplicationFile: a path local:// lies within the image or a volume of the driver",
        ),
        _ => cause.mended_by(format!("look at the whole log: cargo xtask logs {}", subject.record.name.name)),
    }
}

fn said_by<'a>(subject: Subject<'a>, container: &str) -> Vec<&'a String> {
    let last = subject.said().filter(|text| text.container == container && !text.lines.is_empty()).last();
    last.map_or_else(Vec::new, |text| text.lines.iter().collect())
}

fn part(subject: Subject<'_>, container: &str) -> String {
    match kin::role(subject.object()) {
        Role::Driver => "the driver".to_owned(),
        Role::Executor => "an executor".to_owned(),
        Role::Submitter => "spark-submit".to_owned(),
        Role::Plain => format!("container {container}"),
    }
}

/// What the API refused to a driver, which may wait for ever for the executors that it cannot make.
fn refused(subject: Subject<'_>) -> Option<Cause> {
    let lines = subject.said().flat_map(|text| &text.lines);
    lines.filter(|line| line.contains(" is forbidden: ")).find_map(|line| refusals::read(subject, line, cut(line)))
}

/// Executors that a driver has lost.
fn lost(subject: Subject<'_>) -> Option<Cause> {
    let all = subject.said().flat_map(|text| &text.lines).filter_map(|line| {
        let (_, rest) = line.split_once("ERROR TaskSchedulerImpl: Lost executor ")?;
        rest.split_once(": ").map(|(who, why)| (who, why, line))
    });
    let losses: Vec<(&str, &str, &String)> = all.collect();
    let (_, why, _) = losses.first()?;
    let count = losses.len();
    let cause = subject.cause(Kind::ExecutorLoss, format!("{count} executor{} lost: {}", plural(count), why.trim()));
    let lines = losses.iter().take(LINES).map(|(_, _, line)| cut(line).to_owned());
    let cause = cause.shown_by(lines);
    Some(if losses.iter().any(|(_, why, _)| why.contains("137")) {
        cause.mended_by("exit code 137 is a kill, mostly for memory: raise spec.executor.memoryOverhead")
    } else {
        cause.mended_by("look at the executors' own logs, which stay with spec.executor.deleteOnTermination: false")
    })
}

/// A line that fits on a screen.
fn cut(line: &str) -> &str {
    let end = line.char_indices().nth(400).map_or(line.len(), |(end, _)| end);
    line[..end].trim()
}
