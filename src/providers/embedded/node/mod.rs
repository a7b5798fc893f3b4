//! The node process: runs one cluster until it is told to end. It says to its parent when it is ready, or why it is not, and
//! from then on only to its log.

mod compose;
mod exporters;
mod memory;
pub mod rehearsal;

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tinderbox_apiserver::auth::pki::Pki;
use tinderbox_console::Explain;
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};

use super::console::Door;
use super::handshake::{Message, Parent};
use super::kubeconfig::{self, Credentials};
use super::process::Identity;
use super::state::{self, State};
use crate::folder::{Folder, replace};
use crate::{Class, Error};
use compose::Cluster;

/// Threads that do the work; more only take memory on the machines this is made for.
const THREADS: usize = 4;

/// How long after it is ready a cluster has done what it does only once.
const SETTLED: std::time::Duration = std::time::Duration::from_secs(2);

/// Runs the cluster `name` whose folder is `dir`, until SIGTERM or SIGINT; `explain` is asked by its console.
///
/// # Errors
/// When it cannot be started; the parent has been told.
pub fn run(name: &str, dir: &Path, explain: Arc<dyn Explain>) -> Result<(), Error> {
    let mut parent = Parent::inherit().map_err(|source| Error::File {
        act: "take over the pipe to",
        path: "the parent process".into(),
        source,
    })?;
    let outcome = start(name, dir, explain, &mut parent);
    if let Err(error) = &outcome {
        tracing::error!(error = error as &dyn std::error::Error, "the cluster cannot be started");
        parent.tell(&Message::failed(error));
    }
    outcome
}

fn start(name: &str, dir: &Path, explain: Arc<dyn Explain>, parent: &mut Parent) -> Result<(), Error> {
    let home = dir.parent().unwrap_or(Path::new("/"));
    let folder = Folder::new(home, name)?;
    let failed = |act: &'static str| move |source| Error::File { act, path: "/proc/self".into(), source };
    raise_limits();
    let mut state = State::load(&folder)?.unwrap_or_else(|| State::new(state::Settings::default()));
    // Before anything else: from now on `down` finds this process.
    state.node = Some(Identity::own().map_err(failed("read"))?);
    state.ready = false;
    state.save(&folder)?;
    let threads = runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()
        .map_err(failed("start the threads of"))?;
    let outcome = threads.block_on(serve(&folder, state, explain, parent));
    threads.shutdown_background();
    outcome
}

async fn serve(folder: &Folder, mut state: State, explain: Arc<dyn Explain>, parent: &mut Parent) -> Result<(), Error> {
    let listen = |kind| {
        signal(kind).map_err(|source| Error::File { act: "listen to signals of", path: "/proc/self".into(), source })
    };
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let mut told = async || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let bound = super::port::bind("the API", state.settings.port, state.port)?;
    let ingress = super::port::bind("Ingress", 0, state.ingress_port)?;
    let mut door = Door::open(folder)?;
    let console = super::port::bind("the console", 0, door.port)?;
    let (port, ingress_port) = (bound.port, ingress.port);
    let notes = [bound.note, ingress.note, console.note].into_iter().flatten().collect();
    let started = tokio::select! {
        started = Cluster::start(folder, &state.settings, bound.listener, ingress.listener) => started?,
        () = told() => {
            tracing::info!("told to end before it was ready");
            return Ok(());
        }
    };
    write_kubeconfig(folder, &started.pki, port)?;
    door.port = Some(console.port);
    door.save(folder)?;
    let seen = tinderbox_console::Config {
        cluster: folder.name().to_owned(),
        place: "embedded".to_owned(),
        token: door.token,
        namespace: None,
        ingress: Some(ingress_port),
        explain,
    };
    started.serve_console(console.listener, seen)?;
    state.port = Some(port);
    state.ingress_port = Some(ingress_port);
    state.ready = true;
    state.save(folder)?;
    tracing::info!(port, "ready");
    parent.tell(&Message::Ready { port, ingress_port, notes });
    parent.leave();
    tokio::select! {
        () = told() => {}
        () = settled() => {
            memory::let_go_of_code();
            told().await;
        }
    }
    tracing::info!("told to end");
    started.stop().await;
    tinderbox_kubelet::cgroups::clear(folder.path());
    Ok(())
}

/// A while after the start, when it has done all that it does once.
async fn settled() {
    tokio::time::sleep(SETTLED).await;
}

fn write_kubeconfig(folder: &Folder, pki: &Pki, port: u16) -> Result<(), Error> {
    let admin = pki.admin().map_err(|source| Error::Compose {
        act: "make the administrator's certificate".to_owned(),
        source: Box::new(source),
        hint: None,
        class: Class::Failed,
    })?;
    let path = folder.kubeconfig();
    let server = format!("https://127.0.0.1:{port}");
    let encoded = |text: &str| BASE64_STANDARD.encode(text);
    let text = kubeconfig::render(
        folder.name(),
        &Credentials {
            server: &server,
            authority: &encoded(pki.ca_certificate()),
            certificate: &encoded(&admin.certificate),
            key: &encoded(&admin.key),
        },
    )
    .map_err(|source| Error::Compose {
        act: "write the kubeconfig".to_owned(),
        source: Box::new(source),
        hint: None,
        class: Class::Failed,
    })?;
    replace(&path, text.as_bytes()).map_err(|source| Error::File { act: "write", path, source })
}

/// Every pod, connection and watch is a descriptor or several: takes what the machine allows.
fn raise_limits() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE)
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, most, most)
    {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

fn open_pki(folder: &Folder) -> Result<Pki, Error> {
    let node = compose::node_name(folder.name());
    Pki::open(&folder.pki(), &node, SystemTime::now()).map_err(|source| Error::Compose {
        act: format!("open or make the keys in {}", folder.pki().display()),
        source: Box::new(source),
        hint: None,
        class: Class::Environment,
    })
}
