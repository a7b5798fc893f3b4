//! Pods and objects of workflows that do what a table says: a client for the controllers that hands each pod on with a main container
//! that does it, and has done to each object what is to be done.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{Method, Request, Response, StatusCode};
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tinderbox_api::workflows::labels;
use tinderbox_workflows::runner::{Outcome, Table};
use tokio::sync::mpsc::UnboundedSender;

/// The annotation by which the controllers tell for which node an object was made.
const MADE_FOR: &str = "tinderbox.dev/made-for";
/// How long, in seconds, what has no time in the table takes.
const USUAL: &str = "0.2";

/// Something that is to be done to an object some seconds after it was made.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) after: u64,
    /// The object: group and version, kind, and name.
    pub(super) object: (String, String, String),
    pub(super) deed: Deed,
}

#[derive(Debug)]
pub(super) enum Deed {
    Delete,
    Patch(Value),
    /// The pod fails for a reason that is not its container's.
    Fail(String),
}

/// What is on in one namespace.
#[derive(Debug)]
pub(super) struct Play {
    table: Table,
    times: BTreeMap<String, usize>,
    /// Templates that workflows begin with, by the workflows' names.
    entrypoints: BTreeMap<String, String>,
    /// Names of nodes and of their templates, by the nodes' ids.
    nodes: BTreeMap<String, (String, String)>,
    orders: UnboundedSender<Order>,
    /// Pods as the controllers asked for them, each with the name of its node.
    pub(super) pods: Vec<(String, Pod)>,
}

/// All that is on, by namespaces.
#[derive(Debug, Clone, Default)]
pub(super) struct Actors(Arc<Mutex<HashMap<String, Play>>>);

impl Play {
    pub(super) fn new(table: Table, entrypoints: BTreeMap<String, String>, orders: UnboundedSender<Order>) -> Self {
        Self { table, times: BTreeMap::new(), entrypoints, nodes: BTreeMap::new(), orders, pods: Vec::new() }
    }

    /// What a node does, by its name and that of its template.
    fn outcome(&mut self, node: &str, template: &str) -> Outcome {
        let display = display_name(node);
        let plain = display.rsplit_once('(').map_or(display, |(plain, _)| plain);
        self.table.outcome(&[node, display, plain, template], &mut self.times)
    }

    fn pod(&mut self, pod: &mut Value) {
        let meta = &pod["metadata"];
        let name = meta["name"].as_str().unwrap_or_default().to_owned();
        if self.pods.iter().any(|(_, have)| have.metadata.name.as_ref() == Some(&name)) {
            return;
        }
        let node = meta["annotations"][labels::NODE_NAME].as_str().unwrap_or_default().to_owned();
        let workflow = meta["labels"][labels::WORKFLOW].as_str().unwrap_or_default();
        let template = template_of(&name, workflow).or(self.entrypoints.get(workflow).map(String::as_str));
        let template = template.unwrap_or_default().to_owned();
        let outcome = self.outcome(&node, &template);
        self.pods.push((node, serde_json::from_value(pod.clone()).expect("a pod")));
        for (after, deed) in deeds(&outcome) {
            let object = ("v1".to_owned(), "Pod".to_owned(), name.clone());
            self.orders.send(Order { after, object, deed }).ok();
        }
        act(pod, &outcome);
    }

    /// Has done to an object what the table says, or tells why it is refused.
    fn object(&mut self, object: &Value, node_id: &str) -> Option<String> {
        let (node, template) = self.nodes.get(node_id).cloned().unwrap_or_default();
        let outcome = self.outcome(&node, &template);
        if outcome.refused.is_some() {
            return outcome.refused;
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        for (after, deed) in deeds(&outcome) {
            let named = (text(&object["apiVersion"]), text(&object["kind"]), text(&object["metadata"]["name"]));
            self.orders.send(Order { after, object: named, deed }).ok();
        }
        None
    }
}

impl Actors {
    pub(super) fn all(&self) -> MutexGuard<'_, HashMap<String, Play>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells which node, of which template, has an id: what objects are made for is known before they are.
    pub(super) fn is_node(&self, namespace: &str, id: &str, name: &str, template: &str) {
        if let Some(play) = self.all().get_mut(namespace) {
            play.nodes.insert(id.to_owned(), (name.to_owned(), template.to_owned()));
        }
    }

    /// A client whose pods and objects do what the tables say.
    pub(super) fn client(&self, inner: Client) -> Client {
        let (actors, namespace) = (self.clone(), inner.default_namespace().to_owned());
        let service = tower::service_fn(move |request: Request<Body>| {
            let (inner, actors) = (inner.clone(), actors.clone());
            async move {
                match actors.hand_on(request).await? {
                    Ok(request) => inner.send(request).await,
                    Err(refusal) => Ok(refusal),
                }
            }
        });
        Client::new(service, namespace)
    }

