//! A chart and the local charts that it depends on, copied out of a tree.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Helm, Stage, schema};
use crate::error::{Error, Result};
use crate::tree::{self, Tree};

/// How a dependency says that it is a folder.
const LOCAL: &str = "file://";

/// A chart in a folder of the repository.
pub(super) struct Chart {
    /// Its name.
    pub(super) name: String,
    /// Its folder.
    pub(super) dir: PathBuf,
    /// How people are told of it.
    pub(super) shown: PathBuf,
    /// Charts in other folders that it depends on, by their names.
    pub(super) local: Vec<Chart>,
    /// Some of them are not among its files.
    lacks: bool,
}

impl Chart {
    /// Copies a chart, and those that it depends on by folder.
    ///
    /// # Errors
    /// When a file cannot be read, or a dependency is neither among its files nor a folder of the repository.
    pub(super) fn put(tree: &dyn Tree, dir: &Path, stage: &Stage, validated: bool) -> Result<Self> {
        Self::below(tree, dir, stage, validated, &mut Vec::new())
    }

    fn below(tree: &dyn Tree, dir: &Path, stage: &Stage, validated: bool, above: &mut Vec<PathBuf>) -> Result<Self> {
        let shown = tree.show(dir);
        if above.iter().any(|one| one == dir) {
            return Err(Error::at(shown.display(), "the chart depends on itself"));
        }
        let about = read(tree, &dir.join("Chart.yaml"))?;
        let name = about["name"].as_str().unwrap_or_default().to_owned();
        let files = tree.files(dir, true)?;
        for file in &files {
            let Some(content) = tree.read(file)? else {
                let wrong = "a link to a folder: charts are copied without what such links lead to";
                return Err(Error::at(tree.show(file).display(), wrong));
            };
            if validated {
                schema::check(&tree.show(file), &content)?;
            }
            stage.put(file, &content)?;
        }
        let mut chart = Self { name, dir: dir.to_owned(), shown, local: Vec::new(), lacks: false };
        above.push(dir.to_owned());
        for dependency in dependencies(tree, dir, &about)? {
            let text = |field: &str| dependency[field].as_str().unwrap_or_default();
            let (name, repository) = (text("name"), text("repository"));
            let is_there = has(&files, dir, name);
            if let Some(path) = repository.strip_prefix(LOCAL) {
                let to = tree::join(dir, Path::new(path)).filter(|to| tree.is_dir(to)).ok_or_else(|| {
                    let wrong = format!("the dependency {name} is no folder of this repository: {repository}");
                    Error::at(chart.shown.display(), wrong)
                })?;
                if !is_there {
                    chart.lacks = true;
                    chart.local.push(Self::below(tree, &to, stage, validated, above)?);
                }
            } else if !is_there {
                let wrong = format!(
                    "the dependency {name} of {repository} is not in charts/, and no charts are fetched here: run \
                     `helm dependency build` and put what it brings into the repository"
                );
                return Err(Error::at(chart.shown.display(), wrong));
            }
        }
        above.pop();
        Ok(chart)
    }

    /// Packs the local charts that are not among the files of the chart, as its lock has them.
    ///
    /// # Errors
    /// When the lock says something else than the chart.
    pub(super) fn bring_dependencies(&self, stage: &Stage, helm: &Helm) -> Result<()> {
        for chart in &self.local {
            chart.bring_dependencies(stage, helm)?;
        }
        if self.lacks {
            let dir = stage.root().join(&self.dir).to_string_lossy().into_owned();
            let words = ["dependency", "build", "--skip-refresh", &dir].map(str::to_owned);
            helm.run(stage, &self.shown, &words)?;
        }
        Ok(())
    }
}

/// What a chart says that it depends on: in its own file, or in one of its own where it is of the first version.
fn dependencies(tree: &dyn Tree, dir: &Path, about: &Value) -> Result<Vec<Value>> {
    let list = |value: &Value| value["dependencies"].as_array().cloned().unwrap_or_default();
    let own = list(about);
    let other = dir.join("requirements.yaml");
    if !own.is_empty() || tree.read(&other)?.is_none() {
        return Ok(own);
    }
    Ok(list(&read(tree, &other)?))
}

/// Whether a chart of this name is among the files of another one, as a folder or packed.
fn has(files: &[PathBuf], dir: &Path, name: &str) -> bool {
    let charts = dir.join("charts");
    files.iter().filter_map(|file| file.strip_prefix(&charts).ok()).any(|file| {
        let first = file.components().next().map(|first| first.as_os_str().to_string_lossy().into_owned());
        first.is_some_and(|first| first == name || first.starts_with(&format!("{name}-")) && first.ends_with(".tgz"))
    })
}

fn read(tree: &dyn Tree, path: &Path) -> Result<Value> {
    let text = tree::text(tree, path)?;
    let shown = tree.show(path);
    let documents = tinderbox_api::manifest::load(&text)
        .map_err(|error| Error::at(format!("{}:{}:{}", shown.display(), error.line, error.column), error.message))?;
    Ok(documents.into_iter().next().map(|document| document.value).unwrap_or_default())
}
