//! What is wrong with one field of a request, said so that a person finds it.

use atelier_proto::ids::{GridId, MalformedId};
use atelier_proto::settings::SettingsError;

/// A field, by its path from the request (`artists[2].paintings[0].weight`), and what is wrong with it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidField {
    /// Path of the field.
    pub field: String,
    /// What is wrong.
    pub problem: Problem,
}

impl InvalidField {
    /// A problem at a path.
    pub fn new(field: impl Into<String>, problem: impl Into<Problem>) -> Self {
        Self {
            field: field.into(),
            problem: problem.into(),
        }
    }

    /// The same problem, seen from the message around the field.
    #[must_use]
    pub fn within(mut self, outer: &str) -> Self {
        self.field = format!("{outer}.{}", self.field);
        self
    }
}

/// What can be wrong with a field.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Problem {
    /// Nothing is there.
    #[error("is missing")]
    Missing,
    /// A text is too short or too long.
    #[error("has {chars} characters, but must have {least} to {most}")]
    Length {
        /// Characters that it has.
        chars: usize,
        /// Fewest that it may have.
        least: usize,
        /// Most that it may have.
        most: usize,
    },
    /// A text holds what would confuse a terminal or a log.
    #[error("holds a control character (code {code})")]
    ControlCharacter {
        /// Unicode scalar value.
        code: u32,
    },
    /// A list is too short or too long.
    #[error("has {count} entries, but must have {least} to {most}")]
    Count {
        /// Entries that it has.
        count: usize,
        /// Fewest that it may have.
        least: usize,
        /// Most that it may have.
        most: usize,
    },
    /// A number is too small, too large or none.
    #[error("is {value}, but must be {range}")]
    OutOfRange {
        /// The number.
        value: String,
        /// What is allowed, in words.
        range: &'static str,
    },
    /// A cell of another grid.
    #[error("names no cell of the grid {grid}")]
    ForeignCell {
        /// The grid.
        grid: GridId,
    },
    /// Two entries of a list are called alike.
    #[error("{name:?} is the name of `{earlier}` too; names must be unique")]
    Duplicate {
        /// The name.
        name: String,
        /// Path of the first one that has it.
        earlier: String,
    },
    /// More cells than the coordinator takes.
    #[error(
        "{photos} photos × {artists} artists × {variants} variants{} are {cells} cells, but at most {cells_max} \
         are taken in one grid\n\
         hint: submit several smaller grids, or have the coordinator started with a larger --cells-max",
        if *reconstructions { " with their reconstructions" } else { "" }
    )]
    TooManyCells {
        /// Photos submitted.
        photos: usize,
        /// Artists submitted.
        artists: usize,
        /// Variants submitted.
        variants: usize,
        /// Whether photos and artists have cells of their own besides.
        reconstructions: bool,
        /// How many these are.
        cells: u128,
        /// The coordinator's limit.
        cells_max: u32,
    },
    /// A painting is bound to a mask that some photo does not have.
    #[error(
        "is {mask:?}, but `photos[{photo_index}]` (the photo {photo:?}) has no mask of that name, and so the artist {artist:?} \
         cannot be painted over it\n\
         hint: give the photo that mask, or leave the painting unbound"
    )]
    LacksMask {
        /// Name of the mask.
        mask: String,
        /// Name of the artist whose painting is bound to it.
        artist: String,
        /// Name of the photo that lacks it.
        photo: String,
        /// Its place in the photos.
        photo_index: usize,
    },
    /// Some cell of a photo begins from a file, and the photo names none.
    #[error(
        "is missing, but the photo {photo:?} by the artist {artist:?} has `start = \"file\"`\n\
         hint: name a picture for it to begin from, or another start"
    )]
    LacksStart {
        /// Name of the photo.
        photo: String,
        /// Name of an artist by whom it begins from a file.
        artist: String,
    },
    /// Some cells of an artist would aim at nothing.
    #[error(
        "{weights}{}, so there is nothing to paint\nhint: give it a weight above 0 in the settings of the grid, the artist or \
         the variant",
        if variant.is_empty() { String::new() } else { format!(" in the variant {variant:?}") }
    )]
    Weightless {
        /// Which weights are 0, for people.
        weights: &'static str,
        /// Name of a variant in which they are; empty for the only one.
        variant: String,
    },
    /// An id or digest that is none.
    #[error(transparent)]
    Id(#[from] MalformedId),
    /// A render setting.
    #[error(transparent)]
    Setting(#[from] SettingsError),
    /// A word of an enumeration that this version does not know.
    #[error("is {value}, which is no value that this coordinator knows")]
    UnknownValue {
        /// Its number on the wire.
        value: i32,
    },
    /// A key that is not the one the cell was leased with.
    #[error("is {given:?}, but this cell's is {expected:?}")]
    ForeignKey {
        /// What the node named.
        given: String,
        /// What the cell has.
        expected: String,
    },
}

/// Checks the length of a text, and that it can be shown.
pub fn check_text(field: &str, text: &str, least: usize, most: usize) -> Result<(), InvalidField> {
    let chars = text.chars().count();
    if !(least..=most).contains(&chars) {
        return Err(InvalidField::new(
            field,
            Problem::Length { chars, least, most },
        ));
    }
    match text.chars().find(|letter| letter.is_control()) {
        None => Ok(()),
        Some(letter) => Err(InvalidField::new(
            field,
            Problem::ControlCharacter {
                code: u32::from(letter),
            },
        )),
    }
}

/// Checks how many entries a list has.
pub fn check_count(
    field: &str,
    count: usize,
    least: usize,
    most: usize,
) -> Result<(), InvalidField> {
    if (least..=most).contains(&count) {
        Ok(())
    } else {
        Err(InvalidField::new(
            field,
            Problem::Count { count, least, most },
        ))
    }
}
