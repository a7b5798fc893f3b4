//! `demo`.

use std::io::{self, BufRead as _, IsTerminal as _};

use tinderbox::Error;
use tinderbox::demo::{self, CHAPTERS, Chapter, Told, Turn};

use super::Context;
use crate::cli;
use crate::show;
use crate::ui::{Exit, Ui};

pub(super) async fn run(
    context: &Context,
    arguments: &cli::Demo,
    stop: impl Future<Output = ()>,
) -> Result<Exit, Error> {
    if !arguments.yes && !io::stdin().is_terminal() {
        return Err(Error::Usage {
            message: "nobody turns the pages of the tour".to_owned(),
            hint: Some("add `--yes` where it shall go on by itself".to_owned()),
        });
    }
    let ui = &context.ui;
    let turn = async |number: usize, chapter: &Chapter| {
        ui.rest();
        ui.say(&format!(
            "\n{} of {}  {}\n{}\n  $ {}",
            number + 1,
            CHAPTERS.len(),
            chapter.title,
            chapter.words,
            chapter.command
        ));
        if arguments.yes { Turn::Go } else { asked(ui).await }
    };
    let told = |told: &Told| {
        ui.rest();
        if let Some(inquiry) = &told.inquiry {
            ui.say(&show::inquiry(inquiry));
        }
        ui.say(&format!("→ {}", told.outcome.as_deref().unwrap_or("skipped")));
    };
    let report = demo::demo(&context.project, stop, turn, told, &ui.talk()).await?;
    ui.result(&report, show::demo);
    Ok(Exit::Done)
}

/// What the reader of the tour wants. A thread reads, so that Ctrl-C ends the tour meanwhile.
async fn asked(ui: &Ui) -> Turn {
    ui.say("Enter goes on, s skips, q ends: ");
    let read = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer).map(|count| (count, answer))
    });
    match read.await {
        Ok(Ok((1.., answer))) => match answer.trim() {
            "s" => Turn::Skip,
            "q" => Turn::End,
            _ => Turn::Go,
        },
        _ => Turn::End,
    }
}
