//! The verbs, a file each: from the parsed command line to a use case and its report.

mod bench;
mod doctor;
mod down;
mod e2e;
mod export;
mod kubeconfig;
mod kubectl;
mod logs;
mod node;
mod run;
mod status;
mod up;

use std::process::ExitCode;

use tinderbox::{Error, Place, Project};

use crate::cli::{Cli, Common, Verb};
use crate::ui::{Exit, Ui, interrupted};

/// What a verb works with.
pub(crate) struct Context {
    /// Where results and talk go.
    pub(crate) ui: Ui,
    /// The project and the cluster meant.
    pub(crate) project: Project,
}

/// Runs the verb.
pub(crate) fn run(cli: Cli) -> ExitCode {
    let ui = Ui::new(&cli.common);
    let verb = match cli.verb {
        Verb::Node(arguments) => return node::run(&cli.common.name, &arguments).into(),
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
        let context = match context(&cli.common, ui.clone()) {
            Ok(context) => context,
            Err(error) => return ui.error(&error),
        };
        // These end what they began by themselves.
        let done = match &verb {
            Verb::E2e(arguments) => Some(e2e::run(&context, arguments).await),
            Verb::Bench(arguments) => Some(bench::run(&context, arguments).await),
            _ => None,
        };
        if let Some(done) = done {
            return done.unwrap_or_else(|error| ui.error(&error));
        }
        tokio::select! {
            done = dispatch(&context, &verb) => done.unwrap_or_else(|error| ui.error(&error)),
            // What was under way is dropped, and takes with it what it started.
            () = interrupted() => {
                if let Verb::Run(arguments) = &verb {
                    ui.say(&format!("{0} goes on: `xtask run {0}` follows it again", arguments.target));
                }
                ui.error(&Error::Interrupted)
            }
        }
    });
    // A thread that waits for nobody must not hold the end up.
    runtime.shutdown_background();
    exit.into()
}

fn context(common: &Common, ui: Ui) -> Result<Context, Error> {
    let project = Project::open(&Place {
        project: common.project.clone(),
        config: common.config.clone(),
        cluster: common.name.clone(),
    })?;
    Ok(Context { ui, project })
}

async fn dispatch(context: &Context, verb: &Verb) -> Result<Exit, Error> {
    match verb {
        Verb::Up(arguments) => up::run(context, arguments).await,
        Verb::Run(arguments) => run::run(context, arguments).await,
        Verb::Status => status::run(context).await,
        Verb::Logs(arguments) => logs::run(context, arguments).await,
        Verb::Kubeconfig(arguments) => kubeconfig::run(context, arguments),
        Verb::Kubectl(arguments) => kubectl::run(context, arguments).await,
        Verb::Doctor => doctor::run(context).await,
        Verb::Export(arguments) => export::run(context, arguments).await,
        Verb::Down(arguments) => down::run(context, arguments).await,
        Verb::E2e(_) | Verb::Bench(_) | Verb::Node(_) => Ok(Exit::Usage),
    }
}
