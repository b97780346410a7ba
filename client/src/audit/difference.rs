//! Differences, and a stable word for each kind of them. The table here is the one that `--help` prints.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Serialize, Serializer};

use crate::text::printable;

/// Something that is not as it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// In a word.
    pub kind: Kind,
    /// A key, a cell, or what else it is of.
    pub about: String,
    /// For people.
    pub detail: String,
}

/// What kind of difference it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The grid counts other cells than it has.
    Counts,
    /// A cell is missing, or is there twice.
    LostCell,
    /// The grid's state is not that of its cells.
    State,
    /// A done cell has no picture, or not the one it had.
    Undone,
    /// A cell has attempts that cannot be.
    Attempts,
    /// A cell failed, and nothing says why.
    NoReason,
    /// The grid ended a while ago, and its gallery is not complete.
    LateGallery,
    /// An object is not there.
    Missing,
    /// An object has another length.
    Length,
    /// An object has other bytes, or cannot be read.
    Content,
    /// A picture cannot be decoded, or has another size.
    Pixels,
    /// Several cells have one picture.
    SharedKey,
    /// A picture does not lie where its cell's belongs.
    ForeignKey,
    /// A picture of a cell that ended without one.
    Orphan,
    /// A checkpoint or a preview of a cell that has ended.
    Checkpoint,
    /// An object that belongs to nothing.
    Stray,
    /// An input is not there, or has other bytes.
    Input,
    /// `gallery.json` or `index.html` is not there.
    NoGallery,
    /// `gallery.json` cannot be read, or is of another grid.
    BadGallery,
    /// `gallery.json` tells something else than the database.
    Gallery,
    /// `gallery.json` is wrong about being complete.
    GalleryComplete,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 21] = [
        Self::Counts,
        Self::LostCell,
        Self::State,
        Self::Undone,
        Self::Attempts,
        Self::NoReason,
        Self::LateGallery,
        Self::Missing,
        Self::Length,
        Self::Content,
        Self::Pixels,
        Self::SharedKey,
        Self::ForeignKey,
        Self::Orphan,
        Self::Checkpoint,
        Self::Stray,
        Self::Input,
        Self::NoGallery,
        Self::BadGallery,
        Self::Gallery,
        Self::GalleryComplete,
    ];

    /// The kind in a word, for scripts.
    pub fn word(self) -> &'static str {
        match self {
            Self::Counts => "counts",
            Self::LostCell => "lost-cell",
            Self::State => "state",
            Self::Undone => "undone",
            Self::Attempts => "attempts",
            Self::NoReason => "no-reason",
            Self::LateGallery => "late-gallery",
            Self::Missing => "missing",
            Self::Length => "length",
            Self::Content => "content",
            Self::Pixels => "pixels",
            Self::SharedKey => "shared-key",
            Self::ForeignKey => "foreign-key",
            Self::Orphan => "orphan",
            Self::Checkpoint => "checkpoint",
            Self::Stray => "stray",
            Self::Input => "input",
            Self::NoGallery => "no-gallery",
            Self::BadGallery => "bad-gallery",
            Self::Gallery => "gallery",
            Self::GalleryComplete => "gallery-complete",
        }
    }

    /// What the word means, as `--help` has it.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Counts => "the grid counts other cells than it has",
            Self::LostCell => "a cell is missing, or is there twice",
            Self::State => "the grid's state is not that of its cells",
            Self::Undone => "a done cell has no picture, or not the one it had",
            Self::Attempts => "a cell has attempts that cannot be",
            Self::NoReason => "a cell failed, and nothing says why",
            Self::LateGallery => "the grid ended a while ago, and its gallery is not complete",
            Self::Missing => "a picture, a thumbnail or an original is not there",
            Self::Length => "a picture or a thumbnail has another length",
            Self::Content => "an object has other bytes, or cannot be read (--deep)",
            Self::Pixels => "a picture cannot be decoded, or has another size (--deep)",
            Self::SharedKey => "several cells have one picture",
            Self::ForeignKey => "a picture does not lie where its cell's belongs",
            Self::Orphan => {
                "a picture, thumbnail or original is of cells that ended without a picture"
            }
            Self::Checkpoint => "a checkpoint or a preview is of a cell that has ended",
            Self::Stray => "an object belongs to nothing",
            Self::Input => "an input is not there, or has other bytes (--deep)",
            Self::NoGallery => "gallery.json or index.html is not there",
            Self::BadGallery => "gallery.json cannot be read, or is of another grid",
            Self::Gallery => "gallery.json tells something else than the coordinator",
            Self::GalleryComplete => "gallery.json is wrong about being complete",
        }
    }

    /// The table of all kinds, one a line.
    pub fn table() -> String {
        let lines = Self::ALL.map(|kind| format!("  {kind:<16}  {}", kind.meaning()));
        lines.join("\n")
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

impl Difference {
    /// Of this kind, about this, with these words.
    pub(super) fn new(kind: Kind, about: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            kind,
            about: about.into(),
            detail: detail.into(),
        }
    }
}

impl fmt::Display for Difference {
    /// Safe to show, whoever gave the names in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (about, detail) = (printable(&self.about), printable(&self.detail));
        write!(f, "{:<16}  {about}: {detail}", self.kind)
    }
}

/// Differences of the second look that the first one had, too, whatever their words.
pub(super) fn in_both(first: &[Difference], mut second: Vec<Difference>) -> Vec<Difference> {
    let known: BTreeSet<(Kind, &str)> = first
        .iter()
        .map(|difference| (difference.kind, difference.about.as_str()))
        .collect();
    second.retain(|difference| known.contains(&(difference.kind, difference.about.as_str())));
    second
}
