//! Times when a project lets its applications be synced, and times when it does not.
//! Upstream rule: `SyncWindows` in `pkg/apis/application/v1alpha1/types.go` of argoproj/argo-cd.

use jiff::{SignedDuration, Timestamp};
use tinderbox_api::cron::{Schedule, zone};
use tinderbox_api::gitops::{Application, SyncWindow};

use super::duration;
use crate::project::matches;

/// Whether an application may be synced now.
///
/// # Errors
/// What is wrong with a window that is about the application.
pub fn allows(windows: &[SyncWindow], app: &Application, is_manual: bool, now: Timestamp) -> Result<bool, String> {
    let mut active_deny: Vec<&SyncWindow> = Vec::new();
    let mut idle_allow: Vec<&SyncWindow> = Vec::new();
    let mut is_allowed = false;
    for window in windows.iter().filter(|window| is_about(window, app)) {
        match (window.kind.as_str(), is_active(window, now)?) {
            ("deny", true) => active_deny.push(window),
            ("allow", true) => is_allowed = true,
            ("allow", false) => idle_allow.push(window),
            ("deny", false) => (),
            (kind, _) => return Err(format!("a sync window of kind {kind:?}: it is either allow or deny")),
        }
    }
    let manual = |windows: &[&SyncWindow]| is_manual && windows.iter().all(|one| one.manual_sync.unwrap_or_default());
    if !active_deny.is_empty() {
        return Ok(manual(&active_deny));
    }
    Ok(is_allowed || idle_allow.is_empty() || manual(&idle_allow))
}

fn is_about(window: &SyncWindow, app: &Application) -> bool {
    let name = app.metadata.name.as_deref().unwrap_or_default();
    let destination = &app.spec.destination;
    let any = |patterns: &[String], texts: &[&str]| {
        let fits = patterns.iter().any(|pattern| texts.iter().any(|text| !text.is_empty() && matches(pattern, text)));
        (!patterns.is_empty()).then_some(fits)
    };
    let found: Vec<bool> = [
        any(&window.applications, &[name]),
        any(&window.namespaces, &[&destination.namespace]),
        any(&window.clusters, &[&destination.server, &destination.name]),
    ]
    .into_iter()
    .flatten()
    .collect();
    if window.and_operator.unwrap_or_default() {
        !found.is_empty() && found.iter().all(|is| *is)
    } else {
        found.contains(&true)
    }
}

fn is_active(window: &SyncWindow, now: Timestamp) -> Result<bool, String> {
    let wrong = |what: &str, text: &str| format!("a sync window has a {what} that is none: {text:?}");
    let length = duration::parse(&window.duration).ok_or_else(|| wrong("duration", &window.duration))?;
    let place = if window.time_zone.is_empty() { "UTC" } else { &window.time_zone };
    let place = zone(place).ok_or_else(|| wrong("time zone", &window.time_zone))?;
    let schedule = Schedule::parse_in(&window.schedule, place)
        .map_err(|error| format!("{}: {error}", wrong("schedule", &window.schedule)))?;
    let length = SignedDuration::try_from(length).map_err(|_| wrong("duration", &window.duration))?;
    let before = now.saturating_sub(length).unwrap_or(Timestamp::MIN);
    Ok(schedule.next(before).is_some_and(|begin| begin <= now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn at(text: &str, windows: Value, manual: bool) -> Result<bool, String> {
        let windows: Vec<SyncWindow> = serde_json::from_value(windows).expect("windows");
        let app =
            json!({"metadata": {"name": "pi"}, "spec": {"destination": {"namespace": "jobs", "name": "in-cluster"}}});
        let app: Application = serde_json::from_value(app).expect("an application");
        allows(&windows, &app, manual, text.parse().expect("a time"))
    }

    #[test]
    fn windows_open_and_close() {
        let night = |kind: &str, more: Value| {
            let mut window = json!({"kind": kind, "schedule": "0 22 * * *", "duration": "2h", "applications": ["*"]});
            window.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            window
        };
        let (in_it, out) = ("2026-03-01T23:00:00Z", "2026-03-01T12:00:00Z");
        for (rule, time, windows, manual, allowed) in [
            ("no window, no limit", in_it, json!([]), false, true),
            ("an allow window is open", in_it, json!([night("allow", json!({}))]), false, true),
            ("outside of every allow window nothing is synced", out, json!([night("allow", json!({}))]), false, false),
            ("nor by hand", out, json!([night("allow", json!({}))]), true, false),
            ("unless by hand is allowed", out, json!([night("allow", json!({"manualSync": true}))]), true, true),
            (
                "manualSync does not help the automatic",
                out,
                json!([night("allow", json!({"manualSync": true}))]),
                false,
                false,
            ),
            ("a deny window blocks", in_it, json!([night("deny", json!({}))]), false, false),
            ("by hand as well", in_it, json!([night("deny", json!({}))]), true, false),
            ("unless it lets hands through", in_it, json!([night("deny", json!({"manualSync": true}))]), true, true),
            ("a deny window is over", out, json!([night("deny", json!({}))]), false, true),
            ("deny wins over allow", in_it, json!([night("deny", json!({})), night("allow", json!({}))]), false, false),
            ("it ends after its duration", "2026-03-02T00:00:00Z", json!([night("deny", json!({}))]), false, true),
            ("it begins on time", "2026-03-01T22:00:00Z", json!([night("deny", json!({}))]), false, false),
            ("of another application", in_it, json!([night("deny", json!({"applications": ["x*"]}))]), false, true),
            (
                "by namespace",
                in_it,
                json!([night("deny", json!({"applications": [], "namespaces": ["jobs"]}))]),
                false,
                false,
            ),
            (
                "by cluster",
                in_it,
                json!([night("deny", json!({"applications": [], "clusters": ["in-*"]}))]),
                false,
                false,
            ),
            ("one fit is enough", in_it, json!([night("deny", json!({"namespaces": ["other"]}))]), false, false),
            (
                "all fits with andOperator",
                in_it,
                json!([night("deny", json!({"namespaces": ["other"], "andOperator": true}))]),
                false,
                true,
            ),
            (
                "in its time zone",
                "2026-03-01T21:30:00Z",
                json!([night("deny", json!({"timeZone": "Europe/Madrid"}))]),
                false,
                false,
            ),
        ] {
            assert_eq!(at(time, windows, manual), Ok(allowed), "{rule}");
        }
        for (windows, error) in [
            (night("deny", json!({"schedule": "x"})), "a sync window has a schedule that is none: \"x\""),
            (night("deny", json!({"duration": "soon"})), "a sync window has a duration that is none: \"soon\""),
            (night("deny", json!({"timeZone": "Moon"})), "a sync window has a time zone that is none: \"Moon\""),
            (night("maybe", json!({})), "a sync window of kind \"maybe\""),
        ] {
            assert!(at(in_it, json!([windows]), false).is_err_and(|found| found.starts_with(error)));
        }
    }
}
