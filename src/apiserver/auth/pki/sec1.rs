//! EC keys in their own form, `BEGIN EC PRIVATE KEY` (RFC 5915). Every client reads it; PKCS#8 is not read by fabric8, Spark's
//! client, which takes a key without that head for an RSA one (its `CertUtils.loadKey`).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;

const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const SEQUENCE: u8 = 0x30;
/// The curve P-256 as an object identifier.
const P256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// Version 1 of the form.
const VERSION: [u8; 3] = [INTEGER, 1, 1];
/// Tag of the field that names the curve: fabric8 asks for it, PKCS#8 has it elsewhere.
const PARAMETERS: u8 = 0xa0;
/// Length of a line of base64.
const LINE: usize = 64;

/// A P-256 key of PKCS#8 in that form; `None` when it is none.
pub(super) fn from_pkcs8(pem: &str) -> Option<String> {
    let PrivateKeyDer::Pkcs8(key) = PrivateKeyDer::from_pem_slice(pem.as_bytes()).ok()? else {
        return None;
    };
    let (fields, _) = take(SEQUENCE, key.secret_pkcs8_der())?;
    let (_, fields) = take(INTEGER, fields)?;
    let (algorithm, fields) = take(SEQUENCE, fields)?;
    let (key, _) = take(OCTETS, fields)?;
    let (key, _) = take(SEQUENCE, key)?;
    let after_version = key.strip_prefix(&VERSION)?;
    let (secret, public) = take(OCTETS, after_version)?;
    if !algorithm.ends_with(&P256) || public.first() == Some(&PARAMETERS) {
        return None;
    }
    let content = [&VERSION[..], &tagged(OCTETS, secret)?, &tagged(PARAMETERS, &P256)?, public].concat();
    Some(pem_of(&tagged(SEQUENCE, &content)?))
}

/// The content of the first element, which must have this tag, and what follows it.
fn take(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match bytes.strip_prefix(&[tag])? {
        [0x81, length, rest @ ..] => (length, rest),
        [length, rest @ ..] if *length < 0x80 => (length, rest),
        _ => return None,
    };
    rest.split_at_checked(usize::from(*length))
}

/// An element, unless it is long.
fn tagged(tag: u8, content: &[u8]) -> Option<Vec<u8>> {
    let length = u8::try_from(content.len()).ok().filter(|length| *length < 0x80)?;
    Some([&[tag, length], content].concat())
}

fn pem_of(der: &[u8]) -> String {
    let mut text = "-----BEGIN EC PRIVATE KEY-----\n".to_owned();
    let mut rest = BASE64_STANDARD.encode(der);
    while !rest.is_empty() {
        let after = rest.split_off(rest.len().min(LINE));
        text += &rest;
        text.push('\n');
        rest = after;
    }
    text + "-----END EC PRIVATE KEY-----\n"
}

#[cfg(test)]
mod tests {
    use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384};
    use rustls::crypto::ring::sign::any_ecdsa_type;

    use super::*;

    #[test]
    fn the_same_key_comes_out_with_its_curve() {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let text = from_pkcs8(&key.serialize_pem()).unwrap();
        assert!(text.starts_with("-----BEGIN EC PRIVATE KEY-----\n"));
        let der = PrivateKeyDer::from_pem_slice(text.as_bytes()).unwrap();
        assert!(der.secret_der().windows(P256.len()).any(|window| window == P256));
        let signer = any_ecdsa_type(&der).unwrap();
        assert!(signer.public_key().unwrap().ends_with(key.public_key_raw()));
    }

    #[test]
    fn other_keys_are_refused() {
        let other = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        assert_eq!(from_pkcs8(&other.serialize_pem()), None);
        let once = from_pkcs8(&KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap().serialize_pem()).unwrap();
        assert_eq!(from_pkcs8(&once), None);
        assert_eq!(from_pkcs8("no key"), None);
    }
}
