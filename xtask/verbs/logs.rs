//! `logs`.

use tinderbox::event::Event;
use tinderbox::logs::{self, Options};
use tinderbox::{Error, Talk};

use super::Context;
use crate::cli;
use crate::ui::{Exit, Ui};

pub(super) async fn run(context: &Context, arguments: &cli::Logs) -> Result<Exit, Error> {
    let options = Options {
        what: arguments.what.clone(),
        namespace: arguments.namespace.clone(),
        follow: arguments.follow,
        tail: arguments.tail.map(i64::from),
    };
    logs::logs(&context.project, &options, &talk(&context.ui, |_, text| text.to_owned())).await?;
    Ok(Exit::Done)
}

/// Prints lines of logs as `told` says, given the pod and the line; as data they are what they are. Whatever was asked for is data:
/// no part of it is held back.
pub(super) fn talk(ui: &Ui, told: impl Fn(&str, &str) -> String + Send + Sync + 'static) -> Talk {
    let ui = ui.clone();
    Talk::new(move |event| match event {
        Event::Line { pod, container, text, .. } => ui.log_line(&pod, &container, &text, &told(&pod, &text)),
        Event::Note(text) => ui.say(&format!("note: {text}")),
        _ => {}
    })
}
