//! The scenarios of `fixtures/workflows`, each a behaviour, played. With real pods they are run by the tests of the command line.

use std::fs;
use std::path::{Path, PathBuf};

use crate::runner::{Pace, Scenario};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/workflows")
}

fn check(path: &Path) -> Result<(), String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let mut scenario = Scenario::read(&text)?;
    for file in &scenario.files {
        let text = fs::read_to_string(folder().join(file)).map_err(|error| format!("{}: {error}", file.display()))?;
        scenario.with.push(serde_yaml::from_str(&text).map_err(|error| error.to_string())?);
    }
    let run = scenario.play()?;
    let wrong: Vec<String> = scenario.complaints(&run, Pace::Played).into_iter().map(|one| one.text).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    let nodes = run.workflows[0].status.iter().flat_map(|status| status.nodes.values());
    let nodes: Vec<String> = nodes.map(|node| format!("    {} {} {:?}", node.name, node.phase, node.message)).collect();
    Err(format!("{}\n  nodes:\n{}\n  history: {:#?}", wrong.join("\n  "), nodes.join("\n"), run.history))
}

#[test]
fn every_scenario_comes_out_as_it_says() {
    let only = std::env::var("SCENARIO").ok();
    let mut paths: Vec<PathBuf> = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut failed = Vec::new();
    for path in &paths {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
            continue;
        }
        if let Err(why) = check(path) {
            failed.push(format!("{name}: {why}"));
        }
    }
    assert!(failed.is_empty(), "{} of {} failed\n{}", failed.len(), paths.len(), failed.join("\n\n"));
}
