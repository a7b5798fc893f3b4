//! The roles and bindings that every cluster starts with, as objects. It must not write them: the server does, when it
//! starts, over what differs.

mod table;

use serde_json::{Value, json};

use super::rbac::{GROUP, Rule};
use table::{ADMIN, BINDINGS, EDIT, ROLES, Row, VIEW};

/// Every default ClusterRole, then every default ClusterRoleBinding.
pub fn objects() -> impl Iterator<Item = Value> {
    let parts = [("view", VIEW), ("edit", EDIT), ("admin", ADMIN)];
    let mut held: Vec<Rule> = Vec::new();
    let mut roles = Vec::new();
    for (name, rows) in parts {
        let own: Vec<Rule> = rows.iter().map(rule).collect();
        let part = format!("system:aggregate-to-{name}");
        roles.push(role(&part, &[name], &own));
        held.extend(own);
        // A role for more is made of the role for less: admin of edit, edit of view.
        let into: &[&str] = match name {
            "view" => &["edit"],
            "edit" => &["admin"],
            _ => &[],
        };
        let mut sum = role(name, into, &held);
        let selector = json!({"matchLabels": {aggregate_label(name): "true"}});
        sum["aggregationRule"] = json!({"clusterRoleSelectors": [selector]});
        roles.push(sum);
    }
    let plain = ROLES.iter().map(|(name, rows)| {
        let rules: Vec<Rule> = rows.iter().map(rule).collect();
        role(name, &[], &rules)
    });
    let bindings = BINDINGS.iter().map(|(role, kind, subjects)| binding(role, kind, subjects));
    roles.into_iter().chain(plain).chain(bindings)
}

fn aggregate_label(role: &str) -> String {
    format!("rbac.authorization.k8s.io/aggregate-to-{role}")
}

fn metadata(name: &str) -> Value {
    json!({
        "name": name,
        "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
        "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
    })
}

fn role(name: &str, into: &[&str], rules: &[Rule]) -> Value {
    let mut metadata = metadata(name);
    for &role in into {
        metadata["labels"][aggregate_label(role)] = json!("true");
    }
    json!({
        "apiVersion": format!("{GROUP}/v1"), "kind": "ClusterRole",
        "metadata": metadata, "rules": rules,
    })
}

fn binding(role: &str, kind: &str, subjects: &str) -> Value {
    let subjects = subjects.split(' ').map(|name| match kind {
        "ServiceAccount" => json!({"kind": kind, "name": name, "namespace": "kube-system"}),
        _ => json!({"kind": kind, "name": name, "apiGroup": GROUP}),
    });
    json!({
        "apiVersion": format!("{GROUP}/v1"), "kind": "ClusterRoleBinding",
        "metadata": metadata(role),
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": role},
        "subjects": subjects.collect::<Vec<Value>>(),
    })
}

/// Reads a row: `core` stands for the core group, `read`, `write` and `readwrite` for their verbs, and paths for a rule
/// outside the resources.
fn rule(row: &Row) -> Rule {
    let (verbs, groups, what) = row;
    let words = |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
    let verbs = match *verbs {
        "read" => words("get list watch"),
        "write" => words("create delete deletecollection patch update"),
        "readwrite" => words("create delete deletecollection get list patch update watch"),
        other => words(other),
    };
    if groups.is_empty() {
        return Rule { verbs, non_resource_urls: words(what), ..Rule::default() };
    }
    let groups = words(groups).into_iter();
    Rule {
        verbs,
        api_groups: groups.map(|group| if group == "core" { String::new() } else { group }).collect(),
        resources: words(what),
        ..Rule::default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{Attributes, MASTERS, Rbac, Roles, User};
    use super::*;

    fn bound_to(role: &str) -> Rbac {
        let mut objects: Vec<Value> = objects().collect();
        let mut jane = binding(role, "User", "jane");
        jane["kind"] = json!("RoleBinding");
        jane["metadata"]["namespace"] = json!("team");
        objects.push(jane);
        Rbac::new(Arc::new(Arc::new(Roles::from_objects(&objects))))
    }

    fn may(rbac: &Rbac, verb: &str, group: &str, resource: &str) -> bool {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        rbac.authorize(&Attributes {
            user: User::authenticated("jane", &[]),
            verb: verb.into(),
            group: group.into(),
            resource: resource.into(),
            subresource: subresource.into(),
            namespace: "team".into(),
            ..Attributes::default()
        })
        .allowed()
    }

    #[test]
    fn view_edit_and_admin_stack() {
        // verb, group, resource, and the first role that may.
        for (verb, group, resource, first) in [
            ("get", "", "pods", 0),
            ("get", "", "pods/log", 0),
            ("watch", "batch", "jobs", 0),
            ("list", "discovery.k8s.io", "endpointslices", 0),
            ("get", "", "secrets", 1),
            ("create", "", "pods/exec", 1),
            ("create", "", "pods/eviction", 1),
            ("patch", "apps", "deployments/scale", 1),
            ("create", "", "serviceaccounts/token", 1),
            ("create", "coordination.k8s.io", "leases", 1),
            ("create", "rbac.authorization.k8s.io", "roles", 2),
            ("create", "authorization.k8s.io", "localsubjectaccessreviews", 2),
            ("patch", "", "pods/status", 3),
            ("create", "", "resourcequotas", 3),
            ("update", "", "namespaces", 3),
        ] {
            for (level, role) in ["view", "edit", "admin"].into_iter().enumerate() {
                let allowed = may(&bound_to(role), verb, group, resource);
                assert_eq!(allowed, level >= first, "{role}: {verb} {group}/{resource}");
            }
        }
    }

    #[test]
    fn everyone_discovers_and_strangers_see_only_health() {
        let rbac = bound_to("view");
        let get = |user: User, path: &str| {
            rbac.authorize(&Attributes { user, verb: "get".into(), path: path.into(), ..Attributes::default() })
                .allowed()
        };
        for path in ["/healthz", "/livez", "/readyz", "/version"] {
            assert!(get(User::anonymous(), path), "{path}");
        }
        for path in ["/api", "/apis/apps/v1", "/openapi/v3"] {
            assert!(get(User::authenticated("jane", &[]), path), "{path}");
            assert!(!get(User::anonymous(), path), "{path}");
        }
        assert!(!get(User::authenticated("jane", &[]), "/metrics"));
        assert!(get(User::authenticated("root", &[MASTERS]), "/metrics"));
        let pod = User::service_account("team", "default");
        assert!(get(pod, "/.well-known/openid-configuration"));
    }

    #[test]
    fn objects_are_whole() {
        let objects: Vec<Value> = objects().collect();
        let mut seen = std::collections::BTreeSet::new();
        for object in &objects {
            let id = (object["kind"].to_string(), object["metadata"]["name"].to_string());
            assert!(seen.insert(id.clone()), "{id:?} twice");
        }
        for binding in objects.iter().filter(|one| one["kind"] == "ClusterRoleBinding") {
            let role = binding["roleRef"]["name"].to_string();
            assert!(seen.contains(&("\"ClusterRole\"".into(), role.clone())), "{role}");
        }
        let admin = objects.iter().find(|one| one["metadata"]["name"] == "admin");
        let selector = &admin.unwrap()["aggregationRule"]["clusterRoleSelectors"][0];
        assert_eq!(selector["matchLabels"]["rbac.authorization.k8s.io/aggregate-to-admin"], "true");
    }
}
