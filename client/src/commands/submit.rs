//! `atelier submit`: a grid file, photos and artists, or favourites become plans, and these become grids.

use std::path::{Path, PathBuf};

use atelier_proto::settings::{PRESET_KEY, Preset};
use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::fetch::{Favourites, FetchError, Selection, read_manifest};
use crate::like::{self, LikeError};
use crate::plan::{PRIORITIES, Plan, Wishes};
use crate::printer::Tone;
use crate::progress::follow;
use crate::submission::{NOTHING_SUBMITTED, submit};
use crate::submitter::{SUBMITTER_VARIABLE, Submitter};
use crate::text::{counted, printable, shortened};

/// `atelier submit`.
#[derive(Debug, Args)]
#[command(override_usage = "\
atelier submit [OPTIONS] <GRID.toml>
       atelier submit [OPTIONS] --photos <PATTERN>... --artists <DIR>
       atelier submit [OPTIONS] --like <FILE|LINK>")]
#[command(after_help = "\
Examples:
  atelier submit --photos 'photos/*.jpg' --artists artists/ --set size=512
  atelier submit grid.toml --wait
  atelier submit --like favourites.json --set size=2048
  atelier submit grid.toml --name \"bigger\" --set size=1024 --set iterations=200

--artists names a folder with a picture, or a folder of pictures, for each artist.

A grid file:
  name = \"Sunday ride\"
  photos = [\"photos/*.jpg\"]        # relative to the file
  reconstructions = true           # optional: each photo and each artist alone
  priority = 20                    # optional: each 20 double its share
  labels = { gpu = \"h100\" }        # optional: only nodes with these

  [[photo]]                        # optional: photos with masks or a start
  path = \"ride.jpg\"
  start = \"sketch.png\"             # what `start = \"file\"` begins from
  masks = { rider = \"rider.png\" }  # grey pictures: white is where

  [[artist]]
  name = \"Braque\"
  paintings = [\"houses.jpg\", \"viaduct.jpg\"]
  weights = [2, 1]                 # optional
  masks = [\"rider\", \"\"]            # optional: within which mask of each photo
  render = { content_weight = 3 }  # optional: for this artist

  [render]                         # for all
  size = 512

  [sweep]                          # every cell once for each combination
  style_scale = [0.5, 1]

Prints the grid's id.")]
pub struct SubmitArgs {
    /// A grid file
    #[arg(
        value_name = "GRID.toml",
        required_unless_present_any = ["photos", "like"],
        conflicts_with_all = ["photos", "artists", "like"]
    )]
    pub file: Option<PathBuf>,
    /// Favourites of a gallery, to be rendered once more: the file that its page saved, or its link where that names the grid.
    /// They become as few grids as they fit into
    #[arg(long, value_name = "FILE|LINK", conflicts_with_all = ["photos", "artists"])]
    pub like: Option<String>,
    /// Photos: files, folders or patterns such as 'photos/*.jpg'
    #[arg(long, num_args = 1.., value_name = "PATTERN", requires = "artists")]
    pub photos: Vec<String>,
    /// A folder with a picture, or a folder of pictures, for each artist
    #[arg(long, value_name = "DIR", requires = "photos")]
    pub artists: Option<PathBuf>,
    /// A render setting, as in size=256; it outweighs `[render]` in a grid file; may be said several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
    /// A named set of render settings; what --set says counts more
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(Preset::ALL.map(Preset::name)))]
    pub preset: Option<String>,
    /// Also render each photo and each artist alone: what the network keeps of them
    #[arg(long)]
    pub reconstructions: bool,
    /// What to call the grid [default: as the grid file says, or else after photos and artists]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// From -100 to 100: among your grids, each 20 double its share of the nodes [default: as the grid file says, or
    /// else 0]
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(i32).range(PRIORITIES)
    )]
    pub priority: Option<i32>,
    /// Who submits, for fair shares and lists; where the coordinator asks who calls, only operators name others [default:
    /// the name by which it knows you, or else your user's]
    #[arg(long, env = SUBMITTER_VARIABLE, value_name = "NAME")]
    pub submitter: Option<String>,
    /// A label that nodes must have to get cells of the grid, as in gpu=h100; may be said several times
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    pub labels: Vec<(String, String)>,
    /// Wait until the grid has ended; the exit code tells how
    #[arg(long)]
    pub wait: bool,
}

