//! `atelier watch --preview`: a picture in the terminal as it is painted, and below it how the grid gets on.

use std::io::{self, IsTerminal as _};
use std::str::FromStr;
use std::time::Duration;

use atelier_gallery::bucket::BucketError;
use atelier_gallery::keys::GridNames;
use atelier_gallery::picture;
use atelier_gallery::signed::SignedBucket;
use atelier_proto::ids::GridId;
use image::RgbImage;
use rustix::termios::tcgetwinsize;
use tokio::sync::watch;

use crate::context::Context;
use crate::coordinator::view::CellState;
use crate::error::Error;
use crate::printer::Printer;
use crate::progress::{self, Board, Ended, outlook};
use crate::terminal_picture::{Cells, Protocol, UnknownProtocol, rows, show};

/// Between two looks at what is painted.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// The longest preview that is read.
const PREVIEW_BYTES_MAX: u64 = 4 << 20;
/// Lines below the picture: which it is, and how the grid gets on.
const LINES_BELOW: u16 = 2;
/// The largest box of a picture; previews have few pixels.
const COLUMNS_MAX: u16 = 80;
const ROWS_MAX: u16 = 30;
/// The box where the terminal does not tell its size.
const UNKNOWN: Cells = Cells {
    columns: 80,
    rows: 24,
};

/// How pictures are to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// As well as the terminal surely can.
    Auto,
    /// So.
    By(Protocol),
}

impl FromStr for How {
    type Err = UnknownProtocol;

    fn from_str(word: &str) -> Result<Self, UnknownProtocol> {
        match word {
            "auto" => Ok(Self::Auto),
            word => word.parse().map(Self::By),
        }
    }
}

/// What is to be seen of a grid.
#[derive(Debug, Clone, Default, PartialEq)]
struct Scene {
    /// Cells that are being painted, in the grid's order.
    painted: Vec<Painted>,
    /// How the grid gets on.
    line: String,
}

#[derive(Debug, Clone, PartialEq)]
struct Painted {
    /// Of its preview, in the bucket.
    key: String,
    label: String,
    evaluations: u32,
    planned: u32,
}

impl Scene {
    fn of(board: &Board, names: &GridNames) -> Self {
        let rendering = board
            .in_hand()
            .filter(|cell| cell.state == CellState::Rendering);
        let painted = rendering.filter_map(|cell| {
            let stem = names.stem(cell.photo, cell.artist, cell.variant)?;
            Some(Painted {
                key: names.keys().preview(&stem),
                label: board.label(cell),
                evaluations: cell.evaluations,
                planned: cell.evaluations_planned,
            })
        });
        let summary = board.summary();
        let told = std::iter::once(summary.cells.to_string()).chain(outlook(summary));
        Self {
            painted: painted.collect(),
            line: told.collect::<Vec<_>>().join(", "),
        }
    }
}

/// Follows a grid to its end, and shows what is painted.
///
/// # Errors
/// As [`progress::follow`] says; and when standard error is no terminal, or only data is wanted.
pub async fn follow(context: &Context, grid: GridId, how: How) -> Result<Ended, Error> {
    let printer = &context.printer;
    if !io::stderr().is_terminal() || printer.quiet() || printer.json_wanted() {
        return Err(Error::NoTerminal);
    }
    let protocol = match how {
        How::Auto => Protocol::detect(|name| std::env::var(name).ok()),
        How::By(protocol) => protocol,
    };
    let bucket = context.coordinator.bucket()?;
    let (sender, scenes) = watch::channel(Scene::default());
    let mut names = None;
    let following = progress::follow_unseen(context, grid, |board, _| {
        let names = names.get_or_insert_with(|| board.grid_names());
        sender.send_replace(Scene::of(board, names));
        Ok(())
    });
    let easel = Easel {
        printer: printer.clone(),
        bucket,
        protocol,
        number: std::process::id(),
        shown: None,
        drawn_rows: 0,
    };
    tokio::select! {
        ended = following => ended,
        never = easel.draw(scenes) => match never {},
    }
}

/// Where pictures are drawn, one over the other.
struct Easel {
    printer: Printer,
    bucket: SignedBucket,
    protocol: Protocol,
    /// The terminal's name for the picture, so that the next one takes its place.
    number: u32,
    /// The cell that is looked at, and what it looked like.
    shown: Option<(Painted, Option<RgbImage>)>,
    drawn_rows: u16,
}

impl Easel {
    async fn draw(mut self, mut scenes: watch::Receiver<Scene>) -> std::convert::Infallible {
        loop {
            let scene = scenes.borrow_and_update().clone();
            self.look(&scene).await;
            self.paint(&scene);
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// Stays with a cell until it is no longer painted.
    async fn look(&mut self, scene: &Scene) {
        let before = self.shown.take();
        let same = before.as_ref().and_then(|(cell, _)| {
            let mut painted = scene.painted.iter();
            painted.find(|other| other.key == cell.key)
        });
        let Some(cell) = same.or_else(|| scene.painted.first()) else {
            self.shown = before;
            return;
        };
        let picture = match self.bucket.get(&cell.key, PREVIEW_BYTES_MAX).await {
            Ok(bytes) => picture::decode(&bytes)
                .ok()
                .map(picture::Picture::into_rgb8),
            Err(BucketError::NotFound { .. }) => None,
            Err(error) => {
                tracing::debug!(%error, "no preview");
                None
            }
        };
        // What was seen before stays until there is something new.
        let picture = picture.or_else(|| before.and_then(|(_, picture)| picture));
        self.shown = Some((cell.clone(), picture));
    }

    fn paint(&mut self, scene: &Scene) {
        let size = tcgetwinsize(io::stderr())
            .ok()
            .filter(|size| size.ws_row > 0);
        let size = size.map_or(UNKNOWN, |size| Cells {
            columns: size.ws_col,
            rows: size.ws_row,
        });
        let within = Cells {
            columns: size.columns.saturating_sub(1).clamp(1, COLUMNS_MAX),
            // The cursor stands on a line of its own.
            rows: size.rows.saturating_sub(LINES_BELOW + 1).clamp(1, ROWS_MAX),
        };
        let mut text = String::new();
        if self.drawn_rows > 0 {
            // Back to where the last one began, and clear from there on.
            text = format!("\x1b[{}A\x1b[0J", self.drawn_rows);
        }
        self.drawn_rows = LINES_BELOW;
        let mut label = String::new();
        if let Some((cell, picture)) = &self.shown {
            if let Some(picture) = picture {
                text.push_str(&show(picture, self.protocol, within, self.number));
                self.drawn_rows += rows(picture, self.protocol, within);
            }
            label = format!("{}: {} of {}", cell.label, cell.evaluations, cell.planned);
        }
        for line in [&label, &scene.line] {
            let line: String = line.chars().take(usize::from(within.columns)).collect();
            text.push_str(&line);
            text.push('\n');
        }
        self.printer.draw(&text);
    }
}
