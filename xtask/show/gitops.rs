//! What is printed of applications: lists, one of them, syncs, differences and rendered objects.

use tinderbox::event::ObjectName;
use tinderbox::gitops::{
    AppLine, AppReport, Change, CommitLine, DiffReport, Difference, RenderReport, Rendered, SyncReport, VerifyReport,
    short,
};
use tinderbox::report::duration;

use super::table;

/// All applications.
pub(super) fn applications(all: &[AppLine]) -> String {
    let rows = all.iter().map(|one| vec![one.name.clone(), one.sync.clone(), one.health.clone(), short(&one.revision)]);
    table(&["SYNCED", "SYNC", "HEALTH", "REVISION"], rows)
}

/// One application.
pub(crate) fn app(report: &AppReport) -> String {
    let AppReport { line, path, commit, operation, changed, objects, history } = report;
    let mut text = format!("application {}: {}, {}", line.name, line.sync, line.health);
    text.push_str(&format!("\n  source    {path}\n  revision  {}", line.revision));
    if let Some(CommitLine { author, date, subject }) = commit {
        text.push_str(&format!("\n  commit    {subject}\n  author    {author}, {date}"));
    }
    if let Some(one) = operation {
        let when = one.finished.as_ref().or(one.started.as_ref()).cloned().unwrap_or_default();
        text.push_str(&format!("\n  sync      {} by {} at {when}: {}", one.phase, one.by, one.message));
    }
    for problem in &line.problems {
        text.push_str(&format!("\n  problem   {problem}"));
    }
    if !changed.is_empty() {
        text.push_str("\n\nwhat the last sync changed:");
        changed.iter().for_each(|one| text.push_str(&format!("\n  {}", heading(one))));
    }
    if !objects.is_empty() {
        let row = |one: &tinderbox::gitops::ObjectLine| {
            let health = if one.health.is_empty() { "-".to_owned() } else { one.health.clone() };
            vec![named(&one.object), one.sync.clone(), health, one.origin.clone().unwrap_or_else(|| "-".to_owned())]
        };
        text.push_str("\n\n");
        text.push_str(&table(&["OBJECT", "SYNC", "HEALTH", "ORIGIN"], objects.iter().map(row)));
    }
    if !history.is_empty() {
        let row = |one: &tinderbox::gitops::HistoryLine| {
            let subject = one.commit.as_ref().map(|commit| commit.subject.clone()).unwrap_or_default();
            vec![
                one.id.to_string(),
                short(&one.revision),
                one.deployed.clone().unwrap_or_default(),
                one.by.clone(),
                subject,
            ]
        };
        text.push_str("\n\n");
        text.push_str(&table(&["ID", "REVISION", "SYNCED AT", "BY", "COMMIT"], history.iter().map(row)));
    }
    text
}

/// What syncs came to.
pub(crate) fn synced(report: &SyncReport) -> String {
    let mut text = String::new();
    for one in &report.applications {
        text.push_str(&format!(
            "application {}: {} at {}: {}\n",
            one.name,
            one.phase,
            short(&one.revision),
            one.message
        ));
        let odd = one.resources.iter().filter(|resource| resource.status != "Synced");
        odd.for_each(|resource| {
            text.push_str(&format!("  {} {}: {}\n", named(&resource.object), resource.status, resource.message));
        });
    }
    text.push_str(&format!("{} synced in {}", count(report.applications.len()), duration(report.took_ms)));
    text
}

fn count(applications: usize) -> String {
    if applications == 1 { "1 application".to_owned() } else { format!("{applications} applications") }
}

/// What differs.
pub(crate) fn diff(report: &DiffReport) -> String {
    let DiffReport { from, to, differences } = report;
    if differences.is_empty() {
        return format!("{from} and {to}: no differences");
    }
    // What is on one side alone is told by its place: all of its lines would differ.
    let each = differences.iter().map(|one| match one.change {
        Change::Changed => format!("{}\n{}", heading(one), one.diff),
        Change::Added | Change::Removed => heading(one),
    });
    let count = differences.len();
    format!(
        "{}\n{from} and {to}: {count} {}",
        each.collect::<Vec<_>>().join("\n"),
        if count == 1 { "object differs" } else { "objects differ" }
    )
}

/// Which object differs, how, and where it stands.
fn heading(one: &Difference) -> String {
    let word = match one.change {
        Change::Added => "added",
        Change::Removed => "removed",
        Change::Changed => "changed",
    };
    let places: Vec<&str> = [&one.from, &one.to].into_iter().flatten().map(String::as_str).collect();
    let places = if places.len() == 2 && places[0] == places[1] { places[0].to_owned() } else { places.join(" and ") };
    let by = if one.application.is_empty() { String::new() } else { format!(" of {}", one.application) };
    format!(
        "{}{by} {word}{}",
        named(&one.object),
        if places.is_empty() { String::new() } else { format!(": {places}") }
    )
}

fn named(object: &ObjectName) -> String {
    if object.namespace.is_empty() { object.to_string() } else { format!("{object} in {}", object.namespace) }
}

/// The objects of a place, as a file of many documents.
pub(crate) fn rendered(report: &RenderReport) -> String {
    report.objects.iter().map(Rendered::text).collect::<String>().trim_end().to_owned()
}

/// What is wrong with a place.
pub(crate) fn verified(report: &VerifyReport) -> String {
    let VerifyReport { place, objects, faults, took_ms } = report;
    let took = duration(*took_ms);
    let lines = faults.iter().map(|fault| {
        let object = fault.object.as_ref().map(|object| format!("{}: ", named(object))).unwrap_or_default();
        format!("{}: {object}{} ({})\n", fault.origin, fault.message, fault.rule)
    });
    let text: String = lines.collect();
    match faults.len() {
        0 => format!("{place}: {objects} objects, nothing wrong ({took})"),
        1 => format!("{text}{place}: {objects} objects, 1 fault ({took})"),
        count => format!("{text}{place}: {objects} objects, {count} faults ({took})"),
    }
}
