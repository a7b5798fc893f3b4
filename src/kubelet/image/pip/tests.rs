//! Packages from a small index of our own: whole, broken off, changed, missing, and with no space for them.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use reqwest::Url;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use super::*;
use crate::image::Progress;

/// How a file is given out: whole, or only so many bytes the first time it is asked for.
#[derive(Default)]
struct Site {
    files: HashMap<String, Vec<u8>>,
    break_after: Option<usize>,
    asked: Vec<String>,
}

struct Server {
    address: SocketAddr,
    site: Arc<Mutex<Site>>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let site = Arc::new(Mutex::new(Site::default()));
        tokio::spawn({
            let site = site.clone();
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let (read, mut write) = stream.into_split();
                    let mut lines = BufReader::new(read).lines();
                    let mut request = Vec::new();
                    while let Ok(Some(line)) = lines.next_line().await {
                        if line.is_empty() {
                            break;
                        }
                        request.push(line);
                    }
                    let answer = answer(&site, &request);
                    // Whoever asked may have gone.
                    let _ = write.write_all(&answer).await;
                }
            }
        });
        Self { address, site }
    }

    fn site(&self) -> std::sync::MutexGuard<'_, Site> {
        self.site.lock().expect("not poisoned")
    }

    fn settings(&self) -> Settings {
        let index = Url::parse(&format!("http://{}/simple/", self.address)).expect("an address");
        Settings { indexes: vec![index], certificates: None, proxy: None }
    }

    /// Offers a file as the only one of a package, promised with the sum of `promised`.
    fn offer(&self, name: &str, file: &str, content: &[u8], promised: &[u8]) {
        let sum = hex(promised);
        let list = format!("<a href=\"../../files/{file}#sha256={sum}\">{file}</a>");
        let mut site = self.site();
        site.files.insert(format!("/simple/{name}/"), list.into_bytes());
        site.files.insert(format!("/files/{file}"), content.to_vec());
    }

    async fn fetch(&self, cache: &Path) -> Result<PathBuf, FetchError> {
        let client = Client::new(&self.settings())?;
        let listed = client.list(&self.settings().indexes[0], "thing").await?;
        client.fetch(&listed[0], &cache.join("downloads"), &Told::default()).await
    }
}

fn answer(site: &Mutex<Site>, request: &[String]) -> Vec<u8> {
    let mut site = site.lock().expect("not poisoned");
    let path = request.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
    let range = request.iter().find_map(|line| line.to_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
    site.asked.push(format!("{path} {}", range.clone().unwrap_or_default()).trim().to_owned());
    let Some(content) = site.files.get(&path).cloned() else {
        return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec();
    };
    let start = range.and_then(|range| range.trim_end_matches('-').parse().ok()).unwrap_or(0);
    let (status, body) = match content.get(start..) {
        Some(rest) if start > 0 && !rest.is_empty() => ("206 Partial Content", rest),
        Some(rest) if start == 0 => ("200 OK", rest),
        _ => ("416 Range Not Satisfiable", &content[..0]),
    };
    let mut bytes = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    let whole = body.len();
    let sent = if path.starts_with("/files/") { site.break_after.take().unwrap_or(whole).min(whole) } else { whole };
    bytes.extend_from_slice(&body[..sent]);
    bytes
}

fn hex(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Default)]
struct Told(Mutex<Vec<(u64, Option<u64>)>>);

impl Progress for Told {
    fn advanced(&self, _what: &str, done: u64, total: Option<u64>) {
        self.0.lock().expect("not poisoned").push((done, total));
    }

    fn finished(&self, what: &str) {
        let told = self.0.lock().expect("not poisoned");
        assert!(!what.is_empty());
        assert!(told.iter().all(|(done, total)| total.is_none_or(|total| *done <= total)));
    }
}

fn content() -> Vec<u8> {
    (0..200_000u32).flat_map(u32::to_le_bytes).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).map(|entries| entries.flatten().collect()).unwrap_or_else(|_| Vec::new());
    entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[tokio::test]
async fn a_broken_download_is_continued() {
    let (server, dir, content) = (Server::start().await, tempfile::tempdir().expect("a folder"), content());
    server.offer("thing", "thing-1.tar.gz", &content, &content);
    server.site().break_after = Some(300_000);
    let file = server.fetch(dir.path()).await.expect("downloaded");
    assert_eq!(fs::read(&file).expect("read"), content);
    assert_eq!(
        server.site().asked[1..],
        ["/files/thing-1.tar.gz".to_owned(), "/files/thing-1.tar.gz 300000-".to_owned()]
    );
    assert_eq!(names(&dir.path().join("downloads")), ["thing-1.tar.gz"]);
    // It is there now.
    server.site().asked.clear();
    server.fetch(dir.path()).await.expect("is there");
    assert_eq!(server.site().asked, ["/simple/thing/"]);
}

