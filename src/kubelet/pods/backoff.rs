//! The back-off of restarts and image pulls: 10 s doubling to 5 min, forgotten after 10 quiet minutes. Arithmetic only.
//! Upstream rule: k8s.io/client-go `util/flowcontrol/backoff.go`.

use jiff::{SignedDuration, Timestamp};

const FIRST: SignedDuration = SignedDuration::from_secs(10);
const LONGEST: SignedDuration = SignedDuration::from_secs(300);
const FORGET: SignedDuration = SignedDuration::from_secs(600);

/// How long to wait after the next failure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Backoff {
    current: Option<(SignedDuration, Timestamp)>,
    /// The wait was told in an event.
    pub(crate) reported: bool,
}

impl Backoff {
    /// The wait that holds after something ended at `ended`, and when it is over; `None` to go on at once.
    pub(crate) fn wait(&self, ended: Timestamp) -> Option<(SignedDuration, Timestamp)> {
        let (delay, updated) = self.current?;
        if ended.duration_since(updated) > FORGET {
            return None;
        }
        Some((delay, ended.saturating_add(delay).unwrap_or(ended)))
    }

    /// Takes up the next try: the wait after it is twice as long.
    pub(crate) fn next(&mut self, now: Timestamp) {
        let delay = match self.current {
            Some((delay, updated)) if now.duration_since(updated) <= FORGET => (delay * 2).min(LONGEST),
            _ => FIRST,
        };
        self.current = Some((delay, now));
        self.reported = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn doubles_up_to_five_minutes_and_forgets() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.wait(at(0)), None);
        let mut waits = Vec::new();
        for _ in 0..7 {
            backoff.next(at(0));
            waits.push(backoff.wait(at(1)).unwrap().0.as_secs());
        }
        assert_eq!(waits, [10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(backoff.wait(at(1)).unwrap().1, at(301));
        assert_eq!(backoff.wait(at(601)), None);
        backoff.next(at(601));
        assert_eq!(backoff.wait(at(602)).unwrap().0.as_secs(), 10);
    }
}
