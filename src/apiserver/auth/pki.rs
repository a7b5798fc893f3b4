//! The cluster's certificates: an authority, the API's serving certificate, client certificates and the key that signs
//! tokens. Made once in a folder, loaded again later; a leaf that expires soon, or does not fit any more, is made anew.
//! Each key lies in one file with its certificate, mode 0600, written whole or not at all. It must not write kubeconfigs.

mod sec1;
mod signing;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use x509_parser::extensions::{GeneralName, ParsedExtension};

use super::{MASTERS, User};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const AUTHORITY_VALID: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
const LEAF_VALID: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// A certificate that ends sooner than this is made anew.
const RENEW_BEFORE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Clocks differ: certificates are valid from a little earlier.
const BACKDATE: Duration = Duration::from_secs(60 * 60);

/// Name of the administrator's file.
const ADMIN: &str = "admin";

/// Names and addresses that the API server answers to in every cluster; its node's name comes on top.
pub const API_NAMES: [&str; 8] = [
    "127.0.0.1",
    "10.96.0.1",
    "10.244.0.1",
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
];

/// Why keys could not be had.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file or folder.
    #[error("cannot {what} {}", path.display())]
    File {
        /// `read`, `write` or `create`.
        what: &'static str,
        /// Of what.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that does not hold what it should.
    #[error("{} does not hold {expected}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What should be there.
        expected: &'static str,
    },
    /// Making a certificate.
    #[error("cannot make the certificate of {of}")]
    Make {
        /// For whom.
        of: String,
        /// Why.
        source: rcgen::Error,
    },
    /// Setting up TLS.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
}

/// A certificate and its key, as PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct PemPair {
    /// The certificate.
    pub certificate: String,
    /// The key: PKCS#8, unless said otherwise.
    pub key: String,
}

impl std::fmt::Debug for PemPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PemPair").finish_non_exhaustive()
    }
}

/// The cluster's keys, in a folder.
pub struct Pki {
    dir: PathBuf,
    authority: PemPair,
    serving: PemPair,
    now: SystemTime,
}

/// What a leaf certificate says.
struct Leaf<'a> {
    file: &'a str,
    common_name: &'a str,
    organization: &'a str,
    names: Vec<String>,
    usage: ExtendedKeyUsagePurpose,
}

