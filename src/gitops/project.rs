//! What an AppProject lets its applications do. Pure.
//! Upstream rule: `AppProject` in `pkg/apis/application/v1alpha1/types.go` of argoproj/argo-cd.

use tinderbox_api::gitops::{AppProject, Application, ResourceKind};

use crate::sync::Key;

/// Whether a text fits a pattern of `*` and `?`.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t, mut star, mut mark) = (0, 0, None, 0);
    while t < text.len() {
        if p < pattern.len() && (pattern[p] == '?' || pattern[p] == text[t]) && pattern[p] != '*' {
            p += 1;
            t += 1;
        } else if p < pattern.len() && pattern[p] == '*' {
            star = Some(p);
            mark = t;
            p += 1;
        } else if let Some(at) = star {
            p = at + 1;
            mark += 1;
            t = mark;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|one| *one == '*')
}

/// What is wrong with where an application stands, takes from and goes to.
#[must_use]
pub fn violations(project: &AppProject, app: &Application) -> Vec<String> {
    let name = project.metadata.name.as_deref().unwrap_or_default();
    let mut found = Vec::new();
    let sources = app.spec.sources.iter().chain(app.spec.source.as_ref().filter(|_| app.spec.sources.is_empty()));
    for source in
        sources.filter(|source| !permits(&project.spec.source_repos, |pattern| matches(pattern, &source.repo_url)))
    {
        found.push(format!("application repo {} is not permitted in project '{name}'", source.repo_url));
    }
    let to = &app.spec.destination;
    if to.server.is_empty() && to.name.is_empty() {
        found.push("Destination server missing from app spec".to_owned());
    } else if !to.server.is_empty() && !to.name.is_empty() {
        found.push(format!(
            "application destination can't have both name and server defined: {} {}",
            to.name, to.server
        ));
    } else if !goes_to(project, &to.server, &to.name, &to.namespace) {
        let (server, namespace) = (if to.server.is_empty() { &to.name } else { &to.server }, &to.namespace);
        found.push(format!("application destination server '{server}' and namespace '{namespace}' do not match any of the allowed destinations in project '{name}'"));
    }
    found
}

/// Whether an object of a kind may be where it is to be; what is wrong with it otherwise.
#[must_use]
pub fn refuses(project: &AppProject, app: &Application, key: &Key) -> Option<String> {
    let spec = &project.spec;
    let name = project.metadata.name.as_deref().unwrap_or_default();
    let fits = |kinds: &[ResourceKind]| {
        kinds.iter().any(|one| {
            let named = one.name.is_empty() || matches(&one.name, &key.name);
            matches(&one.group, &key.group) && matches(&one.kind, &key.kind) && named
        })
    };
    let is_permitted = if key.namespace.is_empty() {
        fits(&spec.cluster_resource_whitelist) && !fits(&spec.cluster_resource_blacklist)
    } else {
        let listed = spec.namespace_resource_whitelist.is_empty() || fits(&spec.namespace_resource_whitelist);
        listed && !fits(&spec.namespace_resource_blacklist)
    };
    if !is_permitted {
        return Some(format!("resource {}:{} is not permitted in project {name}", key.group, key.kind));
    }
    let to = &app.spec.destination;
    if !key.namespace.is_empty() && !goes_to(project, &to.server, &to.name, &key.namespace) {
        return Some(format!("namespace {} is not permitted in project '{name}'", key.namespace));
    }
    None
}

fn goes_to(project: &AppProject, server: &str, cluster: &str, namespace: &str) -> bool {
    let mut allowed = false;
    for one in &project.spec.destinations {
        let (denies_server, server_pattern) = negated(&one.server);
        let (denies_namespace, namespace_pattern) = negated(&one.namespace);
        let (denies_name, name_pattern) = negated(&one.name);
        let by_server = !server.is_empty() && !one.server.is_empty() && matches(server_pattern, server);
        let by_name = !cluster.is_empty() && !one.name.is_empty() && matches(name_pattern, cluster);
        // A wildcard for servers is one for names of clusters too.
        let by_any = server.is_empty() && one.name.is_empty() && one.server == "*";
        let place = by_server || by_name || by_any;
        let space = matches(namespace_pattern, namespace);
        if denies_server && by_server || denies_name && by_name {
            return false;
        }
        if denies_namespace {
            if place && space {
                return false;
            }
            continue;
        }
        allowed |= place && space;
    }
    allowed
}

fn negated(pattern: &str) -> (bool, &str) {
    pattern.strip_prefix('!').map_or((false, pattern), |rest| (true, rest))
}

