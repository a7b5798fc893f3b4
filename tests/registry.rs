//! A registry on a port of loopback that serves one image, as politely as a test wants it. It speaks plain HTTP, a request per
//! connection, and ends with the test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;

use crate::oci::Image;

/// How a registry behaves.
#[derive(Debug, Clone, Default)]
pub struct Manners {
    /// Name and password that it wants to see before it gives a token.
    pub user: Option<(&'static str, &'static str)>,
    /// It breaks every answer with a blob off after this many bytes.
    pub breaks_after: Option<usize>,
    /// The first answer with a layer stops in the middle until the other side hangs up.
    pub stops_once: bool,
    /// It sends other bytes than those that were asked for.
    pub lies: bool,
}

/// The registry.
#[derive(Debug)]
pub struct Registry {
    address: SocketAddr,
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    image: Mutex<Image>,
    manners: Manners,
    requests: Mutex<Vec<String>>,
    stopped: AtomicBool,
}

const TOKEN: &str = "let-me-in";

impl Registry {
    /// Serves the image under every repository and tag.
    ///
    /// # Panics
    /// When loopback has no free port.
    #[must_use]
    pub fn start(image: Image, manners: Manners) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let inner = Arc::new(Inner {
            image: Mutex::new(image),
            manners,
            requests: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let serving = inner.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                std::thread::spawn(move || serving.answer(stream));
            }
        });
        Self { address, inner }
    }

    /// The name of its image: `127.0.0.1:PORT/team/app:1`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/team/app:1", self.address)
    }

    /// Host and port.
    #[must_use]
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Serves another image from now on.
    ///
    /// # Panics
    /// When a thread of it has panicked.
    pub fn serve(&self, image: Image) {
        *self.inner.image.lock().expect("no panic") = image;
    }

    /// The requests that hold this text, each as `PATH RANGE`.
    ///
    /// # Panics
    /// When a thread of it has panicked.
    #[must_use]
    pub fn requests(&self, text: &str) -> Vec<String> {
        let requests = self.inner.requests.lock().expect("no panic");
        requests.iter().filter(|request| request.contains(text)).cloned().collect()
    }

    /// Whether it has stopped in the middle of a layer.
    #[must_use]
    pub fn has_stopped(&self) -> bool {
        self.inner.stopped.load(Ordering::Acquire)
    }
}

impl Inner {
    fn answer(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().expect("cloned"));
        let mut lines = Vec::new();
        let mut line = Vec::new();
        while let Ok(1..) = reader.read_until(b'\n', &mut line) {
            let text = String::from_utf8_lossy(&line).trim().to_owned();
            // Whoever tries TLS first learns that there is none.
            if text.is_empty() || (lines.is_empty() && !text.ends_with("HTTP/1.1")) {
                break;
            }
            lines.push(text);
            line.clear();
        }
        let Some(path) = lines.first().and_then(|line| line.split(' ').nth(1)).map(str::to_owned) else { return };
        let header = |name: &str| {
            let found =
                lines.iter().find_map(|line| line.split_once(": ").filter(|(key, _)| key.eq_ignore_ascii_case(name)));
            found.map(|(_, value)| value.to_owned())
        };
        let range = header("range").unwrap_or_default();
        self.requests.lock().expect("no panic").push(format!("{path} {range}").trim_end().to_owned());
        // Whoever asked may have gone.
        let _ = self.route(&mut stream, &path, &range, header("authorization").as_deref());
    }

    fn route(&self, stream: &mut TcpStream, path: &str, range: &str, proof: Option<&str>) -> std::io::Result<()> {
        if path.starts_with("/token") {
            let (user, password) = self.manners.user.unwrap_or_default();
            let right = base64::prelude::BASE64_STANDARD.encode(format!("{user}:{password}"));
            let fits =
                proof == Some(&format!("Basic {right}")) && path.contains("scope=repository%3Ateam%2Fapp%3Apull");
            let body = format!("{{\"token\": \"{TOKEN}\"}}");
            return if fits {
                send(stream, "200 OK", "", body.as_bytes())
            } else {
                send(stream, "401 Unauthorized", "", b"")
            };
        }
        if self.manners.user.is_some() && proof != Some(&format!("Bearer {TOKEN}")) {
            let host = stream.local_addr()?;
            let challenge = format!("WWW-Authenticate: Bearer realm=\"http://{host}/token\",service=\"test\"\r\n");
            return send(stream, "401 Unauthorized", &challenge, b"{}");
        }
        let image = self.image.lock().expect("no panic").clone();
        if path == "/v2/" {
            return send(stream, "200 OK", "", b"{}");
        }
        if let Some((_, wanted)) = path.split_once("/manifests/") {
            let digest = if wanted.starts_with("sha256:") { wanted } else { &image.manifest };
            let kind = "Content-Type: application/vnd.oci.image.manifest.v1+json\r\n";
            return match image.blobs.get(digest).filter(|_| wanted != "missing") {
                Some(content) => send(stream, "200 OK", kind, content),
                None => send(stream, "404 Not Found", "", b"{}"),
            };
        }
        let digest = path.split_once("/blobs/").map(|(_, digest)| digest).unwrap_or_default();
        let Some(content) = image.blobs.get(digest) else { return send(stream, "404 Not Found", "", b"{}") };
        let is_layer = image.layers.iter().any(|layer| layer == digest);
        self.send_blob(stream, content, range, is_layer)
    }

    fn send_blob(&self, stream: &mut TcpStream, content: &[u8], range: &str, is_layer: bool) -> std::io::Result<()> {
        let from = range.strip_prefix("bytes=").and_then(|range| range.strip_suffix('-'));
        let from: usize = from.and_then(|from| from.parse().ok()).unwrap_or(0);
        let mut rest = content[from.min(content.len())..].to_vec();
        if self.manners.lies && is_layer {
            rest.fill(b'x');
        }
        let status = if from > 0 { "206 Partial Content" } else { "200 OK" };
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", rest.len());
        stream.write_all(head.as_bytes())?;
        if is_layer && self.manners.stops_once && rest.len() > 1000 && !self.stopped.swap(true, Ordering::AcqRel) {
            stream.write_all(&rest[..rest.len() / 2])?;
            // Until the other side is gone.
            return stream.read(&mut [0]).map(drop);
        }
        let end = self.manners.breaks_after.filter(|_| is_layer).unwrap_or(rest.len()).min(rest.len());
        stream.write_all(&rest[..end])
    }
}

fn send(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)
}
