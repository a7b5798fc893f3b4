//! Ephemeral containers: added to a pod that is there, for whoever debugs it.
//! Upstream rules: `ValidatePodEphemeralContainersUpdate` and `validateEphemeralContainers` of k8s.io/kubernetes
//! `pkg/apis/core/validation/validation.go`.

use serde_json::{Value, json};

use super::common::{Errors, list, text};
use super::container::{self, Sort};
use super::volume;
use crate::schema::Path;

const NEVER: &str = "cannot be set for an Ephemeral Container";

/// A pod whose ephemeral containers alone have changed.
pub(super) fn update(new: &Value, old: &Value, errors: &mut Errors) {
    let (new, old) = (&new["spec"], &old["spec"]);
    let path = Path::new("spec").field("ephemeralContainers");
    for was in list(&old["ephemeralContainers"]) {
        let name = text(was, "name");
        match list(&new["ephemeralContainers"]).find(|is| text(is, "name") == name) {
            None => errors.forbidden(&path, &format!("existing ephemeral containers \"{name}\" may not be removed\n")),
            Some(is) if is != was => {
                errors.forbidden(&path, &format!("existing ephemeral containers \"{name}\" may not be changed\n"));
            }
            Some(_) => {}
        }
    }
    // The volumes were checked when the pod was made.
    let volumes = volume::volumes(new, &Path::new("spec").field("volumes"), &mut Errors::default());
    let of = |field: &str| list(&new[field]).map(|one| text(one, "name")).collect::<Vec<_>>();
    let others = [of("containers"), of("initContainers")].concat();
    let mut seen = others.clone();
    for (index, one) in list(&new["ephemeralContainers"]).enumerate() {
        let at = path.index(index);
        container::one(one, Sort::Ephemeral, &volumes, &at, errors);
        let name = text(one, "name");
        if !name.is_empty() && seen.contains(&name) {
            errors.duplicate(at.field("name"), &json!(name));
        }
        seen.push(name);
        let target = text(one, "targetContainerName");
        if !target.is_empty() && !others.contains(&target) {
            errors.not_found(at.field("targetContainerName"), &json!(target));
        }
    }
}

/// Fields that containers of this sort do not have.
pub(super) fn forbid(container: &Value, path: &Path, errors: &mut Errors) {
    let empty = |value: &Value| {
        value.as_object().is_some_and(|fields| fields.is_empty()) || value.as_array().is_some_and(Vec::is_empty)
    };
    for field in ["ports", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "resources", "resizePolicy"]
    {
        if !container[field].is_null() && !empty(&container[field]) {
            errors.forbidden(path.field(field), NEVER);
        }
    }
    for (index, mount) in list(&container["volumeMounts"]).enumerate() {
        for field in ["subPath", "subPathExpr"] {
            if !text(mount, field).is_empty() {
                errors.forbidden(path.field("volumeMounts").index(index).field(field), NEVER);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(ephemeral: Value) -> Value {
        json!({"spec": {"containers": [{"name": "main"}], "ephemeralContainers": ephemeral}})
    }

    fn wrong(new: Value, old: Value) -> Vec<String> {
        let mut errors = Errors::default();
        update(&pod(new), &pod(old), &mut errors);
        errors.0.into_iter().map(|error| format!("{}: {}", error.field, error.message)).collect()
    }

    fn shell(name: &str) -> Value {
        json!({"name": name, "image": "busybox", "resources": {}, "targetContainerName": "main"})
    }

    #[test]
    fn one_may_be_added() {
        assert_eq!(wrong(json!([shell("a"), shell("b")]), json!([shell("a")])), Vec::<String>::new());
    }

    #[test]
    fn what_is_there_stays() {
        let mut other = shell("a");
        other["image"] = json!("alpine");
        let path = "spec.ephemeralContainers: Forbidden: existing ephemeral containers";
        assert_eq!(wrong(json!([]), json!([shell("a")])), [format!("{path} \"a\" may not be removed\n")]);
        assert_eq!(wrong(json!([other]), json!([shell("a")])), [format!("{path} \"a\" may not be changed\n")]);
    }

    #[test]
    fn it_is_a_plain_container_with_a_name_of_its_own() {
        let mut one = shell("main");
        one["targetContainerName"] = json!("none");
        one["ports"] = json!([{"containerPort": 80, "protocol": "TCP"}]);
        one["resources"] = json!({"limits": {"cpu": "1"}});
        assert_eq!(
            wrong(json!([one]), json!([])),
            [
                "spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container",
                "spec.ephemeralContainers[0].resources: Forbidden: cannot be set for an Ephemeral Container",
                "spec.ephemeralContainers[0].name: Duplicate value: \"main\"",
                "spec.ephemeralContainers[0].targetContainerName: Not found: \"none\"",
            ]
        );
    }
}
