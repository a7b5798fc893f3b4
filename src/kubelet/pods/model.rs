//! What a node knows of one pod while it runs it: the state that plans and statuses are made from. Data and small
//! questions about it; nothing here acts, waits or reads a clock.

use std::net::Ipv4Addr;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container as ContainerSpec, Pod};

use super::backoff::Backoff;

/// When a container that ended is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RestartPolicy {
    Always,
    OnFailure,
    Never,
}

impl RestartPolicy {
    fn of(pod: &Pod) -> Self {
        match pod.spec.as_ref().and_then(|s| s.restart_policy.as_deref()) {
            Some("Never") => Self::Never,
            Some("OnFailure") => Self::OnFailure,
            _ => Self::Always,
        }
    }

    /// Whether a container that ended with `code` is started again.
    pub(crate) fn restarts(self, code: i32) -> bool {
        match self {
            Self::Always => true,
            Self::OnFailure => code != 0,
            Self::Never => false,
        }
    }
}

/// What the spec says about the pod's course.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) restart: RestartPolicy,
    /// `terminationGracePeriodSeconds`.
    pub(crate) grace: SignedDuration,
    pub(crate) active_deadline: Option<SignedDuration>,
}

impl Rules {
    pub(crate) fn of(pod: &Pod) -> Self {
        let spec = pod.spec.as_ref();
        Self {
            restart: RestartPolicy::of(pod),
            grace: SignedDuration::from_secs(
                spec.and_then(|s| s.termination_grace_period_seconds).unwrap_or(30).max(0),
            ),
            active_deadline: spec.and_then(|s| s.active_deadline_seconds).map(SignedDuration::from_secs),
        }
    }
}

/// The part that a container plays in its pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Runs to its end before the next one.
    Init,
    /// An init container with `restartPolicy: Always`: stays for the life of the pod.
    Sidecar,
    Main,
    /// Added by whoever debugs the pod: runs once, and counts for nothing else.
    Ephemeral,
}

/// One container over all its runs.
#[derive(Debug, Clone)]
pub(crate) struct Container {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// It has a preStop hook.
    pub(crate) pre_stop: bool,
    pub(crate) run: Run,
    pub(crate) restarts: u32,
    /// The run before the current one.
    pub(crate) last: Option<Ended>,
    pub(crate) backoff: Backoff,
    pub(crate) pull_backoff: Backoff,
    /// Names of the image that it runs, once resolved.
    pub(crate) image: Option<ImageRef>,
}

/// A resolved image as statuses name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageRef {
    pub(crate) name: String,
    pub(crate) id: String,
}

/// Where a container is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Run {
    Waiting(Waiting),
    /// Its image is being resolved.
    Starting,
    Running(Running),
    Ended(Ended),
}

/// Not started, and why.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Waiting {
    /// A reason of Kubernetes; empty for the ordinary wait for its turn.
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) since: Option<Timestamp>,
    /// Not before this time.
    pub(crate) retry_at: Option<Timestamp>,
}

/// A live process.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Running {
    /// Unique id of this run.
    pub(crate) id: String,
    pub(crate) started_at: Timestamp,
    /// The postStart hook is over (or there is none).
    pub(crate) hooked: bool,
    /// The startup probe has passed (or there is none).
    pub(crate) started: bool,
    /// The readiness probe passes (or there is none).
    pub(crate) ready: bool,
    /// It must end, by a probe's or hook's verdict.
    pub(crate) kill: Option<KillOrder>,
    pub(crate) stopping: Option<Stopping>,
}

impl Running {
    pub(crate) fn is_started(&self) -> bool {
        self.started && self.hooked
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.is_started() && self.ready
    }
}

/// A container is to be stopped and (by policy) started again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KillOrder {
    pub(crate) grace: Option<SignedDuration>,
    pub(crate) message: String,
}

/// How far the end of a container has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stopping {
    pub(crate) deadline: Timestamp,
    pub(crate) stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The preStop hook runs.
    PreStop,
    /// The hook is over: the signal is due.
    HookDone,
    /// The stop signal was sent.
    Asked,
    /// SIGKILL was sent.
    Forced,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) id: Option<String>,
    pub(crate) code: i32,
    pub(crate) signal: Option<i32>,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Timestamp,
}

/// The pod's namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sandbox {
    None,
    Ready,
}

/// The pod is to end, not by its own doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) at: Timestamp,
    /// It was refused before anything ran: there is nothing to say of its containers.
    pub(crate) refused: bool,
    /// What its containers get to end, if not the pod's own grace.
    pub(crate) grace: Option<SignedDuration>,
}

/// The pod is being deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Deletion {
    pub(crate) deadline: Timestamp,
    /// No grace: processes are killed at once.
    pub(crate) force: bool,
    /// The object is gone already; nothing is to be written or deleted.
    pub(crate) gone: bool,
}

