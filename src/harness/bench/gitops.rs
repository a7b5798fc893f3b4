//! Figures of GitOps: how soon the platform is synced, how soon a saved file is in the cluster, and what a sync costs that changes nothing.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::Api;
use kube::runtime::watcher;
use tempfile::TempDir;
use tinderbox_client::wait;
use tinderbox_providers::Provider as _;

use super::Figure;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::{Event, Talk};
use crate::gitops;
use crate::project::Project;
use crate::up;

/// Starts of a cluster with its platform.
const STARTS: usize = 3;
/// Times that a file is saved.
const SAVES: usize = 40;
/// Objects of the application that is synced in vain.
const MANY: usize = 1000;
/// Times that all places are rendered.
const RENDERS: usize = 5;
/// How long nothing is saved, at least.
const QUIET: Duration = Duration::from_millis(50);
/// How long anything may take before it is given up.
const PATIENCE: Duration = Duration::from_secs(120);

const ROOT: &str = "resources: [../../platform/argo-cd, root.yaml]\n";
const APP: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: NAME, namespace: argocd}
spec:
  project: default
  source: {repoURL: https://git.example.com/bench.git, path: NAME}
  destination: {server: https://kubernetes.default.svc, namespace: default}
  syncPolicy: {automated: {prune: true, selfHeal: true}, syncOptions: [ApplyOutOfSyncOnly=true]}
";

/// Measures on clusters that are not there yet, and are not there afterwards.
pub(super) async fn measure(project: &Project, talk: &Talk) -> Result<Vec<Figure>, Error> {
    let place = project.embedded("bench")?;
    let never = std::future::pending;
    let mut starts = Vec::with_capacity(STARTS);
    for number in 1..=STARTS {
        talk.tell(Event::Step(format!("bringing the platform up, {number} of {STARTS}")));
        let (report, _) = up::up(project, "bench", never(), &Talk::silent()).await?;
        starts.push(report.took_ms as f64);
        place.down().await?;
    }
    starts.sort_by(f64::total_cmp);
    talk.tell(Event::Step("rendering all places".to_owned()));
    let places = project.place_names();
    let mut renders = Vec::with_capacity(RENDERS);
    for _ in 0..RENDERS {
        let began = Instant::now();
        for place in &places {
            gitops::render(project, place)?;
        }
        renders.push(millis(began.elapsed()));
    }
    renders.sort_by(f64::total_cmp);
    let dir = TempDir::new().map_err(Error::file("make a folder in", std::env::temp_dir()))?;
    let mut own = project.clone();
    dir.path().clone_into(&mut own.root);
    tree(&project.root, dir.path())?;
    talk.tell(Event::Step(format!("syncing {MANY} objects")));
    let (_, cluster) = up::up(&own, "bench", never(), &Talk::silent()).await?;
    let mut saves = saves(dir.path(), &cluster, talk).await?;
    saves.sort_by(f64::total_cmp);
    talk.tell(Event::Step(format!("syncing {MANY} objects in vain")));
    let mut vain = Vec::new();
    for _ in 0..STARTS {
        vain.push(gitops::sync(&own, Some("many"), &Talk::silent()).await?.took_ms as f64);
    }
    vain.sort_by(f64::total_cmp);
    place.down().await?;
    let at = |times: &[f64], part: usize| times[(times.len() - 1) * part / 100];
    Ok(vec![
        Figure::new("gitops-up", "from nothing to the platform synced and healthy", at(&starts, 50), "ms", 2000.0)
            .told(format!("fastest {:.0} ms, slowest {:.0} ms of {STARTS}", starts[0], starts[STARTS - 1])),
        Figure::new("gitops-saved", "from a saved file to the object (95 of 100)", at(&saves, 95), "ms", 300.0)
            .told(format!("median {:.0} ms, slowest {:.0} ms of {SAVES}", at(&saves, 50), saves[SAVES - 1])),
        Figure::new("gitops-sync", "a sync of 1000 objects that are as they should be", at(&vain, 50), "ms", 1000.0)
            .told(format!("slowest {:.0} ms of {STARTS}; only what differs is applied", vain[vain.len() - 1])),
        Figure::new("gitops-render", "all places rendered", at(&renders, 50), "ms", 500.0).told(format!(
            "{} places, slowest {:.0} ms of {RENDERS}",
            places.len(),
            renders[RENDERS - 1]
        )),
    ])
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(Error::file("make the folder", dir))?;
    }
    std::fs::write(path, text).map_err(Error::file("write", path))
}

fn map(name: &str, value: usize) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{k: '{value}'}}\n")
}

/// A tree with a small application, whose file is saved, and one of many objects.
fn tree(from: &Path, to: &Path) -> Result<(), Error> {
    let argo_cd = Path::new("manifests/platform/argo-cd");
    for (below, file) in [("", "kustomization.yaml"), ("", "namespace.yaml"), ("", "rbac.yaml"), ("", "config.yaml")]
        .into_iter()
        .chain(["applications.yaml", "appprojects.yaml", "applicationsets.yaml"].map(|file| ("crds", file)))
    {
        let path = argo_cd.join(below).join(file);
        let text = std::fs::read_to_string(from.join(&path)).map_err(Error::file("read", from.join(&path)))?;
        write(&to.join(&path), &text)?;
    }
    let root = to.join("manifests/clusters/local");
    write(&root.join("kustomization.yaml"), ROOT)?;
    let apps = ["saved", "many"].map(|name| APP.replace("NAME", name));
    write(&root.join("root.yaml"), &apps.join("---\n"))?;
    write(&to.join("saved/one.yaml"), &map("saved", 0))?;
    let many: Vec<String> = (0..MANY).map(|number| map(&format!("many-{number}"), 0)).collect();
    write(&to.join("many/all.yaml"), &many.join("---\n"))
}

/// Saves a file again and again; how long each took to reach the object.
async fn saves(tree: &Path, cluster: &Cluster, talk: &Talk) -> Result<Vec<f64>, Error> {
    talk.tell(Event::Step(format!("saving a file {SAVES} times")));
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), "default");
    let mut times = Vec::with_capacity(SAVES);
    let apps = std::collections::BTreeSet::from(["saved".to_owned()]);
    for number in 1..=SAVES {
        // What the last one still does must not find the next one sooner than files are looked at.
        gitops::settle(cluster, &apps).await?;
        tokio::time::sleep(QUIET + Duration::from_millis(number as u64 * 37 % 100)).await;
        let selection = watcher::Config::default().fields("metadata.name=saved");
        let mut saved: Option<Instant> = None;
        let mut failed = None;
        let value = number.to_string();
        let judge = |known: &wait::Known<ConfigMap>| {
            // The watch is there: only now is the file saved.
            if saved.is_none() {
                saved = Some(Instant::now());
                failed = write(&tree.join("saved/one.yaml"), &map("saved", number)).err();
            }
            let has = known.values().any(|map| map.data.as_ref().is_some_and(|data| data.get("k") == Some(&value)));
            if has || failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        wait::until(maps.clone(), selection, "the saved value", PATIENCE, judge).await?;
        if let Some(error) = failed {
            return Err(error);
        }
        times.push(saved.map_or(0.0, |saved| millis(saved.elapsed())));
    }
    Ok(times)
}
