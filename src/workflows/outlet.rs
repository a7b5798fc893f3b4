//! How scripts and written-down artifacts get into a pod, and how its outputs get out, without an image of our own and without a
//! right of the pod's: in by annotations that a `downwardAPI` volume shows as files; out by the container's termination message.
//!
//! A container whose outputs are wanted runs under the shell of its own image: the shell runs the command, keeps what it prints
//! beside showing it, and writes a line for each output, `name base64`, into the termination message. Kubernetes keeps 4 KiB of it;
//! when there is more, the report is the last line of the log instead, after [`MARK`], and the message says [`IN_LOG`].
//! That is plain Kubernetes, in every place. An image without `sh`, `tee` and `base64` cannot give outputs.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use tinderbox_api::workflows::{Outputs, Parameter, Template};

use crate::caller;
use crate::view::Answer;

/// Where the script lies.
const STAGING: &str = "/argo/staging";
/// The annotation that holds the script.
const SCRIPT: &str = "tinderbox.dev/script";
/// Annotations that hold artifacts begin so.
const ARTIFACT: &str = "tinderbox.dev/artifact-";
/// The line of a log that holds a report begins so.
pub(crate) const MARK: &str = "::argo-outputs::";
/// The termination message when the report is in the log.
pub(crate) const IN_LOG: &str = "outputs are in the log";
/// The name of what the container printed.
const RESULT: &str = "=result";
/// Names of what a request came to: the body, the rest of the answer, or why there is none.
const BODY: &str = "=body";
const ANSWER: &str = "=answer";
const FAILURE: &str = "=failure";

/// What a container reports.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Report {
    pub(crate) outputs: Outputs,
    /// What its request came to, if it made one.
    pub(crate) answer: Option<Answer>,
}

/// Runs `"$@"`; `$ARGO_OUTPUTS` names the files to report, as in `a=/tmp/a:b=/tmp/b`.
const WRAPPER: &str = r#"d=$(mktemp -d /tmp/argo.XXXXXX) || exit 64
exec 3>&1
{ "$@"; echo $? >"$d/code"; } | tee "$d/result" >&3
{
[ -z "$ARGO_INCLUDE_SCRIPT_OUTPUT" ] || printf '=result %s\n' "$(head -c 262144 "$d/result" | base64 | tr -d '\n')"
IFS=:
for o in $ARGO_OUTPUTS; do f="${o#*=}"; [ ! -f "$f" ] || printf '%s %s\n' "${o%%=*}" "$(base64 <"$f" | tr -d '\n')"; done
} >"$d/report"
if [ "$(wc -c <"$d/report")" -gt 4000 ]; then
printf '\n::argo-outputs::%s\n' "$(base64 <"$d/report" | tr -d '\n')"
echo 'outputs are in the log' >/dev/termination-log
else cat "$d/report" >/dev/termination-log; fi
c=$(cat "$d/code"); rm -rf "$d"; exit "$c""#;

