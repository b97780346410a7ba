//! Grids with what was submitted, and their changes.

use atelier_proto::ids::GridId;
use atelier_proto::v1;

use super::{ConvertError, all, input, settings, time};
use crate::coordinator::view::{
    Accepted, ArtistView, CellCounts, Change, GridState, GridView, MaskView, PaintingView,
    PhotoView, Summary, VariantView,
};

impl TryFrom<v1::SubmitResponse> for Accepted {
    type Error = ConvertError;

    fn try_from(wire: v1::SubmitResponse) -> Result<Self, ConvertError> {
        Ok(Self {
            grid_id: wire.grid_id.parse()?,
            cells: wire.cells,
            created: wire.created,
        })
    }
}

impl TryFrom<v1::GetResponse> for GridView {
    type Error = ConvertError;

    fn try_from(wire: v1::GetResponse) -> Result<Self, ConvertError> {
        let grid = wire.grid.ok_or(ConvertError::Missing("grid"))?;
        let view = Self {
            summary: grid
                .summary
                .ok_or(ConvertError::Missing("summary"))?
                .try_into()?,
            settings: settings(grid.settings)?,
            photos: all(grid.photos)?,
            artists: all(grid.artists)?,
            variants: all(grid.variants)?,
            reconstructions: grid.reconstructions,
            labels: grid.labels.into_iter().collect(),
            cells: all(wire.cells)?,
            failed_attempts: all(wire.failed_attempts)?,
        };
        for cell in &view.cells {
            let inside = cell.photo.is_none_or(|photo| photo < view.photos.len())
                && cell.artist.is_none_or(|artist| artist < view.artists.len())
                && cell.variant < view.variants.len().max(1);
            if !inside {
                return Err(ConvertError::OutOfGrid { cell: cell.cell_id });
            }
        }
        Ok(view)
    }
}

impl TryFrom<v1::GridSummary> for Summary {
    type Error = ConvertError;

    fn try_from(wire: v1::GridSummary) -> Result<Self, ConvertError> {
        let state = match wire.state() {
            v1::GridState::Active => GridState::Active,
            v1::GridState::Paused => GridState::Paused,
            v1::GridState::Finished => GridState::Finished,
            v1::GridState::Cancelled => GridState::Cancelled,
            v1::GridState::Deleted => GridState::Deleted,
            v1::GridState::Unspecified => {
                return Err(ConvertError::UnknownState {
                    what: "grid",
                    value: wire.state,
                });
            }
        };
        let cells = wire.cells.unwrap_or_default();
        Ok(Self {
            grid_id: wire.grid_id.parse::<GridId>()?,
            name: wire.name,
            state,
            cells: CellCounts {
                queued: cells.queued,
                leased: cells.leased,
                rendering: cells.rendering,
                done: cells.done,
                failed: cells.failed,
                cancelled: cells.cancelled,
            },
            submitted_at: time(wire.submitted_at.map(|it| (it.seconds, it.nanos)))?,
            finished_at: time(wire.finished_at.map(|it| (it.seconds, it.nanos)))?,
            sequence: wire.sequence,
            gallery_complete: wire.gallery_complete,
            priority: wire.priority,
            submitter: wire.submitter,
            // One below 0 says nothing.
            time_left: wire.time_left.and_then(|it| it.try_into().ok()),
            dollars_spent: wire.dollars_spent,
            dollars_expected: wire.dollars_expected,
        })
    }
}

impl TryFrom<v1::Photo> for PhotoView {
    type Error = ConvertError;

    fn try_from(wire: v1::Photo) -> Result<Self, ConvertError> {
        Ok(Self {
            name: wire.name,
            input: input(wire.input)?,
            masks: all(wire.masks)?,
            start: match wire.start {
                None => None,
                start => Some(input(start)?),
            },
        })
    }
}

impl TryFrom<v1::Mask> for MaskView {
    type Error = ConvertError;

    fn try_from(wire: v1::Mask) -> Result<Self, ConvertError> {
        Ok(Self {
            name: wire.name,
            input: input(wire.input)?,
        })
    }
}

impl TryFrom<v1::Artist> for ArtistView {
    type Error = ConvertError;

    fn try_from(wire: v1::Artist) -> Result<Self, ConvertError> {
        Ok(Self {
            name: wire.name,
            paintings: all(wire.paintings)?,
            settings: settings(wire.settings)?,
        })
    }
}

impl TryFrom<v1::Painting> for PaintingView {
    type Error = ConvertError;

    fn try_from(wire: v1::Painting) -> Result<Self, ConvertError> {
        Ok(Self {
            name: wire.name,
            input: input(wire.input)?,
            weight: wire.weight,
            mask: Some(wire.mask).filter(|mask| !mask.is_empty()),
        })
    }
}

impl TryFrom<v1::Variant> for VariantView {
    type Error = ConvertError;

    fn try_from(wire: v1::Variant) -> Result<Self, ConvertError> {
        Ok(Self {
            name: wire.name,
            settings: settings(wire.settings)?,
        })
    }
}

impl TryFrom<v1::WatchResponse> for Change {
    type Error = ConvertError;

    fn try_from(wire: v1::WatchResponse) -> Result<Self, ConvertError> {
        Ok(Self {
            sequence: wire.sequence,
            summary: wire
                .summary
                .ok_or(ConvertError::Missing("summary"))?
                .try_into()?,
            cells: all(wire.cells)?,
        })
    }
}
