//! Service account tokens: issued, verified, and refused once what they are bound to is gone.

use super::*;

pub(in super::super) fn tokens() -> Tokens {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    Tokens::from_pem(&key.serialize_pem()).unwrap()
}

pub(in super::super) fn objects(resource: &str, namespace: &str, name: &str) -> Option<Value> {
    match (resource, namespace, name) {
        ("serviceaccounts", "spark-jobs", "spark") => {
            Some(json!({"metadata": {"name": "spark", "namespace": "spark-jobs", "uid": "sa-1"}}))
        }
        ("pods", "spark-jobs", "driver") => Some(json!({
            "metadata": {"name": "driver", "namespace": "spark-jobs", "uid": "pod-1"},
            "spec": {"serviceAccountName": "spark", "nodeName": "local-0"},
        })),
        ("nodes", "", "local-0") => Some(json!({"metadata": {"name": "local-0", "uid": "node-1"}})),
        _ => None,
    }
}

fn reference(name: &str, uid: &str) -> Reference {
    Reference { name: name.to_owned(), uid: uid.to_owned() }
}

fn bound() -> Bound {
    Bound {
        namespace: "spark-jobs".into(),
        serviceaccount: reference("spark", "sa-1"),
        pod: Some(reference("driver", "pod-1")),
        node: Some(reference("local-0", "node-1")),
        secret: None,
    }
}

fn of(tokens: &Tokens, bound: Bound, now: SystemTime) -> String {
    let hour = Duration::from_secs(3600);
    let claims = claims(bound, vec![ISSUER.to_owned()], hour, now);
    tokens.issue(&claims).unwrap()
}

fn verify(tokens: &Tokens, token: &str, now: SystemTime) -> Result<Verified, TokenError> {
    tokens.verify(token, &[ISSUER.to_owned()], &objects, now)
}

#[test]
fn names_the_account_its_groups_and_its_pod() {
    let (tokens, now) = (tokens(), SystemTime::now());
    let verified = verify(&tokens, &of(&tokens, bound(), now), now).unwrap();
    let user = verified.user;
    assert_eq!(user.name, "system:serviceaccount:spark-jobs:spark");
    assert_eq!(user.uid, "sa-1");
    assert_eq!(user.groups, ["system:serviceaccounts", "system:serviceaccounts:spark-jobs", "system:authenticated"]);
    let extra = |key: &str| user.extra[&format!("authentication.kubernetes.io/{key}")].clone();
    assert_eq!(extra("pod-name"), ["driver"]);
    assert_eq!(extra("pod-uid"), ["pod-1"]);
    assert_eq!(extra("node-name"), ["local-0"]);
    assert!(extra("credential-id")[0].starts_with("JTI="));
}

#[test]
fn ends_with_its_time_and_starts_not_before() {
    let (tokens, now) = (tokens(), SystemTime::now());
    let token = of(&tokens, bound(), now);
    let after = |seconds| now + Duration::from_secs(seconds);
    assert!(verify(&tokens, &token, after(3600 + 30)).is_ok());
    let late = verify(&tokens, &token, after(3600 + 90));
    assert_eq!(late, Err(TokenError::Expired));
    let early = verify(&tokens, &token, now - Duration::from_secs(90));
    assert_eq!(early, Err(TokenError::Early));
}

#[test]
fn ends_with_the_objects_that_it_is_bound_to() {
    let (tokens, now) = (tokens(), SystemTime::now());
    let mut other = bound();
    other.pod = Some(reference("driver", "pod-0"));
    let error = verify(&tokens, &of(&tokens, other, now), now).unwrap_err();
    assert_eq!(error.to_string(), "pod UID (pod-1) does not match service account pod ref claim (pod-0)");
    let mut other = bound();
    other.pod = Some(reference("gone", "pod-0"));
    let error = verify(&tokens, &of(&tokens, other, now), now).unwrap_err();
    assert_eq!(error.to_string(), "service account token has been invalidated");
    let mut other = bound();
    other.serviceaccount.uid = "sa-0".into();
    let error = verify(&tokens, &of(&tokens, other, now), now).unwrap_err();
    assert_eq!(error.to_string(), "service account UID (sa-1) does not match claim (sa-0)");
}

#[test]
fn refuses_other_keys_audiences_and_tampering() {
    let (ours, theirs, now) = (tokens(), tokens(), SystemTime::now());
    let token = of(&theirs, bound(), now);
    assert_eq!(verify(&ours, &token, now), Err(TokenError::Foreign));
    let token = of(&ours, bound(), now);
    let error = ours.verify(&token, &["vault".to_owned()], &objects, now);
    assert!(matches!(error, Err(TokenError::Audience(..))));
    let (head, tail) = token.split_once('.').unwrap();
    let none = format!("eyJhbGciOiJub25lIn0.{tail}");
    assert_eq!(verify(&ours, &none, now), Err(TokenError::Foreign));
    for broken in ["", "a.b", "a.b.c", head, &token[..token.len() - 4]] {
        assert_eq!(verify(&ours, broken, now), Err(TokenError::Foreign));
    }
}

#[test]
fn key_set_and_token_name_the_same_key() {
    use base64::Engine as _;
    let (tokens, now) = (tokens(), SystemTime::now());
    let set = tokens.key_set();
    assert_eq!(set["keys"][0]["x"].as_str().unwrap().len(), 43);
    let token = of(&tokens, bound(), now);
    let head = token.split('.').next().unwrap();
    let head = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(head).unwrap();
    let head: Value = serde_json::from_slice(&head).unwrap();
    assert_eq!(head["kid"], set["keys"][0]["kid"]);
    assert_eq!(tokens.openid_configuration()["issuer"], ISSUER);
}
