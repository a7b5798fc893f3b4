//! The pod of an http template: a small program in the image `python:3-alpine` carries the request out and reports the answer as
//! containers report outputs. So it is asked from where the workflow's pods are, and what it may reach is what they may reach;
//! the kubelet hands it the secrets, and the controller needs no right to read any. A pod is found again by its name: a controller
//! that starts anew does not ask twice.
//! Upstream rule: `executeHTTPTemplate` in `workflow/executor/agent.go` of argoproj/argo-workflows, which is run in an agent's pod.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use tinderbox_api::workflows::Http;

/// The image of the program.
const IMAGE: &str = "python:3-alpine";
/// The program, which is given the files of the request and of the report.
const PROGRAM: &str = include_str!("caller.py");
/// The annotation that holds the request.
pub(crate) const REQUEST: &str = "tinderbox.dev/http-request";
/// Where the request lies.
const STAGING: &str = "/argo/request";
/// Seconds that a request may take when nothing is said.
/// Upstream rule: `docs/http-template.md`.
const TIMEOUT: i64 = 30;

/// The method of a request.
pub(crate) fn method(http: &Http) -> &str {
    http.method.as_deref().filter(|method| !method.is_empty()).unwrap_or("GET")
}

/// The container that carries a request out; where the request is staged is said by [`stage`].
pub(crate) fn container() -> Map<String, Value> {
    let container = json!({
        "image": IMAGE, "command": ["python3", "-c", PROGRAM], "args": [format!("{STAGING}/request"), "/dev/termination-log"],
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": {"allowPrivilegeEscalation": false, "runAsNonRoot": true, "runAsUser": 65534,
            "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}},
    });
    container.as_object().cloned().unwrap_or_default()
}

/// Gives the container its request.
///
/// # Errors
/// What of the request cannot be read.
pub(crate) fn stage(
    http: &Http,
    container: &mut Map<String, Value>,
    volumes: &mut Vec<Value>,
    annotations: &mut BTreeMap<String, String>,
) -> Result<(), String> {
    let (mut headers, mut env) = (Vec::new(), Vec::new());
    for header in &http.headers {
        let name = header["name"].as_str().ok_or("a header has no name")?;
        let from = &header["valueFrom"]["secretKeyRef"];
        if from.is_object() {
            let variable = format!("ARGO_HEADER_{}", env.len());
            headers.push(json!({"name": name, "env": variable}));
            env.push(json!({"name": variable, "valueFrom": {"secretKeyRef": from}}));
        } else {
            headers.push(json!({"name": name, "value": header["value"].as_str().unwrap_or_default()}));
        }
    }
    let timeout = http.timeout_seconds.unwrap_or(TIMEOUT);
    if timeout < 1 {
        return Err(format!("timeoutSeconds is {timeout}: it has to be at least 1"));
    }
    let request = json!({
        "method": method(http), "url": http.url, "headers": headers, "body": STANDARD.encode(body(http)?),
        "timeout": timeout, "insecure": http.insecure_skip_verify == Some(true),
    });
    annotations.insert(REQUEST.to_owned(), request.to_string());
    let file = json!({"path": "request", "fieldRef": {"fieldPath": format!("metadata.annotations['{REQUEST}']")}});
    volumes.push(json!({"name": "argo-request", "downwardAPI": {"items": [file]}}));
    container
        .insert("volumeMounts".to_owned(), json!([{"name": "argo-request", "mountPath": STAGING, "readOnly": true}]));
    container.insert("env".to_owned(), env.into());
    Ok(())
}

/// The body of a request.
pub(crate) fn body(http: &Http) -> Result<Vec<u8>, String> {
    match http.body_from.as_ref().and_then(|from| from["bytes"].as_str()) {
        Some(encoded) => STANDARD.decode(encoded).map_err(|error| format!("bodyFrom.bytes is no base64: {error}")),
        None => Ok(http.body.clone().unwrap_or_default().into_bytes()),
    }
}

#[cfg(test)]
mod tests;
