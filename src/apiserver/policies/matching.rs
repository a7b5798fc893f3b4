//! Whether a policy or binding is about a request: rules by resource and operation, and selectors.
//! Upstream rules: k8s.io/apiserver `pkg/admission/plugin/policy/matching` and `pkg/admission/plugin/webhook/predicates`.

use std::sync::Arc;

use serde_json::Value;
use tinderbox_api::selector::LabelSelector;

use crate::admission::Asked;
use crate::object::meta;
use crate::registry::Snapshot;
use crate::resource::Resource;

/// A request as rules see it.
#[derive(Debug, Clone, Default)]
pub(super) struct Request {
    pub(super) operation: &'static str,
    pub(super) group: String,
    pub(super) version: String,
    pub(super) resource: String,
    pub(super) subresource: String,
    pub(super) kind: String,
    /// The namespace that it is about; that of a namespace is its own name.
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) new: Option<Value>,
    pub(super) old: Option<Value>,
}

impl Request {
    pub(super) fn of(asked: &Asked<'_>, new: Option<Value>, old: Option<Value>) -> Self {
        let (call, resource) = (asked.call, &asked.call.resource);
        let [_, _, kind] = asked.kind();
        let object = new.as_ref().or(old.as_ref()).unwrap_or(&Value::Null);
        let given = |name: &&str| !name.is_empty();
        let names = [asked.name.as_str(), &call.path.name, meta(object, "name")];
        let name = names.into_iter().find(given).unwrap_or_default();
        let namespace = if resource.is("", "namespaces") {
            name
        } else if resource.namespaced {
            &call.path.namespace
        } else {
            ""
        };
        Self {
            operation: asked.operation.as_str(),
            group: resource.group.to_string(),
            version: resource.version.to_string(),
            resource: resource.plural.to_string(),
            subresource: call.path.subresource.clone(),
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            new,
            old,
        }
    }

    fn is_namespace(&self) -> bool {
        self.group.is_empty() && self.resource == "namespaces"
    }
}

/// The resource as which `matchResources` means a request; `None` where it does not.
pub(super) fn find(
    match_resources: &Value,
    request: &Request,
    registry: &Snapshot,
    labels: &dyn Fn(&str) -> Value,
) -> Option<Arc<Resource>> {
    if !selects_namespace(&match_resources["namespaceSelector"], request, labels)
        || !selects_object(&match_resources["objectSelector"], request)
    {
        return None;
    }
    let exact = match_resources["matchPolicy"] == "Exact";
    if by_rules(&match_resources["excludeResourceRules"], request, registry, exact).is_some() {
        return None;
    }
    let rules = &match_resources["resourceRules"];
    if rules.as_array().is_none_or(Vec::is_empty) {
        return registry.find(&request.group, &request.version, &request.resource);
    }
    by_rules(rules, request, registry, exact)
}

fn selects_namespace(selector: &Value, request: &Request, labels: &dyn Fn(&str) -> Value) -> bool {
    if request.namespace.is_empty() && !request.is_namespace() {
        return true;
    }
    let Ok(selector) = LabelSelector::from_object(selector) else {
        return false;
    };
    if selector.is_empty() {
        return true;
    }
    let labels = labels(&request.namespace);
    selector.matches(|key| labels.get(key).and_then(Value::as_str))
}

fn selects_object(selector: &Value, request: &Request) -> bool {
    let Ok(selector) = LabelSelector::from_object(selector) else {
        return false;
    };
    let meant = |object: &Option<Value>| object.as_ref().is_some_and(|object| selector.matches_object(object));
    selector.is_empty() || meant(&request.new) || meant(&request.old)
}

fn by_rules(rules: &Value, request: &Request, registry: &Snapshot, exact: bool) -> Option<Arc<Resource>> {
    let own = registry.find(&request.group, &request.version, &request.resource)?;
    let rules = || rules.as_array().into_iter().flatten();
    if rules().any(|rule| covers(rule, request, &own)) {
        return Some(own);
    }
    if exact {
        return None;
    }
    // The same objects under another group or version.
    let same = |one: &&Arc<Resource>| one.collection == own.collection && !Arc::ptr_eq(one, &own);
    registry.all().filter(same).find(|one| rules().any(|rule| covers(rule, request, one))).cloned()
}

