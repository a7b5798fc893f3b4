//! Figures of clusters in a container engine, each beside the same done by hand with `kind` and `kubectl` in the same run.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tinderbox_providers::engine::Engine;
use tinderbox_providers::kind::{self, Kind};
use tinderbox_providers::{AnyProvider, ProviderName};
use tokio::process::Command;

use super::Figure;
use crate::e2e::{self, Options};
use crate::error::Error;
use crate::event::{Event, Talk};
use crate::project::Project;
use crate::up;

/// The scenario that is run both ways, and what its job is called.
const APP: &str = "hello-spark-submit";
/// The image that it needs.
const IMAGE: &str = "apache/spark:4.0.1";
/// The image that is one small layer more.
const CHANGED: &str = "tinderbox-bench/changed:1";
/// The cluster that is made by hand.
const BARE: &str = "tinderbox-bench-by-hand";

/// Measures, or says why it does not.
pub(super) async fn measure(project: &Project, talk: &Talk) -> Result<Vec<Figure>, Error> {
    let ready = async {
        let (engine, _) = Engine::fit().await?;
        kind::command_version().await?;
        if !engine.has_image(IMAGE).await? {
            return Err(Error::Internal(format!("the engine does not have {IMAGE}")));
        }
        Ok::<Engine, Error>(engine)
    };
    let engine = match ready.await {
        Ok(engine) => engine,
        Err(error) => {
            talk.tell(Event::Note(format!("clusters on kind are not measured: {error}")));
            return Ok(Vec::new());
        }
    };
    let mut project = project.clone();
    project.asked = Some(ProviderName::Kind);
    talk.tell(Event::Step("making a cluster, loading, running and removing by hand".to_owned()));
    let by_hand = by_hand(&project).await;
    // Where it failed half-way; what does not work then has been told by what failed.
    let _ = Command::new("kind").args(["delete", "cluster", "--name", BARE]).stderr(Stdio::null()).status().await;
    let by_hand = by_hand?;
    talk.tell(Event::Step(format!("the same by `e2e {APP}`")));
    let silent = Talk::new(|_| {});
    let options = Options { scenarios: vec![APP.to_owned()], keep: false, compared: false };
    let ours = e2e::e2e(&project, &options, std::future::pending(), &silent).await?;
    if !ours.passed() {
        return Err(Error::Internal(format!("{APP} did not pass on kind")));
    }
    talk.tell(Event::Step("loading images by layers".to_owned()));
    up::up(&project, "bench", std::future::pending(), &silent).await?;
    let loads = match project.provider("bench")? {
        AnyProvider::Kind(place) => loads(&engine, &place).await,
        _ => Err(Error::Internal("the cluster is not on kind".to_owned())),
    };
    up::take_away(&project, &project.provider("bench")?).await?;
    let (first, again, changed) = loads?;
    let millis = |time: Duration| time.as_secs_f64() * 1000.0;
    let seconds = |ms: u64| ms as f64 / 1000.0;
    let beside = |ours: f64, theirs: Duration| format!("{ours:.1} s against {:.1} s", theirs.as_secs_f64());
    let ratio = |ours: f64, theirs: Duration| ours / theirs.as_secs_f64();
    let down = ours.down_ms.unwrap_or_default();
    let (up, all) = (seconds(ours.up_ms), seconds(ours.took_ms));
    let whole = by_hand.create + by_hand.load + by_hand.run + by_hand.delete;
    Ok(vec![
        Figure::new(
            "kind-up",
            "up with the platform against a bare `kind create cluster --wait`",
            ratio(up, by_hand.create),
            "times",
            1.2,
        )
        .told(beside(up, by_hand.create)),
        Figure::new(
            "kind-e2e",
            "whole e2e of hello-spark-submit against the same by hand",
            ratio(all, whole),
            "times",
            0.95,
        )
        .told(beside(all, whole)),
        Figure::new("kind-down", "from a cluster on kind to none", down as f64, "ms", 5000.0),
        Figure::new(
            "kind-load-first",
            "first load of the Spark image against `kind load docker-image`",
            ratio(first.as_secs_f64(), by_hand.load),
            "times",
            1.0,
        )
        .told(beside(first.as_secs_f64(), by_hand.load)),
        Figure::new("kind-load-again", "load of an image that the nodes have", millis(again), "ms", 1000.0),
        Figure::new(
            "kind-load-changed",
            "load of the Spark image with one small new layer",
            millis(changed),
            "ms",
            3000.0,
        )
        .told(format!("`kind load` of it takes {:.1} s", by_hand.load.as_secs_f64())),
    ])
}