impl Pki {
    /// Opens the folder, and makes in it what is missing. `node` is the node's name.
    ///
    /// # Errors
    /// When a file cannot be read, written or understood.
    pub fn open(dir: &Path, node: &str, now: SystemTime) -> Result<Self, PkiError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|source| PkiError::File {
            what: "create",
            path: dir.to_owned(),
            source,
        })?;
        let authority = load_or_make(&dir.join("ca.pem"), |pair| lasts(pair, now), || make_authority(now))?;
        let mut pki = Self { dir: dir.to_owned(), serving: authority.clone(), authority, now };
        let mut names: Vec<String> = API_NAMES.iter().map(|&name| name.to_owned()).collect();
        names.push(node.to_owned());
        pki.serving = pki.leaf(&Leaf {
            file: "apiserver",
            common_name: "kube-apiserver",
            organization: "",
            names,
            usage: ExtendedKeyUsagePurpose::ServerAuth,
        })?;
        Ok(pki)
    }

    /// The authority's certificate, as PEM: what a client must trust.
    #[must_use]
    pub fn ca_certificate(&self) -> &str {
        &self.authority.certificate
    }

    /// The API's serving certificate.
    #[must_use]
    pub fn serving(&self) -> &PemPair {
        &self.serving
    }

    /// The certificate of the cluster's administrator, in `system:masters`. It is for a kubeconfig: the key is of the form
    /// that every client reads, `BEGIN EC PRIVATE KEY`.
    ///
    /// # Errors
    /// As [`Pki::open`].
    pub fn admin(&self) -> Result<PemPair, PkiError> {
        let PemPair { certificate, key } = self.client(ADMIN, "kubernetes-admin", MASTERS)?;
        let key = sec1::from_pkcs8(&key)
            .ok_or_else(|| PkiError::Content { path: self.file(ADMIN), expected: "a P-256 key" })?;
        Ok(PemPair { certificate, key })
    }

    /// The client certificate of `user` in `group`, kept as `FILE.pem`.
    ///
    /// # Errors
    /// As [`Pki::open`].
    pub fn client(&self, file: &str, user: &str, group: &str) -> Result<PemPair, PkiError> {
        self.leaf(&Leaf {
            file,
            common_name: user,
            organization: group,
            names: Vec::new(),
            usage: ExtendedKeyUsagePurpose::ClientAuth,
        })
    }

    /// The key that signs service-account tokens, as PEM (PKCS#8, ECDSA P-256).
    ///
    /// # Errors
    /// As [`Pki::open`].
    pub fn token_key(&self) -> Result<String, PkiError> {
        let path = self.dir.join("sa.pem");
        match read(&path)? {
            Some(text) if KeyPair::from_pem(&text).is_ok() => Ok(text),
            Some(_) => Err(PkiError::Content { path, expected: "a private key" }),
            None => {
                let pair = PemPair { certificate: String::new(), key: new_key("the token signer")?.serialize_pem() };
                write(&path, &pair)?;
                Ok(pair.key)
            }
        }
    }

    /// TLS for the API: HTTP/2 and 1.1, client certificates of this authority optional.
    ///
    /// # Errors
    /// When the certificates cannot be used.
    pub fn server_config(&self) -> Result<Arc<rustls::ServerConfig>, PkiError> {
        let tls = |error: &dyn std::fmt::Display| PkiError::Tls(error.to_string());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        let authority = der(&self.authority).ok_or_else(|| tls(&"the authority is unreadable"))?;
        roots.add(authority).map_err(|error| tls(&error))?;
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .allow_unauthenticated()
            .build()
            .map_err(|error| tls(&error))?;
        let chain = vec![der(&self.serving).ok_or_else(|| tls(&"the certificate is unreadable"))?];
        let key = PrivateKeyDer::from_pem_slice(self.serving.key.as_bytes()).map_err(|error| tls(&error))?;
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| tls(&error))?
            .with_client_cert_verifier(clients)
            .with_single_cert(chain, key)
            .map_err(|error| tls(&error))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.pem"))
    }

    fn leaf(&self, leaf: &Leaf<'_>) -> Result<PemPair, PkiError> {
        let fits = |pair: &PemPair| lasts(pair, self.now) && self.issued(pair, leaf);
        load_or_make(&self.file(leaf.file), fits, || {
            self.make_leaf(leaf).map_err(|source| PkiError::Make { of: leaf.common_name.to_owned(), source })
        })
    }

    fn make_leaf(&self, leaf: &Leaf<'_>) -> Result<PemPair, rcgen::Error> {
        let issuer = Issuer::from_ca_cert_pem(&self.authority.certificate, KeyPair::from_pem(&self.authority.key)?)?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::new(leaf.names.clone())?;
        params.not_before = (self.now - BACKDATE).into();
        params.not_after = (self.now + LEAF_VALID).into();
        params.distinguished_name = DistinguishedName::new();
        if !leaf.organization.is_empty() {
            params.distinguished_name.push(DnType::OrganizationName, leaf.organization);
        }
        params.distinguished_name.push(DnType::CommonName, leaf.common_name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = vec![leaf.usage.clone()];
        params.use_authority_key_identifier_extension = true;
        Ok(PemPair { certificate: params.signed_by(&key, &issuer)?.pem(), key: key.serialize_pem() })
    }

    /// Whether the certificate is of this authority and says what `leaf` says.
    fn issued(&self, pair: &PemPair, leaf: &Leaf<'_>) -> bool {
        let (Some(certificate), Some(authority)) = (der(pair), der(&self.authority)) else {
            return false;
        };
        let (Ok((_, certificate)), Ok((_, authority))) =
            (x509_parser::parse_x509_certificate(&certificate), x509_parser::parse_x509_certificate(&authority))
        else {
            return false;
        };
        let issuer = certificate.extensions().iter().find_map(|one| {
            let ParsedExtension::AuthorityKeyIdentifier(id) = one.parsed_extension() else {
                return None;
            };
            id.key_identifier.as_ref().map(|id| id.0)
        });
        let subject = authority.extensions().iter().find_map(|one| {
            let ParsedExtension::SubjectKeyIdentifier(id) = one.parsed_extension() else {
                return None;
            };
            Some(id.0)
        });
        let mut names = match certificate.subject_alternative_name() {
            Ok(Some(names)) => names.value.general_names.iter().map(name_text).collect(),
            _ => Vec::new(),
        };
        let mut wanted = leaf.names.clone();
        names.sort();
        wanted.sort();
        let subject_of = certificate.subject();
        let common_name = subject_of.iter_common_name().next().and_then(text_of);
        let organization = subject_of.iter_organization().next().and_then(text_of);
        issuer.is_some()
            && issuer == subject
            && names == wanted
            && common_name == Some(leaf.common_name)
            && organization.unwrap_or_default() == leaf.organization
    }
}

