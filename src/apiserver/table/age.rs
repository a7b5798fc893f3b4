//! Ages as kubectl writes them. Upstream rule: k8s.io/apimachinery `pkg/util/duration/duration.go`.

use jiff::Timestamp;
use serde_json::Value;

use crate::object::meta;

/// The age of an object.
pub(super) fn of(object: &Value, now: Timestamp) -> Value {
    since_text(meta(object, "creationTimestamp"), now).into()
}

/// The time since a moment in text form.
pub(super) fn since_text(text: &str, now: Timestamp) -> String {
    text.parse().map_or_else(|_| "<unknown>".to_owned(), |then| between(then, now))
}

/// The time between two moments.
pub(super) fn between(then: Timestamp, now: Timestamp) -> String {
    human(now.as_second() - then.as_second())
}

/// A span in its two largest units.
pub(super) fn human(seconds: i64) -> String {
    let two = |large: i64, unit: &str, small: i64, small_unit: &str| {
        if small == 0 { format!("{large}{unit}") } else { format!("{large}{unit}{small}{small_unit}") }
    };
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        _ if minutes < 10 => two(minutes, "m", seconds % 60, "s"),
        _ if minutes < 180 => format!("{minutes}m"),
        _ if hours < 8 => two(hours, "h", minutes % 60, "m"),
        _ if hours < 48 => format!("{hours}h"),
        _ if hours < 24 * 8 => two(hours / 24, "d", hours % 24, "h"),
        _ if hours < 24 * 365 * 2 => format!("{}d", hours / 24),
        _ if hours < 24 * 365 * 8 => two(hours / 24 / 365, "y", hours / 24 % 365, "d"),
        _ => format!("{}y", hours / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_get_coarser() {
        for (seconds, text) in [
            (-5, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (600, "10m"),
            (10_799, "179m"),
            (3 * 3600 + 60, "3h1m"),
            (8 * 3600, "8h"),
            (50 * 3600, "2d2h"),
            (10 * 86_400, "10d"),
            (3 * 365 * 86_400, "3y"),
        ] {
            assert_eq!(human(seconds), text);
        }
    }
}
