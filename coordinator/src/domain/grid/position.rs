//! Where a cell stands in its grid, and what its picture is of.

use atelier_proto::settings::{Colour, Mode, RenderSettings, SettingsPatch, Start};

/// What the picture of a cell is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// A photo in the style of an artist.
    Transfer {
        /// Index into the photos.
        photo: usize,
        /// Index into the artists.
        artist: usize,
    },
    /// A photo alone: what the content layers keep of it.
    Content {
        /// Index into the photos.
        photo: usize,
    },
    /// An artist alone: what the style layers keep of it.
    Style {
        /// Index into the artists.
        artist: usize,
    },
}

impl Subject {
    /// The subject of a photo, an artist or both; `None` of neither.
    pub fn of(photo: Option<usize>, artist: Option<usize>) -> Option<Self> {
        match (photo, artist) {
            (Some(photo), Some(artist)) => Some(Self::Transfer { photo, artist }),
            (Some(photo), None) => Some(Self::Content { photo }),
            (None, Some(artist)) => Some(Self::Style { artist }),
            (None, None) => None,
        }
    }

    /// Index of its photo, if it has one.
    pub fn photo(self) -> Option<usize> {
        match self {
            Self::Transfer { photo, .. } | Self::Content { photo } => Some(photo),
            Self::Style { .. } => None,
        }
    }

    /// Index of its artist, if it has one.
    pub fn artist(self) -> Option<usize> {
        match self {
            Self::Transfer { artist, .. } | Self::Style { artist } => Some(artist),
            Self::Content { .. } => None,
        }
    }

    /// Whether it is of a photo or an artist alone.
    pub fn is_reconstruction(self) -> bool {
        match self {
            Self::Transfer { .. } => false,
            Self::Content { .. } | Self::Style { .. } => true,
        }
    }

    /// Whether it is of something that counts with these settings. What the network keeps of a photo says nothing of a
    /// variant whose content has no weight, and there would be nothing to aim at.
    pub(super) fn counts(self, settings: &RenderSettings) -> bool {
        match self {
            Self::Transfer { .. } => true,
            Self::Content { .. } => settings.content_weight > 0.0,
            Self::Style { .. } => settings.style_weight > 0.0,
        }
    }

    /// What it fixes of a cell's settings, whatever the grid says: a reconstruction comes from noise, or it would show
    /// what it began with, and nobody else lends it colours.
    pub(super) fn settings(self) -> SettingsPatch {
        let reconstruction = |mode| SettingsPatch {
            mode: Some(mode),
            start: Some(Start::Noise),
            colour: Some(Colour::Painting),
            ..SettingsPatch::default()
        };
        match self {
            Self::Transfer { .. } => SettingsPatch::default(),
            Self::Content { .. } => reconstruction(Mode::Content),
            Self::Style { .. } => reconstruction(Mode::Style),
        }
    }
}

/// Where a cell stands in its grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// Its row, its column or both.
    pub subject: Subject,
    /// Index into the variants.
    pub variant: usize,
}
