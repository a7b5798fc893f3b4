//! What each of Kubernetes' own signers asks of a request. Pure.
//! Upstream rule: k8s.io/kubernetes `pkg/apis/certificates/helpers.go` and `pkg/controller/certificates/signer/signer.go`.

use std::collections::BTreeSet;

use tinderbox_api::certificates::Requested;

const CLIENT: &str = "kubernetes.io/kube-apiserver-client";
const KUBELET_CLIENT: &str = "kubernetes.io/kube-apiserver-client-kubelet";
const KUBELET_SERVING: &str = "kubernetes.io/kubelet-serving";

const CLIENT_AUTH: &str = "client auth";
const ENCIPHERMENT: &str = "key encipherment";
const SIGNATURE: &str = "digital signature";

/// Whether the signer is one of those that sign here. `kubernetes.io/legacy-unknown` cannot be asked for in this version of the
/// kind.
pub(super) fn is_signer(name: &str) -> bool {
    [CLIENT, KUBELET_CLIENT, KUBELET_SERVING].contains(&name)
}

/// Whether a request keeps the rules of its signer.
pub(super) fn check(signer: &str, requested: &Requested, usages: &[String]) -> Result<(), String> {
    match signer {
        KUBELET_CLIENT => {
            node(requested)?;
            none(&requested.dns, "DNS")?;
            none(&requested.emails, "Email")?;
            none(&requested.addresses, "IP")?;
            none(&requested.uris, "URI")?;
            named_after_a_node(requested)?;
            exactly(usages, CLIENT_AUTH)
        }
        KUBELET_SERVING => {
            node(requested)?;
            if requested.dns.is_empty() && requested.addresses.is_empty() {
                return Err("DNS or IP subjectAltName is required".to_owned());
            }
            none(&requested.emails, "Email")?;
            none(&requested.uris, "URI")?;
            exactly(usages, "server auth")?;
            named_after_a_node(requested)
        }
        _ => client(usages),
    }
}

fn node(requested: &Requested) -> Result<(), String> {
    let nodes = requested.organizations == ["system:nodes"];
    nodes.then_some(()).ok_or_else(|| "subject organization is not system:nodes".to_owned())
}

fn named_after_a_node(requested: &Requested) -> Result<(), String> {
    let named = requested.common_name.starts_with("system:node:");
    named.then_some(()).ok_or_else(|| "subject common name does not begin with system:node:".to_owned())
}

fn none<T>(names: &[T], kind: &str) -> Result<(), String> {
    names.is_empty().then_some(()).ok_or_else(|| format!("{kind} subjectAltNames are not allowed"))
}

fn exactly(usages: &[String], purpose: &str) -> Result<(), String> {
    let wanted = BTreeSet::from([SIGNATURE, ENCIPHERMENT, purpose]);
    let mut given: BTreeSet<&str> = usages.iter().map(String::as_str).collect();
    // Keys that cannot encipher do without.
    given.insert(ENCIPHERMENT);
    let all: Vec<&str> = if purpose == CLIENT_AUTH {
        vec![CLIENT_AUTH, SIGNATURE, ENCIPHERMENT]
    } else {
        vec![SIGNATURE, ENCIPHERMENT, purpose]
    };
    (given == wanted).then_some(()).ok_or_else(|| format!("usages did not match [{}]", all.join(" ")))
}

fn client(usages: &[String]) -> Result<(), String> {
    if let Some(other) = usages.iter().find(|usage| ![SIGNATURE, ENCIPHERMENT, CLIENT_AUTH].contains(&usage.as_str())) {
        return Err(format!("invalid usage for client certificate: {other}"));
    }
    let has = usages.iter().any(|usage| usage == CLIENT_AUTH);
    has.then_some(()).ok_or_else(|| format!("missing required usage for client certificate: {CLIENT_AUTH}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_signer_has_its_rules() {
        let node = Requested {
            common_name: "system:node:a".to_owned(),
            organizations: vec!["system:nodes".to_owned()],
            ..Requested::default()
        };
        let serving = Requested { dns: vec!["a".to_owned()], ..node.clone() };
        let user = Requested { common_name: "jane".to_owned(), ..Requested::default() };
        let client = &[SIGNATURE, ENCIPHERMENT, CLIENT_AUTH][..];
        let server = &[SIGNATURE, ENCIPHERMENT, "server auth"][..];
        for (signer, requested, usages, wanted) in [
            (CLIENT, &user, client, ""),
            (CLIENT, &user, server, "invalid usage for client certificate: server auth"),
            (CLIENT, &user, &[SIGNATURE], "missing required usage for client certificate: client auth"),
            (KUBELET_CLIENT, &node, client, ""),
            (KUBELET_CLIENT, &node, &[SIGNATURE, CLIENT_AUTH], ""),
            (KUBELET_CLIENT, &node, server, "usages did not match [client auth digital signature key encipherment]"),
            (KUBELET_CLIENT, &user, client, "subject organization is not system:nodes"),
            (KUBELET_CLIENT, &serving, client, "DNS subjectAltNames are not allowed"),
            (KUBELET_SERVING, &serving, server, ""),
            (KUBELET_SERVING, &node, server, "DNS or IP subjectAltName is required"),
            (
                KUBELET_SERVING,
                &serving,
                client,
                "usages did not match [digital signature key encipherment server auth]",
            ),
        ] {
            let usages: Vec<String> = usages.iter().map(|usage| (*usage).to_owned()).collect();
            let answer = check(signer, requested, &usages).err().unwrap_or_default();
            assert_eq!(answer, wanted, "{signer} {usages:?}");
        }
    }
}
