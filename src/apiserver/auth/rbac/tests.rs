//! Roles and bindings against requests, with Kubernetes' words for refusals.

use serde_json::json;

use super::*;

const SPARK: &str = "system:serviceaccount:spark-jobs:spark";

fn role(namespace: &str, name: &str, rules: Value) -> Value {
    let kind = if namespace.is_empty() { "ClusterRole" } else { "Role" };
    json!({"kind": kind, "metadata": {"name": name, "namespace": namespace}, "rules": rules})
}

fn binding(namespace: &str, role_kind: &str, role: &str, subject: Value) -> Value {
    let kind = if namespace.is_empty() { "ClusterRoleBinding" } else { "RoleBinding" };
    json!({"kind": kind, "metadata": {"name": role, "namespace": namespace},
        "roleRef": {"apiGroup": GROUP, "kind": role_kind, "name": role}, "subjects": [subject]})
}

fn rbac(objects: &[Value]) -> Rbac {
    Rbac::new(Arc::new(Arc::new(Roles::from_objects(objects))))
}

/// `VERB RESOURCE[/SUBRESOURCE][.GROUP] [NAMESPACE] [NAME]` or `VERB /PATH`.
fn ask(user: &User, line: &str) -> Attributes {
    let mut words = line.split(' ');
    let mut next = || words.next().unwrap_or_default().to_owned();
    let (verb, what) = (next(), next());
    let mut asked = Attributes { user: user.clone(), verb, namespace: next(), name: next(), ..Attributes::default() };
    if what.starts_with('/') {
        asked.path = what;
        return asked;
    }
    let (what, group) = what.split_once('.').unwrap_or((&what, ""));
    let (resource, subresource) = what.split_once('/').unwrap_or((what, ""));
    asked.resource = resource.to_owned();
    asked.subresource = subresource.to_owned();
    asked.group = group.to_owned();
    asked
}

fn spark_role() -> Vec<Value> {
    vec![
        role(
            "spark-jobs",
            "spark",
            json!([
                {"apiGroups": [""], "resources": ["pods", "services"], "verbs": ["create", "get", "list", "watch", "delete"]},
                {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["conf"], "verbs": ["get"]},
                {"apiGroups": ["apps"], "resources": ["*/scale"], "verbs": ["*"]},
            ]),
        ),
        binding("spark-jobs", "Role", "spark", json!({"kind": "ServiceAccount", "name": "spark"})),
    ]
}

#[test]
fn allows_what_the_role_says_and_no_more() {
    let rbac = rbac(&spark_role());
    let spark = User::service_account("spark-jobs", "spark");
    for allowed in [
        "create pods spark-jobs",
        "watch services spark-jobs",
        "get configmaps spark-jobs conf",
        "update deployments/scale.apps spark-jobs web",
    ] {
        assert!(rbac.authorize(&ask(&spark, allowed)).allowed(), "{allowed}");
    }
    for refused in [
        "create pods default",
        "create pods",
        "patch pods spark-jobs driver",
        "get pods/log spark-jobs driver",
        "get configmaps spark-jobs other",
        "list configmaps spark-jobs",
        "get deployments.apps spark-jobs web",
        "create pods.apps spark-jobs",
        "get /metrics",
    ] {
        assert!(!rbac.authorize(&ask(&spark, refused)).allowed(), "{refused}");
    }
    let other = User::service_account("default", "spark");
    assert!(!rbac.authorize(&ask(&other, "create pods spark-jobs")).allowed());
}

