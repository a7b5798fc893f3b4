//! Reports as tables for people. Pure functions from a report to text.

mod dashboards;
mod gitops;
mod runs;
mod workflows;

use comfy_table::{Table, presets};
use tinderbox::bench::BenchReport;
use tinderbox::conformance::ConformanceReport;
use tinderbox::console::ConsoleReport;
use tinderbox::demo::DemoReport;
use tinderbox::doctor::{DoctorReport, Need};
use tinderbox::export::ExportReport;
use tinderbox::image::{LoadReport, NodeImage, Pruned, Stored};
use tinderbox::kubectl::Access;
use tinderbox::nodes::{NodeLine, PowerReport};
use tinderbox::providers::Arrival;
use tinderbox::providers::embedded::snapshot::Snapshot;
use tinderbox::report::duration;
use tinderbox::scenario::Verdict;
use tinderbox::snapshot::{RestoreReport, SaveReport};
use tinderbox::status::{Line, StatusReport};
use tinderbox::up::{DownReport, UpPlan, UpReport};

pub(crate) use dashboards::{dashboards, imported};
pub(crate) use gitops::{app, diff, rendered, synced, verified};
pub(crate) use runs::{e2e, everywhere, inquiry, run};
pub(crate) use workflows::{linted, tested, workflow, workflows};

/// A table as kubectl draws it: columns, no lines.
pub(crate) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 3));
    }
    table.to_string().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// What `up` brought.
pub(crate) fn up(report: &UpReport) -> String {
    let how = match report.arrival {
        Arrival::New => "is up",
        Arrival::Continued => "is up again, with all that it had",
        Arrival::Already => "is up already",
    };
    let mut text = format!(
        "cluster {} {how} (ready in {}, platform in {})\n  API         {}\n  kubeconfig  {}\n  context     {}",
        report.cluster,
        duration(report.ready_ms),
        duration(report.took_ms.saturating_sub(report.ready_ms)),
        report.server,
        report.kubeconfig.display(),
        report.context,
    );
    if let Some(ingress) = &report.ingress {
        text.push_str(&format!("\n  Ingress     {ingress}"));
    }
    if let Some(console) = &report.console {
        text.push_str(&format!("\n  console     {console}"));
    }
    for note in &report.notes {
        text.push_str(&format!("\nnote: {note}"));
    }
    text
}

/// The link alone, for a browser.
pub(crate) fn console(report: &ConsoleReport) -> String {
    report.console.clone()
}

/// How long the tour took.
pub(crate) fn demo(report: &DemoReport) -> String {
    format!("{} chapters in {}", report.chapters.len(), duration(report.took_ms))
}

/// A line for `eval`, whatever is in the path.
pub(crate) fn export_line(access: &Access) -> String {
    let quoted = access.kubeconfig.display().to_string().replace('\'', r"'\''");
    format!("export KUBECONFIG='{quoted}'")
}

/// The path alone, as for `KUBECONFIG=$(cargo xtask kubeconfig)`.
pub(crate) fn path_of_kubeconfig(access: &Access) -> String {
    access.kubeconfig.display().to_string()
}

/// What `up` would do.
pub(crate) fn plan(plan: &UpPlan) -> String {
    let mut text = format!("cluster {} in {}: {}", plan.cluster, plan.folder.display(), plan.found);
    for step in &plan.steps {
        text.push_str(&format!("\n  {step}"));
    }
    text
}

/// A snapshot that was taken.
pub(crate) fn saved(report: &SaveReport) -> String {
    let SaveReport { snapshot, took_ms } = report;
    let (name, cluster, size) = (&snapshot.name, &snapshot.cluster, mebibytes(snapshot.size));
    format!("snapshot {name} of cluster {cluster}: {size} in {}", duration(*took_ms))
}

/// A cluster that came of a snapshot.
pub(crate) fn restored(report: &RestoreReport) -> String {
    let of = format!("snapshot {} of cluster {}", report.snapshot.name, report.snapshot.cluster);
    format!("{of}, copied in {}\n{}", duration(report.copied_ms), up(&report.up))
}

/// The snapshots that there are.
pub(crate) fn snapshots(all: &[Snapshot]) -> String {
    if all.is_empty() {
        return "there are no snapshots".to_owned();
    }
    let row =
        |one: &Snapshot| vec![one.name.clone(), one.cluster.clone(), format!("{:.0}", one.taken), mebibytes(one.size)];
    table(&["SNAPSHOT", "CLUSTER", "TAKEN", "SIZE"], all.iter().map(row))
}