/// Whether a rule is about a request for this resource.
fn covers(rule: &Value, request: &Request, resource: &Resource) -> bool {
    let listed =
        |name: &str, wanted: &str| rule[name].as_array().into_iter().flatten().any(|one| one == "*" || one == wanted);
    let names = rule["resourceNames"].as_array();
    in_scope(&rule["scope"], request)
        && listed("operations", request.operation)
        && listed("apiGroups", &resource.group)
        && listed("apiVersions", &resource.version)
        && rule["resources"].as_array().into_iter().flatten().filter_map(Value::as_str).any(|named| {
            let (name, part) = named.split_once('/').unwrap_or((named, ""));
            (name == "*" || *name == *resource.plural) && (part == "*" || part == request.subresource)
        })
        && names.is_none_or(|names| names.is_empty() || names.iter().any(|name| *name == *request.name))
}

fn in_scope(scope: &Value, request: &Request) -> bool {
    let namespaced = !request.namespace.is_empty() && !request.is_namespace();
    match scope.as_str() {
        Some("Namespaced") => namespaced,
        Some("Cluster") => !namespaced,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Registry;
    use serde_json::json;

    fn request() -> Request {
        Request {
            operation: "CREATE",
            group: "apps".into(),
            version: "v1".into(),
            resource: "deployments".into(),
            kind: "Deployment".into(),
            namespace: "shop".into(),
            name: "web".into(),
            new: Some(json!({"metadata": {"labels": {"app": "web"}}})),
            ..Request::default()
        }
    }

    #[test]
    fn policies_are_about_what_they_say() {
        let rule = json!({"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["deployments"], "scope": "*"});
        let with = |name: &str, value: Value| {
            let mut rule = rule.clone();
            rule[name] = value;
            json!({"resourceRules": [rule]})
        };
        let status = || Request { subresource: "status".into(), ..request() };
        let rows = [
            ("plain", json!({"resourceRules": [rule]}), request(), true),
            ("nothing said", json!({}), request(), true),
            ("other group", with("apiGroups", json!(["batch"])), request(), false),
            ("any group", with("apiGroups", json!(["*"])), request(), true),
            ("other version", with("apiVersions", json!(["v2"])), request(), false),
            ("other operation", with("operations", json!(["DELETE"])), request(), false),
            ("any operation", with("operations", json!(["*"])), request(), true),
            ("any resource", with("resources", json!(["*"])), request(), true),
            ("no subresource", json!({"resourceRules": [rule]}), status(), false),
            ("the subresource", with("resources", json!(["deployments/status"])), status(), true),
            ("any subresource", with("resources", json!(["*/*"])), status(), true),
            ("cluster scope", with("scope", json!("Cluster")), request(), false),
            ("namespaced scope", with("scope", json!("Namespaced")), request(), true),
            ("its name", with("resourceNames", json!(["web"])), request(), true),
            ("another name", with("resourceNames", json!(["api"])), request(), false),
            ("excluded", json!({"resourceRules": [rule], "excludeResourceRules": [rule]}), request(), false),
            ("namespace selected", json!({"namespaceSelector": {"matchLabels": {"tier": "shop"}}}), request(), true),
            ("other namespace", json!({"namespaceSelector": {"matchLabels": {"tier": "x"}}}), request(), false),
            ("object selected", json!({"objectSelector": {"matchLabels": {"app": "web"}}}), request(), true),
            ("other object", json!({"objectSelector": {"matchLabels": {"app": "x"}}}), request(), false),
        ];
        let registry = Registry::default().snapshot();
        let labels = |name: &str| json!({"tier": name});
        for (what, said, request, meant) in rows {
            assert_eq!(find(&said, &request, &registry, &labels).is_some(), meant, "{what}");
        }
    }

    #[test]
    fn the_same_objects_have_other_versions() {
        let registry = Registry::default().snapshot();
        let rule = json!({"apiGroups": ["events.k8s.io"], "apiVersions": ["v1"], "operations": ["*"], "resources": ["events"]});
        let request = Request { group: String::new(), resource: "events".into(), ..request() };
        let said = json!({"resourceRules": [rule], "matchPolicy": "Equivalent"});
        let found = find(&said, &request, &registry, &|_| Value::Null).unwrap();
        assert_eq!(&*found.group, "events.k8s.io");
        let said = json!({"resourceRules": [rule], "matchPolicy": "Exact"});
        assert!(find(&said, &request, &registry, &|_| Value::Null).is_none());
    }
}
