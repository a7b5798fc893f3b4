//! From what metrics ask for to what is done about it: stabilisation windows, rates of change, and bounds. Pure but for the memory of
//! what was recommended and done, which it is handed.
//! Upstream rule: k8s.io/kubernetes `pkg/controller/podautoscaler/horizontal.go`.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::{HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscalerBehavior};
use tinderbox_client::clock::after;

/// `--horizontal-pod-autoscaler-downscale-stabilization`, in seconds.
const DOWN_WINDOW: i32 = 300;

/// What one autoscaler recommended and did, each with its time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct History {
    recommended: Vec<(i32, Timestamp)>,
    added: Vec<(i32, Timestamp)>,
    removed: Vec<(i32, Timestamp)>,
}

/// A condition to be: status, reason, message.
pub(super) type Word = (bool, &'static str, &'static str);

/// What comes of a recommendation.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) replicas: i32,
    /// `AbleToScale`.
    pub(super) able: Word,
    /// `ScalingLimited`.
    pub(super) limited: Word,
}

/// Between how many pods there are and may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) current: i32,
    pub(super) least: i32,
    pub(super) most: i32,
}

fn seconds(number: i32) -> Duration {
    Duration::from_secs(u64::try_from(number).unwrap_or_default())
}

impl History {
    /// Remembers how many there were when the autoscaler was first looked at.
    pub(super) fn begin(&mut self, replicas: i32, now: Timestamp) {
        if self.recommended.is_empty() {
            self.recommended.push((replicas, now));
        }
    }

    /// Remembers what was done.
    pub(super) fn rescaled(&mut self, from: i32, to: i32, now: Timestamp) {
        let list = if to > from { &mut self.added } else { &mut self.removed };
        list.push(((to - from).abs(), now));
        // No policy looks back further.
        list.retain(|(_, at)| after(*at, Duration::from_secs(1800)) > now);
    }

    /// What becomes of `wanted` pods.
    pub(super) fn judge(
        &mut self,
        wanted: i32,
        bounds: Bounds,
        behavior: Option<&HorizontalPodAutoscalerBehavior>,
        now: Timestamp,
    ) -> Outcome {
        let window = |rules: Option<&HPAScalingRules>, usual| {
            seconds(rules.and_then(|rules| rules.stabilization_window_seconds).unwrap_or(usual))
        };
        let (up, down) =
            (behavior.and_then(|one| one.scale_up.as_ref()), behavior.and_then(|one| one.scale_down.as_ref()));
        let (up_window, down_window) = (window(up, 0), window(down, DOWN_WINDOW));
        let recent = |window: Duration| {
            self.recommended.iter().filter(move |(_, at)| after(*at, window) > now).map(|(number, _)| *number)
        };
        let lowest = recent(up_window).chain([wanted]).min().unwrap_or(wanted);
        let highest = recent(down_window).chain([wanted]).max().unwrap_or(wanted);
        let stable = match behavior {
            Some(_) => bounds.current.max(lowest).min(highest),
            None => highest,
        };
        self.recommended.push((wanted, now));
        let longest = up_window.max(down_window);
        self.recommended.retain(|(_, at)| after(*at, longest) >= now);
        let able = match (stable != wanted, wanted >= bounds.current && behavior.is_some()) {
            (false, _) => (true, "ReadyForNewScale", "recommended size matches current size"),
            (true, true) => (
                true,
                "ScaleUpStabilized",
                "recent recommendations were lower than current one, applying the lowest recent recommendation",
            ),
            (true, false) => (
                true,
                "ScaleDownStabilized",
                "recent recommendations were higher than current one, applying the highest recent recommendation",
            ),
        };
        let (replicas, limited) = match behavior {
            Some(_) => self.at_rate(stable, bounds, up, down, now),
            None => by_rule(stable, bounds),
        };
        Outcome { replicas, able, limited }
    }

    fn at_rate(
        &self,
        wanted: i32,
        bounds: Bounds,
        up: Option<&HPAScalingRules>,
        down: Option<&HPAScalingRules>,
        now: Timestamp,
    ) -> (i32, Word) {
        let Bounds { current, least, most } = bounds;
        if wanted > current {
            let rate = self.limit(current, up, true, now).max(current);
            let word = if most > rate { FAST_UP } else { TOO_MANY };
            if wanted > most.min(rate) {
                return (most.min(rate), word);
            }
        } else if wanted < current {
            let rate = self.limit(current, down, false, now).min(current);
            let word = if least < rate { FAST_DOWN } else { TOO_FEW };
            if wanted < least.max(rate) {
                return (least.max(rate), word);
            }
        }
        (wanted, WITHIN)
    }

    /// How far the policies let the number of pods go.
    fn limit(&self, current: i32, rules: Option<&HPAScalingRules>, up: bool, now: Timestamp) -> i32 {
        let select = rules.and_then(|rules| rules.select_policy.as_deref()).unwrap_or("Max");
        if select == "Disabled" {
            return current;
        }
        let usual = usual_policies(up);
        let policies = rules.and_then(|rules| rules.policies.as_ref()).unwrap_or(&usual);
        let within = |list: &[(i32, Timestamp)], period: i32| -> i32 {
            list.iter().filter(|(_, at)| after(*at, seconds(period)) > now).map(|(number, _)| number).sum()
        };
        let proposals = policies.iter().map(|policy| {
            let start =
                current - within(&self.added, policy.period_seconds) + within(&self.removed, policy.period_seconds);
            let share = f64::from(policy.value) / 100.0;
            match (policy.type_ == "Pods", up) {
                (true, true) => start.saturating_add(policy.value),
                (true, false) => start.saturating_sub(policy.value),
                (false, true) => (f64::from(start) * (1.0 + share)).ceil() as i32,
                (false, false) => (f64::from(start) * (1.0 - share)) as i32,
            }
        });
        // The greatest change is the highest number on the way up and the lowest on the way down.
        let limit = if (select == "Min") == up { proposals.min() } else { proposals.max() };
        limit.unwrap_or(current)
    }
}

