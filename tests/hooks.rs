//! A server of webhooks on a port of this machine, with a certificate of its own, that answers as a test says and remembers
//! what it was asked.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What a webhook says to a path and a request; nothing at all leaves the caller waiting.
type Answer = dyn Fn(&str, &Value) -> Option<Value> + Send + Sync;

/// A running server; dropping it ends it.
pub struct Hooks {
    /// Where it listens.
    pub address: SocketAddr,
    /// The certificate that it is trusted by, as a `caBundle`.
    pub ca: String,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
    serving: JoinHandle<()>,
}

impl Hooks {
    /// Starts a server. `answer` gets the path and `request` of each review, and gives the `response`, whose uid is filled in.
    ///
    /// # Panics
    /// When it cannot be started: the test is over.
    pub async fn start(answer: impl Fn(&str, &Value) -> Option<Value> + Send + Sync + 'static) -> Self {
        let own = certificates();
        let acceptor = TlsAcceptor::from(Arc::new(server_config(&own)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (answer, remembered): (Arc<Answer>, _) = (Arc::new(answer), Arc::clone(&asked));
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, answer, asked) = (acceptor.clone(), Arc::clone(&answer), Arc::clone(&remembered));
                tokio::spawn(async move {
                    // A client may think the certificate wrong.
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(|request| respond(request, Arc::clone(&answer), Arc::clone(&asked)));
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { address, ca: own.ca, asked, serving }
    }

    /// The `clientConfig` of a path of this server.
    #[must_use]
    pub fn at(&self, path: &str) -> Value {
        json!({"url": format!("https://{}{path}", self.address), "caBundle": self.ca})
    }

    /// What was asked until now, with the path that each went to.
    ///
    /// # Panics
    /// When an answer has panicked.
    #[must_use]
    pub fn asked(&self) -> Vec<(String, Value)> {
        self.asked.lock().unwrap().clone()
    }

    /// What was asked since the last time.
    ///
    /// # Panics
    /// When an answer has panicked.
    pub fn take(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

impl Drop for Hooks {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A `response` that changes an object by these steps.
#[must_use]
pub fn patched(steps: &Value) -> Value {
    json!({"allowed": true, "patchType": "JSONPatch", "patch": STANDARD.encode(steps.to_string())})
}

async fn respond(
    request: Request<Incoming>,
    answer: Arc<Answer>,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let mut review: Value = serde_json::from_slice(&body).unwrap_or_default();
    let question = review["request"].take();
    asked.lock().unwrap().push((path.clone(), question.clone()));
    let Some(mut response) = answer(&path, &question) else {
        return std::future::pending().await;
    };
    response["uid"] = question["uid"].clone();
    let whole = json!({"kind": review["kind"], "apiVersion": review["apiVersion"], "response": response});
    Ok(Response::new(Full::from(whole.to_string())))
}

/// What a server of webhooks needs to be trusted.
pub struct Certificates {
    /// Its certificate (PEM).
    pub certificate: String,
    /// The key to it (PEM).
    pub key: String,
    /// The authority behind it, as a `caBundle`.
    pub ca: String,
}

/// Certificates for this machine and the service `hooks` in `default`.
///
/// # Panics
/// When there is no randomness for them: the test is over.
#[must_use]
pub fn certificates() -> Certificates {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let names = ["127.0.0.1", "localhost", "hooks.default.svc"].map(str::to_owned).to_vec();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
    Certificates { certificate: certificate.pem(), key: key.serialize_pem(), ca: STANDARD.encode(authority.pem()) }
}

fn server_config(own: &Certificates) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let certificate = CertificateDer::from_pem_slice(own.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap()
}
