//! A container engine on a Unix socket that holds what a test puts into a folder: a file per container, with its state and the label of
//! its cluster, and one per image. It speaks as much of Docker's API as clusters need, a request per connection, and ends with the
//! test. Beside it lies a `kind` that makes containers in that folder.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// How an engine behaves.
#[derive(Debug, Clone, Default)]
pub struct Manners {
    /// Version of its API; that of Docker 28 when empty.
    pub api: &'static str,
    /// Bytes of memory that it says it has; plenty when 0.
    pub memory: u64,
    /// It answers every request that changes something with this complaint.
    pub complains: &'static str,
    /// It pulls what it is asked for.
    pub pulls: bool,
}

/// The engine.
#[derive(Debug)]
pub struct Engine {
    dir: PathBuf,
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    manners: Manners,
    requests: Mutex<Vec<String>>,
}

impl Engine {
    /// Starts one in a folder.
    ///
    /// # Panics
    /// When the folder cannot be used.
    #[must_use]
    pub fn start(dir: &Path, manners: Manners) -> Self {
        for folder in ["containers", "images", "bin"] {
            fs::create_dir_all(dir.join(folder)).expect("made");
        }
        let socket = dir.join("docker.sock");
        let _ = fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).expect("bound");
        let inner = Arc::new(Inner { dir: dir.to_owned(), manners, requests: Mutex::default() });
        let serving = inner.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                std::thread::spawn(move || {
                    // A client that hangs up in the middle is its own affair.
                    let _ = serving.serve(stream);
                });
            }
        });
        Self { dir: dir.to_owned(), inner }
    }

    /// As `DOCKER_HOST` names it.
    #[must_use]
    pub fn host(&self) -> String {
        format!("unix://{}", self.dir.join("docker.sock").display())
    }

    /// Puts a container into it.
    ///
    /// # Panics
    /// When the folder cannot be used.
    pub fn add(&self, name: &str, cluster: &str, state: &str) {
        fs::write(self.dir.join("containers").join(name), format!("{state} {cluster}")).expect("written");
    }

    /// Puts an image into it.
    ///
    /// # Panics
    /// When the folder cannot be used.
    pub fn add_image(&self, name: &str) {
        fs::write(self.dir.join("images").join(name.replace('/', "_")), "").expect("written");
    }

    /// Its containers, with state and cluster.
    ///
    /// # Panics
    /// When the folder cannot be used.
    #[must_use]
    pub fn containers(&self) -> Vec<String> {
        self.inner.containers().into_iter().map(|(name, state, cluster)| format!("{name} {state} {cluster}")).collect()
    }

    /// What was asked of it that may have changed something, in order.
    ///
    /// # Panics
    /// When a thread of it has panicked.
    #[must_use]
    pub fn changes(&self) -> Vec<String> {
        self.inner.requests.lock().expect("no panic").clone()
    }

    /// Writes a `kind` into a folder that a test puts first into `PATH`: this script runs for `kind create cluster`, with the name of the
    /// cluster in `$name` and this engine's folder in `$engine`; the credentials that it gives are the file `behind` there.
    ///
    /// # Panics
    /// When the folder cannot be used.
    #[must_use]
    pub fn kind(&self, version: &str, create: &str) -> PathBuf {
        let (bin, engine) = (self.dir.join("bin"), self.dir.display());
        let script = format!(
            "#!/bin/bash\nengine={engine}\ncase $1 in\nversion) echo 'kind {version} go1.0 linux/amd64';;\ncreate)\n\
             while [ $# -gt 0 ]; do case $1 in --name) name=$2;; esac; shift; done\n\
             cat > \"$engine/config.yaml\"\n{create}\n;;\nget) cat \"$engine/behind\";;\nesac\n"
        );
        let path = bin.join("kind");
        fs::write(&path, script).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("set");
        bin
    }
}

impl Inner {
    fn containers(&self) -> Vec<(String, String, String)> {
        let mut all: Vec<_> = fs::read_dir(self.dir.join("containers"))
            .expect("listed")
            .flatten()
            .filter_map(|entry| {
                let text = fs::read_to_string(entry.path()).ok()?;
                let (state, cluster) = text.trim().split_once(' ')?;
                Some((entry.file_name().to_string_lossy().into_owned(), state.to_owned(), cluster.to_owned()))
            })
            .collect();
        all.sort();
        all
    }

