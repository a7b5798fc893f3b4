//! Processes that `up` starts beside a cluster, whose words go to standard error, which is their log.

use std::io;
use std::path::Path;

use tinderbox::providers::Folder;
use tinderbox::providers::embedded::machine::cache_dir;
use tinderbox::{Error, beside, reaper};
use tracing_subscriber::EnvFilter;

use super::Context;
use crate::cli;
use crate::ui::Exit;

/// Becomes the process that runs the platform.
pub(super) fn platform(common: &cli::Common, arguments: &cli::Beside) -> Exit {
    log_to_stderr();
    let downloads = cache_dir();
    let what = match (&common.project, &arguments.namespace) {
        (_, Some(namespace)) => beside::Work::Namespace(namespace),
        (Some(project), None) => beside::Work::Tree { project, downloads: &downloads },
        (None, None) => beside::Work::Cluster,
    };
    let work = async {
        let folder =
            Folder::new(arguments.state.parent().unwrap_or(Path::new("/")), &common.name).map_err(Error::from)?;
        beside::serve(&folder, what, arguments.jobs.clone()).await
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(work),
        Err(source) => Err(Error::File { act: "start the runtime of", path: "xtask".into(), source }),
    };
    match done {
        Ok(()) => Exit::Done,
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "the platform cannot be run");
            Exit::Failed
        }
    }
}

/// Waits for the end of a run.
pub(super) async fn reaper(context: &Context, arguments: &cli::Reaper) -> Result<Exit, Error> {
    reaper::reap(&context.project, &arguments.run, &context.ui.talk()).await?;
    Ok(Exit::Done)
}

/// Sends what is traced to standard error.
pub(super) fn log_to_stderr() {
    let filter = EnvFilter::try_from_env("TINDERBOX_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(false);
    // A log on a full disk loses lines. Telling that on the same disk would end the thread that had something to say.
    log.log_internal_errors(false).init();
}