/// A snapshot that was removed.
pub(crate) fn snapshot_gone(snapshot: &Snapshot) -> String {
    format!("snapshot {} is gone", snapshot.name)
}

/// A quantity for people: a node says all that the machine has in KiB.
fn memory(quantity: &str) -> String {
    let kib = quantity.strip_suffix("Ki").and_then(|number| number.parse::<u64>().ok());
    kib.map_or_else(|| quantity.to_owned(), |kib| format!("{}Mi", kib >> 10))
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

/// What `down` took away.
pub(crate) fn down(reports: &[DownReport]) -> String {
    if reports.is_empty() {
        return "there are no clusters".to_owned();
    }
    let lines: Vec<String> = reports
        .iter()
        .map(|report| {
            let took = duration(report.took_ms);
            let notes: String = report.notes.iter().map(|note| format!("\n  {note}")).collect();
            let gone = match (report.existed, report.killed) {
                (false, _) => format!("cluster {}: there is nothing to take away", report.cluster),
                (true, false) => format!("cluster {} is gone ({took})", report.cluster),
                (true, true) => {
                    format!("cluster {} is gone; its node process had to be killed ({took})", report.cluster)
                }
            };
            gone + &notes
        })
        .collect();
    lines.join("\n")
}

/// The nodes of a cluster.
pub(crate) fn nodes(nodes: &[NodeLine]) -> String {
    table(
        &["NODE", "POOL", "STATE", "ADDRESS", "CPU", "MEMORY", "PODS", "TAINTS"],
        nodes.iter().map(|node| {
            let mut state = node.state.to_owned();
            if node.cordoned {
                state.push_str(", cordoned");
            }
            if !node.power {
                state.push_str(", killed");
            }
            let pods = node.pods.to_string();
            let taints = node.taints.join(" ");
            let text = |text: &String| text.clone();
            vec![
                text(&node.name),
                text(&node.pool),
                state,
                text(&node.address),
                text(&node.cpu),
                memory(&node.memory),
                pods,
                taints,
            ]
        }),
    )
}

/// What killing or starting a node came to.
pub(crate) fn power(report: &PowerReport) -> String {
    let PowerReport { node, power, already, took_ms, next } = report;
    let took = duration(*took_ms);
    match (already, power) {
        (true, true) => format!("node {node} runs already"),
        (true, false) => format!("node {node} is killed already"),
        (false, true) => format!("node {node} is ready ({took}): {next}"),
        (false, false) => format!("node {node} is killed ({took}): {next}"),
    }
}

/// What there is of a cluster.
pub(crate) fn status(report: &StatusReport) -> String {
    let mut text = match report.state {
        "nothing" => format!("cluster {}: there is none", report.cluster),
        state => format!("cluster {}: {state}", report.cluster),
    };
    if let Some(server) = &report.server {
        text.push_str(&format!("\n  API     {server} ({})", report.version.as_deref().unwrap_or("unknown version")));
    }
    if let Some(ingress) = &report.ingress {
        text.push_str(&format!("\n  Ingress {ingress}"));
    }
    if let Some(console) = &report.console {
        text.push_str(&format!("\n  console {console}"));
    }
    if let Some(pid) = report.pid {
        let memory = report.resident.map(|bytes| format!(", {} MiB resident", bytes >> 20)).unwrap_or_default();
        text.push_str(&format!("\n  node    process {pid}{memory}"));
    }
    if let Some(pid) = report.platform_pid {
        text.push_str(&format!("\n  platform process {pid}"));
    }
    if !report.nodes.is_empty() {
        text.push_str("\n\n");
        text.push_str(&objects("NODE", &report.nodes));
    }
    if !report.synced.is_empty() {
        text.push_str("\n\n");
        text.push_str(&gitops::applications(&report.synced));
    }
    for (kind, lines) in [("APPLICATION", &report.applications), ("JOB", &report.jobs), ("POD", &report.pods)] {
        if !lines.is_empty() {
            text.push_str("\n\n");
            text.push_str(&objects(kind, lines));
        }
    }
    let unsynced = report.synced.iter().flat_map(|line| &line.problems).map(String::as_str);
    let problems: Vec<&str> = [&report.applications, &report.jobs, &report.pods]
        .into_iter()
        .flatten()
        .flat_map(|line| &line.problems)
        .map(String::as_str)
        .chain(unsynced)
        .collect();
    if !problems.is_empty() {
        text.push_str(&format!("\n\nproblems:\n  {}", problems.join("\n  ")));
    }
    if !report.others.is_empty() {
        text.push_str(&format!("\n\nother clusters of this project: {}", report.others.join(", ")));
    }
    text
}

fn objects(kind: &str, lines: &[Line]) -> String {
    table(
        &["NAMESPACE", kind, "STATE"],
        lines.iter().map(|line| {
            let namespace = if line.namespace.is_empty() { "-".to_owned() } else { line.namespace.clone() };
            vec![namespace, line.name.clone(), line.state.clone()]
        }),
    )
}

/// What the doctor found.
pub(crate) fn doctor(report: &DoctorReport) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let mark = match (finding.good, finding.need) {
            (true, _) => "good",
            (false, Need::Required) => "LACK",
            (false, Need::Optional) => "note",
        };
        text.push_str(&format!("{mark}  {}: {}\n", finding.what, finding.found));
        if let Some(mend) = &finding.mend {
            text.push_str(&format!("      to mend it: {}\n", mend.replace('\n', "\n      ")));
        }
    }
    text.push_str(if report.fit() { "this machine is fit" } else { "something needed is lacking" });
    text
}

