//! A registry spoken to: manifests and blobs of one repository over HTTP, with tokens. It brings bytes and checks their digests; what
//! they mean is not its business.

mod challenge;
mod credentials;

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, RANGE, WWW_AUTHENTICATE};
use reqwest::{Client, Response, StatusCode, Url};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncSeekExt, AsyncWriteExt};
use tokio::sync::Mutex;

use self::challenge::Challenge;
pub(super) use self::credentials::Credential;
pub(crate) use self::credentials::Keyring;
use super::digest::Digest;
use super::error::OciError;
use super::keep::blocking;
use super::manifest::LONGEST;
use crate::image::name::Reference;
use crate::image::progress::Progress;

/// A registry that does not take a connection in this time does not answer.
const CONNECT: Duration = Duration::from_secs(5);
/// One that sends nothing for this long has stopped.
const SILENCE: Duration = Duration::from_secs(30);
/// How often a download that brought nothing new is taken up again.
const TRIES: u32 = 4;
const TELL_EVERY: Duration = Duration::from_millis(100);
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
                         application/vnd.docker.distribution.manifest.list.v2+json, \
                         application/vnd.docker.distribution.manifest.v2+json";

/// One repository of a registry.
pub(super) struct Registry {
    http: Client,
    base: Url,
    reference: Reference,
    credential: Option<Credential>,
    /// What proves the right to pull, once it was asked for.
    proof: Mutex<Option<HeaderValue>>,
}

#[derive(Debug, Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

/// The credentials to try for an image, best first.
pub(super) async fn credentials(keyring: &Keyring, reference: &Reference) -> Vec<Credential> {
    credentials::for_image(keyring, reference).await
}

/// A client for the registry of an image.
pub(super) fn client(reference: &Reference) -> Result<Client, OciError> {
    // It fails when one is installed, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder().user_agent(concat!("tinderbox/", env!("CARGO_PKG_VERSION")));
    if is_local(&reference.registry) {
        // No proxy reaches this machine's own.
        builder = builder.no_proxy();
    }
    let client = builder.connect_timeout(CONNECT).read_timeout(SILENCE).build();
    client.map_err(|error| OciError::Silent { registry: reference.registry.clone(), cause: root_cause(&error) })
}

/// Where a registry of this name listens.
fn host(registry: &str) -> &str {
    if registry == "docker.io" { "registry-1.docker.io" } else { registry }
}

