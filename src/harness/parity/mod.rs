//! Whether a scenario does the same in two places: the profiles of its objects are held beside each other, and every difference
//! must be listed with its cause in `fixtures/parity.yaml`. Pure functions over reports; nothing is run here.

mod profile;

use std::collections::BTreeSet;
use std::fs;
use std::io;

use regex::Regex;
use serde::{Deserialize, Deserializer, Serialize};
use tinderbox_providers::ProviderName;

use crate::e2e::E2eReport;
use crate::error::Error;
use crate::project::{Project, from_yaml};
use crate::scenario::{ScenarioReport, Verdict};

pub use profile::{Aspect, Profile, Profiles, as_list, profiles};

/// A difference that is known, and why it is there.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Allowance {
    /// Scenarios; all when absent.
    pub scenario: Option<Pattern>,
    /// Kind and name, as in `pod/*-driver`.
    pub object: Pattern,
    /// What differs.
    pub aspect: Aspect,
    /// What is seen in one place alone.
    pub value: Pattern,
    /// Why.
    pub because: String,
}

/// A text in which `*` stands for anything.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let parts: Vec<String> = text.split('*').map(regex::escape).collect();
        Regex::new(&format!("^{}$", parts.join(".*"))).map(Self).map_err(serde::de::Error::custom)
    }
}

/// The differences that the project knows of.
///
/// # Errors
/// When the file is there and cannot be read, or is wrong.
pub fn allowances(project: &Project) -> Result<Vec<Allowance>, Error> {
    let path = project.root.join("fixtures/parity.yaml");
    match fs::read_to_string(&path) {
        Ok(text) => from_yaml(&path, &text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::file("read", path)(error)),
    }
}

/// Something that is seen in one place alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// Kind and name of the object; empty for the scenario itself.
    pub object: String,
    /// What differs, as `events`; `result` for the scenario's own.
    pub aspect: &'static str,
    /// What is seen.
    pub value: String,
    /// The one place where it is.
    pub only_in: ProviderName,
    /// Why, where that is known; without it the difference is a fault.
    pub because: Option<String>,
}

/// How one scenario compares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// The scenario.
    pub scenario: String,
    /// What it came to in each place, and how long that took in milliseconds; absent where it did not run.
    pub results: Vec<Option<(Verdict, u64)>>,
    /// What is seen in one place alone.
    pub differences: Vec<Difference>,
}

/// How the places compare, each with the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Parity {
    /// The places.
    pub places: Vec<ProviderName>,
    /// The scenarios.
    pub scenarios: Vec<Row>,
}

impl Parity {
    /// The differences that nobody explained.
    pub fn faults(&self) -> impl Iterator<Item = (&str, &Difference)> {
        self.scenarios.iter().flat_map(|row| {
            let unexplained = row.differences.iter().filter(|difference| difference.because.is_none());
            unexplained.map(|difference| (row.scenario.as_str(), difference))
        })
    }
}

/// Compares the reports of several places, each with the first one.
#[must_use]
pub fn compare(reports: &[E2eReport], allowances: &[Allowance]) -> Parity {
    let places = reports.iter().map(|report| report.provider).collect();
    let Some((first, others)) = reports.split_first() else {
        return Parity { places, scenarios: Vec::new() };
    };
    let names: Vec<&String> = reports
        .iter()
        .flat_map(|report| report.scenarios.iter().map(|scenario| &scenario.name))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let scenarios = names
        .into_iter()
        .map(|name| {
            let here = first.scenario(name);
            let results = reports.iter().map(|report| report.scenario(name).map(|one| (one.verdict, one.took_ms)));
            let mut differences = Vec::new();
            for other in others {
                if let (Some(here), Some(there)) = (here, other.scenario(name)) {
                    let places = [first.provider, other.provider];
                    differences.extend(differences_of(here, there, places));
                }
            }
            for difference in &mut differences {
                difference.because = allowances
                    .iter()
                    .find(|allowance| allowance.allows(name, difference))
                    .map(|allowance| allowance.because.clone());
            }
            Row { scenario: name.clone(), results: results.collect(), differences }
        })
        .collect();
    Parity { places, scenarios }
}

impl Allowance {
    fn allows(&self, scenario: &str, difference: &Difference) -> bool {
        self.scenario.as_ref().is_none_or(|pattern| pattern.0.is_match(scenario))
            && self.aspect.as_str() == difference.aspect
            && self.object.0.is_match(&difference.object)
            && self.value.0.is_match(&difference.value)
    }
}

fn differences_of(here: &ScenarioReport, there: &ScenarioReport, places: [ProviderName; 2]) -> Vec<Difference> {
    let mut found = Vec::new();
    if here.verdict != there.verdict {
        let failed = if here.verdict == Verdict::Failed { places[0] } else { places[1] };
        let value = "failed".to_owned();
        found.push(Difference { object: String::new(), aspect: "result", value, only_in: failed, because: None });
    }
    let (none, nothing) = (Profile::new(), BTreeSet::new());
    let objects: BTreeSet<&String> = here.profiles.keys().chain(there.profiles.keys()).collect();
    for object in objects {
        let sides = [&here.profiles, &there.profiles].map(|all| all.get(object).unwrap_or(&none));
        let aspects: BTreeSet<Aspect> = sides.iter().flat_map(|side| side.keys().copied()).collect();
        for aspect in aspects {
            let [left, right] = sides.map(|side| side.get(&aspect).unwrap_or(&nothing));
            let apart = [(left.difference(right), places[0]), (right.difference(left), places[1])];
            for (values, only_in) in apart {
                found.extend(values.map(|value| Difference {
                    object: object.clone(),
                    aspect: aspect.as_str(),
                    value: value.clone(),
                    only_in,
                    because: None,
                }));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests;
