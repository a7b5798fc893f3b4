//! One rule of a role: what it allows, what it covers of another, and how it is written in messages. It must not know
//! who a rule applies to.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Attributes;

/// `rules[]` of a Role or ClusterRole.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rule {
    /// API groups; `*` is every group.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub api_groups: Vec<String>,
    /// Paths outside the resources, `*` at the end matching the rest.
    #[serde(rename = "nonResourceURLs", skip_serializing_if = "Vec::is_empty")]
    pub non_resource_urls: Vec<String>,
    /// Names of objects; empty is every object.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resource_names: Vec<String>,
    /// `pods`, `pods/log`, `*/scale`, `*`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// Verbs; `*` is every verb.
    pub verbs: Vec<String>,
}

impl Rule {
    /// The rules in a role's `rules`; what is not a rule is passed over.
    #[must_use]
    pub fn list(rules: &Value) -> Arc<[Self]> {
        let list = rules.as_array().map(Vec::as_slice).unwrap_or_default();
        list.iter().filter_map(|rule| Self::deserialize(rule).ok()).collect()
    }

    /// What `system:masters` may do.
    #[must_use]
    pub fn everything() -> [Self; 2] {
        let all = || vec!["*".to_owned()];
        [
            Self { verbs: all(), api_groups: all(), resources: all(), ..Self::default() },
            Self { verbs: all(), non_resource_urls: all(), ..Self::default() },
        ]
    }

    /// Whether the rule allows what is asked.
    #[must_use]
    pub fn allows(&self, asked: &Attributes) -> bool {
        if !has(&self.verbs, &asked.verb) {
            return false;
        }
        if asked.resource.is_empty() {
            return covers_path(&self.non_resource_urls, &asked.path);
        }
        has(&self.api_groups, &asked.group)
            && self.has_resource(asked)
            && (self.resource_names.is_empty() || self.resource_names.contains(&asked.name))
    }

    fn has_resource(&self, asked: &Attributes) -> bool {
        self.resources.iter().any(|one| {
            if one == "*" {
                return true;
            }
            if asked.subresource.is_empty() {
                return *one == asked.resource;
            }
            one.split_once('/').is_some_and(|(resource, subresource)| {
                subresource == asked.subresource && (resource == "*" || resource == asked.resource)
            })
        })
    }

    /// The rule as rules that name one of each.
    fn broken_down(&self) -> Vec<Self> {
        let mut parts = Vec::new();
        let one = |text: &String| vec![text.clone()];
        for verb in &self.verbs {
            for url in &self.non_resource_urls {
                parts.push(Self { verbs: one(verb), non_resource_urls: one(url), ..Self::default() });
            }
            for group in &self.api_groups {
                for resource in &self.resources {
                    let part =
                        Self { verbs: one(verb), api_groups: one(group), resources: one(resource), ..Self::default() };
                    if self.resource_names.is_empty() {
                        parts.push(part);
                        continue;
                    }
                    parts.extend(
                        self.resource_names.iter().map(|name| Self { resource_names: one(name), ..part.clone() }),
                    );
                }
            }
        }
        parts
    }

    /// Whether all that `part` (of one group, resource, verb) allows is allowed by this rule.
    fn covers_part(&self, part: &Self) -> bool {
        let all = |own: &[String], other: &[String]| other.iter().all(|one| has(own, one));
        let names = self.resource_names.is_empty()
            || (!part.resource_names.is_empty()
                && part.resource_names.iter().all(|name| self.resource_names.contains(name)));
        all(&self.verbs, &part.verbs)
            && all(&self.api_groups, &part.api_groups)
            && names
            && part.resources.iter().all(|resource| {
                let any = resource.split_once('/').map(|(_, subresource)| format!("*/{subresource}"));
                has(&self.resources, resource) || any.is_some_and(|any| self.resources.contains(&any))
            })
            && part.non_resource_urls.iter().all(|url| covers_path(&self.non_resource_urls, url))
    }

    /// The rule as messages have it.
    #[must_use]
    pub fn compact_text(&self) -> String {
        let parts: Vec<String> = [
            ("APIGroups", &self.api_groups),
            ("Resources", &self.resources),
            ("NonResourceURLs", &self.non_resource_urls),
            ("ResourceNames", &self.resource_names),
            ("Verbs", &self.verbs),
        ]
        .iter()
        .filter(|(_, values)| !values.is_empty())
        .map(|(name, values)| format!("{name}:{}", quoted(values)))
        .collect();
        format!("{{{}}}", parts.join(", "))
    }
}

/// What of `wanted` the rules in `held` do not cover, compacted; empty when they cover all.
#[must_use]
pub fn covers(held: &[Rule], wanted: &[Rule]) -> Vec<Rule> {
    let missing =
        wanted.iter().flat_map(Rule::broken_down).filter(|part| !held.iter().any(|rule| rule.covers_part(part)));
    // Parts that differ in their verb alone are told as one.
    let mut compact: BTreeMap<Rule, Vec<String>> = BTreeMap::new();
    let mut order = Vec::new();
    for mut part in missing {
        let verbs = std::mem::take(&mut part.verbs);
        if part.api_groups.is_empty() {
            order.push(Rule { verbs, ..part });
            continue;
        }
        let known = compact.entry(part).or_default();
        for verb in verbs {
            if !known.contains(&verb) {
                known.push(verb);
            }
        }
    }
    order.extend(compact.into_iter().map(|(part, verbs)| Rule { verbs, ..part }));
    order
}

/// `["a" "b"]`, as Go prints a list with `%q`.
pub(super) fn quoted(values: &[String]) -> String {
    let quoted: Vec<String> = values.iter().map(|one| format!("{one:?}")).collect();
    format!("[{}]", quoted.join(" "))
}

fn has(list: &[String], wanted: &str) -> bool {
    list.iter().any(|one| one == "*" || one == wanted)
}

fn covers_path(patterns: &[String], path: &str) -> bool {
    patterns
        .iter()
        .any(|pattern| pattern == path || pattern.strip_suffix('*').is_some_and(|prefix| path.starts_with(prefix)))
}