/// A registry on this machine may speak without TLS, as docker allows it.
fn is_local(registry: &str) -> bool {
    let name = registry.rsplit_once(':').map_or(registry, |(name, _)| name);
    let address = name.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    name == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

impl Registry {
    /// Finds the registry of an image.
    pub(super) async fn connect(
        http: &Client,
        reference: &Reference,
        credential: Option<Credential>,
    ) -> Result<Self, OciError> {
        let registry = host(&reference.registry);
        let schemes: &[&str] = if is_local(registry) { &["https", "http"] } else { &["https"] };
        let mut last = String::new();
        for scheme in schemes {
            let wrong = |error: String| OciError::Silent { registry: registry.to_owned(), cause: error };
            let base = Url::parse(&format!("{scheme}://{registry}/v2/")).map_err(|error| wrong(error.to_string()))?;
            match http.get(base.clone()).send().await {
                Ok(_) => {
                    let (http, reference) = (http.clone(), reference.clone());
                    return Ok(Self { http, base, reference, credential, proof: Mutex::default() });
                }
                Err(error) => last = root_cause(&error),
            }
        }
        Err(OciError::Silent { registry: registry.to_owned(), cause: last })
    }

    fn silent(&self, error: &reqwest::Error) -> OciError {
        OciError::Silent { registry: host(&self.reference.registry).to_owned(), cause: root_cause(error) }
    }

    /// Asks for a path below the repository; proves its right when the registry wants that.
    async fn get(&self, path: &str, accept: &'static str, from: u64) -> Result<Response, OciError> {
        let wrong = |error: String| OciError::Silent { registry: self.reference.registry.clone(), cause: error };
        let url = self
            .base
            .join(&format!("{}/{path}", self.reference.repository))
            .map_err(|error| wrong(error.to_string()))?;
        let mut tried = false;
        loop {
            let mut request = self.http.get(url.clone()).header(ACCEPT, accept);
            if from > 0 {
                request = request.header(RANGE, format!("bytes={from}-"));
            }
            if let Some(proof) = self.proof.lock().await.clone() {
                request = request.header(AUTHORIZATION, proof);
            }
            let response = request.send().await.map_err(|error| self.silent(&error))?;
            if response.status() != StatusCode::UNAUTHORIZED || tried {
                return Ok(response);
            }
            tried = true;
            let challenges = response.headers().get_all(WWW_AUTHENTICATE).iter();
            let challenge = challenges.filter_map(|header| header.to_str().ok()).find_map(Challenge::read);
            let Some(proof) = self.prove(challenge).await? else { return Ok(response) };
            *self.proof.lock().await = Some(proof);
        }
    }

    /// The header that answers a challenge; `None` when there is nothing to answer with.
    async fn prove(&self, challenge: Option<Challenge>) -> Result<Option<HeaderValue>, OciError> {
        let header = |text: String| {
            let mut header = HeaderValue::from_str(&text).ok();
            header.iter_mut().for_each(|header| header.set_sensitive(true));
            header
        };
        let bearer = |token: &str| header(format!("Bearer {token}"));
        match (challenge, &self.credential) {
            (Some(_), Some(Credential::Bearer(token))) => Ok(bearer(token)),
            (Some(Challenge::Basic), Some(Credential::Password { user, password })) => {
                use base64::Engine as _;
                let pair = base64::prelude::BASE64_STANDARD.encode(format!("{user}:{password}"));
                Ok(header(format!("Basic {pair}")))
            }
            (Some(Challenge::Bearer { realm, service, scope }), credential) => {
                let scope = scope.unwrap_or_else(|| format!("repository:{}:pull", self.reference.repository));
                let token = self.token(&realm, service.as_deref(), &scope, credential.as_ref()).await?;
                Ok(token.as_deref().and_then(bearer))
            }
            _ => Ok(None),
        }
    }

    async fn token(
        &self,
        realm: &str,
        service: Option<&str>,
        scope: &str,
        credential: Option<&Credential>,
    ) -> Result<Option<String>, OciError> {
        let Ok(mut url) = Url::parse(realm) else { return Ok(None) };
        let mut fields = vec![("scope", scope)];
        fields.extend(service.map(|service| ("service", service)));
        let request = match credential {
            Some(Credential::Refresh(token)) => {
                fields.extend([("grant_type", "refresh_token"), ("client_id", "tinderbox"), ("refresh_token", token)]);
                let form = Url::parse_with_params("http://form", &fields).ok();
                let body = form.and_then(|form| form.query().map(str::to_owned)).unwrap_or_default();
                self.http.post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body)
            }
            other => {
                url.query_pairs_mut().extend_pairs(&fields);
                match other {
                    Some(Credential::Password { user, password }) => {
                        self.http.get(url).basic_auth(user, Some(password))
                    }
                    _ => self.http.get(url),
                }
            }
        };
        let response = request.send().await.map_err(|error| self.silent(&error))?;
        if !response.status().is_success() {
            return Ok(None);
        }
        let bytes = read(response, LONGEST).await.map_err(|cause| self.broken(cause))?;
        let token: Option<Token> = serde_json::from_slice(&bytes).ok();
        Ok(token.and_then(|token| token.token.or(token.access_token)))
    }

    fn broken(&self, cause: String) -> OciError {
        OciError::Silent { registry: host(&self.reference.registry).to_owned(), cause }
    }

    /// What a status that is no success means.
    fn refusal(&self, status: StatusCode, what: &str) -> OciError {
        let (what, registry) = (what.to_owned(), host(&self.reference.registry).to_owned());
        match status {
            StatusCode::NOT_FOUND => OciError::Missing { what, registry },
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                OciError::Denied { repository: self.reference.place(), status: status.as_u16() }
            }
            _ => OciError::Status { what, registry, status: status.as_u16() },
        }
    }

    /// A manifest or index by tag or digest: its bytes, its digest, and what it came as.
    pub(super) async fn manifest(&self, wanted: &str) -> Result<(Vec<u8>, Digest, String), OciError> {
        let what = format!("manifest {wanted}");
        let response = self.get(&format!("manifests/{wanted}"), MANIFESTS, 0).await?;
        if !response.status().is_success() {
            return Err(self.refusal(response.status(), &what));
        }
        let kind =
            response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
        let bytes = read(response, LONGEST).await.map_err(|cause| self.broken(cause))?;
        let found = Digest::of(&bytes);
        match Digest::parse(wanted) {
            Ok(expected) if expected != found => Err(OciError::WrongDigest { what, expected, found }),
            _ => Ok((bytes, found, kind)),
        }
    }

    /// A small blob, whole.
    pub(super) async fn document(&self, digest: &Digest) -> Result<Vec<u8>, OciError> {
        let what = format!("blob {digest}");
        let response = self.get(&format!("blobs/{digest}"), "*/*", 0).await?;
        if !response.status().is_success() {
            return Err(self.refusal(response.status(), &what));
        }
        let bytes = read(response, LONGEST).await.map_err(|cause| self.broken(cause))?;
        let found = Digest::of(&bytes);
        if found == *digest { Ok(bytes) } else { Err(OciError::WrongDigest { what, expected: digest.clone(), found }) }
    }

    /// Brings a blob into a file, which grows as it comes: what is in it from an earlier try is not fetched again. The caller holds
    /// the lock for it.
    pub(super) async fn blob(
        &self,
        digest: &Digest,
        size: u64,
        part: &Path,
        progress: &dyn Progress,
    ) -> Result<(), OciError> {
        let called = format!("{} layer {}", self.reference, &digest.hex()[..12]);
        // A part may be a wrong one of an earlier try: then it is fetched once more from the start.
        for fresh in [false, true] {
            let downloaded = self.download(digest, size, part, &called, progress).await;
            progress.finished(&called);
            downloaded?;
            let found = sum(part).await?;
            if found == *digest {
                return Ok(());
            }
            std::fs::remove_file(part).map_err(OciError::io("remove", part))?;
            if fresh {
                return Err(OciError::WrongDigest { what: format!("blob {digest}"), expected: digest.clone(), found });
            }
        }
        Ok(())
    }

    async fn download(
        &self,
        digest: &Digest,
        size: u64,
        part: &Path,
        called: &str,
        progress: &dyn Progress,
    ) -> Result<(), OciError> {
        let length = || std::fs::metadata(part).map_or(0, |found| found.len());
        let mut tries = 0;
        loop {
            let before = length();
            let error = match self.go_on(digest, size, part, called, progress).await {
                Ok(()) => return Ok(()),
                Err(error @ OciError::Silent { .. }) => error,
                Err(error) => return Err(error),
            };
            // As long as something comes, it goes on.
            tries = if length() > before { 0 } else { tries + 1 };
            if tries == TRIES {
                return Err(error);
            }
            tracing::info!(%digest, %error, "the download of a layer stopped and is taken up again");
            tokio::time::sleep(Duration::from_millis(100) * (1 << tries)).await;
        }
    }

    async fn go_on(
        &self,
        digest: &Digest,
        size: u64,
        part: &Path,
        called: &str,
        progress: &dyn Progress,
    ) -> Result<(), OciError> {
        let mut have = std::fs::metadata(part).map_or(0, |found| found.len());
        if size > 0 && have == size {
            return Ok(());
        }
        if size > 0 && have > size {
            have = 0;
        }
        let mut response = self.get(&format!("blobs/{digest}"), "*/*", have).await?;
        let mut done = match response.status() {
            StatusCode::PARTIAL_CONTENT => have,
            StatusCode::RANGE_NOT_SATISFIABLE if have > 0 => return Ok(()),
            status if status.is_success() => 0,
            status => return Err(self.refusal(status, &format!("blob {digest}"))),
        };
        let write = OciError::io("write", part);
        let mut file =
            tokio::fs::OpenOptions::new().write(true).create(true).truncate(false).open(part).await.map_err(&write)?;
        file.set_len(done).await.map_err(&write)?;
        file.seek(io::SeekFrom::Start(done)).await.map_err(&write)?;
        let total = if size > 0 { Some(size) } else { response.content_length().map(|rest| done + rest) };
        let mut told = Instant::now();
        let outcome = loop {
            let chunk = match response.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break Ok(()),
                Err(error) => break Err(self.silent(&error)),
            };
            done += chunk.len() as u64;
            if size > 0 && done > size {
                let problem = format!("it is longer than the {size} bytes that the manifest says");
                break Err(OciError::Document { what: format!("blob {digest}"), problem });
            }
            if let Err(error) = file.write_all(&chunk).await {
                break Err(write(error));
            }
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                progress.advanced(called, done, total);
            }
        };
        let flushed = file.flush().await.map_err(&write);
        progress.advanced(called, done, total);
        outcome.and(flushed)?;
        match total {
            Some(total) if done < total => Err(self.broken("the connection ended too early".to_owned())),
            _ => Ok(()),
        }
    }
}

/// The whole body, if it is not too long.
async fn read(mut response: Response, most: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| root_cause(&error))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() as u64 > most {
            return Err(format!("an answer is longer than {most} bytes"));
        }
    }
    Ok(bytes)
}

async fn sum(path: &Path) -> Result<Digest, OciError> {
    let file = path.to_owned();
    let sum = blocking(move || {
        let mut sum = Sha256::new();
        io::copy(&mut std::fs::File::open(&file)?, &mut sum)?;
        Ok(Digest::from_sum(sum))
    });
    sum.await.map_err(OciError::io("read", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_may_speak_without_tls() {
        for (registry, local) in [
            ("localhost", true),
            ("localhost:5000", true),
            ("127.0.0.1:5000", true),
            ("127.9.9.9", true),
            ("[::1]:5000", true),
            ("localhost.example", false),
            ("10.0.0.1:5000", false),
            ("registry-1.docker.io", false),
        ] {
            assert_eq!(is_local(registry), local, "{registry}");
        }
        assert_eq!((host("docker.io"), host("quay.io")), ("registry-1.docker.io", "quay.io"));
    }
}
