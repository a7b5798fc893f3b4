//! What a workflow wants done next: from what there is to a status and a list of wishes. Pure: time, pods and locks come in.
//! Upstream rule: `workflow/controller/operator.go` of argoproj/argo-workflows.

mod assess;
mod bind;
mod call;
mod dag;
mod execute;
mod expand;
mod finish;
mod globals;
mod hooks;
mod http;
mod leaf;
mod limits;
mod memo;
mod nodes;
mod outputs;
mod pod;
mod resource;
mod retry;
mod spec;
mod steps;
mod sync;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use tinderbox_api::workflows::{Condition, NodePhase, Phase, Template, Workflow, WorkflowSpec, WorkflowStatus, labels};

use crate::locks::Locks;
use crate::tags::Scope;
use crate::view::{Observed, Turn};
use call::{Call, Holder, Origin};

/// Plans the next step of a workflow.
#[must_use]
pub fn operate(workflow: &Workflow, observed: &Observed, locks: &mut Locks, now: Timestamp) -> Turn {
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let status = workflow.status.clone().unwrap_or_default();
    let mut operation = Operation {
        workflow,
        observed,
        locks,
        now,
        name: workflow.name_any(),
        namespace: workflow.namespace().unwrap_or_default(),
        spec: WorkflowSpec::default(),
        turn: Turn::default(),
        before: status.phase,
        status,
        globals: Scope::new(),
        templates: BTreeMap::new(),
        graphs: BTreeMap::new(),
        active: 0,
        pods: OnceCell::new(),
        changes: 0,
        depth: 0,
    };
    operation.run();
    operation.into_turn()
}

/// One look at a workflow.
pub(super) struct Operation<'a> {
    workflow: &'a Workflow,
    observed: &'a Observed,
    locks: &'a mut Locks,
    now: Timestamp,
    name: String,
    namespace: String,
    /// What is run, the WorkflowTemplate's part included.
    spec: WorkflowSpec,
    turn: Turn,
    before: Phase,
    status: WorkflowStatus,
    /// What tags mean everywhere.
    globals: Scope,
    /// Templates that were looked up.
    templates: BTreeMap<(Origin, String), Rc<Template>>,
    /// Graphs that are gone through, by the ids of their nodes.
    graphs: BTreeMap<String, Rc<dag::Graph>>,
    /// Pods under way.
    active: i64,
    /// What the spec says of every pod, once it was asked for.
    pods: OnceCell<pod::Common>,
    /// Nodes made and marked.
    changes: usize,
    /// Templates within templates, here.
    depth: usize,
}

impl Operation<'_> {
    fn run(&mut self) {
        if self.workflow.metadata.deletion_timestamp.is_some() {
            return;
        }
        if self.status.phase.is_completed() {
            self.after_the_end();
            return;
        }
        if let Err(why) = self.load_spec() {
            self.end(Phase::Error, Some(why));
            return;
        }
        if let Err(why) = self.set_globals() {
            self.end(Phase::Error, Some(why));
            return;
        }
        if self.status.phase == Phase::Unknown
            && let Err(why) =
                self.lint().map_err(|why| format!("invalid spec: {why}")).and_then(|()| self.set_metadata())
        {
            self.end(Phase::Error, Some(why));
            return;
        }
        if !self.begin() {
            return;
        }
        self.assess();
        self.limit();
        // What ends at once, such as what is skipped, is followed by what waits for it.
        loop {
            let before = self.changes;
            self.walk();
            if self.changes == before || self.status.phase.is_completed() {
                break;
            }
        }
        self.count_progress();
    }

    /// Takes the workflow's own locks and notes its beginning; whether it may go on.
    fn begin(&mut self) -> bool {
        let wanted = self.spec.synchronization.clone();
        if let Some(wanted) = &wanted
            && self.spec.shutdown.is_none()
        {
            let holder = format!("{}/{}", self.namespace, self.name);
            match self.acquire(wanted, &holder) {
                Ok(None) => (),
                Ok(Some(message)) => {
                    self.status.phase = Phase::Pending;
                    self.status.message = Some(message);
                    return false;
                }
                Err(why) => {
                    self.end(Phase::Error, Some(why));
                    return false;
                }
            }
        }
        // Only somebody who has it run again says so of a workflow that was over.
        let again = |one: &Condition| one.r#type == "Completed" && one.status == "False";
        if matches!(self.status.phase, Phase::Unknown | Phase::Pending) || self.status.conditions.iter().any(again) {
            self.status.conditions.retain(|one| !again(one));
            self.status.phase = Phase::Running;
            self.status.message = None;
            self.status.started_at.get_or_insert(Time(self.now));
            self.turn.events.push((false, "WorkflowRunning", "Workflow Running".to_owned()));
            self.make_claims();
            self.make_budget();
        }
        true
    }

    /// Goes through the templates, from the entrypoint.
    fn walk(&mut self) {
        let entrypoint = self.spec.entrypoint.clone().unwrap_or_default();
        let call = Call {
            name: self.name.clone(),
            display: self.name.clone(),
            holder: Holder::named(&entrypoint),
            origin: Origin::Local,
            arguments: self.spec.arguments.clone(),
            boundary: String::new(),
            scope: Rc::new(Scope::new()),
            hooked: false,
            retried: false,
            on_exit: false,
        };
        let root = self.execute(&call);
        let node = root.as_ref().and_then(|id| self.node(id));
        let ended = node.is_some_and(|node| node.phase.is_fulfilled());
        let stopped = node.is_none() && self.stop_message().is_some();
        if !ended && !stopped {
            self.run_workflow_hooks();
            return;
        }
        let (phase, message) = node.map_or((NodePhase::Failed, None), |node| (node.phase, node.message.clone()));
        let shut = self.stop_message().filter(|_| self.spec.shutdown.is_some());
        let message = shut.or(message).or_else(|| self.stop_message());
        let phase = match phase {
            NodePhase::Failed => Phase::Failed,
            NodePhase::Error => Phase::Error,
            _ if self.spec.shutdown.as_deref().is_some_and(|strategy| !strategy.is_empty()) => Phase::Failed,
            _ => Phase::Succeeded,
        };
        self.run_exit_handler(phase, message);
    }

    fn into_turn(mut self) -> Turn {
        if self.status.phase != Phase::Unknown {
            self.turn.labels.insert(labels::PHASE.to_owned(), self.status.phase.to_string());
            let done = self.status.phase.is_completed();
            self.turn.labels.insert(labels::COMPLETED.to_owned(), done.to_string());
        }
        self.note_locks();
        self.turn.status = self.status;
        self.turn
    }
}
