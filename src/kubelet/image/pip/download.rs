//! Downloads: a list of files, and a file into the cache. A file grows as `.part`, is continued where it stopped, and gets its
//! name only when its sum is right.

use std::fs;
use std::io::{self, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reqwest::header::{ACCEPT, CONTENT_TYPE, RANGE};
use reqwest::{Certificate, Proxy, Response, StatusCode, Url};
use sha2::{Digest, Sha256};
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncSeekExt, AsyncWriteExt};

use super::index::{self, Listed, normalized};
use super::settings::{Settings, without_credentials};
use super::{FetchError, blocking};
use crate::image::progress::Progress;

/// How often a broken connection is taken up again.
const TRIES: usize = 4;
/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// An HTTP client with the user's certificates and proxy.
pub(super) struct Client {
    http: reqwest::Client,
}

impl Client {
    pub(super) fn new(settings: &Settings) -> Result<Self, FetchError> {
        // It fails when one is installed, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("tinderbox/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(20))
            .read_timeout(Duration::from_secs(60));
        if let Some(path) = &settings.certificates {
            let bundle = fs::read(path).map_err(FetchError::io("read the certificates in", path))?;
            let certificates = Certificate::from_pem_bundle(&bundle).map_err(|error| FetchError::Setting {
                name: "cert",
                value: path.display().to_string(),
                problem: error.to_string(),
            })?;
            builder = builder.tls_certs_only(certificates);
        }
        let broken = |name, value: &str| {
            let value = value.to_owned();
            move |error: reqwest::Error| FetchError::Setting { name, value, problem: error.to_string() }
        };
        if let Some(proxy) = &settings.proxy {
            builder = builder.proxy(Proxy::all(proxy).map_err(broken("proxy", "unreadable"))?);
        }
        Ok(Self { http: builder.build().map_err(broken("cert", "the machine's"))? })
    }

    /// The files of a package; none when the index does not know it.
    pub(super) async fn list(&self, index: &Url, name: &str) -> Result<Vec<Listed>, FetchError> {
        let url = index.join(&format!("{}/", normalized(name))).unwrap_or_else(|_| index.clone());
        let shown = without_credentials(&url);
        let network = |source: reqwest::Error| FetchError::Network {
            what: format!("the list of files of {name}"),
            url: shown.clone(),
            source: source.without_url(),
        };
        let response = self.http.get(url).header(ACCEPT, index::ACCEPT).send().await.map_err(network)?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(Vec::new());
        }
        if !response.status().is_success() {
            let status = response.status().as_u16();
            return Err(FetchError::Status { what: format!("the list of files of {name}"), url: shown, status });
        }
        let content_type = header(&response, &CONTENT_TYPE);
        let base = response.url().clone();
        let body = response.text().await.map_err(network)?;
        index::read(&content_type, &base, &body).map_err(|problem| FetchError::Index {
            name: name.to_owned(),
            url: without_credentials(&base),
            problem,
        })
    }

    /// The file in `folder`, whole and checked. The caller holds the lock for it.
    pub(super) async fn fetch(
        &self,
        file: &Listed,
        folder: &Path,
        progress: &dyn Progress,
    ) -> Result<PathBuf, FetchError> {
        fs::create_dir_all(folder).map_err(FetchError::io("create", folder))?;
        // The name comes from the other side.
        let name = Path::new(&file.filename).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let target = folder.join(&name);
        let part = folder.join(format!("{name}.part"));
        if target.exists() && has_sum(&target, &file.sha256).await? {
            return Ok(target);
        }
        for _ in 0..2 {
            let downloaded = self.download(file, &part, progress).await;
            progress.finished(&file.filename);
            downloaded?;
            if has_sum(&part, &file.sha256).await? {
                fs::rename(&part, &target).map_err(FetchError::io("rename", &part))?;
                return Ok(target);
            }
            tracing::warn!(file = %file.filename, "a download has a wrong sum; it is deleted");
            fs::remove_file(&part).map_err(FetchError::io("remove", &part))?;
        }
        Err(FetchError::WrongSum { file: file.filename.clone() })
    }

    async fn download(&self, file: &Listed, part: &Path, progress: &dyn Progress) -> Result<(), FetchError> {
        let mut tries = 0;
        loop {
            let before = length(part);
            let error = match self.continue_download(file, part, progress).await {
                Ok(()) => return Ok(()),
                Err(error @ FetchError::Network { .. }) => error,
                Err(error) => return Err(error),
            };
            // As long as something comes, it goes on.
            tries = if length(part) > before { 0 } else { tries + 1 };
            if tries == TRIES {
                return Err(error);
            }
            tracing::info!(file = %file.filename, %error, "a download stopped and is taken up again");
            tokio::time::sleep(Duration::from_millis(250) * (1 << tries)).await;
        }
    }

    async fn continue_download(&self, file: &Listed, part: &Path, progress: &dyn Progress) -> Result<(), FetchError> {
        let shown = without_credentials(&file.url);
        let network = |source: reqwest::Error| FetchError::Network {
            what: file.filename.clone(),
            url: shown.clone(),
            source: source.without_url(),
        };
        let have = length(part);
        let mut request = self.http.get(file.url.clone());
        if have > 0 {
            request = request.header(RANGE, format!("bytes={have}-"));
        }
        let mut response = request.send().await.map_err(network)?;
        let mut done = match response.status() {
            StatusCode::PARTIAL_CONTENT => have,
            // There is nothing behind what is here: it is whole, or wrong, as its sum will say.
            StatusCode::RANGE_NOT_SATISFIABLE if have > 0 => return Ok(()),
            status if status.is_success() => 0,
            status => {
                return Err(FetchError::Status { what: file.filename.clone(), url: shown, status: status.as_u16() });
            }
        };
        let total = response.content_length().map(|rest| done + rest).or(file.size);
        let mut out = open(part, done).await.map_err(FetchError::io("open", part))?;
        let mut told = Instant::now();
        progress.advanced(&file.filename, done, total);
        let result = loop {
            let chunk = match response.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break Ok(()),
                Err(error) => break Err(network(error)),
            };
            if let Err(error) = out.write_all(&chunk).await {
                break Err(disk(error, part, total));
            }
            done += chunk.len() as u64;
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                progress.advanced(&file.filename, done, total);
            }
        };
        let flushed = out.flush().await.map_err(|error| disk(error, part, total));
        progress.advanced(&file.filename, done, total);
        result.and(flushed)
    }
}

fn disk(error: io::Error, path: &Path, total: Option<u64>) -> FetchError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            let needed = total.map_or(1, |total| total.saturating_sub(length(path)));
            FetchError::Full { path: path.to_owned(), needed }
        }
        _ => FetchError::io("write", path)(error),
    }
}

async fn open(part: &Path, at: u64) -> io::Result<File> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(part).await?;
    file.set_len(at).await?;
    file.seek(SeekFrom::Start(at)).await?;
    Ok(file)
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |found| found.len())
}

fn header(response: &Response, name: &reqwest::header::HeaderName) -> String {
    let value = response.headers().get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

async fn has_sum(path: &Path, wanted: &str) -> Result<bool, FetchError> {
    let file = path.to_owned();
    let sum = blocking(move || {
        let mut hasher = Sha256::new();
        io::copy(&mut fs::File::open(&file)?, &mut hasher)?;
        Ok(hasher.finalize())
    });
    let sum = sum.await.map_err(FetchError::io("read", path))?;
    let hex: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(hex == wanted)
}
