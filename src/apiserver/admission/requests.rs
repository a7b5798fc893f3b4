//! Requests for certificates: who asks is written down by the server, what was asked for stays as it was, and who approves or
//! signs must be allowed to for that signer.
//! Upstream rules: k8s.io/kubernetes `pkg/registry/certificates/certificates/strategy.go` and
//! `plugin/pkg/admission/certificates`.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use x509_parser::prelude::{FromDer as _, X509CertificationRequest};

use crate::auth::token_reviews::user_info;
use crate::auth::{Attributes, MASTERS, User};
use crate::call::Call;
use crate::error::ApiError;
use crate::object;

/// What tells who asks.
const ASKER: [&str; 4] = ["username", "uid", "groups", "extra"];

const GROUP: &str = "certificates.k8s.io";
const CLIENT_SIGNER: &str = "kubernetes.io/kube-apiserver-client";

pub(super) fn admit(call: &Call, old: Option<&Value>, request: &mut Value) -> Result<(), ApiError> {
    if let Some(old) = old {
        let same = |field: &str| old["status"][field] == request["status"][field];
        let verb = match call.path.subresource.as_str() {
            "approval" => "approve",
            "status" if !same("certificate") || !same("conditions") => "sign",
            _ => "",
        };
        let signer = old["spec"]["signerName"].as_str().unwrap_or_default();
        if !verb.is_empty() && !may(call, verb, signer) {
            let message = format!("user not permitted to {verb} requests with signerName {signer:?}");
            return Err(ApiError::forbidden((GROUP, "certificatesigningrequests"), &call.path.name, &message));
        }
    } else if request["spec"]["signerName"] == CLIENT_SIGNER && is_of_masters(&request["spec"]["request"]) {
        let name = request["metadata"]["name"].as_str().unwrap_or_default();
        let message = format!("use of {CLIENT_SIGNER} signer with {MASTERS} group is not allowed");
        return Err(ApiError::forbidden((GROUP, "certificatesigningrequests"), name, &message));
    }
    fill(&call.user, old, request);
    Ok(())
}

/// Whether the caller may act for a signer: for this one, or for all of its domain.
fn may(call: &Call, verb: &str, signer: &str) -> bool {
    let domain = format!("{}/*", signer.split('/').next().unwrap_or_default());
    [signer, domain.as_str()].into_iter().any(|name| {
        let asked = Attributes {
            user: call.user.clone(),
            verb: verb.to_owned(),
            group: GROUP.to_owned(),
            version: "*".to_owned(),
            resource: "signers".to_owned(),
            name: name.to_owned(),
            ..Attributes::default()
        };
        call.api.access().rbac.authorize(&asked).allowed()
    })
}

/// Whether the subject of a request (PEM in base64) is in the group that may do everything.
fn is_of_masters(request: &Value) -> bool {
    let pem = request.as_str().and_then(|text| BASE64_STANDARD.decode(text).ok()).unwrap_or_default();
    let Ok((_, pem)) = x509_parser::pem::parse_x509_pem(&pem) else { return false };
    let Ok((_, parsed)) = X509CertificationRequest::from_der(&pem.contents) else { return false };
    let mut organizations = parsed.certification_request_info.subject.iter_organization();
    organizations.any(|one| one.as_str() == Ok(MASTERS))
}

fn fill(user: &User, old: Option<&Value>, request: &mut Value) {
    if let Some(old) = old {
        request["spec"] = old["spec"].clone();
        return;
    }
    let mut info = user_info(user);
    for field in ASKER {
        object::set_or_remove(&mut request["spec"], field, info[field].take());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_asker_is_who_asks() {
        let mut request = json!({"spec": {"signerName": "a/b", "username": "root", "uid": "0", "extra": {"k": ["v"]}}});
        fill(&User::authenticated("jane", &["dev"]), None, &mut request);
        let groups = ["dev", "system:authenticated"];
        assert_eq!(request["spec"], json!({"signerName": "a/b", "username": "jane", "groups": groups}));
        let mut later = json!({"spec": {"signerName": "c/d"}});
        fill(&User::authenticated("root", &[]), Some(&request), &mut later);
        assert_eq!(later["spec"], request["spec"]);
    }
}
