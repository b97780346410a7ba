//! Cells, their pictures and their attempts.

use atelier_proto::ids::{Digest, NodeId};
use atelier_proto::v1;

use super::{ConvertError, time};
use crate::coordinator::view::{
    Attempt, AttemptOutcome, CellLogs, CellState, CellView, PictureView,
};

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
            large_thumbnail_key: Some(wire.large_thumbnail_key).filter(|key| !key.is_empty()),
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

impl TryFrom<v1::Attempt> for Attempt {
    type Error = ConvertError;

    fn try_from(wire: v1::Attempt) -> Result<Self, ConvertError> {
        let outcome = match wire.outcome() {
            v1::AttemptOutcome::Done => AttemptOutcome::Done,
            v1::AttemptOutcome::Failed => AttemptOutcome::Failed,
            v1::AttemptOutcome::Refused => AttemptOutcome::Refused,
            v1::AttemptOutcome::Lost => AttemptOutcome::Lost,
            v1::AttemptOutcome::Stuck => AttemptOutcome::Stuck,
            v1::AttemptOutcome::Released => AttemptOutcome::Released,
            v1::AttemptOutcome::Unspecified => {
                return Err(ConvertError::UnknownState {
                    what: "cell's attempt",
                    value: wire.outcome,
                });
            }
        };
        Ok(Self {
            cell_id: wire.cell_id.parse()?,
            attempt: wire.attempt,
            node: wire.node_id.parse()?,
            node_name: wire.node_name,
            ended_at: time(wire.ended_at.map(|it| (it.seconds, it.nanos)))?,
            outcome,
            reason: wire.reason,
            log: Some(wire.log).filter(|log| !log.is_empty()),
        })
    }
}

impl TryFrom<v1::LogsResponse> for CellLogs {
    type Error = ConvertError;

    fn try_from(wire: v1::LogsResponse) -> Result<Self, ConvertError> {
        let attempts = wire.attempts.into_iter().map(Attempt::try_from);
        Ok(Self {
            cell: wire.cell.unwrap_or_default().try_into()?,
            node_name: wire.node_name,
            rendering_since: time(wire.rendering_since.map(|it| (it.seconds, it.nanos)))?,
            attempts: attempts.collect::<Result<_, _>>()?,
        })
    }
}
