//! Tables of hosts and paths against rules.

use super::*;
use serde_json::{Value, json};

fn ingress(name: &str, spec: Value) -> Arc<Ingress> {
    let object = json!({"metadata": {"name": name, "namespace": "n"}, "spec": spec});
    Arc::new(serde_json::from_value(object).expect("an Ingress"))
}

fn to(service: &str) -> Value {
    json!({"service": {"name": service, "port": {"number": 80}}})
}

fn rule(host: Option<&str>, paths: &[(&str, &str, &str)]) -> Value {
    let paths: Vec<_> = paths
        .iter()
        .map(|(path, kind, service)| json!({"path": path, "pathType": kind, "backend": to(service)}))
        .collect();
    json!({"host": host, "http": {"paths": paths}})
}

fn found<'a>(routes: &'a Routes, host: &str, path: &str) -> &'a str {
    routes.find(host, path).and_then(|backend| backend.service.as_ref()).map_or("nothing", |(name, _)| name)
}

#[test]
fn paths_are_matched_part_by_part() {
    // The table of the reference: kind, path of the rule, path of the request, whether it matches.
    for (kind, wanted, path, matches) in [
        ("Prefix", "/", "/any/thing", true),
        ("Exact", "/foo", "/foo", true),
        ("Exact", "/foo", "/bar", false),
        ("Exact", "/foo", "/foo/", false),
        ("Exact", "/foo/", "/foo", false),
        ("Prefix", "/foo", "/foo/", true),
        ("Prefix", "/foo/", "/foo", true),
        ("Prefix", "/aaa/bb", "/aaa/bbb", false),
        ("Prefix", "/aaa/bbb", "/aaa/bbb", true),
        ("Prefix", "/aaa/bbb/", "/aaa/bbb", true),
        ("Prefix", "/aaa/bbb", "/aaa/bbb/ccc", true),
        ("Prefix", "/aaa/bbb", "/aaa/bbbxyz", false),
        ("ImplementationSpecific", "/a", "/a/b", true),
    ] {
        let routes = Routes::new(&[ingress("i", json!({"rules": [rule(None, &[(wanted, kind, "s")])]}))], &[]);
        assert_eq!(found(&routes, "h", path) == "s", matches, "{kind} {wanted} {path}");
    }
}

#[test]
fn the_nearest_host_and_the_longest_path_win() {
    let spec = json!({"defaultBackend": to("default"), "rules": [
        rule(None, &[("/", "Prefix", "any"), ("/a", "Prefix", "any-a")]),
        rule(Some("*.foo.com"), &[("/", "Prefix", "wild")]),
        rule(Some("Bar.foo.com"), &[("/a", "Prefix", "a"), ("/a", "Exact", "exact"), ("/a/b", "Prefix", "b")]),
    ]});
    let routes = Routes::new(&[ingress("i", spec)], &[]);
    for (host, path, service) in [
        ("bar.foo.com", "/a", "exact"),
        ("BAR.foo.com:8080", "/a/x", "a"),
        ("bar.foo.com.", "/a/b/c", "b"),
        ("bar.foo.com", "/c", "default"),
        ("baz.foo.com", "/a", "wild"),
        ("a.baz.foo.com", "/a", "any-a"),
        ("foo.com", "/", "any"),
        ("127.0.0.1:1234", "/a", "any-a"),
    ] {
        assert_eq!(found(&routes, host, path), service, "{host}{path}");
    }
    let only = Routes::new(&[ingress("i", json!({"rules": [rule(Some("a.b"), &[("/x", "Prefix", "s")])]}))], &[]);
    assert_eq!(found(&only, "a.b", "/y"), "nothing");
    assert_eq!(found(&only, "c.d", "/x"), "nothing");
}

#[test]
fn an_ingress_has_its_own_name_too() {
    let grafana =
        ingress("grafana", json!({"rules": [rule(Some("grafana.example.com"), &[("/", "Prefix", "grafana")])]}));
    let other = ingress("other", json!({"rules": [rule(Some("web.localhost"), &[("/", "Prefix", "web")])]}));
    let routes = Routes::new(&[grafana, other], &[]);
    for (host, service) in [
        ("grafana.localhost:1", "grafana"),
        ("grafana.n.localhost", "grafana"),
        ("grafana.m.localhost", "nothing"),
        ("web.localhost", "web"),
        ("other.localhost", "web"),
        ("localhost", "nothing"),
    ] {
        assert_eq!(found(&routes, host, "/"), service, "{host}");
    }
    assert_eq!(routes.list(80)[0].0, "http://grafana.example.com:80/");
}

#[test]
fn classes_of_others_are_left_to_them() {
    let class = |name: &str, controller: &str| {
        let object = json!({"metadata": {"name": name}, "spec": {"controller": controller}});
        Arc::new(serde_json::from_value::<IngressClass>(object).expect("a class"))
    };
    let classes = [class("tinderbox", CONTROLLER), class("nginx", "k8s.io/ingress-nginx")];
    let named = |class: Value| ingress("i", json!({"ingressClassName": class}));
    assert!(is_ours(&named(Value::Null), &classes));
    assert!(is_ours(&named(json!("tinderbox")), &classes));
    assert!(is_ours(&named(json!("alb")), &classes));
    assert!(!is_ours(&named(json!("nginx")), &classes));
    let mut old = (*named(Value::Null)).clone();
    old.metadata.annotations = Some([(CLASS.to_owned(), "nginx".to_owned())].into());
    assert!(!is_ours(&old, &classes));
}

#[test]
fn certificates_by_host() {
    let tls = json!([{"hosts": ["a.example.com"], "secretName": "a"}, {"hosts": ["*.example.com"], "secretName": "w"}]);
    let routes = Routes::new(&[ingress("i", json!({"tls": tls}))], &[]);
    assert_eq!(routes.certificate("a.example.com"), Some(("n", "a")));
    assert_eq!(routes.certificate("b.example.com"), Some(("n", "w")));
    assert_eq!(routes.certificate("example.com"), None);
}
