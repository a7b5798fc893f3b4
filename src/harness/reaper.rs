//! What becomes of an end-to-end run's cluster when the run is killed and cannot take it away itself: a small detached process waits
//! for the end of the run, and removes what is left then. It leaves alone what an `up` has made.

use std::process::Stdio;
use std::time::Duration;

use tinderbox_providers::Provider as _;
use tinderbox_providers::aside::detached;
use tinderbox_providers::embedded::process::Identity;

use crate::e2e::VERB;
use crate::error::Error;
use crate::event::{Event, Talk};
use crate::project::Project;
use crate::up;

/// How long one look at the run may take; then it is looked at again.
const LOOK: Duration = Duration::from_secs(3600);

/// Starts the process that waits for the end of this one.
///
/// # Errors
/// When it cannot be started.
pub(crate) fn start(project: &Project) -> Result<(), Error> {
    let own = Identity::own().map_err(Error::file("read", "/proc/self"))?;
    let (program, mut command) = detached()?;
    let failed = |source| Error::Program { program: program.display().to_string(), hint: None, source };
    command.args(["reaper", "--name", &project.cluster, "--project"]).arg(&project.root);
    if let Some(place) = project.asked {
        command.args(["--provider", place.as_str()]);
    }
    command.arg(format!("{}:{}:{}", own.pid, own.start, own.boot));
    command.env("TINDERBOX_HOME", project.home());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    // Nobody waits for it: it outlives this process, or ends right after its end.
    command.spawn().map(drop).map_err(failed)
}

/// Waits for the end of a run, and takes its cluster away if it is still there.
///
/// # Errors
/// When the run is not named as it should be, or something stays.
pub async fn reap(project: &Project, run: &str, talk: &Talk) -> Result<(), Error> {
    let mut parts = run.splitn(3, ':');
    let named = (parts.next().and_then(|pid| pid.parse().ok()), parts.next().and_then(|start| start.parse().ok()));
    let (Some(pid), Some(start), Some(boot)) = (named.0, named.1, parts.next()) else {
        let message = format!("{run:?} is not the identity of a process");
        return Err(Error::Usage { message, hint: None });
    };
    let run = Identity { pid, start, boot: boot.to_owned() };
    let failed = |source| Error::Internal(format!("cannot wait for the end of process {pid}: {source}"));
    while let Some(handle) = run.open().map_err(failed)? {
        if handle.ended(LOOK).await.map_err(failed)? {
            break;
        }
    }
    let place = project.provider(VERB)?;
    if place.made_by()?.is_some_and(|verb| verb == VERB) {
        talk.tell(Event::Step(format!("taking cluster {} of a run that was killed away", project.cluster)));
        up::take_away(project, &place).await?;
    }
    Ok(())
}
