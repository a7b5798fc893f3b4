//! `image`.

use tinderbox::{Error, image};

use super::Context;
use crate::cli::{self, ImageVerb};
use crate::show;
use crate::ui::Exit;

pub(super) async fn run(context: &Context, arguments: &cli::Image) -> Result<Exit, Error> {
    match &arguments.verb {
        ImageVerb::Load { what, named } => {
            let report = image::load(&context.project, what, named.as_deref(), &context.ui.talk()).await?;
            context.ui.result(&report, show::loaded);
        }
        ImageVerb::Build { dir, tag, file } => {
            let report = image::build(&context.project, dir, file, tag, &context.ui.talk()).await?;
            context.ui.result(&report, show::loaded);
        }
        ImageVerb::List => context.ui.result(&image::list().await?, |list| show::images(list)),
        ImageVerb::Rm { names } => context.ui.result(&image::remove(names).await?, show::pruned),
        ImageVerb::Prune => context.ui.result(&image::prune().await?, show::pruned),
    }
    Ok(Exit::Done)
}