    /// A request as it is to be sent, or the answer to it.
    async fn hand_on(&self, request: Request<Body>) -> Result<Result<Request<Body>, Response<Body>>, kube::Error> {
        let path = request.uri().path().to_owned();
        let namespace = path.split("/namespaces/").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
        if request.method() != Method::POST || !self.all().contains_key(namespace) {
            return Ok(Ok(request));
        }
        let (head, body) = request.into_parts();
        let bytes = body.collect_bytes().await?;
        let Ok(mut object) = serde_json::from_slice::<Value>(&bytes) else {
            return Ok(Ok(Request::from_parts(head, Body::from(bytes.to_vec()))));
        };
        let made_for = object["metadata"]["annotations"][MADE_FOR].as_str().map(str::to_owned);
        let refused = match self.all().get_mut(namespace) {
            Some(play) if path.ends_with("/pods") => {
                play.pod(&mut object);
                None
            }
            Some(play) => made_for.and_then(|mark| play.object(&object, mark.rsplit('/').next().unwrap_or_default())),
            None => None,
        };
        if let Some(message) = refused {
            let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden",
                "code": 403, "message": message});
            let mut answer = Response::new(Body::from(status.to_string().into_bytes()));
            *answer.status_mut() = StatusCode::FORBIDDEN;
            return Ok(Err(answer));
        }
        Ok(Ok(Request::from_parts(head, Body::from(object.to_string().into_bytes()))))
    }
}

/// What is done to a pod or an object from outside.
fn deeds(outcome: &Outcome) -> Vec<(u64, Deed)> {
    let after = outcome.takes.unwrap_or(1);
    let lost = outcome.lost.then_some(Deed::Delete);
    let failed = outcome.error.clone().map(Deed::Fail);
    let changed = outcome.object.clone().map(Deed::Patch);
    [lost, failed, changed].into_iter().flatten().map(|deed| (after, deed)).collect()
}

/// The last part of a node's name: `say(0:a.b)` of `wf[0].say(0:a.b)`.
fn display_name(node: &str) -> &str {
    let mut depth = 0;
    for (place, letter) in node.char_indices().rev() {
        match letter {
            ')' => depth += 1,
            '(' => depth -= 1,
            '.' if depth == 0 => return &node[place + 1..],
            _ => (),
        }
    }
    node
}

/// The template in the name of a pod, which is of the form `WORKFLOW-TEMPLATE-HASH`.
fn template_of<'a>(pod: &'a str, workflow: &str) -> Option<&'a str> {
    pod.strip_prefix(workflow)?.strip_prefix('-')?.rsplit_once('-').map(|(template, _)| template)
}

/// Has the containers of a pod do what they are to do.
fn act(pod: &mut Value, outcome: &Outcome) {
    let nowhere = outcome.unschedulable.is_some() || outcome.error.is_some();
    pod["spec"]["nodeSelector"] = if nowhere { json!({"tinderbox.dev/nowhere": "true"}) } else { json!({}) };
    for init in pod["spec"]["initContainers"].as_array_mut().into_iter().flatten() {
        (init["image"], init["command"], init["args"]) = (json!("busybox"), json!(["true"]), json!([]));
    }
    for container in pod["spec"]["containers"].as_array_mut().into_iter().flatten() {
        container["image"] = json!("busybox");
        let name = container["name"].as_str().unwrap_or_default();
        let mounts = container["volumeMounts"].as_array().into_iter().flatten();
        let of_a_set = mounts.into_iter().any(|mount| mount["name"] == "argo-ctr");
        let script = match name {
            _ if of_a_set => lines(outcome, *outcome.containers.get(name).unwrap_or(&0), container),
            "main" => lines(outcome, outcome.exit, container),
            // What runs beside it runs until it is ended.
            _ => "trap 'exit 0' TERM; sleep 100000 & wait".to_owned(),
        };
        // With inputs in what it prints, it has to do it by itself.
        if !script.contains("{{") {
            run_instead(container, &script);
        }
    }
}

/// The script of a container.
fn lines(outcome: &Outcome, code: i32, container: &Value) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
    if outcome.forever || outcome.lost {
        return "trap 'exit 143' TERM; sleep 100000 & wait".to_owned();
    }
    let takes = outcome.takes.map_or_else(|| USUAL.to_owned(), |takes| takes.to_string());
    let mut script = vec![format!("sleep {takes}")];
    script.extend(outcome.result.iter().map(|text| format!("printf '%s\\n' {}", quoted(text))));
    let named = container["env"].as_array().into_iter().flatten().find(|one| one["name"] == "ARGO_OUTPUTS");
    let named = named.and_then(|one| one["value"].as_str()).unwrap_or_default();
    for (name, path) in named.split(':').filter_map(|one| one.split_once('=')) {
        if let Some(value) = outcome.outputs.get(name) {
            script.push(format!("mkdir -p $(dirname {path}); printf '%s' {} >{path}", quoted(value)));
        }
    }
    script.push(format!("exit {code}"));
    script.join("; ")
}

/// Puts a script into the place of a command, under the shell that reports its outputs where there is one.
fn run_instead(container: &mut Value, script: &str) {
    let own = json!(["sh", "-c", script]).as_array().cloned().unwrap_or_default();
    match container["args"].as_array_mut() {
        Some(args) if args.get(2) == Some(&json!("argo")) => {
            args.truncate(3);
            args.extend(own);
        }
        _ => (container["command"], container["args"]) = (json!(own), json!([])),
    }
}
