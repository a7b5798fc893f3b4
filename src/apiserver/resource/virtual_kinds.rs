//! Resources that are only asked and never stored: reviews of tokens, of the asker, and of rights.

use super::Resource;

pub(super) fn table() -> Vec<Resource> {
    let authentication = |kind, plural| Resource::cluster("authentication.k8s.io", "v1", kind, plural);
    let authorization = |kind, plural| Resource::cluster("authorization.k8s.io", "v1", kind, plural);
    let all = [
        authentication("SelfSubjectReview", "selfsubjectreviews"),
        authentication("TokenReview", "tokenreviews"),
        Resource::namespaced("authorization.k8s.io", "v1", "LocalSubjectAccessReview", "localsubjectaccessreviews"),
        authorization("SelfSubjectAccessReview", "selfsubjectaccessreviews"),
        authorization("SelfSubjectRulesReview", "selfsubjectrulesreviews"),
        authorization("SubjectAccessReview", "subjectaccessreviews"),
    ];
    all.map(|one| one.verbs(&["create"])).into()
}