/// Fits the main container (the last one that is there) for what it takes and gives.
///
/// # Errors
/// What it would need and does not have.
pub(crate) fn fit(
    template: &Template,
    containers: &mut [Map<String, Value>],
    volumes: &mut Vec<Value>,
    annotations: &mut BTreeMap<String, String>,
    wants_result: bool,
) -> Result<(), String> {
    if template.container_set.is_some() {
        return order(template, containers, volumes);
    }
    let Some(main) = containers.last_mut() else { return Ok(()) };
    if let Some(http) = &template.http {
        return caller::stage(http, main, volumes, annotations);
    }
    let mut files = Vec::new();
    let mut mounts = main.get("volumeMounts").and_then(Value::as_array).cloned().unwrap_or_default();
    if let Some(script) = &template.script {
        annotations.insert(SCRIPT.to_owned(), script.source.clone());
        files.push(file("script", SCRIPT, 0o755));
        mounts.push(json!({"name": "argo-staging", "mountPath": STAGING, "readOnly": true}));
        let mut args = vec![json!(format!("{STAGING}/script"))];
        args.extend(main.get("args").and_then(Value::as_array).cloned().unwrap_or_default());
        if main.get("command").and_then(Value::as_array).is_none_or(Vec::is_empty) {
            main.insert("command".to_owned(), json!([format!("{STAGING}/script")]));
        } else {
            main.insert("args".to_owned(), args.into());
        }
    }
    for (index, artifact) in template.inputs.artifacts.iter().enumerate() {
        let (Some(raw), Some(path)) = (&artifact.raw, &artifact.path) else { continue };
        let (key, name) = (format!("{ARTIFACT}{index}"), format!("artifact-{index}"));
        annotations.insert(key.clone(), raw.data.clone());
        files.push(file(&name, &key, artifact.mode.unwrap_or(0o644)));
        mounts.push(json!({"name": "argo-staging", "mountPath": path, "subPath": name, "readOnly": true}));
    }
    if !files.is_empty() {
        volumes.push(json!({"name": "argo-staging", "downwardAPI": {"items": files}}));
    }
    let outputs: Vec<String> = template
        .outputs
        .parameters
        .iter()
        .filter_map(|one| Some(format!("{}={}", one.name, one.value_from.as_ref()?.path.as_ref()?)))
        .collect();
    let command = main.get("command").and_then(Value::as_array).cloned().unwrap_or_default();
    if !outputs.is_empty() && command.is_empty() {
        return Err(
            "a container whose outputs are wanted has to say its command: the image's own is not known here".to_owned()
        );
    }
    if !command.is_empty() && (wants_result || !outputs.is_empty()) {
        let mut args = vec![json!("-c"), json!(WRAPPER), json!("argo")];
        args.extend(command);
        args.extend(main.get("args").and_then(Value::as_array).cloned().unwrap_or_default());
        main.insert("command".to_owned(), json!(["sh"]));
        main.insert("args".to_owned(), args.into());
        let mut env = main.get("env").and_then(Value::as_array).cloned().unwrap_or_default();
        env.push(json!({"name": "ARGO_OUTPUTS", "value": outputs.join(":")}));
        if wants_result {
            env.push(json!({"name": "ARGO_INCLUDE_SCRIPT_OUTPUT", "value": "true"}));
        }
        main.insert("env".to_owned(), env.into());
    }
    if !mounts.is_empty() {
        main.insert("volumeMounts".to_owned(), mounts.into());
    }
    Ok(())
}

fn file(name: &str, annotation: &str, mode: i32) -> Value {
    json!({"path": name, "mode": mode, "fieldRef": {"fieldPath": format!("metadata.annotations['{annotation}']")}})
}