/// The user that a client certificate names: common name and organisations.
#[must_use]
pub fn user_of_certificate(certificate: &[u8]) -> Option<User> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let subject = parsed.subject();
    let name = subject.iter_common_name().next()?.as_str().ok()?;
    if name.is_empty() {
        return None;
    }
    let groups: Vec<&str> = subject.iter_organization().filter_map(|one| one.as_str().ok()).collect();
    Some(User::authenticated(name, &groups))
}

fn text_of<'a>(value: &'a x509_parser::x509::AttributeTypeAndValue<'a>) -> Option<&'a str> {
    value.as_str().ok()
}

fn name_text(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(name) => (*name).to_owned(),
        GeneralName::IPAddress(bytes) => {
            <[u8; 4]>::try_from(*bytes).map(|four| std::net::Ipv4Addr::from(four).to_string()).unwrap_or_default()
        }
        _ => String::new(),
    }
}

fn make_authority(now: SystemTime) -> Result<PemPair, PkiError> {
    let make = || {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        params.not_before = (now - BACKDATE).into();
        params.not_after = (now + AUTHORITY_VALID).into();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "kubernetes");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
        ];
        Ok(PemPair { certificate: params.self_signed(&key)?.pem(), key: key.serialize_pem() })
    };
    make().map_err(|source| PkiError::Make { of: "the authority".to_owned(), source })
}

fn new_key(of: &str) -> Result<KeyPair, PkiError> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|source| PkiError::Make { of: of.to_owned(), source })
}

fn load_or_make(
    path: &Path,
    fits: impl Fn(&PemPair) -> bool,
    make: impl FnOnce() -> Result<PemPair, PkiError>,
) -> Result<PemPair, PkiError> {
    if let Some(text) = read(path)? {
        let pair = split(&text).ok_or_else(|| PkiError::Content {
            path: path.to_owned(),
            expected: "a certificate and its private key",
        })?;
        if fits(&pair) {
            return Ok(pair);
        }
    }
    let pair = make()?;
    write(path, &pair)?;
    Ok(pair)
}

fn split(text: &str) -> Option<PemPair> {
    let at = text.find("-----BEGIN PRIVATE KEY-----")?;
    let pair = PemPair { certificate: text[..at].to_owned(), key: text[at..].to_owned() };
    let readable = der(&pair).is_some() && KeyPair::from_pem(&pair.key).is_ok();
    readable.then_some(pair)
}

fn der(pair: &PemPair) -> Option<CertificateDer<'static>> {
    CertificateDer::from_pem_slice(pair.certificate.as_bytes()).ok()
}

/// Whether the certificate is valid for long enough from `now`.
fn lasts(pair: &PemPair, now: SystemTime) -> bool {
    let Some(certificate) = der(pair) else {
        return false;
    };
    let Ok((_, parsed)) = x509_parser::parse_x509_certificate(&certificate) else {
        return false;
    };
    let seconds = |time: SystemTime| {
        time.duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
    };
    let validity = parsed.validity();
    validity.not_before.timestamp() <= seconds(now + DAY)
        && validity.not_after.timestamp() > seconds(now + RENEW_BEFORE)
}

fn read(path: &Path) -> Result<Option<String>, PkiError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(PkiError::File { what: "read", path: path.to_owned(), source }),
    }
}

/// Writes beside, then renames: a reader sees the old file or the new one.
fn write(path: &Path, pair: &PemPair) -> Result<(), PkiError> {
    let beside = path.with_extension("pem.new");
    let attempt = || {
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(pair.certificate.as_bytes())?;
        file.write_all(pair.key.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    attempt().map_err(|source| PkiError::File { what: "write", path: path.to_owned(), source })
}

#[cfg(test)]
mod tests;