/// Submits what the arguments say, and waits if asked to.
pub async fn run(context: &Context, args: SubmitArgs) -> Result<Exit, Error> {
    let preset = args
        .preset
        .iter()
        .map(|name| format!("{PRESET_KEY}={name}"));
    let settings: Vec<String> = preset.chain(args.settings).collect();
    let wishes = Wishes {
        name: args.name.as_deref(),
        settings: &settings,
        reconstructions: args.reconstructions,
        priority: args.priority,
        labels: &args.labels,
        submitter: Submitter::own(args.submitter),
    };
    if let Some(list) = &args.like {
        // The plans name files in it.
        let inputs = tempfile::tempdir().map_err(LikeError::Folder)?;
        let mut exit = Exit::Ok;
        for plan in favourites(context, list, &wishes, inputs.path()).await? {
            let ended = submit_and_tell(context, plan, args.wait).await?;
            if exit == Exit::Ok {
                exit = ended;
            }
        }
        return Ok(exit);
    }
    let plan = match (&args.file, &args.artists) {
        (Some(file), _) => Plan::from_file(file, &wishes)?,
        (None, artists) => {
            let artists = artists.clone().unwrap_or_default();
            Plan::from_folders(&args.photos, &artists, &wishes)?
        }
    };
    submit_and_tell(context, plan, args.wait).await
}

/// The favourites of a list, as grids.
async fn favourites(
    context: &Context,
    list: &str,
    wishes: &Wishes<'_>,
    inputs: &Path,
) -> Result<Vec<Plan>, Error> {
    let favourites = Favourites::read(list).map_err(FetchError::from)?;
    let grid = favourites.grid.ok_or_else(|| LikeError::NoGrid {
        list: list.to_owned(),
    })?;
    let selection = Selection {
        favourites: Some(favourites),
        ..Selection::default()
    };
    let bringing = Box::pin(async {
        let bucket = context.coordinator.bucket()?;
        let (manifest, _) = read_manifest(&bucket, grid).await?;
        let manifest = selection.of(&manifest).map_err(FetchError::from)?;
        like::plans(&bucket, &manifest, wishes, inputs).await
    });
    context
        .unless_interrupted(NOTHING_SUBMITTED, bringing)
        .await
}

async fn submit_and_tell(context: &Context, plan: Plan, wait: bool) -> Result<Exit, Error> {
    let printer = &context.printer;
    if let Some(notice) = plan.notice() {
        printer.warn(&notice);
    }
    let submitted = submit(context, plan).await?;
    if printer.json_wanted() {
        printer.json(&submitted)?;
    } else {
        printer.data(&submitted.grid_id.to_string())?;
    }
    let name = printable(&shortened(&submitted.name, 80));
    let cells = counted(submitted.cells as usize, "cell");
    let name = printer.tint(Tone::Bold, &name);
    printer.say(&format!("submitted {name}: {cells}"));
    if !wait {
        printer.say(&format!("see it with: atelier watch {}", submitted.grid_id));
        return Ok(Exit::Ok);
    }
    let ended = follow(context, submitted.grid_id).await?;
    ended.tell(printer);
    if printer.json_wanted() {
        printer.json(&ended)?;
    } else if ended.counts.done > 0 {
        printer.say(&format!("get it with: atelier fetch {}", submitted.grid_id));
    }
    Ok(ended.exit())
}

/// A label of the command line.
fn label(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("a label is NAME=VALUE, as in gpu=h100"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_has_a_name_and_its_value_may_be_anything() {
        let pair = |name: &str, value: &str| Ok((name.to_owned(), value.to_owned()));
        assert_eq!(label("gpu=h100"), pair("gpu", "h100"));
        assert_eq!(label("formula=a=b"), pair("formula", "a=b"));
        assert_eq!(label("spot="), pair("spot", ""));
        for wrong in ["gpu", "=h100", ""] {
            assert!(label(wrong).is_err(), "{wrong}");
        }
    }
}
