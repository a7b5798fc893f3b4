//! JSON web signatures, as little of them as service-account tokens need: compact form, ES256, one key. It must not
//! know what the payload means.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

/// What precedes the point in the SubjectPublicKeyInfo of every P-256 key.
const SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Signs and verifies with one P-256 key.
pub(super) struct Signer {
    pair: EcdsaKeyPair,
    key_id: String,
    random: SystemRandom,
}

impl Signer {
    /// The signer with that key (PKCS#8 PEM); `None` when it is not such a key.
    pub(super) fn from_pem(pem: &str) -> Option<Self> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).ok()?;
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_pkcs8_der(), &random).ok()?;
        let info = [&SPKI_PREFIX[..], pair.public_key().as_ref()].concat();
        let digest = ring::digest::digest(&ring::digest::SHA256, &info);
        Some(Self { key_id: BASE64.encode(digest), pair, random })
    }

    /// `payload` with header and signature; `None` when the system has no randomness.
    pub(super) fn sign(&self, payload: &[u8]) -> Option<String> {
        let header = json!({"alg": "ES256", "kid": self.key_id}).to_string();
        let text = format!("{}.{}", BASE64.encode(header), BASE64.encode(payload));
        let signature = self.pair.sign(&self.random, text.as_bytes()).ok()?;
        Some(format!("{text}.{}", BASE64.encode(signature)))
    }

    /// The payload of `token`, if this key signed it.
    pub(super) fn verify(&self, token: &str) -> Option<Vec<u8>> {
        let (text, signature) = token.rsplit_once('.')?;
        let (header, payload) = text.split_once('.')?;
        let header: Value = serde_json::from_slice(&BASE64.decode(header).ok()?).ok()?;
        if header["alg"] != "ES256" || !header["crit"].is_null() {
            return None;
        }
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.pair.public_key())
            .verify(text.as_bytes(), &BASE64.decode(signature).ok()?)
            .ok()?;
        BASE64.decode(payload).ok()
    }

    /// The public key, as a JSON web key set.
    pub(super) fn key_set(&self) -> Value {
        // An uncompressed point: 4, x, y.
        let point = self.pair.public_key().as_ref();
        let (x, y) = point[1..].split_at((point.len() - 1) / 2);
        json!({"keys": [{
            "use": "sig", "kty": "EC", "kid": self.key_id, "crv": "P-256", "alg": "ES256",
            "x": BASE64.encode(x), "y": BASE64.encode(y),
        }]})
    }
}