/// The images that came.
pub(crate) fn loaded(report: &LoadReport) -> String {
    let line = |image: &tinderbox::providers::embedded::images::Record| {
        format!("loaded {} ({})", image.names.join(", "), image.id)
    };
    let node = |one: &NodeImage| {
        let NodeImage { image, layers, moved, bytes, took_ms } = one;
        let (size, took) = (mebibytes(*bytes), duration(*took_ms));
        match layers {
            0 => format!("loaded {image} into the nodes: {size} in {took}"),
            _ => format!("loaded {image} into the nodes: {moved} of {layers} layers, {size} in {took}"),
        }
    };
    report.loaded.iter().map(line).chain(report.nodes.iter().map(node)).collect::<Vec<_>>().join("\n")
}

/// The images of the store, a line per name.
pub(crate) fn images(list: &[Stored]) -> String {
    if list.is_empty() {
        return "there are no images".to_owned();
    }
    let rows = list.iter().flat_map(|stored| {
        let image = &stored.record;
        let names = if image.names.is_empty() { vec!["<none>".to_owned()] } else { image.names.clone() };
        names.into_iter().map(move |name| {
            let origin = format!("{:?}", image.origin).to_lowercase();
            let used = if stored.in_use { "in use" } else { "-" };
            let id = image.id.hex()[..12].to_owned();
            vec![name, id, size(image.size), image.layers.len().to_string(), origin, used.to_owned()]
        })
    });
    table(&["NAME", "ID", "SIZE", "LAYERS", "CAME", "USED"], rows)
}

/// What went.
pub(crate) fn pruned(report: &Pruned) -> String {
    let mut lines: Vec<String> = report.removed.iter().map(|name| format!("removed {name}")).collect();
    lines.push(format!("{} are free again", size(report.freed)));
    lines.join("\n")
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}

/// What went into an archive.
pub(crate) fn export(report: &ExportReport) -> String {
    let mut text = format!("{} holds {} files", report.file.display(), report.entries.len());
    for missing in &report.missing {
        text.push_str(&format!("\nnot in it: {missing}"));
    }
    text
}

/// The figures beside their limits.
pub(crate) fn bench(report: &BenchReport) -> String {
    let number =
        |value: f64, unit: &str| if unit == "times" { format!("{value:.2}") } else { format!("{value:.0} {unit}") };
    let rows = report.figures.iter().map(|figure| {
        let verdict = match (figure.limit, figure.within) {
            (None, _) => "",
            (Some(_), true) => "within",
            (Some(_), false) => "OVER",
        };
        vec![
            figure.name.to_owned(),
            number(figure.value, figure.unit),
            figure.limit.map_or_else(|| "-".to_owned(), |limit| number(limit, figure.unit)),
            verdict.to_owned(),
            if figure.detail.is_empty() {
                figure.what.to_owned()
            } else {
                format!("{}: {}", figure.what, figure.detail)
            },
        ]
    });
    table(&["FIGURE", "VALUE", "LIMIT", "", "WHAT"], rows)
}

/// The specs that failed, and the score.
pub(crate) fn conformance(report: &ConformanceReport) -> String {
    let mut text = String::new();
    for spec in report.specs.iter().filter(|spec| spec.verdict == Verdict::Failed) {
        let message = spec.message.as_deref().unwrap_or_default().trim();
        let first = message.lines().next().unwrap_or_default();
        text.push_str(&format!("FAILED {}\n       {first}\n", spec.name));
    }
    let (passed, failed, took) = (report.passed, report.failed, duration(report.took_ms));
    text.push_str(&format!("{passed} passed, {failed} failed in {took}; the log is in {}", report.log.display()));
    text
}