#[tokio::test]
async fn the_part_of_an_earlier_run_is_continued() {
    let (server, dir, content) = (Server::start().await, tempfile::tempdir().expect("a folder"), content());
    server.offer("thing", "thing-1.tar.gz", &content, &content);
    let downloads = dir.path().join("downloads");
    fs::create_dir(&downloads).expect("made");
    for have in [1000, content.len()] {
        fs::write(downloads.join("thing-1.tar.gz.part"), &content[..have]).expect("written");
        server.site().asked.clear();
        let file = server.fetch(dir.path()).await.expect("downloaded");
        assert_eq!(fs::read(&file).expect("read"), content);
        assert_eq!(server.site().asked[1..], [format!("/files/thing-1.tar.gz {have}-")]);
        fs::remove_file(file).expect("removed");
    }
}

#[tokio::test]
async fn a_wrong_part_is_thrown_away_once() {
    let (server, dir, content) = (Server::start().await, tempfile::tempdir().expect("a folder"), content());
    server.offer("thing", "thing-1.tar.gz", &content, &content);
    let downloads = dir.path().join("downloads");
    fs::create_dir(&downloads).expect("made");
    fs::write(downloads.join("thing-1.tar.gz.part"), b"something else").expect("written");
    let file = server.fetch(dir.path()).await.expect("downloaded at the second try");
    assert_eq!(fs::read(&file).expect("read"), content);

    server.offer("thing", "thing-1.tar.gz", b"changed on its way", &content);
    fs::remove_file(file).expect("removed");
    let error = server.fetch(dir.path()).await.expect_err("wrong twice");
    assert!(matches!(error, FetchError::WrongSum { .. }), "{error}");
    assert!(names(&downloads).is_empty());
}

#[tokio::test]
async fn what_fails_says_what_and_where() {
    let (server, dir) = (Server::start().await, tempfile::tempdir().expect("a folder"));
    let client = Client::new(&server.settings()).expect("a client");
    let index = &server.settings().indexes[0];
    assert_eq!(client.list(index, "unknown").await.expect("an answer"), []);

    server.offer("thing", "thing-1.tar.gz", b"", b"");
    server.site().files.remove("/files/thing-1.tar.gz");
    let error = server.fetch(dir.path()).await.expect_err("refused").to_string();
    assert!(error.ends_with("the server answered 404") && error.contains("thing-1.tar.gz"), "{error}");

    // A port that nobody listens on.
    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    let nowhere = Url::parse(&format!("http://me:secret@{nobody}/simple/")).expect("an address");
    let error = client.list(&nowhere, "thing").await.expect_err("nobody answers");
    let text = error.to_string();
    assert!(
        text.contains("it is not in the cache") && text.contains(&nobody.to_string()) && !text.contains("secret"),
        "{text}"
    );
    assert!(std::error::Error::source(&error).is_some());
}

/// A source archive with these files below its one top folder.
fn sdist(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(if path.ends_with(".sh") { 0o700 } else { 0o600 });
        builder.append_data(&mut header, format!("thing-1/{path}"), content.as_bytes()).expect("added");
    }
    builder.into_inner().and_then(|encoder| encoder.finish()).expect("packed")
}

#[tokio::test]
async fn two_at_once_download_once() {
    let (server, dir) = (Server::start().await, tempfile::tempdir().expect("a folder"));
    let archive = sdist(&[("thing.py", "x = 1")]);
    server.offer("thing", "thing-1.tar.gz", &archive, &archive);
    let target = dir.path().join("spark/1");
    let (settings, quiet) = (server.settings(), crate::image::Quiet);
    let fetcher = Fetcher { cache: dir.path(), progress: &quiet, settings: Arc::new(move || Ok(settings.clone())) };
    let get = || fetcher.source(("thing", "1"), &target, unpack::sdist);
    let (first, second) = tokio::join!(get(), get());
    first.and(second).expect("both have it");
    assert_eq!(fs::read_to_string(target.join("thing.py")).expect("read"), "x = 1");
    assert_eq!(server.site().asked.len(), 2);
    assert!(names(&dir.path().join("downloads")).is_empty(), "what is unpacked is not kept twice");
}

const DIR: &str = "TINDERBOX_IMAGE_TEST_DIR";

