//! Attempts: a node around them, one after the other, until one succeeds or it is enough.
//! Upstream rule: `processNodeRetries` in `workflow/controller/operator.go` of argoproj/argo-workflows; better than upstream: what
//! may not be tried again is not waited for.

use std::rc::Rc;

use jiff::SignedDuration;
use tinderbox_api::workflows::{Backoff, NodePhase, NodeStatus, NodeType, RetryStrategy};

use super::Operation;
use super::call::Call;
use super::execute::Body;
use super::nodes::is_over;
use crate::durations::{after, read, told};
use crate::expr;
use crate::tags::{Scope, Unknown, fill_in, variables};

/// What becomes of a failed attempt.
enum Next {
    Again,
    Wait(String),
    Enough(String),
}

impl Operation<'_> {
    pub(super) fn retry(&mut self, call: &Call, strategy: &RetryStrategy, body: &Body) {
        let id = self.open(call, NodeType::Retry, body);
        let strategy: RetryStrategy = match fill_in(strategy, &body.scope, Unknown::Kept) {
            Ok(strategy) => strategy,
            Err(why) => return self.mark(&id, NodePhase::Error, Some(why)),
        };
        let attempts = self.attempts(&id);
        let Some(last) = attempts.last().cloned() else {
            return self.attempt(call, body, &id, 0, Scope::new());
        };
        if !is_over(&last) {
            let scope = last_retry(&attempts[..attempts.len() - 1]);
            return self.attempt(call, body, &id, attempts.len() - 1, scope);
        }
        if !last.phase.is_failed() {
            let daemoned = last.daemoned;
            if let Some(node) = self.status.nodes.get_mut(&id) {
                node.outputs = last.outputs.clone();
                node.daemoned = daemoned;
                node.pod_ip = last.pod_ip.clone();
            }
            if daemoned != Some(true) {
                self.mark(&id, NodePhase::Succeeded, None);
            }
            return;
        }
        match self.next(&strategy, &attempts, call) {
            Ok(Next::Again) => {
                self.mark(&id, NodePhase::Running, None);
                let scope = last_retry(&attempts);
                self.attempt(call, body, &id, attempts.len(), scope);
            }
            Ok(Next::Wait(message)) => self.mark(&id, NodePhase::Running, Some(message)),
            Ok(Next::Enough(message)) => {
                if let Some(node) = self.status.nodes.get_mut(&id) {
                    node.outputs = last.outputs.clone();
                }
                self.mark(&id, last.phase, Some(message));
            }
            Err(why) => self.mark(&id, NodePhase::Error, Some(why)),
        }
    }

    fn attempts(&self, id: &str) -> Vec<NodeStatus> {
        let children = self.node(id).map(|node| node.children.clone()).unwrap_or_default();
        let nodes = children.iter().filter_map(|child| self.node(child));
        nodes.filter(|node| node.node_flag.as_ref().is_some_and(|flag| flag.retried == Some(true))).cloned().collect()
    }

    fn attempt(&mut self, call: &Call, body: &Body, id: &str, number: usize, mut scope: Scope) {
        scope.insert("retries".to_owned(), number.to_string());
        let child = Call {
            name: format!("{}({number})", call.name),
            display: format!("{}({number})", call.display),
            scope: Rc::new(scope),
            retried: true,
            ..call.clone()
        };
        // What it is given was bound once, for all attempts.
        let mut arguments = child.arguments.clone();
        arguments.parameters = body.inputs.parameters.clone();
        arguments.artifacts = body.inputs.artifacts.clone();
        if let Some(child_id) = self.execute(&Call { arguments, ..child }) {
            self.join(id, &child_id);
        }
    }

    fn next(&mut self, strategy: &RetryStrategy, attempts: &[NodeStatus], call: &Call) -> Result<Next, String> {
        let (Some(first), Some(last)) = (attempts.first(), attempts.last()) else { return Ok(Next::Again) };
        if self.stop_message().is_some() && !call.on_exit {
            return Ok(Next::Enough(last.message.clone().or_else(|| self.stop_message()).unwrap_or_default()));
        }
        let default = if strategy.expression.is_some() { "Always" } else { "OnFailure" };
        let policy = strategy.retry_policy.as_deref().filter(|policy| !policy.is_empty()).unwrap_or(default);
        let wanted = match policy {
            "Always" => true,
            "OnFailure" => last.phase == NodePhase::Failed,
            "OnError" => last.phase == NodePhase::Error,
            "OnTransientError" => last.message.as_deref().is_some_and(is_transient),
            other => return Err(format!("'{other}' is not a valid RetryPolicy")),
        };
        if !wanted {
            return Ok(Next::Enough(last.message.clone().unwrap_or_default()));
        }
        let limit = strategy.limit.as_ref().map(|limit| limit.number()).transpose()?;
        if limit.is_some_and(|limit| attempts.len() as i64 > limit) {
            return Ok(Next::Enough("No more retries left".to_owned()));
        }
        if let Some(expression) = &strategy.expression {
            let mut scope = self.globals.clone();
            scope.extend(last_retry(attempts));
            scope.insert("retries".to_owned(), (attempts.len() - 1).to_string());
            if !expr::evaluate_bool(expression, &variables(&scope))? {
                return Ok(Next::Enough("retryStrategy.expression evaluated to false".to_owned()));
            }
        }
        match &strategy.backoff {
            Some(backoff) => self.back_off(backoff, first, last, attempts.len()),
            None => Ok(Next::Again),
        }
    }

    fn back_off(
        &mut self,
        backoff: &Backoff,
        first: &NodeStatus,
        last: &NodeStatus,
        number: usize,
    ) -> Result<Next, String> {
        let started = first.started_at.as_ref().map_or(self.now, |time| time.0);
        let ended = last.finished_at.as_ref().map_or(self.now, |time| time.0);
        let most = backoff.max_duration.as_ref().filter(|text| !text.0.is_empty());
        let most = most.map(|text| read(&text.0).map(|length| after(started, length))).transpose()?;
        if most.is_some_and(|most| self.now > most) {
            return Ok(Next::Enough("Max duration limit exceeded".to_owned()));
        }
        let base = backoff
            .duration
            .as_ref()
            .filter(|text| !text.0.is_empty())
            .ok_or("no base duration specified for retryStrategy")?;
        let factor = backoff.factor.as_ref().map(|factor| factor.number()).transpose()?.filter(|factor| *factor > 0);
        let steps = u32::try_from(number - 1).unwrap_or(u32::MAX);
        let times = factor.map_or(1.0, |factor| (factor as f64).powi(i32::try_from(steps).unwrap_or(i32::MAX)));
        let mut wait = SignedDuration::from_secs_f64((read(&base.0)?.as_secs_f64() * times).min(1e9));
        if let Some(cap) = backoff.cap.as_ref().filter(|text| !text.0.is_empty()) {
            wait = wait.min(read(&cap.0)?);
        }
        let end = after(ended, wait);
        if most.is_some_and(|most| end > most) {
            return Ok(Next::Enough("Backoff would exceed max duration limit".to_owned()));
        }
        if self.now < end {
            self.turn.at(end);
            return Ok(Next::Wait(format!("Backoff for {}", told(wait))));
        }
        Ok(Next::Again)
    }
}

/// Messages of what may pass by itself.
fn is_transient(message: &str) -> bool {
    [
        "timeout",
        "connection refused",
        "TLS handshake",
        "i/o timeout",
        "pod deleted",
        "Evicted",
        "etcdserver",
        "too many requests",
    ]
    .iter()
    .any(|word| message.contains(word))
}

/// What tags say of the attempt before.
fn last_retry(attempts: &[NodeStatus]) -> Scope {
    let Some(last) = attempts.last() else { return Scope::new() };
    let code = last.outputs.as_ref().and_then(|outputs| outputs.exit_code.clone());
    let length = match (&last.started_at, &last.finished_at) {
        (Some(from), Some(to)) => to.0.duration_since(from.0).as_secs(),
        _ => 0,
    };
    [
        ("lastRetry.exitCode", code.unwrap_or_else(|| "-1".to_owned())),
        ("lastRetry.status", last.phase.to_string()),
        ("lastRetry.duration", length.to_string()),
        ("lastRetry.message", last.message.clone().unwrap_or_default()),
    ]
    .map(|(name, text)| (name.to_owned(), text))
    .into()
}
