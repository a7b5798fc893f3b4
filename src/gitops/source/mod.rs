//! Sources of applications as objects: folders of manifests, kustomizations and charts, of the working tree or of a revision.
//! Upstream rule: `reposerver/repository` of argoproj/argo-cd.

mod directory;
mod git;
mod helm;
pub mod home;
mod overlay;
mod range;
mod remote;
mod request;
pub mod traced;

use std::path::Path;

use tinderbox_api::gitops::ApplicationSource;

pub use git::{Commit, DIRTY, GitTree, Repository};
pub use helm::Helm;
pub use home::Home;
pub use remote::{Found, Remotes};
pub use request::Request;

use crate::error::{Error, Result};
use crate::kustomize;
use crate::manifest::Object;
use crate::tree::{self, Tree};

/// How a source is rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceType {
    /// Plain manifests.
    Directory,
    /// A kustomization.
    Kustomize,
    /// A chart.
    Helm,
}

impl SourceType {
    /// The word of `status.sourceType`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Directory => "Directory",
            Self::Kustomize => "Kustomize",
            Self::Helm => "Helm",
        }
    }
}

/// Which way a source is rendered: as its options say, or as the files in its folder say.
///
/// # Errors
/// When the options contradict each other, or the tree cannot be read.
pub fn type_of(tree: &dyn Tree, source: &ApplicationSource) -> Result<SourceType> {
    let said = [
        (source.kustomize.is_some(), SourceType::Kustomize),
        (source.helm.is_some() || !source.chart.is_empty(), SourceType::Helm),
        (source.directory.is_some(), SourceType::Directory),
    ];
    let said: Vec<SourceType> = said.into_iter().filter(|(is, _)| *is).map(|(_, of)| of).collect();
    match said.as_slice() {
        [] => {
            let dir = folder(tree, source)?;
            if tree.read(&dir.join("Chart.yaml"))?.is_some() {
                Ok(SourceType::Helm)
            } else if kustomize::file_in(tree, &dir)?.is_some() {
                Ok(SourceType::Kustomize)
            } else {
                Ok(SourceType::Directory)
            }
        }
        [one] => Ok(*one),
        [one, two, ..] => Err(Error::at(
            &source.path,
            format!("the source has options for {} and for {}: leave one of them out", one.as_str(), two.as_str()),
        )),
    }
}

/// The objects of a source in its tree, and how they were rendered. Whatever its revision is, the tree is that of it.
///
/// # Errors
/// When a file is broken or the source asks for what cannot be rendered here.
pub fn render(tree: &dyn Tree, request: &Request, helm: &Helm) -> Result<(SourceType, Vec<Object>)> {
    let source = &request.source;
    let of = type_of(tree, source)?;
    if !source.chart.is_empty() {
        let wrong = "charts of Helm's repositories are not fetched here: put the chart into a repository of git, and name its path";
        return Err(Error::at(&source.chart, wrong));
    }
    let dir = folder(tree, source)?;
    if !tree.is_dir(&dir) {
        return Err(Error::at(tree.show(&dir).display(), "app path does not exist"));
    }
    if source.plugin.is_some() {
        return Err(Error::at(&source.path, "plugins are not run here: render by kustomize, or as plain manifests"));
    }
    let objects = match of {
        SourceType::Directory => directory::render(tree, &dir, source.directory.as_ref())?,
        SourceType::Kustomize => match &source.kustomize {
            Some(options) => overlay::render(tree, &dir, options)?,
            None => kustomize::render(tree, &dir)?,
        },
        SourceType::Helm => helm::render(tree, &dir, request, helm)?,
    };
    Ok((of, objects))
}

fn folder(tree: &dyn Tree, source: &ApplicationSource) -> Result<std::path::PathBuf> {
    let path = Path::new(source.path.trim_start_matches('/'));
    tree::join(path, Path::new(""))
        .ok_or_else(|| Error::at(&source.path, format!("it leads out of {}", tree.show(Path::new("")).display())))
}

#[cfg(test)]
mod tests;
