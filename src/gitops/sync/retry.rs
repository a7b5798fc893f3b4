//! When a failed sync is tried again.

use std::time::Duration;

use jiff::Timestamp;
use tinderbox_api::gitops::RetryStrategy;
use tinderbox_client::clock::after;

use super::duration;

const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(180);
const FACTOR: i64 = 2;

/// Whether a sync that has failed and was tried again `count` times is tried once more.
#[must_use]
pub fn is_due(strategy: Option<&RetryStrategy>, count: i64) -> bool {
    let limit = strategy.and_then(|strategy| strategy.limit).unwrap_or_default();
    limit < 0 || count < limit
}

/// When a sync that failed at `failed` is tried for the time after `count` others.
#[must_use]
pub fn at(strategy: Option<&RetryStrategy>, failed: Timestamp, count: i64) -> Timestamp {
    let backoff = strategy.and_then(|strategy| strategy.backoff.clone()).unwrap_or_default();
    let length = |text: &Option<String>, otherwise| text.as_deref().and_then(duration::parse).unwrap_or(otherwise);
    let (first, longest) = (length(&backoff.duration, FIRST), length(&backoff.max_duration, LONGEST));
    after(failed, grown(first, backoff.factor.unwrap_or(FACTOR), count, longest))
}

/// A pause that grows by a factor each time.
pub(super) fn grown(first: Duration, factor: i64, count: i64, longest: Duration) -> Duration {
    let factor = u32::try_from(factor.max(1)).unwrap_or(1);
    let mut pause = first;
    for _ in 0..count.min(64) {
        pause = pause.checked_mul(factor).unwrap_or(longest);
        if pause >= longest {
            return longest;
        }
    }
    pause.min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pauses_grow_up_to_the_longest_and_end_with_the_limit() {
        for (strategy, count, due, pause) in [
            (json!({"limit": 2}), 0, true, 5),
            (json!({"limit": 2}), 1, true, 10),
            (json!({"limit": 2}), 2, false, 20),
            (json!({"limit": -1}), 99, true, 180),
            (json!({}), 0, false, 5),
            (json!({"limit": 9, "backoff": {"duration": "1m", "factor": 3, "maxDuration": "1h"}}), 1, true, 180),
            (json!({"limit": 9, "backoff": {"duration": "1m", "factor": 3, "maxDuration": "1h"}}), 4, true, 3600),
        ] {
            let strategy: RetryStrategy = serde_json::from_value(strategy).expect("a strategy");
            assert_eq!(is_due(Some(&strategy), count), due);
            assert_eq!(at(Some(&strategy), Timestamp::UNIX_EPOCH, count).as_second(), pause);
        }
        assert!(!is_due(None, 0));
    }
}
