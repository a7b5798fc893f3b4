//! What must be found in logs, and what must not. It waits for the lines; whose they are, the scenario says.

use std::time::Duration;

use super::verify::matching;
use super::{Check, LogCheck, Scenario};
use crate::apply::finished;
use crate::follow::Texts;
use crate::session::Session;

/// Waits until some line is as it must be and, where lines must not be so, until all are there.
pub(super) async fn check(check: &LogCheck, scenario: &Scenario, session: &Session, left: Duration) -> Check {
    let wanted = check.matches.as_ref().map(|pattern| format!(" says {:?}", pattern.as_str()));
    let unwanted = check.never.as_ref().map(|pattern| format!(" never says {:?}", pattern.as_str()));
    let what = format!("{}{}{}", check.on, wanted.unwrap_or_default(), unwanted.unwrap_or_default());
    // A pod's text may be looked at under its UID while the pod itself is not known here yet: then it does not count yet.
    let judge = |texts: &Texts| -> Option<Result<(), String>> {
        let (uids, over) = session.observer.look(|world| {
            let found = matching(&check.on, scenario, world);
            let over = !found.is_empty()
                && found.iter().all(|record| record.gone.is_some() || finished(&record.object()["status"]).is_some());
            let uids: Vec<String> = found
                .iter()
                .filter_map(|record| record.object()["metadata"]["uid"].as_str().map(str::to_owned))
                .collect();
            (uids, over)
        });
        let concerned: Vec<_> = texts
            .iter()
            .filter(|((uid, container, _), _)| {
                uids.contains(uid) && check.container.as_ref().is_none_or(|wanted| wanted == container)
            })
            .map(|(_, text)| text)
            .collect();
        let lines = || concerned.iter().flat_map(|text| text.lines.iter());
        if let Some(line) = check.never.as_ref().and_then(|never| lines().find(|line| never.is_match(line))) {
            return Some(Err(format!("it says: {line}")));
        }
        let ended = over && !concerned.is_empty() && concerned.iter().all(|text| text.ended);
        match &check.matches {
            Some(pattern) if lines().any(|line| pattern.is_match(line)) => {
                (check.never.is_none() || ended).then_some(Ok(()))
            }
            Some(_) if ended => Some(Err("no line does".to_owned())),
            None if ended => Some(Ok(())),
            _ => None,
        }
    };
    let verdict = match tokio::time::timeout(left.max(Duration::from_millis(1)), session.follower.until(judge)).await {
        Ok(Some(verdict)) => verdict,
        _ => Err("no line did in time".to_owned()),
    };
    Check { what, passed: verdict.is_ok(), detail: verdict.err() }
}