/// On a disk of 1 MiB, of which this process is shown nothing else.
async fn download_without_space(dir: &Path) {
    let (server, content) = (Server::start().await, content());
    server.offer("thing", "thing-1.tar.gz", &[&content[..], &content].concat(), &[&content[..], &content].concat());
    let error = server.fetch(dir).await.expect_err("no space");
    let FetchError::Full { path, needed } = &error else { panic!("{error}") };
    assert!(path.ends_with("downloads/thing-1.tar.gz.part"));
    let part = fs::metadata(path).expect("is kept").len();
    assert!(part > 0 && *needed >= 1_600_000 - part, "{needed} for {part}");
    assert!(error.to_string().contains("more bytes are needed"), "{error}");

    // With a smaller file there is space for the download, but not for what is in it.
    fs::remove_file(path).expect("removed");
    let large = "x".repeat(2 << 20);
    let archive = sdist(&[("small", "x"), ("large", &large)]);
    server.offer("thing", "thing-1.tar.gz", &archive, &archive);
    let target = dir.join("python/thing");
    let (settings, quiet) = (server.settings(), crate::image::Quiet);
    let fetcher = Fetcher { cache: dir, progress: &quiet, settings: Arc::new(move || Ok(settings.clone())) };
    let installed = fetcher.source(("thing", "1"), &target, unpack::sdist).await;
    let error = installed.expect_err("no space");
    assert!(matches!(error, FetchError::Full { needed, .. } if needed == 2 << 20), "{error}");
    assert!(names(&dir.join("python")).is_empty(), "nothing half is left");
    assert_eq!(names(&dir.join("downloads")), ["thing-1.tar.gz"], "the next try needs no download");
}

#[test]
fn a_full_disk_is_named_and_leaves_what_can_be_continued() {
    if let Some(dir) = std::env::var_os(DIR) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        return runtime.block_on(download_without_space(Path::new(&dir)));
    }
    let dir = tempfile::tempdir().expect("a folder");
    let script = r#"mount -t tmpfs -o size=1m tmpfs "$1" && shift && exec "$@""#;
    let is_root = rustix::process::geteuid().is_root();
    let output = Command::new("unshare")
        .args([if is_root { "-m" } else { "-Urm" }, "sh", "-c", script, "sh"])
        .arg(dir.path())
        .arg(std::env::current_exe().expect("this program"))
        .args(["image::pip::tests::a_full_disk_is_named_and_leaves_what_can_be_continued", "--exact", "--nocapture"])
        .env(DIR, dir.path())
        .output()
        .expect("unshare runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}\n{complained}");
}

#[test]
fn archives_stay_within_their_folder() {
    let dir = tempfile::tempdir().expect("a folder");
    let archive = dir.path().join("a.tar.gz");
    fs::write(&archive, sdist(&[("run.sh", "#!"), ("src/thing/__init__.py", "y"), ("thing/other.py", "z")]))
        .expect("written");
    let into = dir.path().join("into");
    fs::create_dir(&into).expect("made");
    unpack::sdist(&archive, &into).expect("unpacked");
    assert_eq!(fs::read_to_string(into.join("thing/__init__.py")).expect("read"), "y");
    assert_eq!(fs::read_to_string(into.join("thing/other.py")).expect("read"), "z");
    let mode = |path: &str| {
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(into.join(path)).expect("is there").permissions())
    };
    assert_eq!((mode("run.sh") & 0o777, mode("thing/other.py") & 0o777, mode("thing") & 0o777), (0o755, 0o644, 0o755));

    let evil = "import sys, zipfile\nwith zipfile.ZipFile(sys.argv[1], 'w') as z: z.writestr('../out', 'x')";
    let wheel = dir.path().join("evil.whl");
    assert!(Command::new("python3").args(["-c", evil]).arg(&wheel).status().expect("runs").success());
    let error = unpack::wheel(&wheel, &into).expect_err("leaves the folder");
    assert!(error.to_string().contains("../out"), "{error}");
    assert!(!dir.path().join("out").exists());
}

#[test]
fn wheels_are_unpacked_as_they_are_installed() {
    let dir = tempfile::tempdir().expect("a folder");
    let wheel = dir.path().join("thing-1-py3-none-any.whl");
    let pack = "import sys, zipfile\nwith zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED) as z:\n  z.writestr('thing/__init__.py', 'x' * 10000)\n  z.writestr('thing-1.data/purelib/thing/more.py', 'y', zipfile.ZIP_STORED)\n  z.comment = b'hello'";
    assert!(Command::new("python3").args(["-c", pack]).arg(&wheel).status().expect("runs").success());
    let into = dir.path().join("into");
    fs::create_dir(&into).expect("made");
    unpack::wheel(&wheel, &into).expect("unpacked");
    assert_eq!(fs::read(into.join("thing/__init__.py")).expect("read").len(), 10_000);
    assert_eq!(fs::read_to_string(into.join("thing/more.py")).expect("read"), "y");

    let mut data = fs::read(&wheel).expect("read");
    data[60] ^= 1;
    fs::File::create(&wheel).and_then(|mut file| file.write_all(&data)).expect("written");
    let error = unpack::wheel(&wheel, &dir.path().join("again")).expect_err("broken");
    assert!(matches!(error, FetchError::Archive { .. }), "{error}");
}
