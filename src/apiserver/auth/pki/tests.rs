//! Certificates: made once, read again, renewed near their end.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// A folder of its own for one test, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("tinderbox-pki-{}", uuid::Uuid::new_v4())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn makes_once_and_loads_again() {
    let folder = Folder::new();
    let now = SystemTime::now();
    let first = Pki::open(&folder.0, "local-0", now).unwrap();
    let admin = first.admin().unwrap();
    let token_key = first.token_key().unwrap();
    let again = Pki::open(&folder.0, "local-0", now).unwrap();
    assert_eq!(first.ca_certificate(), again.ca_certificate());
    assert_eq!(first.serving(), again.serving());
    assert_eq!(admin, again.admin().unwrap());
    assert_eq!(token_key, again.token_key().unwrap());
    for entry in fs::read_dir(&folder.0).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn certificate_names_its_user() {
    let folder = Folder::new();
    let pki = Pki::open(&folder.0, "local-0", SystemTime::now()).unwrap();
    let user = user_of_certificate(&der(&pki.admin().unwrap()).unwrap()).unwrap();
    assert_eq!(user.name, "kubernetes-admin");
    assert_eq!(user.groups, ["system:masters", "system:authenticated"]);
    let node = pki.client("node", "system:node:local-0", "system:nodes");
    let user = user_of_certificate(&der(&node.unwrap()).unwrap()).unwrap();
    assert_eq!(user.name, "system:node:local-0");
}

#[test]
fn renews_a_leaf_that_ends_soon_or_names_another_node() {
    let folder = Folder::new();
    let now = SystemTime::now();
    let first = Pki::open(&folder.0, "local-0", now).unwrap();
    let later = Pki::open(&folder.0, "local-0", now + LEAF_VALID - DAY).unwrap();
    assert_eq!(first.ca_certificate(), later.ca_certificate());
    assert_ne!(first.serving(), later.serving());
    let renamed = Pki::open(&folder.0, "other-0", now + LEAF_VALID - DAY).unwrap();
    assert_ne!(renamed.serving(), later.serving());
}

#[test]
fn a_new_authority_makes_new_leaves() {
    let folder = Folder::new();
    let now = SystemTime::now();
    let first = Pki::open(&folder.0, "local-0", now).unwrap();
    let admin = first.admin().unwrap();
    fs::remove_file(folder.0.join("ca.pem")).unwrap();
    let second = Pki::open(&folder.0, "local-0", now).unwrap();
    assert_ne!(first.serving(), second.serving());
    assert_ne!(admin, second.admin().unwrap());
}

#[test]
fn names_a_damaged_file() {
    let folder = Folder::new();
    let now = SystemTime::now();
    drop(Pki::open(&folder.0, "local-0", now).unwrap());
    let path = folder.0.join("ca.pem");
    fs::write(&path, "half").unwrap();
    let error = Pki::open(&folder.0, "local-0", now).err().unwrap();
    assert_eq!(error.to_string(), format!("{} does not hold a certificate and its private key", path.display()));
}

#[tokio::test]
async fn tls_takes_clients_with_and_without_certificates() {
    let folder = Folder::new();
    let pki = Pki::open(&folder.0, "local-0", SystemTime::now()).unwrap();
    let server = tokio_rustls::TlsAcceptor::from(pki.server_config().unwrap());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(der(&pki.authority).unwrap()).unwrap();
    let roots = Arc::new(roots);
    let admin = pki.admin().unwrap();
    for with_certificate in [true, false] {
        let builder = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots.clone());
        let mut config = if with_certificate {
            let key = PrivateKeyDer::from_pem_slice(admin.key.as_bytes()).unwrap();
            builder.with_client_auth_cert(vec![der(&admin).unwrap()], key).unwrap()
        } else {
            builder.with_no_client_auth()
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        for name in API_NAMES.iter().chain(&["local-0"]) {
            let connector = tokio_rustls::TlsConnector::from(Arc::new(config.clone()));
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            let name = rustls::pki_types::ServerName::try_from((*name).to_owned()).unwrap();
            let (client, server) = tokio::join!(connector.connect(name, ours), server.accept(theirs));
            client.unwrap();
            let server = server.unwrap();
            let (_, session) = server.get_ref();
            assert_eq!(session.alpn_protocol(), Some(&b"h2"[..]));
            let user = session.peer_certificates().and_then(|chain| user_of_certificate(chain.first()?));
            assert_eq!(user.is_some(), with_certificate);
        }
    }
}
