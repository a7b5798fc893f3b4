//! What the answer to a request says of its node.
//! Upstream rule: `executeHTTPTemplate` in `workflow/executor/agent.go` of argoproj/argo-workflows.

use serde_json::{Map, Value, json};
use tinderbox_api::workflows::{Http, NodePhase, NodeStatus, Outputs};

use super::Operation;
use crate::tags::{Unknown, fill_in};
use crate::view::{Answer, PodView};
use crate::{caller, expr};

impl Operation<'_> {
    /// The state of a request's node whose pod has ended, what is to be said of it, and what it gives.
    pub(super) fn judge(&self, http: &Http, node: &NodeStatus, view: &PodView) -> (NodePhase, Option<String>, Outputs) {
        if view.phase != NodePhase::Succeeded {
            return (view.phase, view.message.clone(), Outputs::default());
        }
        // A pod that only says that it went well has an answer that says no more.
        let well = Answer::Response { status_code: 200, headers: Default::default() };
        let (code, headers) = match view.answer.as_ref().unwrap_or(&well) {
            Answer::Failure(why) => return (NodePhase::Failed, Some(why.clone()), Outputs::default()),
            Answer::Response { status_code, headers } => (*status_code, headers),
        };
        let outputs = Outputs { result: Some(view.outputs.result.clone().unwrap_or_default()), ..Outputs::default() };
        let failed = match fill_in::<Http>(http, &self.leaf_scope(node), Unknown::Refused) {
            Err(why) => Some(why),
            Ok(http) => match http.success_condition.as_deref().filter(|condition| !condition.trim().is_empty()) {
                None if (200..300).contains(&code) => None,
                None => Some(format!("received non-2xx response code: {code}")),
                Some(condition) => {
                    let response = json!({"statusCode": code, "body": outputs.result, "headers": headers});
                    match expr::evaluate_bool(condition, &variables(&http, response)) {
                        Ok(true) => None,
                        Ok(false) => Some(format!("successCondition '{condition}' evaluated false")),
                        Err(why) => Some(why),
                    }
                }
            },
        };
        let phase = if failed.is_none() { NodePhase::Succeeded } else { NodePhase::Failed };
        (phase, failed, outputs)
    }
}

/// What a condition can ask.
fn variables(http: &Http, response: Value) -> Map<String, Value> {
    let mut headers: Map<String, Value> = Map::new();
    for header in &http.headers {
        let (name, value) = (header["name"].as_str().unwrap_or_default(), header["value"].as_str().unwrap_or_default());
        if let Value::Array(values) = headers.entry(name).or_insert_with(|| json!([])) {
            values.push(json!(value));
        }
    }
    let body = caller::body(http).unwrap_or_default();
    let request = json!({"method": caller::method(http), "url": http.url, "body": String::from_utf8_lossy(&body), "headers": headers});
    [("request".to_owned(), request), ("response".to_owned(), response)].into_iter().collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use kube::ResourceExt as _;
    use tinderbox_api::workflows::{NodeType, Phase, Workflow, WorkflowStatus};

    use crate::locks::Locks;
    use crate::view::{Observed, Turn};

    use super::*;

    fn workflow(http: &Value) -> Workflow {
        serde_json::from_value(json!({"metadata": {"name": "wf", "namespace": "n", "uid": "u"}, "spec": {
            "entrypoint": "ask", "arguments": {"parameters": [{"name": "wanted", "value": "200"}]}, "templates": [{"name": "ask", "http": http}]}}))
        .unwrap()
    }

    fn look(workflow: &mut Workflow, observed: &Observed) -> Turn {
        let turn = crate::operate(workflow, observed, &mut Locks::default(), Timestamp::UNIX_EPOCH);
        workflow.status = Some(turn.status.clone());
        turn
    }

    /// What a workflow that is one request comes to, given the answer.
    fn answered(http: &Value, code: u16, body: &str) -> WorkflowStatus {
        let mut workflow = workflow(http);
        let asked = look(&mut workflow, &Observed::default());
        assert_eq!((asked.pods.len(), asked.status.nodes["wf"].r#type), (1, NodeType::HTTP));
        let headers = [("X-One".to_owned(), vec!["1".to_owned()])].into();
        let view = PodView {
            phase: NodePhase::Succeeded,
            answer: Some(Answer::Response { status_code: code, headers }),
            outputs: Outputs { result: Some(body.to_owned()), ..Outputs::default() },
            ..PodView::default()
        };
        let pods = [(asked.pods[0].name_any(), view)].into();
        let turn = look(&mut workflow, &Observed { pods, ..Observed::default() });
        assert!(turn.pods.is_empty(), "it is asked once");
        turn.status
    }

    #[test]
    fn conditions_are_asked_of_the_answer() {
        for (condition, code, wanted) in [
            ("", 204, Ok(())),
            ("", 302, Err("received non-2xx response code: 302")),
            ("response.statusCode == {{workflow.parameters.wanted}}", 200, Ok(())),
            ("response.statusCode == 200", 404, Err("successCondition 'response.statusCode == 200' evaluated false")),
            ("response.body contains \"good\" && request.method == \"PUT\"", 500, Ok(())),
            ("response.headers[\"X-One\"][0] == \"1\"", 200, Ok(())),
            ("response.body", 200, Err("expected boolean evaluation for 'response.body', got \"all good\"")),
        ] {
            let status =
                answered(&json!({"url": "http://x", "method": "PUT", "successCondition": condition}), code, "all good");
            let node = &status.nodes["wf"];
            let came_to = if node.phase == NodePhase::Succeeded {
                Ok(())
            } else {
                Err(node.message.as_deref().unwrap_or_default())
            };
            assert_eq!(came_to, wanted, "{condition}");
            let phase = if wanted.is_ok() { Phase::Succeeded } else { Phase::Failed };
            assert_eq!(
                (status.phase, node.outputs.as_ref().unwrap().result.as_deref()),
                (phase, Some("all good")),
                "{condition}"
            );
        }
    }

    #[test]
    fn what_cannot_be_asked_is_an_error() {
        let status = look(&mut workflow(&json!({"url": "http://x", "timeoutSeconds": 0})), &Observed::default()).status;
        let message = status.nodes["wf"].message.as_deref();
        assert_eq!((status.phase, message), (Phase::Error, Some("timeoutSeconds is 0: it has to be at least 1")));
    }

    #[test]
    fn failures_are_tried_again() {
        let mut workflow = workflow(&json!({"url": "http://x"}));
        workflow.spec.templates[0].retry_strategy = serde_json::from_value(json!({"limit": 1})).unwrap();
        let first = look(&mut workflow, &Observed::default());
        let why = Answer::Failure("GET \"http://x\": connection refused".to_owned());
        let view = PodView { phase: NodePhase::Succeeded, answer: Some(why), ..PodView::default() };
        let pods = [(first.pods[0].name_any(), view)].into();
        let second = look(&mut workflow, &Observed { pods, ..Observed::default() });
        let name = |turn: &Turn| turn.pods[0].annotations()[tinderbox_api::workflows::labels::NODE_NAME].clone();
        assert_eq!((name(&first), name(&second)), ("wf(0)".to_owned(), "wf(1)".to_owned()));
    }
}
