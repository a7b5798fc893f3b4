//! Figures of the console: its first view, and how soon a page sees a change among ten thousand objects. There is no browser: what
//! one would ask for is asked for, and drawing is not measured.

use std::time::{Duration, Instant};

use futures::future::try_join_all;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::batch::v1::CronJob;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use tinderbox_providers::Provider as _;
use tinderbox_providers::embedded::node::rehearsal::Rehearsal;
use tinderbox_providers::embedded::process;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Figure;
use crate::cluster::Cluster;
use crate::console::Served;
use crate::error::Error;
use crate::event::{Event, Talk};
use crate::project::Project;
use crate::up;

/// The kinds that the first view shows, as the page asks for them.
const FIRST: &str = "api/live/Application,Deployment,Driver,Node,SparkApplication,StatefulSet,Workflow";
/// How many objects there are, and how many of them are changed, one after the other.
const OBJECTS: usize = 10_000;
const CHANGES: usize = 50;
const WRITERS: usize = 16;
/// How long nothing happens before the memory is looked at, with a page open.
const IDLE: Duration = Duration::from_secs(4);

/// Measures on a cluster with its platform, which is taken away again, and on one in this process.
pub(super) async fn measure(project: &Project, talk: &Talk) -> Result<Vec<Figure>, Error> {
    talk.tell(Event::Step("opening the console".to_owned()));
    let (report, _) = up::up(project, "bench", std::future::pending(), &Talk::silent()).await?;
    let link = report.console.ok_or_else(|| Error::Internal("the cluster serves no console".to_owned()))?;
    let began = Instant::now();
    let (mut page, bytes) = view(&link).await?;
    let first = began.elapsed();
    tokio::time::sleep(IDLE).await;
    let resident = report.pid.and_then(process::resident).unwrap_or_default();
    page.close().await;
    project.embedded("bench")?.down().await?;

    talk.tell(Event::Step(format!("making {OBJECTS} objects")));
    let rehearsal = Rehearsal::start(10).await?;
    let outcome = updates(&rehearsal, talk).await;
    rehearsal.stop().await;
    let (mut late, whole) = outcome?;
    late.sort();
    let millis = |time: Duration| time.as_secs_f64() * 1000.0;
    let slowest = late.last().copied().unwrap_or_default();
    Ok(vec![
        Figure::new("console-view", "the first view from asked to all its data", millis(first), "ms", 100.0),
        Figure::new("console-bytes", "what the first view takes", bytes as f64 / 1000.0, "kB", 300.0),
        Figure::new(
            "console-memory",
            "resident memory of the idle node process with a page open",
            resident as f64 / f64::from(1 << 20),
            "MiB",
            90.0,
        ),
        Figure::new(
            "console-update",
            "from asked to told to a page (median)",
            millis(late[late.len() / 2]),
            "ms",
            200.0,
        )
        .told(format!("among {OBJECTS} objects; slowest of {CHANGES}: {:.0} ms", millis(slowest))),
        Figure::new("console-list", "all of them told to a page", millis(whole), "ms", None),
    ])
}

/// A page as the server sees it: a connection on which events come.
struct Page {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Page {
    /// Asks for a page; it, and how many bytes came until all was told.
    async fn open(link: &str, path: &str) -> Result<(Self, usize), Error> {
        let mut page = Self { stream: ask(link, path, "keep-alive").await?, read: Vec::new() };
        let bytes = page.until("\"rest\":").await?;
        Ok((page, bytes))
    }

    /// Reads until a text has come; what came is forgotten then.
    async fn until(&mut self, text: &str) -> Result<usize, Error> {
        let mut from = 0;
        loop {
            let news = &self.read[from..];
            if news.windows(text.len()).any(|part| part == text.as_bytes()) {
                let count = self.read.len();
                self.read.clear();
                return Ok(count);
            }
            from = self.read.len().saturating_sub(text.len());
            let count = self.stream.read_buf(&mut self.read).await.map_err(Error::file("read from", "the console"))?;
            if count == 0 {
                return Err(Error::Internal(format!("the console ended before it told of {text}")));
            }
        }
    }

