//! What is printed of workflows: lists, and trees as the argo command draws them.

use tinderbox::workflow::{LintReport, NodeLine, TestReport, WorkflowLine, WorkflowReport};

use super::table;

/// All workflows.
pub(crate) fn workflows(all: &[WorkflowLine]) -> String {
    if all.is_empty() {
        return "there are no workflows".to_owned();
    }
    let rows = all.iter().map(|one| {
        let WorkflowLine { namespace, name, phase, progress, seconds: took, message } = one;
        vec![namespace.clone(), name.clone(), phase.clone(), progress.clone(), seconds(*took), message.clone()]
    });
    table(&["NAMESPACE", "NAME", "STATUS", "PROGRESS", "DURATION", "MESSAGE"], rows)
}

/// One workflow with its tree.
pub(crate) fn workflow(report: &WorkflowReport) -> String {
    let WorkflowReport { line, parameters, nodes } = report;
    let phase = if line.phase.is_empty() { "not looked at yet" } else { &line.phase };
    let mut text = format!("workflow {} in {}: {phase}", line.name, line.namespace);
    for (before, said) in [(", ", &line.progress), (", ", &seconds(line.seconds)), (": ", &line.message)] {
        if !said.is_empty() {
            text.push_str(&format!("{before}{said}"));
        }
    }
    for parameter in parameters {
        text.push_str(&format!("\n  {parameter}"));
    }
    if nodes.is_empty() {
        return text;
    }
    let mut open: Vec<bool> = Vec::new();
    let rows = nodes.iter().map(|node| {
        open.truncate(node.depth.saturating_sub(1));
        let mut branch: String = open.iter().map(|goes_on| if *goes_on { "│ " } else { "  " }).collect();
        if node.depth > 0 {
            branch.push_str(if node.last { "└─" } else { "├─" });
            open.push(!node.last);
        }
        let step = format!("{branch}{} {}", sign(node), node.name);
        let pod = node.pod.clone().unwrap_or_default();
        vec![step, node.template.clone(), pod, seconds(node.seconds), node.message.clone()]
    });
    format!("{text}\n\n{}", table(&["STEP", "TEMPLATE", "PODNAME", "DURATION", "MESSAGE"], rows))
}

/// What was linted.
pub(crate) fn linted(report: &LintReport) -> String {
    let lines = report.objects.iter().map(|one| match &one.problem {
        None => format!("{} {}: good", one.kind, one.name),
        Some(problem) => format!("{} {}: {problem}\n  {}", one.kind, one.name, one.origin),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// What was played.
pub(crate) fn tested(report: &TestReport) -> String {
    let mut lines = Vec::new();
    for one in &report.scenarios {
        let sign = if one.complaints.is_empty() { "✔" } else { "✖" };
        lines.push(format!("{sign} {}: {}", one.name, one.about));
        lines.extend(one.complaints.iter().map(|wrong| format!("    {}", wrong.text)));
        if !one.complaints.is_empty() {
            lines
                .extend(one.nodes.iter().map(|node| format!("    {} {} in {} s", node.name, node.phase, node.seconds)));
        }
    }
    let failed = report.scenarios.iter().filter(|one| !one.complaints.is_empty()).count();
    lines.push(format!("{} scenario(s), {failed} failed", report.scenarios.len()));
    lines.join("\n")
}

fn seconds(took: Option<i64>) -> String {
    match took {
        None => String::new(),
        Some(took) if took >= 60 => format!("{}m {}s", took / 60, took % 60),
        Some(took) => format!("{took}s"),
    }
}

/// The sign of a node's phase.
fn sign(node: &NodeLine) -> &'static str {
    match (node.phase.as_str(), node.r#type.as_str()) {
        ("Succeeded", _) => "✔",
        ("Failed", _) => "✖",
        ("Error", _) => "⚠",
        ("Running", "Suspend") => "ǁ",
        ("Running", _) => "●",
        ("Pending", _) => "◷",
        _ => "○",
    }
}