fn permits(patterns: &[String], fits: impl Fn(&str) -> bool) -> bool {
    let denied = patterns.iter().filter_map(|one| one.strip_prefix('!')).any(&fits);
    !denied && patterns.iter().filter(|one| !one.starts_with('!')).any(|one| fits(one))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn project(spec: Value) -> AppProject {
        serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": spec})).expect("a project")
    }

    fn app() -> Application {
        let spec = json!({
            "source": {"repoURL": "https://git.example/team/repo"},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": "jobs"},
        });
        serde_json::from_value(json!({"metadata": {"name": "a"}, "spec": spec})).expect("an application")
    }

    #[test]
    fn patterns() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abbd", false),
            ("a?c", "abc", true),
            ("a", "ab", false),
            ("*x*y", "axbxy", true),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn where_applications_may_come_from_and_go_to() {
        let open = json!([{"server": "*", "namespace": "*"}]);
        for (rule, spec, expected) in [
            ("everything", json!({"sourceRepos": ["*"], "destinations": open}), vec![]),
            (
                "no repository",
                json!({"destinations": open}),
                vec!["application repo https://git.example/team/repo is not permitted in project 'p'"],
            ),
            (
                "a pattern of repositories",
                json!({"sourceRepos": ["https://git.example/team/*"], "destinations": open}),
                vec![],
            ),
            (
                "a denied repository",
                json!({"sourceRepos": ["*", "!https://git.example/team/*"], "destinations": open}),
                vec!["application repo"],
            ),
            ("no destination", json!({"sourceRepos": ["*"]}), vec!["application destination server"]),
            (
                "another namespace",
                json!({"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "prod-*"}]}),
                vec!["application destination server"],
            ),
            (
                "a denied namespace",
                json!({"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}, {"server": "*", "namespace": "!jobs"}]}),
                vec!["application destination server"],
            ),
            (
                "a denied server",
                json!({"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}, {"server": "!https://kubernetes.default.svc", "namespace": "*"}]}),
                vec!["application destination server"],
            ),
        ] {
            let found = violations(&project(spec), &app());
            assert_eq!(found.len(), expected.len(), "{rule}: {found:?}");
            assert!(
                found.iter().zip(expected).all(|(found, expected)| found.starts_with(expected)),
                "{rule}: {found:?}"
            );
        }
        let mut both = app();
        both.spec.destination.name = "in-cluster".to_owned();
        let open = project(json!({"sourceRepos": ["*"], "destinations": open}));
        assert!(violations(&open, &both)[0].starts_with("application destination can't have both"));
        both.spec.destination.server.clear();
        assert!(violations(&open, &both).is_empty(), "a wildcard for servers is one for names");
        both.spec.destination.name.clear();
        assert_eq!(violations(&open, &both), ["Destination server missing from app spec"]);
    }

    #[test]
    fn which_kinds_they_may_bring() {
        let key = |group: &str, kind: &str, namespace: &str| Key {
            group: group.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.to_owned(),
            name: "x".to_owned(),
        };
        let open = json!([{"server": "*", "namespace": "jobs"}]);
        for (rule, spec, key, allowed) in [
            ("kinds in namespaces are free", json!({}), key("", "Pod", "jobs"), true),
            ("kinds beside them are not", json!({}), key("", "Namespace", ""), false),
            (
                "unless they are listed",
                json!({"clusterResourceWhitelist": [{"group": "", "kind": "Namespace"}]}),
                key("", "Namespace", ""),
                true,
            ),
            (
                "by name",
                json!({"clusterResourceWhitelist": [{"group": "", "kind": "Namespace", "name": "y*"}]}),
                key("", "Namespace", ""),
                false,
            ),
            (
                "and not listed elsewhere",
                json!({"clusterResourceWhitelist": [{"group": "*", "kind": "*"}], "clusterResourceBlacklist": [{"group": "", "kind": "Namespace"}]}),
                key("", "Namespace", ""),
                false,
            ),
            (
                "a listed kind is denied",
                json!({"namespaceResourceBlacklist": [{"group": "", "kind": "Pod"}]}),
                key("", "Pod", "jobs"),
                false,
            ),
            (
                "only listed kinds",
                json!({"namespaceResourceWhitelist": [{"group": "apps", "kind": "*"}]}),
                key("", "Pod", "jobs"),
                false,
            ),
            (
                "of a listed group",
                json!({"namespaceResourceWhitelist": [{"group": "apps", "kind": "*"}]}),
                key("apps", "Deployment", "jobs"),
                true,
            ),
            ("in a namespace of the project", json!({}), key("", "Pod", "other"), false),
        ] {
            let mut spec = spec;
            spec["destinations"] = open.clone();
            assert_eq!(refuses(&project(spec), &app(), &key).is_none(), allowed, "{rule}");
        }
    }
}
