//! The demo: the samples drawn, a whole atelier opened on free ports, a grid rendered, its gallery left behind.
//!
//! All that it needs on its way lies in one hidden folder beside the gallery's, and goes with it: also on Ctrl-C
//! and when something fails. Only the finished gallery takes its place, at once.

mod error;
mod place;

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

pub use self::error::DemoError;
use crate::context::Context;
use crate::coordinator::Coordinator;
use crate::error::Error;
use crate::exit::Exit;
use crate::fetch::{Fetched, Fetcher, Galleries, Selection};
use crate::interrupt::interrupted;
use crate::local::{Atelier, LocalConfig};
use crate::plan::{Plan, Wishes};
use crate::printer::Printer;
use crate::progress::follow;
use crate::samples::{self, Samples};
use crate::submission::submit;

/// What the demo's grid is called; also how its gallery is known again.
const GRID_NAME: &str = "Atelier demo";
/// Good to look at, and on two cores done in some two minutes.
const SETTINGS: [&str; 4] = ["size=256", "scales=3", "iterations=28", "style_weight=10"];

/// What is told when Ctrl-C comes.
const CLOSED: &str = "the demo is closed";

/// What can be chosen of the demo.
#[derive(Debug, Clone)]
pub struct Request {
    /// Where the gallery goes. What an earlier demo left there is replaced.
    pub out: PathBuf,
    /// Which network paints: a file, `untrained` or `auto`.
    pub weights: String,
    /// Render settings over the demo's own, as `--set` has them.
    pub settings: Vec<String>,
    /// Leave the sample pictures, database, objects and logs where they are.
    pub keep: bool,
}

/// What the demo left.
#[derive(Debug, Clone)]
pub struct Done {
    /// The gallery, in its place.
    pub gallery: Fetched,
    /// Whether every cell was painted.
    pub exit: Exit,
    /// The folder of everything else, if it was to be kept.
    pub kept: Option<PathBuf>,
}

/// Runs the demo to its end, or until `shutdown`.
pub async fn run(
    printer: &Printer,
    shutdown: &CancellationToken,
    request: Request,
) -> Result<Done, Error> {
    place::check(&request.out)?;
    let work = place::work_folder(&request.out)?;
    let painted = Box::pin(paint_in(printer, shutdown, &request, work.path())).await;
    finish(printer, &request, work, painted)
}

/// Draws the pictures, opens the atelier, has it paint, and closes it, whatever happens.
async fn paint_in(
    printer: &Printer,
    shutdown: &CancellationToken,
    request: &Request,
    work: &Path,
) -> Result<(Fetched, Exit), Error> {
    printer.say("drawing two photos and three paintings, and opening an atelier on this machine");
    let folder = work.join("samples");
    let drawing = tokio::task::spawn_blocking(move || samples::draw(&folder));
    let config = LocalConfig {
        data: work.join("data"),
        listen: "127.0.0.1:0".to_owned(),
        s3_listen: "127.0.0.1:0".to_owned(),
        board_listen: "127.0.0.1:0".to_owned(),
        nodes: 1,
        weights: request.weights.clone(),
        device: "auto".to_owned(),
    };
    let opened = Atelier::start(config, shutdown).await;
    // Waited for in any case, since it writes into a folder that is about to go.
    let drawn = drawing.await;
    let Some(mut atelier) = opened? else {
        return Err(interrupted(CLOSED));
    };
    let url = atelier.url().to_owned();
    let painting = async {
        let samples = drawn.map_err(|_| DemoError::Broken)?;
        let samples = samples.map_err(DemoError::Samples)?;
        let context = Context {
            printer: printer.clone(),
            coordinator: Coordinator::new(&[&url])?,
            // The grid does not go on without us, so what is said of interrupted grids does not hold here.
            shutdown: CancellationToken::new(),
        };
        Box::pin(paint(&context, request, &samples, work)).await
    };
    let painted = tokio::select! {
        painted = painting => painted,
        error = atelier.supervise(printer) => Err(error.into()),
        () = shutdown.cancelled() => Err(interrupted(CLOSED)),
    };
    atelier.stop().await;
    painted
}

/// Submits the grid, follows it, and fetches the gallery into the work folder.
async fn paint(
    context: &Context,
    request: &Request,
    samples: &Samples,
    work: &Path,
) -> Result<(Fetched, Exit), Error> {
    let mut settings = SETTINGS.map(str::to_owned).to_vec();
    settings.extend_from_slice(&request.settings);
    let folder = glob::Pattern::escape(&samples.photos.to_string_lossy());
    let photos = [format!("{folder}/*.png")];
    let wishes = Wishes {
        name: Some(GRID_NAME),
        settings: &settings,
        ..Wishes::default()
    };
    let plan = Plan::from_folders(&photos, &samples.artists, &wishes)?;
    let submitted = Box::pin(submit(context, plan)).await?;
    let ended = follow(context, submitted.grid_id).await?;
    ended.tell(&context.printer);
    let galleries = Galleries::of(&context.coordinator)?;
    let gallery = work.join("gallery");
    let (grid, everything) = (submitted.grid_id, Selection::default());
    let mut gallery = Fetcher::new(galleries, grid, Some(gallery), everything);
    let fetched = gallery.fetch(&context.printer).await?;
    Ok((fetched, ended.exit()))
}

/// Puts the gallery into its place and the work folder away.
fn finish(
    printer: &Printer,
    request: &Request,
    work: TempDir,
    painted: Result<(Fetched, Exit), Error>,
) -> Result<Done, Error> {
    let painted = painted.and_then(|(mut gallery, exit)| {
        place::put(&gallery.out, &request.out, work.path())?;
        gallery.out.clone_from(&request.out);
        Ok((gallery, exit))
    });
    // A log that an error names must be there to be read.
    let names_log = matches!(&painted, Err(Error::Local(error)) if error.names_log());
    let kept = (request.keep || names_log).then(|| work.keep());
    if let Some(folder) = &kept {
        printer.say(&format!(
            "sample pictures, database and logs are kept in {}",
            folder.display()
        ));
    }
    painted.map(|(gallery, exit)| Done {
        gallery,
        exit,
        kept,
    })
}
