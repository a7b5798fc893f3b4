//! TLS with the certificates of Ingresses: the name that a client asks for chooses the secret, which is read anew for each
//! connection.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::Acceptor;
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use crate::World;

/// Does the handshake.
///
/// # Errors
/// When no Ingress has a certificate for the name, its secret is none, or the client does not like it; in words.
pub(crate) async fn accept(world: &World, stream: TcpStream) -> Result<TlsStream<TcpStream>, String> {
    let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await.map_err(|error| error.to_string())?;
    let name = start.client_hello().server_name().unwrap_or_default().to_owned();
    let routes = world.routes();
    let (namespace, secret) =
        routes.certificate(&name).ok_or_else(|| format!("no Ingress has a certificate for {name:?}"))?;
    let secrets: Api<Secret> = Api::namespaced(world.caches.client().clone(), namespace);
    let found =
        secrets.get(secret).await.map_err(|error| format!("cannot read the secret {namespace}/{secret}: {error}"))?;
    let config = config(&found).map_err(|why| format!("the secret {namespace}/{secret}: {why}"))?;
    start.into_stream(Arc::new(config)).await.map_err(|error| error.to_string())
}

fn config(secret: &Secret) -> Result<ServerConfig, String> {
    let data = |name: &str| {
        let value = secret.data.as_ref().and_then(|data| data.get(name));
        value.map(|value| value.0.as_slice()).ok_or_else(|| format!("it has no {name}"))
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(data("tls.crt")?).collect();
    let chain = chain.map_err(|error| format!("its tls.crt is no certificate: {error}"))?;
    let key =
        PrivateKeyDer::from_pem_slice(data("tls.key")?).map_err(|error| format!("its tls.key is no key: {error}"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?.with_no_client_auth();
    let mut config = builder.with_single_cert(chain, key).map_err(|error| error.to_string())?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