    fn serve(&self, stream: UnixStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let mut words = line.split_whitespace();
        let (method, target) =
            (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
        let mut length = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            if header.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = header.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        // The version in front says nothing here.
        let path = match path.strip_prefix("/v").and_then(|rest| rest.split_once('/')) {
            Some((version, rest)) if version.contains('.') => format!("/{rest}"),
            _ => path.to_owned(),
        };
        let (status, answer) = self.answer(&method, &path, query);
        let body = match answer {
            Value::Null => String::new(),
            // Said already as it is to be read: a line per event.
            Value::String(text) => text,
            other => other.to_string(),
        };
        let mut stream = stream;
        write!(
            stream,
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    }

    fn answer(&self, method: &str, path: &str, query: &str) -> (u16, Value) {
        let Manners { api, memory, complains, pulls } = &self.manners;
        let api = if api.is_empty() { "1.48" } else { api };
        if method != "GET" {
            self.requests.lock().expect("no panic").push(format!("{method} {path}"));
            if !complains.is_empty() {
                return (500, json!({"message": complains}));
            }
        }
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        match (method, parts.as_slice()) {
            ("GET", ["version"]) => (
                200,
                json!({"Version": "28.0.0", "ApiVersion": api, "MinAPIVersion": "1.24", "Platform": {"Name": "Pretence"}}),
            ),
            ("GET", ["info"]) => {
                let memory = if *memory == 0 { 8 << 30 } else { *memory };
                (200, json!({"MemTotal": memory, "NCPU": 2, "Driver": "overlay2", "CgroupVersion": "2"}))
            }
            ("GET", ["containers", "json"]) => {
                let named = |cluster: &str| query.contains(&format!("%3D{cluster}%22")) || !query.contains("%3D");
                let all = self.containers().into_iter().filter(|(_, _, cluster)| named(cluster));
                let all = all.map(|(name, state, cluster)| {
                    let labels = json!({"io.x-k8s.kind.cluster": cluster});
                    json!({"Id": name, "Names": [format!("/{name}")], "State": state, "Status": state, "Labels": labels})
                });
                (200, all.collect())
            }
            ("GET", ["images", .., "json"]) => {
                let name = parts[1..parts.len() - 1].join("_");
                let there = self.dir.join("images").join(name).exists();
                if there { (200, json!({"Id": "sha256:aa"})) } else { (404, json!({"message": "No such image"})) }
            }
            ("POST", ["images", "create"]) if *pulls => {
                let name = query.split('&').find_map(|pair| pair.strip_prefix("fromImage="));
                let name = name.unwrap_or_default().replace("%2F", "_").replace("%3A", ":");
                let written = fs::write(self.dir.join("images").join(name), "");
                let come = |come: u64| json!({"id": "one", "status": "Downloading", "progressDetail": {"current": come << 20, "total": 120 << 20}});
                let events = [json!({"id": "1", "status": "Pulling from a"}), come(10), come(60), come(120)];
                let events = events.map(|event| event.to_string()).join("\n");
                (if written.is_ok() { 200 } else { 500 }, events.into())
            }
            ("POST", ["images", "create"]) => {
                (500, json!({"message": "Get \"https://registry.example/v2/\": dial tcp: no route"}))
            }
            ("POST", ["containers", name, "start"]) => {
                let cluster =
                    self.containers().into_iter().find(|(known, ..)| known == name).map(|(.., cluster)| cluster);
                match cluster {
                    Some(cluster) => {
                        let written = fs::write(self.dir.join("containers").join(name), format!("running {cluster}"));
                        (if written.is_ok() { 204 } else { 500 }, Value::Null)
                    }
                    None => (404, json!({"message": "No such container"})),
                }
            }
            ("DELETE", ["containers", name]) => match fs::remove_file(self.dir.join("containers").join(name)) {
                Ok(()) => (204, Value::Null),
                Err(_) => (404, json!({"message": "No such container"})),
            },
            _ => (404, json!({"message": format!("this engine knows no {method} {path}")})),
        }
    }
}
