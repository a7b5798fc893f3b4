//! `logs`.

use tinderbox::event::Event;
use tinderbox::logs::{self, Options};
use tinderbox::{Error, Talk};

use super::Context;
use crate::cli;
use crate::ui::Exit;

pub(super) async fn run(context: &Context, arguments: &cli::Logs) -> Result<Exit, Error> {
    let options = Options {
        what: arguments.what.clone(),
        namespace: arguments.namespace.clone(),
        follow: arguments.follow,
        tail: arguments.tail.map(i64::from),
    };
    let ui = context.ui.clone();
    // Whatever was asked for is data: no part of it is held back.
    let talk = Talk::new(move |event| match event {
        Event::Line { pod, container, text, .. } => ui.log_line(&pod, &container, &text),
        Event::Note(text) => ui.say(&format!("note: {text}")),
        _ => {}
    });
    logs::logs(&context.project, &options, &talk).await?;
    Ok(Exit::Done)
}
