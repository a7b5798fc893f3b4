//! What is rendered, and for whom.

use serde::Serialize;
use tinderbox_api::gitops::{Application, ApplicationSource, marks};

/// A source at a revision, and the application that it is rendered for, which charts know.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Request {
    /// The source.
    pub source: ApplicationSource,
    /// The revision; the source's own when it is empty.
    pub revision: String,
    /// Name of the application.
    pub app: String,
    /// Namespace of objects that name none.
    pub namespace: String,
    /// Project of the application.
    pub project: String,
    /// Branches and tags of other repositories are looked up anew.
    pub again: bool,
}

impl Request {
    /// A source of an application.
    #[must_use]
    pub fn of(app: &Application, source: ApplicationSource, revision: String) -> Self {
        Self {
            source,
            revision,
            app: app.metadata.name.clone().unwrap_or_default(),
            namespace: app.spec.destination.namespace.clone(),
            project: app.spec.project.clone(),
            again: app.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(marks::REFRESH)),
        }
    }

    /// The revision that is asked for.
    #[must_use]
    pub fn asked(&self) -> &str {
        if self.revision.is_empty() { &self.source.target_revision } else { &self.revision }
    }

    /// A text with the variables that Argo CD has in it: `$NAME` and `${NAME}`, and `$$` for the sign itself. Others are nothing.
    /// Upstream rule: `Env.Envsubst` and `newEnv` of argoproj/argo-cd.
    #[must_use]
    pub(super) fn substitute(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            out.push_str(before);
            let end =
                |text: &str| text.find(|one: char| one != '_' && !one.is_ascii_alphanumeric()).unwrap_or(text.len());
            rest = match after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
                _ if after.starts_with('$') => {
                    out.push('$');
                    &after[1..]
                }
                Some((name, behind)) => {
                    out.push_str(self.variable(name));
                    behind
                }
                None if end(after) == 0 => {
                    out.push('$');
                    after
                }
                None => {
                    let (name, behind) = after.split_at(end(after));
                    out.push_str(self.variable(name));
                    behind
                }
            };
        }
        out + rest
    }

    fn variable(&self, name: &str) -> &str {
        match name {
            "ARGOCD_APP_NAME" => &self.app,
            "ARGOCD_APP_NAMESPACE" => &self.namespace,
            "ARGOCD_APP_PROJECT_NAME" => &self.project,
            "ARGOCD_APP_SOURCE_REPO_URL" => &self.source.repo_url,
            "ARGOCD_APP_SOURCE_PATH" => &self.source.path,
            "ARGOCD_APP_SOURCE_TARGET_REVISION" => &self.source.target_revision,
            _ => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_those_of_argo_cd() {
        let request = Request { app: "shop".to_owned(), namespace: "jobs".to_owned(), ..Request::default() };
        for (text, expected) in [
            ("plain", "plain"),
            ("$ARGOCD_APP_NAME-x", "shop-x"),
            ("a${ARGOCD_APP_NAMESPACE}b", "ajobsb"),
            ("$$ARGOCD_APP_NAME", "$ARGOCD_APP_NAME"),
            ("cost: 5$", "cost: 5$"),
            ("$HOME${OTHER}", ""),
        ] {
            assert_eq!(request.substitute(text), expected, "{text}");
        }
    }
}
