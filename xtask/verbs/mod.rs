//! The verbs, a file each: from the parsed command line to a use case and its report.

mod bench;
mod beside;
mod conformance;
mod consent;
mod console;
mod dashboards;
mod demo;
mod doctor;
mod down;
mod e2e;
mod explain;
mod export;
mod gitops;
mod image;
mod kubeconfig;
mod kubectl;
mod logs;
mod node;
mod run;
mod snapshot;
mod status;
mod up;
mod workflow;

use std::process::ExitCode;
use std::time::Duration;

use tinderbox::providers::ProviderName;
use tinderbox::providers::existing::Choice;
use tinderbox::{Error, Flavour, Place, Project};

use crate::cli::{self, Cli, Common, Target, Verb};
use crate::ui::{Exit, Ui, interrupted};

/// How long a thread may take to clear up when a verb was ended.
const FAREWELL: Duration = Duration::from_millis(200);

/// What a verb works with.
pub(crate) struct Context {
    /// Where results and talk go.
    pub(crate) ui: Ui,
    /// The project and the cluster meant.
    pub(crate) project: Project,
    /// The places that were asked for.
    pub(crate) places: Vec<ProviderName>,
}

/// Runs the verb.
pub(crate) fn run(cli: Cli) -> ExitCode {
    let ui = Ui::new(&cli.common);
    let verb = match cli.verb {
        Verb::Node(cli::Node { state: Some(state), .. }) => return node::serve(&cli.common.name, &state).into(),
        Verb::Platform(arguments) => return beside::platform(&cli.common, &arguments).into(),
        verb => verb,
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(source) => {
            let error = Error::File { act: "start the runtime of", path: "xtask".into(), source };
            return ui.error(&error).into();
        }
    };
    let exit = runtime.block_on(async {
        let stop = interrupted();
        if cli.common.provider.len() > 1 && !matches!(verb, Verb::E2e(_)) {
            let message = "only `e2e` works in several places at once".to_owned();
            return ui.error(&Error::Usage { message, hint: Some("name one place".to_owned()) });
        }
        let context = match context(&cli.common, &verb, ui.clone()) {
            Ok(context) => context,
            Err(error) => return ui.error(&error),
        };
        dispatch(&context, &verb, stop).await.unwrap_or_else(|error| ui.error(&error))
    });
    // A thread that waits for nobody must not hold the end up, and one that is about to clear up gets to do it.
    runtime.shutdown_timeout(FAREWELL);
    exit.into()
}

fn context(common: &Common, verb: &Verb, ui: Ui) -> Result<Context, Error> {
    let target = match verb {
        Verb::Up(up) => up.target.clone(),
        Verb::E2e(e2e) => e2e.target.clone(),
        _ => Target::default(),
    };
    let choice = Choice { context: target.context, production: target.production, namespace: target.namespace };
    let with = target.with;
    let mut project = Project::open(&Place {
        project: common.project.clone(),
        config: common.config.clone(),
        cluster: common.name.clone(),
        provider: common.provider.first().copied(),
        choice,
        flavour: match common.platform {
            cli::Platform::Builtin => Flavour::Builtin,
            cli::Platform::None => Flavour::None,
        },
    })?;
    project.with = with;
    Ok(Context { ui, project, places: common.provider.clone() })
}

async fn dispatch(context: &Context, verb: &Verb, stop: impl Future<Output = ()>) -> Result<Exit, Error> {
    match verb {
        // These end by themselves what they began.
        Verb::Up(arguments) => up::run(context, arguments, stop).await,
        Verb::E2e(arguments) => e2e::run(context, arguments, stop).await,
        Verb::Bench(arguments) => bench::run(context, arguments, stop).await,
        Verb::Conformance(arguments) => conformance::run(context, arguments, stop).await,
        Verb::Console => console::run(context, stop).await,
        Verb::Demo(arguments) => demo::run(context, arguments, stop).await,
        Verb::Run(arguments) => run::run(context, arguments, stop).await,
        Verb::Snapshot(cli::Snapshot::Restore(arguments)) => snapshot::restore(context, arguments, stop).await,
        // What the others have under way is dropped, and takes with it what it started.
        verb => tokio::select! {
            done = simple(context, verb) => done,
            () = stop => Err(Error::Interrupted),
        },
    }
}

async fn simple(context: &Context, verb: &Verb) -> Result<Exit, Error> {
    match verb {
        Verb::Status(arguments) => status::run(context, arguments).await,
        Verb::Sync(arguments) => gitops::sync(context, arguments).await,
        Verb::Diff(arguments) => gitops::diff(context, arguments).await,
        Verb::Render(arguments) => gitops::render(context, arguments),
        Verb::Verify(arguments) => gitops::verify(context, arguments).await,
        Verb::Rollback(arguments) => gitops::rollback(context, arguments).await,
        Verb::Logs(arguments) => logs::run(context, arguments).await,
        Verb::Explain(arguments) => explain::run(context, arguments).await,
        Verb::Kubeconfig(arguments) => kubeconfig::run(context, arguments).await,
        Verb::Kubectl(arguments) => kubectl::run(context, arguments).await,
        Verb::Image(arguments) => image::run(context, arguments).await,
        Verb::Doctor => doctor::run(context).await,
        Verb::Export(arguments) => export::run(context, arguments).await,
        Verb::Snapshot(arguments) => snapshot::run(context, arguments).await,
        Verb::Down(arguments) => down::run(context, arguments).await,
        Verb::Node(arguments) => node::run(context, arguments).await,
        Verb::Workflow(action) => workflow::run(context, action).await,
        Verb::Dashboards(action) => dashboards::run(context, action).await,
        Verb::Reaper(arguments) => beside::reaper(context, arguments).await,
        Verb::Up(_)
        | Verb::Run(_)
        | Verb::E2e(_)
        | Verb::Console
        | Verb::Demo(_)
        | Verb::Bench(_)
        | Verb::Conformance(_)
        | Verb::Platform(_) => Ok(Exit::Usage),
    }
}
