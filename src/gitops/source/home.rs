//! Which repositories a working tree stands for, and where the others come from.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tinderbox_api::gitops::{GROUP, GitGenerator};

use super::git::Repository;
use super::helm::Helm;
use super::remote::Remotes;
use super::{Request, SourceType, render};
use crate::error::Result;
use crate::kustomize;
use crate::manifest::Object;
use crate::set::Look;
use crate::sync::Key;
use crate::tree::{Memory, Tree};

/// The URLs of one tree, the repositories of all others, and the commands that render.
#[derive(Debug, Clone, Default)]
pub struct Home {
    /// Others than these are fetched; nothing where every URL is that of the tree.
    urls: Option<BTreeSet<String>>,
    remotes: Option<Remotes>,
    /// What renders charts.
    pub helm: Helm,
}

impl Home {
    /// A tree that stands for these URLs; other repositories are fetched.
    #[must_use]
    pub fn of(urls: BTreeSet<String>, remotes: Remotes) -> Self {
        Self { urls: Some(urls), remotes: Some(remotes), ..Self::default() }
    }

    /// The repositories of a URL that is not that of the tree.
    #[must_use]
    pub fn elsewhere(&self, url: &str) -> Option<&Remotes> {
        let is_own = self.urls.as_ref().is_none_or(|own| own.contains(&plain(url)));
        self.remotes.as_ref().filter(|_| !is_own)
    }

    /// Looks at the tree that a generator names: this one, or that of another repository.
    ///
    /// # Errors
    /// Those of the look, or when a repository does not answer.
    pub fn look(&self, tree: &dyn Tree, git: &GitGenerator, look: &mut Look<'_>) -> Result<()> {
        match self.elsewhere(&git.repo_url) {
            None => look(tree),
            Some(remotes) => look(&remotes.find(&git.repo_url, &git.revision, "", false)?.tree()?),
        }
    }

    /// The objects of a source at a revision of this repository, or of another one.
    ///
    /// # Errors
    /// As [`Self::render`], or when there is no such revision.
    pub fn render_at(&self, repository: &Repository, request: &Request) -> Result<(SourceType, Vec<Object>)> {
        let source = &request.source;
        match self.elsewhere(&source.repo_url) {
            Some(_) => self.render(&Memory::default(), request),
            None => {
                render(&repository.tree(&repository.find(request.asked(), &source.tag_prefix)?)?, request, &self.helm)
            }
        }
    }

    /// The objects of a source: of this tree, or of another repository.
    ///
    /// # Errors
    /// As [`render`], or when a repository does not answer.
    pub fn render(&self, tree: &dyn Tree, request: &Request) -> Result<(SourceType, Vec<Object>)> {
        let source = &request.source;
        match self.elsewhere(&source.repo_url).filter(|_| source.chart.is_empty()) {
            None => render(tree, request, &self.helm),
            Some(remotes) => {
                let found = remotes.find(&source.repo_url, request.asked(), &source.tag_prefix, request.again)?;
                render(&found.tree()?, request, &self.helm)
            }
        }
    }
}

/// The URLs that a working tree stands for: those of the repositories that it is a clone of, and those that the Applications name which
/// are applied by hand, in the folders below `roots`.
#[must_use]
pub fn urls(repository: &Repository, tree: &dyn Tree, roots: &Path) -> BTreeSet<String> {
    let folders: Vec<PathBuf> = tree.children(roots).unwrap_or_default().iter().map(|name| roots.join(name)).collect();
    // Of a root that is broken somebody else tells.
    let objects = folders.iter().filter_map(|dir| {
        kustomize::file_in(tree, dir).ok()??;
        kustomize::render(tree, dir).ok()
    });
    let named = objects.flatten().flat_map(|object| {
        let Key { group, kind, .. } = Key::of(&object.value);
        let sources = ["/spec/source/repoURL", "/spec/sources/0/repoURL"];
        let is_application = group == GROUP && kind == "Application";
        let found =
            sources.into_iter().filter(|_| is_application).filter_map(|path| object.value.pointer(path)?.as_str());
        found.map(str::to_owned).collect::<Vec<_>>()
    });
    named.chain(repository.remotes()).map(|url| plain(&url)).collect()
}

/// A URL without what makes no difference.
pub(super) fn plain(url: &str) -> String {
    let url = url.trim().trim_end_matches('/');
    url.strip_suffix(".git").unwrap_or(url).to_owned()
}
