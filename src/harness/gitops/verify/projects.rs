//! Applications keep to their projects: where they come from, where they go, and what they bring. Pure.

use std::collections::BTreeMap;

use tinderbox_api::gitops::{AppProject, Application};
use tinderbox_gitops::project::{refuses, violations};
use tinderbox_gitops::sync::Key;

use super::{Fault, Seen, seen};
use crate::gitops::place::{Plan, is_application};

/// What is against the projects.
pub(super) fn check(plan: &Plan) -> Vec<Fault> {
    let all = seen(plan);
    let projects: BTreeMap<String, AppProject> = all
        .iter()
        .filter(|one| one.kind() == "AppProject")
        .filter_map(|one| Some((one.object.name().name, serde_json::from_value(one.object.value.clone()).ok()?)))
        .collect();
    let mut faults = Vec::new();
    for one in all.iter().filter(|one| is_application(&one.object.value)) {
        let Ok(app) = serde_json::from_value::<Application>(one.object.value.clone()) else { continue };
        let name = if app.spec.project.is_empty() { "default" } else { &app.spec.project };
        let Some(project) = projects.get(name) else {
            if name != "default" {
                let message = format!("Application referencing project {name} which does not exist");
                faults.push(one.fault("spec.project", "permitted", message));
            }
            continue;
        };
        faults.extend(violations(project, &app).into_iter().map(|wrong| {
            let field = if wrong.contains("repo") { "spec.source.repoURL" } else { "spec.destination.namespace" };
            one.fault(field, "permitted", wrong)
        }));
        let child = plan.children.iter().find(|child| child.name == one.object.name().name);
        for object in child.into_iter().flat_map(|child| &child.objects) {
            let seen = Seen { application: &one.object.name().name, object };
            let refused = refuses(project, &app, &Key::of(&object.value));
            faults.extend(refused.map(|wrong| seen.fault("kind", "permitted", wrong)));
        }
    }
    faults
}