fn usual_policies(up: bool) -> Vec<HPAScalingPolicy> {
    let policy = |type_: &str, value| HPAScalingPolicy { type_: type_.to_owned(), value, period_seconds: 15 };
    if up { vec![policy("Pods", 4), policy("Percent", 100)] } else { vec![policy("Percent", 100)] }
}

const WITHIN: Word = (false, "DesiredWithinRange", "the desired count is within the acceptable range");
const TOO_MANY: Word = (true, "TooManyReplicas", "the desired replica count is more than the maximum replica count");
const TOO_FEW: Word = (true, "TooFewReplicas", "the desired replica count is less than the minimum replica count");
const FAST_UP: Word =
    (true, "ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate");
const FAST_DOWN: Word =
    (true, "ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate");

/// Without a behaviour of its own an autoscaler at most doubles the pods, or makes four of fewer.
fn by_rule(wanted: i32, bounds: Bounds) -> (i32, Word) {
    let Bounds { current, least, most } = bounds;
    let rate = current.saturating_mul(2).max(4);
    if wanted < least {
        (least, TOO_FEW)
    } else if wanted > most.min(rate) {
        (most.min(rate), if most > rate { FAST_UP } else { TOO_MANY })
    } else {
        (wanted, WITHIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn bounds(current: i32) -> Bounds {
        Bounds { current, least: 1, most: 10 }
    }

    #[test]
    fn what_was_recommended_lately_keeps_pods() {
        let mut history = History::default();
        history.begin(5, at(0));
        let outcome = history.judge(2, bounds(5), None, at(10));
        assert_eq!((outcome.replicas, outcome.able.1), (5, "ScaleDownStabilized"));
        let outcome = history.judge(2, bounds(5), None, at(301));
        assert_eq!(
            (outcome.replicas, outcome.able.1, outcome.limited.1),
            (2, "ReadyForNewScale", "DesiredWithinRange")
        );
    }

    #[test]
    fn growth_is_bounded() {
        for (current, wanted, replicas, reason) in [
            (1, 3, 3, "DesiredWithinRange"),
            (1, 9, 4, "ScaleUpLimit"),
            (4, 9, 8, "ScaleUpLimit"),
            (8, 20, 10, "TooManyReplicas"),
            (1, 0, 1, "TooFewReplicas"),
        ] {
            let outcome = History::default().judge(wanted, bounds(current), None, at(0));
            assert_eq!((outcome.replicas, outcome.limited.1), (replicas, reason), "{current} to {wanted}");
        }
    }

    fn behavior(value: Value) -> HorizontalPodAutoscalerBehavior {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn policies_bound_the_rate() {
        let slow = |select: &str| {
            let policies = json!([{"type": "Pods", "value": 1, "periodSeconds": 60}, {"type": "Percent", "value": 50, "periodSeconds": 60}]);
            let rules = json!({"stabilizationWindowSeconds": 0, "selectPolicy": select, "policies": policies});
            behavior(json!({"scaleUp": rules, "scaleDown": rules}))
        };
        for (select, current, wanted, replicas, reason) in [
            ("Max", 4, 10, 6, "ScaleUpLimit"),
            ("Min", 4, 10, 5, "ScaleUpLimit"),
            ("Disabled", 4, 10, 4, "ScaleUpLimit"),
            ("Max", 4, 1, 2, "ScaleDownLimit"),
            ("Min", 4, 1, 3, "ScaleDownLimit"),
            ("Disabled", 4, 1, 4, "ScaleDownLimit"),
            ("Max", 9, 12, 10, "TooManyReplicas"),
        ] {
            let outcome = History::default().judge(wanted, bounds(current), Some(&slow(select)), at(0));
            assert_eq!((outcome.replicas, outcome.limited.1), (replicas, reason), "{select}: {current} to {wanted}");
        }
        let mut history = History::default();
        history.rescaled(4, 6, at(0));
        assert_eq!(
            history.judge(10, bounds(6), Some(&slow("Max")), at(30)).replicas,
            6,
            "spent until the minute is over"
        );
        assert_eq!(history.judge(10, bounds(6), Some(&slow("Max")), at(61)).replicas, 9);
    }

    #[test]
    fn windows_hold_both_ways() {
        let window = behavior(
            json!({"scaleUp": {"stabilizationWindowSeconds": 60}, "scaleDown": {"stabilizationWindowSeconds": 60}}),
        );
        let mut history = History::default();
        history.begin(3, at(0));
        let outcome = history.judge(6, bounds(3), Some(&window), at(10));
        assert_eq!((outcome.replicas, outcome.able.1), (3, "ScaleUpStabilized"));
        assert_eq!(history.judge(6, bounds(3), Some(&window), at(61)).replicas, 6);
        let outcome = history.judge(2, bounds(6), Some(&window), at(70));
        assert_eq!((outcome.replicas, outcome.able.1), (6, "ScaleDownStabilized"));
    }
}
