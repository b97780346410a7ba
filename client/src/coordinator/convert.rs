//! Wire types into views and plans into wire types, by hand.

mod cells;
mod fleet;
mod grids;
mod nodes;
mod submission;
mod tokens;

use atelier_proto::ids::{CellId, MalformedId};
use atelier_proto::settings::{SettingsError, SettingsPatch};
use atelier_proto::v1;
use jiff::Timestamp;

pub(super) use self::submission::{page_wanted, submission};
use super::view::InputView;

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
    #[error("it names an unknown state of a {what} ({value})")]
    UnknownState {
        /// A grid, cell, attempt, node or token.
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

/// A time by its seconds since 1970 and its nanoseconds.
fn time(seconds_and_nanoseconds: Option<(i64, i32)>) -> Result<Option<Timestamp>, ConvertError> {
    let time = |(seconds, nanoseconds)| Timestamp::new(seconds, nanoseconds);
    Ok(seconds_and_nanoseconds.map(time).transpose()?)
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

#[cfg(test)]
mod tests {
    use atelier_proto::ids::GridId;

    use super::*;
    use crate::coordinator::view::{
        Attempt, AttemptOutcome, CellView, GridView, NodeState, NodeView,
    };

    fn cell(photo: u32, state: v1::CellState) -> v1::Cell {
        v1::Cell {
            cell_id: format!("{}/0", GridId::generate()),
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
            failed_attempts: Vec::new(),
        });
        assert!(matches!(beyond, Err(ConvertError::OutOfGrid { .. })));
    }

    #[test]
    fn an_attempt_and_a_node_are_told_whole() {
        let wire = v1::Attempt {
            cell_id: format!("{}/7", GridId::generate()),
            attempt: 2,
            node_id: "01890a5d-ac96-774b-bcce-b302099a8057".to_owned(),
            outcome: v1::AttemptOutcome::Stuck.into(),
            ..v1::Attempt::default()
        };
        let attempt = Attempt::try_from(wire.clone()).unwrap();
        assert_eq!((attempt.cell_id.place, attempt.attempt), (7, 2));
        assert_eq!(attempt.outcome, AttemptOutcome::Stuck);
        assert_eq!(attempt.log, None, "an empty log is none");
        let unknown = v1::Attempt {
            outcome: 99,
            ..wire
        };
        let unknown = Attempt::try_from(unknown).unwrap_err();
        assert_eq!(
            unknown.to_string(),
            "it names an unknown state of a cell's attempt (99)"
        );

        let wire = v1::Node {
            node_id: "01890a5d-ac96-774b-bcce-b302099a8057".to_owned(),
            state: v1::NodeState::Quarantined.into(),
            labels: [("zone".to_owned(), "eu".to_owned())].into(),
            ..v1::Node::default()
        };
        let node = NodeView::try_from(wire.clone()).unwrap();
        assert_eq!(node.state, NodeState::Quarantined);
        assert_eq!(node.labels["zone"], "eu");
        assert_eq!(node.dollars_per_hour, None);
        let nameless = v1::Node {
            node_id: String::new(),
            ..wire
        };
        assert!(NodeView::try_from(nameless).is_err());
    }
}
