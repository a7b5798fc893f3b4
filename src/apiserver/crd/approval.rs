//! Groups that belong to the Kubernetes community need the approval of a definition in an annotation.
//! Upstream rule: k8s.io/apiextensions-apiserver `pkg/apihelpers` (`IsProtectedCommunityGroup`, `GetAPIApprovalState`).

use serde_json::Value;

use super::kind::text;
use crate::error::FieldError;

const ANNOTATION: &str = "api-approved.kubernetes.io";
const PATH: &str = "metadata.annotations[api-approved.kubernetes.io]";
const MORE: &str = "see https://github.com/kubernetes/enhancements/pull/1111";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Approval {
    Missing,
    Invalid,
    Bypassed,
    Approved,
}

fn approval(crd: &Value) -> Approval {
    let Some(said) = crd["metadata"]["annotations"][ANNOTATION].as_str() else {
        return Approval::Missing;
    };
    if said.starts_with("unapproved") {
        return Approval::Bypassed;
    }
    match said.parse::<http::Uri>() {
        Ok(url) if url.scheme().is_some() && url.host().is_some_and(|host| !host.is_empty()) => Approval::Approved,
        _ => Approval::Invalid,
    }
}

fn is_protected(group: &str) -> bool {
    ["k8s.io", "kubernetes.io"]
        .iter()
        .any(|own| group.strip_suffix(own).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
}

/// What is wrong with the approval of a definition. One that has not changed is not complained about.
pub(super) fn check(crd: &Value, old: Option<&Value>) -> Option<FieldError> {
    let now = approval(crd);
    if !is_protected(&text(&crd["spec"]["group"])) || old.map(approval) == Some(now) {
        return None;
    }
    match now {
        Approval::Missing => Some(FieldError::required(
            PATH,
            &format!("protected groups must have approval annotation {ANNOTATION:?}, {MORE}"),
        )),
        Approval::Invalid => Some(FieldError::invalid(
            PATH,
            &crd["metadata"]["annotations"][ANNOTATION],
            &format!(
                "protected groups must have approval annotation {ANNOTATION:?} with either a URL or a reason starting with \"unapproved\", {MORE}"
            ),
        )),
        Approval::Bypassed | Approval::Approved => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn groups_of_the_community_are_protected() {
        let crd = |group: &str, said: Option<&str>| {
            let annotations = said.map(|said| json!({ANNOTATION: said}));
            json!({"metadata": {"annotations": annotations}, "spec": {"group": group}})
        };
        let wrong = |group, said, old: Option<&Value>| {
            check(&crd(group, said), old).map(|error| format!("{}: {}", error.field, error.message))
        };
        assert_eq!(wrong("example.com", None, None), None);
        assert_eq!(wrong("notk8s.io", None, None), None);
        assert_eq!(
            wrong("a.k8s.io", None, None).unwrap(),
            "metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups must have approval annotation \
             \"api-approved.kubernetes.io\", see https://github.com/kubernetes/enhancements/pull/1111"
        );
        assert!(
            wrong("kubernetes.io", Some("yes"), None).unwrap().contains("with either a URL or a reason starting with")
        );
        assert_eq!(wrong("k8s.io", Some("unapproved, request not yet submitted"), None), None);
        assert_eq!(wrong("k8s.io", Some("https://example.com/1"), None), None);
        let old = crd("k8s.io", None);
        assert_eq!(wrong("k8s.io", None, Some(&old)), None, "it was so before");
        assert!(wrong("k8s.io", Some("yes"), Some(&old)).is_some());
    }
}