/// Containers of a set wait for each other by files of a volume that they share.
fn order(template: &Template, containers: &mut [Map<String, Value>], volumes: &mut Vec<Value>) -> Result<(), String> {
    const SHARED: &str = "/argo/ctr";
    volumes.push(json!({"name": "argo-ctr", "emptyDir": {}}));
    let set = template.container_set.clone().unwrap_or_default();
    for (one, written) in containers.iter_mut().zip(&set.containers) {
        one.remove("dependencies");
        let name = one["name"].as_str().unwrap_or_default().to_owned();
        let command = one.get("command").and_then(Value::as_array).cloned().unwrap_or_default();
        if command.is_empty() {
            return Err(format!(
                "container {name} of a container set has to say its command: the image's own is not known here"
            ));
        }
        let before: Vec<&str> =
            written["dependencies"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let script = format!(
            "for d in {before}; do while [ ! -f {SHARED}/$d ]; do sleep 0.1; done; [ \"$(cat {SHARED}/$d)\" = 0 ] || {{ echo 1 >{SHARED}/{name}; exit 1; }}; done\n\"$@\"; c=$?; echo $c >{SHARED}/.{name}; mv {SHARED}/.{name} {SHARED}/{name}; exit $c",
            before = before.join(" ")
        );
        let mut args = vec![json!("-c"), json!(script), json!("argo")];
        args.extend(command);
        args.extend(one.get("args").and_then(Value::as_array).cloned().unwrap_or_default());
        one.insert("command".to_owned(), json!(["sh"]));
        one.insert("args".to_owned(), args.into());
        let mut mounts = one.get("volumeMounts").and_then(Value::as_array).cloned().unwrap_or_default();
        mounts.push(json!({"name": "argo-ctr", "mountPath": SHARED}));
        one.insert("volumeMounts".to_owned(), mounts.into());
    }
    Ok(())
}

/// What is in a report.
pub(crate) fn read(report: &str) -> Report {
    let mut read = Report::default();
    let outputs = &mut read.outputs;
    for line in report.lines() {
        let (name, encoded) = line.split_once(' ').unwrap_or((line, ""));
        let Some(text) = STANDARD.decode(encoded.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok()) else {
            continue;
        };
        let trimmed = text.trim_end_matches(['\n', '\r']);
        match name {
            RESULT => outputs.result = Some(trimmed.to_owned()),
            BODY => outputs.result = Some(text),
            ANSWER => read.answer = response(&text),
            FAILURE => read.answer = Some(Answer::Failure(text)),
            "" => (),
            name => {
                let (name, value) = (name.to_owned(), Some(trimmed.into()));
                outputs.parameters.push(Parameter { name, value, ..Parameter::default() });
            }
        }
    }
    read
}

/// The answer to a request but for its body.
fn response(text: &str) -> Option<Answer> {
    let value: Value = serde_json::from_str(text).ok()?;
    let status_code = value["statusCode"].as_u64()?.try_into().ok()?;
    let headers = serde_json::from_value(value["headers"].clone()).unwrap_or_default();
    Some(Answer::Response { status_code, headers })
}

/// The report in the last lines of a log.
pub(crate) fn read_log(tail: &str) -> Option<Report> {
    let encoded = tail.lines().rev().find_map(|line| line.strip_prefix(MARK))?;
    let report = STANDARD.decode(encoded.trim()).ok()?;
    String::from_utf8(report).ok().map(|report| read(&report))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use super::*;

    /// A folder of its own, gone at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("outlet-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).ok();
        }
    }

    /// Runs the wrapper around a script: exit code, what was printed, and the termination message.
    fn run(folder: &Path, script: &str, outputs: &str) -> (Option<i32>, String, String) {
        let message = folder.join("message");
        let wrapper = WRAPPER.replace("/dev/termination-log", &message.display().to_string());
        let mut command = Command::new("sh");
        command.args(["-c", &wrapper, "argo", "sh", "-c", script]);
        command.env("ARGO_OUTPUTS", outputs).env("ARGO_INCLUDE_SCRIPT_OUTPUT", "true");
        let output = command.output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), printed, fs::read_to_string(message).unwrap())
    }

    #[test]
    fn the_wrapper_keeps_exit_codes_and_reports_outputs() {
        let folder = Folder::new("small");
        let file = folder.0.join("out");
        let script =
            format!("echo 'hello \"world\"'; echo to-the-log >&2; printf 'one\\ntwo' > {}; exit 7", file.display());
        let (code, printed, message) = run(&folder.0, &script, &format!("a={}:none=/does/not/exist", file.display()));
        assert_eq!((code, printed.as_str()), (Some(7), "hello \"world\"\n"));
        let outputs = read(&message).outputs;
        assert_eq!(outputs.result.as_deref(), Some("hello \"world\""));
        let values: Vec<_> =
            outputs.parameters.iter().map(|one| (one.name.as_str(), one.value.clone().unwrap().0)).collect();
        assert_eq!(values, [("a", "one\ntwo".to_owned())]);
    }

    #[test]
    fn what_is_too_much_for_the_message_is_in_the_log() {
        let folder = Folder::new("large");
        let (code, printed, message) = run(&folder.0, "yes 0123456789 | head -n 2000", "");
        assert_eq!((code, message.trim()), (Some(0), IN_LOG));
        let result = read_log(&printed).unwrap().outputs.result.unwrap();
        assert_eq!(result.lines().count(), 2000);
        assert_eq!(read_log("nothing\n"), None);
    }

    #[test]
    fn containers_of_a_set_wait_for_each_other() {
        let template: Template = serde_json::from_value(json!({"containerSet": {"containers": [
            {"name": "a", "command": ["a"]}, {"name": "b", "command": ["b"], "args": ["c"], "dependencies": ["a"]},
        ]}}))
        .unwrap();
        let mut containers: Vec<Map<String, Value>> = template
            .container_set
            .iter()
            .flat_map(|set| &set.containers)
            .filter_map(|one| one.as_object().cloned())
            .collect();
        let mut volumes = Vec::new();
        fit(&template, &mut containers, &mut volumes, &mut BTreeMap::new(), false).unwrap();
        assert_eq!(containers[1]["args"].as_array().unwrap()[2..], [json!("argo"), json!("b"), json!("c")]);
        assert!(containers[1]["args"][1].as_str().unwrap().contains("for d in a; do"));
        assert_eq!(containers[1].get("dependencies"), None);
        assert_eq!(volumes[0]["name"], "argo-ctr");
    }
}
