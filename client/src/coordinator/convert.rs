//! Wire types into views and plans into wire types, by hand.

use std::path::Path;

use atelier_proto::ids::{CellId, Digest, GridId, MalformedId, NodeId, RequestId};
use atelier_proto::settings::{SettingsError, SettingsPatch};
use atelier_proto::v1;
use jiff::Timestamp;

use super::view::{
    Accepted, ArtistView, CellCounts, CellState, CellView, Change, GridState, GridView, InputView,
    MaskView, PaintingView, PhotoView, PictureView, Summary, VariantView,
};
use crate::inputs::{CheckedInput, CheckedInputs};
use crate::plan::Plan;

/// Why an answer of the coordinator cannot be so.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// A message that must be there is not.
    #[error("it names no {0}")]
    Missing(&'static str),
    /// An id or digest that is none.
    #[error(transparent)]
    MalformedId(#[from] MalformedId),
    /// A state that this client does not know.
    #[error("it names an unknown {what} state ({value})")]
    UnknownState {
        /// Of a grid or a cell.
        what: &'static str,
        /// The number on the wire.
        value: i32,
    },
    /// Settings outside their ranges.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A time that no calendar has.
    #[error("it names a time that cannot be")]
    Time(#[from] jiff::Error),
    /// A cell of nothing.
    #[error("cell {cell} has neither a photo nor an artist")]
    OfNothing {
        /// The cell.
        cell: CellId,
    },
    /// A cell of a photo, artist or variant that the grid does not have.
    #[error("cell {cell} has a photo, artist or variant that its grid does not have")]
    OutOfGrid {
        /// The cell.
        cell: CellId,
    },
}

/// What Submit is sent.
pub(super) fn submission(
    request_id: RequestId,
    plan: &Plan,
    inputs: &CheckedInputs,
) -> v1::SubmitRequest {
    let input = |path: &Path| inputs.get(path).map(wire_input);
    let photos = plan.photos.iter().map(|photo| v1::Photo {
        name: photo.name.clone(),
        input: input(&photo.path),
        masks: photo
            .masks
            .iter()
            .map(|mask| v1::Mask {
                name: mask.name.clone(),
                input: input(&mask.path),
            })
            .collect(),
        start: photo.start.as_deref().and_then(input),
    });
    let artists = plan.artists.iter().map(|artist| v1::Artist {
        name: artist.name.clone(),
        paintings: artist
            .paintings
            .iter()
            .map(|painting| v1::Painting {
                name: painting.name.clone(),
                input: input(&painting.path),
                weight: painting.weight,
                mask: match &painting.mask {
                    Some(bound) => bound.name.clone(),
                    None => String::new(),
                },
            })
            .collect(),
        settings: Some((&artist.settings).into()),
    });
    let variants = plan.variants.iter().map(|variant| v1::Variant {
        name: variant.name.clone(),
        settings: Some((&variant.settings).into()),
    });
    v1::SubmitRequest {
        request_id: request_id.to_string(),
        name: plan.name.clone(),
        photos: photos.collect(),
        artists: artists.collect(),
        variants: variants.collect(),
        settings: Some((&plan.settings).into()),
        reconstructions: plan.reconstructions,
    }
}

fn wire_input(input: &CheckedInput) -> v1::Input {
    v1::Input {
        sha256: input.sha256.to_string(),
        width: input.width,
        height: input.height,
    }
}

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
            cells: all(wire.cells)?,
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

fn all<Wire, View: TryFrom<Wire, Error = ConvertError>>(
    wire: Vec<Wire>,
) -> Result<Vec<View>, ConvertError> {
    wire.into_iter().map(View::try_from).collect()
}

fn settings(wire: Option<v1::RenderSettings>) -> Result<SettingsPatch, ConvertError> {
    Ok(SettingsPatch::try_from(wire.unwrap_or_default())?)
}

fn input(wire: Option<v1::Input>) -> Result<InputView, ConvertError> {
    let wire = wire.ok_or(ConvertError::Missing("input"))?;
    Ok(InputView {
        sha256: wire.sha256.parse()?,
        width: wire.width,
        height: wire.height,
    })
}

impl TryFrom<v1::GridSummary> for Summary {
    type Error = ConvertError;

    fn try_from(wire: v1::GridSummary) -> Result<Self, ConvertError> {
        let state = match wire.state() {
            v1::GridState::Active => GridState::Active,
            v1::GridState::Paused => GridState::Paused,
            v1::GridState::Finished => GridState::Finished,
            v1::GridState::Cancelled => GridState::Cancelled,
            v1::GridState::Unspecified => {
                return Err(ConvertError::UnknownState {
                    what: "grid",
                    value: wire.state,
                });
            }
        };
        let cells = wire.cells.unwrap_or_default();
        let time = |seconds, nanoseconds| Timestamp::new(seconds, nanoseconds);
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
            submitted_at: wire
                .submitted_at
                .map(|it| time(it.seconds, it.nanos))
                .transpose()?,
            finished_at: wire
                .finished_at
                .map(|it| time(it.seconds, it.nanos))
                .transpose()?,
            sequence: wire.sequence,
            gallery_complete: wire.gallery_complete,
            priority: wire.priority,
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

impl TryFrom<v1::Cell> for CellView {
    type Error = ConvertError;

    fn try_from(wire: v1::Cell) -> Result<Self, ConvertError> {
        let state = match wire.state() {
            v1::CellState::Queued => CellState::Queued,
            v1::CellState::Leased => CellState::Leased,
            v1::CellState::Rendering => CellState::Rendering,
            v1::CellState::Done => CellState::Done,
            v1::CellState::Failed => CellState::Failed,
            v1::CellState::Cancelled => CellState::Cancelled,
            v1::CellState::Unspecified => {
                return Err(ConvertError::UnknownState {
                    what: "cell",
                    value: wire.state,
                });
            }
        };
        let node = Some(wire.node_id).filter(|node| !node.is_empty());
        let cell_id = wire.cell_id.parse()?;
        if wire.photo.is_none() && wire.artist.is_none() {
            return Err(ConvertError::OfNothing { cell: cell_id });
        }
        Ok(Self {
            cell_id,
            photo: wire.photo.map(|photo| photo as usize),
            artist: wire.artist.map(|artist| artist as usize),
            variant: wire.variant as usize,
            state,
            attempts: wire.attempts,
            node: node.map(|node| node.parse::<NodeId>()).transpose()?,
            evaluations: wire.evaluations,
            evaluations_planned: wire.evaluations_planned,
            loss: wire.loss,
            picture: wire.result.map(PictureView::try_from).transpose()?,
            failure: Some(wire.failure).filter(|failure| !failure.is_empty()),
        })
    }
}

impl TryFrom<v1::CellResult> for PictureView {
    type Error = ConvertError;

    fn try_from(wire: v1::CellResult) -> Result<Self, ConvertError> {
        Ok(Self {
            key: wire.picture_key,
            thumbnail_key: wire.thumbnail_key,
            sha256: wire.sha256.parse::<Digest>()?,
            bytes: wire.bytes,
            width: wire.width,
            height: wire.height,
            seconds: wire.seconds,
            evaluations: wire.evaluations,
            loss: wire.loss,
            network: wire.network,
            device: wire.device,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(photo: u32, state: v1::CellState) -> v1::Cell {
        v1::Cell {
            cell_id: CellId::generate().to_string(),
            photo: Some(photo),
            artist: Some(0),
            state: state.into(),
            ..v1::Cell::default()
        }
    }

    #[test]
    fn an_answer_that_cannot_be_is_an_error() {
        let unknown = CellView::try_from(cell(0, v1::CellState::Unspecified));
        assert!(matches!(unknown, Err(ConvertError::UnknownState { .. })));

        let mut nameless = cell(0, v1::CellState::Queued);
        nameless.cell_id = "../..".to_owned();
        let nameless = CellView::try_from(nameless);
        assert!(matches!(nameless, Err(ConvertError::MalformedId(_))));

        let mut of_nothing = cell(0, v1::CellState::Queued);
        (of_nothing.photo, of_nothing.artist) = (None, None);
        let of_nothing = CellView::try_from(of_nothing);
        assert!(matches!(of_nothing, Err(ConvertError::OfNothing { .. })));

        let grid = v1::Grid {
            summary: Some(v1::GridSummary {
                grid_id: GridId::generate().to_string(),
                state: v1::GridState::Active.into(),
                ..v1::GridSummary::default()
            }),
            artists: vec![v1::Artist::default()],
            ..v1::Grid::default()
        };
        let beyond = GridView::try_from(v1::GetResponse {
            grid: Some(grid),
            cells: vec![cell(0, v1::CellState::Queued)],
        });
        assert!(matches!(beyond, Err(ConvertError::OutOfGrid { .. })));
    }
}
