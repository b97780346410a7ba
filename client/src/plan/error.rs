//! Why what was asked for makes no grid.

use super::{
    CELLS_MAX, LABEL_CHARACTERS_MAX, LABELS_MAX, NAME_CHARACTERS_MAX, PAINTINGS_MAX,
    SUBMITTER_CHARACTERS_MAX,
};
use crate::text::{printable, shortened};

/// Why what was asked for makes no grid.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Two artists could not be told apart.
    #[error(
        "two artists are called `{}`: {first} and {second}\nhint: give one of them another name",
        shortened(name, 80)
    )]
    SameArtist {
        /// Their name.
        name: String,
        /// Where the one was named.
        first: String,
        /// Where the other was.
        second: String,
    },
    /// Two photos could not be told apart.
    #[error(
        "two photos are called `{}`: {first} and {second}\nhint: give one of them another name",
        shortened(name, 80)
    )]
    SamePhoto {
        /// Their name.
        name: String,
        /// Where the one was named.
        first: String,
        /// Where the other was.
        second: String,
    },
    /// A painting is bound to a mask that some photo does not have.
    #[error(
        "{place}: the photo `{photo}` has no mask `{mask}`, and so the artist `{artist}` cannot be painted over it\n\
         hint: give the photo one in [[photo]], as in masks = {{ {mask} = \"mask.png\" }}"
    )]
    LacksMask {
        /// Where the painting was bound to it.
        place: String,
        /// The photo.
        photo: String,
        /// The artist whose painting is bound to it.
        artist: String,
        /// The mask.
        mask: String,
    },
    /// Some cell of a photo begins from a file, and the photo names none.
    #[error(
        "{place}: the photo `{photo}` names no picture to begin from, but by the artist `{artist}`{} `start` is `file`\n\
         hint: name one in a grid file: [[photo]] with path = \"photo.jpg\" and start = \"sketch.png\"",
        of_variant(variant)
    )]
    LacksStart {
        /// Where the photo was named.
        place: String,
        /// The photo.
        photo: String,
        /// An artist by whom it begins from a file.
        artist: String,
        /// A variant in which it does; empty for the only one.
        variant: String,
    },
    /// Some cells of an artist would aim at nothing.
    #[error(
        "{place}: the artist `{artist}`{}: {weights}, so there is nothing to paint\n\
         hint: give it a weight above 0, as in style_weight = 3",
        of_variant(variant)
    )]
    Weightless {
        /// Where the artist was named.
        place: String,
        /// The artist.
        artist: String,
        /// Which weights are 0, for people.
        weights: &'static str,
        /// A variant in which they are; empty for the only one.
        variant: String,
    },
    /// A name that is empty or too long.
    #[error(
        "{place}: the name of {what} has {characters} characters, but must have 1 to {NAME_CHARACTERS_MAX}"
    )]
    NameLength {
        /// Whose name it is.
        what: &'static str,
        /// Where it comes from.
        place: String,
        /// Its length.
        characters: usize,
    },
    /// The name of a submitter that is too long.
    #[error(
        "--submitter: the name has {characters} characters, but may have {SUBMITTER_CHARACTERS_MAX} at most"
    )]
    SubmitterLength {
        /// Its length.
        characters: usize,
    },
    /// More labels than a grid may have.
    #[error("the grid has {labels} labels, but may have {LABELS_MAX} at most")]
    TooManyLabels {
        /// How many there are.
        labels: usize,
    },
    /// A label that is empty or too long.
    #[error(
        "the label `{}` must have a name of 1 to {LABEL_CHARACTERS_MAX} characters, and a value of as many at most",
        printable(&shortened(name, 80))
    )]
    LabelLength {
        /// Its name.
        name: String,
    },
    /// A name that would steer a terminal, or break a line.
    #[error("{place}: {what} holds a control character\nhint: write it on one line, without tabs")]
    ControlCharacter {
        /// What holds it.
        what: &'static str,
        /// Where it comes from.
        place: String,
    },
    /// More paintings than an artist may have.
    #[error("{place}: an artist has {paintings} paintings, but may have {PAINTINGS_MAX} at most")]
    TooManyPaintings {
        /// Where the artist was named.
        place: String,
        /// How many there are.
        paintings: usize,
    },
    /// A grid without cells.
    #[error("the grid has no cells: {what}\nhint: it needs at least one photo and one artist")]
    NoCells {
        /// What is missing.
        what: &'static str,
    },
    /// More cells than any coordinator takes.
    #[error(
        "the grid has {photos} × {artists} × {variants} cells{}, but may have {CELLS_MAX} at most\n\
         hint: sweep over fewer values",
        if *reconstructions { " and reconstructions" } else { "" }
    )]
    TooManyCells {
        /// Photos.
        photos: usize,
        /// Artists.
        artists: usize,
        /// Points of the sweep; at least so many.
        variants: usize,
        /// Whether photos and artists have cells of their own besides.
        reconstructions: bool,
    },
    /// A value that a sweep has twice.
    #[error("the sweep has `{name}` twice")]
    SameVariant {
        /// The variant.
        name: String,
    },
}

fn of_variant(variant: &str) -> String {
    if variant.is_empty() {
        String::new()
    } else {
        format!(" in the variant `{}`", shortened(variant, 80))
    }
}
