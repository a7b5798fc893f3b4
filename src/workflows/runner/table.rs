//! The table of outcomes: what a pod or an object does, by the name of its node or its template.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use tinderbox_api::workflows::NodeStatus;

/// What a pod or an object does.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Outcome {
    /// Seconds that it takes; one, when nothing is said.
    pub takes: Option<u64>,
    /// The exit code of its main container.
    pub exit: i32,
    /// What it prints; tags are filled in with the inputs of the node.
    pub result: Option<String>,
    /// Output parameters; tags are filled in with the inputs of the node.
    pub outputs: BTreeMap<String, String>,
    /// It ends with an error that is not the container's: what is said of it.
    pub error: Option<String>,
    /// It never ends by itself.
    pub forever: bool,
    /// It is deleted by somebody instead of ending.
    pub lost: bool,
    /// It waits for a place and never gets one.
    pub unschedulable: Option<String>,
    /// What the object becomes at the end; laid over what was made.
    pub object: Option<Value>,
    /// The request for the object is refused: why.
    pub refused: Option<String>,
    /// Exit codes of the containers of a container set.
    pub containers: BTreeMap<String, i32>,
}

/// One outcome, or one for each time.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
enum Outcomes {
    Each(Vec<Outcome>),
    One(Box<Outcome>),
}

/// Outcomes by names of nodes, display names or templates; what is not named succeeds after a second.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Table(BTreeMap<String, Outcomes>);

/// What somebody does at a moment.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Moment {
    /// Seconds after the start.
    pub at: u64,
    /// A merge patch of the workflow.
    pub patch: Option<Value>,
    /// Resumes every pause.
    pub resume: bool,
    /// Supplies output parameters of pauses.
    pub supply: BTreeMap<String, String>,
    /// The controller starts anew: locks are known by statuses alone.
    pub restart: bool,
}

impl Table {
    /// The outcome of what goes by these names, the nearest first: of a node, how it is shown, its template. `times` counts how often
    /// each name was asked for.
    pub fn outcome(&self, names: &[&str], times: &mut BTreeMap<String, usize>) -> Outcome {
        let found = names.iter().find_map(|name| self.0.get(*name).map(|outcomes| (*name, outcomes)));
        match found {
            None => Outcome::default(),
            Some((_, Outcomes::One(outcome))) => (**outcome).clone(),
            Some((name, Outcomes::Each(list))) => {
                let time = times.entry(name.to_owned()).or_default();
                let outcome = list.get(*time).or(list.last()).cloned().unwrap_or_default();
                *time += 1;
                outcome
            }
        }
    }

    pub(super) fn outcome_of(&self, node: &NodeStatus, times: &mut BTreeMap<String, usize>) -> Outcome {
        let display = node.display_name.as_str();
        let plain = display.rsplit_once('(').map_or(display, |(plain, _)| plain);
        let template = match &node.template_ref {
            Some(reference) => reference.template.as_str(),
            None => node.template_name.as_deref().unwrap_or_default(),
        };
        self.outcome(&[&node.name, display, plain, template], times)
    }
}
