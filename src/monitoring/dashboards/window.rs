//! The time that a dashboard shows, and what Grafana puts into queries for it. Pure.

/// Seconds between two scrapes, as the data source is told (`timeInterval`) and Prometheus does.
const SCRAPE: i64 = 5;
/// Seconds between two points, of which the first is taken that gives few enough.
const STEPS: [i64; 9] = [SCRAPE, 10, 15, 30, 60, 120, 300, 600, 1800];
/// Most points of a series.
const POINTS: i64 = 360;

/// A time in Unix seconds, and the seconds between two points in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first point.
    pub start: i64,
    /// The last point.
    pub end: i64,
    /// From one to the next.
    pub step: i64,
}

impl Window {
    /// The last `range` seconds before `now`. Points stay where they are when some time goes by.
    #[must_use]
    pub fn last(range: i64, now: i64) -> Self {
        let step = STEPS.into_iter().find(|step| range / step <= POINTS).unwrap_or((range / POINTS).max(1));
        let end = now - now.rem_euclid(step);
        Self { start: end - range / step * step, end, step }
    }

    /// How many points there are.
    #[must_use]
    pub fn points(&self) -> usize {
        usize::try_from((self.end - self.start) / self.step + 1).unwrap_or_default()
    }

    /// What Grafana puts in by itself.
    pub(super) fn built_in(&self) -> [(&'static str, String); 6] {
        let range = self.end - self.start;
        [
            ("__interval", format!("{}s", self.step)),
            ("__rate_interval", format!("{}s", (self.step + SCRAPE).max(4 * SCRAPE))),
            ("__range", format!("{range}s")),
            ("__range_s", range.to_string()),
            ("__from", (self.start * 1000).to_string()),
            ("__to", (self.end * 1000).to_string()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_has_few_points_that_stay_where_they_are() {
        let window = Window::last(1800, 10_003);
        assert_eq!((window, window.points()), (Window { start: 8200, end: 10_000, step: 5 }, 361));
        assert_eq!(Window::last(86_400, 100_000).step, 300);
        assert!((1..400).all(|hours| Window::last(hours * 3600, 0).points() <= 361));
        let of = |name: &str| window.built_in().into_iter().find(|(known, _)| *known == name).map(|(_, value)| value);
        assert_eq!(of("__rate_interval").as_deref(), Some("20s"));
        assert_eq!(of("__range").as_deref(), Some("1800s"));
    }
}