    async fn close(&mut self) {
        // It may be gone already.
        let _ = self.stream.shutdown().await;
    }
}

async fn ask(link: &str, path: &str, connection: &str) -> Result<TcpStream, Error> {
    let bad = || Error::Internal(format!("{link} is no link"));
    let (host, base) = link.strip_prefix("http://").and_then(|rest| rest.split_once('/')).ok_or_else(bad)?;
    let failed = || Error::file("ask", "the console");
    let mut stream = TcpStream::connect(host).await.map_err(failed())?;
    let asked = format!("GET /{base}{path} HTTP/1.1\r\nHost: {host}\r\nConnection: {connection}\r\n\r\n");
    stream.write_all(asked.as_bytes()).await.map_err(failed())?;
    Ok(stream)
}

async fn file(link: &str, name: &str) -> Result<String, Error> {
    let mut text = Vec::new();
    let mut stream = ask(link, name, "close").await?;
    stream.read_to_end(&mut text).await.map_err(Error::file("read from", "the console"))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// All that a browser asks for at first; the page, and how many bytes came.
async fn view(link: &str) -> Result<(Page, usize), Error> {
    let index = file(link, "").await?;
    let names = index.split('"').filter(|word| word.ends_with(".js") || word.ends_with(".css"));
    let files = try_join_all(names.map(|name| file(link, name)));
    let (files, (page, bytes), about, causes) =
        tokio::try_join!(files, Page::open(link, FIRST), file(link, "api/about"), file(link, "api/explain/all"))?;
    let all = files.iter().chain([&index, &about, &causes]).map(String::len).sum::<usize>();
    Ok((page, all + bytes))
}

/// How long each change took until a page was told of it, and how long all objects took.
async fn updates(rehearsal: &Rehearsal, talk: &Talk) -> Result<(Vec<Duration>, Duration), Error> {
    let cluster = Cluster::connect("rehearsal", &rehearsal.kubeconfig()).await?;
    let all: Api<CronJob> = Api::default_namespaced(cluster.client.clone());
    let made =
        (0..OBJECTS).map(async |number| all.create(&PostParams::default(), &cron(number)?).await.map_err(failed()));
    stream::iter(made).buffer_unordered(WRITERS).try_for_each(async |_| Ok(())).await?;

    talk.tell(Event::Step(format!("changing {CHANGES} of them")));
    let served = Served::start(&cluster, "embedded".to_owned(), None).await?;
    let began = Instant::now();
    let (mut page, _) = Page::open(&served.link, "api/live/CronJob").await?;
    let whole = began.elapsed();
    let mut late = Vec::with_capacity(CHANGES);
    for number in 0..CHANGES {
        let name = name(number * (OBJECTS / CHANGES));
        let began = Instant::now();
        let patch = Patch::Merge(json!({"spec": {"suspend": false}}));
        all.patch(&name, &PatchParams::default(), &patch).await.map_err(Error::api("change a schedule"))?;
        page.until(&name).await?;
        late.push(began.elapsed());
    }
    page.close().await;
    served.end().await;
    Ok((late, whole))
}

fn failed() -> impl FnOnce(kube::Error) -> Error {
    Error::api("create a schedule")
}

fn name(number: usize) -> String {
    format!("cron-{number:05}")
}

/// A schedule that nobody acts upon.
fn cron(number: usize) -> Result<CronJob, Error> {
    let container = json!({"name": "main", "image": "busybox"});
    let pod = json!({"restartPolicy": "Never", "containers": [container]});
    let spec = json!({"schedule": "0 0 29 2 *", "suspend": true, "jobTemplate": {"spec": {"template": {"spec": pod}}}});
    serde_json::from_value(json!({"metadata": {"name": name(number)}, "spec": spec}))
        .map_err(|error| Error::Internal(format!("the object has a wrong form: {error}")))
}