struct ByHand {
    create: Duration,
    load: Duration,
    run: Duration,
    delete: Duration,
}

async fn by_hand(project: &Project) -> Result<ByHand, Error> {
    let dir = TempDir::new().map_err(Error::file("make a folder in", std::env::temp_dir()))?;
    let config = dir.path().join("kubeconfig");
    let image = project.config.kind.node_image();
    let create = ["create", "cluster", "--name", BARE, "--image", &image, "--wait", "180s"];
    let create = timed("kind", &create, &config).await?;
    let load = timed("kind", &["load", "docker-image", "--name", BARE, IMAGE], &config).await?;
    let folder = |name: &str| project.root.join("manifests").join(name).display().to_string();
    let began = Instant::now();
    timed("kubectl", &["apply", "-k", &folder("platform/namespaces")], &config).await?;
    timed("kubectl", &["apply", "-k", &folder(&format!("apps/{APP}"))], &config).await?;
    let job = format!("job/{APP}");
    let wait = ["-n", "spark-jobs", "wait", "--for=condition=Complete", &job, "--timeout=600s"];
    timed("kubectl", &wait, &config).await?;
    let run = began.elapsed();
    let delete = timed("kind", &["delete", "cluster", "--name", BARE], &config).await?;
    Ok(ByHand { create, load, run, delete })
}

/// Runs a command to its end; how long it took.
async fn timed(program: &str, arguments: &[&str], config: &Path) -> Result<Duration, Error> {
    let began = Instant::now();
    let failed = |source| Error::Program { program: program.to_owned(), hint: None, source };
    let mut command = Command::new(program);
    command.args(arguments).env("KUBECONFIG", config).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.map_err(failed)?;
    if output.status.success() {
        return Ok(began.elapsed());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::Internal(format!("{program} {}: {}: {}", arguments.join(" "), output.status, said.trim())))
}

/// The first load of the image, one of what is there, and one after a change of one small layer.
async fn loads(engine: &Engine, place: &Kind) -> Result<(Duration, Duration, Duration), Error> {
    let silent = tinderbox_providers::Talk::silent();
    let load = async |name: &str| {
        let began = Instant::now();
        let (loaded, _) = place.load_images(&[name.to_owned()], &[], &silent).await?;
        let took = began.elapsed();
        loaded.first().map(|_| took).ok_or_else(|| Error::Internal(format!("the engine does not have {name}")))
    };
    let first = load(IMAGE).await?;
    let again = load(IMAGE).await?;
    let dir = TempDir::new().map_err(Error::file("make a folder in", std::env::temp_dir()))?;
    for (name, text) in
        [("Dockerfile", format!("FROM {IMAGE}\nCOPY job.py /opt/job.py\n")), ("job.py", "print(1)\n".to_owned())]
    {
        let path = dir.path().join(name);
        std::fs::write(&path, text).map_err(Error::file("write", &path))?;
    }
    engine.build(dir.path(), "Dockerfile", CHANGED, &silent).await?;
    let changed = load(CHANGED).await;
    // Only a name: the layer goes with it.
    engine.remove_image(CHANGED).await?;
    Ok((first, again, changed?))
}