/// Everything known of one pod.
#[derive(Debug, Clone)]
pub(crate) struct PodState {
    pub(crate) started_at: Timestamp,
    pub(crate) volumes_ready: bool,
    pub(crate) sandbox: Sandbox,
    /// Address, kept after the sandbox has gone, as statuses keep it.
    pub(crate) address: Option<Ipv4Addr>,
    /// Volumes and sandbox are tried again at this time.
    pub(crate) retry_at: Option<Timestamp>,
    /// Init containers in order, then the others, then what was added.
    pub(crate) containers: Vec<Container>,
    pub(crate) verdict: Option<Verdict>,
    pub(crate) deletion: Option<Deletion>,
    /// Processes, sandbox and volumes are gone for good.
    pub(crate) removed: bool,
    /// The object was deleted by this node.
    pub(crate) deleted: bool,
}

impl PodState {
    /// A pod that nothing was done for yet.
    pub(crate) fn new(pod: &Pod, now: Timestamp) -> Self {
        let spec = pod.spec.as_ref();
        let init = spec.and_then(|s| s.init_containers.as_deref());
        let init = init.into_iter().flatten().map(|c| {
            let role = match c.restart_policy.as_deref() {
                Some("Always") => Role::Sidecar,
                _ => Role::Init,
            };
            Container::new(c, role)
        });
        let main = spec.map(|s| s.containers.as_slice()).unwrap_or_default();
        let mut state = Self {
            started_at: now,
            volumes_ready: false,
            sandbox: Sandbox::None,
            address: None,
            retry_at: None,
            containers: init.chain(main.iter().map(|c| Container::new(c, Role::Main))).collect(),
            verdict: None,
            deletion: None,
            removed: false,
            deleted: false,
        };
        state.add_ephemeral(pod);
        state
    }

    /// Takes up ephemeral containers that are new.
    pub(crate) fn add_ephemeral(&mut self, pod: &Pod) {
        for spec in ephemeral(pod) {
            if self.container_mut(&spec.name).is_none() {
                self.containers.push(Container::new(&spec, Role::Ephemeral));
            }
        }
    }

    /// The pod is on its way out, whatever its containers do.
    pub(crate) fn is_ending(&self) -> bool {
        self.deletion.is_some() || self.verdict.is_some()
    }

    pub(crate) fn any_running(&self) -> bool {
        self.containers.iter().any(|c| c.running().is_some())
    }

    /// Plain init containers are behind it: one of the main ones was already taken up.
    pub(crate) fn mains_begun(&self) -> bool {
        self.of_role(Role::Main).any(|c| !matches!(&c.run, Run::Waiting(w) if w.since.is_none()))
    }

    pub(crate) fn of_role(&self, role: Role) -> impl Iterator<Item = &Container> {
        self.containers.iter().filter(move |c| c.role == role)
    }

    /// Nothing more will run: an init container failed for good, or every main container is done.
    pub(crate) fn is_over(&self, rules: &Rules) -> bool {
        let failed_init = rules.restart == RestartPolicy::Never
            && self.of_role(Role::Init).any(|c| c.ended().is_some_and(|e| e.code != 0));
        let done = |c: &Container| c.ended().is_some_and(|e| !rules.restart.restarts(e.code));
        failed_init || self.of_role(Role::Main).all(done)
    }

    pub(crate) fn container_mut(&mut self, name: &str) -> Option<&mut Container> {
        self.containers.iter_mut().find(|c| c.name == name)
    }
}

/// The ephemeral containers of a pod, in the form of all others: they have the same fields, and fewer.
pub(crate) fn ephemeral(pod: &Pod) -> Vec<ContainerSpec> {
    let list = pod.spec.iter().flat_map(|spec| spec.ephemeral_containers.iter().flatten());
    let plain = |one| serde_json::to_value(one).and_then(serde_json::from_value).ok();
    list.filter_map(plain).collect()
}

impl Container {
    pub(crate) fn new(spec: &ContainerSpec, role: Role) -> Self {
        Self {
            name: spec.name.clone(),
            role,
            pre_stop: spec.lifecycle.as_ref().is_some_and(|lifecycle| lifecycle.pre_stop.is_some()),
            run: Run::Waiting(Waiting::default()),
            restarts: 0,
            last: None,
            backoff: Backoff::default(),
            pull_backoff: Backoff::default(),
            image: None,
        }
    }

    pub(crate) fn running(&self) -> Option<&Running> {
        match &self.run {
            Run::Running(running) => Some(running),
            _ => None,
        }
    }

    pub(crate) fn running_mut(&mut self) -> Option<&mut Running> {
        match &mut self.run {
            Run::Running(running) => Some(running),
            _ => None,
        }
    }

    pub(crate) fn ended(&self) -> Option<&Ended> {
        match &self.run {
            Run::Ended(ended) => Some(ended),
            _ => None,
        }
    }

    /// Takes the run up again: what ended becomes the last run.
    pub(crate) fn begin(&mut self, now: Timestamp) {
        if let Run::Ended(ended) = std::mem::replace(&mut self.run, Run::Starting) {
            self.last = Some(ended);
            self.restarts += 1;
            self.backoff.next(now);
        }
    }
}