#[test]
fn says_who_allowed_and_what_is_missing() {
    let mut objects = spark_role();
    let rbac_with = rbac(&objects);
    let spark = User::service_account("spark-jobs", "spark");
    let decision = rbac_with.authorize(&ask(&spark, "create pods spark-jobs"));
    let by = r#"RBAC: allowed by RoleBinding "spark/spark-jobs" of Role "spark" to ServiceAccount "spark/spark-jobs""#;
    assert_eq!(decision, Decision::Allow(by.into()));
    let error = rbac_with.require(&ask(&spark, "patch pods spark-jobs driver")).unwrap_err();
    assert_eq!(
        error.message,
        format!(
            r#"pods "driver" is forbidden: User "{SPARK}" cannot patch resource "pods" in API group "" in the namespace "spark-jobs""#
        )
    );
    objects.remove(0);
    let error = rbac(&objects).require(&ask(&spark, "create pods spark-jobs")).unwrap_err();
    assert_eq!(
        error.message,
        format!(
            r#"pods is forbidden: User "{SPARK}" cannot create resource "pods" in API group "" in the namespace "spark-jobs": RBAC: role.rbac.authorization.k8s.io "spark" not found"#
        )
    );
    let error = rbac(&[]).require(&ask(&spark, "get /metrics")).unwrap_err();
    assert_eq!(error.message, format!(r#"forbidden: User "{SPARK}" cannot get path "/metrics""#));
}

#[test]
fn paths_and_groups() {
    let rules = json!([{"nonResourceURLs": ["/healthz", "/api/*"], "verbs": ["get"]}]);
    let rbac = rbac(&[
        role("", "paths", rules),
        binding("", "ClusterRole", "paths", json!({"kind": "Group", "name": "readers"})),
    ]);
    let reader = User::authenticated("jane", &["readers"]);
    for (line, allowed) in [
        ("get /healthz", true),
        ("get /api/v1", true),
        ("get /api", false),
        ("post /healthz", false),
        ("get /healthz/etcd", false),
    ] {
        assert_eq!(rbac.authorize(&ask(&reader, line)).allowed(), allowed, "{line}");
    }
    let other = User::authenticated("jane", &[]);
    assert!(!rbac.authorize(&ask(&other, "get /healthz")).allowed());
    let admin = User::authenticated("root", &[MASTERS]);
    assert!(rbac.authorize(&ask(&admin, "delete /everything")).allowed());
}

fn delegate() -> (Rbac, User) {
    let mut objects = spark_role();
    objects.push(role(
        "spark-jobs",
        "delegate",
        json!([
            {"apiGroups": [GROUP], "resources": ["roles", "rolebindings"], "verbs": ["create", "update"]},
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
        ]),
    ));
    objects.push(binding("spark-jobs", "Role", "delegate", json!({"kind": "User", "name": "jane"})));
    (rbac(&objects), User::authenticated("jane", &[]))
}

#[test]
fn grants_what_is_held() {
    let (rbac, jane) = delegate();
    let fits = role(
        "spark-jobs",
        "r",
        json!([{"apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"], "verbs": ["get"]}]),
    );
    assert_eq!(rbac.check_escalation(&jane, "spark-jobs", None, &fits), Ok(()));
}

#[test]
fn does_not_grant_what_is_not_held() {
    let (rbac, jane) = delegate();
    let more = role(
        "spark-jobs",
        "more",
        json!([{"apiGroups": [""], "resources": ["pods", "secrets"], "verbs": ["get", "delete"]}]),
    );
    let error = rbac.check_escalation(&jane, "spark-jobs", None, &more).unwrap_err();
    assert_eq!(
        error.message,
        concat!(
            r#"roles.rbac.authorization.k8s.io "more" is forbidden: user "jane" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:"#,
            "\n",
            r#"{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}"#,
            "\n",
            r#"{APIGroups:[""], Resources:["secrets"], Verbs:["get" "delete"]}"#,
        )
    );
    // Only finalizers differ: the garbage collector must get through.
    let mut old = more.clone();
    old["metadata"]["finalizers"] = json!(["a"]);
    assert_eq!(rbac.check_escalation(&jane, "spark-jobs", Some(&old), &more), Ok(()));
}

#[test]
fn binds_only_held_roles() {
    let (rbac, jane) = delegate();
    let to = json!({"kind": "User", "name": "bob"});
    let own = binding("spark-jobs", "Role", "delegate", to.clone());
    assert_eq!(rbac.check_escalation(&jane, "spark-jobs", None, &own), Ok(()));
    let other = binding("spark-jobs", "Role", "spark", to.clone());
    let error = rbac.check_escalation(&jane, "spark-jobs", None, &other).unwrap_err();
    assert_eq!(error.code, 403);
    let gone = binding("spark-jobs", "ClusterRole", "gone", to);
    let error = rbac.check_escalation(&jane, "spark-jobs", None, &gone).unwrap_err();
    assert_eq!(error.code, 404);
}

#[test]
fn bind_and_escalate_lift_the_check() {
    let verbs = json!([{"apiGroups": [GROUP], "resources": ["roles", "clusterroles"], "verbs": ["bind", "escalate"]}]);
    let jane = User::authenticated("jane", &[]);
    let rbac = rbac(&[
        role("", "lifter", verbs),
        role("", "all", json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}])),
        binding("", "ClusterRole", "lifter", json!({"kind": "User", "name": "jane"})),
    ]);
    let all = binding("", "ClusterRole", "all", json!({"kind": "User", "name": "jane"}));
    assert_eq!(rbac.check_escalation(&jane, "", None, &all), Ok(()));
    let mut aggregated = role("", "sum", json!([]));
    aggregated["aggregationRule"] = json!({"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]});
    assert_eq!(rbac.check_escalation(&jane, "", None, &aggregated), Ok(()));
    let bob = User::authenticated("bob", &[]);
    let error = rbac.check_escalation(&bob, "", None, &aggregated).unwrap_err();
    assert!(error.message.ends_with("must have cluster-admin privileges to use the aggregationRule"));
}
