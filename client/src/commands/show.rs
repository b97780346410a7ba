//! `atelier show`: a grid with all that was submitted, and its cells.

use atelier_proto::ids::{CellId, NodeId};
use atelier_proto::settings::{RenderSettings, SettingsPatch};
use clap::Args;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::list::{local_time, plain_table};
use crate::context::Context;
use crate::coordinator::view::{
    ArtistView, CellNames, CellState, CellView, GridView, PhotoView, PictureView, Summary,
    VariantView,
};
use crate::error::Error;
use crate::exit::Exit;
use crate::grid_ref;
use crate::text::{printable, shortened};

/// `atelier show`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atelier show \"Sunday ride\"
  atelier show 01930c5e --json | jq -r '.cells[] | select(.state == \"failed\") | .failure'")]
pub struct ShowArgs {
    /// Id, beginning of an id, or name
    #[arg(value_name = "GRID")]
    pub grid: String,
}

/// A grid as `--json` has it.
#[derive(Serialize)]
struct ShownGrid<'a> {
    grid: ShownHead<'a>,
    cells: Vec<ShownCell<'a>>,
}

#[derive(Serialize)]
struct ShownHead<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    photos: &'a [PhotoView],
    artists: &'a [ArtistView],
    variants: &'a [VariantView],
    reconstructions: bool,
    settings: &'a SettingsPatch,
}

/// A cell as `--json` has it, by names.
#[derive(Debug, Serialize)]
pub(super) struct ShownCell<'a> {
    cell_id: CellId,
    /// None of an artist alone.
    photo: Option<&'a str>,
    /// None of a photo alone.
    artist: Option<&'a str>,
    variant: &'a str,
    state: CellState,
    attempts: u32,
    node_id: Option<NodeId>,
    evaluations: u32,
    evaluations_planned: u32,
    loss: f64,
    picture: Option<&'a PictureView>,
    failure: Option<&'a str>,
}

impl<'a> ShownCell<'a> {
    pub(super) fn new(cell: &'a CellView, names: CellNames<'a>) -> Self {
        Self {
            cell_id: cell.cell_id,
            photo: names.photo,
            artist: names.artist,
            variant: names.variant,
            state: cell.state,
            attempts: cell.attempts,
            node_id: cell.node,
            evaluations: cell.evaluations,
            evaluations_planned: cell.evaluations_planned,
            loss: cell.loss,
            picture: cell.picture.as_ref(),
            failure: cell.failure.as_deref(),
        }
    }
}

/// Shows the grid.
pub async fn run(context: &Context, args: ShowArgs) -> Result<Exit, Error> {
    let printer = &context.printer;
    let id = grid_ref::resolve(&context.coordinator, &args.grid).await?;
    let grid = context.coordinator.get(id).await?;
    if printer.json_wanted() {
        printer.json(&ShownGrid {
            grid: ShownHead {
                summary: &grid.summary,
                photos: &grid.photos,
                artists: &grid.artists,
                variants: &grid.variants,
                reconstructions: grid.reconstructions,
                settings: &grid.settings,
            },
            cells: grid
                .cells
                .iter()
                .map(|cell| ShownCell::new(cell, names(&grid, cell)))
                .collect(),
        })?;
    } else {
        printer.data(&text(&grid, &TimeZone::system()))?;
    }
    Ok(Exit::Ok)
}

fn names<'a>(grid: &'a GridView, cell: &CellView) -> CellNames<'a> {
    let photo = |index: usize| grid.photos.get(index).map(|it| it.name.as_str());
    let artist = |index: usize| grid.artists.get(index).map(|it| it.name.as_str());
    let variant = grid.variants.get(cell.variant).map(|it| it.name.as_str());
    CellNames {
        photo: cell.photo.and_then(photo),
        artist: cell.artist.and_then(artist),
        variant: variant.unwrap_or_default(),
    }
}

fn text(grid: &GridView, zone: &TimeZone) -> String {
    let summary = &grid.summary;
    let mut lines = vec![
        printable(&summary.name),
        format!("id         {}", summary.grid_id),
        format!("state      {}: {}", summary.state, summary.cells),
    ];
    if let Some(time) = summary.submitted_at {
        lines.push(format!("submitted  {}", local_time(time, zone)));
    }
    if let Some(time) = summary.finished_at {
        lines.push(format!("ended      {}", local_time(time, zone)));
    }
    let changed = changed_settings(&grid.settings);
    if !changed.is_empty() {
        lines.push(format!("settings   {changed}"));
    }
    for artist in &grid.artists {
        let own = changed_settings(&artist.settings);
        if !own.is_empty() {
            lines.push(format!("           {}: {own}", printable(&artist.name)));
        }
    }
    lines.push(String::new());
    lines.push(cell_table(grid));
    lines.join("\n")
}

fn cell_table(grid: &GridView) -> String {
    let has_variants = grid.variants.iter().any(|variant| !variant.name.is_empty());
    let mut headings = vec!["PHOTO", "ARTIST"];
    if has_variants {
        headings.push("VARIANT");
    }
    headings.extend(["STATE", "ATTEMPTS", "LOSS", "SECONDS", "PICTURE"]);
    let mut table = plain_table(&headings);
    for cell in &grid.cells {
        let names = names(grid, cell);
        let name = |name: &str| printable(&shortened(name, 40));
        let mut row = vec![
            names.photo.map_or_else(|| "(style)".to_owned(), name),
            names.artist.map_or_else(|| "(content)".to_owned(), name),
        ];
        if has_variants {
            row.push(printable(names.variant));
        }
        let picture = cell.picture.as_ref();
        row.extend([
            state(cell),
            cell.attempts.to_string(),
            picture.map_or_else(String::new, |it| format!("{:.4}", it.loss)),
            picture.map_or_else(String::new, |it| format!("{:.1}", it.seconds)),
            match (picture, &cell.failure) {
                (Some(picture), _) => printable(&picture.key),
                (None, Some(reason)) => printable(&shortened(reason, 200)),
                (None, None) => String::new(),
            },
        ]);
        table.add_row(row);
    }
    table.trim_fmt()
}

fn state(cell: &CellView) -> String {
    if cell.state == CellState::Rendering && cell.evaluations_planned > 0 {
        format!("{} {:.0} %", cell.state, 100.0 * cell.fraction())
    } else {
        cell.state.to_string()
    }
}

/// Settings that are not as they would be anyway: `size=512 start=noise`.
fn changed_settings(settings: &SettingsPatch) -> String {
    let fields = |patch: &SettingsPatch| match serde_json::to_value(patch) {
        Ok(serde_json::Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let defaults = fields(&RenderSettings::default().into());
    let changed = fields(settings).into_iter();
    let changed = changed.filter(|(key, value)| defaults.get(key) != Some(value));
    let written: Vec<String> = changed
        .map(|(key, value)| match value {
            serde_json::Value::String(word) => format!("{key}={word}"),
            other => format!("{key}={other}"),
        })
        .collect();
    written.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_settings_that_say_something_are_shown() {
        let mut settings = SettingsPatch::from(RenderSettings::default());
        assert_eq!(changed_settings(&settings), "");
        for assignment in ["start=noise", "size=64", "content_layers=conv4_2:0.5"] {
            settings.set(assignment).unwrap();
        }
        let changed = changed_settings(&settings);
        let mut words: Vec<&str> = changed.split(' ').collect();
        words.sort_unstable();
        assert_eq!(
            words,
            ["content_layers={\"conv4_2\":0.5}", "size=64", "start=noise"]
        );
    }
}
