//! `doctor`: tries what the machine must be able to do, and says for each lack the command that mends it. It mends nothing itself.

mod machine;
mod programs;

use serde::Serialize;

use crate::project::Project;

/// How much is lost when it is lacking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// Nothing works without it.
    Required,
    /// Something is better with it.
    Optional,
}

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What was tried.
    pub what: &'static str,
    /// How much depends on it.
    pub need: Need,
    /// It is as it should be.
    pub good: bool,
    /// What was found.
    pub found: String,
    /// What to do about a lack.
    pub mend: Option<String>,
}

impl Finding {
    fn good(what: &'static str, need: Need, found: impl Into<String>) -> Self {
        Self { what, need, good: true, found: found.into(), mend: None }
    }

    fn lack(what: &'static str, need: Need, found: impl Into<String>, mend: Option<String>) -> Self {
        Self { what, need, good: false, found: found.into(), mend }
    }
}

/// All that was tried.
#[derive(Debug, Clone, Serialize)]
pub struct DoctorReport {
    /// The findings, in the order in which they were made.
    pub findings: Vec<Finding>,
}

impl DoctorReport {
    /// Whether nothing required is lacking.
    #[must_use]
    pub fn fit(&self) -> bool {
        self.findings.iter().all(|finding| finding.good || finding.need == Need::Optional)
    }
}

/// Tries everything; a lack is a finding and never an error.
pub async fn doctor(project: &Project) -> DoctorReport {
    let (place, groups, java, python, engine, kind, orphans) = tokio::join!(
        machine::place(),
        machine::groups(),
        programs::java(),
        programs::python(),
        programs::engine(),
        programs::kind(),
        programs::orphans(project)
    );
    let mut findings = vec![place, groups, java, python];
    findings.extend(machine::limits(project));
    findings.push(machine::port(project).await);
    findings.push(programs::kubectl().await);
    findings.push(programs::prometheus().await);
    findings.extend([engine, kind]);
    findings.extend(orphans);
    findings.push(programs::contexts());
    DoctorReport { findings }
}
