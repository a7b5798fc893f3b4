//! Probes of containers: one task per probe and run, which reports when the verdict turns. What follows from a verdict is
//! the worker's business.

pub(crate) mod check;
mod http;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, Probe};

use self::check::{Check, Target};
use crate::events::Level;

/// Which of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Startup,
    Liveness,
    Readiness,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Liveness => "Liveness",
            Self::Readiness => "Readiness",
        }
    }
}

/// Counts equal outcomes in a row until they make a verdict.
#[derive(Debug)]
struct Threshold {
    success: u32,
    failure: u32,
    last: bool,
    run: u32,
}

impl Threshold {
    fn of(probe: &Probe) -> Self {
        let count = |value: Option<i32>, default: u32| {
            value.and_then(|v| u32::try_from(v).ok()).filter(|v| *v > 0).unwrap_or(default)
        };
        Self {
            success: count(probe.success_threshold, 1),
            failure: count(probe.failure_threshold, 3),
            last: true,
            run: 0,
        }
    }

    /// The verdict, once enough equal outcomes have come in a row.
    fn observe(&mut self, passed: bool) -> Option<bool> {
        self.run = if self.run > 0 && self.last == passed { self.run + 1 } else { 1 };
        self.last = passed;
        let wanted = if passed { self.success } else { self.failure };
        (self.run >= wanted).then_some(passed)
    }
}

/// Probes until it is dropped; `report` hears every change of the verdict, and the first one.
pub(crate) async fn run(pod: Arc<Pod>, target: Arc<Target>, probe: Probe, kind: Kind, report: impl Fn(bool) + Send) {
    let seconds = |value: Option<i32>, default: u64| {
        let value = value.and_then(|v| u64::try_from(v).ok());
        Duration::from_secs(value.unwrap_or(default))
    };
    let period = seconds(probe.period_seconds, 10).max(Duration::from_secs(1));
    let limit = seconds(probe.timeout_seconds, 1).max(Duration::from_secs(1));
    let check = Check::of_probe(&probe);
    let mut threshold = Threshold::of(&probe);
    let mut verdict = None;
    let delay = seconds(probe.initial_delay_seconds, 0);
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + delay, period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let outcome = target.check(&check, limit).await;
        if let Err(text) = &outcome {
            target.context.events.container(
                &pod,
                &target.container,
                Level::Warning,
                "Unhealthy",
                format!("{} probe failed: {text}", kind.word()),
            );
        }
        if let Some(now) = threshold.observe(outcome.is_ok())
            && verdict != Some(now)
        {
            verdict = Some(now);
            report(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds() {
        let probe = Probe { success_threshold: Some(2), failure_threshold: Some(3), ..Probe::default() };
        let mut threshold = Threshold::of(&probe);
        let outcomes = [true, true, false, false, true, false, false, false, true];
        let verdicts = outcomes.map(|outcome| threshold.observe(outcome));
        let yes = Some(true);
        assert_eq!(verdicts, [None, yes, None, None, None, None, None, Some(false), None]);
    }
}
