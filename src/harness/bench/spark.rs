//! Figures of Spark: the same pi.py on this machine without any cluster, and as hello-spark-submit, in one go.

use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tinderbox_providers::embedded::images::{HostSpark, host_spark};
use tokio::process::Command;

use super::Figure;
use crate::error::Error;
use crate::event::{Event, Role, Talk};
use crate::project::Project;
use crate::run::{self, Outcome, What};
use crate::up;

/// The app that is measured, and its image.
const APP: &str = "hello-spark-submit";
const IMAGE: &str = "apache/spark:4.0.1";
/// What the app's log must say.
const WORDS: &str = "Pi is roughly";
/// As many as the app asks for.
const PARTITIONS: &str = "10";
/// How long a run may take before it is given up.
const PATIENCE: Duration = Duration::from_secs(600);

/// Measures on a cluster that is not there yet; it stays for the caller to take away.
pub(super) async fn measure(project: &Project, talk: &Talk) -> Result<Vec<Figure>, Error> {
    talk.tell(Event::Step("fetching Spark".to_owned()));
    let spark = host_spark(IMAGE).await?;
    talk.tell(Event::Step("pi.py with --master local-cluster[2,1,1024]".to_owned()));
    let local_cluster = plain(&spark, "local-cluster[2,1,1024]").await?;
    talk.tell(Event::Step("pi.py with --master local[2]".to_owned()));
    let local = plain(&spark, "local[2]").await?;
    talk.tell(Event::Step(format!("{APP} on a fresh cluster")));
    let (driver, pi) = on_cluster(project).await?;
    let seconds = |time: Duration| time.as_secs_f64();
    Ok(vec![
        Figure::new(
            "spark-driver",
            "driver container of hello-spark-submit against plain local-cluster[2,1,1024]",
            seconds(driver) / seconds(local_cluster),
            "times",
            0.85,
        )
        .told(format!("{:.1} s against {:.1} s", seconds(driver), seconds(local_cluster))),
        Figure::new(
            "spark-pi",
            "from `up` to \"Pi is roughly\" against plain local[2]",
            seconds(pi) / seconds(local),
            "times",
            2.3,
        )
        .told(format!("{:.1} s against {:.1} s", seconds(pi), seconds(local))),
    ])
}

/// One plain run of pi.py; how long it took.
async fn plain(spark: &HostSpark, master: &str) -> Result<Duration, Error> {
    let program = spark.home.join("bin/spark-submit");
    let since = Instant::now();
    let output = Command::new(&program)
        .args(["--master", master])
        .arg(spark.home.join("examples/src/main/python/pi.py"))
        .arg(PARTITIONS)
        .env("SPARK_HOME", &spark.home)
        .env("JAVA_HOME", &spark.java)
        .env("PYSPARK_PYTHON", &spark.python)
        .env("PYTHONPATH", &spark.python_path)
        .env("SPARK_LOCAL_IP", "127.0.0.1")
        // Workers of a local cluster write here; the package itself stays as it is.
        .env("SPARK_WORKER_DIR", std::env::temp_dir())
        .current_dir(std::env::temp_dir())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let failed = |why: String| Error::Internal(format!("plain Spark with --master {master} failed: {why}"));
    let output = match tokio::time::timeout(PATIENCE, output).await {
        Err(_) => return Err(failed(format!("it did not end within {} s", PATIENCE.as_secs()))),
        Ok(output) => {
            output.map_err(|source| Error::Program { program: program.display().to_string(), source, hint: None })?
        }
    };
    let took = since.elapsed();
    if String::from_utf8_lossy(&output.stdout).contains(WORDS) {
        return Ok(took);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failed(said.lines().rev().take(5).collect::<Vec<_>>().join(" / ")))
}

/// The app on a cluster that is started for it: how long its driver's container ran, and from `up` to its result.
async fn on_cluster(project: &Project) -> Result<(Duration, Duration), Error> {
    let since = Instant::now();
    let found: Arc<Mutex<Option<Duration>>> = Arc::default();
    let listener = Talk::new({
        let found = Arc::clone(&found);
        move |event| {
            if let Event::Line { text, role: Role::Driver, .. } = event
                && text.contains(WORDS)
            {
                found.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(since.elapsed());
            }
        }
    });
    let (_, cluster) = up::up(project, "bench", std::future::pending(), &listener).await?;
    let path = project.target(APP)?;
    let what = What { app: APP, path: &path, at: None, parameters: &[], budget: PATIENCE };
    let report = run::run(project, &cluster, what, std::future::pending(), &listener).await?;
    let said = *found.lock().unwrap_or_else(PoisonError::into_inner);
    let driver = report.pods.iter().find(|pod| pod.role == Role::Driver);
    let ran = driver.and_then(|pod| pod.containers.iter().find_map(|container| container.ran_ms));
    match (report.outcome, said, ran) {
        (Outcome::Succeeded, Some(said), Some(ran)) => Ok((Duration::from_millis(ran), said)),
        _ => Err(Error::Internal(format!(
            "{APP} did not do what it should: {}",
            report.explanation.map_or_else(|| "its driver was not seen".to_owned(), |why| why.summary)
        ))),
    }
}
