//! Secrets with tokens of service accounts, and certificates for those who ask.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use k8s_openapi::api::authentication::v1::TokenReview;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use tinderbox_apiserver::auth::User;
use tinderbox_apiserver::auth::pki::user_of_certificate;

use crate::world::{World, from, until_in};

/// What the API says of a token: a user, or why there is none.
async fn review(world: &World, token: &str) -> Result<String, String> {
    let review: TokenReview = from(json!({"metadata": {}, "spec": {"token": token}}));
    let status = Api::all(world.client.clone()).create(&PostParams::default(), &review).await.unwrap().status.unwrap();
    match status.authenticated {
        Some(true) => Ok(status.user.and_then(|user| user.username).unwrap_or_default()),
        _ => Err(status.error.unwrap_or_default()),
    }
}

#[tokio::test]
async fn a_secret_of_an_account_has_a_token_as_long_as_both_are_there() {
    let world = World::bare().await;
    world.create::<ServiceAccount>(json!({"metadata": {"name": "robot"}})).await;
    let secret = |name: &str| {
        json!({"metadata": {"name": name, "annotations": {"kubernetes.io/service-account.name": "robot"}},
            "type": "kubernetes.io/service-account-token"})
    };
    let mut tokens = Vec::new();
    for name in ["one", "two"] {
        world.create::<Secret>(secret(name)).await;
        let filled = world.until::<Secret>(name, |secret| secret.data.is_some()).await;
        let data = filled.data.as_ref().unwrap();
        let text = |key: &str| String::from_utf8(data[key].0.clone()).unwrap();
        assert_eq!((text("ca.crt").as_str(), text("namespace").as_str()), ("PEM", "default"));
        assert!(filled.annotations().contains_key("kubernetes.io/service-account.uid"));
        assert_eq!(review(&world, &text("token")).await.unwrap(), "system:serviceaccount:default:robot");
        tokens.push(text("token"));
    }
    world.api::<Secret>().delete("one", &DeleteParams::default()).await.unwrap();
    assert!(review(&world, &tokens[0]).await.is_err());
    assert!(review(&world, &tokens[1]).await.is_ok());

    world.api::<ServiceAccount>().delete("robot", &DeleteParams::default()).await.unwrap();
    world.gone::<Secret>("two").await;
    assert!(review(&world, &tokens[1]).await.is_err());
    // One that names nobody goes too.
    world.create::<Secret>(secret("three")).await;
    world.gone::<Secret>("three").await;
}

fn request(name: &str, signer: &str, common: &str, groups: &[&str], usages: &[&str]) -> (Value, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common);
    for group in groups {
        params.distinguished_name.push(DnType::OrganizationName, *group);
    }
    let pem = params.serialize_request(&key).unwrap().pem().unwrap();
    let object = json!({"metadata": {"name": name}, "spec": {"signerName": signer, "usages": usages,
        "request": BASE64_STANDARD.encode(pem), "expirationSeconds": 3600}});
    (object, key)
}

async fn approve(client: &Client, name: &str) -> kube::Result<CertificateSigningRequest> {
    let now = jiff::Timestamp::now();
    let approved =
        json!({"type": "Approved", "status": "True", "reason": "Test", "message": "", "lastUpdateTime": now});
    let patch = Patch::Merge(json!({"status": {"conditions": [approved]}}));
    let requests: Api<CertificateSigningRequest> = Api::all(client.clone());
    requests.patch_subresource("approval", name, &PatchParams::default(), &patch).await
}

#[tokio::test]
async fn who_is_approved_gets_a_certificate() {
    let world = World::bare().await;
    let requests: Api<CertificateSigningRequest> = Api::all(world.client.clone());
    let client = "kubernetes.io/kube-apiserver-client";
    let usages = ["client auth", "digital signature"];
    let (jane, _) = request("jane", client, "jane", &["dev"], &usages);
    requests.create(&PostParams::default(), &from(jane)).await.unwrap();

    // Who may change approvals may not approve for every signer.
    let user = User::authenticated("clerk", &["clerks"]);
    let rules = json!([{"apiGroups": ["certificates.k8s.io"], "resources": ["certificatesigningrequests/approval"],
        "verbs": ["patch", "update"]}]);
    let rights = [
        ("clusterroles", "ClusterRole", json!({"metadata": {"name": "clerk"}, "rules": rules})),
        (
            "clusterrolebindings",
            "ClusterRoleBinding",
            json!({"metadata": {"name": "clerk"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "clerk"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "clerks"}]}),
        ),
    ];
    for (plural, kind, object) in rights {
        let gvk = kube::core::GroupVersionKind::gvk("rbac.authorization.k8s.io", "v1", kind);
        let resource = kube::core::discovery::ApiResource::from_gvk_with_plural(&gvk, plural);
        let api = Api::<kube::core::DynamicObject>::all_with(world.client.clone(), &resource);
        api.create(&PostParams::default(), &from(object)).await.unwrap();
    }
    let clerk = Client::new(world.server.service_as(user), "default");
    let refused = approve(&clerk, "jane").await.unwrap_err().to_string();
    let why = format!("user not permitted to approve requests with signerName \"{client}\"");
    assert!(refused.contains(&why), "{refused}");

    approve(&world.client, "jane").await.unwrap();
    let signed = until_in(requests.clone(), "jane", |request| {
        request.status.as_ref().is_some_and(|status| status.certificate.is_some())
    });
    let pem = signed.await.status.unwrap().certificate.unwrap().0;
    let der = CertificateDer::from_pem_slice(&pem).unwrap();
    let user = user_of_certificate(&der).unwrap();
    assert_eq!((user.name.as_str(), user.groups[0].as_str()), ("jane", "dev"));

    let (root, _) = request("root", client, "root", &["system:masters"], &usages);
    let refused = requests.create(&PostParams::default(), &from(root)).await.unwrap_err().to_string();
    assert!(
        refused.contains("use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed"),
        "{refused}"
    );

    let (wrong, _) =
        request("wrong", "kubernetes.io/kubelet-serving", "system:node:a", &["system:nodes"], &["server auth"]);
    requests.create(&PostParams::default(), &from(wrong)).await.unwrap();
    approve(&world.client, "wrong").await.unwrap();
    let failed = until_in(requests.clone(), "wrong", |request| {
        request.status.iter().flat_map(|status| status.conditions.iter().flatten()).any(|one| one.type_ == "Failed")
    });
    let conditions = failed.await.status.unwrap().conditions.unwrap();
    let failed = conditions.iter().find(|condition| condition.type_ == "Failed").unwrap();
    assert_eq!(failed.reason.as_deref(), Some("SignerValidationFailure"));
    assert_eq!(failed.message.as_deref(), Some("DNS or IP subjectAltName is required"));
}
